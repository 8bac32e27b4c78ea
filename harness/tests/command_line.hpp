#pragma once

#include "harness/process/process.hpp"
#include "harness/tests/support.hpp"
#include "reports/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace harness::testing_support {

/// How a run of nbd-interop ended and what it said.
struct Ended {
    Exit exit;
    std::string out;
    std::string err;
};

/// A folder with a catalogue for nbd-interop, with the reference client as the probe and the reference server
/// as "good", and everything that runs on it leaves behind.
class CommandLine {
  public:
    CommandLine();

    /// Adds a server: `rest` is the part of its file from `listen` on. Its version is 1.0, its export is
    /// "disk".
    void add_server(const std::string& name, const std::string& rest);
    /// Adds a file of the catalogue, or replaces it.
    void write(const std::string& file, const std::string& text);

    /// nbd-interop with these arguments and --scenarios, until it ends.
    [[nodiscard]] Ended run(std::vector<std::string> arguments) const;
    /// The same, started only.
    [[nodiscard]] Process start(std::vector<std::string> arguments) const;
    /// `run` with --out and --quiet.
    [[nodiscard]] Ended run_cases(std::vector<std::string> arguments = {}) const;

    [[nodiscard]] std::filesystem::path out() const { return folder_ / "out"; }
    [[nodiscard]] std::filesystem::path catalogue() const { return folder_ / "catalogue"; }
    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

    /// The results that the last run left; fails the test if there are none.
    [[nodiscard]] reports::RunResult results() const;
    /// What is left of runs: their processes, and what is in the folder for temporary files.
    [[nodiscard]] std::vector<std::string> leftovers() const;

  private:
    [[nodiscard]] Launch launch(std::vector<std::string> arguments) const;

    TempFolder folder_;
};

/// The result of a case; one with the verdict `error` if there is no such case.
const reports::CaseResult& find_case(const reports::RunResult& run, std::string_view id);

} // namespace harness::testing_support
