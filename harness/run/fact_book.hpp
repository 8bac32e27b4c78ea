#pragma once

#include "harness/catalogue/facts.hpp"
#include "harness/run/case_runner.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace harness {

struct ClientResult;

/// What is known of a server before a case: its traits, and what its handshake says to the catalogue's probe.
/// Each server is asked once for each way it is set up. Thread safe.
class FactBook {
  public:
    explicit FactBook(const RunPlace& place)
      : place_(place) {}

    /// The facts about a server with such an export. `problem` is what went wrong if the handshake's are
    /// missing.
    struct Entry {
        Facts facts;
        std::optional<reports::Finding> problem;
    };
    [[nodiscard]] const Entry& look_up(const Peer& peer, const ServerVariant& variant, bool read_only);

  private:
    struct Slot {
        std::mutex mutex; ///< no std::once_flag: an exception out of it hangs under ThreadSanitizer
        bool asked = false;
        Entry entry;
    };

    const RunPlace& place_;
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<Slot>> slots_;
};

/// The facts of the handshake that a probe's result tells.
[[nodiscard]] Facts handshake_facts(const FactVocabulary& vocabulary, const ClientResult& result);

} // namespace harness
