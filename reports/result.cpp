#include "reports/result.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace reports {

void add_question(RunResult& run, EvidenceQuestion question) {
    const auto known = std::ranges::find(run.questions, question.question, &EvidenceQuestion::question);
    if (known == run.questions.end()) {
        run.questions.push_back(std::move(question));
        return;
    }
    std::ranges::move(question.tables, std::back_inserter(known->tables));
    if (known->beyond.empty()) {
        known->beyond = std::move(question.beyond);
    }
}

const char* name(Verdict verdict) {
    switch (verdict) {
    case Verdict::pass:
        return "pass";
    case Verdict::fail:
        return "fail";
    case Verdict::warn:
        return "warn";
    case Verdict::unsupported:
        return "unsupported";
    case Verdict::timeout:
        return "timeout";
    case Verdict::crash:
        return "crash";
    case Verdict::error:
        return "error";
    }
    return "error";
}

const char* name(Party party) {
    switch (party) {
    case Party::none:
        return "none";
    case Party::server:
        return "server";
    case Party::client:
        return "client";
    case Party::undecided:
        return "undecided";
    }
    return "undecided";
}

std::optional<Verdict> parse_verdict(std::string_view text) {
    for (const auto verdict : all_verdicts) {
        if (text == name(verdict)) {
            return verdict;
        }
    }
    return std::nullopt;
}

std::optional<Party> parse_party(std::string_view text) {
    for (const auto party : all_parties) {
        if (text == name(party)) {
            return party;
        }
    }
    return std::nullopt;
}

bool CaseResult::known_deviation() const {
    const bool speaks_of_a_peer = verdict == Verdict::fail || verdict == Verdict::warn ||
                                  verdict == Verdict::timeout || verdict == Verdict::crash;
    return speaks_of_a_peer && !findings.empty() &&
           std::ranges::none_of(findings, [](const Finding& f) { return f.deviation.empty(); });
}

} // namespace reports
