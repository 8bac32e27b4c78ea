#pragma once

// The reference client on one of its errands, sound and broken, in the cases for clients.

#include "harness/check/client_suite.hpp"
#include "harness/check/conformance.hpp"
#include "harness/check/detection.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace harness::check {

/// One errand. Thread safe.
class ErrandTrials {
  public:
    /// The suite gives all but the command; of that it gives the limits. It and the errand have to live as
    /// long as this.
    ErrandTrials(const ClientSuite& suite, const ClientErrand& errand, std::filesystem::path logs);

    /// What the sound client makes of the case; carried out the first time. Throws Interrupted.
    const reports::CaseResult& sound(const ClientCase& item);

    /// What the case finds if the client has the fault; nothing if it does not notice it, or cannot be
    /// carried out with this errand. A broken client is compared with what the sound one does on a
    /// well-behaved server. Throws Interrupted, BenchError.
    [[nodiscard]] std::optional<Sighting> look(const ClientCase& item, const std::string& fault);

    [[nodiscard]] const ClientErrand& errand() const { return errand_; }

  private:
    struct Slot {
        std::mutex mutex; ///< held while the sound client carries the case out
        bool known = false;
        reports::CaseResult result;
    };

    [[nodiscard]] ClientCommand command(const std::string& fault) const;

    const ClientSuite& suite_;
    const ClientErrand& errand_;
    std::filesystem::path logs_;
    ClientBench bench_;
    UsualBook book_;
    std::mutex mutex_; ///< for the map
    std::map<std::string, std::unique_ptr<Slot>> slots_;
};

} // namespace harness::check
