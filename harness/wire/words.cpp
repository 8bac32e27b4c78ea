#include "harness/wire/words.hpp"

#include <boost/locale/utf.hpp>
#include <fmt/format.h>

namespace wire {

std::string unknown_bits(std::string_view word, std::uint64_t bits, std::uint64_t known) {
    const std::uint64_t unknown = bits & ~known;
    return unknown == 0 ? std::string() : fmt::format("{}: 0x{:x} is set", word, unknown);
}

bool has_nul(std::string_view text) {
    return text.find('\0') != std::string_view::npos;
}

bool is_utf8(std::string_view text) {
    using Utf8 = boost::locale::utf::utf_traits<char>;
    for (const char* at = text.data(); at != text.data() + text.size();) {
        const auto point = Utf8::decode(at, text.data() + text.size());
        if (point == boost::locale::utf::illegal || point == boost::locale::utf::incomplete) {
            return false;
        }
    }
    return true;
}

bool has_namespace(std::string_view context) {
    const std::size_t colon = context.find(':');
    return colon != std::string_view::npos && colon > 0;
}

} // namespace wire
