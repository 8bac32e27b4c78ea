#include "harness/catalogue/scenario.hpp"

#include "harness/catalogue/values.hpp"
#include "harness/catalogue/words.hpp"

#include <fmt/format.h>

namespace harness {
namespace {

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

} // namespace

std::set<std::string> Scenario::operations() const {
    std::set<std::string> result;
    for (const Step& step : steps) {
        if (is_client_operation(step.kind)) {
            result.insert(harness::name(step.kind));
        }
    }
    return result;
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
