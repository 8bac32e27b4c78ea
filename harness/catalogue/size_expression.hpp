#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

/// A number of bytes as scenarios write it: terms joined by + and -, each a number with an optional unit
/// (KiB, MiB, GiB, TiB) or `size`, the size of the scenario's export, which may be divided: "size/2-4KiB+1".
class SizeExpression {
  public:
    /// Throws std::invalid_argument with a message for people.
    static SizeExpression parse(std::string_view text);

    SizeExpression() = default;
    /// A fixed number of bytes.
    explicit SizeExpression(std::uint64_t bytes)
      : terms_{{false, false, bytes}} {}

    /// The value for an export of `size` bytes. Throws std::invalid_argument if it is below 0 or above
    /// 2^64-1.
    [[nodiscard]] std::uint64_t evaluate(std::uint64_t size) const;

    /// As it was written.
    [[nodiscard]] const std::string& text() const { return text_; }

  private:
    struct Term {
        bool negative;
        bool of_size; ///< `size / value` rather than `value`
        std::uint64_t value;
    };
    std::vector<Term> terms_;
    std::string text_;
};

} // namespace harness
