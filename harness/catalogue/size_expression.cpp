#include "harness/catalogue/size_expression.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace harness {
namespace {

std::invalid_argument too_large(std::string_view whole) {
    return std::invalid_argument(fmt::format("'{}' is beyond 2^64-1 bytes", whole));
}

/// Takes a number off the front of `rest`. `expected` is what may stand there besides.
std::uint64_t take_number(std::string_view& rest, std::string_view whole, const std::string& expected) {
    int base = 10;
    if (rest.starts_with("0x")) {
        base = 16;
        rest.remove_prefix(2);
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value, base);
    if (error == std::errc::result_out_of_range) {
        throw too_large(whole);
    }
    if (error != std::errc{}) {
        throw std::invalid_argument(
            fmt::format("'{}' is not a size: a number or {} is expected before '{}'", whole, expected, rest));
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

/// Takes `^N` off the front of `rest`, if it is there, and raises `base` to it.
std::uint64_t take_power(std::string_view& rest, std::uint64_t base, std::string_view whole) {
    if (!rest.starts_with('^')) {
        return base;
    }
    rest.remove_prefix(1);
    const std::uint64_t exponent = take_number(rest, whole, "nothing else");
    std::uint64_t value = 1;
    for (std::uint64_t i = 0; i < exponent; ++i) {
        if (__builtin_mul_overflow(value, base, &value)) {
            throw too_large(whole);
        }
        if (base <= 1) {
            break;
        }
    }
    return value;
}

/// The variable at the front of `rest`, the longest one that fits; empty if there is none.
std::string_view take_variable(std::string_view& rest, std::span<const std::string_view> variables) {
    std::string_view found;
    for (const std::string_view variable : variables) {
        if (rest.starts_with(variable) && variable.size() > found.size()) {
            found = variable;
        }
    }
    rest.remove_prefix(found.size());
    return found;
}

} // namespace

SizeExpression SizeExpression::parse(std::string_view text, std::span<const std::string_view> variables) {
    SizeExpression result;
    result.text_ = text;
    const std::string expected = fmt::format("'{}'", fmt::join(variables, "', '"));
    std::string_view rest = text;
    bool negative = false;
    for (;;) {
        Term term{negative, std::string(take_variable(rest, variables)), 1, false};
        if (term.variable.empty()) {
            const std::uint64_t number = take_power(rest, take_number(rest, text, expected), text);
            if (__builtin_mul_overflow(number, take_unit(rest), &term.value)) {
                throw too_large(text);
            }
        } else if (rest.starts_with('/') || rest.starts_with('*')) {
            term.multiplied = rest.front() == '*';
            rest.remove_prefix(1);
            term.value = take_number(rest, text, "nothing else");
            if (term.value == 0 && !term.multiplied) {
                throw std::invalid_argument(fmt::format("'{}' divides by zero", text));
            }
            if (term.value > std::numeric_limits<std::uint32_t>::max()) {
                throw too_large(text);
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

std::uint64_t SizeExpression::sum(const Lookup& lookup, const std::string& range_message) const {
    __extension__ using Wide = __int128;
    Wide total = 0;
    for (const Term& term : terms_) {
        Wide value = term.value;
        if (!term.variable.empty()) {
            const Wide variable = lookup(term.variable);
            value = term.multiplied ? variable * value : variable / value;
        }
        total += term.negative ? -value : value;
    }
    if (total < 0 || total > static_cast<Wide>(std::numeric_limits<std::uint64_t>::max())) {
        throw std::invalid_argument(range_message);
    }
    return static_cast<std::uint64_t>(total);
}

std::uint64_t SizeExpression::evaluate(const Lookup& lookup) const {
    return sum(lookup, fmt::format("'{}' is out of range", text_));
}

std::uint64_t SizeExpression::evaluate(std::uint64_t size) const {
    return sum([size](const std::string&) { return size; },
               fmt::format("'{}' is out of range for an export of {} bytes", text_, size));
}

} // namespace harness
