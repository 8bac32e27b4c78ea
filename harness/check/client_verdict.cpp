#include "harness/check/client_verdict.hpp"

#include "harness/run/judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <set>
#include <string_view>
#include <tuple>

namespace harness::check {
namespace {

using reports::Finding;
using reports::Party;
using reports::Verdict;
using Wants = ClientCase::Wants;

constexpr std::string_view command_prefix = "NBD_CMD_";
constexpr std::size_t quoted_errors = 300;
constexpr std::size_t longest_quote = 60;

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
    return std::ranges::find(words, word) != words.end();
}

bool names_any(const std::vector<std::string>& words, const std::map<std::string, std::size_t>& asked) {
    return std::ranges::any_of(words, [&](const std::string& word) { return asked.contains(word); });
}

/// The last thing that the client said about what went wrong, as one line.
std::string last_words(const ClientRun& run) {
    std::string text = run.errors.substr(run.errors.size() - std::min(run.errors.size(), quoted_errors));
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    const auto line = text.rfind('\n');
    text.erase(0, line == std::string::npos ? 0 : line + 1);
    return text.empty() ? "it said nothing" : fmt::format("it said: {}", text);
}

/// The first line in which the output differs, for people.
std::string difference(const std::string& usual, const std::string& now) {
    const auto before = lines_of(usual);
    const auto after = lines_of(now);
    const auto [one, other] = std::ranges::mismatch(before, after);
    const auto quoted = [](std::string_view line) {
        const bool text = line.find('\0') == std::string_view::npos;
        return text ? fmt::format("'{}'", line.substr(0, longest_quote)) : std::string("other bytes");
    };
    if (one == before.end() && other == after.end()) {
        return "other bytes in a file";
    }
    return fmt::format("{} rather than {}", other == after.end() ? "nothing more" : quoted(*other),
                       one == before.end() ? "nothing more" : quoted(*one));
}

/// The number at the start of what `digest_of` tells of a file; 0 if there is none.
std::uint64_t size_in(const std::string& digest) {
    std::uint64_t size = 0;
    (void)std::from_chars(digest.data(), digest.data() + digest.size(), size);
    return size;
}

class Judging {
  public:
    Judging(const ClientEvidence& evidence, reports::CaseResult& result)
      : evidence_(evidence)
      , item_(evidence.item)
      , run_(evidence.run)
      , result_(result) {}

    void judge() {
        health();
        std::string silent;
        if (result_.findings.empty()) {
            silent = says_nothing();
        }
        if (result_.findings.empty() && silent.empty()) {
            silent = item_.wants == Wants::tolerates ? tolerated()
                     : item_.wants == Wants::rejects ? rejected()
                     : item_.wants == Wants::reports ? reported()
                                                     : survived();
            sent_what_it_may();
            entered_what_it_should();
        }
        if (silent.empty() && item_.output != ClientCase::Output::any && run_.success()) {
            compare();
        }
        if (result_.findings.empty() && silent.empty() && run_.success()) {
            compare_with_disk();
        }
        add_wire_findings();
        std::tie(result_.verdict, result_.party) = worst(result_.findings);
        if (!result_.findings.empty()) {
            result_.reason = std::ranges::find(result_.findings, result_.verdict, &Finding::verdict)->message;
        } else if (!silent.empty()) {
            result_.verdict = Verdict::unsupported;
            result_.reason = silent;
        }
    }

  private:
    void find(Verdict verdict, const std::string& requirement, std::string message) {
        result_.findings.push_back({verdict, Party::client, requirement, "client", std::move(message), ""});
    }

    /// The client has not done what the case wants.
    void blame(std::string message) {
        if (item_.tests.empty()) {
            find(Verdict::warn, item_.breaks, std::move(message));
            return;
        }
        const std::string& id = item_.tests.front();
        const bool must = evidence_.requirements.at(id).level == Level::must;
        find(must ? Verdict::fail : Verdict::warn, id, std::move(message));
    }

