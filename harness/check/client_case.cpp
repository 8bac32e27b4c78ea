#include "harness/check/client_case.hpp"

#include "harness/catalogue/size_expression.hpp"
#include "harness/catalogue/words.hpp"
#include "protocol/numbers.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace harness::check {
namespace {

/// The largest disk with a content: it is written anew for each case.
constexpr std::uint64_t largest_content = std::uint64_t{64} << 20;

/// Options and commands by the names that the wire judge gives them.
const std::vector<std::string>& asked_words() {
    static const std::vector<std::string> words = [] {
        std::vector<std::string> all;
        constexpr auto last_option = static_cast<std::uint32_t>(nbd::Option::extended_headers);
        for (std::uint32_t i = 1; i <= last_option; ++i) {
            all.push_back(nbd::name(static_cast<nbd::Option>(i)));
        }
        constexpr auto last_command = static_cast<std::uint16_t>(nbd::Command::resize);
        for (std::uint16_t i = 0; i <= last_command; ++i) {
            all.push_back(nbd::name(static_cast<nbd::Command>(i)));
        }
        return all;
    }();
    return words;
}

std::vector<std::string> read_asked(const YamlNode& node) {
    const std::vector<std::string>& known = asked_words();
    std::vector<std::string> words = node.texts();
    for (const std::string& word : words) {
        if (std::ranges::find(known, word) == known.end()) {
            node.fail(fmt::format("'{}' is no option and no command{}", word, did_you_mean(word, known)));
        }
    }
    return words;
}

/// The value of a word from a list.
template <class Value, std::size_t N>
Value read_word(const YamlNode& node, const std::pair<std::string_view, Value> (&words)[N]) {
    const std::string word = node.text();
    std::vector<std::string> known;
    for (const auto& [text, value] : words) {
        if (word == text) {
            return value;
        }
        known.emplace_back(text);
    }
    node.fail(fmt::format("'{}' is none of {}{}", word, fmt::join(known, ", "), did_you_mean(word, known)));
}

std::uint64_t read_size(const YamlNode& node) {
    try {
        return SizeExpression::parse(node.text(), {}).evaluate(0);
    } catch (const std::invalid_argument& error) {
        node.fail(error.what());
    }
}

ClientServer read_server(const YamlNode& node) {
    using Content = ClientServer::Content;
    constexpr std::pair<std::string_view, Content> contents[] = {{"pattern", Content::pattern},
                                                                 {"sparse", Content::sparse},
                                                                 {"zeroes", Content::zeroes},
                                                                 {"cut", Content::cut}};
    YamlMap map = node.map();
    ClientServer server;
    map.optional("fault", [&](const YamlNode& value) { server.fault = value.text(); });
    map.optional("oddity", [&](const YamlNode& value) {
        server.oddity = value.text();
        if (!server.fault.empty()) {
            value.fail_at_key("a server has a fault or an oddity, not both");
        }
    });
    map.optional("options", [&](const YamlNode& value) { server.options = value.texts(); });
    map.optional("export", [&](const YamlNode& value) { server.export_name = value.text(); });
    map.optional("content", [&](const YamlNode& value) { server.content = read_word(value, contents); });
    map.optional("size", [&](const YamlNode& value) {
        server.size = read_size(value);
        if (server.size > largest_content && server.content != Content::zeroes) {
            value.fail(fmt::format("a disk of more than {} bytes has 'content: zeroes'", largest_content));
        }
    });
    map.finish();
    return server;
}

ClientUri read_uri(const YamlNode& node) {
    try {
        return ClientUri(node.text());
    } catch (const std::invalid_argument& error) {
        node.fail(error.what());
    }
}

std::string read_requirement(const YamlNode& node, const std::string& id, const Requirements& requirements) {
    if (!requirements.contains(id)) {
        std::vector<std::string> ids;
        for (const auto& [known, ignored] : requirements) {
            ids.push_back(known);
        }
        node.fail(fmt::format("there is no requirement '{}'{}", id, did_you_mean(id, ids)));
    }
    return id;
}

void read_requirements(YamlMap& map, const Requirements& requirements, ClientCase& made) {
    map.optional("tests", [&](const YamlNode& value) {
        for (const std::string& id : value.texts()) {
            made.tests.push_back(read_requirement(value, id, requirements));
            if (requirements.at(id).bound == Bound::server) {
                value.fail(fmt::format("the requirement '{}' binds servers, not clients", id));
            }
        }
    });
    map.optional("breaks", [&](const YamlNode& value) {
        made.breaks = read_requirement(value, value.text(), requirements);
        if (requirements.at(made.breaks).bound == Bound::client) {
            value.fail(fmt::format("the requirement '{}' binds clients, so that no server can break it",
                                   made.breaks));
        }
    });
}

/// Keys that mean nothing beside what the case wants.
void check_keys(const ClientCase& made, const YamlNode& node) {
    using Wants = ClientCase::Wants;
    if (made.tests.empty() && made.breaks.empty()) {
        node.fail("a case names what it 'tests', or what the server 'breaks'");
    }
    if (made.wants == Wants::tolerates && !made.breaks.empty()) {
        node.fail("nobody has to tolerate a server that breaks a requirement");
    }
    if (made.wants == Wants::rejects && made.server.fault.empty() && made.server.oddity.empty() &&
        made.uri.empty()) {
        node.fail("what is to be rejected is a 'fault' or an 'oddity' of the server, or a 'uri'");
    }
    if (made.wants == Wants::tolerates && made.may_wait) {
        node.fail("a client that waits for ever tolerates nothing");
    }
    if (made.wants == Wants::rejects && made.output != ClientCase::Output::any) {
        node.fail("'output' is looked at where the client may succeed");
    }
    if (made.wants != Wants::tolerates && !(made.may_skip.empty() && made.may_need.empty())) {
        node.fail("'may-skip' and 'may-need' are for clients that have to tolerate something");
    }
    if (made.wants != Wants::rejects && made.may_reconnect) {
        node.fail("'may-reconnect' is for clients that have to reject something");
    }
}

ClientCase read_case(const YamlNode& node, const std::string& section, const Requirements& requirements) {
    using Wants = ClientCase::Wants;
    constexpr std::pair<std::string_view, Wants> wants[] = {{"tolerates", Wants::tolerates},
                                                            {"rejects", Wants::rejects},
                                                            {"survives", Wants::survives},
                                                            {"reports", Wants::reports}};
    constexpr std::pair<std::string_view, ClientCase::Output> outputs[] = {
        {"as-usual", ClientCase::Output::as_usual},
        {"nothing-else", ClientCase::Output::nothing_else},
        {"data", ClientCase::Output::data}};
    YamlMap map = node.map();
    ClientCase made;
    made.position = node.position();
    made.section = section;
    const YamlNode name_node = map.required("case");
    made.name = name_node.text();
    check_name(made.name, name_node, false);
    made.title = map.required("title").text();
    read_requirements(map, requirements, made);
    map.optional("server", [&](const YamlNode& value) { made.server = read_server(value); });
    map.optional("uri", [&](const YamlNode& value) { made.uri = read_uri(value); });
    map.optional("may-send", [&](const YamlNode& value) { made.may_send = read_asked(value); });
    map.optional("usual", [&](const YamlNode& value) {
        made.usual = read_server(value);
        if (*made.usual != made.usual->well_behaved()) {
            value.fail_at_key("a server that the client is compared on has no fault and no oddity");
        }
    });
    map.optional("connections",
                 [&](const YamlNode& value) { made.connections = static_cast<std::size_t>(value.number()); });
    map.optional("may-not-send", [&](const YamlNode& value) { made.may_not_send = read_asked(value); });
    map.optional("still-sends", [&](const YamlNode& value) { made.still_sends = read_asked(value); });
    map.optional("bites", [&](const YamlNode& value) { made.bites = read_asked(value); });
    made.wants = read_word(map.required("client"), wants);
    map.optional("output", [&](const YamlNode& value) { made.output = read_word(value, outputs); });
    map.optional("may-skip", [&](const YamlNode& value) { made.may_skip = read_asked(value); });
    map.optional("may-need", [&](const YamlNode& value) { made.may_need = read_asked(value); });
    map.optional("may-wait", [&](const YamlNode& value) { made.may_wait = value.boolean(); });
    map.optional("may-reconnect", [&](const YamlNode& value) { made.may_reconnect = value.boolean(); });
    map.optional("ambiguous", [&](const YamlNode& value) { made.ambiguous = value.text(); });
    map.finish();
    check_keys(made, node);
    return made;
}

} // namespace

