#include "harness/check/server_suite.hpp"

#include "harness/catalogue/glob.hpp"
#include "harness/check/connect.hpp"
#include "harness/check/perform.hpp"
#include "harness/run/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace harness::check {
namespace {

using namespace std::chrono_literals;
using reports::Verdict;

/// After so many cases in a row in which the server did not answer, it is taken to hang.
constexpr std::size_t most_late_in_a_row = 4;
/// After so many altogether, less patience is worth it.
constexpr std::size_t late_until_impatient = 2;
constexpr auto impatience = 500ms;
/// A server that dies closes its connections before it can be seen to have ended.
constexpr auto time_to_die = 200ms;

/// A requirement that the judge saw broken in cases that are about others.
struct Aside {
    wire::Violation violation;
    std::string first; ///< the case
    wire::Transcript transcript;
    std::size_t cases = 0;
};

/// What is to be carried out, the cases that have brought servers down last.
std::vector<std::pair<const ServerCase*, Style>> order(const std::vector<ServerCase>& cases,
                                                       const SuiteOptions& options) {
    const auto selected = [&](const ServerCase& made, Style style) {
        return options.cases.empty() || std::ranges::any_of(options.cases, [&](const std::string& pattern) {
                   return glob_match(pattern, made.name) || glob_match(pattern, case_label(made, style));
               });
    };
    std::vector<std::pair<const ServerCase*, Style>> all;
    for (const bool crashers : {false, true}) {
        for (const ServerCase& made : cases) {
            if (made.crasher != crashers || (crashers && !options.crashers)) {
                continue;
            }
            const bool in_styles = made.start == ServerCase::Start::transmission;
            for (const Style style : in_styles ? made.styles : std::vector<Style>{Style::simple}) {
                if (selected(made, style)) {
                    all.emplace_back(&made, style);
                }
            }
        }
    }
    return all;
}

class Suite {
  public:
    Suite(const std::vector<ServerCase>& cases, const Requirements& requirements, const nbd::Uri& uri,
          StartedServer* started, const SuiteOptions& options,
          const std::function<void(const reports::CaseResult&)>& progress)
      : cases_(cases)
      , requirements_(requirements)
      , started_(started)
      , options_(options)
      , progress_(progress)
      , patience_(options.patience)
      , facts_(probe_server(uri, options.permissions, patience_)) {
        allow_administration(facts_);
    }

    SuiteResult run();

  private:
    void run_case(const ServerCase& made, Style style);
    [[nodiscard]] ServerFacts refreshed() const;
    void allow_administration(ServerFacts& facts) const;
    void finish(reports::CaseResult& item, Performance performance, const ServerCase& made);
    /// Looks whether the server has died, and starts it again if it can. False if it is gone for good.
    bool revive(reports::CaseResult& item, const Performance& performance);
    void add_asides();
    [[nodiscard]] reports::CaseResult blank(const ServerCase& made, const std::string& label) const;
    [[nodiscard]] std::string describe_facts() const;

