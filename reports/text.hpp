#pragma once

// Text as peers give it - any bytes at all - made fit for the formats that reports are written in.

#include <cstddef>
#include <string>
#include <string_view>

namespace reports {

/// The text with every byte that is not part of valid UTF-8 replaced by U+FFFD.
[[nodiscard]] std::string valid_utf8(std::string_view text);

/// Valid UTF-8 holding only characters that XML 1.0 allows (the others are dropped), with lines ended by
/// "\n".
[[nodiscard]] std::string printable(std::string_view text);

/// As `printable`, on one line: runs of white space become one space, none is left at either end.
/// Longer texts are cut after `max_characters` code points, the last of which is then "…".
[[nodiscard]] std::string one_line(std::string_view text,
                                   std::size_t max_characters = std::string_view::npos);

/// As `printable`, cut after about `max_bytes` bytes, never inside a character, with a note of how many bytes
/// are missing.
[[nodiscard]] std::string limited(std::string_view text, std::size_t max_bytes);

/// Text for a cell of a Markdown table: one line, with what Markdown or HTML would take as markup escaped.
[[nodiscard]] std::string markdown_cell(std::string_view text,
                                        std::size_t max_characters = std::string_view::npos);

/// The text as a code span that is safe in a cell of a Markdown table; empty for an empty text.
[[nodiscard]] std::string markdown_code(std::string_view text,
                                        std::size_t max_characters = std::string_view::npos);

/// A relative path as the value of an HTML href: every character that is not plain is percent-encoded and
/// leading slashes are dropped, so that no path can name another scheme or host.
[[nodiscard]] std::string href(std::string_view path);

/// A time as ISO 8601 has it, for people: "2026-11-22 16:21:07 UTC". Other text is left as it is.
[[nodiscard]] std::string day_and_time(std::string_view iso);

/// "1 case", "2 cases", "1,024 cases": the plural takes an s.
[[nodiscard]] std::string counted(std::size_t count, std::string_view noun);

/// The number with commas between thousands.
[[nodiscard]] std::string grouped(std::size_t number);

} // namespace reports
