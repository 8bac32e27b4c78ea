// nbd-driver-libnbd: libnbd's C API behind the driver protocol.

#include "drivers/common/loop.hpp"
#include "drivers/libnbd/library.hpp"
#include "drivers/libnbd/options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <libnbd.h>

#include <csignal>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <utility>

namespace {

constexpr int exit_usage = 2;

constexpr const char* description = "Puts libnbd under test: reads steps from standard input and writes "
                                    "results to standard output, one JSON\n"
                                    "object a line, as docs/driver-protocol.md says. The options are "
                                    "libnbd's own switches and hold for every\n"
                                    "connection.";

constexpr const char* footer = "Exit status: 0 at the end of the input, whatever became of the steps; 1 if "
                               "the results are not read any\n"
                               "more; 2 for a wrong command line.";

void add_options(CLI::App& app, driver::LibnbdOptions& options) {
    const auto add_switch = [&app](const char* name, bool& option, bool value, const char* help) {
        app.add_flag_callback(
            name, [&option, value] { option = value; }, help);
    };
    add_switch("--no-structured-replies", options.structured_replies, false,
               "Do not ask for structured replies");
    add_switch("--no-extended-headers", options.extended_headers, false,
               "Do not ask for extended headers, where this libnbd knows them");
    add_switch("--no-meta-context", options.meta_context, false, "Do not ask for base:allocation");
    add_switch("--opt-mode", options.opt_mode, true,
               "Connect by NBD_OPT_INFO, then NBD_OPT_GO, as separate calls");
    add_switch("--strict-off", options.strict, false,
               "Send requests that break the rules, such as past the end, instead of refusing them");
    const std::map<std::string, driver::GrowBy> growing{{"none", driver::GrowBy::none},
                                                        {"plain", driver::GrowBy::plain}};
    app.add_option(
           "--grow", options.grow,
           "How to make an export longer (live resize): none (the default), plain: by a write past the "
           "end, which libnbd then lets through")
        ->transform(CLI::CheckedTransformer(growing).description(""))
        ->type_name("HOW");
    const std::map<std::string, driver::LearnBy> learning{{"none", driver::LearnBy::none},
                                                          {"reconnect", driver::LearnBy::reconnect}};
    app.add_option("--learn", options.learn,
                   "How to learn a new size: none (the default), reconnect: by a second connection")
        ->transform(CLI::CheckedTransformer(learning).description(""))
        ->type_name("HOW");
    const std::map<std::string, std::uint32_t> handshake_flags{
        {"none", 0},
        {"fixed-newstyle", LIBNBD_HANDSHAKE_FLAG_FIXED_NEWSTYLE},
        {"no-zeroes", LIBNBD_HANDSHAKE_FLAG_NO_ZEROES},
        {"all", LIBNBD_HANDSHAKE_FLAG_MASK}};
    app.add_option("--handshake-flags", options.handshake_flags,
                   "Handshake flags to answer the server's with: none, fixed-newstyle, no-zeroes, all (the "
                   "default) or their number")
        ->transform(CLI::CheckedTransformer(handshake_flags).description(""))
        ->type_name("FLAGS");
    app.add_option(
           "--connections", options.connections,
           "Connections for each connect step, if the server promises multi-conn; requests go to them "
           "in turn")
        ->check(CLI::Range(1, 64).description(""))
        ->type_name("N")
        ->capture_default_str();
    app.add_option_function<unsigned>(
           "--patience",
           [&options](const unsigned& seconds) { options.patience = std::chrono::seconds(seconds); },
           "Give a connection up when the server keeps silent for so many seconds while it owes something")
        ->check(CLI::Range(1, 86400).description(""))
        ->type_name("SECONDS")
        ->default_str("60");
    app.add_option(
        "command", options.through,
        "After --: a server to start by socket activation for each connection and to talk to, {uri} "
        "standing for the URI of the step; for proxies such as: -- nbdkit nbd 'uri={uri}'");
}

} // namespace

int main(int argc, char** argv) {
    driver::LibnbdOptions options;
    CLI::App app(description, "nbd-driver-libnbd");
    app.footer(footer);
    app.set_version_flag("--version", fmt::format("nbd-driver-libnbd {} (libnbd {})", NBD_PROJECT_VERSION,
                                                  driver::libnbd_version()));
    add_options(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : exit_usage;
    }

    // A connection that breaks while it is written to must be an error of the step, not the driver's end.
    std::signal(SIGPIPE, SIG_IGN);
    // The loop has to see what it has read of standard input already.
    std::ios::sync_with_stdio(false);
    std::cin.tie(nullptr);
    driver::LibnbdLibrary library(std::move(options));
    return driver::run(library, std::cin, std::cout);
}
