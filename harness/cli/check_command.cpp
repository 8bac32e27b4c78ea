#include "harness/catalogue/catalogue.hpp"
#include "harness/check/conformance.hpp"
#include "harness/check/server_suite.hpp"
#include "harness/cli/check_result.hpp"
#include "harness/cli/progress.hpp"
#include "harness/peers/detect.hpp"
#include "harness/process/interrupt.hpp"
#include "harness/process/janitor.hpp"
#include "harness/run/deviations.hpp"
#include "harness/run/selection.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <malloc.h>

namespace harness {
namespace {

/// A server that misses so many answers has been found out; to wait for the hundreds that are left tells
/// nothing new.
constexpr std::size_t most_late = 16;

std::optional<nbd::Uri> parse(const std::string& text) {
    if (text.empty()) {
        return std::nullopt;
    }
    try {
        nbd::Uri uri = nbd::parse_uri(text);
        if (uri.tls) {
            throw SelectionError(
                fmt::format("check {}: TLS is not supported yet; use nbd:// or nbd+unix://", text));
        }
        return uri;
    } catch (const nbd::UriError& error) {
        throw SelectionError(fmt::format("check {}: {}", text, error.what()));
    }
}

/// The released server that this is, as the user says or as the command to start it shows; null if it is
/// none.
const Peer* find_peer(const Catalogue& catalogue, const CheckOptions& options) {
    if (!options.peer.empty()) {
        const std::string name = options.peer.substr(0, options.peer.find('='));
        const Peer* peer = catalogue.peer(name, "server");
        if (peer == nullptr) {
            std::vector<std::string> names;
            for (const Peer& known : catalogue.peers) {
                names.push_back(known.name);
            }
            throw SelectionError(
                fmt::format("--peer {}: no server has that name{}", name, did_you_mean(name, names)));
        }
        return peer;
    }
    const std::string program = options.start.substr(0, options.start.find(' '));
    const std::string name = program.substr(program.rfind('/') + 1);
    return catalogue.peer(name, "server");
}

/// The version of the peer: as the user says, or of the program that is installed here.
std::string version_of(const Peer& peer, const CheckOptions& options, const CommonOptions& common) {
    if (const auto at = options.peer.find('='); at != std::string::npos) {
        return options.peer.substr(at + 1);
    }
    return detect(peer, common.programs).version.value_or("");
}

std::string again_command(const CheckOptions& options) {
    std::string text = "nbd-interop check";
    text += options.writable ? " --writable" : "";
    text += options.size_changes ? " --size-ok-to-change" : "";
    text += options.crashers ? " --crashers" : "";
    text += " --case {case}";
    text += options.start.empty() ? "" : fmt::format(" --start '{}'", options.start);
    text += options.uri().empty() ? "" : fmt::format(" '{}'", options.uri());
    return text;
}

/// Cases with payloads of 32 MiB and more follow one another. Memory that goes back to the kernel after each
/// is zeroed page by page for the next, which takes a third of the time of a check.
void keep_memory() {
    constexpr int kept = 512 << 20; // bytes; much more than cases use
    (void)::mallopt(M_MMAP_MAX, 0);
    (void)::mallopt(M_TRIM_THRESHOLD, kept);
}

} // namespace

int check_command(const CommonOptions& common, const CheckOptions& options) {
    keep_memory();
    Janitor janitor = Janitor::start();
    interrupt::install();
    const Catalogue catalogue = load_catalogue(common.scenarios);
    const check::Conformance conformance = check::load_conformance(catalogue);
    if (conformance.server_cases.empty()) {
        throw SelectionError(fmt::format("check: {} has no conformance cases", common.scenarios.string()));
    }
    const std::optional<nbd::Uri> uri = parse(options.uri());
    if (!uri && options.start.empty()) {
        throw SelectionError(
            "check: say which server: a URI (nbd://localhost:10809/disk), or --start 'COMMAND'");
    }
    const Peer* peer = find_peer(catalogue, options);

    check::SuiteResult result;
    const auto begin = std::chrono::system_clock::now();
    const auto begin_steady = std::chrono::steady_clock::now();
    {
        Workspace workspace;
        std::optional<check::StartedServer> started;
        check::SuiteOptions suite;
        suite.server = peer != nullptr ? peer->name : "server";
        suite.permissions = {options.writable, options.size_changes};
        suite.cases = options.cases;
        suite.crashers = options.crashers;
        suite.most_late = most_late;
        suite.patience = std::chrono::milliseconds(static_cast<std::int64_t>(options.patience * 1000));
        try {
            if (!options.start.empty()) {
                started.emplace(options.start, uri, workspace);
                started->start(suite.patience);
            }
            Progress progress(check::count_runs(conformance.server_cases, suite), "cases", false);
            VerdictCounts counts;
            std::size_t done = 0;
            result = check::run_server_suite(
                conformance.server_cases, catalogue.requirements, started ? started->uri() : *uri,
                started ? &*started : nullptr, suite,
                [&](const reports::CaseResult& item) { progress.advance(++done, counts.add(item)); });
        } catch (const check::NoServer& error) {
            fmt::print(stderr, "nbd-interop: check: nothing was tested: {}\n", error.what());
            return exit_nothing;
        } catch (const check::NotStarted& error) {
            fmt::print(stderr, "nbd-interop: check: nothing was tested: {}\n", error.what());
            return exit_nothing;
        }
        result.run.suite = fmt::format("check of {}", options.uri().empty() ? options.start : options.uri());
    }
    reports::RunResult& run = result.run;
    if (run.cases.empty()) {
        throw SelectionError("check: --case selects no case; 'nbd-interop list checks' shows what there is");
    }
    run.started =
        fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(begin)));
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_steady).count();
    run.properties["server"] = result.facts;
    check::TextOptions text;
    if (peer != nullptr) {
        const std::string version = version_of(*peer, options, common);
        const Versions versions{{{"server", peer->name}, version}};
        mark_deviations(conformance.deviations, versions, run.cases);
        quote_deviations(conformance.deviations, run);
        // Part of the cases may leave out just those that show a deviation.
        if (options.cases.empty() && options.writable && options.size_changes) {
            for (const auto& stale : stale_deviations(conformance.deviations, versions, run.cases)) {
                text.unseen.push_back(stale.id);
            }
        }
        run.peers.push_back({peer->name, "server", peer->title, version, {"default"}});
    } else {
        run.peers.push_back({"server", "server", result.facts, "", {"default"}});
    }
    run.peers.push_back({"check", "client", "the conformance cases", NBD_INTEROP_VERSION, {"default"}});
    text.again = again_command(options);
    for (const check::ServerCase& made : conformance.server_cases) {
        if (!made.ambiguous.empty()) {
            text.ambiguous["check/" + made.name] = made.ambiguous;
        }
    }
    return finish_check(options, catalogue.requirements, std::move(result), std::move(text));
}

} // namespace harness
