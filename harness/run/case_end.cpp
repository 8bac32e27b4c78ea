#include "harness/run/case_end.hpp"

#include "harness/process/errors.hpp"
#include "harness/process/workspace.hpp"
#include "harness/run/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <tuple>

namespace harness {

using reports::Finding;
using reports::Party;
using reports::Verdict;

Finding PeerTrouble::finding(const std::string& step) const {
    return {verdict_, party_, "", step, what(), ""};
}

void add_wire_findings(reports::CaseResult& result, const WireRecord& record,
                       const std::function<bool(const WireFinding&)>& excused) {
    for (const std::string& why : record.not_judged()) {
        result.observations.push_back({"not judged to its end on the wire", why});
    }
    for (const WireFinding& found : record.findings()) {
        const bool known = std::ranges::any_of(result.findings, [&](const Finding& finding) {
            // Whoever crashes ends the connection as well.
            return finding.requirement == found.requirement ||
                   (finding.verdict == Verdict::crash && found.by_ending);
        });
        if (known || (excused && excused(found))) {
            continue;
        }
        result.findings.push_back({found.mandatory ? Verdict::fail : Verdict::warn,
                                   found.by == wire::Side::server ? Party::server : Party::client,
                                   found.requirement, "wire",
                                   fmt::format("{} ({}{})", found.what, found.place,
                                               found.times > 1 ? fmt::format(", {} times", found.times) : ""),
                                   ""});
    }
}

ScratchFolder::ScratchFolder(Workspace& workspace, std::string_view name)
  : workspace_(workspace)
  , path_(workspace.make_folder(name)) {}

ScratchFolder::~ScratchFolder() {
    workspace_.remove_folder(path_);
}

void run_to_verdict(reports::CaseResult& result, const std::function<void()>& run) {
    const auto begin = std::chrono::steady_clock::now();
    try {
        run();
        std::tie(result.verdict, result.party) = worst(result.findings);
    } catch (const CannotDo& why) {
        // What was found before a peer gave up counts all the same.
        std::tie(result.verdict, result.party) = worst(result.findings);
        if (result.findings.empty()) {
            result.verdict = Verdict::unsupported;
            result.reason = why.what();
            result.observations.clear();
        }
    } catch (const Interrupted&) {
        throw;
    } catch (const std::exception& error) {
        result.verdict = Verdict::error;
        result.party = Party::none;
        result.reason = error.what();
    }
    for (const Finding& finding : result.findings) {
        if (finding.verdict == result.verdict) {
            result.reason = finding.message;
            break;
        }
    }
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace harness
