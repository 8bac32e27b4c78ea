#include "harness/catalogue/step.hpp"

#include "harness/catalogue/values.hpp"
#include "harness/catalogue/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace harness {
namespace {

struct KindName {
    StepKind kind;
    const char* name;
};

constexpr std::array kind_names{
    KindName{StepKind::connect, "connect"},
    KindName{StepKind::info, "info"},
    KindName{StepKind::list, "list"},
    KindName{StepKind::read, "read"},
    KindName{StepKind::write, "write"},
    KindName{StepKind::zero, "zero"},
    KindName{StepKind::trim, "trim"},
    KindName{StepKind::cache, "cache"},
    KindName{StepKind::flush, "flush"},
    KindName{StepKind::map, "map"},
    KindName{StepKind::grow, "grow"},
    KindName{StepKind::learn, "learn"},
    KindName{StepKind::disconnect, "disconnect"},
    KindName{StepKind::finish, "finish"},
    KindName{StepKind::truncate_image, "truncate-image"},
    KindName{StepKind::kill_server, "kill-server"},
    KindName{StepKind::restart_server, "restart-server"},
    KindName{StepKind::check_image, "check-image"},
};

/// The errors that an expectation can name: those of the protocol, or any.
const std::vector<std::string>& error_names() {
    static const std::vector<std::string> names{"any",    "EPERM",     "EIO",     "ENOMEM",   "EINVAL",
                                                "ENOSPC", "EOVERFLOW", "ENOTSUP", "ESHUTDOWN"};
    return names;
}

/// Reads what must hold of a success of a step.
void read_success(YamlMap& map, StepKind kind, Expectation& into) {
    // Anything that is expected of a step whose result cannot tell it would never be looked at.
    const auto expect = [&](const char* key, std::initializer_list<StepKind> kinds, const auto& use) {
        map.optional(key, [&](const YamlNode& value) {
            if (std::ranges::find(kinds, kind) == kinds.end()) {
                value.fail_at_key(fmt::format("'{}' cannot be expected of '{}'", key, name(kind)));
            }
            use(value);
        });
    };
    const auto handshake = {StepKind::connect, StepKind::info};
    expect("data", {StepKind::read, StepKind::finish}, [&](const YamlNode& value) {
        const std::string word = read_word(value, {"model", "zeroes", "any"});
        into.data = word == "model" ? DataRule::model : word == "zeroes" ? DataRule::zeroes : DataRule::any;
    });
    const auto telling = {StepKind::connect, StepKind::info, StepKind::grow, StepKind::learn};
    expect("size", telling, [&](const YamlNode& value) {
        into.size_held = value.is_scalar() && value.text() == "held";
        if (!into.size_held) {
            into.size = read_size(value);
        }
    });
    expect("way", {StepKind::grow, StepKind::learn}, [&](const YamlNode& value) {
        const std::vector<std::string> ways =
            kind == StepKind::grow
                ? std::vector<std::string>{"explicit", "plain", "flagged"}
                : std::vector<std::string>{"none", "reconnect", "poll", "notify", "credits"};
        into.way = read_word(value, ways);
    });
    expect("flags-set", handshake,
           [&](const YamlNode& value) { into.flags_set = read_words(value, transmission_flag_words()); });
    expect("flags-clear", handshake,
           [&](const YamlNode& value) { into.flags_clear = read_words(value, transmission_flag_words()); });
    expect("block-sizes", handshake, [&](const YamlNode& value) {
        read_word(value, {"valid"});
        into.block_sizes_valid = true;
    });
    expect("lists", {StepKind::list}, [&](const YamlNode& value) {
        read_word(value, {"export"});
        into.lists_export = true;
    });
    expect("extents", {StepKind::map}, [&](const YamlNode& value) {
        into.one_extent = read_word(value, {"truthful", "one"}) == "one";
        into.extents_truthful = true;
    });
}

void read_outcome_map(const YamlNode& node, StepKind kind, Expectation& into) {
    YamlMap map = node.map();
    if (const auto error = map.optional("error")) {
        for (const std::string& name : read_words(*error, error_names())) {
            if (name == "any") {
                into.any_error = true;
            } else {
                into.errors.insert(name);
            }
        }
        map.finish();
        return;
    }
    into.ok = true;
    read_success(map, kind, into);
    map.finish();
}

void add_outcome(const YamlNode& node, StepKind kind, Expectation& into) {
    if (node.is_map()) {
        read_outcome_map(node, kind, into);
    } else if (node.is_list()) {
        if (node.list().empty()) {
            node.fail("at least one outcome is expected here");
        }
        for (const YamlNode& item : node.list()) {
            add_outcome(item, kind, into);
        }
    } else if (node.text() == "ok") {
        into.ok = true;
    } else if (node.text() == "refused") {
        into.refused = true;
    } else {
        node.fail(fmt::format(
            "'{}' is no outcome; it is ok, refused, a map such as {{ error: EINVAL }}, or a list of them",
            node.text()));
    }
}

Expectation read_expectation(const YamlNode& node, StepKind kind) {
    Expectation result;
    add_outcome(node, kind, result);
    return result;
}

void read_range(YamlMap& arguments, Step& step, bool repeats) {
    if (step.kind == StepKind::read || step.kind == StepKind::write) {
        arguments.optional("whole", [&](const YamlNode& value) { step.whole = value.boolean(); });
        if (step.whole) {
            step.offset = SizeExpression::parse("0");
            step.length = SizeExpression::parse("size");
            return;
        }
    }
    step.offset = read_size(arguments.required("offset"));
    step.length = read_size(arguments.required("length"));
    if (!repeats) {
        return;
    }
    arguments.optional("count", [&](const YamlNode& value) {
        step.count = value.number();
        if (step.count == 0 || step.count > 65536) {
            value.fail("a count is 1 to 65536");
        }
    });
    arguments.optional("stride", [&](const YamlNode& value) { step.stride = read_size(value); });
    arguments.optional("background", [&](const YamlNode& value) { step.background = value.text(); });
}

/// True for the operations that are requests of the transmission phase.
bool is_request(StepKind kind) {
    return kind >= StepKind::read && kind <= StepKind::map;
}

void read_arguments(const YamlNode& node, Step& step) {
    YamlMap arguments = node.map();
    switch (step.kind) {
    case StepKind::read:
    case StepKind::write:
    case StepKind::zero:
    case StepKind::trim:
    case StepKind::cache:
        read_range(arguments, step, true);
        break;
    case StepKind::map:
        read_range(arguments, step, false);
        break;
    case StepKind::grow:
    case StepKind::truncate_image:
        step.length = read_size(arguments.required("to"));
        break;
    case StepKind::finish:
        step.of = arguments.required("of").text();
        break;
    case StepKind::disconnect:
        arguments.optional("abrupt", [&](const YamlNode& value) { step.abrupt = value.boolean(); });
        break;
    case StepKind::connect:
    case StepKind::info:
        arguments.optional("export", [&](const YamlNode& value) { step.export_name = value.text(); });
        break;
    default:
        break;
    }
    if (is_client_operation(step.kind)) {
        arguments.optional("connection", [&](const YamlNode& value) { step.connection = value.text(); });
    }
    if (is_request(step.kind)) {
        arguments.optional("flags", [&](const YamlNode& value) {
            const auto words = read_words(value, request_flag_words());
            step.flags.insert(words.begin(), words.end());
        });
    }
    arguments.finish();
}

} // namespace

