#include "harness/tests/command_line.hpp"

#include "harness/process/marker.hpp"
#include "reports/results_json.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <unistd.h>

namespace harness::testing_support {
namespace {

namespace fs = std::filesystem;

constexpr const char* facts = R"(probe: reference-client
facts:
  flush: { role: server, flag: flush, meaning: the server can flush }
  session: { role: client, meaning: keeps one connection for several steps }
)";

constexpr const char* requirements = R"(document: proto.md
requirements:
  READ-DATA: { section: NBD_CMD_READ, level: MUST, binds: server, text: A read returns what was written. }
)";

constexpr const char* scenarios = R"(scenarios:
- scenario: read-start
  title: Reading the start
  group: data
  rule: READ-DATA
  export: { content: pattern }
  steps:
  - connect: {}
  - read: { offset: 0, length: 4KiB }
- scenario: read-end
  title: Reading the end
  group: data
  rule: READ-DATA
  steps:
  - connect: {}
  - write: { offset: size-4KiB, length: 4KiB }
  - read: { offset: size-4KiB, length: 4KiB }
)";

constexpr const char* client = R"(peer: reference-client
role: client
kind: driver
title: the reference client
version: { run: ["{bin}/nbd-driver-reference", --version], match: '(\d+(?:\.\d+)+)' }
start: ["{bin}/nbd-driver-reference"]
operations: [connect, info, read, write, disconnect]
traits: { session: "yes" }
)";

constexpr const char* good = R"(listen: socket-activation
start: ["{bin}/nbd-resize-server", "--export-name={export}", "{image}"]
)";

/// Does the process carry the mark of this test's run, and is it no zombie?
bool is_of_this_run(const fs::path& process) {
    const std::string variable = std::string(run_variable) + "=";
    const std::string environment = read_file(process / "environ");
    for (std::size_t at = 0; at < environment.size(); at = environment.find('\0', at) + 1) {
        const std::string entry = environment.substr(at, environment.find('\0', at) - at);
        if (entry.starts_with(variable)) {
            return entry.find(run_id()) != std::string::npos;
        }
        if (environment.find('\0', at) == std::string::npos) {
            break;
        }
    }
    return false;
}

} // namespace

CommandLine::CommandLine() {
    write("facts.yaml", facts);
    write("requirements/base.yaml", requirements);
    write("interop/base.yaml", scenarios);
    write("peers/reference-client.yaml", client);
    add_server("good", good);
    fs::create_directory(folder_ / "tmp");
}

void CommandLine::add_server(const std::string& name, const std::string& rest) {
    write(fmt::format("peers/{}.yaml", name),
          fmt::format("peer: {}\nrole: server\ntitle: a server\n"
                      "version: {{ run: [echo, fake 1.0], match: 'fake (.*)' }}\nexport: disk\n{}",
                      name, rest));
}

void CommandLine::write(const std::string& file, const std::string& text) {
    write_file(catalogue() / file, text);
}

Launch CommandLine::launch(std::vector<std::string> arguments) const {
    Launch launch;
    launch.argv = {NBD_BIN_DIR "/nbd-interop", "--scenarios", catalogue()};
    launch.argv.insert(launch.argv.end(), arguments.begin(), arguments.end());
    launch.env["TMPDIR"] = folder_ / "tmp";
    launch.cwd = folder_.path();
    launch.log = folder_ / "stderr";
    launch.capture_stdout = true;
    fs::remove(launch.log);
    return launch;
}

Process CommandLine::start(std::vector<std::string> arguments) const {
    return Process::start(launch(std::move(arguments)));
}

Ended CommandLine::run(std::vector<std::string> arguments) const {
    Process process = start(std::move(arguments));
    const auto exit = process.wait_for(generous);
    EXPECT_TRUE(exit) << "nbd-interop does not end";
    return {exit.value_or(Exit{-1, 0, false}), process.take_output(), read_file(folder_ / "stderr")};
}

Ended CommandLine::run_cases(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"run", "--quiet", "--out", out()});
    return run(std::move(arguments));
}

reports::RunResult CommandLine::results() const {
    return reports::read_results(out() / "results.json");
}

std::vector<std::string> CommandLine::leftovers() const {
    std::vector<std::string> result;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / "tmp")) {
        result.push_back(entry.path());
    }
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        const bool is_process = name.find_first_not_of("0123456789") == std::string::npos;
        if (is_process && name != std::to_string(getpid()) && is_of_this_run(entry.path())) {
            std::string command = read_file(entry.path() / "cmdline");
            std::ranges::replace(command, '\0', ' ');
            result.push_back(fmt::format("process {}: {}", name, command));
        }
    }
    return result;
}

const reports::CaseResult& find_case(const reports::RunResult& run, std::string_view id) {
    static const reports::CaseResult none = [] {
        reports::CaseResult result;
        result.verdict = reports::Verdict::error;
        result.reason = "there is no such case";
        return result;
    }();
    const auto found = std::ranges::find(run.cases, id, &reports::CaseResult::id);
    EXPECT_NE(found, run.cases.end()) << id;
    return found == run.cases.end() ? none : *found;
}

} // namespace harness::testing_support
