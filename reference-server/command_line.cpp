#include "reference-server/command_line.hpp"

#include "faults/by_name.hpp"
#include "faults/catalogue.hpp"
#include "reference-server/resize/knob_names.hpp"
#include "reference-server/session/strings.hpp"
#include "reference-server/sizes.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <iostream>
#include <limits>
#include <map>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace refserver {
namespace {

constexpr std::uint32_t largest_minimum_block = 65536;
constexpr unsigned default_io_threads = 4;
constexpr unsigned default_workers = 8;
constexpr std::size_t default_connections = 1024;

constexpr const char* footer =
    R"(SIZE is in bytes, or has a suffix: K, M, G, T, P, E or KiB, MiB, … for powers of 1024.

Examples:
  nbd-resize-server disk.img                       serve a file at nbd://localhost
  nbd-resize-server -r -U /tmp/nbd.sock disk.img   read-only, at nbd+unix:///?socket=/tmp/nbd.sock
  nbd-resize-server --memory 1GiB -x scratch       serve memory at nbd://localhost/scratch
  nbdinfo -- [ nbd-resize-server disk.img ]        started by the client (socket activation)
  nbd-resize-server --growth both --size 100M      memory that clients can resize
  nbd-resize-server --backend nbd:nbd+unix:///?socket=/tmp/inner --resize-with truncate:disk.img --growth both
                                                   the file that nbdkit serves at /tmp/inner, resized
  nbd-resize-server                                every configuration, by export name:
                                                   nbd://localhost/growth=both,learn=notify,size=1MiB,id=7

The export answers to its name and to the empty name, which means the default export. Other names are knobs,
KNOB=VALUE with commas between them, and each such name is a disk of its own in memory, made when the first client
comes and dropped some time after the last one left. The knobs are the options below that begin with --growth to
--smallest, without the dashes, and further
  read-only=yes     backend=file (a temporary one)     keep=yes (the disk stays)     id=ANYTHING (tells disks apart)
  fault=NAME        breaks a rule; --list-faults tells which there are
  oddity=NAME       does what is allowed, but unusual; --list-oddities tells what there is
What a name leaves out is as on the command line. Any other name is refused.

The control socket takes lines: 'resize EXPORT BYTES' changes a size behind the back of the clients and is answered
'ok' or 'error TEXT'; 'size EXPORT' is answered with the size in bytes.

The server stays in the foreground until SIGTERM or SIGINT, then answers the requests in progress (for at most
5 seconds), removes its Unix socket and exits.

Exit codes: 0 ended by a signal, 1 it could not serve (the message says why), 2 wrong usage.)";

/// The names for --without.
const std::map<std::string, bool Features::*>& feature_names() {
    static const std::map<std::string, bool Features::*> names{{"flush", &Features::flush},
                                                               {"fua", &Features::fua},
                                                               {"trim", &Features::trim},
                                                               {"write-zeroes", &Features::write_zeroes},
                                                               {"fast-zero", &Features::fast_zero},
                                                               {"df", &Features::df},
                                                               {"multi-conn", &Features::multi_conn},
                                                               {"cache", &Features::cache},
                                                               {"block-status", &Features::block_status}};
    return names;
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    std::size_t from = 0;
    for (std::size_t comma = text.find(','); comma != std::string::npos; comma = text.find(',', from)) {
        parts.push_back(text.substr(from, comma - from));
        from = comma + 1;
    }
    parts.push_back(text.substr(from));
    return parts;
}

[[noreturn]] void reject(const std::string& message) {
    throw CLI::ValidationError(message, 0);
}

std::uint64_t size_argument(const std::string& option, const std::string& text) {
    try {
        return parse_size(text);
    } catch (const std::invalid_argument& error) {
        reject(fmt::format("{}: {}", option, error.what()));
    }
}

