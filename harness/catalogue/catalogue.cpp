#include "harness/catalogue/catalogue.hpp"

#include "harness/catalogue/glob.hpp"
#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace harness {
namespace fs = std::filesystem;

const Peer* Catalogue::peer(const std::string& name, const std::string& role) const {
    const auto found =
        std::ranges::find_if(peers, [&](const Peer& peer) { return peer.name == name && peer.role == role; });
    return found == peers.end() ? nullptr : &*found;
}

void check_deviations(const Catalogue& catalogue) {
    for (const Deviation& deviation : catalogue.deviations) {
        for (const auto& [patterns, role] :
             {std::pair(&deviation.peers, deviation.role),
              std::pair(&deviation.others, std::string(deviation.role == "server" ? "client" : "server"))}) {
            for (const std::string& pattern : *patterns) {
                const bool found = std::ranges::any_of(catalogue.peers, [&](const Peer& peer) {
                    const auto variants = peer.variant_names();
                    return peer.role == role &&
                           std::ranges::any_of(variants, [&](const std::string& variant) {
                               return selects(pattern, peer.name, variant);
                           });
                });
                if (!found) {
                    throw CatalogueError(
                        deviation.position,
                        fmt::format("the deviation '{}' speaks of the {} '{}', which there is not",
                                    deviation.id, role, pattern));
                }
            }
        }
        for (const std::string& pattern : deviation.scenarios) {
            if (std::ranges::none_of(catalogue.scenarios, [&](const Scenario& scenario) {
                    return glob_match(pattern, scenario.name);
                })) {
                throw CatalogueError(
                    deviation.position,
                    fmt::format("the deviation '{}' speaks of the scenario '{}', which there is not",
                                deviation.id, pattern));
            }
        }
    }
}

Catalogue load_catalogue(const fs::path& directory) {
    if (!fs::is_directory(directory)) {
        throw CatalogueError({directory, 0, 0}, "there is no such folder; --scenarios names a catalogue");
    }
    Catalogue catalogue;
    catalogue.directory = directory;

    YamlMap facts = YamlNode::load(directory / "facts.yaml").map();
    const YamlNode probe = facts.required("probe");
    catalogue.facts = FactVocabulary::load(facts.required("facts"));
    facts.finish();

    for (const fs::path& file : yaml_files(directory / "requirements")) {
        load_requirements(YamlNode::load(file), catalogue.requirements);
    }
    for (const fs::path& file : yaml_files(directory / "peers")) {
        const YamlNode document = YamlNode::load(file);
        Peer peer = load_peer(document, catalogue.facts);
        if (catalogue.peer(peer.name, peer.role) != nullptr) {
            document.fail(fmt::format("the {} '{}' is defined a second time", peer.role, peer.name));
        }
        catalogue.peers.push_back(std::move(peer));
    }
    const Peer* probing = catalogue.peer(probe.text(), "client");
    if (probing == nullptr || probing->kind != ClientKind::driver) {
        probe.fail(fmt::format("the probe '{}' is not the name of a client with a driver", probe.text()));
    }
    catalogue.prober = std::make_shared<const Peer>(*probing);
    for (const Peer& peer : catalogue.peers) {
        for (const auto& [requirement, reason] : peer.excused) {
            if (!catalogue.requirements.contains(requirement)) {
                throw CatalogueError(
                    {peer.file, 0, 0},
                    fmt::format("'excused' names the requirement '{}', which is not in the catalogue",
                                requirement));
            }
        }
    }

    std::map<std::string, Position> seen;
    for (const fs::path& file : yaml_files(directory / "interop")) {
        for (Scenario& scenario :
             load_scenarios(YamlNode::load(file), catalogue.facts, catalogue.requirements)) {
            const auto [first, fresh] = seen.emplace(scenario.name, scenario.position);
            if (!fresh) {
                throw CatalogueError(scenario.position,
                                     fmt::format("the scenario '{}' is already defined at {}", scenario.name,
                                                 first->second.describe()));
            }
            catalogue.scenarios.push_back(std::move(scenario));
        }
    }

    if (fs::exists(directory / "deviations.yaml")) {
        catalogue.deviations =
            load_deviations(YamlNode::load(directory / "deviations.yaml"), catalogue.requirements);
        check_deviations(catalogue);
    }
    return catalogue;
}

} // namespace harness
