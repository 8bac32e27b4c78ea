#include "protocol/describe.hpp"

#include <fmt/format.h>

#include <iterator>

namespace nbd {

std::string quoted(std::string_view bytes) {
    constexpr std::size_t shown = 256;
    std::string result = "\"";
    for (const char c : bytes.substr(0, shown)) {
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (c >= ' ' && c < '\x7f') {
            result += c;
        } else {
            fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    result += '"';
    if (bytes.size() > shown) {
        fmt::format_to(std::back_inserter(result), "+{} bytes", bytes.size() - shown);
    }
    return result;
}

namespace detail {
namespace {

void append_word(std::string& line, std::string_view word) {
    if (!line.empty() && !word.empty()) {
        line += ' ';
    }
    line += word;
}

} // namespace

void DescribeVisitor::kind(std::string_view text) {
    append_word(kinds_, text);
}

void DescribeVisitor::number(std::string_view name, std::uint64_t value) {
    append_word(fields_, fmt::format("{}={}", name, value));
}

void DescribeVisitor::add(std::string_view name, std::string_view value) {
    append_word(fields_, fmt::format("{}={}", name, value));
}

void DescribeVisitor::add_list(std::string_view name, std::string_view items, std::size_t more) {
    append_word(fields_, more == 0 ? fmt::format("{}=[{}]", name, items)
                                   : fmt::format("{}=[{}, {} more]", name, items, more));
}

std::string DescribeVisitor::line(std::string_view title) const {
    std::string line(title);
    append_word(line, kinds_);
    append_word(line, fields_);
    return line;
}

} // namespace detail

std::string describe(const Request& request) {
    detail::DescribeVisitor visitor;
    const ExtendedRequest widest{request.flags, request.type, request.cookie, request.offset, request.length};
    ExtendedRequest::fields(widest, visitor);
    return visitor.line(CompactRequest::title);
}

std::string describe(const Chunk& chunk) {
    detail::DescribeVisitor visitor;
    const ExtendedChunk widest{chunk.flags, chunk.type, chunk.cookie, chunk.offset, chunk.length};
    ExtendedChunk::fields(widest, visitor);
    return visitor.line(StructuredChunk::title);
}

} // namespace nbd
