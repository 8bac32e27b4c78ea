#pragma once

#include "protocol/resize.hpp"
#include "protocol/transmission.hpp"
#include "reference-server/backend/operation.hpp"
#include "reference-server/resize/faults.hpp"
#include "reference-server/session/agreement.hpp"
#include "reference-server/session/output.hpp"
#include "reference-server/session/trace.hpp"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace refserver {

/// The one place where replies of the transmission phase are built, in whichever style was agreed.
class Replies {
  public:
    Replies(ReplyStyle style, OutputQueue& output, const Trace& trace, const FaultSet& faults)
      : style_(style)
      , faults_(faults)
      , output_(output)
      , trace_(trace) {}

    /// Success, without data.
    void success(const nbd::Request& request);
    /// Failure; the message is shortened to what the protocol allows.
    void error(const nbd::Request& request, nbd::Error error, std::string_view message);
    /// The data of (a part of) a read, `operation.pieces` from `operation.offset` on. With `last`, the reply
    /// is complete; only structured and extended replies may come in several parts.
    void data(const nbd::Request& request, Operation& operation, bool last);
    /// The extents of one metadata context; `last` for the last context.
    void status(const nbd::Request& request, std::uint32_t context, const std::vector<Extent>& extents,
                bool last);

    /// A size, as a chunk of its own; returns where its payload lies as long as it is not sent.
    std::uint8_t* size(const nbd::Request& request, const nbd::ResizeChunk& chunk, bool done);
    /// Writes the payload of a chunk that is not sent yet.
    void replace_size(std::uint8_t* payload, const nbd::ResizeChunk& chunk);

  private:
    void simple_header(const nbd::Request& request, nbd::Error error);
    void chunk_header(const nbd::Request& request, bool done, nbd::ChunkType type, std::uint64_t length);
    void data_chunk(const nbd::Request& request, bool done, std::uint64_t offset,
                    std::span<const Piece> pieces);
    void hole_chunk(const nbd::Request& request, bool done, std::uint64_t offset, std::uint64_t length);
    void append(std::span<const Piece> pieces);

    template <class Payload>
    void small_payload(const Payload& payload);

    [[nodiscard]] bool has(Fault fault) const { return faults_.test(static_cast<std::size_t>(fault)); }

    const ReplyStyle style_;
    const FaultSet faults_;
    OutputQueue& output_;
    const Trace& trace_;
};

} // namespace refserver
