#pragma once

// Messages that a case sends, as YAML says them: by fields, with single fields wrong where a case wants that,
// or as bytes.

#include "harness/catalogue/size_expression.hpp"
#include "harness/catalogue/yaml.hpp"
#include "protocol/transmission.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace harness::check {

/// The numbers that expressions of a case may name besides what it has saved: "size", "max", …
[[nodiscard]] const std::vector<std::string_view>& case_variables();

/// What messages are made with.
struct Surroundings {
    std::function<std::uint64_t(const std::string&)> lookup; ///< variables; throws std::invalid_argument
    std::string export_name;                                 ///< {export}
    nbd::HeaderStyle style = nbd::HeaderStyle::compact;
    std::optional<std::string> listed_name = {}; ///< {listed}
    std::optional<std::string> other_name = {};  ///< {other}
};

/// A number: an expression, checked when it is loaded.
struct Number {
    SizeExpression expression;

    /// `names` are variables that the case has saved so far.
    static Number read(const YamlNode& node, const std::vector<std::string>& names);
    [[nodiscard]] std::uint64_t in(const Surroundings& with) const {
        return expression.evaluate(with.lookup);
    }
};

/// Bytes: pieces one after the other.
struct Payload {
    struct Piece {
        enum class Kind { bytes, text, zeroes, pattern, repeat, number } kind = Kind::bytes;
        std::string content;               ///< bytes, text with {export}, or what is repeated
        std::optional<Number> count;       ///< zeroes, repeat, pattern; number: the number itself
        std::optional<std::uint64_t> seed; ///< pattern
        std::size_t width = 0;             ///< number: its bytes
    };
    std::vector<Piece> pieces;

    /// "00 ff", {text: …}, {zeroes: N}, {repeat: "41", times: N}, {pattern: SEED, length: N},
    /// {number: N, bytes: 4}, or a list of these.
    static Payload read(const YamlNode& node, const std::vector<std::string>& names);
    /// `offset` is the place on the disk that patterns begin at; `length` how long those are that do not say.
    [[nodiscard]] nbd::Buffer in(const Surroundings& with, std::uint64_t offset = 0,
                                 std::uint64_t length = 0) const;
};

/// One message of a client, or bytes that are none.
struct Outgoing {
    enum class Kind { client_flags, option, request, bytes } kind = Kind::bytes;
    std::optional<Number> magic;  ///< instead of the right one
    std::optional<Number> length; ///< option: of the length field; request: the length
    std::optional<Payload> data;  ///< the payload as it is to be, or the bytes

    std::uint32_t client_flags = 0;

    std::uint32_t option = 0;
    std::optional<Payload> name;                 ///< NBD_OPT_INFO, _GO and the options for contexts
    std::optional<Number> name_length;           ///< of the name's length field, where it is to be wrong
    std::vector<std::uint16_t> information;      ///< types asked for
    std::optional<std::vector<Payload>> queries; ///< for metadata contexts
    std::optional<Number> query_length; ///< of the last query's length field, where it is to be wrong
    std::optional<Number> count;        ///< of the count field of either list, where it is to be wrong

    std::uint16_t command = 0;
    std::uint16_t flags = 0;
    bool bare = false; ///< no NBD_CMD_FLAG_PAYLOAD_LEN is added to a write with extended headers
    Number offset;
    std::optional<Number> cookie;
    std::string label; ///< by which later steps name the request

    /// Reads one message; names of a request's `as` are added to `labels`.
    static Outgoing read(const YamlNode& node, const std::vector<std::string>& names);

    /// A request's fields; only for that kind. `cookie` is used unless the case has its own.
    [[nodiscard]] nbd::Request request(const Surroundings& with, std::uint64_t cookie) const;
    /// The bytes of the message. `cookie` as above.
    [[nodiscard]] nbd::Buffer encode(const Surroundings& with, std::uint64_t cookie) const;
};

/// Words for command flags: "fua", "no-hole", …; the bit of one, or nothing.
[[nodiscard]] std::optional<std::uint16_t> command_flag_of(std::string_view word);

/// The option, command, error or reply type of this name, "NBD_OPT_GO"; a number in decimal or hex is taken
/// as it is. Fails at the node for another name.
[[nodiscard]] std::uint32_t option_number(const YamlNode& node);
[[nodiscard]] std::uint32_t command_number(const YamlNode& node);

} // namespace harness::check
