#pragma once

#include <span>
#include <string>

/// The parts of the test child that use the room under test: a small runner with janitor, workspace and
/// children, for the tests that kill it. Each returns an exit status.
namespace peer {

/// Starts a janitor, a workspace and children of all kinds, says what it made, and waits for a line of input:
/// "finish" ends it normally, "leak" as well but without its cleaning up.
int run_runner();

/// Installs the interrupt and waits for a child; says "interrupted" once that throws. With "stubborn" it then
/// goes on for ever.
int run_interruptible(std::span<char*> arguments);

} // namespace peer
