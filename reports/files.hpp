#pragma once

// Whole text files, and all reports of a run at once.

#include "reports/junit.hpp"
#include "reports/result.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace reports {

/// Writes the text to the file, whose directory is made if there is none. Throws ResultsError.
void write_text_file(const std::filesystem::path& file, std::string_view text);

/// The content of the file. Throws ResultsError.
[[nodiscard]] std::string read_text_file(const std::filesystem::path& file);

/// Writes results.json, junit.xml, matrix.md and index.html into the directory, which is made if there is
/// none, and spec-matrix.md if the run says something to the questions of the specification. The cases'
/// folders are taken to be relative to it. Throws ResultsError.
void write_reports(const std::filesystem::path& directory, const RunResult& run,
                   const JunitOptions& junit = {});

} // namespace reports
