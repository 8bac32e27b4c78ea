#pragma once

// What the two sides of a connection have said so far, as far as a twist needs to know it.

#include "faults/message.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace faults {

/// A metadata context that NBD_OPT_SET_META_CONTEXT selected.
struct SelectedContext {
    std::uint32_t id = 0;
    std::string name;
};

/// Requests by cookie, without their data. A cookie may be in use twice: clients can be wrong.
using OpenRequests = std::multimap<std::uint64_t, Request>;

/// Kept by the exchange; twists read it.
struct Conversation {
    // ---- as the two sides said it, before the twist
    std::optional<Greeting> greeting;
    std::uint32_t client_flags = 0;
    std::optional<OptionRequest> option; ///< the last one
    std::string export_name;             ///< of the last option that has one
    std::uint64_t size = 0;              ///< of the export, in bytes, once it was told
    std::uint16_t flags = 0;             ///< `nbd::transmission_flag`, likewise
    std::optional<nbd::InfoBlockSize> block;
    OpenRequests asked; ///< by the client, and without a complete reply
    std::uint64_t options = 0;
    std::uint64_t requests = 0;

    // ---- as the other side got to see it, after the twist
    bool structured = false;
    bool extended = false;
    bool tls = false;
    bool oldstyle = false;
    bool transmission = false;
    std::vector<SelectedContext> contexts;
    bool awaits_export_reply = false; ///< the server has got NBD_OPT_EXPORT_NAME
    bool no_zeroes = false;           ///< the client flag that the server has got
    OpenRequests delivered;           ///< to the server, and without a complete reply

    /// The request of the client that has this cookie.
    [[nodiscard]] std::optional<Request> request(std::uint64_t cookie) const {
        const auto found = asked.lower_bound(cookie);
        return found == asked.end() || found->first != cookie ? std::nullopt : std::optional(found->second);
    }
    /// How replies are made: with chunks, that is.
    [[nodiscard]] bool chunks() const { return structured || extended; }
    [[nodiscard]] nbd::HeaderStyle style() const {
        return extended ? nbd::HeaderStyle::extended : nbd::HeaderStyle::compact;
    }

    /// Takes note of what a side sent, before the twist.
    void heard(const Message& message);
    /// Takes note of what is sent on to the other side, after the twist.
    void passed(const Message& message);
};

/// The export name in the data of an option; empty if there is none.
[[nodiscard]] std::string name_in(const OptionRequest& option);

} // namespace faults
