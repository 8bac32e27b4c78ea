#include "harness/released/client_suite.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace harness {
namespace {

/// The server's knobs as facts, which the variants have as traits.
void add_knob_facts(FactVocabulary& facts, const Knobs& knobs) {
    for (const Knob& knob : knobs.of(Side::server)) {
        Fact fact;
        fact.name = knob_fact(knob);
        fact.role = "server";
        fact.meaning = knob.says;
        fact.values = knob.values;
        facts.add(std::move(fact));
    }
}

/// A knob and the value that the user wants.
struct Wish {
    std::string knob;
    std::string value;
};

std::vector<Wish> read_wishes(const std::vector<std::string>& wanted, const Knobs& knobs) {
    std::vector<Wish> wishes;
    for (const std::string& text : wanted) {
        const auto equals = text.find('=');
        const std::string name = text.substr(0, equals);
        const auto all = knobs.of(Side::server);
        const auto knob = std::ranges::find_if(
            all, [&](const Knob& candidate) { return candidate.name == name || candidate.id == name; });
        if (equals == std::string::npos || knob == all.end()) {
            throw SelectionError(fmt::format(
                "--knob {}: released clients have no knobs; write KNOB=VALUE with one of the server's",
                text));
        }
        const std::string value = text.substr(equals + 1);
        if (std::ranges::find(knob->values, value) == knob->values.end()) {
            throw SelectionError(fmt::format("--knob {}: the values of {} are {}", text, name,
                                             fmt::format("{}", fmt::join(knob->values, ", "))));
        }
        wishes.push_back({knob->name, value});
    }
    return wishes;
}

/// Which variant of the server stands behind a configuration: by the value of one knob.
struct VariantPer {
    std::string knob;
    std::map<std::string, const ServerVariant*> variants; ///< by the knob's value
};

VariantPer read_variant_per(const YamlNode& node, const std::vector<ServerVariant>& variants,
                            const Knobs& knobs) {
    YamlMap map = node.map();
    VariantPer per;
    const YamlNode knob_node = map.required("knob");
    per.knob = knob_node.text();
    const auto all = knobs.of(Side::server);
    const auto knob = std::ranges::find(all, per.knob, &Knob::name);
    if (knob == all.end()) {
        knob_node.fail(fmt::format("the server has no knob '{}'", per.knob));
    }
    YamlMap values = map.required("variants").map();
    for (const std::string& value : knob->values) {
        const YamlNode name = values.required(value);
        const auto variant = std::ranges::find(variants, name.text(), &ServerVariant::name);
        if (variant == variants.end()) {
            name.fail(fmt::format("the server has no variant '{}'", name.text()));
        }
        per.variants[value] = &*variant;
    }
    values.finish();
    map.finish();
    return per;
}

/// One variant for each configuration.
std::vector<ServerVariant> configured(const VariantPer& per, const Knobs& knobs,
                                      const std::string& export_keys, std::size_t every,
                                      const std::vector<Wish>& wishes) {
    std::vector<ServerVariant> result;
    std::size_t met = 0;
    for (std::size_t i = 0; i < knobs.configurations(Side::server).size(); ++i) {
        const bool wanted = std::ranges::all_of(
            wishes, [&](const Wish& wish) { return knobs.value(Side::server, i, wish.knob) == wish.value; });
        if (!wanted || met++ % every != 0) {
            continue;
        }
        ServerVariant variant = *per.variants.at(knobs.value(Side::server, i, per.knob));
        variant.name = knobs.text(Side::server, i);
        variant.export_name = variant.name + "," + export_keys;
        for (const Knob& each : knobs.of(Side::server)) {
            variant.traits[knob_fact(each)] = knobs.value(Side::server, i, each.name);
        }
        result.push_back(std::move(variant));
    }
    if (result.empty()) {
        throw SelectionError("no configuration has all of these knobs");
    }
    return result;
}

} // namespace

std::string knob_fact(const Knob& knob) {
    return "knob." + knob.name;
}

ClientSuite load_client_suite(const std::filesystem::path& file, const Catalogue& base, const Knobs& knobs,
                              std::size_t every, const std::vector<std::string>& wanted,
                              const std::vector<std::string>& faults) {
    YamlMap map = YamlNode::load(file).map();
    ClientSuite suite;
    suite.name = map.required("suite").text();
    suite.title = map.required("title").text();
    suite.catalogue = base;
    add_knob_facts(suite.catalogue.facts, knobs);

    const std::vector<Wish> wishes = read_wishes(wanted, knobs);
    const YamlNode server_file = map.required("server");
    Peer server = load_peer(YamlNode::load(file.parent_path() / server_file.text()), suite.catalogue.facts);
    if (server.role != "server") {
        server_file.fail("this peer is no server");
    }
    std::string export_keys = map.required("export").text();
    for (const std::string& fault : faults) {
        export_keys += ",fault=" + fault;
    }
    server.servers = configured(read_variant_per(map.required("variant-per"), server.servers, knobs), knobs,
                                export_keys, every, wishes);

    const YamlNode clients = map.required("clients");
    suite.clients = clients.texts();
    suite.catalogue.scenarios =
        load_scenarios(YamlNode::load(file.parent_path() / map.required("scenarios").text()),
                       suite.catalogue.facts, suite.catalogue.requirements);
    map.finish();

    std::erase_if(suite.catalogue.peers, [](const Peer& peer) { return peer.role == "server"; });
    for (const YamlNode& client : clients.list()) {
        const std::string pattern = client.text();
        const bool known = std::ranges::any_of(suite.catalogue.peers, [&](const Peer& peer) {
            return std::ranges::any_of(peer.clients, [&](const ClientVariant& variant) {
                return selects(pattern, peer.name, variant.name);
            });
        });
        if (!known) {
            client.fail(fmt::format("no client is '{}'", pattern));
        }
    }
    suite.catalogue.peers.insert(suite.catalogue.peers.begin(), std::move(server));
    return suite;
}

} // namespace harness
