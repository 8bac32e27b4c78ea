#include "harness/check/client_self.hpp"

#include "harness/catalogue/glob.hpp"
#include "harness/check/client_errand.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/in_parallel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

namespace harness::check {
namespace {

namespace fs = std::filesystem;
using reports::CaseResult;
using reports::Verdict;

/// The errands on which a case is tried with all faults: further ones hardly show anything else.
constexpr std::size_t most_homes = 4;
/// How often a fault is tried on cases that are not about its requirement.
constexpr std::size_t most_tries = 150;

bool concerns(const ClientCase& item, const std::string& requirement) {
    return item.breaks == requirement || std::ranges::find(item.tests, requirement) != item.tests.end();
}

class ClientSelf {
  public:
    ClientSelf(const ClientSuite& suite, const Conformance& conformance, const ClientSelfOptions& options)
      : suite_(suite)
      , conformance_(conformance)
      , options_(options)
      , scratch_(suite.workspace->make_folder("self")) {
        for (const ClientErrand& errand : conformance.errands) {
            errands_.push_back(std::make_unique<ErrandTrials>(suite, errand, scratch_ / errand.name));
        }
    }

    Detection run();

  private:
    /// Calls `work` with each index, from several threads.
    void for_each(std::string_view what, std::size_t count, const std::function<void(std::size_t)>& work);
    /// True if the case notices the fault on the errand.
    bool notices(const ClientCase& item, const ListedFault& fault, ErrandTrials& errand);
    [[nodiscard]] bool busy(const std::string& name);
    [[nodiscard]] bool noticed(const std::string& fault);
    void repeat();
    /// All cases that are about the fault's requirement, until one has noticed it and none of them is idle.
    void try_related(const ListedFault& fault);
    /// All cases, those with a server that behaves first, until one has noticed it.
    void try_all(const ListedFault& fault);
    /// All faults, the most often noticed ones first, until the case has noticed one.
    void wake(const ClientCase& item);
    void note_unsound();

    [[nodiscard]] std::vector<const ListedFault*> unnoticed() const;

