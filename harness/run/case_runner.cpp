#include "harness/run/case_runner.hpp"

#include "harness/peers/pattern.hpp"
#include "harness/peers/server_instance.hpp"
#include "harness/peers/server_pool.hpp"
#include "harness/process/errors.hpp"
#include "harness/run/case_end.hpp"
#include "harness/run/disk_model.hpp"
#include "harness/run/fact_book.hpp"
#include "harness/run/judge.hpp"
#include "harness/run/judged_server.hpp"
#include "harness/run/make_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace harness {
namespace {

namespace fs = std::filesystem;
using reports::Finding;
using reports::Party;
using reports::Verdict;

/// How long a client may take to start.
constexpr std::chrono::seconds start_patience{10};
/// How long a dying server may take to be gone after its connections are.
constexpr std::chrono::milliseconds last_breath{500};
/// How long a client may take to end once it was told to.
constexpr std::chrono::seconds finish_patience{5};

/// The size of the requests in which a library reads or writes a whole export; every server takes it. Exports
/// that are read as a whole have a size that is a multiple of it.
constexpr std::uint64_t whole_piece = 256U * 1024;

Deadline in(std::chrono::duration<double> time) {
    return std::chrono::steady_clock::now() +
           std::chrono::duration_cast<std::chrono::steady_clock::duration>(time);
}

/// The rest of the steps makes no sense; the findings say why.
struct Abandoned {};

/// One case under way.
class CaseRun {
  public:
    CaseRun(const Case& item, const RunPlace& place, const Facts& facts, fs::path logs, fs::path scratch,
            reports::CaseResult& result)
      : item_(item)
      , place_(place)
      , facts_(facts)
      , logs_(std::move(logs))
      , scratch_(std::move(scratch))
      , result_(result)
      , disk_(item.scenario->setup)
      , server_holder_(place.pool->take(*item.server_peer, *item.server, item.scenario->setup.read_only))
      , server_(*server_holder_)
      , judged_(server_, scratch_, logs_, item.id(), place.judged) {}

    void run() {
        server_.prepare(item_.scenario->setup);
        std::optional<CannotDo> cannot;
        try {
            start_server();
            guarded("the client's start", [&] {
                client_ = make_client(*item_.client_peer, *item_.client, place_, logs_, judged_.uri(),
                                      item_.scenario->setup.read_only, in(start_patience));
            });
            std::uint64_t number = 0;
            for (const Step& step : item_.scenario->steps) {
                current_ = fmt::format("{}: {}", ++number, step.describe(size()));
                perform(step, number);
            }
            current_ = "end";
            guarded("the client's end", [&] { client_->finish(in(finish_patience)); });
            judged_.wait_idle();
        } catch (const Abandoned&) {
            // Whatever led here is among the findings.
        } catch (const CannotDo& why) {
            cannot = why;
        }
        judged_.interfere();
        client_.reset();
        end_server();
        add_wire_findings(result_, judged_.record(),
                          [&](const WireFinding& found) { return excused(found); });
        place_.pool->give_back(std::move(server_holder_), *item_.server, healthy_);
        if (cannot) {
            throw CannotDo(*cannot);
        }
    }

  private:
    [[nodiscard]] std::uint64_t size() const { return item_.scenario->setup.size; }

    void find(Finding finding) {
        finding.step = current_;
        result_.findings.push_back(std::move(finding));
    }

    [[noreturn]] void abandon(Verdict verdict, Party party, const std::string& message) {
        find({verdict, party, "", "", message, ""});
        throw Abandoned{};
    }

    [[noreturn]] void abandon(const PeerTrouble& trouble) {
        result_.findings.push_back(trouble.finding(current_));
        throw Abandoned{};
    }

    void start_server() {
        current_ = "server start";
        try {
            judged_.need();
        } catch (const PeerTrouble& trouble) {
            abandon(trouble);
        } catch (const LaunchError& error) {
            abandon(Verdict::error, Party::none, error.what());
        }
    }

