#pragma once

// A request in flight: which replies may come to it, and what they add up to.

#include "reference-client/coverage.hpp"
#include "reference-client/faults.hpp"
#include "reference-client/operation.hpp"

#include <cstdint>
#include <set>
#include <span>
#include <vector>

namespace refclient {

/// What was agreed on in the handshake, as far as replies depend on it.
struct Agreement {
    nbd::HeaderStyle headers = nbd::HeaderStyle::compact;
    bool structured = false;                 ///< structured replies or extended headers
    std::vector<std::uint32_t> contexts;     ///< ids of the selected metadata contexts
    std::optional<nbd::InfoResize> resize{}; ///< NBD_INFO_RESIZE, if it was sent
    Faults faults{};
    std::uint64_t first_cookie = 1; ///< of the requests; not 0
};

/// The largest payload of a chunk that has to be stored, in bytes: a block status. The specification wants
/// servers to keep below 8 MiB with compact headers.
inline constexpr std::uint64_t max_stored_payload = nbd::default_max_payload;

/// Judges and collects the replies to one request (Request types, Structured reply types). Every function
/// throws Failure (protocol) for what the server must not send.
class Pending {
  public:
    /// `size` is what the client holds to be the export's size when it sends the request, in bytes.
    Pending(const Agreement& agreement, Cookie cookie, Operation operation, std::uint64_t size = 0);

    [[nodiscard]] const Operation& operation() const { return completion_.operation; }

    /// A simple reply. Returns where the data behind it go; empty if there are none.
    [[nodiscard]] std::span<std::uint8_t> simple_reply(nbd::Error error);

    /// How the payload of a chunk is to be received.
    struct Plan {
        std::size_t stored = 0; ///< bytes to be stored and given to `payload`
        bool data = false;      ///< then data follow, which `data_target` places
    };

    /// The header of a chunk; judges its length, so that nothing is stored that is too long.
    [[nodiscard]] Plan chunk(const nbd::Chunk& chunk);

    /// The part of the payload that was to be stored. Returns where the data behind it go, if there are any.
    [[nodiscard]] std::span<std::uint8_t> payload(nbd::Bytes bytes);

    /// The size that the last chunk told, if it was one that does.
    [[nodiscard]] const std::optional<nbd::ResizeChunk>& told() const { return completion_.resize; }
    /// A subscription that the server has begun to serve.
    [[nodiscard]] bool subscribed() const { return sizes_ > 0 && is_subscription(); }
    /// Chunks with a size that came so far.
    [[nodiscard]] std::uint64_t sizes() const { return sizes_; }
    /// A write that went past what the client held to be the end.
    [[nodiscard]] bool past_end() const;
    /// What answers the request for a subscription: its first chunk.
    [[nodiscard]] Completion opened() const { return completion_; }

    /// All of the reply is there: the result, if it makes sense as a whole.
    [[nodiscard]] Completion finish();

  private:
    void check_content(std::uint64_t offset, std::uint64_t length);
    [[nodiscard]] std::span<std::uint8_t> take_data(nbd::Bytes bytes);
    void take_hole(nbd::Bytes bytes);
    void take_status(nbd::Bytes bytes);
    void take_status_ext(nbd::Bytes bytes);
    void take_error(nbd::Bytes bytes);
    void check_resize(const nbd::Chunk& chunk) const;
    void take_resize(nbd::Bytes bytes);
    void finish_resize() const;
    [[nodiscard]] bool is_subscription() const;
    void check_status(const ContextStatus& status);
    void add_error(nbd::Error error, std::string message);
    [[nodiscard]] std::vector<std::uint32_t> expected_contexts() const;

    const Agreement* agreement_;
    Completion completion_;
    nbd::Chunk chunk_;
    Coverage coverage_;
    std::set<std::uint64_t> error_offsets_;
    unsigned content_chunks_ = 0;
    std::uint64_t size_before_;
    std::uint64_t sizes_ = 0;
};

} // namespace refclient
