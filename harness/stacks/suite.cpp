#include "harness/stacks/suite.hpp"

#include "harness/catalogue/glob.hpp"
#include "harness/catalogue/placeholders.hpp"
#include "harness/released/suite.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <regex>
#include <utility>

namespace harness {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;

// What placeholders there are: StackSteps::values and DiskProcess fill them in.
const Names tool_placeholders{"backing", "bin",  "disk", "format",  "from", "image",
                              "into",    "name", "of",   "options", "to"};
const Names daemon_placeholders{"bin", "export", "file", "format", "name", "node", "server", "socket", "to"};
const Names bridge_placeholders{"bin", "file", "uri"};

/// Words with placeholders.
std::vector<std::string> read_words(const YamlNode& node, const Names& known) {
    std::vector<std::string> words = node.texts();
    for (const std::string& word : words) {
        for (const std::string& placeholder : placeholders_in(word)) {
            if (std::ranges::find(known, placeholder) == known.end()) {
                node.fail(
                    fmt::format("there is no {{{}}} here{}", placeholder, did_you_mean(placeholder, known)));
            }
        }
    }
    return words;
}

/// The steps that programs carry out, and those that a daemon can.
constexpr std::array tool_steps{ActionKind::create, ActionKind::snapshot,   ActionKind::bitmap,
                                ActionKind::resize, ActionKind::convert,    ActionKind::contents,
                                ActionKind::check,  ActionKind::bitmap_kept};
constexpr std::array daemon_steps{ActionKind::open, ActionKind::close, ActionKind::snapshot,
                                  ActionKind::bitmap, ActionKind::resize};

Stack read_stack(const YamlNode& node) {
    YamlMap map = node.map();
    Stack stack;
    stack.name = map.required("stack").text();
    stack.title = map.required("title").text();
    const auto format = [&](const char* key) {
        const YamlNode value = map.required(key);
        if (value.text() != "raw" && value.text() != "qcow2") {
            value.fail("a format is raw or qcow2");
        }
        return value.text();
    };
    stack.format = format("client");
    stack.image = format("image") == "qcow2" ? Image::qcow2 : Image::raw;
    map.optional("into", [&](const YamlNode& value) { stack.into = value.texts(); });
    map.optional("as-file", [&](const YamlNode& value) { stack.as_file = value.boolean(); });
    stack.servers = map.required("servers").texts();
    map.finish();
    return stack;
}

VersionProbe read_version(const YamlNode& node) {
    YamlMap map = node.map();
    VersionProbe probe{map.required("run").texts(), map.required("match").text()};
    map.finish();
    return probe;
}

Daemon read_daemon(const YamlNode& node) {
    YamlMap map = node.map();
    Daemon daemon;
    daemon.start = read_words(map.required("start"), daemon_placeholders);
    daemon.network = read_words(map.required("network"), daemon_placeholders).front();
    daemon.file = read_words(map.required("file"), daemon_placeholders).front();
    for (const ActionKind kind : daemon_steps) {
        daemon.commands[kind] = read_words(map.required(name(kind)), daemon_placeholders);
    }
    map.finish();
    return daemon;
}

constexpr const char* no_exit_status = "an exit status is a number from 1 to 255";

/// The number of an exit status that is no success; 0 if the text is none.
int exit_status(const std::string& text) {
    int code = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
    const bool valid = error == std::errc() && end == text.data() + text.size() && code >= 1 && code <= 255;
    return valid ? code : 0;
}

Bridge read_bridge(const YamlNode& node) {
    YamlMap map = node.map();
    Bridge bridge;
    bridge.start = read_words(map.required("start"), bridge_placeholders);
    bridge.ready = map.required("ready").text();
    const YamlNode not_here = map.required("not-here");
    bridge.not_here = exit_status(not_here.text());
    if (bridge.not_here == 0) {
        not_here.fail(no_exit_status);
    }
    map.finish();
    return bridge;
}

StackClient read_client(const YamlNode& node, const fs::path& folder, const FactVocabulary& facts) {
    YamlMap map = node.map();
    StackClient client;
    client.peer.name = map.required("client").text();
    client.peer.role = "client";
    client.peer.title = map.required("title").text();
    client.peer.version = read_version(map.required("version"));
    client.peer.clients.push_back({});
    client.peer.clients.back().name = "default";
    const YamlNode io = map.required("io");
    client.io = load_peer(YamlNode::load(folder / io.text()), facts);
    if (client.io.role != "client" || client.io.kind != ClientKind::shell) {
        io.fail("what reads and writes is a client of the kind 'shell'");
    }
    map.optional("daemon", [&](const YamlNode& value) { client.daemon = read_daemon(value); });
    map.finish();
    return client;
}

Tool read_tool(const YamlNode& node) {
    YamlMap map = node.map();
    Tool tool;
    tool.run = read_words(map.required("run"), tool_placeholders);
    map.optional("exits", [&](const YamlNode& value) {
        for (const auto& [status, word] : value.entries()) {
            const int code = exit_status(status);
            if (code == 0) {
                word.fail_at_key(no_exit_status);
            }
            tool.exits[code] = word.text();
        }
    });
    map.optional("finds", [&](const YamlNode& value) {
        tool.finds = value.text();
        Placeholders any;
        any.texts["name"] = "x";
        try {
            const std::regex checked(expand(std::string_view(tool.finds), any));
        } catch (const std::exception& error) { // no regular expression, or another placeholder
            value.fail(error.what());
        }
    });
    if (!tool.finds.empty()) {
        tool.otherwise = map.required("otherwise").text();
    }
    map.finish();
    return tool;
}

/// What a server without knobs has in place of a configuration.
std::string without(const Knob& knob) {
    for (const char* value : {"-", "none", "silent"}) {
        if (std::ranges::find(knob.values, value) != knob.values.end()) {
            return value;
        }
    }
    return knob.values.back();
}

/// A server that grows: a peer of the catalogue with a variant for each configuration that meets `where`.
Peer read_growing(const YamlNode& node, const Catalogue& base, const Knobs& knobs, GrowingServer& growing) {
    YamlMap map = node.map();
    const YamlNode model = map.required("peer");
    const Peer* of = base.peer(model.text(), "server");
    if (of == nullptr) {
        model.fail(fmt::format("there is no server '{}'", model.text()));
    }
    Peer peer = *of;
    peer.name = map.required("name").text();
    peer.title = map.required("title").text();
    growing.name = peer.name;
    growing.title = map.required("table").text();
    growing.about = map.required("about").text();
    const std::vector<std::string> args = map.required("args").texts();
    const YamlNode where = map.required("where");
    const When condition = read_when(where, knobs.columns());
    const auto server_knobs = static_cast<std::size_t>(knobs.of(Side::server).size());
    if (std::ranges::any_of(condition, [&](const ColumnCondition& c) { return c.column >= server_knobs; })) {
        where.fail("only the server's knobs can be chosen");
    }
    map.finish();
    const ServerVariant plain = peer.servers.front();
    peer.servers.clear();
    const auto& all = knobs.configurations(Side::server);
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!std::ranges::all_of(condition,
                                 [&](const ColumnCondition& c) { return c.holds(all[i][c.column]); })) {
            continue;
        }
        ServerVariant variant = plain;
        variant.name = knobs.text(Side::server, i);
        variant.args = args;
        for (const Knob& knob : knobs.of(Side::server)) {
            const std::string& value = knobs.value(Side::server, i, knob.name);
            variant.traits[knob_fact(knob)] = value;
            if (value != not_applicable) {
                variant.args.push_back(fmt::format("--{}={}", knob.name, value));
            }
        }
        peer.servers.push_back(std::move(variant));
    }
    if (peer.servers.empty()) {
        where.fail("no configuration is like this");
    }
    return peer;
}

