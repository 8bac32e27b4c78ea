#include "harness/stacks/program.hpp"

#include "harness/peers/program_client.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <regex>

namespace harness {
namespace {

/// How much of what a program says a message has room for.
constexpr std::size_t quoted = 2000;

} // namespace

ClientOutcome run_tool(const Tool& tool, const Placeholders& values, const std::filesystem::path& log,
                       Deadline deadline) {
    Launch launch;
    launch.argv = expand(tool.run, values);
    launch.log = log;
    launch.capture_stdout = true;
    std::ofstream(log.parent_path() / "client-commands.txt", std::ios::app) << launch.command_line() << '\n';
    Process process = Process::start(launch);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const std::optional<Exit> exit = process.wait_for(std::max(left, std::chrono::milliseconds(0)));
    if (!exit) {
        throw TimedOut(fmt::format("{} did not end", launch.argv.front()));
    }
    const std::string said = process.take_output();
    std::ofstream(log, std::ios::app) << said;
    if (exit->signal != 0) {
        throw ClientDied(
            fmt::format("{} was {}: {}", launch.argv.front(), exit->describe(), process.error_tail(quoted)),
            true);
    }
    ClientOutcome outcome;
    if (const auto known = tool.exits.find(exit->code); known != tool.exits.end()) {
        outcome.error = ClientError{known->second, ErrorPlace::unknown, said.substr(0, quoted)};
    } else if (exit->code != 0) {
        outcome.error = error_from_words(process.error_tail(quoted));
        if (outcome.error->message.empty()) {
            outcome.error->message =
                fmt::format("{} {} without a word", launch.argv.front(), exit->describe());
        }
    } else if (!tool.finds.empty() &&
               !std::regex_search(said, std::regex(expand(std::string_view(tool.finds), values)))) {
        outcome.error = ClientError{tool.otherwise, ErrorPlace::unknown, said.substr(0, quoted)};
    }
    return outcome;
}

} // namespace harness
