#include "harness/catalogue/deviation.hpp"

#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>

#include <set>

namespace harness {
namespace {

Deviation read_deviation(const YamlNode& node, const Requirements& requirements) {
    Deviation deviation;
    deviation.position = node.position();
    YamlMap map = node.map();
    deviation.id = map.required("deviation").text();
    const auto server = map.optional("server");
    const auto client = map.optional("client");
    if (server.has_value() == client.has_value()) {
        node.fail("a deviation is of a 'server' or of a 'client'");
    }
    deviation.role = server ? "server" : "client";
    deviation.peers = (server ? *server : *client).texts();
    deviation.versions = read_versions(map.required("versions"));
    const YamlNode verdict = map.required("verdict");
    deviation.verdict = verdict.text();
    if (!std::set<std::string>{"fail", "warn", "crash", "timeout"}.contains(deviation.verdict)) {
        verdict.fail(
            fmt::format("a deviation is a fail, warn, crash or timeout, not '{}'", deviation.verdict));
    }
    map.optional("rule", [&](const YamlNode& value) {
        deviation.rule = value.text();
        if (!requirements.contains(deviation.rule)) {
            value.fail(fmt::format("the requirement '{}' is not in the catalogue", deviation.rule));
        }
    });
    deviation.scenarios = map.required("scenarios").texts();
    map.optional("with", [&](const YamlNode& value) { deviation.others = value.texts(); });
    deviation.reason = map.required("reason").text();
    map.optional("transcript", [&](const YamlNode& value) { deviation.transcript = value.text(); });
    map.finish();
    if (deviation.rule.empty() && (deviation.verdict == "fail" || deviation.verdict == "warn")) {
        node.fail("a fail or warn names the 'rule' that is broken");
    }
    return deviation;
}

} // namespace

std::vector<Deviation> load_deviations(const YamlNode& document, const Requirements& requirements) {
    std::vector<Deviation> result;
    std::set<std::string> ids;
    YamlMap map = document.map();
    for (const YamlNode& node : map.required("deviations").list()) {
        result.push_back(read_deviation(node, requirements));
        if (!ids.insert(result.back().id).second) {
            node.fail(fmt::format("the deviation '{}' is listed a second time", result.back().id));
        }
    }
    map.finish();
    return result;
}

} // namespace harness
