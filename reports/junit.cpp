#include "reports/junit.hpp"

#include "reports/aggregate.hpp"
#include "reports/text.hpp"

#include <fmt/format.h>
#include <pugixml.hpp>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

namespace reports {
namespace {

// Readers of JUnit keep whole texts in memory and show them in tables: long ones belong into the case's
// folder.
constexpr std::size_t most_bytes_of_text = 16384;
constexpr std::size_t most_characters_of_message = 400;

/// What a case counts as for readers of JUnit.
enum class Outcome { passed, failed, errored, skipped };

Outcome outcome_of(const CaseResult& result, const JunitOptions& options) {
    if (options.deviations_as_skipped && result.known_deviation()) {
        return Outcome::skipped;
    }
    switch (result.verdict) {
    case Verdict::pass:
    case Verdict::warn:
        return Outcome::passed;
    case Verdict::unsupported:
        return Outcome::skipped;
    case Verdict::fail:
    case Verdict::timeout:
    case Verdict::crash:
        return Outcome::failed;
    case Verdict::error:
        return Outcome::errored;
    }
    return Outcome::errored;
}

struct Counts {
    std::size_t tests = 0;
    std::size_t failures = 0;
    std::size_t errors = 0;
    std::size_t skipped = 0;
    double seconds = 0;

    void add(Outcome outcome, double duration) {
        ++tests;
        failures += outcome == Outcome::failed ? 1 : 0;
        errors += outcome == Outcome::errored ? 1 : 0;
        skipped += outcome == Outcome::skipped ? 1 : 0;
        seconds += duration;
    }

