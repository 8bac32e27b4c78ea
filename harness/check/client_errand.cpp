#include "harness/check/client_errand.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace harness::check {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using reports::CaseResult;
using reports::Verdict;

/// For a broken client to end. The sound one ends within a small part of that.
constexpr std::chrono::milliseconds broken_limit = 1500ms;
/// The same once more, for machines that are busy.
constexpr std::chrono::milliseconds patient_limit = 4000ms;
/// The same where waiting is no failure.
constexpr std::chrono::milliseconds waiting_limit = 1500ms;

bool is_trouble(const CaseResult& result) {
    return result.verdict != Verdict::pass && result.verdict != Verdict::unsupported &&
           result.verdict != Verdict::error;
}

} // namespace

ErrandTrials::ErrandTrials(const ClientSuite& suite, const ClientErrand& errand, fs::path logs)
  : suite_(suite)
  , errand_(errand)
  , logs_(std::move(logs))
  , bench_(command(""), suite.programs, *suite.workspace)
  , book_(bench_, logs_ / "usual") {}

ClientCommand ErrandTrials::command(const std::string& fault) const {
    ClientCommand made = suite_.command;
    made.argv = errand_.command(suite_.programs, fault);
    return made;
}

const CaseResult& ErrandTrials::sound(const ClientCase& item) {
    Slot* slot = nullptr;
    {
        const std::scoped_lock lock(mutex_);
        std::unique_ptr<Slot>& place = slots_[item.name];
        if (!place) {
            place = std::make_unique<Slot>();
        }
        slot = place.get();
    }
    const std::scoped_lock lock(slot->mutex);
    if (!slot->known) {
        ClientSuite own = suite_;
        own.command = bench_.command();
        own.client = "nbd-resize-client";
        const fs::path logs = logs_ / item.name;
        slot->result = run_client_case(own, bench_, book_, item, logs);
        slot->known = true;
        remove_tree(logs);
    }
    return slot->result;
}

std::optional<Sighting> ErrandTrials::look(const ClientCase& item, const std::string& fault) {
    if (sound(item).verdict != Verdict::pass) {
        return std::nullopt;
    }
    const Usual& usual = book_.look_up(usual_server(item), item.output != ClientCase::Output::any);
    const fs::path logs = logs_ / fault / item.name;
    fs::create_directories(logs);
    const ClientCommand broken = command(fault);
    const ClientBench bench(broken, suite_.programs, *suite_.workspace);
    ClientRun run =
        bench.meet(item.server, item.uri, item.name, logs, item.may_wait ? waiting_limit : broken_limit);
    if (run.timed_out && !item.may_wait) {
        run = bench.meet(item.server, item.uri, item.name, logs, patient_limit);
    }
    remove_tree(logs);
    const ListedFault* const server_fault = find(suite_.faults, item.server.fault);
    CaseResult result;
    judge_client({item, *suite_.requirements, broken, usual, run, nullptr, "",
                  server_fault == nullptr || !server_fault->resize()},
                 result);
    if (!is_trouble(result)) {
        return std::nullopt;
    }
    Sighting sighting{fault, errand_.name, item.name, {}, false, true};
    for (const reports::Finding& finding : result.findings) {
        if (!finding.requirement.empty()) {
            sighting.broken.insert(finding.requirement);
        }
    }
    return sighting;
}

} // namespace harness::check
