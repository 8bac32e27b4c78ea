#include "drivers/common/loop.hpp"
#include "drivers/reference/library.hpp"
#include "reference-client/choices.hpp"
#include "reference-client/fault_names.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <string>
#include <unistd.h>

int main(int argc, char** argv) {
    CLI::App app("Driver of the reference client: reads steps from standard input and writes results to "
                 "standard output, one JSON object a line, as docs/driver-protocol.md says.",
                 "nbd-driver-reference");
    app.set_version_flag("-V,--version", std::string("nbd-driver-reference ") + NBD_PROJECT_VERSION);
    refclient::Options options;
    options.strict = false;
    refclient::ResizePreferences resizing;
    bool no_meta_context = false;
    bool no_fixed = false;
    bool no_no_zeroes = false;
    bool no_block_size = false;
    bool verbose = false;
    double timeout = 60;
    app.add_option("--replies", options.replies, "Best kind of replies to ask for")
        ->transform(
            CLI::CheckedTransformer(refclient::reply_choices).description("simple|structured|extended"))
        ->default_str("extended");
    app.add_flag("--export-name", options.use_export_name,
                 "Enter the transmission phase by NBD_OPT_EXPORT_NAME instead of NBD_OPT_GO");
    app.add_flag("--no-meta-context", no_meta_context, "Do not ask for base:allocation");
    app.add_flag("--no-block-size", no_block_size, "Do not ask for block sizes");
    app.add_flag("--no-fixed-newstyle", no_fixed,
                 "Do not set NBD_FLAG_C_FIXED_NEWSTYLE, and use no option but NBD_OPT_EXPORT_NAME");
    app.add_flag("--no-no-zeroes", no_no_zeroes, "Do not set NBD_FLAG_C_NO_ZEROES");
    app.add_flag("--strict", options.strict,
                 "Refuse requests that a client must not send, instead of letting the server do it");
    app.add_option("--connections", options.connections,
                   "Connections per connect step, if the server promises multi-conn")
        ->check(CLI::Range(1U, 64U))
        ->capture_default_str();
    app.add_option("--timeout", timeout, "Seconds that a server may keep silent while it is waited for")
        ->check(CLI::Range(0.001, 86400.0))
        ->capture_default_str();
    app.add_option_function<std::string>(
           "--ask", [&options](const std::string& given) { options.ask_resize = given == "info"; },
           "Ask for NBD_INFO_RESIZE or not")
        ->check(CLI::IsMember({"none", "info"}))
        ->default_str("none");
    app.add_option("--grow", resizing.grow, "How the step `grow` makes an export longer")
        ->transform(
            CLI::CheckedTransformer(refclient::grow_choices).description("none|explicit|plain|flagged"))
        ->default_str("none");
    app.add_option("--learn", resizing.learn, "How the step `learn` learns of a new size")
        ->transform(CLI::CheckedTransformer(refclient::learn_choices)
                        .description("none|reconnect|poll|notify|credits"))
        ->default_str("none");
    app.add_option("--credits", resizing.credits, "Notifications to allow at a time with --learn=credits")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{UINT32_MAX}))
        ->capture_default_str();
    app.add_option_function<std::vector<std::string>>(
           "--fault",
           [&options](const std::vector<std::string>& names) {
               for (const std::string& name : names) {
                   refclient::add_fault(options, name);
               }
           },
           "Break a requirement on purpose; may be repeated, but only one may be of the base protocol")
        ->check(refclient::fault_problem)
        ->allow_extra_args(false)
        ->type_name("NAME");
    app.add_flag("-v,--verbose", verbose, "Show every message on standard error");
    app.footer("Exit status: 0 when standard input ended, 1 when results could not be written, 2 for wrong "
               "usage.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (no_meta_context) {
        options.contexts.clear();
    }
    options.fixed_newstyle = !no_fixed;
    options.no_zeroes = !no_no_zeroes;
    options.request_block_size = !no_block_size;
    options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(timeout * 1000));
    if (verbose) {
        options.trace = [](refclient::Direction direction, std::string_view text) {
            std::cerr << (direction == refclient::Direction::sent ? "> " : "< ") << text << '\n';
        };
    }
    // The loop asks how much of its input is there already, which only an unsynchronised stream can tell.
    std::ios::sync_with_stdio(false);
    driver::ReferenceLibrary library(std::move(options), resizing, NBD_PROJECT_VERSION, STDIN_FILENO);
    return driver::run(library, std::cin, std::cout);
}