/// The servers of the stacks, with all their variants.
std::vector<Peer> servers_of(const std::vector<Stack>& stacks, std::vector<Peer> growing,
                             const Catalogue& base, const Knobs& knobs, const YamlNode& where) {
    std::vector<Peer> servers = std::move(growing);
    for (const Stack& stack : stacks) {
        for (const std::string& wanted : stack.servers) {
            const auto is_it = [&](const Peer& peer) { return peer.name == wanted; };
            if (std::ranges::any_of(servers, is_it)) {
                continue;
            }
            const Peer* peer = base.peer(wanted, "server");
            if (peer == nullptr) {
                where.fail(fmt::format("there is no server '{}'", wanted));
            }
            servers.push_back(*peer);
            for (ServerVariant& variant : servers.back().servers) {
                for (const Knob& knob : knobs.of(Side::server)) {
                    variant.traits[knob_fact(knob)] = without(knob);
                }
            }
        }
    }
    return servers;
}

void add_fact(FactVocabulary& facts, const std::string& fact_name, const std::string& role,
              std::vector<std::string> values) {
    Fact fact;
    fact.name = fact_name;
    fact.role = role;
    fact.values = std::move(values);
    facts.add(std::move(fact));
}

std::vector<BriefPart> read_brief(const YamlNode& list) {
    std::vector<BriefPart> parts;
    for (const YamlNode& node : list.list()) {
        YamlMap map = node.map();
        parts.push_back({map.required("scenarios").texts(), map.required("servers").texts(),
                         map.required("clients").texts()});
        map.finish();
    }
    return parts;
}

/// So that deviations are checked against the cases that there can be.
std::vector<Scenario> named_scenarios(const std::vector<StackScenario>& scenarios) {
    std::vector<Scenario> all;
    for (const StackScenario& scenario : scenarios) {
        for (const std::string& stack : scenario.stacks) {
            Scenario named;
            named.name = stack + "-" + scenario.name;
            all.push_back(std::move(named));
        }
    }
    return all;
}

