#include "harness/catalogue/catalogue.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/run/selection.hpp"
#include "harness/transcript/capture.hpp"
#include "harness/transcript/print.hpp"
#include "protocol/numbers.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace harness {
namespace {

/// The file as a transcript, whichever of both it is; says what a capture lacks.
wire::Transcript read(const JudgeOptions& options) {
    if (wire::is_transcript(options.file)) {
        return wire::read_transcript(options.file);
    }
    std::set<std::uint16_t> ports(options.ports.begin(), options.ports.end());
    if (ports.empty()) {
        ports.insert(nbd::default_port);
    }
    wire::Capture capture = wire::read_capture(options.file, ports);
    if (capture.without_beginning > 0) {
        fmt::print(stderr,
                   "nbd-interop: {} connections are not judged: the capture has not their beginning\n",
                   capture.without_beginning);
    }
    if (capture.with_gaps > 0) {
        fmt::print(stderr, "nbd-interop: packets of {} connections are missing from the capture\n",
                   capture.with_gaps);
    }
    return std::move(capture.transcript);
}

} // namespace

int judge_command(const CommonOptions& common, const JudgeOptions& options) {
    wire::Trace trace;
    try {
        trace = wire::trace(read(options));
    } catch (const wire::TranscriptError& error) {
        throw SelectionError(fmt::format("judge {}: {}", options.file.string(), error.what()));
    }
    if (trace.lines.empty()) {
        fmt::print(stderr, "nbd-interop: there is no NBD connection in {}; --port names the servers' ports\n",
                   options.file.string());
        return exit_nothing;
    }
    const std::size_t violations = trace.violations();
    if (!options.all) {
        std::erase_if(trace.lines, [](const wire::TraceLine& line) { return line.violations.empty(); });
    }
    const Requirements requirements = load_catalogue(common.scenarios).requirements;
    const auto level = [&](std::string_view id) { return level_text(requirements, id); };
    if (options.json) {
        fmt::print("{}", wire::to_json_lines(trace, level));
    } else {
        fmt::print("{}{} requirements broken\n", wire::to_text(trace, level, isatty(STDOUT_FILENO) == 1),
                   violations == 0 ? std::string("no") : std::to_string(violations));
    }
    return violations == 0 ? exit_ok : exit_red;
}

} // namespace harness