BlockSizes block_sizes(const std::string& text) {
    const auto parts = split(text);
    if (parts.size() != 3) {
        reject(
            fmt::format("--block-size takes MIN,PREF,MAX, for example 512,4K,32M; '{}' is not that", text));
    }
    std::array<std::uint32_t, 3> sizes{};
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const std::string& part = parts.at(i);
        const std::uint64_t size = size_argument("--block-size", part);
        if (size > std::numeric_limits<std::uint32_t>::max()) {
            reject(fmt::format("--block-size: {} does not fit into 32 bits", part));
        }
        sizes.at(i) = static_cast<std::uint32_t>(size);
    }
    const BlockSizes block{sizes[0], sizes[1], sizes[2]};
    if (!std::has_single_bit(block.minimum) || block.minimum > largest_minimum_block) {
        reject("--block-size: the minimum must be a power of 2 from 1 to 64K");
    }
    if (!std::has_single_bit(block.preferred) ||
        block.preferred < std::max(block.minimum, nbd::default_min_block)) {
        reject(
            "--block-size: the preferred size must be a power of 2, at least 512 and at least the minimum");
    }
    if (block.maximum < block.preferred) {
        reject("--block-size: the maximum must be at least the preferred size");
    }
    return block;
}

void switch_off(Features& features, const std::string& text) {
    for (const std::string& name : split(text)) {
        const auto found = feature_names().find(name);
        if (found == feature_names().end()) {
            std::string known;
            for (const auto& entry : feature_names()) {
                known += (known.empty() ? "" : ", ") + entry.first;
            }
            reject(fmt::format("--without: there is no feature '{}'; there are {}", name, known));
        }
        features.*found->second = false;
    }
}

/// Options whose text still has to be turned into values.
struct Texts {
    std::map<std::string, std::string> knobs;
    std::vector<std::string> faults;
    std::string oddity;
    bool list_faults = false;
    bool list_oddities = false;
    std::string memory;
    std::string block_size;
    std::string without;
    std::string mask_handshake;
    bool no_multi_conn = false;
    bool no_block_size = false;
    bool persistent = false;
    std::uint64_t handshake_limit = 60;
};

void add_source_options(CLI::App& app, CommandLine& result, Texts& texts) {
    const char* group = "What is served";
    app.add_option("FILE", result.file, "File or block device to serve, as a raw disk")
        ->type_name("")
        ->group(group);
    app.add_option("--memory", texts.memory, "Serve memory of this size instead; it reads as zeroes at first")
        ->type_name("SIZE")
        ->group(group);
    app.add_option("-x,--export-name", result.served.name, "Name of the export [default: the empty name]")
        ->type_name("NAME")
        ->group(group);
    app.add_option("-D,--description", result.served.description, "Description of the export, for people")
        ->type_name("TEXT")
        ->group(group);
    app.add_flag("-r,--read-only", result.served.read_only, "Refuse to change anything")->group(group);
}

void add_gateway_options(CLI::App& app, CommandLine& result) {
    const char* group = "What another server serves (docs/gateway.md)";
    InnerServer& inner = result.inner;
    app.add_option("--backend", inner.backend,
                   "Serve the export of another NBD server instead: nbd:URI, for example "
                   "nbd:nbd://localhost:10810/disk")
        ->type_name("nbd:URI")
        ->group(group);
    app.add_option("--resize-with", inner.resize_with,
                   "How its size changes: truncate:FILE, the file that it serves, or "
                   "qmp:SOCKET[,export=ID][,node=NAME][,mode=safe|hard][,iothread=NAME][,state=FILE], the "
                   "monitor of QEMU; without it the size is fixed")
        ->type_name("HOW")
        ->group(group);
    app.add_option("--connections", inner.connections,
                   "Connections to it, if it allows more than one [default: 4]")
        ->type_name("N")
        ->check(CLI::Range(1U, 64U).description(""))
        ->group(group);
    app.add_option("--reconnect", inner.reconnect,
                   "Let requests wait this long for it once it was lost; then they fail [default: 0]")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.0, 86400.0).description(""))
        ->group(group);
    app.add_option("--poll", inner.poll,
                   "Look this often whether somebody else changed its size; 0 for never [default: 0]")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.0, 86400.0).description(""))
        ->group(group);
}

