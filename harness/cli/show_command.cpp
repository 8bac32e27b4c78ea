#include "harness/catalogue/catalogue.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/run/selection.hpp"
#include "harness/transcript/capture.hpp"
#include "harness/transcript/print.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* transcript_name = "wire.transcript";

/// The transcript that the user means. Throws SelectionError.
fs::path find_transcript(const ShowOptions& options) {
    const fs::path given(options.what);
    for (const fs::path& candidate :
         {given, given / transcript_name, options.out / "cases" / given / transcript_name}) {
        std::error_code unreadable;
        if (fs::is_regular_file(candidate, unreadable)) {
            return candidate;
        }
    }
    throw SelectionError(fmt::format(
        "show {0}: there is no transcript of it; neither {0} is one, nor is there {1}. Names of cases are as "
        "'nbd-interop list cases' has them, and --out is the folder of the run's reports",
        options.what, (options.out / "cases" / given / transcript_name).string()));
}

} // namespace

int show_command(const CommonOptions& common, const ShowOptions& options) {
    const fs::path file = find_transcript(options);
    try {
        const wire::Transcript transcript = wire::read_transcript(file);
        if (!options.pcapng.empty()) {
            try {
                wire::write_pcapng(options.pcapng, transcript);
            } catch (const wire::TranscriptError& error) {
                throw SelectionError(fmt::format("--pcapng {}: {}", options.pcapng.string(), error.what()));
            }
            return exit_ok;
        }
        const Requirements requirements = load_catalogue(common.scenarios).requirements;
        const wire::Trace trace = wire::trace(transcript);
        const auto level = [&](std::string_view id) { return level_text(requirements, id); };
        if (options.json) {
            fmt::print("{}", wire::to_json_lines(trace, level));
        } else {
            fmt::print("{}\n{}", transcript.title, wire::to_text(trace, level, isatty(STDOUT_FILENO) == 1));
        }
    } catch (const wire::TranscriptError& error) {
        throw SelectionError(fmt::format("{}: {}", file.string(), error.what()));
    }
    return exit_ok;
}

} // namespace harness