    [[nodiscard]] std::string server_did() const {
        const std::string what = evidence_.deed.empty() ? item_.title : "the server " + evidence_.deed;
        return what;
    }

    /// No client may crash, hang or grow without bound, whatever the server does.
    void health() {
        const std::string how = run_.describe(evidence_.command);
        if (run_.timed_out && item_.may_wait) {
            result_.observations.push_back({"what the client made of it", "it waited"});
        } else if (run_.timed_out) {
            find(Verdict::timeout, "", fmt::format("the client {}; {}", how, server_did()));
        } else if (run_.grew) {
            find(Verdict::fail, item_.tests.empty() ? item_.breaks : item_.tests.front(),
                 fmt::format("the client {}; {}", how, server_did()));
        } else if (run_.signal() != 0) {
            find(Verdict::crash, "",
                 fmt::format("the client {}; {}; {}", how, server_did(), last_words(run_)));
        }
    }

    /// Why the case says nothing about this client; empty if it does.
    [[nodiscard]] std::string says_nothing() const {
        const bool twisted = !item_.server.fault.empty() || !item_.server.oddity.empty();
        if (twisted && evidence_.tells_at_work && !run_.at_work) {
            return fmt::format("nothing that the client sent made the server do it: {}", server_did());
        }
        return "";
    }

    /// These three give a reason where the case turns out to say nothing about the client.
    std::string tolerated() {
        if (!run_.exit.success()) {
            if (names_any(item_.may_need, evidence_.usual.run.asked)) {
                return fmt::format("the client gave up, and may need {}", fmt::join(item_.may_need, " or "));
            }
            blame(fmt::format("expected success, as on a well-behaved server; the client {}; {}; {}",
                              run_.exit.describe(), server_did(), last_words(run_)));
            return "";
        }
        if (item_.connections > 0 && run_.at_once > item_.connections) {
            blame(fmt::format("the client used {} connections at the same time; {}", run_.at_once,
                              server_did()));
        }
        std::vector<std::string> left_out;
        for (const auto& [name, times] : evidence_.usual.run.asked) {
            if (name.starts_with(command_prefix) && !run_.asked.contains(name) &&
                std::ranges::find(item_.may_skip, name) == item_.may_skip.end()) {
                left_out.push_back(name);
            }
        }
        if (!left_out.empty()) {
            blame(fmt::format("the client reported success, but left out {}, which it usually sends; {}",
                              fmt::join(left_out, ", "), server_did()));
        }
        return "";
    }

    std::string rejected() {
        if (!run_.success()) {
            return "";
        }
        if (item_.may_reconnect && run_.connections > evidence_.usual.run.connections) {
            result_.observations.push_back({"after the fault", "the client connected again"});
            return "";
        }
        const ClientRun* const control = evidence_.control;
        if (control == nullptr || !control->success() || !control->at_work) {
            blame(fmt::format("expected that the client does not report success; it did; {}", server_did()));
            return "";
        }
        // The client goes on also where the request fails. Does it do the same here?
        const bool as_failed = run_.output == control->output && run_.file == control->file &&
                               (run_.disk.empty() || run_.disk == control->disk);
        if (!as_failed) {
            blame(
                fmt::format("expected that the client does as where the request fails; its output has {}; {}",
                            difference(control->output, run_.output), server_did()));
        } else if (same_output(evidence_.usual, *control) != false) {
            return fmt::format("the client reports success also where {} fails, so that it cannot be told "
                               "whether it noticed",
                               item_.bites.front());
        }
        return "";
    }

    std::string survived() {
        result_.observations.push_back({"what the client made of it", run_.exit.describe()});
        return "";
    }

    std::string reported() {
        if (run_.success() && nothing_new_said()) {
            blame(fmt::format("the client reported success and said nothing of it; {}", server_did()));
        }
        return "";
    }

