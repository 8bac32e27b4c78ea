#pragma once

// Every message of the protocol, for what has to hold for all of them.

#include "protocol/handshake.hpp"
#include "protocol/resize.hpp"
#include "protocol/transmission.hpp"

#include <cstddef>
#include <utility>

namespace nbd::test {

template <class... Message>
struct Messages {
    static constexpr std::size_t count = sizeof...(Message);

    /// Calls `function.template operator()<Message>()` for every message, in order.
    template <class Function>
    static void for_each(Function&& function) {
        (function.template operator()<Message>(), ...);
    }
};

/// New messages go to the end: the fuzzing corpus refers to them by position.
using AllMessages =
    Messages<GreetingStart, NewstyleGreeting, OldstyleGreeting, ClientFlags, OptionRequest, OptionReply,
             ExportNameReply, ExportNameRequest, InfoRequest, MetaContextQuery, MetaContextRequest,
             OptionErrorReply, ServerReply, InfoReplyStart, InfoExport, InfoText, InfoBlockSize, InfoResize,
             MetaContextReply, CompactRequest, ExtendedRequest, SimpleReply, StructuredChunk, ExtendedChunk,
             OffsetData, OffsetHole, StatusDescriptor, BlockStatus, StatusDescriptorExt, BlockStatusExt,
             BlockStatusQuery, ErrorChunk, ErrorOffsetChunk, AnyErrorChunk, ResizeChunk>;

} // namespace nbd::test
