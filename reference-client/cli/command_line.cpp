#include "reference-client/cli/command_line.hpp"

#include "reference-client/choices.hpp"
#include "reference-client/cli/given_uri.hpp"
#include "reference-client/cli/settings.hpp"
#include "reference-client/cli/usage.hpp"
#include "reference-client/failure.hpp"
#include "reference-client/fault_names.hpp"
#include "reference-client/mount/mount.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string_view>

namespace refclient::cli {
namespace {

constexpr std::array<std::string_view, 15> commands = {"info", "list",   "read",  "write", "zero",
                                                       "trim", "cache",  "flush", "map",   "copy",
                                                       "grow", "shrink", "size",  "watch", "mount"};

bool is_command(const std::string& argument) {
    return std::ranges::find(commands, argument) != commands.end();
}

bool is_uri(const std::string& argument) {
    return argument.starts_with("nbd") && argument.find("://") != std::string::npos;
}

/// Everything that the command line fills in, and what is to be done.
struct Request {
    Settings settings;
    std::string uri;
    double timeout = 30;
    bool no_checks = false;
    bool no_meta_context = false;
    bool no_block_size = false;
    bool verbose = false;
    std::optional<unsigned> connections;
    InfoArguments info;
    ReadArguments read;
    WriteArguments write;
    RangeArguments range;
    MapArguments map;
    CopyArguments copy;
    ResizeArguments resize;
    WatchArguments watch;
    MountArguments mount;
    bool fua = false;
    bool no_hole = false;
    bool fast = false;
    bool no_flush = false;
    std::function<void(const nbd::Uri&)> work;
};

CLI::Option* add_size(CLI::App& app, const std::string& name, std::uint64_t& value, const std::string& text) {
    return app.add_option(name, value, text)->transform(CLI::AsSizeValue(false))->type_name("SIZE");
}

CLI::Option* add_size(CLI::App& app, const std::string& name, std::optional<std::uint64_t>& value,
                      const std::string& text) {
    return app
        .add_option_function<std::uint64_t>(
            name, [&value](const std::uint64_t& given) { value = given; }, text)
        ->transform(CLI::AsSizeValue(false))
        ->type_name("SIZE");
}

CLI::App& add_command(CLI::App& app, Request& request, const std::string& name, const std::string& text) {
    CLI::App& command = *app.add_subcommand(name, text);
    command.fallthrough();
    if (name != "copy") {
        command.add_option("uri", request.uri, "nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH")
            ->required()
            ->type_name("URI");
    }
    return command;
}

void add_range(CLI::App& app, Request& request, const std::string& name, const std::string& text,
               nbd::Command type) {
    CLI::App& command = add_command(app, request, name, text);
    add_size(command, "offset", request.range.offset, "Where it begins")->required();
    add_size(command, "length", request.range.length, "How much of it")->required();
    if (type != nbd::Command::cache) {
        command.add_flag("--fua", request.fua, "Reply only when it is on stable storage (NBD_CMD_FLAG_FUA)");
    }
    if (type == nbd::Command::write_zeroes) {
        command.add_flag("--no-hole", request.no_hole, "Keep the space allocated (NBD_CMD_FLAG_NO_HOLE)");
        command.add_flag("--fast", request.fast, "Fail if it is not fast (NBD_CMD_FLAG_FAST_ZERO)");
    }
    command.callback([&request, type] {
        request.range.command = type;
        const unsigned flags = (request.fua ? nbd::command_flag::fua : 0U) |
                               (request.no_hole ? nbd::command_flag::no_hole : 0U) |
                               (request.fast ? nbd::command_flag::fast_zero : 0U);
        request.range.flags = static_cast<std::uint16_t>(flags);
        request.work = [&request](const nbd::Uri& uri) { range(uri, request.settings, request.range); };
    });
}

void add_queries(CLI::App& app, Request& request) {
    CLI::App& asking = add_command(app, request, "info", "Show what the handshake tells about an export");
    asking.add_flag("--option", request.info.by_option,
                    "Ask by NBD_OPT_INFO, without entering the export by NBD_OPT_GO");
    asking.callback([&request] {
        request.work = [&request](const nbd::Uri& uri) { info(uri, request.settings, request.info); };
    });
    add_command(app, request, "list", "Show the exports that the server lists").callback([&request] {
        request.work = [&request](const nbd::Uri& uri) { list(uri, request.settings); };
    });
    CLI::App& mapping = add_command(app, request, "map", "Show data, holes and zeroes (block status)");
    add_size(mapping, "offset", request.map.offset, "Where to begin; 0 if left out");
    add_size(mapping, "length", request.map.length, "How much to look at; to the end if left out");
    mapping.add_option("--context", request.map.context, "Metadata context")
        ->capture_default_str()
        ->type_name("NAME");
    mapping.add_option("--also", request.map.also, "Select this metadata context, too; may be repeated")
        ->type_name("NAME")
        ->allow_extra_args(false);
    mapping.callback([&request] {
        request.work = [&request](const nbd::Uri& uri) { map(uri, request.settings, request.map); };
    });
}

void add_transfers(CLI::App& app, Request& request) {
    CLI::App& reading =
        add_command(app, request, "read", "Read a range; as a hex dump on a terminal, else as it is");
    add_size(reading, "offset", request.read.offset, "Where to begin")->required();
    add_size(reading, "length", request.read.length, "How much to read")->required();
    reading.add_option("-o,--output", request.read.output, "Write to this file")->type_name("FILE");
    reading.add_flag("--hex", request.read.hex, "A hex dump in any case");
    reading.add_flag("--df", request.read.df, "Ask for a reply in one piece (NBD_CMD_FLAG_DF)");
    reading.callback([&request] {
        request.work = [&request](const nbd::Uri& uri) { read(uri, request.settings, request.read); };
    });

    CLI::App& writing =
        add_command(app, request, "write", "Write a file, standard input or a pattern into a range");
    add_size(writing, "offset", request.write.offset, "Where to begin")->required();
    auto* const input =
        writing.add_option("-i,--input", request.write.input, "Read from this file")->type_name("FILE");
    auto* const length = add_size(writing, "--length", request.write.length,
                                  "How much to write; to the end of the input if left out");
    writing
        .add_option_function<unsigned>(
            "--pattern",
            [&request](const unsigned& given) { request.write.pattern = static_cast<std::uint8_t>(given); },
            "Write this byte all over instead of an input")
        ->check(CLI::Range(0U, 255U))
        ->type_name("BYTE")
        ->needs(length)
        ->excludes(input);
    writing.add_flag("--fua", request.write.fua,
                     "Reply only when it is on stable storage (NBD_CMD_FLAG_FUA)");
    writing.callback([&request] {
        request.work = [&request](const nbd::Uri& uri) { write(uri, request.settings, request.write); };
    });

    add_range(app, request, "zero", "Write zeroes", nbd::Command::write_zeroes);
    add_range(app, request, "trim", "Discard a range", nbd::Command::trim);
    add_range(app, request, "cache", "Tell the server that a range will be read", nbd::Command::cache);
    add_command(app, request, "flush", "Put all writes on stable storage").callback([&request] {
        request.work = [&request](const nbd::Uri& uri) { flush(uri, request.settings); };
    });
}

void add_copy(CLI::App& app, Request& request) {
    CLI::App& copying = add_command(app, request, "copy",
                                    "Copy an export to a file, a file to an export, or between exports");
    copying.add_option("source", request.copy.source, "A URI or a file")->required()->type_name("SOURCE");
    copying.add_option("destination", request.copy.destination, "A URI or a file")
        ->required()
        ->type_name("DESTINATION");
    copying.add_option("--requests", request.copy.requests, "Requests in flight")
        ->check(CLI::Range(1U, 1024U))
        ->capture_default_str();
    add_size(copying, "--request-size", request.copy.request_size, "Data of one request")
        ->check(CLI::Range(std::uint64_t{512}, std::uint64_t{nbd::default_max_payload}))
        ->capture_default_str();
    copying
        .add_option("--connections", request.connections,
                    "Connections to each server that promises multi-conn; 4 if left out")
        ->check(CLI::Range(1U, 64U));
    copying.add_flag("--allocated", request.copy.allocated, "Leave no holes in the destination");
    copying.add_flag("--no-flush", request.no_flush, "Do not flush the destination at the end");
    copying.add_flag("-q,--quiet", request.settings.quiet, "No progress bar");
    copying.callback([&request] {
        request.copy.flush = !request.no_flush;
        request.settings.options.connections = request.connections.value_or(4);
        request.work = [&request](const nbd::Uri&) { copy(request.settings, request.copy); };
    });
}

CLI::App& add_resize(CLI::App& app, Request& request, const std::string& name, const std::string& text,
                     void (*work)(const nbd::Uri&, const Settings&, const ResizeArguments&)) {
    CLI::App& command = add_command(app, request, name, text);
    add_size(command, "size", request.resize.size, "The size to ask for")->required();
    command.add_flag("--fua", request.fua, "Reply only when it is on stable storage (NBD_CMD_FLAG_FUA)");
    command.callback([&request, work] {
        request.resize.flags = request.fua ? nbd::command_flag::fua : 0;
        request.work = [&request, work](const nbd::Uri& uri) { work(uri, request.settings, request.resize); };
    });
    return command;
}

void add_resizing(CLI::App& app, Request& request) {
    add_resize(app, request, "grow", "Make an export longer", grow)
        .add_flag("--zero", request.resize.zero,
                  "Write zeroes over the new bytes, unless they are promised to be zero");
    add_resize(app, request, "shrink", "Make an export shorter", shrink);
    add_command(app, request, "size", "Show the size in bytes").callback([&request] {
        request.work = [&request](const nbd::Uri& uri) { size(uri, request.settings); };
    });
    CLI::App& watching = add_command(app, request, "watch",
                                     "Show the size in bytes, and each new one, until SIGINT or SIGTERM");
    watching
        .add_option("--interval", request.watch.interval,
                    "Seconds between two questions, where the server does not tell of changes")
        ->check(CLI::Range(0.001, 86400.0))
        ->capture_default_str();
    watching.callback([&request] {
        if (request.settings.learn == Learn::none) {
            throw CLI::ValidationError("--learn", "none leaves `watch` no way to learn of changes");
        }
        request.work = [&request](const nbd::Uri& uri) { watch(uri, request.settings, request.watch); };
    });
}

void add_mount(CLI::App& app, Request& request) {
    CLI::App& mounting = add_command(
        app, request, "mount",
        "Show an export as a file that grows, until it is unmounted or SIGINT or SIGTERM comes (FUSE)");
    mounting
        .add_option("file", request.mount.path,
                    "A regular file; made, and removed at the end, if there is none")
        ->required()
        ->type_name("FILE");
    mounting.add_flag_callback(
        "-f,--foreground", [] {}, "Stay in the foreground, which it always does");
    mounting
        .add_option_function<int>(
            "--ready-fd", [&request](const int& given) { request.mount.ready_fd = given; },
            "Write a line to this descriptor, too, once the file can be used")
        ->check(CLI::NonNegativeNumber)
        ->type_name("FD");
    mounting.add_flag("--reconnect,!--no-reconnect", request.mount.reconnect,
                      "Connect again when the connection has broken and the file is used (the default)");
    mounting.add_flag("--hide-rest", request.mount.hide_rest,
                      "Where the server does not make the export shorter, zero and hide what is cut off");
    mounting.add_flag("--allow-other", request.mount.allow_other,
                      "Let other users have the file, by its mode");
    mounting.callback([&request] {
        request.work = [&request](const nbd::Uri& uri) { mount_file(uri, request.settings, request.mount); };
    });
}

void add_resize_settings(CLI::App& app, Request& request) {
    Options& options = request.settings.options;
    app.add_option_function<std::string>(
           "--ask", [&options](const std::string& given) { options.ask_resize = given == "info"; },
           "Ask for NBD_INFO_RESIZE or not")
        ->check(CLI::IsMember({"none", "info"}))
        ->default_str("info");
    app.add_option_function<Grow>(
           "--grow", [&request](const Grow& given) { request.settings.grow = given; },
           "How to make an export longer (grow, write, zero, mount); `grow` and `mount` try all ways if left "
           "out")
        ->transform(CLI::CheckedTransformer(grow_choices).description("none|explicit|plain|flagged"));
    app.add_option_function<Learn>(
           "--learn", [&request](const Learn& given) { request.settings.learn = given; },
           "How to learn of a new size (size, watch, mount); `size` takes none if left out, the others "
           "notify")
        ->transform(CLI::CheckedTransformer(learn_choices).description("none|reconnect|poll|notify|credits"));
    app.add_option("--credits", request.settings.credits,
                   "Notifications to allow at a time with --learn credits")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{UINT32_MAX}))
        ->capture_default_str();
    app.add_option("--max-notifications-per-second", options.max_notifications_per_second,
                   "Leave a server that sends more; 0 for no bound")
        ->capture_default_str();
}

