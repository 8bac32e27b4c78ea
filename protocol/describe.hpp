#pragma once

// Messages in words, for logs and transcripts: one line that gives what kind of message it is and its fields
// with their names. It follows the same list of fields as encoding and decoding do.

#include "protocol/codec.hpp"
#include "protocol/transmission.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace nbd {

/// Bytes in double quotes; what is not printable ASCII is written as \xNN. At most 256 of them are shown.
[[nodiscard]] std::string quoted(std::string_view bytes);

namespace detail {

/// Puts the fields of a message into words. Magic numbers are left out: they are always the same.
class DescribeVisitor {
  public:
    template <WireInteger T>
    void field(std::string_view name, const T& value) {
        if constexpr (std::is_same_v<T, Error>) {
            add(name, nbd::name(value));
        } else if constexpr (std::is_enum_v<T>) {
            kind(nbd::name(value)); // says by itself what it is
        } else {
            number(name, value);
        }
    }

    template <std::unsigned_integral T>
    void magic(std::string_view /*name*/, T /*value*/) {}

    template <std::unsigned_integral T>
    void named(std::string_view name, const T& value, Names<T> names) {
        add(name, names(value));
    }

    template <std::unsigned_integral Length>
    void text(std::string_view name, const std::string& value) {
        rest(name, value);
    }

    void rest(std::string_view name, const std::string& value) { add(name, nbd::quoted(value)); }

    template <std::unsigned_integral Count, class T>
    void list(std::string_view name, const std::vector<T>& values) {
        rest(name, values);
    }

    template <class T>
    void rest(std::string_view name, const std::vector<T>& values) {
        constexpr std::size_t shown = 16;
        std::string items;
        for (const T& value : std::span(values).first(values.size() < shown ? values.size() : shown)) {
            DescribeVisitor item;
            if constexpr (WireInteger<T>) {
                item.element(value);
            } else {
                T::fields(value, item);
            }
            items += items.empty() ? "" : ", ";
            items += item.line("");
        }
        add_list(name, items, values.size() > shown ? values.size() - shown : 0);
    }

    /// What has been collected, behind `title`: first the kind, then the other fields.
    [[nodiscard]] std::string line(std::string_view title) const;

  private:
    template <WireInteger T>
    void element(const T& value) {
        if constexpr (std::is_enum_v<T>) {
            kind(nbd::name(value));
        } else {
            kind(std::to_string(value));
        }
    }

    void kind(std::string_view text);
    void number(std::string_view name, std::uint64_t value);
    void add(std::string_view name, std::string_view value);
    void add_list(std::string_view name, std::string_view items, std::size_t more);

    std::string kinds_;
    std::string fields_;
};

} // namespace detail

/// The message on one line: its title, the kind where it has one, and `name=value` for every other field,
/// e.g. "option request NBD_OPT_GO length=13" or "simple reply error=NBD_EINVAL cookie=7".
template <class M>
[[nodiscard]] std::string describe(const M& message) {
    detail::DescribeVisitor visitor;
    M::fields(message, visitor);
    return visitor.line(M::title);
}

/// Likewise, whichever header the request came with.
[[nodiscard]] std::string describe(const Request& request);

/// Likewise, whichever header the chunk came with.
[[nodiscard]] std::string describe(const Chunk& chunk);

} // namespace nbd