    const ClientSuite& suite_;
    const Conformance& conformance_;
    const ClientSelfOptions& options_;
    fs::path scratch_;
    std::vector<std::unique_ptr<ErrandTrials>> errands_;
    std::mutex mutex_; ///< for what follows
    Detection detection_;
    std::set<std::string> busy_; ///< cases that have noticed a fault
};

void ClientSelf::for_each(std::string_view what, std::size_t count,
                          const std::function<void(std::size_t)>& work) {
    in_parallel(options_.jobs, count, work, [&](std::size_t done, std::size_t) {
        if (options_.progress) {
            options_.progress(what, done, count);
        }
    });
}

bool ClientSelf::notices(const ClientCase& item, const ListedFault& fault, ErrandTrials& errand) {
    std::optional<Sighting> sighting = errand.look(item, fault.name);
    const std::scoped_lock lock(mutex_);
    ++detection_.runs;
    if (sighting) {
        busy_.insert(item.name);
        detection_.add(std::move(*sighting));
        return true;
    }
    return false;
}

bool ClientSelf::busy(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    return busy_.contains(name);
}

bool ClientSelf::noticed(const std::string& fault) {
    const std::scoped_lock lock(mutex_);
    return !detection_.noticed(fault).empty();
}

std::vector<const ListedFault*> ClientSelf::unnoticed() const {
    std::vector<const ListedFault*> found;
    for (const std::string& name : detection_.unnoticed_faults()) {
        found.push_back(find(detection_.faults, name));
    }
    return found;
}

void ClientSelf::repeat() {
    struct Pair {
        const ClientCase* item;
        const ListedFault* fault;
        ErrandTrials* errand;
    };
    std::vector<Pair> pairs;
    for (const PlannedTrial& trial : options_.plan) {
        const ListedFault* const fault = find(detection_.faults, trial.fault);
        const auto errand =
            std::ranges::find_if(errands_, [&](const auto& one) { return one->errand().name == trial.on; });
        for (const std::string& name : trial.cases) {
            const auto item = std::ranges::find(conformance_.client_cases, name, &ClientCase::name);
            if (fault != nullptr && errand != errands_.end() && item != conformance_.client_cases.end()) {
                pairs.push_back({&*item, fault, errand->get()});
            }
        }
    }
    for_each("cases that are known to notice a fault", pairs.size(), [&](std::size_t i) {
        const auto& [item, fault, errand] = pairs[i];
        for (int tries = 0; tries < most_repetitions && !notices(*item, *fault, *errand); ++tries) {
        }
    });
}

void ClientSelf::try_related(const ListedFault& fault) {
    std::vector<const ClientCase*> left;
    for (const ClientCase& item : conformance_.client_cases) {
        if (concerns(item, fault.requirement)) {
            left.push_back(&item);
        }
    }
    for (const auto& errand : errands_) {
        if (noticed(fault.name)) {
            std::erase_if(left, [&](const ClientCase* item) { return busy(item->name); });
        }
        std::erase_if(left, [&](const ClientCase* item) { return notices(*item, fault, *errand); });
    }
}

void ClientSelf::try_all(const ListedFault& fault) {
    // What the draft asks for is looked at where a server has it.
    const auto fits = [&](const ClientCase& item) {
        return (!fault.resize() || item.about_resize()) && !concerns(item, fault.requirement);
    };
    const auto plain = [](const ClientCase& item) {
        return item.server.fault.empty() && item.server.oddity.empty();
    };
    std::size_t tries = 0;
    // The judge looks on in all cases, but has most to say where the server behaves.
    for (const bool first : {true, false}) {
        for (const auto& errand : errands_) {
            for (const ClientCase& item : conformance_.client_cases) {
                if (fits(item) && plain(item) == first &&
                    (notices(item, fault, *errand) || ++tries == most_tries)) {
                    return;
                }
            }
        }
    }
}

void ClientSelf::wake(const ClientCase& item) {
    std::vector<std::pair<std::size_t, const ListedFault*>> faults;
    {
        const std::scoped_lock lock(mutex_);
        for (const ListedFault& fault : detection_.faults) {
            if (!fault.resize() || item.about_resize()) {
                faults.emplace_back(detection_.noticed(fault.name).size(), &fault);
            }
        }
    }
    std::ranges::stable_sort(faults, std::ranges::greater{}, [](const auto& entry) { return entry.first; });
    std::vector<ErrandTrials*> homes;
    for (const auto& errand : errands_) {
        if (homes.size() < most_homes && errand->sound(item).verdict == Verdict::pass) {
            homes.push_back(errand.get());
        }
    }
    for (const auto& [times, fault] : faults) {
        for (ErrandTrials* const errand : homes) {
            if (notices(item, *fault, *errand)) {
                return;
            }
        }
    }
}

void ClientSelf::note_unsound() {
    // The sound client has passed all cases that have noticed something.
    std::vector<const ClientCase*> cases;
    for (const ClientCase& item : conformance_.client_cases) {
        if (!busy(item.name)) {
            cases.push_back(&item);
        }
    }
    for_each("cases on the sound client", cases.size(), [&](std::size_t i) {
        for (const auto& errand : errands_) {
            const CaseResult& result = errand->sound(*cases[i]);
            if (result.verdict == Verdict::pass) {
                return;
            }
            if (result.verdict != Verdict::unsupported) {
                const std::scoped_lock lock(mutex_);
                detection_.unsound.push_back(
                    fmt::format("{} on {}: {}", cases[i]->name, errand->errand().name, result.reason));
            }
        }
        const std::scoped_lock lock(mutex_);
        detection_.never_run.push_back(cases[i]->name);
    });
}

Detection ClientSelf::run() {
    for (const ClientCase& item : conformance_.client_cases) {
        detection_.cases.push_back(item.name);
    }
    for (ListedFault& fault : list_faults(suite_.programs / "nbd-resize-client", "--list-faults")) {
        const bool wanted =
            options_.faults.empty() || std::ranges::any_of(options_.faults, [&](const auto& pattern) {
                return glob_match(pattern, fault.name);
            });
        if (wanted) {
            if (!suite_.requirements->contains(fault.requirement)) {
                detection_.unsound.push_back(fmt::format("the fault {} breaks {}, which is no requirement",
                                                         fault.name, fault.requirement));
            }
            detection_.faults.push_back(std::move(fault));
        }
    }
    repeat();
    const auto search = [&](std::string_view what, void (ClientSelf::*work)(const ListedFault&)) {
        const std::vector<const ListedFault*> left = unnoticed();
        for_each(what, left.size(), [&](std::size_t i) { (this->*work)(*left[i]); });
    };
    search("faults by requirement", &ClientSelf::try_related);
    // Where only some faults are tried nobody asks of a case that it notices one.
    if (options_.faults.empty()) {
        note_unsound();
    }
    if (options_.faults.empty() && options_.search) {
        std::vector<const ClientCase*> idle;
        for (const std::string& name : detection_.idle_cases()) {
            idle.push_back(&*std::ranges::find(conformance_.client_cases, name, &ClientCase::name));
        }
        for_each("idle cases", idle.size(), [&](std::size_t i) { wake(*idle[i]); });
    }
    search("faults by all cases", &ClientSelf::try_all);
    suite_.workspace->remove_folder(scratch_);
    return std::move(detection_);
}

} // namespace

Detection check_clients_themselves(const ClientSuite& suite, const Conformance& conformance,
                                   const ClientSelfOptions& options) {
    return ClientSelf(suite, conformance, options).run();
}

} // namespace harness::check
