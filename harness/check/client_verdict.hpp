#pragma once

// From what a client did to a verdict. No processes, no files.

#include "harness/check/client_bench.hpp"
#include "harness/check/client_case.hpp"
#include "reports/result.hpp"

#include <optional>
#include <string>
#include <vector>

namespace harness::check {

/// What the client does when it meets a server that behaves.
struct Usual {
    ClientRun run;
    /// A second meeting with the same server, by which is known what differs from time to time.
    std::optional<ClientRun> again;
};

/// True if the output is as usual, lines that differ from time to time left aside; nothing if that cannot be
/// told.
[[nodiscard]] std::optional<bool> same_output(const Usual& usual, const ClientRun& run);

/// True if each line of the output is one of the usual ones.
[[nodiscard]] std::optional<bool> nothing_else(const Usual& usual, const ClientRun& run);

/// The same as `same_output`, but for {file}, and for standard output if that is no text.
[[nodiscard]] std::optional<bool> same_data(const Usual& usual, const ClientRun& run);

/// The same for the disk of the server.
[[nodiscard]] std::optional<bool> same_disk(const Usual& usual, const ClientRun& run);

/// The oddity by which a command of `bites` fails as it may: what a client does then is what it does where it
/// rejects a reply. Empty if there is none, as for options.
[[nodiscard]] std::string control_oddity(const ClientCase& item);

/// False if the client is known not to send what the case is about.
[[nodiscard]] bool could_bite(const ClientCase& item, const ClientRun& usual);

/// How a verdict about a case is reached.
struct ClientEvidence {
    const ClientCase& item;
    const Requirements& requirements;
    const ClientCommand& command;
    const Usual& usual; ///< a server of the same kind that behaves
    const ClientRun& run;
    /// What the client does where the server answers the first command of the case's `bites` with an error:
    /// whether that matters to it at all. Null if that was not tried, or could not be.
    const ClientRun* control = nullptr;
    std::string deed = "";     ///< what the server does: "answers with the next cookie"; may be empty
    bool tells_at_work = true; ///< the server would have told that its fault is at work
};

/// Fills in verdict, party, reason, findings and observations.
void judge_client(const ClientEvidence& evidence, reports::CaseResult& result);

/// Adds what the client did wrong on the wire: all of it, or only what it does not do usually. `step` says
/// where that was.
void add_wire_findings(const ClientRun& run, const ClientRun* usual, bool endings_count,
                       const std::string& step, std::vector<reports::Finding>& findings);

} // namespace harness::check