    /// What the scenario makes the client do, and what it cannot help.
    [[nodiscard]] bool excused(const WireFinding& found) const {
        const std::vector<std::string>& provoked = item_.scenario->provokes;
        return found.by == wire::Side::client &&
               (std::ranges::find(provoked, found.requirement) != provoked.end() ||
                item_.client_peer->excused.contains(found.requirement));
    }

    /// Does something with the client; turns what can go wrong into findings.
    template <class Action>
    void guarded(const std::string& what, const Action& action) {
        try {
            action();
        } catch (const TimedOut& error) {
            check_server();
            abandon(Verdict::timeout, Party::undecided,
                    fmt::format("{} did not end in time, the server still runs: {}", what, error.what()));
        } catch (const ClientDied& death) {
            check_server();
            abandon(death.crashed() ? Verdict::crash : Verdict::fail, Party::client, death.what());
        } catch (const LaunchError& error) {
            abandon(Verdict::error, Party::none, error.what());
        } catch (const OutputOverflow& error) {
            abandon(Verdict::fail, Party::client, error.what());
        }
    }

    /// A server that ended by itself is the cause of whatever the client complains about. A client that lost
    /// its connection may be faster with its complaint than a dying server is at its end.
    void check_server(bool connection_lost = false) {
        if (!expect_server_) {
            return;
        }
        try {
            judged_.check(connection_lost ? last_breath : std::chrono::milliseconds(0));
        } catch (const PeerTrouble& trouble) {
            expect_server_ = false;
            abandon(trouble);
        }
    }

    void end_server() {
        try {
            current_ = "end";
            check_server();
            if (item_.server->reuse && server_.running()) {
                healthy_ = std::ranges::all_of(result_.findings, [](const Finding& finding) {
                    return finding.verdict == Verdict::fail || finding.verdict == Verdict::warn;
                });
                return;
            }
            judged_.stop();
        } catch (const PeerTrouble& trouble) {
            result_.findings.push_back(trouble.finding(current_));
        } catch (const Abandoned&) {
            // The server had ended before, and is among the findings.
        }
    }

    void perform(const Step& step, std::uint64_t number) {
        switch (step.kind) {
        case StepKind::truncate_image:
            fs::resize_file(server_.image(), step.length.evaluate(size()));
            return;
        case StepKind::kill_server:
            expect_server_ = false;
            judged_.kill();
            return;
        case StepKind::restart_server:
            try {
                judged_.stop();
            } catch (const PeerTrouble& trouble) {
                abandon(trouble);
            }
            start_server();
            expect_server_ = true;
            return;
        case StepKind::check_image:
            check_image(step);
            return;
        default:
            perform_on_client(step, number);
        }
    }

    void check_image(const Step& step) {
        if (const auto difference = disk_.compare(server_.image(), 0, 0, size())) {
            find(broken(place_.catalogue->requirements, step.rule, ErrorPlace::unknown,
                        fmt::format("the image file differs from what was written: {}", *difference)));
        }
    }

    [[nodiscard]] const ExpectationRow& row(const Step& step) const {
        for (const ExpectationRow& row : step.rows) {
            if (satisfied(row.when, facts_)) {
                return row;
            }
        }
        throw std::runtime_error(
            fmt::format("no row of the decision table at {} is for these peers; a fact is missing",
                        step.rows.front().position.describe()));
    }

    ClientStep evaluate(const Step& step, std::uint64_t number) {
        ClientStep result;
        result.kind = step.kind;
        result.id = number;
        result.connection = step.connection;
        result.uri = judged_.uri(step.export_name);
        result.export_name = step.export_name.value_or(server_.export_name());
        result.offset = step.offset.evaluate(size());
        result.length = step.length.evaluate(size());
        result.count = step.count;
        if (step.whole && item_.client_peer->kind == ClientKind::driver) {
            // A program that copies cuts the export into pieces by itself; a library has to be told.
            result.count = std::max<std::uint64_t>(size() / whole_piece, 1);
            result.length = size() / result.count;
        }
        result.stride = step.stride ? step.stride->evaluate(size()) : result.length;
        result.flags = step.flags;
        result.background = !step.background.empty();
        result.abrupt = step.abrupt;
        result.into = scratch_ / fmt::format("{}.read", number);
        if (step.kind == StepKind::write) {
            result.from = write_source(result);
        }
        return result;
    }

