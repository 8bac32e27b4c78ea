#include "harness/check/client_self.hpp"

#include "harness/process/errors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace harness::check {
namespace {

namespace fs = std::filesystem;
using reports::CaseResult;
using reports::Verdict;

/// What the reference client is made to do, behind `nbd-resize-client` and the fault. All that it can do
/// occurs.
const std::vector<std::vector<std::string>>& errands() {
    static const std::vector<std::vector<std::string>> all{
        {"copy", "{uri}", "{file}"},
        {"info", "{uri}"},
        {"map", "{uri}"},
        {"list", "{uri}"},
        {"write", "{uri}", "4096", "--pattern", "0x5a", "--length", "64K"},
        {"--replies", "structured", "copy", "{uri}", "{file}"},
        {"--replies", "simple", "copy", "{uri}", "{file}"},
        {"--export-name", "read", "{uri}", "0", "64K"},
        {"zero", "{uri}", "4096", "64K"},
        {"trim", "{uri}", "4096", "64K"},
        {"cache", "{uri}", "4096", "64K"},
        {"flush", "{uri}"},
        {"copy", "{input}", "{uri}"},
        {"--replies", "structured", "write", "{uri}", "0", "--pattern", "0x5a", "--length", "64K"},
        {"--replies", "structured", "map", "{uri}"},
        {"--replies", "simple", "write", "{uri}", "0", "--pattern", "0x5a", "--length", "64K"},
        {"size", "{uri}"},
        {"grow", "{uri}", "2M"},
        {"shrink", "{uri}", "512K"},
        {"size", "{uri}", "--learn", "poll"},
        {"--starttls", "info", "{uri}"},
        {"write", "{uri}", "1M", "--grow", "flagged", "--pattern", "0x5a", "--length", "64K"},
    };
    return all;
}

/// One errand, with or without a fault: its bench and what it usually does.
class Errand {
  public:
    Errand(const ClientSuite& suite, const std::vector<std::string>& words, const std::string& fault,
           fs::path logs)
      : suite_(suite)
      , logs_(std::move(logs))
      , bench_(command(suite, words, fault), suite.programs, *suite.workspace)
      , book_(bench_, logs_ / "usual") {}

    /// The case's result; the first time it is carried out.
    const CaseResult& result(const ClientCase& item) {
        Slot* slot = nullptr;
        {
            const std::scoped_lock lock(mutex_);
            slot = &slots_[item.name];
        }
        const std::scoped_lock lock(slot->mutex);
        if (!slot->known) {
            ClientSuite own = suite_;
            own.command = bench_.command();
            own.client = "nbd-resize-client";
            slot->result = run_client_case(own, bench_, book_, item, logs_ / item.name);
            slot->known = true;
        }
        return slot->result;
    }

    [[nodiscard]] const ClientBench& bench() const { return bench_; }
    [[nodiscard]] UsualBook& book() { return book_; }

  private:
    struct Slot {
        std::mutex mutex;
        bool known = false;
        CaseResult result;
    };

    static ClientCommand command(const ClientSuite& suite, const std::vector<std::string>& words,
                                 const std::string& fault) {
        ClientCommand made = suite.command;
        made.argv = {(suite.programs / "nbd-resize-client").string()};
        if (!fault.empty()) {
            made.argv.insert(made.argv.end(), {"--fault", fault});
        }
        made.argv.insert(made.argv.end(), words.begin(), words.end());
        return made;
    }

    const ClientSuite& suite_;
    fs::path logs_;
    ClientBench bench_;
    UsualBook book_;
    std::mutex mutex_;
    std::map<std::string, Slot> slots_;
};

bool is_trouble(const CaseResult& result) {
    return result.verdict != Verdict::pass && result.verdict != Verdict::unsupported &&
           result.verdict != Verdict::error;
}

/// Where a server's requirement has no counterpart for clients, a client that does not mind its being broken
/// has a fault of this kind.
constexpr std::string_view not_minding = "-CHECKED";

bool concerns(const ClientCase& item, const std::string& requirement) {
    return requirement == fmt::format("{}{}", item.breaks, not_minding) ||
           std::ranges::find(item.tests, requirement) != item.tests.end();
}

/// Tries one fault on all errands until each of its cases has noticed it.
class FaultTrial {
  public:
    FaultTrial(const ClientSuite& suite, const std::vector<ClientCase>& cases,
               std::vector<std::unique_ptr<Errand>>& whole, const fs::path& logs, SelfRow& row)
      : suite_(suite)
      , cases_(cases)
      , whole_(whole)
      , logs_(logs)
      , row_(row) {}