    const std::vector<ServerCase>& cases_;
    const Requirements& requirements_;
    StartedServer* started_;
    const SuiteOptions& options_;
    const std::function<void(const reports::CaseResult&)>& progress_;
    std::chrono::milliseconds patience_;
    ServerFacts facts_;
    SuiteResult result_;
    std::map<std::string, Aside> asides_;
    std::size_t late_ = 0;
    std::size_t late_in_a_row_ = 0;
};

reports::CaseResult Suite::blank(const ServerCase& made, const std::string& label) const {
    reports::CaseResult item;
    item.id = fmt::format("{}/check/{}", options_.server, label);
    item.scenario = "check/" + made.name;
    item.title = made.title;
    item.group = made.section;
    item.server = {options_.server, "default"};
    item.client = {"check", "default"};
    return item;
}

bool Suite::revive(reports::CaseResult& item, const Performance& performance) {
    if (performance.shut_down) {
        try {
            started_->start(options_.patience);
        } catch (const NotStarted& error) {
            result_.given_up =
                fmt::format("the server cannot be started again after a shutdown: {}", error.what());
        }
        return result_.given_up.empty();
    }
    if (started_ == nullptr) {
        if (performance.unreachable && !performance.late) {
            result_.given_up = fmt::format("the server takes no connections any more: {}",
                                           performance.findings.front().message);
        }
        return result_.given_up.empty();
    }
    const bool suspicious = performance.unreachable || performance.broke_off || performance.late;
    const auto exit = started_->ended(suspicious ? time_to_die : 0ms);
    if (exit) {
        reports::Finding finding;
        finding.verdict = Verdict::crash;
        finding.party = reports::Party::server;
        finding.requirement = "NO-DISCONNECT";
        finding.step = "end";
        finding.message = fmt::format("the server {}: {}", exit->describe(), started_->last_words());
        item.findings.insert(item.findings.begin(), finding);
    }
    if (exit || late_in_a_row_ >= most_late_in_a_row) {
        late_in_a_row_ = 0;
        try {
            started_->start(options_.patience);
        } catch (const NotStarted& error) {
            result_.given_up = fmt::format("the server cannot be started again: {}", error.what());
        }
    }
    return result_.given_up.empty();
}

void Suite::finish(reports::CaseResult& item, Performance performance, const ServerCase& made) {
    const std::set<std::string> own = made.requirements();
    std::set<std::string> seen;
    for (const wire::Violation& violation : performance.violations) {
        const std::string id(violation.requirement);
        if (!seen.insert(id).second) {
            continue;
        }
        if (!own.contains(id)) {
            Aside& aside = asides_[id];
            if (aside.cases++ == 0) {
                aside.violation = violation;
                aside.first = item.id;
                result_.seen_aside[id] = made.name;
                aside.transcript = performance.transcript;
            }
            continue;
        }
        reports::Finding finding;
        finding.verdict = violation.mandatory ? Verdict::fail : Verdict::warn;
        finding.party = reports::Party::server;
        finding.requirement = id;
        finding.step = "wire";
        finding.message = fmt::format("{} (byte {} of the server)", violation.what, violation.offset);
        item.findings.push_back(std::move(finding));
    }
    std::tie(item.verdict, item.party) = worst(item.findings);
    if (!item.findings.empty()) {
        const auto decisive = std::ranges::find(item.findings, item.verdict, &reports::Finding::verdict);
        item.reason = decisive->message;
        if (options_.keep_traces) {
            result_.traces[item.id] = std::move(performance.transcript);
        }
    }
}

ServerFacts Suite::refreshed() const {
    try {
        ServerFacts facts = probe_server(facts_.uri, options_.permissions, patience_);
        allow_administration(facts);
        return facts;
    } catch (const NoServer&) {
        return facts_; // the case will say so
    }
}

void Suite::allow_administration(ServerFacts& facts) const {
    if (started_ != nullptr) {
        facts.shut_down = [this] { started_->shut_down(); };
    }
    if (started_ != nullptr && started_->can_resize() && options_.permissions.size_changes) {
        facts.resize_outside = [this](std::uint64_t bytes) {
            return started_->resize(facts_.uri.export_name, bytes, patience_);
        };
    }
}

void Suite::run_case(const ServerCase& made, Style style) {
    const auto begin = Clock::now();
    reports::CaseResult item = blank(made, case_label(made, style));
    if (!result_.given_up.empty()) {
        item.verdict = Verdict::unsupported;
        item.reason = "the suite ended early: " + result_.given_up;
    } else {
        if (options_.permissions.size_changes && made.start != ServerCase::Start::transmission) {
            // An earlier case may have changed the size. The phase of transmission tells it by itself.
            facts_ = refreshed();
        }
        Performance performance = perform(made, style, facts_, requirements_, patience_);
        late_ += performance.late ? 1 : 0;
        late_in_a_row_ = performance.late ? late_in_a_row_ + 1 : 0;
        if (late_ >= late_until_impatient) {
            patience_ = std::min<std::chrono::milliseconds>(patience_, impatience);
        }
        if (!performance.unsupported.empty()) {
            item.verdict = Verdict::unsupported;
            item.reason = performance.unsupported;
        } else {
            item.findings = performance.findings;
            (void)revive(item, performance);
            finish(item, std::move(performance), made);
            const bool too_late = options_.most_late != 0 && late_ >= options_.most_late;
            if ((late_in_a_row_ >= most_late_in_a_row || too_late) && result_.given_up.empty()) {
                result_.given_up = too_late ? fmt::format("{} cases had no answer in time", late_)
                                            : "the server does not answer any more";
            }
        }
    }
    item.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (progress_) {
        progress_(item);
    }
    result_.run.cases.push_back(std::move(item));
}

void Suite::add_asides() {
    for (auto& [id, aside] : asides_) {
        const Requirement& requirement = requirements_.at(id);
        reports::CaseResult item;
        item.id = fmt::format("{}/check/wire-{}", options_.server, id);
        item.scenario = "check/wire-" + id;
        item.title = requirement.text;
        item.group = requirement.section;
        item.server = {options_.server, "default"};
        item.client = {"check", "default"};
        reports::Finding finding;
        finding.verdict = aside.violation.mandatory ? Verdict::fail : Verdict::warn;
        finding.party = reports::Party::server;
        finding.requirement = id;
        finding.step = "wire";
        finding.message = fmt::format("{} (byte {} of the server in {}; seen in {} cases)",
                                      aside.violation.what, aside.violation.offset, aside.first, aside.cases);
        item.reason = finding.message;
        item.findings.push_back(std::move(finding));
        std::tie(item.verdict, item.party) = worst(item.findings);
        if (options_.keep_traces) {
            result_.traces[item.id] = std::move(aside.transcript);
        }
        if (progress_) {
            progress_(item);
        }
        result_.run.cases.push_back(std::move(item));
    }
}

std::string Suite::describe_facts() const {
    if (!facts_.no_greeting.empty()) {
        return facts_.no_greeting;
    }
    std::string text = facts_.fixed() ? "fixed newstyle" : facts_.newstyle() ? "newstyle" : "oldstyle";
    if (const ExportFacts* exported = facts_.any_export()) {
        text += fmt::format(", an export of {} bytes with {}", exported->size,
                            nbd::transmission_flag_names(exported->flags));
    }
    for (const Style style : all_styles) {
        const auto index = static_cast<std::size_t>(style);
        if (!facts_.in(style)) {
            text += fmt::format("; no {} replies: {}", name(style), facts_.no_export[index]);
        }
    }
    return text;
}

SuiteResult Suite::run() {
    result_.facts = describe_facts();
    for (const auto& [made, style] : order(cases_, options_)) {
        run_case(*made, style);
    }
    add_asides();
    return std::move(result_);
}

} // namespace

std::string case_label(const ServerCase& made, Style style) {
    return made.start == ServerCase::Start::transmission ? fmt::format("{}/{}", made.name, name(style))
                                                         : made.name;
}

std::size_t count_runs(const std::vector<ServerCase>& cases, const SuiteOptions& options) {
    return order(cases, options).size();
}

SuiteResult run_server_suite(const std::vector<ServerCase>& cases, const Requirements& requirements,
                             const nbd::Uri& uri, StartedServer* started, const SuiteOptions& options,
                             const std::function<void(const reports::CaseResult&)>& progress) {
    return Suite(cases, requirements, uri, started, options, progress).run();
}

} // namespace harness::check
