#pragma once

// The suite of the qcow2 stacks as data (scenarios/stacks/): who parses the image in a stack, on which
// servers it stands, and by which programs the image is worked on.

#include "harness/catalogue/catalogue.hpp"
#include "harness/knobs/knobs.hpp"
#include "harness/stacks/mounted_export.hpp"
#include "harness/stacks/scenario.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace harness {

/// A way to use a qcow2 image over NBD.
struct Stack {
    std::string name; ///< "a"
    std::string title;
    std::string format;               ///< in which the client sees the export: "raw" or "qcow2"
    Image image = Image::raw;         ///< what the server serves
    std::vector<std::string> into;    ///< words for a program that copies into the export
    bool as_file = false;             ///< the client has the export as a file, by the suite's bridge
    std::vector<std::string> servers; ///< names of peers
};

/// A program that does one step and ends.
struct Tool {
    CommandTemplate run;
    std::map<int, std::string> exits; ///< what an exit status other than 0 means; else the words on stderr do
    std::string finds;                ///< must match what it says, if not empty …
    std::string otherwise;            ///< … else this is what has come
};

/// A process with a QMP monitor that has the disk open and exports it again. Each entry is a command in JSON,
/// or the name of an event to wait for; all are carried out, and the first error counts.
struct Daemon {
    CommandTemplate start;
    std::string network; ///< {node} where the export is on the network …
    std::string file;    ///< … and where it is a file
    std::map<ActionKind, std::vector<std::string>> commands; ///< open, close, snapshot, bitmap, resize
};

/// A client: the process that has the disk open.
struct StackClient {
    Peer peer;                    ///< its name, title and version
    Peer io;                      ///< what reads and writes: itself, or what stands on the daemon's export
    std::optional<Daemon> daemon; ///< nothing: `io` has the disk open itself
};

/// One stack on one server and one client. The pointers are into the suite.
struct StackCase {
    const Stack* stack = nullptr;
    const Peer* server_peer = nullptr;
    const ServerVariant* server = nullptr; ///< null: the server has no such image
    const StackClient* client = nullptr;
    const StackScenario* scenario = nullptr;

    /// "b-fill": the stack is a part of the scenario's name.
    [[nodiscard]] std::string scenario_name() const;
    /// "qemu-nbd+qcow2/qemu-io/a-fill"
    [[nodiscard]] std::string id() const;
    /// What the tables of the scenario are over.
    [[nodiscard]] Facts facts() const;
};

/// A server that grows, each variant of which is a configuration of the knobs.
struct GrowingServer {
    std::string name;  ///< of the peer
    std::string title; ///< of its table
    std::string about;
};

/// Cases that are taken where the run is to be short: those that match all of these.
struct BriefPart {
    std::vector<std::string> scenarios; ///< patterns of scenario_name()
    std::vector<std::string> servers;   ///< patterns as elsewhere
    std::vector<std::string> clients;
};

/// The suite.
struct StackSuite {
    std::string name;       ///< "qcow2-stacks"
    std::string brief_name; ///< "qcow2-stacks-brief"
    std::vector<GrowingServer> growing;
    Bridge bridge; ///< how an export becomes a file
    std::vector<Stack> stacks;
    std::vector<StackClient> clients;
    std::map<ActionKind, Tool> tools;
    std::vector<StackScenario> scenarios;
    std::vector<BriefPart> brief;
    Catalogue catalogue; ///< servers and clients as peers, requirements, deviations

    /// True if each variant of this server is a configuration.
    [[nodiscard]] bool is_growing(const std::string& server) const;
};

/// The fact that tells in which stack a case is, and the one that tells who has the disk open.
inline constexpr const char* stack_fact = "stack";
inline constexpr const char* program_fact = "program";

/// Reads the suite in a folder. Throws CatalogueError with file, line and column.
[[nodiscard]] StackSuite load_stack_suite(const std::filesystem::path& folder, const Catalogue& base,
                                          const Knobs& knobs);

/// All cases of a suite, or those of its brief part. The suite has to outlive them.
[[nodiscard]] std::vector<StackCase> stack_cases(const StackSuite& suite, bool brief);

} // namespace harness
