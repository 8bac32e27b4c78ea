#include "harness/peers/program_client.hpp"

#include "harness/peers/error_words.hpp"
#include "harness/peers/output_reader.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/launch.hpp"
#include "harness/process/process.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <regex>

namespace harness {

void add_step(const ClientStep& step, const OperationTemplate& operation, Placeholders& values) {
    values.texts["offset"] = std::to_string(step.offset);
    values.texts["length"] = std::to_string(step.length);
    values.texts["from"] = step.from.string();
    values.texts["into"] = step.into.string();
    if (!step.uri.empty()) {
        values.texts["uri"] = step.uri;
    }
    std::vector<std::string>& flags = values.lists["flags"];
    flags.clear();
    for (const std::string& flag : step.flags) {
        flags.push_back(operation.flags.at(flag));
    }
    values.texts["flags"] = fmt::format("{}", fmt::join(flags, " "));
}

ClientError error_from_words(const std::string& words) {
    ClientError error;
    error.name = error_in(words);
    error.where = is_connection_error(error.name) ? ErrorPlace::connection : ErrorPlace::unknown;
    error.message = words.substr(0, 500);
    return error;
}

ProgramClient::ProgramClient(const Peer& peer, const ClientVariant& variant, Placeholders values,
                             std::filesystem::path folder)
  : peer_(peer)
  , variant_(variant)
  , values_(std::move(values))
  , folder_(std::move(folder)) {}

ClientOutcome ProgramClient::perform(const ClientStep& step, Deadline deadline) {
    const std::string operation_name = name(step.kind);
    if (step.kind == StepKind::disconnect ||
        (step.kind == StepKind::connect && !peer_.operations.contains("connect"))) {
        return {}; // every process has its own connection
    }
    const OperationTemplate& operation = peer_.templates.at(operation_name);
    Placeholders values = values_;
    add_step(step, operation, values);

    Launch launch;
    launch.argv = expand(operation.run, values);
    launch.env = variant_.env;
    launch.log = folder_ / fmt::format("client-{:02}-{}.log", step.id, operation_name);
    launch.capture_stdout = true;
    std::ofstream(folder_ / "client-commands.txt", std::ios::app) << launch.command_line() << '\n';
    Process process = Process::start(launch);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const std::optional<Exit> exit = process.wait_for(std::max(left, std::chrono::milliseconds(0)));
    if (!exit) {
        throw TimedOut(fmt::format("{} did not end", launch.argv.front()));
    }
    const std::string output = process.take_output();
    if (!output.empty() && operation.result.hexdump.empty()) {
        std::ofstream(folder_ / fmt::format("client-{:02}-{}.out", step.id, operation_name)) << output;
    }
    if (exit->signal != 0) {
        throw ClientDied(
            fmt::format("{} was {}: {}", launch.argv.front(), exit->describe(), process.error_tail(500)),
            true);
    }
    ClientOutcome outcome;
    std::smatch match;
    const bool said_so =
        !operation.output.failure.empty() &&
        std::regex_search(output, match, std::regex(operation.output.failure, std::regex::multiline));
    if (exit->code != 0 || said_so) {
        outcome.error = error_from_words(process.error_tail(2000) + (said_so ? match.str() : ""));
        return outcome;
    }
    if (!operation.output.success.empty() &&
        !std::regex_search(output, std::regex(operation.output.success, std::regex::multiline))) {
        throw std::runtime_error(fmt::format("{} exited with 0, but its output says '{}'",
                                             launch.argv.front(), output.substr(0, 300)));
    }
    outcome.result = read_output(operation.result, output, step.into);
    return outcome;
}

void ProgramClient::finish(Deadline /*deadline*/) {}

} // namespace harness
