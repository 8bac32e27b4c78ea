#pragma once

// One option and the server's replies to it (Option types, Option reply types).

#include "protocol/handshake.hpp"
#include "protocol/resize.hpp"
#include "reference-client/export_info.hpp"
#include "reference-client/faults.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace refclient {

/// What the server answered to an option, when the last reply to it is there.
struct OptionOutcome {
    nbd::OptionReplyType last = nbd::OptionReplyType::ack; ///< ACK or an error
    std::string message;                                   ///< the server's words with an error
    std::vector<nbd::ServerReply> exports;                 ///< to NBD_OPT_LIST
    std::vector<nbd::MetaContextReply> contexts;           ///< to the options for metadata contexts
    std::optional<nbd::InfoExport> info;                   ///< NBD_INFO_EXPORT
    std::optional<std::string> name;                       ///< NBD_INFO_NAME
    std::optional<std::string> description;                ///< NBD_INFO_DESCRIPTION
    std::optional<BlockSizes> block;                       ///< NBD_INFO_BLOCK_SIZE
    std::optional<nbd::InfoResize> resize;                 ///< NBD_INFO_RESIZE

    [[nodiscard]] bool accepted() const { return last == nbd::OptionReplyType::ack; }
};

/// What an option was sent with, as far as the replies to it depend on that.
struct OptionContext {
    bool structured = false;   ///< structured replies or extended headers have been agreed on
    bool asked_resize = false; ///< NBD_INFO_RESIZE was listed
    Faults faults{};
};

/// Checks and collects the replies to one option. Lengths are judged by the header, before the payload is
/// stored. Throws Failure for what a server must not send.
class OptionExchange {
  public:
    explicit OptionExchange(nbd::Option option, OptionContext context = {})
      : option_(option)
      , context_(context) {}

    /// What to do with the payload that a header announces.
    enum class Payload { store, skip };

    /// Checks a reply's header.
    [[nodiscard]] Payload header(const nbd::OptionReply& reply);

    /// The type of an information that is to be skipped because of its length, which only one of an unknown
    /// type may have.
    void skipped_type(nbd::InfoType type) const;

    /// Takes the payload of the reply whose header came last; it has the length that was announced, or is
    /// empty where it was skipped. True if that was the last reply to the option.
    [[nodiscard]] bool payload(nbd::Bytes bytes);

    [[nodiscard]] nbd::Option option() const { return option_; }
    /// The header that came last.
    [[nodiscard]] const nbd::OptionReply& reply() const { return reply_; }
    [[nodiscard]] OptionOutcome& outcome() { return outcome_; }

  private:
    void check_type() const;
    void take_info(nbd::Bytes bytes);
    void take_resize(nbd::Bytes bytes);
    void finish();

    nbd::Option option_;
    OptionContext context_;
    nbd::OptionReply reply_;
    std::uint64_t received_ = 0;
    OptionOutcome outcome_;
};

/// The payload of any single reply to an option may have this size, in bytes: a name and a description.
inline constexpr std::uint32_t max_option_reply = 8 + 2 * nbd::max_string;
/// All replies to one option together may have this size, in bytes.
inline constexpr std::uint64_t max_option_replies = std::uint64_t{32} * 1024 * 1024;

/// Throws Failure unless the sizes are what a server may advertise (Size constraints).
void check_block_sizes(const BlockSizes& sizes);

/// Throws Failure unless this is what a server may say of live resize (RZ-INFO-5, RZ-INFO-6). `structured`:
/// structured replies or extended headers have been agreed on.
void check_resize(const nbd::InfoResize& info, bool structured);

/// Throws Failure unless the text is a string of the protocol: UTF-8, no NUL, 4096 bytes at most
/// (Conventions).
void check_string(std::string_view what, std::string_view text);

/// True if the text is well-formed UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text);

} // namespace refclient
