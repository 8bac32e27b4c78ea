#include "harness/catalogue/peer.hpp"

#include "harness/catalogue/placeholders.hpp"
#include "harness/catalogue/words.hpp"
#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <regex>

namespace harness {
namespace {

/// A regular expression, checked here so that a broken one is found at load. `groups`: how many it needs.
std::string read_regex(const YamlNode& node, unsigned groups = 0) {
    try {
        if (std::regex(node.text()).mark_count() < groups) {
            node.fail(fmt::format("'{}' needs a group, ( ), around what is looked for", node.text()));
        }
    } catch (const std::regex_error& error) {
        node.fail(fmt::format("'{}' is no regular expression: {}", node.text(), error.what()));
    }
    return node.text();
}

/// Refuses a word that is not among the known ones. It stands at `node`, or is the key of its value.
void check_word(const std::string& word, const std::vector<std::string>& known, const YamlNode& node,
                bool is_key = false) {
    if (std::ranges::find(known, word) == known.end()) {
        const std::string message =
            fmt::format("'{}' is not one of {}{}", word, fmt::join(known, ", "), did_you_mean(word, known));
        is_key ? node.fail_at_key(message) : node.fail(message);
    }
}

// What placeholders there are: ServerInstance::start, make_client and add_step fill them in.
using Names = std::vector<std::string>;
const Names version_placeholders{"bin"};
const Names server_placeholders{"args",           "behind", "bin",        "export", "folder",
                                "format",         "image",  "parameters", "port",   "read-only",
                                "read-only-text", "size",   "socket"};
const Names client_placeholders{"args", "bin", "read-only", "uri"};
const Names step_placeholders{"args", "bin", "flags", "from", "into", "length", "offset", "read-only", "uri"};

void check_placeholders(const YamlNode& node, const Names& known) {
    for (const std::string& name : placeholders_in(node.text())) {
        if (std::ranges::find(known, name) == known.end() && !name.starts_with("file:")) {
            node.fail(fmt::format("{{{}}} stands for nothing here{}; known are {{{}}}", name,
                                  did_you_mean(name, known), fmt::join(known, "}, {")));
        }
    }
}

/// Words with placeholders.
std::vector<std::string> read_words(const YamlNode& node, const Names& known) {
    if (node.is_scalar()) {
        check_placeholders(node, known);
        return {node.text()};
    }
    for (const YamlNode& word : node.list()) {
        check_placeholders(word, known);
    }
    return node.texts();
}

CommandTemplate read_command(const YamlNode& node, const Names& known) {
    CommandTemplate command = read_words(node, known);
    if (command.empty()) {
        node.fail("a command needs at least one word");
    }
    return command;
}

std::map<std::string, std::string> read_text_map(const YamlNode& node) {
    std::map<std::string, std::string> result;
    for (const auto& [key, value] : node.entries()) {
        result[key] = value.text();
    }
    return result;
}

VersionProbe read_version(const YamlNode& node) {
    YamlMap map = node.map();
    VersionProbe probe{read_command(map.required("run"), version_placeholders),
                       read_regex(map.required("match"), 1)};
    map.finish();
    return probe;
}

Listen read_listen(const YamlNode& node) {
    const std::string word = node.text();
    if (word == "socket-activation") {
        return Listen::socket_activation;
    }
    if (word == "unix") {
        return Listen::unix_socket;
    }
    if (word == "tcp") {
        return Listen::tcp;
    }
    node.fail(fmt::format("'listen' is socket-activation, unix or tcp, not '{}'", word));
}

Image read_image(const YamlNode& node) {
    const std::string word = node.text();
    if (word == "none") {
        return Image::none;
    }
    if (word == "raw") {
        return Image::raw;
    }
    if (word == "qcow2") {
        return Image::qcow2;
    }
    node.fail(fmt::format("'image' is none, raw or qcow2, not '{}'", word));
}

/// The keys that a server has and that a variant may change.
void read_server_keys(YamlMap& map, const FactVocabulary& facts, ServerVariant& server) {
    map.optional("start",
                 [&](const YamlNode& value) { server.start = read_command(value, server_placeholders); });
    map.optional("behind",
                 [&](const YamlNode& value) { server.behind = read_command(value, server_placeholders); });
    map.optional("args",
                 [&](const YamlNode& value) { server.args = read_words(value, server_placeholders); });
    map.optional("parameters",
                 [&](const YamlNode& value) { server.parameters = read_words(value, server_placeholders); });
    map.optional("read-only",
                 [&](const YamlNode& value) { server.read_only = read_words(value, server_placeholders); });
    map.optional("reuse", [&](const YamlNode& value) { server.reuse = value.boolean(); });
    map.optional("daemon", [&](const YamlNode& value) { server.daemon = value.boolean(); });
    map.optional("writable",
                 [&](const YamlNode& value) { server.writable = read_words(value, server_placeholders); });
    map.optional("env", [&](const YamlNode& value) { server.env = read_text_map(value); });
    map.optional("files", [&](const YamlNode& value) {
        server.files = read_text_map(value);
        for (const auto& [name, contents] : value.entries()) {
            check_name(name, contents, true);
            check_placeholders(contents, server_placeholders);
        }
    });
    map.optional("listen", [&](const YamlNode& value) { server.listen = read_listen(value); });
    map.optional("image", [&](const YamlNode& value) { server.image = read_image(value); });
    map.optional("export", [&](const YamlNode& value) { server.export_name = value.text(); });
    map.optional("traits", [&](const YamlNode& value) { facts.read_traits(value, "server", server.traits); });
}

void read_client_keys(YamlMap& map, const FactVocabulary& facts, ClientVariant& client) {
    map.optional("start",
                 [&](const YamlNode& value) { client.start = read_command(value, client_placeholders); });
    map.optional("args",
                 [&](const YamlNode& value) { client.args = read_words(value, client_placeholders); });
    map.optional("read-only",
                 [&](const YamlNode& value) { client.read_only = read_words(value, client_placeholders); });
    map.optional("env", [&](const YamlNode& value) { client.env = read_text_map(value); });
    map.optional("traits", [&](const YamlNode& value) { facts.read_traits(value, "client", client.traits); });
}

JsonField read_field(const YamlNode& node) {
    JsonField field;
    if (node.is_scalar()) {
        field.pointer = node.text();
    } else {
        YamlMap map = node.map();
        field.pointer = map.required("at").text();
        map.optional("bit", [&](const YamlNode& value) {
            if (value.number() > 63) {
                value.fail(fmt::format("a bit of a number is 0 to 63, not {}", value.number()));
            }
            field.bit = static_cast<unsigned>(value.number());
        });
        map.optional("not", [&](const YamlNode& value) { field.negate = value.boolean(); });
        map.finish();
    }
    if (!field.pointer.empty() && !field.pointer.starts_with('/')) {
        node.fail(fmt::format("'{}' is no JSON pointer: it begins with '/'", field.pointer));
    }
    return field;
}

std::map<std::string, JsonField> read_fields(const YamlNode& node, const std::vector<std::string>& known) {
    std::map<std::string, JsonField> fields;
    for (const auto& [key, value] : node.entries()) {
        check_word(key, known, value, true);
        fields[key] = read_field(value);
    }
    return fields;
}

ResultTemplate read_result(const YamlNode& node) {
    ResultTemplate result;
    YamlMap map = node.map();
    map.optional("json", [&](const YamlNode& value) {
        result.fields = read_fields(
            value, {"size", "structured", "extended", "block.minimum", "block.preferred", "block.maximum"});
    });
    map.optional("flags", [&](const YamlNode& value) {
        result.flags = read_fields(value, transmission_flag_words());
    });
    map.optional("items", [&](const YamlNode& value) { result.items = value.text(); });
    map.optional("item", [&](const YamlNode& value) {
        result.item = read_fields(value, {"name", "offset", "length", "hole", "zero"});
        if (!result.item.contains("name")) {
            for (const char* key : {"offset", "length", "hole", "zero"}) {
                if (!result.item.contains(key)) {
                    value.fail(fmt::format(
                        "the items of a list have a 'name', those of a map 'offset', 'length', 'hole' "
                        "and 'zero'; '{}' is missing",
                        key));
                }
            }
        }
    });
    map.optional("hexdump", [&](const YamlNode& value) { result.hexdump = read_regex(value, 1); });
    map.optional("size-match", [&](const YamlNode& value) { result.size_match = read_regex(value, 1); });
    map.finish();
    if (result.items.has_value() == result.item.empty()) {
        node.fail("'items' says where they are, 'item' what is in each of them; one needs the other");
    }
    return result;
}

OperationTemplate read_operation(const YamlNode& node, ClientKind kind) {
    OperationTemplate operation;
    YamlMap map = node.map();
    if (kind == ClientKind::program) {
        operation.run = read_command(map.required("run"), step_placeholders);
    } else {
        const YamlNode send = map.required("send");
        check_placeholders(send, step_placeholders);
        operation.send = send.text();
    }
    map.optional("flags", [&](const YamlNode& value) {
        operation.flags = read_text_map(value);
        for (const auto& [flag, words] : value.entries()) {
            check_word(flag, request_flag_words(), words, true);
        }
    });
    map.optional("whole", [&](const YamlNode& value) { operation.whole = value.boolean(); });
    map.optional("success", [&](const YamlNode& value) { operation.output.success = read_regex(value); });
    map.optional("failure", [&](const YamlNode& value) { operation.output.failure = read_regex(value); });
    map.optional("result", [&](const YamlNode& value) { operation.result = read_result(value); });
    map.finish();
    return operation;
}

void check_operation(const std::string& operation, const YamlNode& node, bool is_key) {
    const auto& known = client_operations();
    if (std::ranges::find(known, operation) == known.end()) {
        const std::string message =
            fmt::format("'{}' is no operation of a client{}", operation, did_you_mean(operation, known));
        is_key ? node.fail_at_key(message) : node.fail(message);
    }
}

void read_operations(YamlMap& map, Peer& peer) {
    const YamlNode operations = map.required("operations");
    if (peer.kind == ClientKind::driver) {
        for (const YamlNode& operation : operations.list()) {
            check_operation(operation.text(), operation, false);
            peer.operations.insert(operation.text());
        }
        map.optional("flags", [&](const YamlNode& value) {
            for (const YamlNode& flag : value.list()) {
                check_word(flag.text(), request_flag_words(), flag);
                peer.flags.insert(flag.text());
            }
        });
        return;
    }
    for (const auto& [operation, node] : operations.entries()) {
        check_operation(operation, node, true);
        peer.operations.insert(operation);
        peer.templates[operation] = read_operation(node, peer.kind);
    }
}

ClientKind read_kind(const YamlNode& node) {
    const std::string word = node.text();
    if (word == "driver") {
        return ClientKind::driver;
    }
    if (word == "program") {
        return ClientKind::program;
    }
    if (word == "shell") {
        return ClientKind::shell;
    }
    node.fail(fmt::format("the kind of a client is driver, program or shell, not '{}'", word));
}

/// Reads the variants, each over the defaults of the peer, with `read_keys`.
template <class Variant, class ReadKeys>
std::vector<Variant> read_variants(YamlMap& map, const Variant& defaults, const ReadKeys& read_keys) {
    std::vector<Variant> result;
    const auto variants = map.optional("variants");
    if (!variants) {
        result.push_back(defaults);
        result.back().name = "default";
        return result;
    }
    for (const auto& [name, node] : variants->entries()) {
        Variant variant = defaults;
        variant.name = name;
        check_name(name, node, true);
        YamlMap keys = node.map();
        keys.optional("about", [&](const YamlNode& value) { variant.about = value.text(); });
        keys.optional("versions", [&](const YamlNode& value) { variant.versions = read_versions(value); });
        read_keys(keys, variant);
        keys.finish();
        result.push_back(std::move(variant));
    }
    if (result.empty() || result.front().name != "default") {
        variants->fail("the first variant is 'default'");
    }
    return result;
}

/// What only shows once a variant is complete: placeholders that need another key.
void check_composition(const ServerVariant& variant, const YamlNode& node) {
    CommandTemplate words = variant.start;
    for (const auto& more : {variant.behind, variant.args, variant.parameters, variant.writable,
                             variant.read_only.value_or(Names{})}) {
        words.insert(words.end(), more.begin(), more.end());
    }
    for (const std::string& word : words) {
        for (const std::string& name : placeholders_in(word)) {
            if (name == "port" && variant.listen != Listen::tcp) {
                node.fail(fmt::format("the variant '{}' has {{port}}, but not 'listen: tcp'", variant.name));
            }
            if (name == "behind" && variant.behind.empty()) {
                node.fail(fmt::format("the variant '{}' has {{behind}}, but no 'behind'", variant.name));
            }
            if (name.starts_with("file:") && !variant.files.contains(name.substr(5))) {
                node.fail(fmt::format("the variant '{}' has {{{}}}, but no such file under 'files'",
                                      variant.name, name));
            }
        }
    }
}

void read_server(YamlMap& map, const FactVocabulary& facts, Peer& peer) {
    ServerVariant defaults;
    defaults.traits = facts.default_traits("server");
    read_server_keys(map, facts, defaults);
    peer.servers = read_variants(map, defaults, [&](YamlMap& keys, ServerVariant& variant) {
        read_server_keys(keys, facts, variant);
    });
    for (const ServerVariant& variant : peer.servers) {
        if (variant.start.empty()) {
            map.node().fail(fmt::format("the variant '{}' has no 'start'", variant.name));
        }
        check_composition(variant, map.node());
    }
}

void read_client(YamlMap& map, const FactVocabulary& facts, Peer& peer) {
    const YamlNode kind = map.required("kind");
    peer.kind = read_kind(kind);
    map.optional("excused", [&](const YamlNode& value) {
        for (const auto& [requirement, reason] : value.entries()) {
            peer.excused[requirement] = reason.text();
        }
    });
    map.optional("plain-servers-only",
                 [&](const YamlNode& value) { peer.plain_servers_only = value.boolean(); });
    ClientVariant defaults;
    defaults.traits = facts.default_traits("client");
    read_client_keys(map, facts, defaults);
    if (peer.kind == ClientKind::shell) {
        const YamlNode prompt = map.required("prompt");
        peer.prompt = prompt.text();
        if (peer.prompt.empty()) {
            prompt.fail("the prompt is what ends an answer; it cannot be empty");
        }
    }
    read_operations(map, peer);
    if (peer.kind != ClientKind::program && defaults.start.empty()) {
        kind.fail("a client of this kind needs 'start'");
    }
    peer.clients = read_variants(map, defaults, [&](YamlMap& keys, ClientVariant& variant) {
        read_client_keys(keys, facts, variant);
    });
}

} // namespace

std::vector<std::string> Peer::variant_names() const {
    std::vector<std::string> names;
    for (const ServerVariant& variant : servers) {
        names.push_back(variant.name);
    }
    for (const ClientVariant& variant : clients) {
        names.push_back(variant.name);
    }
    return names;
}

const std::vector<std::string>& client_operations() {
    static const std::vector<std::string> operations{"connect", "info",  "list",       "read",  "write",
                                                     "zero",    "trim",  "cache",      "flush", "map",
                                                     "grow",    "learn", "disconnect", "finish"};
    return operations;
}

Peer load_peer(const YamlNode& document, const FactVocabulary& facts) {
    Peer peer;
    peer.file = document.position().file;
    YamlMap map = document.map();
    const YamlNode name = map.required("peer");
    peer.name = name.text();
    check_name(peer.name, name, false);
    const YamlNode role = map.required("role");
    peer.role = role.text();
    peer.title = map.required("title").text();
    peer.version = read_version(map.required("version"));
    map.optional("on-demand", [&](const YamlNode& value) { peer.on_demand = value.boolean(); });
    if (peer.role == "server") {
        read_server(map, facts, peer);
    } else if (peer.role == "client") {
        read_client(map, facts, peer);
    } else {
        role.fail(fmt::format("a role is server or client, not '{}'", peer.role));
    }
    map.finish();
    return peer;
}

} // namespace harness