    void add(const Counts& other) {
        tests += other.tests;
        failures += other.failures;
        errors += other.errors;
        skipped += other.skipped;
        seconds += other.seconds;
    }
};

void set(pugi::xml_node node, const char* attribute, std::string_view value) {
    node.append_attribute(attribute).set_value(one_line(value).c_str());
}

void set(pugi::xml_node node, const char* attribute, std::size_t value) {
    node.append_attribute(attribute).set_value(static_cast<unsigned long long>(value));
}

void set_time(pugi::xml_node node, double seconds) {
    set(node, "time", fmt::format("{:.3f}", std::max(seconds, 0.0)));
}

void add_text(pugi::xml_node parent, const char* element, std::string_view text) {
    parent.append_child(element).text().set(limited(text, most_bytes_of_text).c_str());
}

void add_property(pugi::xml_node properties, std::string_view property, std::string_view value) {
    auto node = properties.append_child("property");
    set(node, "name", property);
    set(node, "value", value);
}

/// The start of the run as readers want it: seconds, no zone. Empty if the run does not say it properly.
std::string timestamp_of(const RunResult& run) {
    constexpr std::string_view shape = "dddd-dd-ddTdd:dd:dd";
    const auto text = std::string_view(run.started).substr(0, shape.size());
    const bool fits = std::ranges::equal(text, shape, [](char c, char expected) {
        return expected == 'd' ? std::isdigit(static_cast<unsigned char>(c)) != 0 : c == expected;
    });
    return fits ? std::string(text) : std::string{};
}

std::string hostname_of(const RunResult& run) {
    const auto it = run.properties.find("hostname");
    return it == run.properties.end() || it->second.empty() ? "localhost" : it->second;
}

std::set<std::string> named_in(const CaseResult& result, std::string Finding::*field) {
    std::set<std::string> names;
    for (const auto& finding : result.findings) {
        if (!(finding.*field).empty()) {
            names.insert(finding.*field);
        }
    }
    return names;
}

std::string joined(const std::set<std::string>& names) {
    return fmt::format("{}", fmt::join(names, ", "));
}

/// "server nbdkit: read past the end: EIO, expected EINVAL [requirement]"
std::string message_of(const RunResult& run, const CaseResult& result) {
    std::string out;
    if (result.party == Party::server) {
        out =
            fmt::format("server {} {}: ", result.server.name, version_of(run, "server", result.server.name));
    } else if (result.party == Party::client) {
        out =
            fmt::format("client {} {}: ", result.client.name, version_of(run, "client", result.client.name));
    } else if (result.party == Party::undecided) {
        out = "server or client (undecided): ";
    }
    const bool use_finding = result.reason.empty() && !result.findings.empty();
    out +=
        one_line(use_finding ? result.findings.front().message : result.reason, most_characters_of_message);
    if (const auto requirements = named_in(result, &Finding::requirement); !requirements.empty()) {
        out += " [" + joined(requirements) + "]";
    }
    return out;
}

std::string describe(const Finding& finding) {
    auto out = fmt::format("{} ({})", name(finding.verdict), name(finding.party));
    if (!finding.step.empty()) {
        out += fmt::format(" at step {}", finding.step);
    }
    out += fmt::format(": {}\n", limited(finding.message, most_bytes_of_text / 4));
    if (!finding.requirement.empty()) {
        out += fmt::format("    requirement: {}\n", finding.requirement);
    }
    if (!finding.deviation.empty()) {
        out += fmt::format("    known deviation: {}\n", finding.deviation);
    }
    return out;
}

std::string findings_text(const CaseResult& result) {
    const bool repeats =
        !result.findings.empty() && result.findings.front().message.starts_with(result.reason);
    std::string out =
        repeats || result.reason.empty() ? "" : limited(result.reason, most_bytes_of_text / 4) + "\n";
    if (!result.folder.empty()) { // before the findings, which may be too long to be kept whole
        out += fmt::format("logs: {}\n", result.folder);
    }
    for (const auto& finding : result.findings) {
        out += describe(finding);
    }
    return out;
}

/// Readers tell cases apart by class and name only, so the name holds all that makes a case another one.
std::string case_name(const CaseResult& result) {
    auto out = fmt::format("{} [{}, {}]", result.scenario, result.server.variant, result.client.variant);
    for (const auto& [knob, value] : result.knobs) {
        out += fmt::format(" {}={}", knob, value);
    }
    return out;
}

void add_properties(pugi::xml_node test_case, const RunResult& run, const CaseResult& result) {
    auto properties = test_case.append_child("properties");
    add_property(properties, "server", result.server.name);
    add_property(properties, "server-version", version_of(run, "server", result.server.name));
    add_property(properties, "server-variant", result.server.variant);
    add_property(properties, "client", result.client.name);
    add_property(properties, "client-version", version_of(run, "client", result.client.name));
    add_property(properties, "client-variant", result.client.variant);
    add_property(properties, "group", result.group);
    for (const auto& [knob, value] : result.knobs) {
        add_property(properties, "knob." + knob, value);
    }
    add_property(properties, "verdict", name(result.verdict));
    add_property(properties, "attribution", name(result.party));
    for (const auto& requirement : named_in(result, &Finding::requirement)) {
        add_property(properties, "requirement", requirement);
    }
    for (const auto& deviation : named_in(result, &Finding::deviation)) {
        add_property(properties, "deviation", deviation);
    }
    for (const auto& observation : result.observations) {
        add_property(properties, "observation", observation.question + " = " + observation.answer);
    }
}

void add_case(pugi::xml_node suite, const RunResult& run, const CaseResult& result,
              const std::string& test_name, Outcome outcome) {
    auto test_case = suite.append_child("testcase");
    set(test_case, "classname", result.server.name + "." + result.client.name);
    set(test_case, "name", test_name);
    set_time(test_case, result.seconds);
    add_properties(test_case, run, result);
    if (outcome == Outcome::failed || outcome == Outcome::errored) {
        add_text(test_case, outcome == Outcome::failed ? "failure" : "error", findings_text(result));
        set(test_case.last_child(), "type", name(result.verdict));
        set(test_case.last_child(), "message", message_of(run, result));
    } else if (outcome == Outcome::skipped) {
        const bool unsupported = result.verdict == Verdict::unsupported;
        const auto message =
            unsupported ? (result.reason.empty() ? "unsupported" : result.reason)
                        : fmt::format("known deviation {}: {}", joined(named_in(result, &Finding::deviation)),
                                      message_of(run, result));
        auto skipped = test_case.append_child("skipped");
        set(skipped, "type", unsupported ? "unsupported" : "deviation");
        set(skipped, "message", one_line(message, 2 * most_characters_of_message));
    } else if (result.verdict == Verdict::warn) {
        add_text(test_case, "system-out",
                 "warning: " + message_of(run, result) + "\n" + findings_text(result));
    }
}

pugi::xml_node add_suite(pugi::xml_node root, const RunResult& run, const std::string& suite_name) {
    auto suite = root.append_child("testsuite");
    set(suite, "name", suite_name);
    set(suite, "hostname", hostname_of(run));
    if (const auto timestamp = timestamp_of(run); !timestamp.empty()) {
        set(suite, "timestamp", timestamp);
    }
    return suite;
}

void set_counts(pugi::xml_node node, const Counts& counts) {
    set(node, "tests", counts.tests);
    set(node, "failures", counts.failures);
    set(node, "errors", counts.errors);
}

void set_suite_counts(pugi::xml_node suite, const Counts& counts) {
    set_counts(suite, counts);
    set(suite, "skipped", counts.skipped);
    set_time(suite, counts.seconds);
}

/// A case of its own for each of those that `result` stands for.
void add_members(pugi::xml_node suite, const CaseResult& result, Counts& counts) {
    const double seconds = std::max(result.seconds, 0.0) / static_cast<double>(result.members.size());
    for (const auto& member : result.members) {
        auto test_case = suite.append_child("testcase");
        set(test_case, "classname", result.server.name + "." + result.client.name);
        set(test_case, "name",
            fmt::format("{} [{}, {}] {}", result.scenario, result.server.variant, result.client.variant,
                        member));
        set_time(test_case, seconds);
        counts.add(Outcome::passed, seconds);
    }
}

Counts add_pair(pugi::xml_node root, const RunResult& run, const JunitOptions& options,
                const std::vector<const CaseResult*>& cases) {
    const auto& server = cases.front()->server.name;
    const auto& client = cases.front()->client.name;
    auto suite = add_suite(root, run, server + " x " + client);
    auto properties = suite.append_child("properties");
    add_property(properties, "suite", run.suite);
    add_property(properties, "server", server);
    add_property(properties, "server-version", version_of(run, "server", server));
    add_property(properties, "client", client);
    add_property(properties, "client-version", version_of(run, "client", client));
    for (const auto& [key, value] : run.properties) {
        add_property(properties, key, value);
    }
    Counts counts;
    std::map<std::string, std::size_t> named;
    for (const auto* result : cases) {
        if (!result->members.empty()) {
            add_members(suite, *result, counts);
            continue;
        }
        const auto outcome = outcome_of(*result, options);
        counts.add(outcome, std::max(result->seconds, 0.0));
        // Of a scenario of which many cases were made few, several may be left.
        auto test_name = case_name(*result);
        if (const std::size_t before = named[test_name]++; before > 0) {
            test_name += fmt::format(" ({})", before + 1);
        }
        add_case(suite, run, *result, test_name, outcome);
    }
    set_suite_counts(suite, counts);
    return counts;
}

Counts add_missing_peer(pugi::xml_node root, const RunResult& run, const PeerInfo& peer) {
    auto suite = add_suite(root, run, fmt::format("{} {} (not installed)", peer.role, peer.name));
    add_property(suite.append_child("properties"), "not-installed", peer.name);
    auto test_case = suite.append_child("testcase");
    set(test_case, "classname", peer.role + "." + peer.name);
    set(test_case, "name", "installed");
    set_time(test_case, 0);
    auto skipped = test_case.append_child("skipped");
    set(skipped, "type", "not-installed");
    set(skipped, "message", fmt::format("{} is not installed: none of its cases ran", peer.name));
    Counts counts;
    counts.add(Outcome::skipped, 0);
    set_suite_counts(suite, counts);
    return counts;
}

/// The cases of each pair of peers, their variants together, in the matrix's order.
std::vector<std::vector<const CaseResult*>> pairs_of(const Matrix& matrix) {
    std::vector<std::vector<const CaseResult*>> pairs;
    std::map<std::pair<std::string, std::string>, std::size_t> index;
    for (const auto& row : matrix.cells) {
        for (const auto& cell : row) {
            for (const auto* result : cell.cases) {
                const auto [at, is_new] =
                    index.emplace(std::pair(result->server.name, result->client.name), pairs.size());
                if (is_new) {
                    pairs.emplace_back();
                }
                pairs[at->second].push_back(result);
            }
        }
    }
    return pairs;
}

} // namespace

std::string to_junit(const RunResult& run, const JunitOptions& options) {
    pugi::xml_document document;
    auto declaration = document.append_child(pugi::node_declaration);
    declaration.append_attribute("version") = "1.0";
    declaration.append_attribute("encoding") = "UTF-8";
    auto root = document.append_child("testsuites");
    set(root, "name", "nbd-interop " + run.suite);
    Counts totals;
    const auto matrix = make_matrix(run);
    for (const auto& cases : pairs_of(matrix)) {
        totals.add(add_pair(root, run, options, cases));
    }
    for (const auto& peer : run.peers) {
        if (!peer.version) {
            totals.add(add_missing_peer(root, run, peer));
        }
    }
    // No `skipped` here: stricter readers' schemas know it for a single suite only.
    set_counts(root, totals);
    set_time(root, totals.seconds);
    std::ostringstream out;
    document.save(out, " ", pugi::format_default, pugi::encoding_utf8);
    return out.str();
}

} // namespace reports
