#include "protocol/fuzz/targets.hpp"

#include "protocol/describe.hpp"
#include "protocol/tests/all_messages.hpp"
#include "protocol/uri.hpp"

#include <string>
#include <string_view>

namespace nbd::fuzz {
namespace {

void require(bool holds, std::string_view what) {
    if (!holds) {
        throw Violation(std::string(what));
    }
}

/// Decoding is strict: what passes is what encoding would have written.
template <class M>
void decode_one(Bytes bytes) {
    const Decoded<M> decoded = decode<M>(bytes);
    if (decoded.has_error()) {
        require(!decoded.error().describe().empty(), "an error without words");
        return;
    }
    const Buffer again = encode(decoded.value());
    require(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()), M::title);
    require(describe(decoded.value()).find('\n') == std::string::npos, "a description of several lines");
}

template <class View, class Header, class Encode>
void decode_view(const Decoded<View>& view, Bytes bytes, Encode encode_view_to) {
    const Decoded<Header> header = decode_prefix<Header>(bytes);
    require(view.has_value() == header.has_value(), "a view and its header disagree");
    if (view.has_value()) {
        Buffer again;
        encode_view_to(again, view.value());
        require(std::equal(again.begin(), again.end(), bytes.begin()),
                "a view is not written as it was read");
    }
}

void decode_views(Bytes bytes) {
    for (const HeaderStyle style : {HeaderStyle::compact, HeaderStyle::extended}) {
        const auto encode_request = [=](Buffer& out, const Request& request) {
            encode_request_to(out, request, style);
        };
        const auto encode_chunk = [=](Buffer& out, const Chunk& chunk) {
            encode_chunk_to(out, chunk, style);
        };
        const Decoded<Request> request = decode_request(bytes, style);
        const Decoded<Chunk> chunk = decode_chunk(bytes, style);
        if (style == HeaderStyle::compact) {
            decode_view<Request, CompactRequest>(request, bytes, encode_request);
            decode_view<Chunk, StructuredChunk>(chunk, bytes, encode_chunk);
        } else {
            decode_view<Request, ExtendedRequest>(request, bytes, encode_request);
            decode_view<Chunk, ExtendedChunk>(chunk, bytes, encode_chunk);
        }
    }
}

} // namespace

void message(Bytes input) {
    if (input.empty()) {
        return;
    }
    const std::size_t selected = input[0];
    const Bytes bytes = input.subspan(1);
    if (selected == 0xff) {
        decode_views(bytes);
        return;
    }
    std::size_t position = 0;
    test::AllMessages::for_each([&]<class M>() {
        if (position++ == selected) {
            decode_one<M>(bytes);
        }
    });
}

void uri(Bytes input) {
    const std::string text(input.begin(), input.end());
    Uri parsed;
    try {
        parsed = parse_uri(text);
    } catch (const UriError&) {
        return;
    }
    const std::string formatted = format_uri(parsed);
    require(parse_uri(formatted) == parsed, "a URI does not say what it was made from");
    require(format_uri(parse_uri(formatted)) == formatted, "a formatted URI is formatted otherwise");
}

} // namespace nbd::fuzz
