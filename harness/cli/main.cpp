// nbd-interop: runs released NBD servers against released NBD clients and says what came of it.

#include "harness/catalogue/yaml.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/interrupt.hpp"
#include "reports/results_json.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

namespace fs = std::filesystem;
using namespace harness;

constexpr const char* footer = R"(Exit codes:
  0    everything is as expected: every case passed, is unsupported, or is a listed deviation
  1    an unlisted fail, warn, timeout, crash or error, or a listed deviation that no longer happens
  2    wrong arguments, a mistake in the catalogue, or a selection that matches nothing
  3    no case was executed, or a peer that --require names is not installed
  130  interrupted

Examples:
  nbd-interop run                                        the default matrix, reports in reports/out
  nbd-interop run --server 'nbdkit*' --client libnbd     only these two, all their variants
  nbd-interop run --scenario 'read-*' --require qemu-nbd
  nbd-interop check nbd://localhost:10809/disk           what a server breaks of the specification
  nbd-interop list cases --server nbd-server
  nbd-interop report shard-*/results.json --out merged
  nbd-interop show nbdkit/libnbd/read-past-end           what went over the wire in a case
  nbd-interop judge capture.pcap                         what a capture of port 10809 breaks
  nbd-interop explain DISC-ENDS                          what a requirement is
  nbd-interop knobs                                      the design choices of the RESIZE extension)";

/// The folder of this program.
fs::path program_folder() {
    return fs::read_symlink("/proc/self/exe").parent_path();
}

/// The catalogue that comes with the project: beside the build directory, or where the sources were.
fs::path default_catalogue(const fs::path& programs) {
    const fs::path beside = programs.parent_path().parent_path() / "scenarios";
    return fs::is_directory(beside) ? beside : fs::path(NBD_SCENARIO_DIR);
}

void add_selection(CLI::App& command, Selection& selection, std::string& pairs) {
    command
        .add_option("--server", selection.servers,
                    "Servers, with * and ?: 'nbdkit' takes all its variants, 'nbdkit+no-sr' one of them, "
                    "'nbdkit+default' only the plain one. May be repeated.")
        ->type_name("GLOB");
    command.add_option("--client", selection.clients, "Clients, likewise")->type_name("GLOB");
    command.add_option("--scenario", selection.scenarios, "Scenarios")->type_name("GLOB");
    command
        .add_option("--pairs", pairs,
                    "Who meets whom. star: each variant of a server meets the plain clients, and the other "
                    "way round; "
                    "all: everybody meets everybody. Default: star, but all where both --server and --client "
                    "are given")
        ->check(CLI::IsMember({"star", "all"}));
}

