#pragma once

// Encode and decode for any message that lists its fields. A message is a struct with
//
//     static constexpr std::string_view title = "option request";
//     template <class Self, class Visitor> static void fields(Self& self, Visitor& visitor);
//
// which names every field once, in wire order. A visitor is called with
//
//     magic(name, number)            a number that has to be exactly this one
//     field(name, member)            an integer or an enumeration
//     text<Length>(name, member)     a string behind its length
//     list<Count>(name, member)      elements behind their count
//     rest(name, member)             a string or elements up to the end of the message
//
// and, through nbd::named, for an integer whose values or bits have names, such as a word of flags.
//
// All integers are big-endian. Decoding never trusts a length:
// what a length field announces is compared with the bytes that are there before anything is allocated.

#include <boost/system/result.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace nbd {

/// Bytes that somebody else owns.
using Bytes = std::span<const std::uint8_t>;
/// Bytes that are owned.
using Buffer = std::vector<std::uint8_t>;

/// Why bytes are not the message that they should be.
struct Malformed {
    enum class Kind {
        truncated,   ///< the message goes on beyond the bytes that are there
        trailing,    ///< bytes are left after the last field
        wrong_magic, ///< a magic number is another one
    };
    Kind kind = Kind::truncated;
    std::string_view field;  ///< the field where it was noticed; a literal
    std::uint64_t value = 0; ///< the number that was found there, where there is one

    /// For people: "cookie: the message ends here".
    [[nodiscard]] std::string describe() const;

    bool operator==(const Malformed&) const = default;
};

/// A decoded message, or why there is none.
template <class T>
using Decoded = boost::system::result<T, Malformed>;

/// What `boost::system::result::value()` throws for a `Malformed`: std::invalid_argument with its
/// description.
[[noreturn]] void throw_exception_from_error(const Malformed& malformed, const boost::source_location& where);

template <class T>
concept WireInteger = std::unsigned_integral<T> || std::is_enum_v<T>;

/// Tells the names that an integer of a message has, for people.
template <std::unsigned_integral T>
using Names = std::string (*)(T);

/// Visits an integer whose values or bits have names: with `visitor.named(name, member, names)` if the
/// visitor has that, else as any other field.
template <class Visitor, class T>
constexpr void named(Visitor& visitor, std::string_view name, T& member,
                     Names<std::remove_const_t<T>> names) {
    if constexpr (requires { visitor.named(name, member, names); }) {
        visitor.named(name, member, names);
    } else {
        visitor.field(name, member);
    }
}

namespace detail {

template <WireInteger T>
constexpr auto to_wire(T value) {
    if constexpr (std::is_enum_v<T>) {
        return static_cast<std::underlying_type_t<T>>(value);
    } else {
        return value;
    }
}

template <std::unsigned_integral T>
constexpr T load_big(const std::uint8_t* from) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value = static_cast<T>(static_cast<T>(value << (sizeof(T) > 1 ? 8 : 0)) | from[i]);
    }
    return value;
}

template <std::unsigned_integral T>
constexpr void store_big(std::uint8_t* to, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        to[i] = static_cast<std::uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
    }
}

/// Writes the fields of a message behind the end of a buffer.
class EncodeVisitor {
  public:
    explicit EncodeVisitor(Buffer& out)
      : out_(out) {}

    template <WireInteger T>
    void field(std::string_view /*name*/, const T& value) {
        const auto wire = to_wire(value);
        store_big(grow(sizeof(wire)), wire);
    }

    template <std::unsigned_integral T>
    void magic(std::string_view name, T value) {
        field(name, value);
    }

    template <std::unsigned_integral Length>
    void text(std::string_view name, const std::string& value) {
        size<Length>(name, value.size());
        rest(name, value);
    }

    void rest(std::string_view /*name*/, const std::string& value) {
        std::copy(value.begin(), value.end(), grow(value.size()));
    }

    template <std::unsigned_integral Count, class T>
    void list(std::string_view name, const std::vector<T>& values) {
        size<Count>(name, values.size());
        rest(name, values);
    }

    template <class T>
    void rest(std::string_view name, const std::vector<T>& values) {
        for (const T& value : values) {
            if constexpr (WireInteger<T>) {
                field(name, value);
            } else {
                T::fields(value, *this);
            }
        }
    }

  private:
    /// Room for so many more bytes.
    std::uint8_t* grow(std::size_t bytes) {
        const std::size_t at = out_.size();
        out_.resize(at + bytes);
        return out_.data() + at;
    }

    template <std::unsigned_integral Size>
    void size(std::string_view name, std::size_t value) {
        if (value > std::numeric_limits<Size>::max()) {
            throw std::length_error(std::string(name));
        }
        field(name, static_cast<Size>(value));
    }

    Buffer& out_;
};

/// Reads the fields of a message; after the first error all further fields are left as they are.
class DecodeVisitor {
  public:
    explicit DecodeVisitor(Bytes in)
      : in_(in) {}

    template <WireInteger T>
    void field(std::string_view name, T& value) {
        using Wire = decltype(to_wire(value));
        if (!need(name, sizeof(Wire))) {
            return;
        }
        value = static_cast<T>(load_big<Wire>(in_.data()));
        in_ = in_.subspan(sizeof(Wire));
    }