void list_faults() {
    print_faults(std::cout);
    throw CLI::Success();
}

void add_faults(CLI::App& app, Request& request) {
    app.add_option_function<std::vector<std::string>>(
           "--fault",
           [&request](const std::vector<std::string>& names) {
               for (const std::string& name : names) {
                   add_fault(request.settings.options, name);
               }
           },
           "Break a requirement on purpose; may be repeated, but only one may be of the base protocol")
        ->check(fault_problem)
        ->allow_extra_args(false)
        ->type_name("NAME");
    app.add_flag_callback("--list-faults", list_faults,
                          "Show the faults: name, broken requirement, what the client does");
}

void add_common(CLI::App& app, Request& request) {
    Options& options = request.settings.options;
    app.add_flag("--json", request.settings.json,
                 "Answer as one JSON value (info, list, map, copy, grow, shrink, size, watch)");
    app.add_option("--replies", options.replies, "Best kind of replies to ask for")
        ->transform(CLI::CheckedTransformer(reply_choices).description("simple|structured|extended"))
        ->default_str("extended");
    app.add_option("--timeout", request.timeout, "Seconds to wait for a silent server")
        ->check(CLI::Range(0.001, 86400.0))
        ->capture_default_str();
    app.add_flag("--export-name", options.use_export_name, "Use NBD_OPT_EXPORT_NAME instead of NBD_OPT_GO");
    app.add_flag(
        "--starttls", options.ask_tls,
        "Ask for TLS first, which fails where the server agrees, and go on without it where not, unless "
        "the URI demands it");
    app.add_flag("--no-meta-context", request.no_meta_context, "Do not ask for metadata contexts");
    app.add_option("--first-cookie", options.first_cookie, "Cookie of the first request")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 63U))
        ->capture_default_str();
    app.add_flag("--list-contexts", options.list_contexts, "Also ask which metadata contexts there are");
    app.add_flag("--no-block-size", request.no_block_size, "Do not ask for block sizes");
    app.add_flag("--no-checks", request.no_checks,
                 "Send also what a client must not send, to see what the server does");
    app.add_flag("-v,--verbose", request.verbose, "Show every message on standard error");
}

