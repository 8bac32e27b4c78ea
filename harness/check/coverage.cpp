#include "harness/check/coverage.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace harness::check {
namespace {

/// What is known of one statement.
struct Row {
    const Requirement* requirement = nullptr;
    std::set<std::string> cases;
    std::vector<std::string> faults; ///< that break it and were noticed by one of the cases
};

/// True if the statement is none for this side.
bool foreign(const Requirement& requirement, Bound side) {
    return requirement.bound != Bound::both && requirement.bound != side;
}

/// The cases of a side that test a statement.
std::set<std::string> cases_for(const std::string& id, const Conformance& conformance, Bound side) {
    std::set<std::string> names;
    if (side == Bound::server) {
        for (const ServerCase& made : conformance.server_cases) {
            if (made.requirements().contains(id)) {
                names.insert(made.name);
            }
        }
        return names;
    }
    for (const ClientCase& item : conformance.client_cases) {
        if (std::ranges::find(item.tests, id) != item.tests.end()) {
            names.insert(item.name);
        }
    }
    return names;
}

std::vector<Row> rows(const Requirements& requirements, const Conformance& conformance,
                      const Detection& detection, Bound side) {
    std::vector<Row> all;
    for (const auto& [id, requirement] : requirements) {
        if (foreign(requirement, side)) {
            continue;
        }
        Row row{&requirement, cases_for(id, conformance, side), {}};
        for (const ListedFault& fault : detection.faults) {
            if (detection.shows(fault, id, row.cases)) {
                row.faults.push_back(fault.name);
            }
        }
        all.push_back(std::move(row));
    }
    return all;
}

/// How many statements can be tested, and how many of them are shown to be.
std::pair<std::size_t, std::size_t> share(const std::vector<Row>& all) {
    std::size_t testable = 0;
    std::size_t covered = 0;
    for (const Row& row : all) {
        const bool can_be = row.requirement->untestable.empty();
        testable += can_be ? 1U : 0U;
        covered += can_be && !row.faults.empty() ? 1U : 0U;
    }
    return {testable, covered};
}

std::string_view name_of(Bound side) {
    return side == Bound::client ? "client" : "server";
}

unsigned percent(std::size_t part, std::size_t whole) {
    return whole == 0 ? 100 : static_cast<unsigned>(100 * part / whole);
}

} // namespace

std::string coverage_line(const Requirements& requirements, const Conformance& conformance,
                          const Detection& detection, Bound side) {
    const auto [testable, covered] = share(rows(requirements, conformance, detection, side));
    return fmt::format(
        "{} of {} statements for {}s that can be tested from outside have a case that a fault makes "
        "fail ({}%)",
        covered, testable, name_of(side), percent(covered, testable));
}

std::string coverage_markdown(const Requirements& requirements, const Conformance& conformance,
                              const Detection& detection, Bound side) {
    const std::vector<Row> all = rows(requirements, conformance, detection, side);
    std::map<std::string, std::vector<Row>> sections;
    for (const Row& row : all) {
        sections[fmt::format("{}, {}", row.requirement->document, row.requirement->section)].push_back(row);
    }
    const bool client = side == Bound::client;
    std::string text =
        fmt::format("# Statements, cases and faults{}\n\n"
                    "Made by `nbd-interop check --self {}`; do not "
                    "edit. A fault stands in a row if a case failed for this statement when the "
                    "reference {} had the fault, or if it is the fault's own statement and one of the "
                    "row's cases noticed it. Where no case is named [the wire judge](wire-judge.md), which "
                    "looks on in all of them, noticed it.\n\n",
                    client ? ": clients" : "",
                    client ? "--client --coverage docs/client-coverage.md"
                           : "--coverage docs/conformance-coverage.md",
                    name_of(side)) +
        coverage_line(requirements, conformance, detection, side) +
        ".\n\n| section | statements | testable | covered |\n| --- | --- | --- | --- |\n";
    for (const auto& [section, members] : sections) {
        const auto [testable, covered] = share(members);
        text += fmt::format("| {} | {} | {} | {} ({}%) |\n", section, members.size(), testable, covered,
                            percent(covered, testable));
    }
    for (const auto& [section, members] : sections) {
        text += fmt::format("\n## {}\n\n| statement | level | cases | faults |\n| --- | --- | --- | --- |\n",
                            section);
        for (const Row& row : members) {
            const Requirement& requirement = *row.requirement;
            const std::string cases = !requirement.untestable.empty()
                                          ? "cannot be tested from outside: " + requirement.untestable
                                      : row.cases.empty() ? row.faults.empty() ? "none" : "any"
                                                          : fmt::format("{}", fmt::join(row.cases, ", "));
            text += fmt::format("| {}: {} | {} | {} | {} |\n", requirement.id, requirement.text,
                                requirement.level == Level::must ? "MUST" : "SHOULD", cases,
                                fmt::join(row.faults, ", "));
        }
    }
    return text;
}

std::set<std::string> shown_by(const Sighting& sighting, const Requirements& requirements,
                               const Conformance& conformance, const Detection& detection, Bound side) {
    std::set<std::string> statements = sighting.broken;
    const ListedFault* const fault = find(detection.faults, sighting.fault);
    if (fault != nullptr && !sighting.aside &&
        cases_for(fault->requirement, conformance, side).contains(sighting.made)) {
        statements.insert(fault->requirement);
    }
    std::erase_if(statements, [&](const std::string& id) {
        const auto known = requirements.find(id);
        return known == requirements.end() || foreign(known->second, side) ||
               !known->second.untestable.empty();
    });
    return statements;
}

} // namespace harness::check
