#include "harness/catalogue/scenario.hpp"

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

} // namespace

const char* name(StepKind kind) {
    return std::ranges::find(kind_names, kind, &KindName::kind)->name;
}

bool is_client_operation(StepKind kind) {
    return kind <= StepKind::finish;
}

std::string Expectation::describe() const {
    std::vector<std::string> parts;
    if (ok) {
        parts.emplace_back("success");
    }
    if (any_error) {
        parts.emplace_back("any error");
    }
    if (refused) {
        parts.emplace_back("a refusal by the client itself");
    }
    parts.insert(parts.end(), errors.begin(), errors.end());
    return fmt::format("{}", fmt::join(parts, " or "));
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

std::set<std::string> Scenario::operations() const {
    std::set<std::string> result;
    for (const Step& step : steps) {
        if (is_client_operation(step.kind)) {
            result.insert(harness::name(step.kind));
        }
    }
    return result;
}

namespace {

SizeExpression read_size(const YamlNode& node) {
    try {
        return SizeExpression::parse(node.text());
    } catch (const std::invalid_argument& error) {
        node.fail(error.what());
    }
}

/// The errors that an expectation can name: those of the protocol, or any.
const std::vector<std::string>& error_names() {
    static const std::vector<std::string> names{"any",    "EPERM",     "EIO",     "ENOMEM",   "EINVAL",
                                                "ENOSPC", "EOVERFLOW", "ENOTSUP", "ESHUTDOWN"};
    return names;
}

/// Evaluates an expression; out of range is a mistake at its place.
std::uint64_t evaluate_at(const SizeExpression& expression, std::uint64_t size, const Position& position) {
    try {
        return expression.evaluate(size);
    } catch (const std::invalid_argument& error) {
        throw CatalogueError(position, error.what());
    }
}

/// One of a closed set of words.
std::string read_word(const YamlNode& node, const std::vector<std::string>& allowed) {
    if (!node.is_scalar()) {
        node.fail(fmt::format("one of {} is expected here", fmt::join(allowed, ", ")));
    }
    std::string word = node.text();
    if (std::ranges::find(allowed, word) == allowed.end()) {
        node.fail(fmt::format("'{}' is not one of {}{}", word, fmt::join(allowed, ", "),
                              did_you_mean(word, allowed)));
    }
    return word;
}

/// At least one of a closed set of words.
std::vector<std::string> read_words(const YamlNode& node, const std::vector<std::string>& allowed) {
    if (node.is_scalar()) {
        return {read_word(node, allowed)};
    }
    std::vector<std::string> result;
    for (const YamlNode& word : node.list()) {
        result.push_back(read_word(word, allowed));
    }
    if (result.empty()) {
        node.fail(fmt::format("at least one of {} is expected here", fmt::join(allowed, ", ")));
    }
    return result;
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

ExportSetup read_setup(const YamlNode& node) {
    ExportSetup setup;
    YamlMap map = node.map();
    map.optional("size", [&](const YamlNode& value) {
        if (value.text().find("size") != std::string::npos) {
            value.fail("the size of an export cannot depend on itself");
        }
        setup.size = evaluate_at(read_size(value), 0, value.position());
    });
    map.optional("read-only", [&](const YamlNode& value) { setup.read_only = value.boolean(); });
    map.optional("content", [&](const YamlNode& value) {
        const std::string word = read_word(value, {"zeroes", "pattern", "sparse"});
        setup.filled = word != "zeroes";
        setup.sparse = word == "sparse";
    });
    map.finish();
    return setup;
}

/// Background jobs begin before they are finished, and are finished once.
void check_jobs(const Scenario& scenario) {
    std::set<std::string> open;
    for (const Step& step : scenario.steps) {
        if (!step.background.empty() && !open.insert(step.background).second) {
            throw CatalogueError(step.position,
                                 fmt::format("the job '{}' is already under way", step.background));
        }
        if (step.kind == StepKind::finish && open.erase(step.of) == 0) {
            throw CatalogueError(step.position, fmt::format("no job '{}' is under way here", step.of));
        }
    }
    if (!open.empty()) {
        throw CatalogueError(scenario.position, fmt::format("the job '{}' is never finished", *open.begin()));
    }
}

/// What the client holds the size to be is only known once it was told to grow or to learn.
void check_held(const Scenario& scenario) {
    bool told = false;
    for (const Step& step : scenario.steps) {
        for (const ExpectationRow& row : step.rows) {
            if (row.then.size_held && !told) {
                throw CatalogueError(row.position, "'size: held' needs a 'grow' or 'learn' before it");
            }
        }
        told = told || step.kind == StepKind::grow || step.kind == StepKind::learn;
    }
}

Scenario read_scenario(const YamlNode& node, const FactVocabulary& facts, const Requirements& requirements) {
    Scenario scenario;
    scenario.position = node.position();
    YamlMap map = node.map();
    const YamlNode scenario_name = map.required("scenario");
    scenario.name = scenario_name.text();
    check_name(scenario.name, scenario_name, false);
    scenario.title = map.required("title").text();
    scenario.group = map.required("group").text();
    map.optional("why", [&](const YamlNode& value) { scenario.why = value.text(); });
    map.optional("export", [&](const YamlNode& value) { scenario.setup = read_setup(value); });
    map.optional("timeout", [&](const YamlNode& value) {
        scenario.timeout = value.real();
        if (!(scenario.timeout > 0 && scenario.timeout <= 600)) { // so that what is no number is refused
            value.fail("a timeout is more than 0 and at most 600 seconds");
        }
    });
    map.optional("needs", [&](const YamlNode& value) {
        YamlMap needs = value.map();
        needs.optional("server", [&](const YamlNode& side) {
            scenario.server_needs = facts.conditions(side, "server");
        });
        needs.optional("client", [&](const YamlNode& side) {
            scenario.client_needs = facts.conditions(side, "client");
        });
        needs.finish();
    });
    map.optional("provokes", [&](const YamlNode& value) {
        for (const YamlNode& rule : value.list()) {
            scenario.provokes.push_back(read_rule(rule, requirements));
        }
    });
    const std::string rule = read_rule(map.required("rule"), requirements);
    for (const YamlNode& step : map.required("steps").list()) {
        scenario.steps.push_back(read_step(step, rule, facts, requirements));
    }
    map.finish();
    if (scenario.steps.empty()) {
        node.fail("a scenario needs at least one step");
    }
    check_jobs(scenario);
    check_held(scenario);
    for (const Step& step : scenario.steps) {
        for (const SizeExpression* expression : {&step.offset, &step.length}) {
            evaluate_at(*expression, scenario.setup.size, step.position);
        }
    }
    return scenario;
}

/// Goes through all combinations of values of the facts named in a table.
template <class Use>
void for_each_combination(const std::vector<const Fact*>& facts, std::size_t at, Facts& values,
                          const Use& use) {
    if (at == facts.size()) {
        use(values);
        return;
    }
    for (const std::string& value : facts[at]->values) {
        values[facts[at]->name] = value;
        for_each_combination(facts, at + 1, values, use);
    }
}

std::string describe(const Facts& values) {
    std::vector<std::string> parts;
    for (const auto& [name, value] : values) {
        parts.push_back(fmt::format("{}={}", name, value));
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

} // namespace

void check_table(const std::vector<ExpectationRow>& rows, const FactVocabulary& facts,
                 const YamlNode& where) {
    std::set<std::string> names;
    for (const ExpectationRow& row : rows) {
        for (const auto& [name, wanted] : row.when) {
            names.insert(name);
        }
    }
    std::vector<const Fact*> involved;
    for (const std::string& name : names) {
        involved.push_back(facts.find(name));
    }
    Facts values;
    for_each_combination(involved, 0, values, [&](const Facts& combination) {
        const auto meets = std::ranges::count_if(
            rows, [&](const ExpectationRow& row) { return satisfied(row.when, combination); });
        if (meets == 0) {
            where.fail(fmt::format("the table is not total: no row is for {}", describe(combination)));
        }
        if (meets > 1) {
            where.fail(
                fmt::format("the table is ambiguous: {} rows are for {}", meets, describe(combination)));
        }
    });
}

std::string read_rule(const YamlNode& node, const Requirements& requirements) {
    if (!requirements.contains(node.text())) {
        std::vector<std::string> ids;
        for (const auto& [id, requirement] : requirements) {
            ids.push_back(id);
        }
        node.fail(fmt::format("the requirement '{}' is not in the catalogue{}", node.text(),
                              did_you_mean(node.text(), ids)));
    }
    return node.text();
}

std::vector<ExpectationRow> read_rows(YamlMap& map, const FactVocabulary& facts,
                                      const Requirements& requirements, const ReadExpectation& read) {
    std::vector<ExpectationRow> rows;
    const auto plain = map.optional("expect");
    const auto table = map.optional("expect-when");
    if (plain && table) {
        table->fail("a step has either 'expect' or 'expect-when'");
    }
    if (table) {
        for (const YamlNode& item : table->list()) {
            YamlMap row = item.map();
            rows.push_back({facts.conditions(row.required("when"), ""), read(row.required("then")), "",
                            item.position()});
            row.optional("rule",
                         [&](const YamlNode& value) { rows.back().rule = read_rule(value, requirements); });
            row.finish();
        }
        if (rows.empty()) {
            table->fail("a table needs at least one row");
        }
        check_table(rows, facts, *table);
        return rows;
    }
    ExpectationRow row;
    if (plain) {
        row.then = read(*plain);
        row.position = plain->position();
    } else {
        row.then.ok = true;
        row.position = map.node().position();
    }
    rows.push_back(std::move(row));
    return rows;
}

std::vector<Scenario> load_scenarios(const YamlNode& document, const FactVocabulary& facts,
                                     const Requirements& requirements) {
    std::vector<Scenario> result;
    YamlMap map = document.map();
    const YamlNode scenarios = map.required("scenarios");
    for (const YamlNode& node : scenarios.list()) {
        result.push_back(read_scenario(node, facts, requirements));
    }
    if (result.empty()) {
        scenarios.fail("at least one scenario is expected here");
    }
    map.finish();
    return result;
}

} // namespace harness
