#include "harness/catalogue/size_expression.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>

namespace harness {
namespace {

constexpr std::string_view size_word = "size";

/// Takes a number off the front of `rest`.
std::uint64_t take_number(std::string_view& rest, std::string_view whole) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error == std::errc::result_out_of_range) {
        throw std::invalid_argument(fmt::format("'{}' is beyond 2^64-1 bytes", whole));
    }
    if (error != std::errc{}) {
        throw std::invalid_argument(
            fmt::format("'{}' is not a size: a number or 'size' is expected before '{}'", whole, rest));
    }
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return value;
}

/// Takes a unit off the front of `rest`, if one is there: the factor.
std::uint64_t take_unit(std::string_view& rest) {
    constexpr std::pair<std::string_view, unsigned> units[] = {
        {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    for (const auto& [unit, shift] : units) {
        if (rest.starts_with(unit)) {
            rest.remove_prefix(unit.size());
            return std::uint64_t{1} << shift;
        }
    }
    return 1;
}

} // namespace

SizeExpression SizeExpression::parse(std::string_view text) {
    SizeExpression result;
    result.text_ = text;
    std::string_view rest = text;
    bool negative = false;
    for (;;) {
        Term term{negative, false, 0};
        if (rest.starts_with(size_word)) {
            rest.remove_prefix(size_word.size());
            term.of_size = true;
            term.value = 1;
            if (rest.starts_with('/')) {
                rest.remove_prefix(1);
                term.value = take_number(rest, text);
                if (term.value == 0) {
                    throw std::invalid_argument(fmt::format("'{}' divides by zero", text));
                }
            }
        } else {
            const std::uint64_t number = take_number(rest, text);
            if (__builtin_mul_overflow(number, take_unit(rest), &term.value)) {
                throw std::invalid_argument(fmt::format("'{}' is beyond 2^64-1 bytes", text));
            }
        }
        result.terms_.push_back(term);
        if (rest.empty()) {
            return result;
        }
        if (rest.front() != '+' && rest.front() != '-') {
            throw std::invalid_argument(
                fmt::format("'{}' is not a size: '+', '-' or a unit (KiB, MiB, GiB, TiB) is expected at '{}'",
                            text, rest));
        }
        negative = rest.front() == '-';
        rest.remove_prefix(1);
    }
}

std::uint64_t SizeExpression::evaluate(std::uint64_t size) const {
    __extension__ using Wide = __int128;
    Wide total = 0;
    for (const Term& term : terms_) {
        const Wide value = term.of_size ? size / term.value : term.value;
        total += term.negative ? -value : value;
    }
    if (total < 0 || total > static_cast<Wide>(std::numeric_limits<std::uint64_t>::max())) {
        throw std::invalid_argument(
            fmt::format("'{}' is out of range for an export of {} bytes", text_, size));
    }
    return static_cast<std::uint64_t>(total);
}

} // namespace harness
