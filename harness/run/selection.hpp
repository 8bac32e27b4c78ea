#pragma once

#include "harness/catalogue/catalogue.hpp"
#include "harness/catalogue/glob.hpp"

#include <memory>
#include <string>
#include <vector>

namespace harness {

/// Which servers meet which clients.
enum class Pairs {
    star, ///< every variant of a client meets the default variant of each server, and the other way round,
          ///< but for slow clients (`plain-servers-only`), which meet no other server than those
    all,  ///< every variant meets every variant
};

/// What the user asked for; an empty list takes everything.
struct Selection {
    std::vector<std::string> servers;
    std::vector<std::string> clients;
    std::vector<std::string> scenarios;
    Pairs pairs = Pairs::star;
};

/// One scenario on one server and one client. The pointers are into the catalogue.
struct Case {
    const Peer* server_peer = nullptr;
    const ServerVariant* server = nullptr;
    const Peer* client_peer = nullptr;
    const ClientVariant* client = nullptr;
    const Scenario* scenario = nullptr;

    /// "nbdkit+no-sr/libnbd/read-past-end": unique in a catalogue.
    [[nodiscard]] std::string id() const;
};

/// The selection asks for something that the catalogue does not have.
class SelectionError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The cases of a selection, by server, client and scenario as in the catalogue. Throws SelectionError for a
/// pattern that matches nothing.
[[nodiscard]] std::vector<Case> make_cases(const Catalogue& catalogue, const Selection& selection);

/// Why this client can never carry out this scenario, whatever the server: "nbdinfo has no 'write'"; empty if
/// it can.
[[nodiscard]] std::string inexpressible(const Case& item);

} // namespace harness
