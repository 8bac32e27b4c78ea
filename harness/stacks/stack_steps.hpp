#pragma once

// Carrying out the steps of a stack, and knowing what the disk has to hold after each.

#include "harness/peers/client.hpp"
#include "harness/run/disk_model.hpp"
#include "harness/stacks/disk_process.hpp"
#include "harness/stacks/stack_export.hpp"
#include "harness/stacks/suite.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace harness {

/// What came of a step.
struct Came {
    std::optional<ClientError> error; ///< its name is the word for it; nothing: success
    std::string answer;               ///< what is written down
    std::string wrong;                ///< what is wrong with a success; empty if nothing
};

/// The steps of one case.
class StackSteps {
  public:
    StackSteps(const StackCase& item, const StackSuite& suite, StackExport& served, StackFolders folders);

    /// Makes the container.
    void prepare();

    /// Carries a step out. Throws ClientDied, TimedOut, LaunchError, CannotDo, PeerTrouble.
    [[nodiscard]] Came carry_out(const Action& action, std::uint64_t number);

    /// The client has died at this step: what it was not told to make durable may be gone, and so may what it
    /// was at.
    void client_died(const Action& action);

    /// True if a process has the disk open.
    [[nodiscard]] bool opened() const { return process_ != nullptr; }
    /// Ends that process, whatever it is at.
    void drop_process() { process_.reset(); }

  private:
    [[nodiscard]] ExportSetup setup(bool filled) const;
    [[nodiscard]] Deadline deadline() const;
    [[nodiscard]] std::uint64_t bytes(const SizeExpression& expression) const;
    [[nodiscard]] Placeholders values(const Action& action);
    ClientOutcome tool(const Action& action, std::uint64_t number, const Placeholders& values);
    Came create(const Action& action, std::uint64_t number);
    Came request(ActionKind kind, std::uint64_t offset, std::uint64_t length, std::uint64_t number);
    void update(const ClientStep& step, Came& came);
    Came fill(const Action& action, std::uint64_t number);
    Came change(const Action& action, std::uint64_t number);
    Came convert(const Action& action, std::uint64_t number);
    Came contents(const Action& action, std::uint64_t number);
    Came container();

    const StackCase& item_;
    const StackScenario& scenario_;
    const StackSuite& suite_;
    StackExport& export_;
    const StackFolders folders_;
    std::uint64_t size_; ///< of the disk, in bytes
    DiskModel disk_;
    std::uint64_t container_ = 0; ///< size of the server's file once the image was made, in bytes
    std::unique_ptr<DiskProcess> process_;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> not_durable_;     ///< offset and length
    std::map<std::string, std::pair<std::uint64_t, DiskModel>> snapshots_; ///< size and contents
    std::optional<DiskModel> copied_;                                      ///< what a copy was to put there
};

} // namespace harness
