#include "harness/exhaustive/life_suite.hpp"

#include "harness/catalogue/placeholders.hpp"
#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace harness {
namespace {

std::vector<std::string> read_command(const YamlNode& node, const std::vector<std::string>& known) {
    const std::vector<std::string> words = node.texts();
    if (words.empty()) {
        node.fail("a command has at least the name of a program");
    }
    for (const std::string& word : words) {
        for (const std::string& name : placeholders_in(word)) {
            if (std::ranges::find(known, name) == known.end()) {
                node.fail(fmt::format("there is no placeholder {{{}}} here, only {{{}}}", name,
                                      fmt::join(known, "}, {")));
            }
        }
    }
    return words;
}

} // namespace

LifeSuite load_life_suite(const std::filesystem::path& file) {
    const YamlNode document = YamlNode::load(file);
    YamlMap map = document.map();
    LifeSuite suite;
    suite.name = map.required("suite").text();
    suite.title = map.required("title").text();
    suite.life = file.parent_path() / map.required("life").text();
    suite.evidence = file.parent_path() / map.required("evidence").text();
    suite.server_per = map.required("server-per").text();
    suite.server = read_command(map.required("server"), {"bin", "control", "socket", "value"});
    suite.client = read_command(map.required("client"), {"bin"});
    YamlMap judging = map.required("judge").map();
    suite.judge_every = judging.required("every").number();
    suite.provokes = judging.required("provokes").texts();
    judging.finish();
    suite.export_keys = map.required("export").text();
    map.finish();
    return suite;
}

} // namespace harness
