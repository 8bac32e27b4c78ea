#include "harness/check/conformance.hpp"

#include "harness/catalogue/glob.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

namespace harness::check {
namespace {

namespace fs = std::filesystem;

/// Cases that are no case of a file: what the wire judge sees broken in any of them.
constexpr std::string_view wire_cases = "check/wire-";

constexpr std::string_view detection_file = "detection.yaml";

template <class Cases>
bool any_matches(const std::string& pattern, const Cases& cases) {
    return std::ranges::any_of(cases,
                               [&](const auto& made) { return glob_match(pattern, "check/" + made.name); });
}

void check_deviation(const Deviation& deviation, const Conformance& conformance) {
    for (const std::string& pattern : deviation.scenarios) {
        const bool known = pattern.starts_with(wire_cases) ||
                           (deviation.role == "server" ? any_matches(pattern, conformance.server_cases)
                                                       : any_matches(pattern, conformance.client_cases));
        if (!known) {
            throw CatalogueError(
                deviation.position,
                fmt::format("the deviation '{}' speaks of the case '{}', which there is not: "
                            "check/NAME or check/wire-REQUIREMENT",
                            deviation.id, pattern));
        }
    }
}

ClientErrand load_errand(const YamlNode& node) {
    YamlMap map = node.map();
    ClientErrand errand;
    errand.name = map.required("errand").text();
    errand.arguments = map.required("arguments").texts();
    map.optional("steps", [&](const YamlNode& value) { errand.steps = value.texts(); });
    map.finish();
    return errand;
}

/// Cases with reasons.
std::map<std::string, std::string> load_elsewhere(const YamlNode& node,
                                                  const std::vector<ServerCase>& cases) {
    std::map<std::string, std::string> reasons;
    for (const auto& [name, reason] : node.entries()) {
        if (std::ranges::find(cases, name, &ServerCase::name) == cases.end()) {
            reason.fail_at_key(fmt::format("there is no case '{}'", name));
        }
        reasons[name] = reason.text();
    }
    return reasons;
}

void load_targets(const YamlNode& document, const Requirements& requirements, Conformance& into) {
    YamlMap top = document.map();
    for (const YamlNode& node : top.required("targets").list()) {
        YamlMap map = node.map();
        SelfTarget target;
        target.name = map.required("target").text();
        map.optional("resize", [&](const YamlNode& value) { target.resize = value.boolean(); });
        target.arguments = map.required("options").texts();
        map.optional("export", [&](const YamlNode& value) { target.export_name = value.text(); });
        map.optional("breaks", [&](const YamlNode& value) {
            target.breaks = value.texts();
            for (const std::string& id : target.breaks) {
                if (!requirements.contains(id)) {
                    value.fail(fmt::format("there is no requirement '{}'", id));
                }
            }
        });
        into.targets.push_back(std::move(target));
        map.finish();
    }
    top.optional("errands", [&](const YamlNode& errands) {
        for (const YamlNode& node : errands.list()) {
            into.errands.push_back(load_errand(node));
            if (std::ranges::count(into.errands, into.errands.back().name, &ClientErrand::name) > 1) {
                node.fail(fmt::format("there is a second errand '{}'", into.errands.back().name));
            }
        }
    });
    top.optional("elsewhere",
                 [&](const YamlNode& cases) { into.elsewhere = load_elsewhere(cases, into.server_cases); });
    top.finish();
}

} // namespace

std::vector<std::string> ClientErrand::command(const fs::path& programs, const std::string& fault) const {
    // The driver reports what fails, and goes on.
    constexpr std::string_view script = "driver=$1; shift; "
                                        "said=$(printf '%s\\n' \"$@\" | $driver) || exit $?; "
                                        "printf '%s\\n' \"$said\"; "
                                        "case $(printf '%s\\n' \"$said\" | tail -n 1) in "
                                        "*'\"ok\":true'*) ;; *) exit 1;; esac";
    std::vector<std::string> words{
        (programs / (steps.empty() ? "nbd-resize-client" : "nbd-driver-reference"))};
    if (!fault.empty()) {
        words.insert(words.end(), {"--fault", fault});
    }
    words.insert(words.end(), arguments.begin(), arguments.end());
    if (steps.empty()) {
        return words;
    }
    std::vector<std::string> all{"/bin/sh", "-c", std::string(script), "sh",
                                 fmt::format("{}", fmt::join(words, " "))};
    all.insert(all.end(), steps.begin(), steps.end());
    return all;
}

Conformance load_conformance(const Catalogue& catalogue) {
    Conformance conformance;
    const fs::path directory = catalogue.directory / "conformance";
    if (!fs::exists(directory)) {
        return conformance;
    }
    for (const fs::path& file : yaml_files(directory / "server")) {
        load_server_cases(YamlNode::load(file), catalogue.requirements, conformance.server_cases);
    }
    for (const fs::path& file : yaml_files(directory / "client")) {
        load_client_cases(YamlNode::load(file), catalogue.requirements, conformance.client_cases);
    }
    load_targets(YamlNode::load(directory / "targets.yaml"), catalogue.requirements, conformance);
    if (fs::exists(directory / detection_file)) {
        conformance.plan = load_plan(YamlNode::load(directory / detection_file));
    }
    if (fs::exists(directory / "deviations.yaml")) {
        conformance.deviations =
            load_deviations(YamlNode::load(directory / "deviations.yaml"), catalogue.requirements);
        for (const Deviation& deviation : conformance.deviations) {
            check_deviation(deviation, conformance);
        }
    }
    return conformance;
}

} // namespace harness::check