    void run() {
        std::vector<const ClientCase*> left;
        for (const ClientCase& item : cases_) {
            if (concerns(item, row_.fault.requirement)) {
                left.push_back(&item);
                row_.tried.push_back(item.name);
            }
        }
        for (std::size_t i = 0; i < errands().size() && !left.empty(); ++i) {
            Errand broken(suite_, errands()[i], row_.fault.name, logs_ / std::to_string(i));
            std::erase_if(left, [&](const ClientCase* item) { return notices(*item, broken, *whole_[i]); });
            remove_tree(logs_ / std::to_string(i));
        }
    }

  private:
    /// The whole client passes the case with this errand, and the broken one does not.
    bool notices(const ClientCase& item, Errand& broken, Errand& whole) {
        if (whole.result(item).verdict != Verdict::pass) {
            return false;
        }
        // A broken client is held against what the whole one does.
        const CaseResult& result = broken_result(item, broken, whole);
        if (is_trouble(result)) {
            row_.noticed.push_back(item.name);
            return true;
        }
        return false;
    }

    CaseResult broken_result(const ClientCase& item, Errand& broken, Errand& whole) const {
        CaseResult result;
        const Usual& usual = whole.book().look_up(usual_server(item), item.output != ClientCase::Output::any);
        const fs::path logs = logs_ / "case";
        fs::create_directories(logs);
        ClientSuite own = suite_;
        own.command = broken.bench().command();
        const ClientRun run = broken.bench().meet(item.server, item.uri, item.name, logs);
        const ListedFault* const fault = find(suite_.faults, item.server.fault);
        judge_client({item, *suite_.requirements, own.command, usual, run, nullptr, "",
                      fault == nullptr || !fault->resize()},
                     result);
        return result;
    }

    const ClientSuite& suite_;
    const std::vector<ClientCase>& cases_;
    std::vector<std::unique_ptr<Errand>>& whole_;
    fs::path logs_;
    SelfRow& row_;
};

} // namespace

bool SelfTable::whole() const {
    return untripped.empty() &&
           std::ranges::none_of(rows, [](const SelfRow& row) { return row.noticed.empty(); });
}

SelfTable check_clients_themselves(const ClientSuite& suite, const std::vector<ClientCase>& cases) {
    SelfTable table;
    for (const ListedFault& fault : list_faults(suite.programs / "nbd-resize-client", "--list-faults")) {
        table.rows.push_back({fault, {}, {}});
    }
    const fs::path scratch = suite.workspace->make_folder("self");
    std::vector<std::unique_ptr<Errand>> whole;
    for (std::size_t i = 0; i < errands().size(); ++i) {
        whole.push_back(
            std::make_unique<Errand>(suite, errands()[i], "", scratch / fmt::format("whole-{}", i)));
    }
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::exception_ptr trouble;
    const auto work = [&] {
        try {
            for (std::size_t i = next++; i < table.rows.size(); i = next++) {
                FaultTrial(suite, cases, whole, scratch / std::to_string(i), table.rows[i]).run();
            }
        } catch (...) {
            const std::scoped_lock lock(mutex);
            trouble = std::current_exception();
            next = table.rows.size();
        }
    };
    {
        const unsigned jobs =
            suite.jobs == 0 ? std::max(1U, std::thread::hardware_concurrency()) : suite.jobs;
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < jobs; ++i) {
            threads.emplace_back(work);
        }
    }
    if (trouble) {
        std::rethrow_exception(trouble);
    }
    std::set<std::string> tripped;
    for (const SelfRow& row : table.rows) {
        tripped.insert(row.noticed.begin(), row.noticed.end());
    }
    for (const ClientCase& item : cases) {
        if (!tripped.contains(item.name)) {
            table.untripped.push_back(item.name);
        }
    }
    suite.workspace->remove_folder(scratch);
    return table;
}

} // namespace harness::check
