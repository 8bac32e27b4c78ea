#include "reports/files.hpp"

#include "reports/html.hpp"
#include "reports/junit.hpp"
#include "reports/markdown.hpp"
#include "reports/results_json.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

namespace reports {

void write_text_file(const std::filesystem::path& file, std::string_view text) {
    if (const auto directory = file.parent_path(); !directory.empty()) {
        std::error_code error;
        std::filesystem::create_directories(directory, error);
        if (error) {
            throw ResultsError(
                fmt::format("{}: cannot make the directory: {}", directory.string(), error.message()));
        }
    }
    errno = 0;
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.close();
    if (!out) {
        throw ResultsError(fmt::format("{}: cannot write: {}", file.string(), std::strerror(errno)));
    }
}

std::string read_text_file(const std::filesystem::path& file) {
    const auto cannot_read = [&file](std::string_view why) {
        return ResultsError(fmt::format("{}: cannot read: {}", file.string(), why));
    };
    std::error_code ignored;
    if (std::filesystem::is_directory(file, ignored)) {
        throw cannot_read("it is a directory");
    }
    errno = 0;
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        throw cannot_read(std::strerror(errno));
    }
    std::ostringstream text;
    // Copying nothing at all would count as a failure.
    if (in.peek() != std::ifstream::traits_type::eof()) {
        text << in.rdbuf();
    }
    if (in.bad() || !text) {
        throw cannot_read(std::strerror(errno));
    }
    return text.str();
}

void write_reports(const std::filesystem::path& directory, const RunResult& run, const JunitOptions& junit) {
    write_results(directory / "results.json", run);
    write_text_file(directory / "junit.xml", to_junit(run, junit));
    write_text_file(directory / "matrix.md", to_markdown(run));
    write_text_file(directory / "index.html", to_html(run));
    if (!run.questions.empty()) {
        write_text_file(directory / "spec-matrix.md", to_spec_matrix(run));
    }
}

} // namespace reports