bool ClientCase::about_resize() const {
    constexpr std::string_view draft = "RZ-";
    return breaks.starts_with(draft) ||
           std::ranges::any_of(tests, [&](const std::string& id) { return id.starts_with(draft); });
}

ClientServer ClientServer::well_behaved() const {
    ClientServer other = *this;
    other.fault.clear();
    other.oddity.clear();
    return other;
}

std::string ClientServer::describe() const {
    const ClientServer usual;
    std::vector<std::string> parts;
    if (!fault.empty()) {
        parts.push_back("--fault " + fault);
    }
    if (!oddity.empty()) {
        parts.push_back("--oddity " + oddity);
    }
    if (!options.empty()) {
        parts.push_back(fmt::format("{}", fmt::join(options, " ")));
    }
    if (!export_name.empty()) {
        parts.push_back(fmt::format("export '{:.40}'", export_name));
    }
    if (size != usual.size) {
        parts.push_back(fmt::format("size {}", size));
    }
    if (content != usual.content) {
        parts.emplace_back(content == Content::sparse   ? "sparse"
                           : content == Content::zeroes ? "zeroes"
                                                        : "cut");
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

const char* name(ClientCase::Wants wants) {
    switch (wants) {
    case ClientCase::Wants::tolerates:
        return "tolerates";
    case ClientCase::Wants::rejects:
        return "rejects";
    case ClientCase::Wants::reports:
        return "reports";
    case ClientCase::Wants::survives:
        break;
    }
    return "survives";
}

void load_client_cases(const YamlNode& document, const Requirements& requirements,
                       std::vector<ClientCase>& into) {
    YamlMap top = document.map();
    const std::string section = top.required("section").text();
    for (const YamlNode& node : top.required("cases").list()) {
        ClientCase made = read_case(node, section, requirements);
        if (std::ranges::find(into, made.name, &ClientCase::name) != into.end()) {
            node.fail(fmt::format("there is a second case '{}'", made.name));
        }
        into.push_back(std::move(made));
    }
    top.finish();
}

} // namespace harness::check
