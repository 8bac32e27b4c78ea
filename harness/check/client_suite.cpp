#include "harness/check/client_suite.hpp"

#include "harness/process/errors.hpp"
#include "harness/process/in_parallel.hpp"
#include "harness/run/judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>

namespace harness::check {
namespace {

namespace fs = std::filesystem;
using reports::CaseResult;
using reports::Verdict;

constexpr std::string_view server_name = "nbd-resize-server";
constexpr std::string_view scenario_prefix = "check/";
constexpr std::string_view baseline_name = "baseline";
constexpr std::size_t shown_output = 1000;

CaseResult blank(const ClientSuite& suite, const std::string& name) {
    CaseResult result;
    result.scenario = fmt::format("{}{}", scenario_prefix, name);
    result.id = fmt::format("{}/{}/{}", server_name, suite.client, result.scenario);
    result.server = {std::string(server_name), "default"};
    result.client = {suite.client, "default"};
    return result;
}

std::string deed_of(const ClientSuite& suite, const ClientServer& server) {
    const ListedFault* const fault =
        server.fault.empty() ? find(suite.oddities, server.oddity) : find(suite.faults, server.fault);
    return fault == nullptr ? "" : fault->sentence;
}

/// Nobody learns anything from a client that may wait and does.
std::optional<std::chrono::milliseconds> limit_for(const ClientCase& item, const ClientCommand& command) {
    constexpr std::chrono::milliseconds short_limit{1500};
    return item.may_wait ? std::optional(std::min(command.limit, short_limit)) : std::nullopt;
}

/// What the client does where what the case is about fails as it may; null if there is no such server.
const ClientRun* control(const ClientSuite& suite, UsualBook& book, const ClientCase& item) {
    ClientServer server = usual_server(item);
    server.oddity = control_oddity(item);
    return find(suite.oddities, server.oddity) == nullptr ? nullptr : &book.look_up(server, false).run;
}

/// The ordinary use: what the client does wrong on the wire though all servers behave.
CaseResult baseline_result(const ClientSuite& suite, const UsualBook& book) {
    CaseResult result = blank(suite, std::string(baseline_name));
    result.title = "The client on servers that behave";
    result.group = "Ordinary use";
    const Usual* first = nullptr;
    for (const auto& [server, usual] : book.all()) {
        if (!server->oddity.empty()) {
            continue; // a control, which some case is about, too
        }
        const std::string what = server->describe();
        add_wire_findings(usual->run, first == nullptr ? nullptr : &first->run, true,
                          what.empty() ? "wire" : fmt::format("wire, with {}", what), result.findings);
        first = first == nullptr ? usual : first;
        result.seconds += usual->run.seconds;
    }
    if (first != nullptr) {
        for (const auto& [name, times] : first->run.asked) {
            result.observations.push_back({name, fmt::format("sent {} times", times)});
        }
    }
    std::tie(result.verdict, result.party) = worst(result.findings);
    if (!result.findings.empty()) {
        result.reason =
            std::ranges::find(result.findings, result.verdict, &reports::Finding::verdict)->message;
    }
    return result;
}

/// Throws if the client cannot do its work on the most ordinary of servers.
void check_baseline(const ClientSuite& suite, const Usual& usual) {
    const ClientRun& run = usual.run;
    if (run.success() && run.connections > 0) {
        return;
    }
    Launch launch;
    launch.argv = suite.command.argv;
    const std::string command = launch.command_line();
    const std::string what =
        run.connections == 0 ? "does not connect to the server" : run.describe(suite.command);
    throw NothingTested(fmt::format("nothing was tested: on a server that behaves, '{}' {}\nits standard "
                                    "output:\n{}\nits standard error:\n{}",
                                    command, what, run.output.substr(0, shown_output), run.errors));
}

} // namespace

struct UsualBook::Entry {
    ClientServer server;
    std::mutex mutex; ///< held while the client meets the server
    Usual usual;
    bool known = false;
    std::size_t number = 0;
};

UsualBook::UsualBook(const ClientBench& bench, fs::path logs)
  : bench_(bench)
  , logs_(std::move(logs)) {}

UsualBook::~UsualBook() = default;

const Usual& UsualBook::look_up(const ClientServer& server, bool twice) {
    Entry* entry = nullptr;
    {
        const std::scoped_lock lock(mutex_);
        const auto found = std::ranges::find_if(
            entries_, [&](const std::unique_ptr<Entry>& one) { return one->server == server; });
        if (found == entries_.end()) {
            entries_.push_back(std::make_unique<Entry>());
            entries_.back()->server = server;
            entries_.back()->number = entries_.size();
            entry = entries_.back().get();
        } else {
            entry = found->get();
        }
    }
    const std::scoped_lock lock(entry->mutex);
    const auto meet = [&](int time) {
        const fs::path logs = logs_ / fmt::format("{}-{}", entry->number, time);
        fs::create_directories(logs);
        return bench_.meet(server, {}, fmt::format("{} {}", baseline_name, server.describe()), logs);
    };
    if (!entry->known) {
        entry->usual.run = meet(1);
        entry->known = true;
    }
    if (twice && !entry->usual.again) {
        entry->usual.again = meet(2);
    }
    return entry->usual;
}

std::vector<std::pair<const ClientServer*, const Usual*>> UsualBook::all() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::pair<const ClientServer*, const Usual*>> known;
    for (const auto& entry : entries_) {
        if (entry->known) {
            known.emplace_back(&entry->server, &entry->usual);
        }
    }
    return known;
}

