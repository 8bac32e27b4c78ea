#include "harness/transcript/print.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace wire {
namespace {

namespace json = boost::json;

constexpr std::string_view red = "\x1b[31;1m";
constexpr std::string_view blue = "\x1b[34m";
constexpr std::string_view green = "\x1b[32m";
constexpr std::string_view plain = "\x1b[0m";

/// Lines of 16 bytes in hex, with what is printable of them.
std::string hex_dump(nbd::Bytes bytes, std::uint64_t offset, std::string_view indent) {
    constexpr std::size_t width = 16;
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += width) {
        std::string hex;
        std::string letters;
        for (std::size_t i = at; i < at + width; ++i) {
            if (i >= bytes.size()) {
                hex += "   ";
                continue;
            }
            hex += fmt::format(" {:02x}", bytes[i]);
            letters += bytes[i] >= 0x20 && bytes[i] < 0x7f ? static_cast<char>(bytes[i]) : '.';
        }
        text += fmt::format("{}{:8} {}  {}\n", indent, offset + at, hex, letters);
    }
    return text;
}

std::string hex(nbd::Bytes bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += fmt::format("{:02x}", byte);
    }
    return text;
}

} // namespace

std::string to_text(const Trace& trace, const LevelOf& level, bool colour) {
    const auto paint = [colour](std::string_view with) { return colour ? with : std::string_view(); };
    constexpr std::string_view indent = "                        ";
    std::string text;
    for (const TraceLine& line : trace.lines) {
        const bool server = line.from == Side::server;
        text += fmt::format("{:11.6f} {:>3} {}{}{} {}\n", static_cast<double>(line.at.count()) / 1e6,
                            line.connection, paint(server ? blue : green), server ? "server " : "client ",
                            paint(plain), line.text);
        for (const Violation& violation : line.violations) {
            text += fmt::format("{}{}{} broken by the {}: {}: {}{}\n", indent, paint(red),
                                level(violation.requirement), name(violation.by), violation.requirement,
                                violation.what, paint(plain));
        }
        if (!line.violations.empty()) {
            text += hex_dump(line.bytes, line.offset, indent);
        }
    }
    for (const auto& [connection, why] : trace.lost) {
        text += fmt::format("connection {} was not judged to its end: {}\n", connection, why);
    }
    return text;
}

std::string to_json_lines(const Trace& trace, const LevelOf& level) {
    std::string text;
    for (const TraceLine& line : trace.lines) {
        json::object object{{"at", static_cast<double>(line.at.count()) / 1e6},
                            {"connection", line.connection},
                            {"from", name(line.from)},
                            {"offset", line.offset},
                            {"text", line.text},
                            {"bytes", hex(line.bytes)}};
        json::array violations;
        for (const Violation& violation : line.violations) {
            violations.emplace_back(json::object{{"requirement", violation.requirement},
                                                 {"level", level(violation.requirement)},
                                                 {"by", name(violation.by)},
                                                 {"what", violation.what}});
        }
        object["violations"] = std::move(violations);
        text += json::serialize(object) + "\n";
    }
    for (const auto& [connection, why] : trace.lost) {
        text += json::serialize(json::object{{"connection", connection}, {"not-judged", why}}) + "\n";
    }
    return text;
}

} // namespace wire
