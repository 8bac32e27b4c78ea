#include "harness/catalogue/requirement.hpp"

#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>

namespace harness {
namespace {

Level read_level(const YamlNode& node) {
    const std::string word = node.text();
    if (word == "MUST" || word == "MUST NOT") {
        return Level::must;
    }
    if (word == "SHOULD" || word == "SHOULD NOT") {
        return Level::should;
    }
    node.fail(fmt::format("a level is MUST, MUST NOT, SHOULD or SHOULD NOT, not '{}'", word));
}

Bound read_bound(const YamlNode& node) {
    const std::string word = node.text();
    if (word == "server") {
        return Bound::server;
    }
    if (word == "client") {
        return Bound::client;
    }
    if (word == "both") {
        return Bound::both;
    }
    node.fail(fmt::format("'binds' is server, client or both, not '{}'", word));
}

} // namespace

std::string level_text(const Requirements& requirements, std::string_view id) {
    const auto found = requirements.find(std::string(id));
    return found == requirements.end() ? "" : found->second.level == Level::must ? "MUST" : "SHOULD";
}

void load_requirements(const YamlNode& document, Requirements& into) {
    YamlMap top = document.map();
    for (const auto& [id, node] : top.required("requirements").entries()) {
        YamlMap map = node.map();
        Requirement requirement{id, map.required("section").text(), read_level(map.required("level")),
                                read_bound(map.required("binds")), map.required("text").text()};
        map.finish();
        if (!into.emplace(id, std::move(requirement)).second) {
            node.fail_at_key(fmt::format("the requirement '{}' is defined a second time", id));
        }
    }
    top.finish();
}

} // namespace harness