    /// True if every line on standard error is one that the client usually prints.
    [[nodiscard]] bool nothing_new_said() const {
        const auto usual = lines_of(evidence_.usual.run.errors);
        return std::ranges::all_of(lines_of(run_.errors), [&](std::string_view line) {
            return std::ranges::find(usual, line) != usual.end();
        });
    }

    /// An export without a name is often another name of the only one that there is.
    void entered_what_it_should() {
        const bool by_uri = !item_.uri.empty() || evidence_.command.has_uri();
        if (!by_uri || item_.wants != Wants::tolerates) {
            return;
        }
        for (const std::string& name : run_.entered) {
            if (name != item_.server.export_name) {
                blame(fmt::format("the client entered the export '{}', not '{}'; {}", name,
                                  item_.server.export_name, server_did()));
            }
        }
    }

    /// The case says of some options and commands whether the client sends them.
    void sent_what_it_may() {
        std::vector<std::string> others;
        for (const auto& [name, times] : run_.asked) {
            const bool may = !item_.may_send || contains(*item_.may_send, name);
            if (!may || contains(item_.may_not_send, name)) {
                others.push_back(name);
            }
        }
        if (!others.empty()) {
            blame(fmt::format("the client sent {}; {}", fmt::join(others, ", "), server_did()));
        }
        std::vector<std::string> missing;
        for (const std::string& name : item_.still_sends) {
            if (evidence_.usual.run.asked.contains(name) && !run_.asked.contains(name)) {
                missing.push_back(name);
            }
        }
        if (!missing.empty()) {
            blame(fmt::format("the client did not send {}; {}", fmt::join(missing, ", "), server_did()));
        }
    }

    /// What a client does to a server that breaks a rule may be provoked by that, unless the case says that
    /// it tests just this. Nor is it the client's doing how it ends if it met the limit for its file.
    void add_wire_findings() {
        std::vector<Finding> found;
        check::add_wire_findings(run_, &evidence_.usual.run, run_.exit.signal != SIGXFSZ, "wire", found);
        for (Finding& finding : found) {
            if (item_.server.fault.empty() ||
                std::ranges::find(item_.tests, finding.requirement) != item_.tests.end()) {
                result_.findings.push_back(std::move(finding));
            }
        }
    }

    /// What is as usual has to be as usual.
    void compare() {
        using Output = ClientCase::Output;
        const auto output = item_.output == Output::as_usual ? same_output(evidence_.usual, run_)
                            : item_.output == Output::data   ? same_data(evidence_.usual, run_)
                                                             : nothing_else(evidence_.usual, run_);
        const auto disk = same_disk(evidence_.usual, run_);
        if (!output) {
            result_.observations.push_back({"was the output as usual", "it differs from time to time"});
        }
        if (output == false) {
            blame(fmt::format("the client reported success, but its output is not as usual: {}; {}",
                              difference(evidence_.usual.run.output, run_.output), server_did()));
        }
        if (disk == false) {
            blame(fmt::format("the client reported success, but left other data on the disk than usual; {}",
                              server_did()));
        }
    }

    /// A client that usually copies the whole disk copies all of another one that is no larger, or fails; it
    /// may pad its copy. Of a larger one it may have been told to copy a part, but no less than usual.
    void compare_with_disk() {
        const ClientRun& usual = evidence_.usual.run;
        const bool copies = !usual.file.empty() && usual.file == usual.disk;
        if (!copies || !item_.server.fault.empty() || item_.server.size == 0) {
            return;
        }
        const std::uint64_t length = size_in(run_.file);
        const bool is_short = length < std::min(item_.server.size, size_in(usual.file));
        const bool differs = !run_.disk.empty() && length == size_in(run_.disk) && run_.file != run_.disk;
        if (is_short || differs) {
            find(Verdict::fail, "BASELINE-READ",
                 fmt::format(
                     "the client reported success, but its copy of the disk, {} bytes long, has {}; {}",
                     item_.server.size, run_.file.empty() ? "nothing" : run_.file, server_did()));
        }
    }

