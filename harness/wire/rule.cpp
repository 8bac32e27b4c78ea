#include "harness/wire/rule.hpp"

#include <algorithm>

namespace wire {

std::vector<Enforced> enforced_requirements() {
    std::vector<Enforced> all;
    const auto add = [&](const auto& rules) {
        for (const auto& rule : rules) {
            if (std::ranges::find(all, rule.requirement, &Enforced::requirement) == all.end()) {
                all.push_back({rule.requirement, rule.mandatory});
            }
        }
    };
    add(greeting_rules());
    add(client_flags_rules());
    add(stray_rules());
    add(option_rules());
    add(option_reply_rules());
    add(export_rules());
    add(request_rules());
    add(end_rules());
    add(simple_reply_rules());
    add(chunk_rules());
    add(reply_rules());
    add(resize_option_reply_rules());
    add(resize_export_rules());
    add(resize_request_rules());
    add(resize_chunk_rules());
    add(resize_reply_rules());
    return all;
}

} // namespace wire
