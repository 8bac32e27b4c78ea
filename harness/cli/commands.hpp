#pragma once

#include "harness/run/selection.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace harness {

/// What the subcommands share.
struct CommonOptions {
    std::filesystem::path scenarios; ///< the catalogue
    std::filesystem::path
        programs; ///< where nbd-interop itself is: the project's other programs are beside it
};

/// `nbd-interop run`.
struct RunOptions {
    std::vector<std::string> suites = {
        "interop"};                         ///< what to run; the other one is the catalogue's suite of lives
    Selection selection;                    ///< of the suite interop
    std::vector<std::string> server_faults; ///< of a suite of lives: rules that the server is to break
    std::vector<std::string> client_faults; ///< likewise, the client
    bool fail_fast = false;                 ///< of a suite of lives
    std::size_t every = 1;                  ///< of a suite of lives: each Nth combination only
    std::vector<std::string> knobs;         ///< of a suite of lives: "growth=both"
    std::vector<std::string> required;      ///< peers that must be installed
    unsigned jobs = 0;                      ///< 0: chosen by the number of processors
    std::filesystem::path out;
    bool quiet = false;
    bool unjudged = false;      ///< without the wire judge: clients connect to the servers themselves
    bool junit_members = false; ///< in the JUnit file, every case that is rolled up elsewhere
    bool deviations_as_skipped = false;
};

/// Runs cases and writes the reports. The exit code (exit_code.hpp).
int run_command(const CommonOptions& common, RunOptions options);

/// `nbd-interop list peers|scenarios|cases|rules|checks|ambiguous`.
int list_command(const CommonOptions& common, const std::string& what, const Selection& selection);

/// `nbd-interop report`: makes the reports from results files, several shards of a run included.
struct ReportOptions {
    std::vector<std::filesystem::path> results;
    std::filesystem::path out;
    bool deviations_as_skipped = false;
};
int report_command(const ReportOptions& options);

/// `nbd-interop check`: conformance of one server, or of one client.
struct CheckOptions {
    std::vector<std::string>
        target;          ///< the server's URI, which may be missing with `start`; or the client's command
    bool client = false; ///< it is a client
    double timeout = 5;  ///< of a client: seconds for each case
    unsigned jobs = 0;   ///< of a client: cases at a time; 0: as many as there are processors
    std::filesystem::path out; ///< of a client: where logs of cases that did not pass stay; empty: nowhere
    std::string start;         ///< the command that starts it
    bool writable = false;     ///< the content of the export may be changed
    bool size_changes = false; ///< its size may be changed
    bool crashers = false;     ///< also the cases that have brought servers down
    bool strict = false;       ///< a SHOULD counts
    bool known_ok = false;     ///< listed deviations do not count
    bool verbose = false;      ///< shows all cases
    double patience = 3;       ///< for each answer, in seconds
    std::string peer;          ///< which released server it is: "nbdkit", "nbdkit=1.32.5"
    std::vector<std::string> cases; ///< globs
    std::filesystem::path junit;    ///< files to write; empty: none
    std::filesystem::path json;
    std::filesystem::path html;

    /// The URI of the server; empty if there is none.
    [[nodiscard]] std::string uri() const { return target.empty() ? "" : target.front(); }
};
/// Checks a server.
int check_command(const CommonOptions& common, const CheckOptions& options);

/// Checks a client.
int client_check_command(const CommonOptions& common, const CheckOptions& options);

/// `nbd-interop check --self`: the conformance cases against broken programs.
struct SelfCheckOptions {
    bool client = false;             ///< the cases for clients, and the faults of the reference client
    std::vector<std::string> faults; ///< globs; none: all
    bool verbose = false;            ///< prints the table
    std::filesystem::path coverage;  ///< the table of statements, as Markdown; empty: none
    bool search = false;             ///< also search for what the plan does not know
    std::filesystem::path plan; ///< who notices what, for scenarios/conformance/detection.yaml; empty: none
};
int self_check_command(const CommonOptions& common, const SelfCheckOptions& options);

/// `nbd-interop knobs`: the knobs of the RESIZE extension.
struct KnobsOptions {
    bool count = false;            ///< only the numbers of configurations
    std::vector<std::string> life; ///< a server's, a client's and an environment's configuration, as text
};
int knobs_command(const CommonOptions& common, const KnobsOptions& options);

/// `nbd-interop show`: the transcript of a case.
struct ShowOptions {
    std::string what;             ///< the case's name, its folder or its transcript
    std::filesystem::path out;    ///< the reports that have the case
    bool json = false;            ///< JSON lines
    std::filesystem::path pcapng; ///< write this capture instead, if not empty
};
int show_command(const CommonOptions& common, const ShowOptions& options);

/// `nbd-interop judge`: judges traffic that was recorded, by this program or by another one.
struct JudgeOptions {
    std::filesystem::path file;
    std::vector<std::uint16_t> ports; ///< those that servers have in a capture; none: NBD's own
    bool json = false;                ///< JSON lines
    bool all = false;                 ///< all messages, not only those that break a requirement
};
int judge_command(const CommonOptions& common, const JudgeOptions& options);

/// `nbd-interop explain`: what a requirement is, and what tests it.
int explain_command(const CommonOptions& common, const std::string& requirement);

} // namespace harness
