#pragma once

// What a run of the suite says: the only thing that reports know about it.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace reports {

/// The verdict on a case. `fail` is a MUST broken, `warn` a SHOULD; `error` is the harness's own fault and
/// never speaks of a peer.
enum class Verdict { pass, fail, warn, unsupported, timeout, crash, error };

/// Every verdict, in the order of the enumeration.
inline constexpr std::array all_verdicts{Verdict::pass,        Verdict::fail,    Verdict::warn,
                                         Verdict::unsupported, Verdict::timeout, Verdict::crash,
                                         Verdict::error};

/// To whom a verdict other than `pass` is attributed.
enum class Party { none, server, client, undecided };

/// Every party, in the order of the enumeration.
inline constexpr std::array all_parties{Party::none, Party::server, Party::client, Party::undecided};

/// One thing that went otherwise than the specification says.
struct Finding {
    Verdict verdict = Verdict::fail;
    Party party = Party::undecided;
    std::string requirement; ///< identifier in scenarios/requirements, empty if none applies
    std::string step;        ///< the step as the scenario numbers it: "3: read"
    std::string message;     ///< what was expected and what came
    std::string deviation;   ///< identifier in scenarios/deviations.yaml if this is known, else empty

    bool operator==(const Finding&) const = default;
};

/// A fact that a scenario records without judging it, such as what a read past a shrunk end gives.
struct Observation {
    std::string question; ///< "read at the old end, same connection"
    std::string answer;   ///< "EIO"

    bool operator==(const Observation&) const = default;
};

/// A peer with one of its variants, as it took part.
struct PeerId {
    std::string name;    ///< "nbdkit"
    std::string variant; ///< "no-structured-replies"; "default" for none

    auto operator<=>(const PeerId&) const = default; // NOLINT(modernize-use-nullptr): no pointer is near
};

/// One case: one scenario on one server, one client, one combination of knobs.
struct CaseResult {
    std::string
        id; ///< "nbdkit/libnbd/read-past-end", variants as in "nbdkit+no-sr/libnbd/…": unique in a run
    std::string scenario;
    std::string title; ///< the scenario's title
    std::string group; ///< the scenario's group: "handshake", "bounds", …
    PeerId server;
    PeerId client;
    std::map<std::string, std::string> knobs;
    Verdict verdict = Verdict::pass;
    Party party = Party::none;
    std::string reason; ///< one line: why it is not `pass`; for `unsupported`, what the peer cannot express
    std::vector<Finding> findings;
    std::vector<Observation> observations;
    double seconds = 0;
    std::string folder; ///< where the case's logs are, relative to the report; empty if none was kept
    std::vector<std::string> members; ///< where this case stands for many that passed alike: their names, if
                                      ///< they were asked for. For JUnit alone; never written to results.json

    /// True if the verdict is a fail, warn, timeout or crash and every finding of it is a listed deviation.
    [[nodiscard]] bool known_deviation() const;

    bool operator==(const CaseResult&) const = default;
};

/// A peer that the catalogue names, installed or not.
struct PeerInfo {
    std::string name;
    std::string role; ///< "server" or "client"
    std::string title;
    std::optional<std::string> version; ///< nothing if it is not installed
    std::vector<std::string> variants;

    bool operator==(const PeerInfo&) const = default;
};

/// A listed deviation that applied to the peers of this run but was not seen.
struct StaleDeviation {
    std::string id;
    std::string peer;
    std::string reason;

    bool operator==(const StaleDeviation&) const = default;
};

/// What the list of deviations says about one that a finding of this run names.
struct DeviationInfo {
    std::string id;
    std::string peer;
    std::string versions; ///< the range that it is listed for, as people write it: "< 8.0"
    std::string reason;   ///< why it is listed and not fixed
    std::string link;     ///< a bug report or commit; empty if there is none

    bool operator==(const DeviationInfo&) const = default;
};

/// What the catalogue says about a requirement that a finding of this run names.
struct RequirementInfo {
    std::string id;
    std::string level;   ///< "MUST", "SHOULD", …
    std::string section; ///< the specification's section
    std::string text;    ///< the statement, in one sentence

    bool operator==(const RequirementInfo&) const = default;
};

/// Counts that a suite has made of its cases, as a table that reports print as it is.
struct EvidenceTable {
    std::string title;
    std::string about;                ///< what is counted; may be empty
    std::vector<std::string> columns; ///< the first is that of the rows' names
    std::vector<std::vector<std::string>> rows;

    bool operator==(const EvidenceTable&) const = default;
};

/// A question of those who write the specification, and what the run says to it.
struct EvidenceQuestion {
    std::string question;
    std::vector<EvidenceTable> tables;
    std::string beyond; ///< what this run does not show, and where it is shown; may be empty

    bool operator==(const EvidenceQuestion&) const = default;
};

/// A whole run.
struct RunResult {
    std::string suite;   ///< name of the selection: "default"
    std::string started; ///< ISO 8601, UTC
    double seconds = 0;
    std::map<std::string, std::string>
        properties; ///< host facts: hostname, kernel, distribution, project version
    std::vector<PeerInfo> peers;
    std::vector<CaseResult> cases;
    std::vector<StaleDeviation> stale;
    std::vector<DeviationInfo>
        deviations; ///< reports that name a deviation quote it from here, if it is here
    std::vector<RequirementInfo> requirements; ///< the same for requirements
    std::vector<EvidenceTable> tables;         ///< for the matrix and the web page
    std::vector<EvidenceQuestion> questions;   ///< for spec-matrix.md
    std::string
        source; ///< the file that it was read from, for messages; empty if none. Never written to a file

    bool operator==(const RunResult&) const = default;
};

/// Adds what a suite says to a question. What several suites say to one stands together.
void add_question(RunResult& run, EvidenceQuestion question);

/// "pass", "fail", …
[[nodiscard]] const char* name(Verdict verdict);
/// "none", "server", "client", "undecided"
[[nodiscard]] const char* name(Party party);

/// The verdict of that name; nothing if there is none.
[[nodiscard]] std::optional<Verdict> parse_verdict(std::string_view text);
/// The party of that name; nothing if there is none.
[[nodiscard]] std::optional<Party> parse_party(std::string_view text);

} // namespace reports
