#pragma once

// What faults of clients have in common: options and requests that the client itself knows nothing of, and
// keeping book of what came in a reply.

#include "faults/twist.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace faults {

// ---- Options

/// True if no reply to the option comes after one of this type.
[[nodiscard]] constexpr bool ends_option(nbd::OptionReplyType type) {
    return type == nbd::OptionReplyType::ack || nbd::is_error(type);
}

/// The option to ask before the next one of the client, if any.
using MakeOption =
    std::function<std::optional<OptionRequest>(const OptionRequest& next, const Conversation&)>;

/// Asks one option more than the client, once: before the first of its own ones for which `make` gives one.
/// That waits for the answer, of which the client sees nothing.
[[nodiscard]] Recipe ask_before(MakeOption make);

/// The same before the client's first option.
[[nodiscard]] Recipe ask_first(const OptionRequest& option);

/// NBD_OPT_LIST_META_CONTEXT or NBD_OPT_SET_META_CONTEXT with these queries.
[[nodiscard]] OptionRequest meta_option(nbd::Option option, const std::string& export_name,
                                        const std::vector<std::string>& queries);

/// Changes the data of NBD_OPT_INFO and NBD_OPT_GO, or of the options for metadata contexts, if they are
/// these and well-formed.
void edit_info(OptionRequest& option, const std::function<void(nbd::InfoRequest&)>& edit);
void edit_meta(OptionRequest& option, const std::function<void(nbd::MetaContextRequest&)>& edit);

/// Answers in the server's place that it does not know the option.
void decline(const OptionRequest& option, Flow& flow);

/// Tells the client of an export as NBD_OPT_GO does, up to the end of that option.
void tell_export(Flow& flow, std::uint64_t size, std::uint16_t flags);

// ---- Requests

/// The cookie of requests that are not the client's own.
inline constexpr std::uint64_t aside_cookie = 0x6e6f74206d696e65;

/// A request in the style that was agreed.
[[nodiscard]] Request aside(const Conversation& told, nbd::Command type, std::uint64_t offset = 0,
                            std::uint64_t length = 0, std::uint16_t flags = 0);

/// A length of a small request that all block sizes allow.
[[nodiscard]] std::uint64_t small_length(const Conversation& told);

/// For twists that send requests aside: their replies are kept from the client.
inline constexpr auto keep_reply = [](Reply& reply, Flow& flow) {
    if (reply.cookie == aside_cookie) {
        flow.drop();
    }
};
inline constexpr auto keep_chunk = [](Chunk& chunk, Flow& flow) {
    if (chunk.cookie == aside_cookie) {
        flow.drop();
    }
};

/// The request to send before the next one of the client, if any.
using MakeRequest = std::function<std::optional<Request>(const Request& next, const Conversation&)>;

/// Sends one request more than the client, once: before the first of its own ones for which `make` gives
/// one. Those of the client wait for the reply, of which it sees nothing.
[[nodiscard]] Recipe request_before(MakeRequest make);

/// The same for a command that the server does not offer, before the client's first request.
[[nodiscard]] Recipe request_unoffered(nbd::Command type, std::uint16_t offer);

/// Changes requests, and keeps from the client that it did so: replies are about what the client has asked
/// for.
using ChangeRequest = std::function<void(Request&, const Conversation&)>;
[[nodiscard]] Recipe sending_instead(ChangeRequest change);

// ---- Replies

/// Bytes of the export, [begin, end).
struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

/// What a chunk with content is about; nothing if it is another chunk, or malformed.
[[nodiscard]] std::optional<Range> content_of(const Chunk& chunk);

/// What came in replies that are not complete yet, by cookie.
class Came {
  public:
    /// False if it overlaps what came before.
    bool add(std::uint64_t cookie, const Range& range);
    /// What is still to come for this request.
    [[nodiscard]] std::vector<Range> missing(const Request& request) const;
    [[nodiscard]] bool nothing(std::uint64_t cookie) const { return !ranges_.contains(cookie); }
    void forget(std::uint64_t cookie) { ranges_.erase(cookie); }

  private:
    std::map<std::uint64_t, std::vector<Range>> ranges_; ///< sorted, without overlaps
};

/// Ends the reply with success: what is missing of a read comes as zeroes, what is missing of a block status
/// as data.
void make_success(Flow& flow, const Request& request, const Came& came);

} // namespace faults
