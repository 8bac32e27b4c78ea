// What has to hold for any content of any message and for any URI.

#include "protocol/describe.hpp"
#include "protocol/tests/all_messages.hpp"
#include "protocol/uri.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <rapidcheck/gtest.h>

namespace nbd::test {
namespace {

/// Fills a message with anything, following its list of fields.
class GenerateVisitor {
  public:
    template <WireInteger T>
    void field(std::string_view /*name*/, T& value) {
        using Wire = decltype(nbd::detail::to_wire(value));
        value = static_cast<T>(*rc::gen::arbitrary<Wire>());
    }
    template <std::unsigned_integral T>
    void magic(std::string_view /*name*/, T /*value*/) {}
    template <std::unsigned_integral Length>
    void text(std::string_view name, std::string& value) {
        rest(name, value);
    }
    void rest(std::string_view /*name*/, std::string& value) { value = *rc::gen::arbitrary<std::string>(); }
    template <std::unsigned_integral Count, class T>
    void list(std::string_view name, std::vector<T>& values) {
        rest(name, values);
    }
    template <class T>
    void rest(std::string_view name, std::vector<T>& values) {
        values.resize(*rc::gen::inRange<std::size_t>(0, 20));
        for (T& value : values) {
            if constexpr (WireInteger<T>) {
                field(name, value);
            } else {
                T::fields(value, *this);
            }
        }
    }
};

template <class M>
M any() {
    M message;
    GenerateVisitor visitor;
    M::fields(message, visitor);
    return message;
}

RC_GTEST_PROP(Property, DecodingUndoesEncoding, ()) {
    AllMessages::for_each([]<class M>() {
        const M message = any<M>();
        const Decoded<M> decoded = decode<M>(encode(message));
        RC_LOG() << M::title;
        RC_ASSERT(decoded.has_value());
        RC_ASSERT(decoded.value() == message);
    });
}

RC_GTEST_PROP(Property, WhatIsAcceptedIsWrittenTheSameWay, ()) {
    AllMessages::for_each([]<class M>() {
        // A correct message with one byte changed: nearer to what passes than random bytes are.
        Buffer bytes = encode(any<M>());
        if (!bytes.empty()) {
            bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<std::uint8_t>();
        }
        const Decoded<M> decoded = decode<M>(bytes);
        RC_LOG() << M::title;
        if (decoded.has_value()) {
            RC_ASSERT(encode(decoded.value()) == bytes);
        }
    });
}

RC_GTEST_PROP(Property, DescriptionsAreOnePrintableLine, ()) {
    AllMessages::for_each([]<class M>() {
        const std::string line = describe(any<M>());
        RC_LOG() << line;
        RC_ASSERT(line.starts_with(M::title));
        RC_ASSERT(std::ranges::all_of(line, [](char c) { return c >= ' ' && c < '\x7f'; }));
    });
}

using FixedMessages =
    Messages<GreetingStart, NewstyleGreeting, OldstyleGreeting, ClientFlags, OptionRequest, OptionReply,
             ExportNameReply, InfoReplyStart, InfoExport, InfoBlockSize, InfoResize, ResizeChunk,
             CompactRequest, ExtendedRequest, SimpleReply, StructuredChunk, ExtendedChunk, OffsetData,
             OffsetHole, StatusDescriptor, StatusDescriptorExt>;

RC_GTEST_PROP(Property, BothEncodersAgree, ()) {
    FixedMessages::for_each([]<class M>() {
        const M message = any<M>();
        Buffer fixed(wire_size<M>);
        encode_fixed(fixed.data(), message);
        RC_LOG() << M::title;
        RC_ASSERT(fixed == encode(message));
    });
}

/// A string without NUL.
std::string text() {
    return *rc::gen::container<std::string>(rc::gen::nonZero<char>());
}

std::string not_empty(const std::string& value) {
    return value.empty() ? "x" : value;
}

Uri any_uri() {
    Uri uri;
    uri.tls = *rc::gen::arbitrary<bool>();
    uri.user = text();
    uri.export_name = text();
    if (*rc::gen::arbitrary<bool>()) {
        uri.host =
            *rc::gen::element<std::string>("localhost", "127.0.0.1", "::1", "2001:db8::1:2", "a b", "h\xff");
        uri.port = *rc::gen::nonZero<std::uint16_t>();
    } else {
        uri.transport = Uri::Transport::unix_socket;
        uri.host.clear();
        uri.socket = (*rc::gen::arbitrary<bool>() ? std::string(1, '\0') : "") + not_empty(text());
    }
    for (auto left = *rc::gen::inRange(0, 4); left > 0; --left) {
        uri.parameters.push_back({"x-" + text(), text()});
    }
    return uri;
}

RC_GTEST_PROP(UriProperty, ParsingUndoesFormatting, ()) {
    const Uri uri = any_uri();
    RC_ASSERT(parse_uri(format_uri(uri)) == uri);
}

RC_GTEST_PROP(UriProperty, AnythingIsParsedOrRefused, ()) {
    const std::string prefix = *rc::gen::element<std::string>("", "nbd:", "nbds://", "nbd://h/", "nbd://[",
                                                              "nbd+unix:///?socket=", "nbd+unix:");
    const std::string input = prefix + *rc::gen::container<std::string>(
                                           rc::gen::element('/', ':', '%', '0', '4', '1', '@', '[', ']', '?',
                                                            '&', '=', '#', 'a', '.', '\0', '\xff'));
    std::optional<Uri> uri;
    try {
        uri = parse_uri(input);
    } catch (const UriError& error) {
        RC_ASSERT(!error.where().empty());
        return;
    }
    RC_ASSERT(parse_uri(format_uri(*uri)) == *uri);
}

} // namespace
} // namespace nbd::test