CLI::App* add_check(CLI::App& app, CheckOptions& options, SelfCheckOptions& self_options, bool& self) {
    CLI::App* command =
        app.add_subcommand("check", "Test whether a server, or a client, keeps to the specification");
    command->footer(R"(Exit codes:
  0    conformant: no MUST is broken (with --strict: no SHOULD either)
  1    not conformant, or the program died or hung
  2    wrong arguments, a mistake in the catalogue, or --case selects nothing
  3    nothing was tested: the server could not be reached, or the client fails on a server that behaves

Examples:
  nbd-interop check nbd://localhost:10809/disk
  nbd-interop check --writable 'nbd+unix:///?socket=/tmp/s'
  nbd-interop check --writable --start 'nbdkit --foreground memory 1M'
  nbd-interop check --client -- nbdinfo --size '{uri}')");
    command
        ->add_option("target", options.target,
                     "The server: nbd://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH. With --client "
                     "the client's command, behind --")
        ->type_name("URI | -- COMMAND ...");
    command->add_flag("--client", options.client,
                      "Check a client: its command is started once for each case. {uri}, {socket}, {port} "
                      "and {export} in it say where the "
                      "server is, {file} is a file for it to write, {input} one to read");
    command->add_option("--timeout", options.timeout, "With --client: seconds for each case; default 5")
        ->check(CLI::Range(0.1, 3600.0));
    command
        ->add_option("--jobs,-j", options.jobs, "With --client: cases at a time; default one per processor")
        ->check(CLI::Range(1U, 256U));
    command->add_option("--out", options.out, "With --client: where the logs of cases that did not pass go")
        ->type_name("DIR");
    command
        ->add_option(
            "--start", options.start,
            "The command that starts the server, for the shell; it must stay in the foreground. It is "
            "started again when it dies. {socket} or {port} in it is where it is to listen; without them "
            "and without a URI it gets a listening socket as systemd passes one")
        ->type_name("COMMAND");
    command->add_flag("--writable", options.writable,
                      "The content of the export may be overwritten; without it only reading cases run");
    command->add_flag("--size-ok-to-change", options.size_changes, "Its size may be changed, too (RESIZE)");
    command->add_flag("--crashers", options.crashers,
                      "Also run the cases that have brought servers down, at the end");
    command
        ->add_option("--case", options.cases,
                     "Only these cases, with * and ?: 'list-*', 'read-past-end/structured'. May be repeated")
        ->type_name("GLOB")
        ->allow_extra_args(false);
    command->add_flag("--strict", options.strict, "What breaks a SHOULD is a failure, too");
    command->add_flag("--known-ok", options.known_ok,
                      "Listed deviations of this version do not make the exit code 1");
    command
        ->add_option(
            "--peer", options.peer,
            "Which released server it is, for the deviations that are known; --start tells it by itself")
        ->type_name("NAME[=VERSION]");
    command->add_option("--patience", options.patience, "Seconds for each answer; default 3")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.05, 3600.0));
    command->add_option("--junit", options.junit, "Write JUnit XML")->type_name("FILE");
    command->add_option("--json", options.json, "Write all results as JSON")->type_name("FILE");
    command->add_option("--html", options.html, "Write a web page")->type_name("FILE");
    CLI::Option* self_flag = command->add_flag("--self", self,
                                               "Test the suite itself: every fault of the reference server "
                                               "has to be noticed, and every case to notice one");
    command->add_option("--fault", self_options.faults, "With --self: only these faults. May be repeated")
        ->type_name("GLOB")
        ->needs(self_flag);
    command
        ->add_flag("--search", self_options.search,
                   "With --self: search, in minutes, for faults and cases of which "
                   "scenarios/conformance/detection.yaml does not know yet who notices what")
        ->needs(self_flag);
    command
        ->add_option(
            "--plan", self_options.plan,
            "With --self: write which case notices which fault, for scenarios/conformance/detection.yaml")
        ->type_name("FILE")
        ->needs(self_flag);
    command
        ->add_option("--coverage", self_options.coverage,
                     "With --self: write the table of statements, cases and faults")
        ->type_name("FILE")
        ->needs(self_flag);
    command->add_flag("--verbose,-v", options.verbose, "Show all cases, not only those that did not pass");
    return command;
}

/// `all` where the user named both sides, else `star`, unless told.
void settle_pairs(Selection& selection, const std::string& pairs) {
    const bool both = !selection.servers.empty() && !selection.clients.empty();
    selection.pairs = pairs == "all" || (pairs.empty() && both) ? Pairs::all : Pairs::star;
}

