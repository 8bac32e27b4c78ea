#pragma once

// Rules: what the specification demands of what happens on a connection, one requirement each.

#include "harness/wire/events.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wire {

/// What is wrong, for people; empty if nothing is.
using Wrong = std::string;

/// A requirement, by its identifier in scenarios/requirements, and how to see that an event breaks it.
/// Several rules may enforce the same requirement, at different events.
template <class Event>
struct Rule {
    std::string_view requirement;
    Wrong (*broken)(const Event& event);
    bool mandatory = true; ///< a MUST, which lets the other side leave where it is broken
};

/// For `Rule::mandatory`: a SHOULD.
inline constexpr bool recommended = false;

// The rules, in the order of the specification. Who breaks one is who sent the message.
[[nodiscard]] std::span<const Rule<GreetingEvent>> greeting_rules();
[[nodiscard]] std::span<const Rule<ClientFlagsEvent>> client_flags_rules();
[[nodiscard]] std::span<const Rule<OptionEvent>> option_rules();
[[nodiscard]] std::span<const Rule<OptionReplyEvent>> option_reply_rules();
[[nodiscard]] std::span<const Rule<ExportEvent>> export_rules();
[[nodiscard]] std::span<const Rule<RequestEvent>> request_rules();
[[nodiscard]] std::span<const Rule<SimpleReplyEvent>> simple_reply_rules();
[[nodiscard]] std::span<const Rule<ChunkEvent>> chunk_rules();
[[nodiscard]] std::span<const Rule<ReplyEvent>> reply_rules();
[[nodiscard]] std::span<const Rule<EndEvent>> end_rules();
[[nodiscard]] std::span<const Rule<StrayEvent>> stray_rules();

// The same for the RESIZE extension.
[[nodiscard]] std::span<const Rule<OptionReplyEvent>> resize_option_reply_rules();
[[nodiscard]] std::span<const Rule<ExportEvent>> resize_export_rules();
[[nodiscard]] std::span<const Rule<RequestEvent>> resize_request_rules();
[[nodiscard]] std::span<const Rule<ChunkEvent>> resize_chunk_rules();
[[nodiscard]] std::span<const Rule<ReplyEvent>> resize_reply_rules();

/// A requirement that some rule enforces.
struct Enforced {
    std::string_view requirement;
    bool mandatory = true;
};

/// All of them, each once, in the order of the tables.
[[nodiscard]] std::vector<Enforced> enforced_requirements();

} // namespace wire
