#pragma once

// How the parts of the judge report what they see.

#include "harness/wire/judge.hpp"

namespace wire {

template <class Event>
void Judge::apply(std::span<const Rule<Event>> rules, const Event& event, Side by) {
    for (const Rule<Event>& rule : rules) {
        if (Wrong wrong = rule.broken(event); !wrong.empty()) {
            report(rule.requirement, by, rule.mandatory, std::move(wrong));
            state_.broke[static_cast<int>(by)] = state_.broken_by(by) || rule.mandatory;
        }
    }
}

template <class Describe>
void Judge::say(Side from, const Describe& describe) {
    if (observer_.wants_messages()) {
        const Stream& in = stream(from);
        observer_.message({from, in.message, in.position - in.message, describe()});
    }
}

} // namespace wire