void add_listening_options(CLI::App& app, CommandLine& result, Texts& texts) {
    const char* group = "Where it listens";
    app.add_option("-U,-k,--unix,--socket", result.unix_path,
                   "Listen on a Unix socket; one that a dead server left behind is replaced")
        ->type_name("PATH")
        ->group(group);
    app.add_option("-p,--port", result.port,
                   "TCP port; 0 for any free one, which is then printed [default: 10809]")
        ->type_name("PORT")
        ->group(group);
    app.add_option("-i,-b,--ipaddr,--bind", result.address,
                   "Address or host name to listen on; 0.0.0.0 for all IPv4 addresses [default: localhost]")
        ->type_name("ADDRESS")
        ->group(group);
    app.add_option(
           "-e,--shared,--max-connections", result.server.max_connections,
           "Serve at most this many connections at a time, others wait; 0 for no limit [default: 1024]")
        ->type_name("N")
        ->group(group);
    app.add_flag("-t,--persistent", texts.persistent, "Accepted for habit's sake: the server always stays")
        ->group(group);
    app.add_option(
           "--handshake-limit", texts.handshake_limit,
           "Close a connection that is still in the handshake after this time; 0 for no limit [default: 60]")
        ->type_name("SECONDS")
        ->check(CLI::Range(0, 86400).description(""))
        ->group(group);
}

void add_protocol_options(CLI::App& app, CommandLine& result, Texts& texts) {
    const char* group = "What is offered";
    const std::map<std::string, ReplyStyle> styles{{"simple", ReplyStyle::simple},
                                                   {"structured", ReplyStyle::structured},
                                                   {"extended", ReplyStyle::extended}};
    app.add_option("--replies", result.server.session.most,
                   "The most that is negotiated: simple, structured or extended [default: extended]")
        ->transform(CLI::CheckedTransformer(styles).description(""))
        ->type_name("STYLE")
        ->group(group);
    const std::map<std::string, Handshake> handshakes{{"oldstyle", Handshake::oldstyle},
                                                      {"newstyle", Handshake::newstyle},
                                                      {"fixed-newstyle", Handshake::fixed_newstyle}};
    app.add_option("--handshake", result.server.session.handshake,
                   "How it begins: oldstyle, newstyle or fixed-newstyle [default: fixed-newstyle]")
        ->transform(CLI::CheckedTransformer(handshakes).description(""))
        ->type_name("STYLE")
        ->group(group);
    app.add_option("--mask-handshake", texts.mask_handshake,
                   "Offer only the handshake flags in this mask; 1 offers fixed newstyle without NO_ZEROES")
        ->type_name("BITS")
        ->group(group);
    app.add_option("--block-size", texts.block_size,
                   "Minimum and preferred block size and maximum payload [default: 1,4K,32M]")
        ->type_name("MIN,PREF,MAX")
        ->group(group);
    app.add_flag("--no-block-size", texts.no_block_size, "Do not tell clients the block sizes")->group(group);
    app.add_flag("--require-block-size", result.served.require_block_size,
                 "Refuse clients that do not ask for the block sizes")
        ->group(group);
    app.add_option("--without", texts.without,
                   "Do not offer these: flush, fua, trim, write-zeroes, fast-zero, df, multi-conn, cache, "
                   "block-status")
        ->type_name("FEATURE,...")
        ->group(group);
    app.add_flag("--no-multi-conn", texts.no_multi_conn, "The same as --without multi-conn")->group(group);
}

void add_resize_options(CLI::App& app, CommandLine& result, Texts& texts) {
    const char* group = "How it is resized (knobs; also in export names, as growth=both,size=1MiB)";
    const auto add = [&](const char* key, const char* type, const std::string& description) {
        app.add_option(std::string("--") + key, texts.knobs[key], description)->type_name(type)->group(group);
    };
    add("growth", "HOW",
        "none, explicit (NBD_CMD_RESIZE), auto (writes past the end) or both [default: none]");
    add("consent", "HOW",
        "Writes past the end extend always, implicit, or if they say so, opt-in [default: opt-in if "
        "advertise is "
        "info, else implicit]");
    add("advertise", "HOW",
        "silent, flag (only the transmission flag) or info (NBD_INFO_RESIZE as well) [default: info if there "
        "is "
        "growth or learn, else silent]");
    add("learn", "HOW",
        "How clients learn sizes: none, poll, notify or both [default: both where it can be]");
    add("fill", "WITH", "What growth exposes: zero, or unspecified, old bytes on purpose [default: zero]");
    add("sizing", "HOW", "exact, round (to the granularity) or clamp (to the limit) [default: exact]");
    add("shrink", "HOW", "allow or deny [default: deny]");
    add("size", "SIZE", "Size at the beginning [default: 1MiB]; with FILE: create or grow it to this size");
    add("limit", "SIZE", "The largest size that clients can ask for, or none [default: 1GiB]");
    add("granularity", "SIZE", "Sizes are multiples of this [default: 64K for round, else 1]");
    add("smallest", "SIZE", "The smallest size that clients can ask for [default: 0]");
    app.add_option("--control", result.control_path, "Unix socket for changes of size from outside")
        ->type_name("PATH")
        ->group(group);
}

