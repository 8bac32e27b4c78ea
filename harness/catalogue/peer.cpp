#include "harness/catalogue/peer.hpp"

#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <regex>

namespace harness {
namespace {

/// A regular expression, checked here so that a broken one is found at load.
std::string read_regex(const YamlNode& node) {
    try {
        const std::regex check(node.text());
    } catch (const std::regex_error& error) {
        node.fail(fmt::format("'{}' is no regular expression: {}", node.text(), error.what()));
    }
    return node.text();
}

CommandTemplate read_command(const YamlNode& node) {
    CommandTemplate command = node.texts();
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
    VersionProbe probe{read_command(map.required("run")), read_regex(map.required("match"))};
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
    map.optional("start", [&](const YamlNode& value) { server.start = read_command(value); });
    map.optional("args", [&](const YamlNode& value) { server.args = value.texts(); });
    map.optional("parameters", [&](const YamlNode& value) { server.parameters = value.texts(); });
    map.optional("read-only", [&](const YamlNode& value) { server.read_only = value.texts(); });
    map.optional("reuse", [&](const YamlNode& value) { server.reuse = value.boolean(); });
    map.optional("daemon", [&](const YamlNode& value) { server.daemon = value.boolean(); });
    map.optional("writable", [&](const YamlNode& value) { server.writable = value.texts(); });
    map.optional("env", [&](const YamlNode& value) { server.env = read_text_map(value); });
    map.optional("files", [&](const YamlNode& value) { server.files = read_text_map(value); });
    map.optional("listen", [&](const YamlNode& value) { server.listen = read_listen(value); });
    map.optional("image", [&](const YamlNode& value) { server.image = read_image(value); });
    map.optional("export", [&](const YamlNode& value) { server.export_name = value.text(); });
    map.optional("traits", [&](const YamlNode& value) { facts.read_traits(value, "server", server.traits); });
}

void read_client_keys(YamlMap& map, const FactVocabulary& facts, ClientVariant& client) {
    map.optional("start", [&](const YamlNode& value) { client.start = read_command(value); });
    map.optional("args", [&](const YamlNode& value) { client.args = value.texts(); });
    map.optional("read-only", [&](const YamlNode& value) { client.read_only = value.texts(); });
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
        map.optional("bit", [&](const YamlNode& value) { field.bit = static_cast<unsigned>(value.number()); });
        map.optional("not", [&](const YamlNode& value) { field.negate = value.boolean(); });
        map.finish();
    }
    if (!field.pointer.empty() && !field.pointer.starts_with('/')) {
        node.fail(fmt::format("'{}' is no JSON pointer: it begins with '/'", field.pointer));
    }
    return field;
}

std::map<std::string, JsonField> read_fields(const YamlNode& node) {
    std::map<std::string, JsonField> fields;
    for (const auto& [key, value] : node.entries()) {
        fields[key] = read_field(value);
    }
    return fields;
}

ResultTemplate read_result(const YamlNode& node) {
    ResultTemplate result;
    YamlMap map = node.map();
    map.optional("json", [&](const YamlNode& value) { result.fields = read_fields(value); });
    map.optional("flags", [&](const YamlNode& value) { result.flags = read_fields(value); });
    map.optional("items", [&](const YamlNode& value) { result.items = value.text(); });
    map.optional("item", [&](const YamlNode& value) { result.item = read_fields(value); });
    map.optional("hexdump", [&](const YamlNode& value) { result.hexdump = read_regex(value); });
    map.optional("size-match", [&](const YamlNode& value) { result.size_match = read_regex(value); });
    map.finish();
    return result;
}

OperationTemplate read_operation(const YamlNode& node, ClientKind kind) {
    OperationTemplate operation;
    YamlMap map = node.map();
    if (kind == ClientKind::program) {
        operation.run = read_command(map.required("run"));
    } else {
        operation.send = map.required("send").text();
    }
    map.optional("flags", [&](const YamlNode& value) { operation.flags = read_text_map(value); });
    map.optional("whole", [&](const YamlNode& value) { operation.whole = value.boolean(); });
    map.optional("success", [&](const YamlNode& value) { operation.output.success = read_regex(value); });
    map.optional("failure", [&](const YamlNode& value) { operation.output.failure = read_regex(value); });
    map.optional("result", [&](const YamlNode& value) { operation.result = read_result(value); });
    map.finish();
    return operation;
}

void check_operation(const std::string& operation, const YamlNode& node) {
    const auto& known = client_operations();
    if (std::ranges::find(known, operation) == known.end()) {
        node.fail(fmt::format("'{}' is no operation of a client{}", operation, did_you_mean(operation, known)));
    }
}

void read_operations(YamlMap& map, Peer& peer) {
    const YamlNode operations = map.required("operations");
    if (peer.kind == ClientKind::driver) {
        for (const std::string& operation : operations.texts()) {
            check_operation(operation, operations);
            peer.operations.insert(operation);
        }
        map.optional("flags", [&](const YamlNode& value) {
            const auto flags = value.texts();
            peer.flags.insert(flags.begin(), flags.end());
        });
        return;
    }
    for (const auto& [operation, node] : operations.entries()) {
        check_operation(operation, node);
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
    }
}

void read_client(YamlMap& map, const FactVocabulary& facts, Peer& peer) {
    const YamlNode kind = map.required("kind");
    peer.kind = read_kind(kind);
    map.optional("plain-servers-only", [&](const YamlNode& value) { peer.plain_servers_only = value.boolean(); });
    ClientVariant defaults;
    defaults.traits = facts.default_traits("client");
    read_client_keys(map, facts, defaults);
    if (peer.kind == ClientKind::shell) {
        peer.prompt = map.required("prompt").text();
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
    static const std::vector<std::string> operations{"connect", "info",  "list",  "read", "write",      "zero",
                                                     "trim",    "cache", "flush", "map",  "disconnect", "finish"};
    return operations;
}

Peer load_peer(const YamlNode& document, const FactVocabulary& facts) {
    Peer peer;
    peer.file = document.position().file;
    YamlMap map = document.map();
    peer.name = map.required("peer").text();
    const YamlNode role = map.required("role");
    peer.role = role.text();
    peer.title = map.required("title").text();
    peer.version = read_version(map.required("version"));
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
