#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

/// A number of bytes as scenarios write it: terms joined by + and -, each a number with an optional unit
/// (KiB, MiB, GiB, TiB), a number in hex (0x1f), a power of two (2^63), or a variable such as `size`, the
/// size of the scenario's export, which may be divided or multiplied: "size/2-4KiB+1".
class SizeExpression {
  public:
    /// What `size` stands for alone.
    static constexpr std::string_view only_size[] = {"size"};

    /// `variables` are the names that may occur. Throws std::invalid_argument with a message for people.
    static SizeExpression parse(std::string_view text,
                                std::span<const std::string_view> variables = only_size);

    SizeExpression() = default;
    /// A fixed number of bytes.
    explicit SizeExpression(std::uint64_t bytes)
      : terms_{{false, {}, bytes, false}} {}

    /// The value of a variable; may throw std::invalid_argument where it has none.
    using Lookup = std::function<std::uint64_t(const std::string& variable)>;

    /// The value. Throws std::invalid_argument if it is below 0 or above 2^64-1.
    [[nodiscard]] std::uint64_t evaluate(const Lookup& lookup) const;

    /// The value for an export of `size` bytes. Throws std::invalid_argument if it is below 0 or above
    /// 2^64-1.
    [[nodiscard]] std::uint64_t evaluate(std::uint64_t size) const;

    /// As it was written.
    [[nodiscard]] const std::string& text() const { return text_; }

  private:
    struct Term {
        bool negative;
        std::string variable; ///< empty for a number
        std::uint64_t value;  ///< the number, or what the variable is divided or multiplied by
        bool multiplied;
    };
    [[nodiscard]] std::uint64_t sum(const Lookup& lookup, const std::string& range_message) const;

    std::vector<Term> terms_;
    std::string text_;
};

} // namespace harness
