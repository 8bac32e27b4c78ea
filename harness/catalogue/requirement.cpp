#include "harness/catalogue/requirement.hpp"

#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

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

std::string read_document(const YamlNode& node) {
    std::string word = node.text();
    const auto& known = requirement_documents();
    if (std::ranges::find(known, word) == known.end()) {
        node.fail(
            fmt::format("'{}' is no document with requirements; those are {}", word, fmt::join(known, ", ")));
    }
    return word;
}

/// A text that explains something, so that an empty one is a mistake; empty if the key is not there.
std::string read_reason(YamlMap& map, std::string_view key) {
    std::string reason;
    map.optional(key, [&](const YamlNode& node) {
        reason = node.text();
        if (reason.empty()) {
            node.fail_at_key(fmt::format("'{}' says nothing", key));
        }
    });
    return reason;
}

} // namespace

const std::vector<std::string>& requirement_documents() {
    static const std::vector<std::string> documents{"proto.md", "uri.md", "extension-ext-header", "resize"};
    return documents;
}

std::string level_text(const Requirements& requirements, std::string_view id) {
    const auto found = requirements.find(std::string(id));
    return found == requirements.end() ? "" : found->second.level == Level::must ? "MUST" : "SHOULD";
}

void load_requirements(const YamlNode& document, Requirements& into) {
    YamlMap top = document.map();
    const std::string source = read_document(top.required("document"));
    for (const auto& [id, node] : top.required("requirements").entries()) {
        YamlMap map = node.map();
        Requirement requirement{.id = id,
                                .section = map.required("section").text(),
                                .level = read_level(map.required("level")),
                                .bound = read_bound(map.required("binds")),
                                .text = map.required("text").text(),
                                .document = source,
                                .untestable = read_reason(map, "untestable"),
                                .ambiguous = read_reason(map, "ambiguous")};
        map.finish();
        if (!into.emplace(id, std::move(requirement)).second) {
            node.fail_at_key(fmt::format("the requirement '{}' is defined a second time", id));
        }
    }
    top.finish();
}

} // namespace harness