void apply_common(Request& request) {
    Options& options = request.settings.options;
    options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(request.timeout * 1000));
    options.strict = !request.no_checks;
    options.request_block_size = !request.no_block_size;
    if (request.no_meta_context) {
        options.contexts.clear();
    }
    if (request.verbose) {
        options.trace = [](Direction direction, std::string_view text) {
            fmt::print(stderr, "{} {}\n", direction == Direction::sent ? '>' : '<', text);
        };
    }
}

int carry_out(Request& request) {
    try {
        nbd::Uri uri;
        if (!request.uri.empty()) {
            uri = given_uri(request.uri, request.settings.options);
        }
        request.work(uri);
        std::cout.flush();
        if (!std::cout) {
            fmt::print(stderr, "nbd-resize-client: cannot write to standard output\n");
            return 1;
        }
        return 0;
    } catch (const nbd::UriError& error) {
        fmt::print(stderr, "nbd-resize-client: {}\n", error.what());
        return 2;
    } catch (const mount::CannotMount& failure) {
        fmt::print(stderr, "nbd-resize-client: {}\n", failure.what());
        return failure.fault() == mount::MountFault::no_fuse ? 3 : 4;
    } catch (const Failure& failure) {
        fmt::print(stderr, "nbd-resize-client: {}{}\n", failure.what(),
                   failure.code() == 0 ? "" : fmt::format(" [{}]", failure.symbol()));
        return 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "nbd-resize-client: {}\n", error.what());
        return 1;
    }
}

} // namespace

