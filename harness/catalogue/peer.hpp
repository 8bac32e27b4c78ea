#pragma once

// Peers as data: how to find, start, talk to and stop a server or a client.

#include "harness/catalogue/facts.hpp"
#include "harness/catalogue/version_range.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace harness {

class YamlNode;

/// A command as a peer file writes it: words with {placeholders}. A word that is nothing but the placeholder
/// of a list, such as "{args}", becomes as many words as the list has.
using CommandTemplate = std::vector<std::string>;

/// How a peer's version is found out.
struct VersionProbe {
    CommandTemplate run;
    std::string match; ///< a regular expression; its first group is the version
};

/// How clients reach a server.
enum class Listen {
    socket_activation, ///< the harness listens on a Unix socket and passes it as descriptor 3 (systemd's way)
    unix_socket,       ///< the server makes {socket} itself
    tcp,               ///< the server listens on {port} of 127.0.0.1
};

/// What the server's disk is made from before it starts.
enum class Image {
    none,  ///< the server keeps the export in memory; it begins as zeroes
    raw,   ///< {image} is a raw file
    qcow2, ///< {image} is a qcow2 file
};

/// One way to run a server: the peer file's defaults with a variant's changes.
struct ServerVariant {
    std::string name;
    std::string about;     ///< what is special about it, for people
    VersionRange versions; ///< of the peer that have this variant
    CommandTemplate start;
    CommandTemplate behind;              ///< started before it, listens at {behind}; empty for none
    std::vector<std::string> args;       ///< {args}
    std::vector<std::string> parameters; ///< {parameters}, for what has to come later in the command
    /// {read-only} where the export is to be read-only; nothing if the server has no such switch.
    std::optional<std::vector<std::string>> read_only;
    std::vector<std::string> writable; ///< {read-only} where it is not
    std::map<std::string, std::string> env;
    std::map<std::string, std::string> files; ///< name -> contents; the command has it as {file:NAME}
    Listen listen = Listen::unix_socket;
    bool reuse = false;  ///< opens its image for each client, so that one process can serve several cases
    bool daemon = false; ///< leaves its process group, so that it has to be found by its mark to be killed
    Image image = Image::raw;
    std::string export_name; ///< the name that the server gives its export
    Facts traits;
};

/// A regular expression that says that an operation of a program failed, with its message in group 1.
struct OutputRule {
    std::string success; ///< must match the output, if not empty
    std::string failure; ///< matches the output of a failure, if not empty
};

/// How a field of an operation's result is found in a program's JSON output.
struct JsonField {
    std::string pointer;         ///< RFC 6901
    std::optional<unsigned> bit; ///< take that bit of a number
    bool negate = false;
};

/// How the result of an operation is read from a program's standard output.
struct ResultTemplate {
    std::map<std::string, JsonField> fields; ///< "size", "export", "block.minimum", …
    std::map<std::string, JsonField> flags;  ///< transmission flags by the names of the driver protocol
    /// For `list` and `map`: the pointer to the array, and the fields of its elements.
    std::optional<std::string> items;
    std::map<std::string, JsonField> item;
    /// For `read`: the output is a hex dump, the bytes are group 1 of this regular expression in each line.
    std::string hexdump;
    std::string size_match; ///< for `info`: a regular expression whose group 1 is the size in bytes
};

/// How a client that is a program carries out one operation.
struct OperationTemplate {
    CommandTemplate run;                      ///< for `program`: the command
    std::string send;                         ///< for `shell`: the line
    std::map<std::string, std::string> flags; ///< what {flags} holds for a flag of the driver protocol
    bool whole = false;                       ///< only the whole export in one go
    OutputRule output;
    ResultTemplate result;
};

/// What kind of client a peer is.
enum class ClientKind {
    driver,  ///< speaks the driver protocol
    program, ///< one process per operation
    shell,   ///< one process per connection, a command per line
};

/// One way to run a client.
struct ClientVariant {
    std::string name;
    std::string about;
    VersionRange versions; ///< of the peer that have this variant
    CommandTemplate start; ///< driver and shell
    std::vector<std::string> args;
    std::vector<std::string> read_only; ///< {read-only} where the export is read-only
    std::map<std::string, std::string> env;
    Facts traits;
    std::string cannot; ///< why it cannot take part at all; empty if it can
};

/// A server or a client under test.
struct Peer {
    std::string name;
    std::string role; ///< "server" or "client"
    std::string title;
    VersionProbe version;
    std::filesystem::path file;

    std::vector<ServerVariant> servers; ///< the variants of a server
    std::vector<ClientVariant> clients; ///< the variants of a client

    /// Requirements that are not held against this peer on the wire, since it is the harness that makes it
    /// break them, with the reasons.
    std::map<std::string, std::string> excused;
    bool on_demand = false;          ///< takes part in the suite interop only where it is named
    bool plain_servers_only = false; ///< a slow client: in a star of pairs it meets the default variants only
    ClientKind kind = ClientKind::driver;
    std::string prompt;                                 ///< shell: what ends the output of a command
    std::set<std::string> operations;                   ///< what the client can express
    std::set<std::string> flags;                        ///< driver: the flags that it knows
    std::map<std::string, OperationTemplate> templates; ///< program and shell, by operation

    /// The names of the variants.
    [[nodiscard]] std::vector<std::string> variant_names() const;
};

/// The operations of the driver protocol that a client can have.
[[nodiscard]] const std::vector<std::string>& client_operations();

/// Reads a peer file.
[[nodiscard]] Peer load_peer(const YamlNode& document, const FactVocabulary& facts);

} // namespace harness
