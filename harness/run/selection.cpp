#include "harness/run/selection.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace harness {

std::string Case::id() const {
    return fmt::format("{}/{}/{}", label(server_peer->name, server->name),
                       label(client_peer->name, client->name), scenario->name);
}

namespace {

bool selected(const std::vector<std::string>& patterns, const std::string& peer, const std::string& variant) {
    return patterns.empty() || std::ranges::any_of(patterns, [&](const std::string& pattern) {
               return selects(pattern, peer, variant);
           });
}

/// Every pattern has to select something.
void check_peer_patterns(const Catalogue& catalogue, const std::vector<std::string>& patterns,
                         const std::string& role) {
    for (const std::string& pattern : patterns) {
        std::vector<std::string> labels;
        bool found = false;
        for (const Peer& peer : catalogue.peers) {
            if (peer.role != role) {
                continue;
            }
            for (const std::string& variant : peer.variant_names()) {
                labels.push_back(label(peer.name, variant));
                found = found || selects(pattern, peer.name, variant);
            }
        }
        if (!found) {
            throw SelectionError(fmt::format("no {} matches '{}'{}; 'nbd-interop list peers' shows them",
                                             role, pattern, did_you_mean(pattern, labels)));
        }
    }
}

void check_scenario_patterns(const Catalogue& catalogue, const std::vector<std::string>& patterns) {
    for (const std::string& pattern : patterns) {
        std::vector<std::string> names;
        for (const Scenario& scenario : catalogue.scenarios) {
            names.push_back(scenario.name);
        }
        if (std::ranges::none_of(names, [&](const std::string& name) { return glob_match(pattern, name); })) {
            throw SelectionError(
                fmt::format("no scenario matches '{}'{}; 'nbd-interop list scenarios' shows them", pattern,
                            did_you_mean(pattern, names)));
        }
    }
}

/// Do these two meet in a star of pairs?
bool in_star(const Peer& server_peer, const ServerVariant& server, const Peer& client_peer,
             const ClientVariant& client) {
    const bool plain_server = &server == &server_peer.servers.front();
    const bool plain_client = &client == &client_peer.clients.front();
    return plain_server || (plain_client && !client_peer.plain_servers_only);
}

} // namespace

std::vector<Case> make_cases(const Catalogue& catalogue, const Selection& selection) {
    check_peer_patterns(catalogue, selection.servers, "server");
    check_peer_patterns(catalogue, selection.clients, "client");
    check_scenario_patterns(catalogue, selection.scenarios);

    std::vector<Case> cases;
    for (const Peer& server_peer : catalogue.peers) {
        if (server_peer.on_demand && selection.servers.empty()) {
            continue;
        }
        for (const ServerVariant& server : server_peer.servers) {
            if (!selected(selection.servers, server_peer.name, server.name)) {
                continue;
            }
            for (const Peer& client_peer : catalogue.peers) {
                if (client_peer.on_demand && selection.clients.empty()) {
                    continue;
                }
                for (const ClientVariant& client : client_peer.clients) {
                    if ((selection.pairs == Pairs::star &&
                         !in_star(server_peer, server, client_peer, client)) ||
                        !selected(selection.clients, client_peer.name, client.name)) {
                        continue;
                    }
                    for (const Scenario& scenario : catalogue.scenarios) {
                        if (selection.scenarios.empty() ||
                            std::ranges::any_of(selection.scenarios, [&](const std::string& pattern) {
                                return glob_match(pattern, scenario.name);
                            })) {
                            cases.push_back({&server_peer, &server, &client_peer, &client, &scenario});
                        }
                    }
                }
            }
        }
    }
    if (cases.empty()) {
        throw SelectionError(
            "nothing is left to run: the server and the client that are selected only meet with "
            "--pairs all");
    }
    return cases;
}

namespace {

std::string inexpressible_step(const Case& item, const Step& step) {
    const Peer& peer = *item.client_peer;
    const std::string operation = name(step.kind);
    // A program opens a connection for every operation and closes it at its end.
    const bool implied = peer.kind != ClientKind::driver &&
                         (step.kind == StepKind::disconnect || step.kind == StepKind::connect);
    if (!implied && !peer.operations.contains(operation)) {
        return fmt::format("{} has no '{}'", peer.name, operation);
    }
    if (peer.kind == ClientKind::program && step.abrupt) {
        return fmt::format("{} cannot leave abruptly", peer.name);
    }
    const bool maps_all = step.kind == StepKind::map &&
                          step.offset.evaluate(item.scenario->setup.size) == 0 &&
                          step.length.evaluate(item.scenario->setup.size) == item.scenario->setup.size;
    const bool whole = step.whole || maps_all;
    const auto form = peer.templates.find(operation);
    for (const std::string& flag : step.flags) {
        const bool known = peer.kind == ClientKind::driver
                               ? peer.flags.contains(flag)
                               : form != peer.templates.end() && form->second.flags.contains(flag);
        if (!known) {
            return fmt::format("{} has no '{}' with the flag '{}'", peer.name, operation, flag);
        }
    }
    if (peer.kind != ClientKind::driver && (step.count > 1 || !step.background.empty())) {
        return fmt::format("{} cannot be told to have several requests in flight", peer.name);
    }
    if (form != peer.templates.end() && form->second.whole && !whole) {
        return fmt::format("{} can only '{}' the whole export", peer.name, operation);
    }
    return {};
}

} // namespace

std::string inexpressible(const Case& item) {
    const Scenario& scenario = *item.scenario;
    if (!item.client->cannot.empty()) {
        return item.client->cannot;
    }
    for (const Step& step : scenario.steps) {
        if (is_client_operation(step.kind)) {
            if (std::string why = inexpressible_step(item, step); !why.empty()) {
                return why;
            }
        }
    }
    if (const std::string why = unmet(scenario.client_needs, item.client->traits); !why.empty()) {
        return fmt::format("{}: {}", item.client_peer->name, why);
    }
    return {};
}

} // namespace harness