void add_fault_options(CLI::App& app, CommandLine& result, Texts& texts) {
    const char* group = "What it does wrongly, on purpose";
    app.add_option("--fault", texts.faults,
                   "Break a requirement in every connection; may be repeated, but only one may be of the "
                   "base protocol")
        ->allow_extra_args(false)
        ->type_name("NAME")
        ->group(group);
    app.add_option("--oddity", texts.oddity,
                   "Do what is allowed, but unusual, in every connection; --fault breaks what comes of it")
        ->type_name("NAME")
        ->group(group);
    app.add_flag(
           "--wire-faults", result.wire_faults,
           "Let export names ask for any fault and oddity that begins when the name is known; others are "
           "refused")
        ->group(group);
    app.add_flag("--list-faults", texts.list_faults,
                 "Print the faults: name, broken requirement and what happens; then end")
        ->group(group);
    app.add_flag("--list-oddities", texts.list_oddities,
                 "Print the oddities: name, requirement that they are about and what happens; then end")
        ->group(group);
}

void add_running_options(CLI::App& app, CommandLine& result) {
    const char* group = "How it runs";
    app.add_option("--threads", result.server.io_threads,
                   "Threads for connections [default: one per processor, at most 4]")
        ->type_name("N")
        ->check(CLI::Range(1U, 256U).description(""))
        ->group(group);
    app.add_option("--workers", result.server.workers,
                   "Threads for requests that wait for the disk [default: 8]")
        ->type_name("N")
        ->check(CLI::Range(1U, 256U).description(""))
        ->group(group);
    app.add_option("--pid-file", result.pid_file,
                   "Write the process number here once connections are accepted")
        ->type_name("PATH")
        ->group(group);
    app.add_flag("-v,--verbose", result.server.verbose,
                 "Tell every message, field by field, on standard error")
        ->group(group);
}

void interpret_knobs(CommandLine& result, const Texts& texts) {
    try {
        for (const auto& [key, value] : texts.knobs) {
            if (!value.empty()) {
                set_knob(result.knobs, key, value);
            }
        }
    } catch (const std::invalid_argument& error) {
        reject(fmt::format("--{}", error.what()));
    }
    result.knobs.replies = result.server.session.most;
    try {
        // What the default export would be has to make sense; the size of a file is not known here.
        (void)plan_disk(result.knobs, {}, result.served.block.minimum, result.memory_size);
    } catch (const std::invalid_argument& error) {
        reject(fmt::format("these knobs do not fit together: {}", error.what()));
    }
}

/// Lets a fault or an oddity stand in every connection.
void put_in_connections(CommandLine& result, const faults::Fault& fault) {
    if (result.wire_faults) {
        reject(fmt::format("--wire-faults excludes {}: there it is export names that ask for such things",
                           fault.name));
    }
    faults::Recipe& twist = result.server.twists.emplace_back(fault.recipe);
    // Who tests a client by it wants to know whether the client has met it.
    twist.at_work = [name = fault.name] { fmt::print(stderr, "nbd-resize-server: {} is at work\n", name); };
}

/// Names of the RESIZE draft are knobs; the others stand in the connections. What is odd is so first of all,
/// and the fault changes what comes of it.
void interpret_faults(CommandLine& result, const Texts& texts) {
    KnobSettings odd;
    try {
        for (const std::string& name : texts.faults) {
            set_knob(result.knobs, "fault", name);
        }
        if (!texts.oddity.empty()) {
            set_knob(odd, "oddity", texts.oddity);
        }
    } catch (const std::invalid_argument& error) {
        reject(fmt::format("--{}", error.what()));
    }
    for (const KnobSettings* const settings : {&std::as_const(result.knobs), &std::as_const(odd)}) {
        if (settings->on_the_wire != nullptr) {
            put_in_connections(result, *settings->on_the_wire);
        }
    }
    if (result.wire_faults) {
        result.server.twists.push_back(faults::chosen_by_name());
    }
}

template <class Entries>
void print_list(const Entries& entries) {
    for (const auto& entry : entries) {
        std::cout << entry.name << '\t' << entry.requirement << '\t' << entry.sentence << '\n';
    }
}

