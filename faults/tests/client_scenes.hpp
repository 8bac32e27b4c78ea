#pragma once

// For each fault of clients, the conversation in which it shows.

#include "faults/tests/client_stage.hpp"

#include <optional>
#include <ostream>
#include <string_view>

namespace faults::testing {

/// A twist that does nothing.
[[nodiscard]] Recipe sound();

/// A server that answers an option like this.
[[nodiscard]] Recipe answering(nbd::Option option, nbd::OptionReplyType type);
/// A server that answers reads with an error.
[[nodiscard]] Recipe failing_reads(nbd::Error error);

[[nodiscard]] refclient::Options usual(refclient::Replies replies = refclient::Replies::extended);
/// For scenes in which one side waits for what never comes: the client gives up soon.
[[nodiscard]] refclient::Options impatient();

struct Scene {
    std::string_view fault;
    Talk talk = talk::commands;
    Recipe server = sound(); ///< what is special about the server
    refclient::Options options = usual();
    /// What the judge finds, where that is not the broken requirement alone. The bytes that are wrong by one
    /// requirement can be wrong by another one, too.
    std::optional<std::set<std::string>> broken = {};
    /// What the outcome of a talk has in it that goes wrong.
    std::string_view mark = "failed";
};

/// For messages of the test framework.
inline void PrintTo(const Scene& scene, std::ostream* out) {
    *out << scene.fault;
}

/// Clients that send something wrong: the bytes are others.
[[nodiscard]] std::vector<Scene> wrong_sent();
/// Clients that accept what they must not: the talk goes wrong without the fault and does not with it.
[[nodiscard]] std::vector<Scene> wrong_accepted();
/// Clients that do not bear what they must, or misread it: the talk is another with the fault, and it does
/// not fail without it.
[[nodiscard]] std::vector<Scene> wrong_refused();
/// Clients that rely on what is mostly so: the process is aborted with the fault, and goes on without it.
[[nodiscard]] std::vector<Scene> broken_down();

} // namespace faults::testing
