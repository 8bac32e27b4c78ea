#include "harness/stacks/stack_run.hpp"

#include "harness/process/errors.hpp"
#include "harness/run/case_end.hpp"
#include "harness/run/judge.hpp"
#include "harness/stacks/stack_export.hpp"
#include "harness/stacks/stack_steps.hpp"

#include <fmt/format.h>

#include <optional>

namespace harness {
namespace {

namespace fs = std::filesystem;
using reports::Finding;
using reports::Party;
using reports::Verdict;

/// How long a dying server may take to be gone after a client has died or complained.
constexpr std::chrono::milliseconds last_breath{200};

/// The rest of the steps makes no sense; the findings, or a step that was expected to fail, say why.
struct Ended {};

/// One case under way.
class StackRun {
  public:
    StackRun(const StackCase& item, const StackPlace& place, const StackFolders& folders,
             reports::CaseResult& result)
      : item_(item)
      , requirements_(place.suite->catalogue.requirements)
      , facts_(item.facts())
      , result_(result)
      , export_(item, *place.suite, folders, place.judged)
      , steps_(item, *place.suite, export_, folders) {}

    /// Throws CannotDo if the client turns out not to be able to.
    void run() {
        steps_.prepare();
        std::optional<CannotDo> cannot;
        try {
            std::uint64_t number = 0;
            for (const Action& action : item_.scenario->actions) {
                current_ = fmt::format("{}: {}", ++number, action.describe(item_.scenario->disk));
                perform(action, number);
            }
        } catch (const Ended&) {
            // Whatever led here is among the findings, or as it should be.
        } catch (const CannotDo& why) {
            cannot = why;
        }
        current_ = "end";
        steps_.drop_process();
        try {
            export_.stop();
        } catch (const PeerTrouble& trouble) {
            result_.findings.push_back(trouble.finding(current_));
        }
        add_wire_findings(result_, export_.record());
        if (cannot) {
            throw CannotDo(*cannot);
        }
    }

  private:
    void find(Finding finding) {
        finding.step = current_;
        result_.findings.push_back(std::move(finding));
    }

    [[noreturn]] void give_up(Verdict verdict, Party party, const std::string& message) {
        find({verdict, party, "", "", message, ""});
        throw Ended{};
    }

    [[nodiscard]] const ExpectationRow& row(const Action& action) const {
        for (const ExpectationRow& candidate : action.rows) {
            if (satisfied(candidate.when, facts_)) {
                return candidate;
            }
        }
        throw std::runtime_error(fmt::format("no row of the decision table at {} is for this case",
                                             action.rows.front().position.describe()));
    }

    void perform(const Action& action, std::uint64_t number) {
        if (dead_) {
            // The rest of the life of a process that has died, or could not open the disk.
            if (action.kind == ActionKind::close) {
                steps_.drop_process();
                dead_ = false;
            }
            return;
        }
        try {
            const std::optional<Came> came = carry_out(action, number);
            if (!came) {
                return;
            }
            if (came->error) {
                export_.check(std::chrono::milliseconds(0));
            }
            judge(action, *came);
            if (came->error && action.kind == ActionKind::create) {
                throw Ended{};
            }
            dead_ = came->error && action.kind == ActionKind::open;
        } catch (const PeerTrouble& trouble) {
            result_.findings.push_back(trouble.finding(current_));
            throw Ended{};
        }
    }

    /// Nothing if the client has died of it.
    std::optional<Came> carry_out(const Action& action, std::uint64_t number) {
        try {
            return steps_.carry_out(action, number);
        } catch (const ClientDied& death) {
            export_.check(last_breath);
            find({death.crashed() ? Verdict::crash : Verdict::fail, Party::client, "", "", death.what(), ""});
            if (!action.record.empty()) {
                result_.observations.push_back({action.record, "the client dies"});
            }
            steps_.client_died(action);
            if (action.kind == ActionKind::create) {
                throw Ended{};
            }
            dead_ = steps_.opened() && action.kind != ActionKind::close;
            if (!dead_) {
                steps_.drop_process();
            }
        } catch (const TimedOut& error) {
            export_.check(std::chrono::milliseconds(0));
            give_up(Verdict::timeout, Party::undecided, error.what());
        } catch (const LaunchError& error) {
            give_up(Verdict::error, Party::none, error.what());
        }
        return std::nullopt;
    }

    void judge(const Action& action, const Came& came) {
        const ExpectationRow& applies = row(action);
        if (!action.record.empty()) {
            result_.observations.push_back({action.record, came.answer});
        }
        const Expectation& expected = applies.then;
        std::string message = came.wrong;
        if (!came.error && !expected.ok) {
            message = fmt::format("{} was expected, it succeeded", expected.describe());
        } else if (came.error && !expected.any_error && !expected.errors.contains(came.error->name)) {
            message = fmt::format("{} was expected, {}", expected.describe(), came.error->describe());
        }
        if (!message.empty()) {
            find(broken(requirements_, applies.rule.empty() ? action.rule : applies.rule,
                        came.error ? came.error->where : ErrorPlace::unknown, message));
        }
    }

    const StackCase& item_;
    const Requirements& requirements_;
    const Facts facts_;
    reports::CaseResult& result_;
    StackExport export_;
    StackSteps steps_;
    bool dead_ = false; ///< the process that had the disk open has died, or never had it open
    std::string current_;
};

/// Why the case cannot be carried out here, whatever came; empty if it can.
std::string not_here(const StackCase& item) {
    if (item.server == nullptr) {
        return fmt::format("{} serves no {} image", item.server_peer->name,
                           item.stack->image == Image::qcow2 ? "qcow2" : "raw");
    }
    return unmet(item.scenario->needs, item.facts());
}

} // namespace

reports::CaseResult run_stack(const StackCase& item, const StackPlace& place) {
    reports::CaseResult result;
    result.id = item.id();
    result.scenario = item.scenario_name();
    result.title = item.scenario->title;
    result.group = fmt::format("stack {}", item.stack->name);
    result.server = {item.server_peer->name, item.server == nullptr ? "default" : item.server->name};
    result.client = {item.client->peer.name, "default"};
    run_to_verdict(result, [&] {
        if (const std::string why = not_here(item); !why.empty()) {
            throw CannotDo(why);
        }
        result.folder = (fs::path("cases") / result.id).string();
        const fs::path logs = place.out / result.folder;
        fs::create_directories(logs);
        const ScratchFolder scratch(*place.workspace, "k");
        StackRun(item, place, {logs, scratch.path(), place.programs}, result).run();
    });
    return result;
}

} // namespace harness