    template <std::unsigned_integral T>
    void magic(std::string_view name, T expected) {
        T found = expected;
        field(name, found);
        if (!failed_ && found != expected) {
            fail({Malformed::Kind::wrong_magic, name, found});
        }
    }

    template <std::unsigned_integral Length>
    void text(std::string_view name, std::string& value) {
        Length length = 0;
        field(name, length);
        if (!need(name, length, length)) {
            return;
        }
        value.assign(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(length));
        in_ = in_.subspan(length);
    }

    void rest(std::string_view /*name*/, std::string& value) {
        if (!failed_) {
            value.assign(in_.begin(), in_.end());
            in_ = {};
        }
    }

    template <std::unsigned_integral Count, class T>
    void list(std::string_view name, std::vector<T>& values) {
        Count count = 0;
        field(name, count);
        values.clear();
        // Every element takes at least one byte, so the loop ends with the input whatever the count says.
        for (Count i = 0; i < count && !failed_; ++i) {
            element(name, values);
        }
    }

    template <class T>
    void rest(std::string_view name, std::vector<T>& values) {
        values.clear();
        while (!failed_ && !in_.empty()) {
            element(name, values);
        }
    }

    [[nodiscard]] bool failed() const { return failed_; }
    [[nodiscard]] const Malformed& error() const { return error_; }
    [[nodiscard]] std::size_t left() const { return in_.size(); }

  private:
    template <class T>
    void element(std::string_view name, std::vector<T>& values) {
        T value{};
        if constexpr (WireInteger<T>) {
            field(name, value);
        } else {
            T::fields(value, *this);
        }
        if (!failed_) {
            values.push_back(std::move(value));
        }
    }

    bool need(std::string_view name, std::uint64_t bytes, std::uint64_t value = 0) {
        if (!failed_ && in_.size() < bytes) {
            fail({Malformed::Kind::truncated, name, value});
        }
        return !failed_;
    }

    void fail(const Malformed& why) {
        failed_ = true;
        error_ = why;
    }

    Bytes in_;
    bool failed_ = false;
    Malformed error_;
};

/// Adds up the size of a message whose fields are all of fixed size.
class SizeVisitor {
  public:
    template <WireInteger T>
    constexpr void field(std::string_view /*name*/, const T& /*value*/) {
        size += sizeof(T);
    }
    template <std::unsigned_integral T>
    constexpr void magic(std::string_view /*name*/, T /*value*/) {
        size += sizeof(T);
    }
    std::size_t size = 0;
};

template <class M>
constexpr std::size_t compute_size() {
    M message{};
    SizeVisitor visitor;
    M::fields(message, visitor);
    return visitor.size;
}

} // namespace detail

/// The size on the wire of a message that consists of fixed fields only, such as a header; in bytes.
template <class M>
inline constexpr std::size_t wire_size = detail::compute_size<M>();

/// Appends the message to `out`. Throws std::length_error with the name of the field if a string or a list is
/// too long for its length field; `out` then ends with a part of the message.
template <class M>
void encode_to(Buffer& out, const M& message) {
    detail::EncodeVisitor visitor(out);
    M::fields(message, visitor);
}

/// The bytes of the message. Throws like `encode_to`.
template <class M>
[[nodiscard]] Buffer encode(const M& message) {
    Buffer out;
    encode_to(out, message);
    return out;
}

/// Writes a fixed-size message to `to`, which has room for `wire_size<M>` bytes.
template <class M>
class FixedEncoder {
  public:
    explicit FixedEncoder(std::uint8_t* to)
      : to_(to) {}
    template <WireInteger T>
    void field(std::string_view /*name*/, const T& value) {
        const auto wire = detail::to_wire(value);
        detail::store_big(to_, wire);
        to_ += sizeof(wire);
    }
    template <std::unsigned_integral T>
    void magic(std::string_view name, T value) {
        field(name, value);
    }

  private:
    std::uint8_t* to_;
};

/// Writes a header of fixed size without allocating; `to` has room for `wire_size<M>` bytes.
template <class M>
void encode_fixed(std::uint8_t* to, const M& message) {
    static_assert(wire_size<M> > 0);
    FixedEncoder<M> encoder(to);
    M::fields(message, encoder);
}

/// The message that `bytes` hold, all of them: bytes left over are an error as well.
template <class M>
[[nodiscard]] Decoded<M> decode(Bytes bytes) {
    M message{};
    detail::DecodeVisitor visitor(bytes);
    M::fields(message, visitor);
    if (visitor.failed()) {
        return visitor.error();
    }
    if (visitor.left() != 0) {
        return Malformed{Malformed::Kind::trailing, "end", visitor.left()};
    }
    return message;
}

/// The message at the start of `bytes`, of which there may be more. For headers of fixed size.
template <class M>
[[nodiscard]] Decoded<M> decode_prefix(Bytes bytes) {
    static_assert(wire_size<M> > 0);
    return decode<M>(bytes.first(bytes.size() < wire_size<M> ? bytes.size() : wire_size<M>));
}

} // namespace nbd
