#include "harness/peers/shell_client.hpp"

#include "harness/peers/error_words.hpp"
#include "harness/peers/output_reader.hpp"
#include "harness/peers/program_client.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/launch.hpp"

#include <fmt/format.h>

#include <csignal>
#include <fstream>
#include <regex>

namespace harness {
namespace {

std::chrono::milliseconds left_until(Deadline deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    return std::max(left, std::chrono::milliseconds(0));
}

} // namespace

ShellClient::ShellClient(const Peer& peer, const ClientVariant& variant, Placeholders values,
                         std::filesystem::path folder)
  : peer_(peer)
  , variant_(variant)
  , values_(std::move(values))
  , folder_(std::move(folder)) {}

ClientOutcome ShellClient::perform(const ClientStep& step, Deadline deadline) {
    switch (step.kind) {
    case StepKind::connect:
        return connect(step, deadline);
    case StepKind::disconnect:
        return disconnect(step, deadline);
    default:
        return command(step, deadline);
    }
}

ClientOutcome ShellClient::connect(const ClientStep& step, Deadline deadline) {
    Placeholders values = values_;
    values.texts["uri"] = step.uri;
    Launch launch;
    launch.argv = expand(variant_.start, values);
    launch.env = variant_.env;
    launch.log = folder_ / fmt::format("client-{}.log", step.connection);
    launch.capture_stdout = true;
    launch.pipe_stdin = true;
    std::ofstream(folder_ / "client-commands.txt", std::ios::app) << launch.command_line() << '\n';
    Process process = Process::start(launch);
    if (process.read_until(peer_.prompt, deadline)) {
        connections_.insert_or_assign(step.connection, std::move(process));
        return {};
    }
    const std::optional<Exit> exit = process.wait_for(left_until(deadline));
    if (!exit || exit->signal != 0) {
        died(process, deadline);
    }
    ClientOutcome outcome;
    outcome.error = error_from_words(process.error_tail(2000));
    return outcome;
}

ClientOutcome ShellClient::command(const ClientStep& step, Deadline deadline) {
    const auto connection = connections_.find(step.connection);
    if (connection == connections_.end()) {
        return {ClientError{"ENOTCONN", ErrorPlace::connection, "there is no such connection"}, {}};
    }
    Process& process = connection->second;
    const OperationTemplate& operation = peer_.templates.at(name(step.kind));
    Placeholders values = values_;
    add_step(step, operation, values);
    const std::string line = expand(operation.send, values);
    std::ofstream(folder_ / "client-commands.txt", std::ios::app) << peer_.prompt << line << '\n';
    std::optional<std::string> output;
    try {
        process.write_line(line);
        output = process.read_until(peer_.prompt, deadline);
    } catch (const PeerGone&) {
        died(process, deadline);
    }
    if (!output) {
        died(process, deadline);
    }
    if (operation.result.hexdump.empty()) {
        std::ofstream(folder_ / "client-commands.txt", std::ios::app) << *output;
    }

    ClientOutcome outcome;
    std::smatch match;
    if (!operation.output.failure.empty() &&
        std::regex_search(*output, match, std::regex(operation.output.failure, std::regex::multiline))) {
        outcome.error = error_from_words(match.str());
        return outcome;
    }
    if (!operation.output.success.empty() &&
        !std::regex_search(*output, std::regex(operation.output.success, std::regex::multiline))) {
        outcome.error = error_from_words(process.error_tail(500));
        if (outcome.error->message.empty()) {
            throw std::runtime_error(
                fmt::format("'{}' was answered with '{}'", line, output->substr(0, 300)));
        }
        return outcome;
    }
    outcome.result = read_output(operation.result, *output, step.into);
    return outcome;
}

ClientOutcome ShellClient::disconnect(const ClientStep& step, Deadline deadline) {
    const auto connection = connections_.find(step.connection);
    if (connection == connections_.end()) {
        return {ClientError{"ENOTCONN", ErrorPlace::connection, "there is no such connection"}, {}};
    }
    Process process = std::move(connection->second);
    connections_.erase(connection);
    if (step.abrupt) {
        process.kill(SIGKILL);
        process.wait_for(left_until(deadline));
    } else {
        end(process, deadline);
    }
    return {};
}

void ShellClient::end(Process& process, Deadline deadline) {
    process.close_stdin();
    const std::optional<Exit> exit = process.wait_for(left_until(deadline));
    if (!exit) {
        throw TimedOut(fmt::format("{} does not end although its input was closed", peer_.name));
    }
    // The exit status repeats that a command failed, which its own answer already told.
    if (exit->signal != 0) {
        throw ClientDied(fmt::format("{} was {} at its end", peer_.name, exit->describe()), true);
    }
}

void ShellClient::died(Process& process, Deadline deadline) {
    const std::optional<Exit> exit = process.wait_for(left_until(deadline));
    throw ClientDied(fmt::format("{} {}: {}", peer_.name, exit ? exit->describe() : "closed its output",
                                 process.error_tail(500)),
                     exit && exit->signal != 0);
}

void ShellClient::finish(Deadline deadline) {
    while (!connections_.empty()) {
        Process process = std::move(connections_.begin()->second);
        connections_.erase(connections_.begin());
        end(process, deadline);
    }
}

} // namespace harness
