#pragma once

// How a case ends, whatever kind it is: what can end it early, and its verdict.

#include "harness/run/wire_record.hpp"
#include "reports/result.hpp"

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

namespace harness {

class Workspace;

/// The case, or a step of it, cannot be carried out with these peers, or on this machine; what() says why.
class CannotDo : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// A peer did not start, ended by itself, or did not end well.
class PeerTrouble : public std::runtime_error {
  public:
    PeerTrouble(reports::Verdict verdict, reports::Party party, const std::string& what)
      : std::runtime_error(what)
      , verdict_(verdict)
      , party_(party) {}
    [[nodiscard]] reports::Verdict verdict() const { return verdict_; }
    [[nodiscard]] reports::Party party() const { return party_; }
    /// As a finding at this step.
    [[nodiscard]] reports::Finding finding(const std::string& step) const;

  private:
    reports::Verdict verdict_;
    reports::Party party_;
};

/// Adds what the wire judge has found to the findings of a case, but for what is found already and what is
/// excused; and why it could not judge everything to the observations.
void add_wire_findings(reports::CaseResult& result, const WireRecord& record,
                       const std::function<bool(const WireFinding&)>& excused = {});

/// A folder of one case in the workspace, removed with it.
class ScratchFolder {
  public:
    ScratchFolder(Workspace& workspace, std::string_view name);
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    Workspace& workspace_;
    std::filesystem::path path_;
};

/// Carries a case out and gives it its verdict, party, reason and duration (seconds) by what `run` adds to
/// its findings. If `run` throws CannotDo, it is unsupported, unless something was found before. Throws
/// Interrupted only; any other exception is an error of the harness.
void run_to_verdict(reports::CaseResult& result, const std::function<void()>& run);

} // namespace harness
