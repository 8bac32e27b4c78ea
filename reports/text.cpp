#include "reports/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace reports {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD"; // U+FFFD

/// The length of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7), or 0.
std::size_t sequence_length(std::string_view text) {
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto lead = byte(0);
    if (lead < 0x80) {
        return 1;
    }
    std::size_t length = 0;
    unsigned low = 0x80;
    unsigned high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        low = lead == 0xE0 ? 0xA0 : 0x80;
        high = lead == 0xED ? 0x9F : 0xBF; // leaves the surrogates out
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        low = lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xF4 ? 0x8F : 0xBF;
    }
    if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) {
        return 0;
    }
    for (std::size_t i = 2; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) {
            return 0;
        }
    }
    return length;
}

/// Calls `use` with each character of `text` as its UTF-8 sequence, or with U+FFFD for a stray byte.
template <typename Use>
void for_each_character(std::string_view text, Use use) {
    while (!text.empty()) {
        const auto length = sequence_length(text);
        use(length == 0 ? replacement : text.substr(0, length));
        text.remove_prefix(length == 0 ? 1 : length);
    }
}

bool is_xml_character(std::string_view character) {
    if (character.size() == 1) {
        const auto c = static_cast<unsigned char>(character[0]);
        return c >= 0x20 || c == '\t' || c == '\n' || c == '\r';
    }
    return character != "\xEF\xBF\xBE" && character != "\xEF\xBF\xBF"; // U+FFFE, U+FFFF
}

bool is_space(std::string_view character) {
    return character == " " || character == "\t" || character == "\n" || character == "\r";
}

bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

} // namespace

std::string valid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for_each_character(text, [&out](std::string_view c) { out += c; });
    return out;
}

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    bool after_return = false;
    for_each_character(text, [&](std::string_view c) {
        if (c == "\r" || (c == "\n" && !after_return)) {
            out += '\n';
        } else if (c != "\n" && is_xml_character(c)) {
            out += c;
        }
        after_return = c == "\r";
    });
    return out;
}

std::string one_line(std::string_view text, std::size_t max_characters) {
    std::string out;
    std::size_t characters = 0;
    std::size_t cut = 0; // where to cut if the text turns out too long: room for "…" is left
    bool space_due = false;
    bool too_long = false;
    const auto add = [&](std::string_view c) {
        if (characters == max_characters) {
            too_long = true;
            return;
        }
        if (characters + 1 == max_characters) {
            cut = out.size();
        }
        out += c;
        ++characters;
    };
    for_each_character(text, [&](std::string_view c) {
        if (is_space(c)) {
            space_due = !out.empty();
        } else if (!too_long && is_xml_character(c) && c != "\x7F") {
            if (space_due) {
                add(" ");
                space_due = false;
            }
            add(c);
        }
    });
    if (too_long) {
        out.resize(cut);
        out += max_characters == 0 ? "" : "…";
    }
    return out;
}

std::string limited(std::string_view text, std::size_t max_bytes) {
    auto out = printable(text);
    if (out.size() <= max_bytes) {
        return out;
    }
    auto end = max_bytes;
    while (end > 0 && is_continuation(out[end])) {
        --end;
    }
    const auto missing = out.size() - end;
    out.resize(end);
    return out + fmt::format("… ({} more bytes)", grouped(missing));
}

std::string markdown_cell(std::string_view text, std::size_t max_characters) {
    std::string out;
    for (const char c : one_line(text, max_characters)) {
        switch (c) {
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '&':
            out += "&amp;";
            break;
        case '\\':
        case '|':
        case '*':
        case '_':
        case '`':
        case '[':
        case ']':
        case '~':
        case '#':
            out += '\\';
            [[fallthrough]];
        default:
            out += c;
        }
    }
    return out;
}

std::string markdown_code(std::string_view text, std::size_t max_characters) {
    auto line = one_line(text, max_characters);
    if (line.empty()) {
        return line;
    }
    // Neither a backtick nor a pipe can be escaped inside a code span in a way that every reader of Markdown
    // understands, so such a text is quoted without one.
    if (line.find_first_of("`|") != std::string::npos) {
        return markdown_cell(line);
    }
    return "`" + line + "`";
}

std::string href(std::string_view path) {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    std::string out;
    for (const char c : path) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '/' || c == '.' || c == '-' || c == '_' || c == '~';
        if (plain) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

std::string day_and_time(std::string_view iso) {
    auto out = one_line(iso, 40);
    constexpr std::size_t place_of_t = 10;
    if (out.size() > place_of_t && out[place_of_t] == 'T') {
        out[place_of_t] = ' ';
        if (out.ends_with('Z')) {
            out.replace(out.size() - 1, 1, " UTC");
        }
    }
    return out;
}

std::string grouped(std::size_t number) {
    auto digits = std::to_string(number);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
        digits.insert(static_cast<std::size_t>(at), 1, ',');
    }
    return digits;
}

std::string counted(std::size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", grouped(count), noun, count == 1 ? "" : "s");
}

} // namespace reports
