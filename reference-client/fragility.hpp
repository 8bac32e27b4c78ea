#pragma once

// Ways in which the client can be told to break down when something goes wrong, so that a suite can show that
// it notices: real clients have assertions, and wait for what never comes.

#include "reference-client/failure.hpp"

#include <span>
#include <string_view>

namespace refclient {

/// Where something goes wrong.
enum class Phase { handshake, transmission };

/// What the client does instead of reporting it.
enum class Collapse {
    abort, ///< the process ends by SIGABRT
    wait,  ///< for ever, and the connection stays as it is
};

/// One way to break down.
struct Fragility {
    std::string_view name;        ///< for command lines
    std::string_view requirement; ///< of the specification, which is broken by it
    std::string_view sentence;    ///< what the client does
    Phase phase;
    FailureKind trouble; ///< on what
    Collapse collapse;
};

[[nodiscard]] std::span<const Fragility> all_fragilities();

/// The one of this name; null if there is none.
[[nodiscard]] const Fragility* find_fragility(std::string_view name);

/// Breaks down if the client has a fragility for this; null stands for a client that has none.
void meet_trouble(const Fragility* fragility, Phase phase, FailureKind trouble);

} // namespace refclient
