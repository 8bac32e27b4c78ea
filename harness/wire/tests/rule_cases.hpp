#pragma once

// For every rule an exchange that keeps it and one that breaks it.

#include "harness/wire/tests/conversation.hpp"

#include <string_view>
#include <vector>

namespace wire {

struct RuleCase {
    std::string_view requirement;
    Side by = Side::server;
    void (*good)(Conversation&); ///< breaks nothing at all
    void (*bad)(Conversation&);  ///< breaks the requirement, perhaps others as well
};

[[nodiscard]] std::vector<RuleCase> handshake_cases();
[[nodiscard]] std::vector<RuleCase> request_cases();
[[nodiscard]] std::vector<RuleCase> reply_cases();
[[nodiscard]] std::vector<RuleCase> resize_cases();

} // namespace wire