    const ClientEvidence& evidence_;
    const ClientCase& item_;
    const ClientRun& run_;
    reports::CaseResult& result_;
};

} // namespace

std::optional<bool> same_output(const Usual& usual, const ClientRun& run) {
    if (usual.run.output_cut || run.output_cut || (usual.again && usual.again->output_cut)) {
        return std::nullopt;
    }
    if (run.file != usual.run.file) {
        return false;
    }
    if (run.output == usual.run.output) {
        return true;
    }
    if (!usual.again) {
        return false;
    }
    const auto first = lines_of(usual.run.output);
    const auto second = lines_of(usual.again->output);
    const auto now = lines_of(run.output);
    if (first.size() != second.size()) {
        return std::nullopt;
    }
    if (now.size() != first.size()) {
        return false;
    }
    for (std::size_t i = 0; i < now.size(); ++i) {
        if (first[i] == second[i] && now[i] != first[i]) {
            return false;
        }
    }
    return true;
}

std::optional<bool> nothing_else(const Usual& usual, const ClientRun& run) {
    if (usual.run.output_cut || run.output_cut) {
        return std::nullopt;
    }
    if (run.file != usual.run.file) {
        return false;
    }
    std::multiset<std::string_view> known;
    for (const std::string_view line : lines_of(usual.run.output)) {
        known.insert(line);
    }
    const std::optional<bool> stable =
        usual.again ? same_output({usual.run, std::nullopt}, *usual.again) : true;
    for (const std::string_view line : lines_of(run.output)) {
        const auto found = known.find(line);
        if (found == known.end()) {
            return stable == true ? std::optional(false) : std::nullopt;
        }
        known.erase(found);
    }
    return true;
}

std::optional<bool> same_data(const Usual& usual, const ClientRun& run) {
    const bool is_text = usual.run.output.find('\0') == std::string::npos;
    return is_text ? std::optional(run.file == usual.run.file) : same_output(usual, run);
}

std::optional<bool> same_disk(const Usual& usual, const ClientRun& run) {
    if (run.disk.empty() || usual.run.disk.empty() || (usual.again && usual.again->disk != usual.run.disk)) {
        return std::nullopt;
    }
    return run.disk == usual.run.disk;
}

void add_wire_findings(const ClientRun& run, const ClientRun* usual, bool endings_count,
                       const std::string& step, std::vector<Finding>& findings) {
    for (const WireFinding& found : run.findings) {
        const bool known =
            usual != nullptr && std::ranges::any_of(usual->findings, [&](const WireFinding& one) {
                return one.by == found.by && one.requirement == found.requirement;
            });
        if (found.by == wire::Side::client && !known && (endings_count || !found.by_ending)) {
            const std::string times = found.times > 1 ? fmt::format(", {} times", found.times) : "";
            findings.push_back({found.mandatory ? Verdict::fail : Verdict::warn, Party::client,
                                found.requirement, step,
                                fmt::format("{} ({}{})", found.what, found.place, times), ""});
        }
    }
}

bool could_bite(const ClientCase& item, const ClientRun& usual) {
    return item.bites.empty() || names_any(item.bites, usual.asked);
}

std::string control_oddity(const ClientCase& item) {
    if (item.wants != Wants::rejects || item.bites.empty() ||
        !item.bites.front().starts_with(command_prefix)) {
        return "";
    }
    std::string name = "fails-" + item.bites.front().substr(command_prefix.size());
    std::ranges::transform(name, name.begin(), [](char c) {
        return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return name;
}

void judge_client(const ClientEvidence& evidence, reports::CaseResult& result) {
    Judging(evidence, result).judge();
    for (const std::string& why : evidence.run.not_judged) {
        result.observations.push_back({"not judged to its end on the wire", why});
    }
}

} // namespace harness::check
