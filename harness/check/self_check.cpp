#include "harness/check/self_check.hpp"

#include "harness/catalogue/glob.hpp"
#include "harness/check/server_suite.hpp"
#include "harness/check/started_server.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/in_parallel.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <mutex>

namespace harness::check {
namespace {

using namespace std::chrono_literals;
using reports::Verdict;

/// The reference server answers at once; a fault that keeps it from answering is to be noticed soon. On a
/// loaded machine a sound server must not be too late.
constexpr auto sound_patience = 20000ms;
constexpr auto faulty_patience = 1000ms;
/// After so many cases in which a faulty server did not answer, it is known well enough.
constexpr std::size_t enough_late = 2;

/// Some cases on one target after the other, with a fault or without.
struct Task {
    std::vector<const SelfTarget*> targets; ///< with a fault only until a case notices it
    const ListedFault* fault = nullptr;     ///< null: sound
    std::vector<ServerCase> cases;
    /// All cases, or only those that have noticed no fault by now, or one that is known to notice the fault.
    enum class Kind { all, idle, known } kind = Kind::all;
};

std::string quoted(const std::string& word) {
    return "'" + word + "'";
}

class SelfCheck {
  public:
    SelfCheck(const Conformance& conformance, const Requirements& requirements, Workspace& workspace,
              const SelfOptions& options)
      : conformance_(conformance)
      , requirements_(requirements)
      , workspace_(workspace)
      , options_(options) {}

    Detection run();

  private:
    void run_all(std::string_view what, const std::vector<Task>& tasks);
    void run_task(const Task& task);
    void run_on(const Task& task, const SelfTarget& target);
    void note(const Task& task, const SelfTarget& target, const SuiteResult& result);
    [[nodiscard]] bool noticed(const ListedFault& fault);
    /// True if the first case of the task has noticed the fault.
    [[nodiscard]] bool sighted(const Task& task);
    [[nodiscard]] std::vector<ServerCase> testing(const std::string& requirement) const;
    [[nodiscard]] std::vector<ServerCase> named(const std::vector<std::string>& names) const;
    /// On all targets that are made for such faults, until somebody notices.
    [[nodiscard]] Task task_for(const ListedFault& fault, const std::vector<ServerCase>& cases) const;
    /// What the plan knows to be noticed.
    void repeat(const std::vector<ListedFault>& faults);
    /// Who notices what nobody has noticed yet.
    void search(const std::vector<ListedFault>& faults);
    /// In a search: whether cases that noticed a fault behind others do so by themselves, as a plan has them.
    void confirm(const std::vector<ListedFault>& faults);
    /// What cases that noticed nothing yet make of all faults, on a target that they are known to run on:
    /// first of those that break what they test, then of those that most cases notice.
    void wake(const std::vector<ListedFault>& faults);
    [[nodiscard]] std::vector<ServerCase> still_idle(std::vector<ServerCase> cases);