const char* name(StepKind kind) {
    return std::ranges::find(kind_names, kind, &KindName::kind)->name;
}

bool is_client_operation(StepKind kind) {
    return kind <= StepKind::finish;
}

std::string Step::describe(std::uint64_t size) const {
    std::string result = name(kind);
    const auto evaluate = [size](const SizeExpression& expression) { return expression.evaluate(size); };
    switch (kind) {
    case StepKind::read:
    case StepKind::write:
    case StepKind::zero:
    case StepKind::trim:
    case StepKind::cache:
    case StepKind::map:
        result += fmt::format(" {}+{}", evaluate(offset), evaluate(length));
        if (count > 1) {
            result += fmt::format(" x{}", count);
        }
        break;
    case StepKind::grow:
    case StepKind::truncate_image:
        result += fmt::format(" to {}", evaluate(length));
        break;
    default:
        break;
    }
    if (!flags.empty()) {
        result += fmt::format(" {}", fmt::join(flags, " "));
    }
    if (connection != "a") {
        result += fmt::format(" on {}", connection);
    }
    if (export_name) {
        result += fmt::format(" export '{}'", *export_name);
    }
    return result;
}

Step read_step(const YamlNode& node, const std::string& default_rule, const FactVocabulary& facts,
               const Requirements& requirements) {
    Step step;
    step.position = node.position();
    step.rule = default_rule;
    YamlMap map = node.map();
    std::vector<std::string> known;
    bool found = false;
    for (const KindName& kind : kind_names) {
        known.emplace_back(kind.name);
        if (const auto arguments = map.optional(kind.name)) {
            if (found) {
                arguments->fail(
                    fmt::format("a step does one thing; this one already has '{}'", name(step.kind)));
            }
            found = true;
            step.kind = kind.kind;
            read_arguments(*arguments, step);
        }
    }
    step.rows = read_rows(map, facts, requirements,
                          [&](const YamlNode& value) { return read_expectation(value, step.kind); });
    map.optional("rule", [&](const YamlNode& value) { step.rule = read_rule(value, requirements); });
    map.optional("rule-on-error",
                 [&](const YamlNode& value) { step.rule_on_error = read_rule(value, requirements); });
    map.optional("rule-on-success",
                 [&](const YamlNode& value) { step.rule_on_success = read_rule(value, requirements); });
    map.optional("record", [&](const YamlNode& value) { step.record = value.text(); });
    map.finish();
    if (!is_client_operation(step.kind)) {
        for (const char* key : {"expect", "expect-when", "rule-on-error", "rule-on-success", "record"}) {
            if (const auto value = map.optional(key)) {
                value->fail_at_key(
                    fmt::format("'{}' is for the client's steps, not for '{}'", key, name(step.kind)));
            }
        }
    }
    if (!step.background.empty()) {
        for (const char* key :
             {"expect", "expect-when", "rule", "rule-on-error", "rule-on-success", "record"}) {
            if (const auto value = map.optional(key)) {
                value->fail(
                    fmt::format("'{}' belongs to the 'finish' of a background job, where it is judged", key));
            }
        }
    }
    if (!found) {
        node.fail(fmt::format("a step needs one of {}", fmt::join(known, ", ")));
    }
    for (const ExpectationRow& row : step.rows) {
        if (row.then.data == DataRule::any && step.record.empty()) {
            throw CatalogueError(row.position, "'data: any' is only for a step that records what comes");
        }
    }
    return step;
}

} // namespace harness
