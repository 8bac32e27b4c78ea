#include "harness/stacks/scenario.hpp"

#include "harness/catalogue/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>
#include <utility>

namespace harness {
namespace {

constexpr std::array action_names{std::pair(ActionKind::create, "create"),
                                  std::pair(ActionKind::open, "open"),
                                  std::pair(ActionKind::close, "close"),
                                  std::pair(ActionKind::write, "write"),
                                  std::pair(ActionKind::fill, "fill"),
                                  std::pair(ActionKind::read, "read"),
                                  std::pair(ActionKind::zero, "zero"),
                                  std::pair(ActionKind::trim, "trim"),
                                  std::pair(ActionKind::flush, "flush"),
                                  std::pair(ActionKind::snapshot, "snapshot"),
                                  std::pair(ActionKind::bitmap, "bitmap"),
                                  std::pair(ActionKind::resize, "resize"),
                                  std::pair(ActionKind::convert, "convert"),
                                  std::pair(ActionKind::contents, "contents"),
                                  std::pair(ActionKind::bitmap_kept, "bitmap-kept"),
                                  std::pair(ActionKind::container, "container"),
                                  std::pair(ActionKind::check, "check")};

ActionKind read_kind(const std::string& word, const YamlNode& node) {
    std::vector<std::string> known;
    for (const auto& [kind, name] : action_names) {
        if (word == name) {
            return kind;
        }
        known.emplace_back(name);
    }
    node.fail_at_key(fmt::format("'{}' is no step of a stack{}", word, did_you_mean(word, known)));
}

/// What can come of a step other than success.
std::vector<std::string> outcomes_of(ActionKind kind) {
    switch (kind) {
    case ActionKind::check:
        return {"leaks", "corrupt"};
    case ActionKind::bitmap_kept:
        return {"lost"};
    case ActionKind::container:
        return {"grown", "shrunk", "unchanged"};
    default:
        return {"EPERM", "EIO", "ENOMEM", "EINVAL", "ENOSPC", "EOVERFLOW", "ENOTSUP", "ESHUTDOWN"};
    }
}

/// "ok", "any" (whatever comes is recorded), "error" (of any name), one of the outcomes, or a list of them.
Expectation read_outcomes(const YamlNode& node, ActionKind kind) {
    Expectation result;
    const std::vector<std::string> known = outcomes_of(kind);
    for (const std::string& word : node.texts()) {
        if (word == "ok" && kind != ActionKind::container) {
            result.ok = true;
        } else if (word == "any") {
            result.ok = true;
            result.any_error = true;
        } else if (word == "error") {
            result.any_error = true;
        } else if (std::ranges::find(known, word) != known.end()) {
            result.errors.insert(word);
        } else {
            node.fail(fmt::format("'{}' cannot come of '{}', but ok, error, any, {}{}", word, name(kind),
                                  fmt::join(known, ", "), did_you_mean(word, known)));
        }
    }
    return result;
}

SizeExpression read_size(const YamlNode& node) {
    try {
        return SizeExpression::parse(node.text());
    } catch (const std::invalid_argument& error) {
        node.fail(error.what());
    }
}

std::uint64_t read_bytes(const YamlNode& node) {
    return read_size(node).evaluate(0);
}

void read_arguments(const YamlNode& node, Action& action) {
    YamlMap map = node.map();
    switch (action.kind) {
    case ActionKind::write:
    case ActionKind::read:
    case ActionKind::zero:
    case ActionKind::trim:
        action.offset = read_size(map.required("offset"));
        action.length = read_size(map.required("length"));
        break;
    case ActionKind::fill:
        action.offset = read_size(map.required("offset"));
        action.length = read_size(map.required("length"));
        action.piece = read_bytes(map.required("piece"));
        action.stride = action.piece;
        map.optional("stride", [&](const YamlNode& value) { action.stride = read_bytes(value); });
        if (action.piece == 0 || action.stride < action.piece) {
            node.fail("a piece has at least one byte, and the next one begins behind it");
        }
        break;
    case ActionKind::snapshot:
    case ActionKind::bitmap:
    case ActionKind::bitmap_kept:
        action.of = map.required("name").text();
        break;
    case ActionKind::contents:
        map.optional("of", [&](const YamlNode& value) { action.of = value.text(); });
        break;
    case ActionKind::resize:
        action.length = read_size(map.required("to"));
        break;
    case ActionKind::create:
        map.optional("options", [&](const YamlNode& value) { action.options = value.texts(); });
        map.optional("backing", [&](const YamlNode& value) { action.backing = value.boolean(); });
        break;
    case ActionKind::convert:
        action.length = read_size(map.required("length"));
        map.optional("options", [&](const YamlNode& value) { action.options = value.texts(); });
        break;
    default:
        break;
    }
    map.finish();
}

Action read_action(const YamlNode& node, const std::string& default_rule, const FactVocabulary& facts,
                   const Requirements& requirements) {
    Action action;
    action.position = node.position();
    const auto entries = node.entries();
    if (entries.empty()) {
        node.fail("a step is expected here");
    }
    const std::string word = entries.front().first;
    action.kind = read_kind(word, entries.front().second);
    YamlMap map = node.map();
    read_arguments(map.required(word), action);
    action.rule = default_rule;
    map.optional("rule", [&](const YamlNode& value) { action.rule = read_rule(value, requirements); });
    map.optional("record", [&](const YamlNode& value) { action.record = value.text(); });
    action.rows = read_rows(map, facts, requirements,
                            [&](const YamlNode& value) { return read_outcomes(value, action.kind); });
    map.finish();
    for (const ExpectationRow& row : action.rows) {
        if (row.then.ok && row.then.any_error && action.record.empty()) {
            node.fail("where anything may come, it has to be recorded");
        }
    }
    return action;
}

/// Steps that need a process with the disk open, and those that must not have one beside them.
bool by_process(ActionKind kind) {
    return kind >= ActionKind::write && kind <= ActionKind::flush;
}
bool alone(ActionKind kind) {
    return kind == ActionKind::create || kind == ActionKind::open || kind == ActionKind::convert ||
           kind == ActionKind::contents || kind == ActionKind::bitmap_kept || kind == ActionKind::check;
}

/// Two programs with one qcow2 image open would destroy it, and nothing over NBD keeps them from it.
void check_order(const YamlNode& steps, const StackScenario& scenario) {
    bool opened = false;
    std::set<std::string> snapshots;
    const std::vector<YamlNode> nodes = steps.list();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const Action& action = scenario.actions[i];
        if (by_process(action.kind) && !opened) {
            nodes[i].fail(fmt::format("'{}' needs 'open' before it", name(action.kind)));
        }
        if (alone(action.kind) && opened) {
            nodes[i].fail(fmt::format("'{}' needs 'close' before it", name(action.kind)));
        }
        if (action.kind == ActionKind::open || action.kind == ActionKind::close) {
            opened = action.kind == ActionKind::open;
        }
        if (action.kind == ActionKind::snapshot) {
            snapshots.insert(action.of);
        }
        if (action.kind == ActionKind::contents && !action.of.empty() && !snapshots.contains(action.of)) {
            nodes[i].fail(fmt::format("there is no snapshot '{}'", action.of));
        }
    }
    if (opened) {
        steps.fail("the last 'open' has no 'close'");
    }
}

StackScenario read_scenario(const YamlNode& node, const std::vector<std::string>& stacks,
                            const FactVocabulary& facts, const Requirements& requirements) {
    StackScenario scenario;
    YamlMap map = node.map();
    const YamlNode scenario_name = map.required("scenario");
    scenario.name = scenario_name.text();
    check_name(scenario.name, scenario_name, false);
    scenario.title = map.required("title").text();
    map.optional("why", [&](const YamlNode& value) { scenario.why = value.text(); });
    scenario.stacks = stacks;
    map.optional("stacks", [&](const YamlNode& value) {
        scenario.stacks = value.texts();
        for (const std::string& wanted : scenario.stacks) {
            if (std::ranges::find(stacks, wanted) == stacks.end()) {
                value.fail(fmt::format("there is no stack '{}'{}", wanted, did_you_mean(wanted, stacks)));
            }
        }
    });
    scenario.container = read_bytes(map.required("container"));
    scenario.disk = read_bytes(map.required("disk"));
    map.optional("needs", [&](const YamlNode& value) { scenario.needs = facts.conditions(value, ""); });
    map.optional("timeout", [&](const YamlNode& value) { scenario.timeout = value.real(); });
    const std::string rule = read_rule(map.required("rule"), requirements);
    const YamlNode steps = map.required("steps");
    for (const YamlNode& step : steps.list()) {
        scenario.actions.push_back(read_action(step, rule, facts, requirements));
    }
    check_order(steps, scenario);
    map.finish();
    return scenario;
}

} // namespace