ClientServer usual_server(const ClientCase& item) {
    if (item.usual) {
        return *item.usual;
    }
    // What is unusual about a server without a fault is what the case is about.
    if (item.server.fault.empty() && item.server.oddity.empty()) {
        return {};
    }
    ClientServer server = item.server.well_behaved();
    server.content =
        server.content == ClientServer::Content::cut ? ClientServer::Content::pattern : server.content;
    return server;
}

CaseResult run_client_case(const ClientSuite& suite, const ClientBench& bench, UsualBook& book,
                           const ClientCase& item, const fs::path& logs) {
    CaseResult result = blank(suite, item.name);
    result.title = item.title;
    result.group = item.section;
    if (!item.server.export_name.empty() && !suite.command.names_export()) {
        result.verdict = Verdict::unsupported;
        result.reason = "the command does not say which export it wants ({uri} or {export})";
        return result;
    }
    const auto begin = std::chrono::steady_clock::now();
    try {
        if (!item.uri.empty() && !suite.command.has_uri()) {
            result.verdict = Verdict::unsupported;
            result.reason = "the client's command takes no {uri}";
            return result;
        }
        const Usual& usual = book.look_up(usual_server(item), item.output != ClientCase::Output::any);
        if (!usual.run.success()) {
            result.verdict = Verdict::unsupported;
            result.reason = fmt::format("the client {} also on a server of this kind that behaves ({})",
                                        usual.run.describe(suite.command), usual_server(item).describe());
        } else if (!could_bite(item, usual.run)) {
            result.verdict = Verdict::unsupported;
            result.reason = fmt::format("the client never sent {}", fmt::join(item.bites, " or "));
        } else {
            fs::create_directories(logs);
            const ClientRun run =
                bench.meet(item.server, item.uri, result.id, logs, limit_for(item, suite.command));
            const ListedFault* const fault = find(suite.faults, item.server.fault);
            judge_client({item, *suite.requirements, suite.command, usual, run,
                          run.success() ? control(suite, book, item) : nullptr, deed_of(suite, item.server),
                          fault == nullptr || !fault->resize()},
                         result);
            if (!item.ambiguous.empty()) {
                result.observations.push_back({"the text can be read in two ways", item.ambiguous});
            }
        }
    } catch (const Interrupted&) {
        throw;
    } catch (const CannotListen& error) {
        result.verdict = Verdict::unsupported;
        result.reason = error.what();
    } catch (const std::exception& error) {
        result.verdict = Verdict::error;
        result.reason = error.what();
    }
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
}

void check_faults(const std::vector<ClientCase>& cases, const std::vector<ListedFault>& faults,
                  const std::vector<ListedFault>& oddities) {
    const auto check = [](const ClientCase& item, const std::string& name, const std::string& what,
                          const std::vector<ListedFault>& known) {
        std::vector<std::string> names;
        for (const ListedFault& one : known) {
            names.push_back(one.name);
        }
        if (!name.empty() && std::ranges::find(names, name) == names.end()) {
            throw CatalogueError(item.position, fmt::format("the reference server has no {} '{}'{}", what,
                                                            name, did_you_mean(name, names)));
        }
    };
    for (const ClientCase& item : cases) {
        check(item, item.server.fault, "fault", faults);
        check(item, item.server.oddity, "oddity", oddities);
    }
}

reports::RunResult run_client_suite(const ClientSuite& suite, const std::vector<ClientCase>& cases,
                                    const OnClientCase& on_case) {
    const auto begin = std::chrono::steady_clock::now();
    check_faults(cases, suite.faults, suite.oddities);
    const ClientBench bench(suite.command, suite.programs, *suite.workspace);
    const fs::path scratch = suite.workspace->make_folder("check");
    UsualBook book(bench, scratch / baseline_name);
    check_baseline(suite, book.look_up({}, true));

    std::vector<CaseResult> results(cases.size());
    const auto one = [&](std::size_t index) {
        const fs::path logs = scratch / cases[index].name;
        CaseResult& result = results[index];
        result = run_client_case(suite, bench, book, cases[index], logs);
        const bool dull = result.verdict == Verdict::pass || result.verdict == Verdict::unsupported;
        if (!dull && !suite.out.empty() && fs::exists(logs)) {
            result.folder = (fs::path("cases") / result.id).string();
            fs::create_directories(suite.out / result.folder);
            fs::copy(logs, suite.out / result.folder,
                     fs::copy_options::overwrite_existing | fs::copy_options::recursive);
        }
        remove_tree(logs);
    };
    in_parallel(suite.jobs == 0 ? std::thread::hardware_concurrency() : suite.jobs, cases.size(), one,
                [&](std::size_t done, std::size_t index) { on_case(done, results[index]); });
    reports::RunResult run;
    run.suite = "check --client";
    run.cases.push_back(baseline_result(suite, book));
    std::ranges::move(results, std::back_inserter(run.cases));
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    suite.workspace->remove_folder(scratch);
    return run;
}

} // namespace harness::check