    /// The file with the bytes of a write: those of the pattern at the places where they go.
    [[nodiscard]] fs::path write_source(const ClientStep& step) const {
        const fs::path file = scratch_ / fmt::format("{}.write", step.id);
        std::ofstream out(file, std::ios::binary);
        out.exceptions(std::ios::failbit | std::ios::badbit);
        std::vector<std::uint8_t> block(step.length);
        for (std::uint64_t i = 0; i < step.count; ++i) {
            fill_pattern(block, step.offset + i * step.stride, seed(step));
            out.write(reinterpret_cast<const char*>(block.data()),
                      static_cast<std::streamsize>(block.size()));
        }
        return file;
    }

    /// Every write step has a pattern of its own.
    [[nodiscard]] static std::uint64_t seed(const ClientStep& step) { return 1000 + step.id; }

    void perform_on_client(const Step& step, std::uint64_t number) {
        ClientStep evaluated = evaluate(step, number);
        const Step* judged = &step;
        if (step.kind == StepKind::finish) {
            const auto& job = jobs_.at(step.of);
            evaluated.of = job.evaluated.id;
        }
        ClientOutcome outcome;
        guarded(name(step.kind), [&] {
            outcome = client_->perform(evaluated, in(std::chrono::duration<double>(item_.scenario->timeout)));
        });
        if (!step.background.empty() && !outcome.error) {
            jobs_.emplace(step.background, Job{&step, evaluated});
            return; // judged when it is finished
        }
        Step finished;
        Step ruled;
        if (step.kind == StepKind::finish) {
            // The data and the disk are those of the job, what is expected of it stands at the finish.
            const Job job = jobs_.at(step.of);
            finished = *job.step;
            finished.rows = step.rows;
            finished.rule = step.rule;
            finished.rule_on_error = step.rule_on_error;
            finished.rule_on_success = step.rule_on_success;
            finished.record = step.record;
            evaluated = job.evaluated;
            judged = &finished;
        }
        update_disk(evaluated, outcome);
        const ExpectationRow& applies = row(*judged);
        Expectation expected = applies.then;
        if (!applies.rule.empty()) {
            ruled = *judged;
            ruled.rule = applies.rule;
            ruled.rule_on_error.clear();
            ruled.rule_on_success.clear();
            judged = &ruled;
        }
        if (expected.size_held) {
            expected.size = SizeExpression::parse(std::to_string(held_size_));
        }
        const StepJudgement judgement =
            judge(*judged, evaluated, expected, outcome, disk_, size(), place_.catalogue->requirements);
        if (step.kind == StepKind::grow || step.kind == StepKind::learn) {
            held_size_ = outcome.result.size.value_or(held_size_);
        }
        if (!judgement.unsupported.empty()) {
            throw CannotDo(judgement.unsupported);
        }
        if (!judgement.findings.empty()) {
            check_server(outcome.error && outcome.error->where == ErrorPlace::connection);
        }
        for (const Finding& finding : judgement.findings) {
            find(finding);
        }
        if (!judged->record.empty()) {
            result_.observations.push_back({judged->record, judgement.answer});
        }
        fs::remove(evaluated.into);
        fs::remove(evaluated.from);
        const bool lost = outcome.error && outcome.error->where == ErrorPlace::connection;
        if (!judgement.findings.empty() && (lost || step.kind == StepKind::connect)) {
            throw Abandoned{};
        }
    }

    void update_disk(const ClientStep& step, const ClientOutcome& outcome) {
        for (std::uint64_t i = 0; i < step.count; ++i) {
            const std::uint64_t offset = step.offset + i * step.stride;
            const bool inside = offset <= size() && step.length <= size() - offset;
            if (!inside && (outcome.error || step.kind == StepKind::trim)) {
                continue; // a write that succeeds there has made the export longer
            }
            // A refused request changes nothing; after one with no certain end nobody knows.
            const bool refused = outcome.error && outcome.error->where != ErrorPlace::connection &&
                                 outcome.error->name != "EIO" && step.count == 1;
            if (refused) {
                continue;
            }
            if (step.kind == StepKind::write) {
                outcome.error ? disk_.forget(offset, step.length)
                              : disk_.write(offset, step.length, seed(step));
            } else if (step.kind == StepKind::zero) {
                outcome.error ? disk_.forget(offset, step.length) : disk_.zero(offset, step.length);
            } else if (step.kind == StepKind::trim) {
                disk_.forget(offset, step.length);
            }
        }
    }

