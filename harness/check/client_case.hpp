#pragma once

// Conformance cases for clients, as data: which server a client meets, and what has to come of it.

#include "harness/catalogue/requirement.hpp"
#include "harness/catalogue/yaml.hpp"
#include "harness/check/client_uri.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace harness::check {

/// What the reference server is for a case.
struct ClientServer {
    /// What its disk holds.
    enum class Content {
        pattern, ///< bytes that depend on their offset, and no hole
        sparse,  ///< pattern and holes by turns, 64 KiB each
        zeroes,  ///< memory that nobody has written to
        cut,     ///< pattern; but its file loses the second half at the first read, so that reads fail there
    };
    std::string fault;                ///< `nbd-resize-server --fault`; empty for none
    std::string oddity;               ///< `nbd-resize-server --oddity`; empty for none
    std::vector<std::string> options; ///< further words of its command line
    std::string export_name;
    std::uint64_t size = std::uint64_t{1} << 20; ///< bytes
    Content content = Content::pattern;

    /// The server without fault and oddity.
    [[nodiscard]] ClientServer well_behaved() const;
    /// What is special about it, for people: "--replies simple, size 513"; empty if nothing is.
    [[nodiscard]] std::string describe() const;
    bool operator==(const ClientServer&) const = default;
};

/// A conformance case.
struct ClientCase {
    enum class Wants {
        tolerates, ///< the client does its work as on a well-behaved server
        rejects,   ///< the client does not report success
        survives,  ///< either; but no crash, no hang, no growth without bound
        reports, ///< it says something on standard error that it does not usually say, or reports no success
    };
    std::string name;
    std::string title;
    std::string section; ///< of the specification
    /// Requirements that bind clients. The first is the one that a client has broken that does not do what
    /// the case wants.
    std::vector<std::string> tests;
    /// The requirement that the server breaks, where no requirement binds the client to notice: a client that
    /// does not is warned about only. Empty if there is none.
    std::string breaks;
    ClientServer server;
    ClientUri uri; ///< what stands for {uri}; empty: the plain URI of the server
    /// Options and commands that the client may send, if others are against what the case tests.
    std::optional<std::vector<std::string>> may_send;
    /// A server on which the client can do its work, with which its behaviour is compared, where that is not
    /// the same one without its fault, or the plain one.
    std::optional<ClientServer> usual;
    /// How many connections the client may use for requests at the same time; 0: any number.
    std::size_t connections = 0;
    std::vector<std::string> may_not_send; ///< options and commands that are against it
    std::vector<std::string>
        still_sends; ///< those that a client which usually sends them has to send here, too
    /// Options and commands; the client has to send one of them to the server without its fault, or the case
    /// says nothing. Empty: any client will do.
    std::vector<std::string> bites;
    Wants wants = Wants::tolerates;
    /// What the output of a client that reports success is compared with.
    enum class Output {
        any,
        as_usual,     ///< output and disk are as on a well-behaved server
        nothing_else, ///< lines may be missing, but there are no others than on a well-behaved server
        data, ///< what it has read or written; but not text, which may tell how the server is different
    } output = Output::any;
    /// Commands that a client which tolerates the server need not send though it does so to a well-behaved
    /// one.
    std::vector<std::string> may_skip;
    /// Commands without which a client may not be able to do its work: one that sends them to a well-behaved
    /// server may give up.
    std::vector<std::string> may_need;
    bool may_reconnect = false; ///< rejects: a client may succeed on a further connection
    bool may_wait = false; ///< the server owes the client something; one that waits for it does nothing wrong
    std::string ambiguous; ///< what two readings of the text the case accepts; empty if there is one
    Position position;

    /// True if it is about the RESIZE extension.
    [[nodiscard]] bool about_resize() const;
};

/// "tolerates", "rejects", "survives" or "reports".
[[nodiscard]] const char* name(ClientCase::Wants wants);

/// Reads a file of cases and adds them. Throws CatalogueError.
void load_client_cases(const YamlNode& document, const Requirements& requirements,
                       std::vector<ClientCase>& into);

} // namespace harness::check
