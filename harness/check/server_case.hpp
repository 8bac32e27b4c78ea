#pragma once

// Conformance cases for servers, as scenarios/conformance/server/*.yaml says them.

#include "harness/catalogue/requirement.hpp"
#include "harness/catalogue/yaml.hpp"
#include "harness/check/outgoing.hpp"
#include "harness/check/server_facts.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace harness::check {

/// How far the suite takes a connection before a case goes on.
enum class Start {
    connected,    ///< nothing has been said
    greeted,      ///< the greeting has come, client flags are due
    haggling,     ///< options are due
    transmission, ///< the export has been entered
};

/// One thing that may come of an option or a request.
struct Outcome {
    enum class Kind {
        success,
        error,      ///< any
        answer,     ///< success or any error
        option_is,  ///< an option's reply of type `value`
        error_is,   ///< an error of value `value`
        disconnect, ///< the server closes or resets the connection
        silence,    ///< no answer, although the server goes on
    } kind = Kind::success;
    std::uint32_t value = 0;

    [[nodiscard]] std::string describe() const;
};

/// A requirement, and what it allows to come.
struct Demand {
    std::string requirement;
    std::vector<Outcome> allowed;
};

/// A comparison of two numbers: "export-size == size".
struct Comparison {
    std::string text;
    Number left;
    std::string op;
    Number right;
};

/// What has to hold of an answer for a requirement to be kept.
struct Holding {
    std::string requirement;
    std::vector<Comparison> comparisons;
};

/// What a read has to give.
struct DataCheck {
    std::string requirement;
    std::optional<std::uint64_t> pattern; ///< the pattern of this seed, by place on the disk
    bool zeroes = false;
    std::string same_as; ///< the label of another read
    Number from;         ///< where in the other read this one begins; bytes
    /// Only this part of the read is looked at; bytes from its beginning.
    std::optional<Number> skip;
    std::optional<Number> length;
};

/// One step of a case.
struct CheckStep {
    enum class Kind {
        connect,    ///< opens a further connection as the case's start says
        send,       ///< messages, as one segment
        expect,     ///< awaits an answer
        holds,      ///< looks at the numbers of the last answer
        data,       ///< looks at the data of the last answer
        save,       ///< keeps numbers of the last answer
        usable,     ///< the connection still works, and nothing came that nobody asked for
        greeted,    ///< the server's greeting comes
        in_step,    ///< the same, unless the server has hung up, for which it has a reason
        settled,    ///< all requests are answered, unless the server has hung up, for which it has a reason
        ends,       ///< the server closes the connection
        half_close, ///< this side sends nothing more
        reset,      ///< this side resets the connection
        pause,      ///< this side waits
        shut_down,  ///< the server is told to shut down
        outside,    ///< the size of the export is changed behind the back of clients
    } kind = Kind::send;
    Position position;
    std::string text; ///< for people: "send NBD_CMD_READ"
    std::uint32_t connection = 1;
    std::string given;          ///< the label of a request: the step is left out unless that has come to …
    bool given_success = true;  ///< … success, or an error
    std::optional<Start> start; ///< connect: how far it is taken, if not as the case says

    std::vector<Outgoing> messages; ///< send
    std::uint64_t times = 1;        ///< send: how often the messages are sent
    std::size_t segment = 0;        ///< send: bytes of a segment; 0: all in one
    std::optional<Number> cut;      ///< send: only so many bytes
    std::string of;              ///< expect, holds, data: the label of a request; empty: the last thing sent
    std::vector<Demand> demands; ///< expect
    std::vector<Holding> holdings;                     ///< holds
    std::optional<DataCheck> check;                    ///< data
    std::vector<std::pair<std::string, Number>> saved; ///< save
    std::string requirement;                           ///< greeted, usable, in-step, settled, ends
    std::chrono::milliseconds time{0};                 ///< pause
    std::optional<Number> size;                        ///< outside; bytes
};

/// A conformance case.
struct ServerCase {
    using Start = check::Start;
    std::string name;
    std::string title;
    std::string section;            ///< of the specification
    std::vector<std::string> also;  ///< requirements that the judge sees kept or broken in this case
    std::vector<std::string> needs; ///< words of `need_words()`
    Start start = Start::transmission;
    std::vector<Style> styles; ///< transmission: those that it runs in
    std::vector<std::string> contexts;
    std::optional<Number> at_least; ///< bytes that the export has to have
    std::optional<Number> room;     ///< bytes that it has to be able to grow by, as far as is told
    std::string ambiguous;          ///< what two readings of the text the case accepts; empty if there is one
    bool crasher = false;           ///< known to bring servers down: only on demand, and last
    std::vector<CheckStep> steps;
    Position position;

    /// All requirements that it tests.
    [[nodiscard]] std::set<std::string> requirements() const;
};

/// Reads a file of cases and adds them. Throws CatalogueError.
void load_server_cases(const YamlNode& document, const Requirements& requirements,
                       std::vector<ServerCase>& into);

} // namespace harness::check