    struct Job {
        const Step* step;
        ClientStep evaluated;
    };

    const Case& item_;
    const RunPlace& place_;
    const Facts& facts_;
    fs::path logs_;
    fs::path scratch_;
    reports::CaseResult& result_;
    DiskModel disk_;
    std::unique_ptr<ServerInstance> server_holder_;
    ServerInstance& server_;
    JudgedServer judged_;
    bool healthy_ = false;
    std::unique_ptr<Client> client_;
    std::map<std::string, Job> jobs_;
    std::uint64_t held_size_ = 0; ///< by the client, as its last grow or learn told; bytes
    std::string current_;
    bool expect_server_ = true;
};

reports::CaseResult blank(const Case& item) {
    reports::CaseResult result;
    result.id = item.id();
    result.scenario = item.scenario->name;
    result.title = item.scenario->title;
    result.group = item.scenario->group;
    result.server = {item.server_peer->name, item.server->name};
    result.client = {item.client_peer->name, item.client->name};
    return result;
}

/// Variants that the installed version does not have; throws CannotDo.
void check_version(const std::string& role, const std::string& peer, const std::string& variant,
                   const VersionRange& range, const Versions& versions) {
    const std::string& version = versions.at({role, peer});
    if (!range.contains(version)) {
        throw CannotDo(fmt::format("{} {} does not have '{}', which is for versions {}", peer, version,
                                   variant, range.text()));
    }
}

/// What the scenario needs of the server, and it lacks; throws CannotDo.
void check_needs(const Case& item, const FactBook::Entry& entry) {
    const std::string why = unmet(item.scenario->server_needs, entry.facts);
    if (!why.empty()) {
        throw CannotDo(fmt::format("{}: {}", item.server_peer->name, why));
    }
    const bool needs_image =
        item.scenario->setup.filled || std::ranges::any_of(item.scenario->steps, [](const Step& step) {
            return step.kind == StepKind::restart_server;
        });
    if (needs_image && item.server->image == Image::none) {
        throw CannotDo(fmt::format("{} keeps nothing from before its start", item.server_peer->name));
    }
    const bool touches_image = std::ranges::any_of(item.scenario->steps, [](const Step& step) {
        return step.kind == StepKind::truncate_image || step.kind == StepKind::check_image;
    });
    if (touches_image && item.server->image != Image::raw) {
        throw CannotDo(fmt::format("the storage of {} is no raw file", item.server_peer->name));
    }
    if (item.scenario->setup.read_only && !item.server->read_only) {
        throw CannotDo(fmt::format("{} cannot be told to serve read-only", item.server_peer->name));
    }
}

} // namespace

reports::CaseResult run_case(const Case& item, const RunPlace& place, FactBook& book) {
    reports::CaseResult result = blank(item);
    run_to_verdict(result, [&] {
        check_version("server", item.server_peer->name, item.server->name, item.server->versions,
                      *place.versions);
        check_version("client", item.client_peer->name, item.client->name, item.client->versions,
                      *place.versions);
        if (const std::string why = inexpressible(item); !why.empty()) {
            throw CannotDo(why);
        }
        const FactBook::Entry& entry =
            book.look_up(*item.server_peer, *item.server, item.scenario->setup.read_only);
        if (entry.problem) {
            result.findings.push_back(*entry.problem);
            return;
        }
        check_needs(item, entry);
        Facts facts = entry.facts;
        facts.insert(item.client->traits.begin(), item.client->traits.end());
        const fs::path folder = fs::path("cases") / result.id;
        const fs::path logs = place.out / folder;
        fs::create_directories(logs);
        result.folder = folder.string();
        const ScratchFolder scratch(*place.workspace, "c");
        CaseRun(item, place, facts, logs, scratch.path(), result).run();
    });
    return result;
}

} // namespace harness
