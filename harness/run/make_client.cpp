#include "harness/run/make_client.hpp"

#include "harness/catalogue/placeholders.hpp"
#include "harness/peers/driver_client.hpp"
#include "harness/peers/program_client.hpp"
#include "harness/peers/shell_client.hpp"

#include <fstream>

namespace harness {

std::unique_ptr<Client> make_client(const Peer& peer, const ClientVariant& variant, const RunPlace& place,
                                    const std::filesystem::path& logs, const std::string& uri, bool read_only,
                                    Deadline deadline) {
    Placeholders values;
    values.texts["bin"] = place.programs.string();
    values.texts["uri"] = uri;
    values.lists["args"] = variant.args;
    values.lists["read-only"] = read_only ? variant.read_only : std::vector<std::string>{};
    switch (peer.kind) {
    case ClientKind::driver: {
        Launch launch;
        // A driver is told the URI with each step, so the word {uri} in its arguments is the driver's own.
        Placeholders own = values;
        own.texts["uri"] = "{uri}";
        launch.argv = expand(variant.start, own);
        launch.env = variant.env;
        launch.log = logs / "client.log";
        std::ofstream(logs / "client-commands.txt", std::ios::app) << launch.command_line() << '\n';
        return std::make_unique<DriverClient>(launch, peer.operations, logs / "client.jsonl", deadline);
    }
    case ClientKind::program:
        return std::make_unique<ProgramClient>(peer, variant, values, logs);
    case ClientKind::shell:
        return std::make_unique<ShellClient>(peer, variant, values, logs);
    }
    return nullptr;
}

} // namespace harness
