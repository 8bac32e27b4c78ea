#pragma once

// Runs as the suite makes them, for tests and for looking at reports.

#include "reports/result.hpp"

#include <string>

namespace reports::sample {

/// A case that passed, with every mandatory field filled.
[[nodiscard]] CaseResult passed(const std::string& server, const std::string& client,
                                const std::string& scenario);

/// A case with one finding of that verdict about the server; `deviation` as in Finding.
[[nodiscard]] CaseResult broken(Verdict verdict, const std::string& server, const std::string& client,
                                const std::string& scenario, const std::string& deviation = "");

/// Two servers, two clients and a handful of cases: one of each verdict, one known deviation, observations,
/// a peer that is not installed.
[[nodiscard]] RunResult small_run();

/// A whole matrix as it comes out in practice: 16 server variants by 14 client variants by 28 scenarios.
[[nodiscard]] RunResult large_run();

/// Text that is markup in every format, with control characters and bytes that are no UTF-8.
[[nodiscard]] std::string hostile_text();

/// A run with `hostile_text` in every field that takes text, and with a message of several megabytes.
[[nodiscard]] RunResult hostile_run();

} // namespace reports::sample