int run(int argc, char** argv) {
    CommonOptions common;
    common.programs = program_folder();
    common.scenarios = default_catalogue(common.programs);

    CLI::App app{"nbd-interop - interoperability of NBD servers and clients"};
    app.footer(footer);
    app.set_version_flag("--version", std::string("nbd-interop ") + NBD_INTEROP_VERSION);
    app.add_option("--scenarios", common.scenarios, "The catalogue: a folder laid out like scenarios/")
        ->type_name("DIR")
        ->take_last();
    app.fallthrough();

    std::string pairs;
    RunOptions run_options;
    run_options.out = "reports/out";
    CLI::App* run_app = app.add_subcommand("run", "Run cases and write reports");
    run_app
        ->add_option(
            "--suite", run_options.suites,
            "What to run: interop, the released peers against each other; resize-exhaustive, every "
            "combination of the RESIZE knobs; resize-clients, released clients on every configuration of the "
            "server; resize-servers, released servers with every configuration of the client; "
            "resize-pairs, two clients on one export; qcow2-stacks, qcow2 images parsed by the server and by "
            "the "
            "client, with qcow2-stacks-brief as a short part of it. May be repeated; default interop")
        ->type_name("SUITE");
    add_selection(*run_app, run_options.selection, pairs);
    run_app
        ->add_option("--knob", run_options.knobs,
                     "Of resize-exhaustive only the combinations with this value of a knob. May be repeated.")
        ->type_name("KNOB=VALUE");
    run_app->add_option("--every", run_options.every, "Of resize-exhaustive only each Nth combination")
        ->type_name("N")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 32));
    run_app->add_flag(
        "--fail-fast", run_options.fail_fast,
        "Of resize-exhaustive: begin nothing more after the first combination that is not as expected");
    run_app
        ->add_option(
            "--server-fault", run_options.server_faults,
            "Of resize-exhaustive: a rule that the reference server is to break, to see whether that is "
            "noticed; nbd-resize-server --list-faults names them. May be repeated.")
        ->type_name("FAULT");
    run_app
        ->add_option("--client-fault", run_options.client_faults,
                     "The same for the reference client; nbd-resize-client --list-faults names them")
        ->type_name("FAULT");
    run_app
        ->add_option("--jobs,-j", run_options.jobs, "Cases at a time; default twice the number of processors")
        ->check(CLI::Range(1U, 256U));
    run_app
        ->add_option("--out", run_options.out,
                     "Where the reports and the cases' logs go; default reports/out")
        ->type_name("DIR");
    run_app->add_option("--require", run_options.required, "A peer that must be installed. May be repeated.")
        ->type_name("PEER");
    run_app->add_flag("--quiet,-q", run_options.quiet, "No progress bar");
    run_app->add_flag(
        "--unjudged", run_options.unjudged,
        "Let clients connect to servers directly, so that nobody judges what goes over the wire");
    run_app->add_flag("--deviations-as-skipped", run_options.deviations_as_skipped,
                      "In the JUnit file, listed deviations are skipped cases rather than failures");

    run_app
        ->add_option_function<std::string>(
            "--junit-detail",
            [&](const std::string& detail) { run_options.junit_members = detail == "full"; },
            "What the JUnit file holds: rolled-up (the default: one case for many combinations that passed "
            "alike) or "
            "full, all of them")
        ->check(CLI::IsMember({"rolled-up", "full"}));

    std::string what;
    Selection listed;
    CLI::App* list_app = app.add_subcommand("list", "Show what there is");
    list_app
        ->add_option("what", what,
                     "peers, scenarios, cases, rules (what the wire judge enforces), checks (conformance "
                     "cases) or ambiguous (statements that can be read in two ways)")
        ->required()
        ->check(CLI::IsMember({"peers", "scenarios", "cases", "rules", "checks", "ambiguous"}));
    add_selection(*list_app, listed, pairs);

    ReportOptions report_options;
    report_options.out = "reports/out";
    CLI::App* report_app =
        app.add_subcommand("report", "Make the reports again from results.json files, merging them");
    report_app->add_option("results", report_options.results, "results.json of one run, or of all its shards")
        ->required()
        ->type_name("FILE");
    report_app->add_option("--out", report_options.out, "Where the reports go; default reports/out")
        ->type_name("DIR");
    report_app->add_flag("--deviations-as-skipped", report_options.deviations_as_skipped,
                         "In the JUnit file, listed deviations are skipped cases rather than failures");

    CheckOptions check_options;
    SelfCheckOptions self_options;
    bool self = false;
    CLI::App* check_app = add_check(app, check_options, self_options, self);

    KnobsOptions knobs_options;
    CLI::App* knobs_app = app.add_subcommand("knobs", "Show the design choices of the RESIZE extension");
    CLI::Option* count =
        knobs_app->add_flag("--count", knobs_options.count, "Only how many valid combinations there are");
    knobs_app
        ->add_option("--life", knobs_options.life,
                     "What one combination must do, and which rows of the tables say so")
        ->type_name("SERVER CLIENT ENVIRONMENT")
        ->expected(3)
        ->excludes(count);

    ShowOptions show_options;
    show_options.out = "reports/out";
    CLI::App* show_app = app.add_subcommand("show", "Show the messages of a case, and what they break");
    show_app->add_option("case", show_options.what, "A case as reports name it, its folder, or a transcript")
        ->required();
    show_app->add_option("--out", show_options.out, "The reports that have the case; default reports/out")
        ->type_name("DIR");
    CLI::Option* show_json =
        show_app->add_flag("--json", show_options.json, "As JSON, a line for each message");
    show_app->add_option("--pcapng", show_options.pcapng, "Write a capture for Wireshark instead")
        ->type_name("FILE")
        ->excludes(show_json);

    JudgeOptions judge_options;
    CLI::App* judge_app =
        app.add_subcommand("judge", "Judge traffic that was recorded: a transcript, or a capture of tcpdump");
    judge_app->add_option("file", judge_options.file, "A transcript, pcap or pcapng file")->required();
    judge_app
        ->add_option("--port", judge_options.ports, "A TCP port of servers; may be repeated. Default 10809")
        ->type_name("PORT");
    judge_app->add_flag("--json", judge_options.json, "As JSON, a line for each message");
    judge_app->add_flag("--all", judge_options.all, "All messages, not only those that break a requirement");

    std::string requirement;
    CLI::App* explain_app = app.add_subcommand("explain", "Say what a requirement is, and what tests it");
    explain_app->add_option("requirement", requirement, "As reports name it: READ-DATA")->required();

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_ok : exit_usage;
    }
    if (app.get_subcommands().empty()) {
        fmt::print(stderr,
                   "nbd-interop: a subcommand is missing: run, check, list, show, judge, explain, report "
                   "or knobs; --help tells more\n");
        return exit_usage;
    }
    if (run_app->parsed()) {
        settle_pairs(run_options.selection, pairs);
        return run_command(common, run_options);
    }
    if (check_app->parsed()) {
        self_options.verbose = check_options.verbose;
        self_options.client = check_options.client;
        if (self) {
            return self_check_command(common, self_options);
        }
        return check_options.client ? client_check_command(common, check_options)
                                    : check_command(common, check_options);
    }
    if (list_app->parsed()) {
        settle_pairs(listed, pairs);
        return list_command(common, what, listed);
    }
    if (show_app->parsed()) {
        return show_command(common, show_options);
    }
    if (judge_app->parsed()) {
        return judge_command(common, judge_options);
    }
    if (explain_app->parsed()) {
        return explain_command(common, requirement);
    }
    if (knobs_app->parsed()) {
        return knobs_command(common, knobs_options);
    }
    return report_command(report_options);
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const harness::Interrupted&) {
        fmt::print(
            stderr,
            "nbd-interop: interrupted; processes and temporary files are gone, no report was written\n");
        return exit_interrupted;
    } catch (const CatalogueError& error) {
        fmt::print(stderr, "nbd-interop: {}\n", error.what());
        return exit_usage;
    } catch (const SelectionError& error) {
        fmt::print(stderr, "nbd-interop: {}\n", error.what());
        return exit_usage;
    } catch (const reports::ResultsError& error) {
        fmt::print(stderr, "nbd-interop: {}\n", error.what());
        return exit_usage;
    } catch (const std::exception& error) {
        fmt::print(stderr, "nbd-interop: {}\n", error.what());
        return exit_red;
    }
}
