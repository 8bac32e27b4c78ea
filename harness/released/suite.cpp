#include "harness/released/suite.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>

namespace harness {
namespace {

std::string role_of(Side side) {
    return side == Side::server ? "server" : "client";
}

Side other_side(Side side) {
    return side == Side::server ? Side::client : Side::server;
}

/// The knobs of a side as facts, which the variants have as traits.
void add_knob_facts(FactVocabulary& facts, const Knobs& knobs, Side side) {
    for (const Knob& knob : knobs.of(side)) {
        Fact fact;
        fact.name = knob_fact(knob);
        fact.role = role_of(side);
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

std::vector<Wish> read_wishes(const std::vector<std::string>& wanted, const Knobs& knobs, Side side) {
    std::vector<Wish> wishes;
    for (const std::string& text : wanted) {
        const auto equals = text.find('=');
        const std::string name = text.substr(0, equals);
        const auto all = knobs.of(side);
        const auto knob = std::ranges::find_if(
            all, [&](const Knob& candidate) { return candidate.name == name || candidate.id == name; });
        if (equals == std::string::npos || knob == all.end()) {
            throw SelectionError(
                fmt::format("--knob {}: released {}s have no knobs; write KNOB=VALUE with one of the {}'s",
                            text, role_of(other_side(side)), role_of(side)));
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

/// Which variant of the peer stands behind a configuration: by the value of one knob.
struct VariantPer {
    std::string knob;
    std::map<std::string, std::string> variants; ///< by the knob's value
};

VariantPer read_variant_per(const YamlNode& node, const Peer& peer, const Knobs& knobs, Side side) {
    YamlMap map = node.map();
    VariantPer per;
    const YamlNode knob_node = map.required("knob");
    per.knob = knob_node.text();
    const auto all = knobs.of(side);
    const auto knob = std::ranges::find(all, per.knob, &Knob::name);
    if (knob == all.end()) {
        knob_node.fail(fmt::format("the {} has no knob '{}'", role_of(side), per.knob));
    }
    const std::vector<std::string> names = peer.variant_names();
    YamlMap values = map.required("variants").map();
    for (const std::string& value : knob->values) {
        const YamlNode name = values.required(value);
        if (std::ranges::find(names, name.text()) == names.end()) {
            name.fail(fmt::format("the {} has no variant '{}'", role_of(side), name.text()));
        }
        per.variants[value] = name.text();
    }
    values.finish();
    map.finish();
    return per;
}

/// The variants of a peer, one for each configuration that is selected: the one behind it, as `finish` makes
/// it.
template <class Variant, class Finish>
std::vector<Variant> configured(const std::vector<Variant>& variants, const VariantPer& per,
                                const Knobs& knobs, Side side, const KnobSelection& selection,
                                const Finish& finish) {
    const std::vector<Wish> wishes = read_wishes(selection.wanted, knobs, side);
    std::vector<Variant> result;
    std::size_t met = 0;
    for (std::size_t i = 0; i < knobs.configurations(side).size(); ++i) {
        const bool wanted = std::ranges::all_of(
            wishes, [&](const Wish& wish) { return knobs.value(side, i, wish.knob) == wish.value; });
        if (!wanted || met++ % selection.every != 0) {
            continue;
        }
        Variant variant =
            *std::ranges::find(variants, per.variants.at(knobs.value(side, i, per.knob)), &Variant::name);
        variant.name = knobs.text(side, i);
        for (const Knob& each : knobs.of(side)) {
            variant.traits[knob_fact(each)] = knobs.value(side, i, each.name);
        }
        finish(variant, i);
        result.push_back(std::move(variant));
    }
    if (result.empty()) {
        throw SelectionError("no configuration has all of these knobs");
    }
    return result;
}

/// Makes a server's variants: the configuration is the name of the export.
void configure_server(Peer& peer, const VariantPer& per, const Knobs& knobs, const std::string& export_keys,
                      const KnobSelection& selection) {
    std::string keys = export_keys;
    for (const std::string& fault : selection.faults) {
        keys += ",fault=" + fault;
    }
    peer.servers = configured(peer.servers, per, knobs, Side::server, selection,
                              [&](ServerVariant& variant, std::size_t /*configuration*/) {
                                  variant.export_name = variant.name + "," + keys;
                              });
}

/// One more configured client: what each value of each knob is for it.
struct PartlyConfigured {
    struct Value {
        std::vector<std::string> args; ///< options of its program
        std::string lacks;             ///< or why it has no such thing
    };
    Peer peer;
    std::map<std::string, std::map<std::string, Value>> knobs; ///< by name and value
};

PartlyConfigured read_more(const YamlNode& node, const std::filesystem::path& folder, const Knobs& knobs,
                           const FactVocabulary& facts) {
    YamlMap map = node.map();
    PartlyConfigured more;
    const YamlNode file = map.required("peer");
    more.peer = load_peer(YamlNode::load(folder / file.text()), facts);
    if (more.peer.role != role_of(Side::client)) {
        file.fail("this peer is no client");
    }
    YamlMap by_knob = map.required("knobs").map();
    for (const Knob& knob : knobs.of(Side::client)) {
        YamlMap values = by_knob.required(knob.name).map();
        for (const std::string& value : knob.values) {
            const YamlNode what = values.required(value);
            PartlyConfigured::Value& entry = more.knobs[knob.name][value];
            if (what.is_list()) {
                entry.args = what.texts();
            } else {
                entry.lacks = what.text();
            }
        }
        values.finish();
    }
    by_knob.finish();
    map.finish();
    return more;
}

/// Makes its variants; one that lacks something cannot take part, and says why.
Peer configured(const PartlyConfigured& more, const Knobs& knobs, const KnobSelection& selection) {
    Peer peer = more.peer;
    VariantPer same;
    const Knob& any = knobs.of(Side::client).front();
    same.knob = any.name;
    for (const std::string& value : any.values) {
        same.variants[value] = peer.clients.front().name;
    }
    peer.clients =
        configured(peer.clients, same, knobs, Side::client, selection,
                   [&](ClientVariant& variant, std::size_t configuration) {
                       for (const Knob& knob : knobs.of(Side::client)) {
                           const auto& value = more.knobs.at(knob.name).at(
                               knobs.value(Side::client, configuration, knob.name));
                           variant.args.insert(variant.args.end(), value.args.begin(), value.args.end());
                           if (variant.cannot.empty()) {
                               variant.cannot = value.lacks;
                           }
                       }
                   });
    return peer;
}

/// Makes a client's variants: the configuration is options of the program, --KNOB=VALUE.
void configure_client(Peer& peer, const VariantPer& per, const Knobs& knobs, const KnobSelection& selection) {
    peer.clients =
        configured(peer.clients, per, knobs, Side::client, selection,
                   [&](ClientVariant& variant, std::size_t configuration) {
                       for (const Knob& knob : knobs.of(Side::client)) {
                           variant.args.push_back(fmt::format(
                               "--{}={}", knob.name, knobs.value(Side::client, configuration, knob.name)));
                       }
                       for (const std::string& fault : selection.faults) {
                           variant.args.push_back("--fault=" + fault);
                       }
                   });
}

Side read_side(const YamlNode& node) {
    if (node.text() != "server" && node.text() != "client") {
        node.fail("the side that is configured is server or client");
    }
    return node.text() == "server" ? Side::server : Side::client;
}

/// Refuses patterns that select no released peer.
void check_released(const YamlNode& patterns, const Catalogue& catalogue, Side side) {
    for (const YamlNode& node : patterns.list()) {
        const std::string pattern = node.text();
        const bool known = std::ranges::any_of(catalogue.peers, [&](const Peer& peer) {
            const std::vector<std::string> names = peer.variant_names();
            return peer.role == role_of(side) && std::ranges::any_of(names, [&](const std::string& variant) {
                       return selects(pattern, peer.name, variant);
                   });
        });
        if (!known) {
            node.fail(fmt::format("no {} is '{}'", role_of(side), pattern));
        }
    }
}

} // namespace

std::string knob_fact(const Knob& knob) {
    return "knob." + knob.name;
}

ReleasedSuite load_released_suite(const std::filesystem::path& file, const Catalogue& base,
                                  const Knobs& knobs, const KnobSelection& selection) {
    YamlMap map = YamlNode::load(file).map();
    ReleasedSuite suite;
    suite.name = map.required("suite").text();
    suite.title = map.required("title").text();
    suite.about = map.required("about").text();
    suite.configured = read_side(map.required("configured"));
    const Side side = suite.configured;
    suite.catalogue = base;
    add_knob_facts(suite.catalogue.facts, knobs, side);

    const YamlNode peer_file = map.required("peer");
    Peer peer = load_peer(YamlNode::load(file.parent_path() / peer_file.text()), suite.catalogue.facts);
    if (peer.role != role_of(side)) {
        peer_file.fail(fmt::format("this peer is no {}", role_of(side)));
    }
    const VariantPer per = read_variant_per(map.required("variant-per"), peer, knobs, side);
    if (side == Side::server) {
        configure_server(peer, per, knobs, map.required("export").text(), selection);
    } else {
        configure_client(peer, per, knobs, selection);
    }
    std::vector<Peer> peers{std::move(peer)};
    map.optional("more", [&](const YamlNode& list) {
        if (side != Side::client) {
            list.fail_at_key("only clients can have a part of the knobs");
        }
        for (const YamlNode& node : list.list()) {
            const PartlyConfigured more = read_more(node, file.parent_path(), knobs, suite.catalogue.facts);
            // Faults are the reference's.
            if (selection.faults.empty()) {
                peers.push_back(configured(more, knobs, selection));
            }
        }
    });
    for (const Peer& each : peers) {
        suite.peers.push_back(each.name);
    }
    std::erase_if(suite.catalogue.peers, [&](const Peer& other) { return other.role == role_of(side); });

    map.optional("others", [&](const YamlNode& names) {
        suite.catalogue.peers.clear();
        for (const YamlNode& name : names.list()) {
            suite.catalogue.peers.push_back(
                load_peer(YamlNode::load(file.parent_path() / name.text()), suite.catalogue.facts));
            if (suite.catalogue.peers.back().role != role_of(other_side(side))) {
                name.fail(fmt::format("this peer is no {}", role_of(other_side(side))));
            }
        }
    });
    const YamlNode released = map.required("released");
    suite.released = released.texts();
    check_released(released, suite.catalogue, other_side(side));
    suite.catalogue.scenarios =
        load_scenarios(YamlNode::load(file.parent_path() / map.required("scenarios").text()),
                       suite.catalogue.facts, suite.catalogue.requirements);
    suite.catalogue.peers.insert(suite.catalogue.peers.begin(), std::make_move_iterator(peers.begin()),
                                 std::make_move_iterator(peers.end()));
    suite.catalogue.deviations.clear();
    map.optional("deviations", [&](const YamlNode& name) {
        suite.catalogue.deviations =
            load_deviations(YamlNode::load(file.parent_path() / name.text()), suite.catalogue.requirements);
        check_deviations(suite.catalogue);
    });
    map.finish();
    return suite;
}

} // namespace harness