std::vector<std::string> command_first(std::vector<std::string> arguments) {
    const auto uri = std::ranges::find_if(arguments, is_uri);
    const auto command = std::ranges::find_if(arguments, is_command);
    if (uri == arguments.end() || command < uri) {
        return arguments;
    }
    if (command == arguments.end()) {
        const bool help = std::ranges::any_of(arguments, [](const std::string& argument) {
            return argument == "--help" || argument == "-h" || argument == "--version" || argument == "-V";
        });
        if (!help) {
            arguments.insert(arguments.begin(), "info");
        }
        return arguments;
    }
    // The URI goes right behind the command, which stays behind the options before it.
    std::rotate(uri, uri + 1, command + 1);
    return arguments;
}

int run(int argc, const char* const* argv) {
    CLI::App app("Talks to an NBD server: shows, reads, writes, copies and resizes its exports.",
                 "nbd-resize-client");
    app.set_version_flag("-V,--version", std::string("nbd-resize-client ") + NBD_PROJECT_VERSION);
    app.footer(std::string(examples));
    app.require_subcommand(1);
    Request request;
    request.settings.options.ask_resize = true;
    add_common(app, request);
    add_resize_settings(app, request);
    add_faults(app, request);
    add_queries(app, request);
    add_transfers(app, request);
    add_resizing(app, request);
    add_copy(app, request);
    add_mount(app, request);
    try {
        std::vector<std::string> arguments = command_first({argv + 1, argv + argc});
        // CLI11 takes them from the back.
        std::ranges::reverse(arguments);
        app.parse(arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    apply_common(request);
    return carry_out(request);
}

} // namespace refclient::cli