const char* name(ActionKind kind) {
    return std::ranges::find(action_names, kind, [](const auto& entry) { return entry.first; })->second;
}

std::string Action::describe(std::uint64_t size) const {
    std::string result = name(kind);
    switch (kind) {
    case ActionKind::write:
    case ActionKind::fill:
    case ActionKind::read:
    case ActionKind::zero:
    case ActionKind::trim:
        result += fmt::format(" {}+{}", offset.evaluate(size), length.evaluate(size));
        break;
    case ActionKind::resize:
        result += fmt::format(" to {}", length.evaluate(size));
        break;
    default:
        break;
    }
    if (!of.empty()) {
        result += " " + of;
    }
    return result;
}

std::vector<StackScenario> load_stack_scenarios(const YamlNode& document,
                                                const std::vector<std::string>& stacks,
                                                const FactVocabulary& facts,
                                                const Requirements& requirements) {
    std::vector<StackScenario> all;
    YamlMap map = document.map();
    for (const YamlNode& node : map.required("scenarios").list()) {
        all.push_back(read_scenario(node, stacks, facts, requirements));
        if (std::ranges::count(all, all.back().name, &StackScenario::name) > 1) {
            node.fail(fmt::format("the scenario '{}' is there already", all.back().name));
        }
    }
    map.finish();
    return all;
}

} // namespace harness