void check_inner_server(const CommandLine& result, const Texts& texts) {
    const InnerServer& inner = result.inner;
    if (inner.backend.empty()) {
        if (!inner.resize_with.empty() || inner.reconnect != 0 || inner.poll != 0) {
            reject("--resize-with, --reconnect and --poll are for another server, which --backend names");
        }
        return;
    }
    if (!result.file.empty() || result.memory_size || !texts.knobs.at("size").empty()) {
        reject("--backend excludes FILE, --memory and --size: it is the other server that has a size");
    }
    const std::string& growth = texts.knobs.at("growth");
    if (inner.resize_with.empty() && !growth.empty() && growth != "none") {
        reject(
            fmt::format("--growth {}: the size of another server cannot change without --resize-with, which "
                        "says how: truncate:FILE or qmp:SOCKET",
                        growth));
    }
}

void interpret(CommandLine& result, const Texts& texts) {
    interpret_faults(result, texts);
    if (!texts.memory.empty()) {
        result.memory_size = size_argument("--memory", texts.memory);
    }
    if (!result.file.empty() && result.memory_size) {
        reject("a FILE and --memory exclude each other: which one is to be served?");
    }
    check_inner_server(result, texts);
    if (result.memory_size && !texts.knobs.at("size").empty()) {
        reject("--memory and --size exclude each other: --memory tells the size already");
    }
    if (!result.unix_path.empty() && (result.port || result.address)) {
        reject("--unix excludes --port and --bind: it listens on one or the other");
    }
    if (texts.no_block_size && result.served.require_block_size) {
        reject("--no-block-size and --require-block-size exclude each other");
    }
    if (!texts.block_size.empty()) {
        result.served.block = block_sizes(texts.block_size);
        result.block_sizes_given = true;
    }
    interpret_knobs(result, texts);
    if (!texts.without.empty()) {
        switch_off(result.served.features, texts.without);
    }
    if (texts.no_multi_conn) {
        result.served.features.multi_conn = false;
    }
    result.served.advertise_block_size = !texts.no_block_size;
    if (!texts.mask_handshake.empty()) {
        std::uint16_t mask = 0;
        if (!CLI::detail::lexical_cast(texts.mask_handshake, mask)) {
            reject(
                fmt::format("--mask-handshake: '{}' is not a number from 0 to 65535", texts.mask_handshake));
        }
        result.server.session.handshake_flags_mask = mask;
    }
    for (const auto& [option, text] : {std::pair("--export-name", &result.served.name),
                                       std::pair("--description", &result.served.description)}) {
        if (!is_protocol_string(*text)) {
            reject(fmt::format("{} takes at most {} bytes of UTF-8", option, nbd::max_string));
        }
    }
    result.server.handshake_limit = std::chrono::seconds(texts.handshake_limit);
}

} // namespace

Parsed parse_command_line(int argc, const char* const* argv, const std::string& version) {
    CLI::App app(
        "Serves a file, memory or what another server serves over NBD, the network block device protocol.",
        "nbd-resize-server");
    CommandLine result;
    Texts texts;
    result.server.io_threads = std::clamp(std::thread::hardware_concurrency(), 1U, default_io_threads);
    result.server.workers = default_workers;
    result.server.max_connections = default_connections;
    app.set_version_flag("-V,--version", "nbd-resize-server " + version);
    app.get_formatter()->column_width(36);
    app.footer(footer);
    add_source_options(app, result, texts);
    add_gateway_options(app, result);
    add_listening_options(app, result, texts);
    add_protocol_options(app, result, texts);
    add_resize_options(app, result, texts);
    add_fault_options(app, result, texts);
    add_running_options(app, result);
    try {
        app.parse(argc, argv);
        if (texts.list_faults) {
            print_list(all_faults());
            print_list(faults::server_faults());
            return {std::nullopt, exit_code::success};
        }
        if (texts.list_oddities) {
            print_list(faults::server_oddities());
            return {std::nullopt, exit_code::success};
        }
        interpret(result, texts);
    } catch (const CLI::Success& done) {
        return {std::nullopt, app.exit(done)};
    } catch (const CLI::ParseError& error) {
        std::cerr << "nbd-resize-server: " << error.what() << "\nTry 'nbd-resize-server --help'.\n";
        return {std::nullopt, exit_code::usage};
    }
    return {std::move(result), exit_code::success};
}

} // namespace refserver