bool selected(const std::vector<std::string>& patterns, const Peer& peer, const std::string& variant) {
    return std::ranges::any_of(
        patterns, [&](const std::string& pattern) { return selects(pattern, peer.name, variant); });
}

bool in_brief(const std::vector<BriefPart>& brief, const StackCase& item) {
    return std::ranges::any_of(brief, [&](const BriefPart& part) {
        const std::string variant = item.server == nullptr ? "default" : item.server->name;
        return selected(part.servers, *item.server_peer, variant) &&
               selected(part.clients, item.client->peer, "default") &&
               std::ranges::any_of(part.scenarios, [&](const std::string& pattern) {
                   return glob_match(pattern, item.scenario_name());
               });
    });
}

} // namespace

bool StackSuite::is_growing(const std::string& server) const {
    return std::ranges::any_of(growing, [&](const GrowingServer& each) { return each.name == server; });
}

std::string StackCase::scenario_name() const {
    return stack->name + "-" + scenario->name;
}

std::string StackCase::id() const {
    return fmt::format("{}/{}/{}", label(server_peer->name, server == nullptr ? "default" : server->name),
                       client->peer.name, scenario_name());
}

Facts StackCase::facts() const {
    Facts facts = server == nullptr ? Facts{} : server->traits;
    facts[stack_fact] = stack->name;
    facts[program_fact] = client->peer.name;
    return facts;
}

StackSuite load_stack_suite(const fs::path& folder, const Catalogue& base, const Knobs& knobs) {
    YamlMap map = YamlNode::load(folder / "suite.yaml").map();
    StackSuite suite;
    suite.name = map.required("suite").text();
    suite.brief_name = map.required("brief-suite").text();
    const YamlNode stacks = map.required("stacks");
    std::vector<std::string> stack_names;
    for (const YamlNode& node : stacks.list()) {
        suite.stacks.push_back(read_stack(node));
        stack_names.push_back(suite.stacks.back().name);
    }
    suite.catalogue.requirements = base.requirements;
    suite.catalogue.facts = base.facts;
    std::vector<Peer> growing;
    for (const YamlNode& node : map.required("growing").list()) {
        growing.push_back(read_growing(node, base, knobs, suite.growing.emplace_back()));
    }
    suite.catalogue.peers = servers_of(suite.stacks, std::move(growing), base, knobs, stacks);
    suite.bridge = read_bridge(map.required("bridge"));
    std::vector<std::string> programs;
    for (const YamlNode& node : map.required("clients").list()) {
        suite.clients.push_back(read_client(node, folder, base.facts));
        suite.catalogue.peers.push_back(suite.clients.back().peer);
        programs.push_back(suite.clients.back().peer.name);
    }
    YamlMap tools = map.required("programs").map();
    for (const ActionKind kind : tool_steps) {
        suite.tools[kind] = read_tool(tools.required(name(kind)));
    }
    tools.finish();

    FactVocabulary& facts = suite.catalogue.facts;
    add_fact(facts, stack_fact, "server", stack_names);
    add_fact(facts, program_fact, "client", programs);
    for (const Knob& knob : knobs.of(Side::server)) {
        add_fact(facts, knob_fact(knob), "server", knob.values);
    }
    suite.scenarios = load_stack_scenarios(YamlNode::load(folder / map.required("scenarios").text()),
                                           stack_names, facts, base.requirements);
    suite.catalogue.scenarios = named_scenarios(suite.scenarios);
    suite.catalogue.deviations =
        load_deviations(YamlNode::load(folder / map.required("deviations").text()), base.requirements);
    check_deviations(suite.catalogue);
    const YamlNode brief = map.required("brief");
    suite.brief = read_brief(brief);
    map.finish();
    if (stack_cases(suite, true).empty()) {
        brief.fail("no case is like this");
    }
    return suite;
}

std::vector<StackCase> stack_cases(const StackSuite& suite, bool brief) {
    std::vector<StackCase> cases;
    const auto add = [&](const StackCase& item) {
        if (!brief || in_brief(suite.brief, item)) {
            cases.push_back(item);
        }
    };
    for (const Stack& stack : suite.stacks) {
        for (const std::string& server : stack.servers) {
            const Peer& peer = *suite.catalogue.peer(server, "server");
            for (const StackClient& client : suite.clients) {
                for (const StackScenario& scenario : suite.scenarios) {
                    if (std::ranges::find(scenario.stacks, stack.name) == scenario.stacks.end()) {
                        continue;
                    }
                    StackCase item{&stack, &peer, nullptr, &client, &scenario};
                    if (suite.is_growing(server)) {
                        for (const ServerVariant& variant : peer.servers) {
                            item.server = &variant;
                            add(item);
                        }
                        continue;
                    }
                    const auto variant = std::ranges::find(peer.servers, stack.image, &ServerVariant::image);
                    item.server = variant == peer.servers.end() ? nullptr : &*variant;
                    add(item);
                }
            }
        }
    }
    return cases;
}

} // namespace harness