    const Conformance& conformance_;
    const Requirements& requirements_;
    Workspace& workspace_;
    const SelfOptions& options_;
    std::mutex mutex_; ///< for what follows
    Detection detection_;
    std::map<std::string, const SelfTarget*> homes_; ///< by case: a target that can carry it out
};

std::vector<ServerCase> SelfCheck::testing(const std::string& requirement) const {
    std::vector<ServerCase> found;
    std::ranges::copy_if(conformance_.server_cases, std::back_inserter(found),
                         [&](const ServerCase& made) { return made.requirements().contains(requirement); });
    return found;
}

std::vector<ServerCase> SelfCheck::named(const std::vector<std::string>& names) const {
    std::vector<ServerCase> found;
    std::ranges::copy_if(conformance_.server_cases, std::back_inserter(found), [&](const ServerCase& made) {
        return std::ranges::find(names, made.name) != names.end();
    });
    return found;
}

void SelfCheck::note(const Task& task, const SelfTarget& target, const SuiteResult& result) {
    constexpr std::string_view prefix = "check/";
    std::map<std::string, std::string> asides;
    for (const auto& [requirement, made] : result.seen_aside) {
        asides["wire-" + requirement] = made;
    }
    const std::scoped_lock lock(mutex_);
    for (const reports::CaseResult& item : result.run.cases) {
        if (item.verdict == Verdict::unsupported) {
            continue;
        }
        ++detection_.runs;
        const std::string name = item.scenario.substr(prefix.size());
        if (task.fault == nullptr) {
            homes_.try_emplace(name, &target);
        }
        if (item.verdict == Verdict::pass) {
            continue;
        }
        const bool known = std::ranges::all_of(item.findings, [&](const reports::Finding& finding) {
            const auto& breaks = target.breaks;
            return std::ranges::find(breaks, finding.requirement) != breaks.end();
        });
        if (known) {
            continue;
        }
        if (task.fault == nullptr) {
            detection_.unsound.push_back(fmt::format("{} on {}: {} ({})", name, target.name, item.reason,
                                                     item.findings.front().requirement));
            continue;
        }
        Sighting sighting{task.fault->name, target.name, name, {}, false, task.cases.size() == 1};
        if (const auto aside = asides.find(name); aside != asides.end()) {
            sighting.made = aside->second;
            sighting.aside = true;
        }
        for (const reports::Finding& finding : item.findings) {
            sighting.broken.insert(finding.requirement);
        }
        detection_.add(std::move(sighting));
    }
}

bool SelfCheck::noticed(const ListedFault& fault) {
    const std::scoped_lock lock(mutex_);
    return !detection_.noticed(fault.name).empty();
}

bool SelfCheck::sighted(const Task& task) {
    const std::scoped_lock lock(mutex_);
    return detection_.noticed_by(task.fault->name, task.cases.front().name);
}

std::vector<ServerCase> SelfCheck::still_idle(std::vector<ServerCase> cases) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(cases, [&](const ServerCase& made) { return detection_.busy(made.name); });
    return cases;
}

void SelfCheck::run_task(const Task& task) {
    if (task.kind == Task::Kind::known) {
        for (int tries = 0; tries < most_repetitions && !sighted(task); ++tries) {
            run_on(task, *task.targets.front());
        }
        return;
    }
    if (task.kind == Task::Kind::idle) {
        const Task left{task.targets, task.fault, still_idle(task.cases)};
        if (!left.cases.empty()) {
            run_on(left, *left.targets.front());
        }
        return;
    }
    const bool known = task.fault != nullptr && noticed(*task.fault);
    for (const SelfTarget* target : task.targets) {
        run_on(task, *target);
        if (task.fault != nullptr && !known && noticed(*task.fault)) {
            return;
        }
    }
}

void SelfCheck::run_on(const Task& task, const SelfTarget& target) {
    std::string command = quoted(options_.server.string());
    for (const std::string& argument : target.arguments) {
        command += " " + quoted(argument);
    }
    if (task.fault != nullptr) {
        command += " --fault " + quoted(task.fault->name);
    }
    SuiteOptions suite;
    suite.server = "reference-server";
    suite.permissions = {true, true};
    suite.patience = task.fault == nullptr ? std::chrono::milliseconds(sound_patience) : faulty_patience;
    suite.keep_traces = false;
    suite.crashers = true;
    suite.most_late = task.fault == nullptr ? 0 : enough_late;
    try {
        StartedServer server(command, std::nullopt, workspace_);
        server.start(sound_patience);
        nbd::Uri uri = server.uri();
        uri.export_name = target.export_name;
        note(task, target, run_server_suite(task.cases, requirements_, uri, &server, suite));
    } catch (const NotStarted& error) {
        const std::scoped_lock lock(mutex_);
        detection_.unsound.push_back(fmt::format("{}: {}", target.name, error.what()));
    } catch (const NoServer& error) {
        const std::scoped_lock lock(mutex_);
        if (task.fault == nullptr) {
            detection_.unsound.push_back(fmt::format("{}: {}", target.name, error.what()));
        } else {
            detection_.add({task.fault->name, target.name, task.cases.front().name, {}, true, true});
        }
    }
}

void SelfCheck::run_all(std::string_view what, const std::vector<Task>& tasks) {
    in_parallel(
        options_.jobs, tasks.size(), [&](std::size_t index) { run_task(tasks[index]); },
        [&](std::size_t done, std::size_t) {
            if (options_.progress) {
                options_.progress(what, done, tasks.size());
            }
        });
}

Task SelfCheck::task_for(const ListedFault& fault, const std::vector<ServerCase>& cases) const {
    Task task{{}, &fault, cases};
    for (const SelfTarget& target : conformance_.targets) {
        if (target.resize == fault.resize()) {
            task.targets.push_back(&target);
        }
    }
    return task;
}

void SelfCheck::repeat(const std::vector<ListedFault>& faults) {
    std::vector<Task> known;
    for (const PlannedTrial& trial : options_.plan) {
        const ListedFault* const fault = find(faults, trial.fault);
        const auto target = std::ranges::find(conformance_.targets, trial.on, &SelfTarget::name);
        if (fault == nullptr || target == conformance_.targets.end()) {
            continue;
        }
        // Each case on a server of its own: what a case has done to a broken server may keep the next one
        // from noticing anything.
        for (ServerCase& made : named(trial.cases)) {
            known.push_back({{&*target}, fault, {std::move(made)}, Task::Kind::known});
        }
    }
    run_all("faults that are known to be noticed", known);
}

void SelfCheck::search(const std::vector<ListedFault>& faults) {
    const auto open = [&] {
        std::vector<const ListedFault*> found;
        for (const ListedFault& fault : faults) {
            if (options_.search ? !detection_.noticed_alone(fault.name)
                                : detection_.noticed(fault.name).empty()) {
                found.push_back(&fault);
            }
        }
        return found;
    };
    std::vector<Task> by_requirement;
    for (const ListedFault* const fault : open()) {
        if (auto cases = testing(fault->requirement); !cases.empty()) {
            by_requirement.push_back(task_for(*fault, cases));
        }
    }
    run_all("faults by requirement", by_requirement);
    confirm(faults);

    std::vector<Task> by_all;
    for (const ListedFault* const fault : open()) {
        by_all.push_back(task_for(*fault, conformance_.server_cases));
    }
    run_all("faults by all cases", by_all);
    confirm(faults);

    // Where only some faults are tried nobody asks of a case that it notices one.
    if (options_.faults.empty() && options_.search) {
        wake(faults);
    }
}

void SelfCheck::confirm(const std::vector<ListedFault>& faults) {
    if (!options_.search) {
        return;
    }
    std::vector<Task> tasks;
    for (const Sighting& sighting : detection_.sightings()) {
        const auto target = std::ranges::find(conformance_.targets, sighting.on, &SelfTarget::name);
        if (!sighting.alone && !detection_.noticed_alone(sighting.fault)) {
            tasks.push_back({{&*target}, find(faults, sighting.fault), named({sighting.made})});
        }
    }
    run_all("cases by themselves", tasks);
}

void SelfCheck::wake(const std::vector<ListedFault>& faults) {
    std::map<const SelfTarget*, std::vector<std::string>> by_home;
    for (const std::string& name : detection_.idle_cases()) {
        if (const auto home = homes_.find(name); home != homes_.end()) {
            by_home[home->second].push_back(name);
        }
    }
    std::vector<std::pair<std::size_t, const ListedFault*>> ranked;
    for (const ListedFault& fault : faults) {
        ranked.emplace_back(detection_.noticed(fault.name).size(), &fault);
    }
    std::ranges::stable_sort(ranked, std::ranges::greater{}, [](const auto& entry) { return entry.first; });

    std::vector<Task> related;
    std::vector<Task> all;
    for (const auto& [times, fault] : ranked) {
        for (const auto& [target, names] : by_home) {
            std::vector<ServerCase> cases = named(names);
            all.push_back({{target}, fault, cases, Task::Kind::idle});
            std::erase_if(cases, [&](const ServerCase& made) {
                return !made.requirements().contains(fault->requirement);
            });
            if (!cases.empty()) {
                related.push_back({{target}, fault, std::move(cases), Task::Kind::idle});
            }
        }
    }
    run_all("idle cases by requirement", related);
    run_all("idle cases by all faults", all);
}

Detection SelfCheck::run() {
    for (const ServerCase& made : conformance_.server_cases) {
        if (!conformance_.elsewhere.contains(made.name)) {
            detection_.cases.push_back(made.name);
        }
    }
    for (ListedFault& fault : list_faults(options_.server, "--list-faults")) {
        const bool wanted =
            options_.faults.empty() || std::ranges::any_of(options_.faults, [&](const auto& pattern) {
                return glob_match(pattern, fault.name);
            });
        if (wanted) {
            detection_.faults.push_back(std::move(fault));
        }
    }
    const std::vector<ListedFault> faults = detection_.faults;
    std::vector<Task> sound;
    for (const SelfTarget& target : conformance_.targets) {
        sound.push_back({{&target}, nullptr, conformance_.server_cases});
    }
    run_all("sound servers", sound);
    for (const std::string& name : detection_.cases) {
        if (!homes_.contains(name)) {
            detection_.never_run.push_back(name);
        }
    }
    repeat(faults);
    search(faults);
    return std::move(detection_);
}

} // namespace

Detection check_servers(const Conformance& conformance, const Requirements& requirements,
                        Workspace& workspace, const SelfOptions& options) {
    return SelfCheck(conformance, requirements, workspace, options).run();
}

} // namespace harness::check
