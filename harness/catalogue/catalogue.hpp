#pragma once

#include "harness/catalogue/deviation.hpp"
#include "harness/catalogue/facts.hpp"
#include "harness/catalogue/peer.hpp"
#include "harness/catalogue/requirement.hpp"
#include "harness/catalogue/scenario.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace harness {

/// Everything that a directory of YAML says:
///
///     facts.yaml  deviations.yaml  peers/*.yaml  requirements/*.yaml  interop/*.yaml
struct Catalogue {
    std::filesystem::path directory;
    FactVocabulary facts;
    std::shared_ptr<const Peer> prober; ///< the client that tells the facts of handshakes
    Requirements requirements;
    std::vector<Peer> peers; ///< by name
    std::vector<Scenario> scenarios;
    std::vector<Deviation> deviations;

    /// The peer of that name and role, or null.
    [[nodiscard]] const Peer* peer(const std::string& name, const std::string& role) const;
};

/// Reads and checks a whole catalogue. Throws CatalogueError with file, line and column.
[[nodiscard]] Catalogue load_catalogue(const std::filesystem::path& directory);

/// Checks that its deviations speak of peers and scenarios that there are; throws CatalogueError.
void check_deviations(const Catalogue& catalogue);

} // namespace harness
