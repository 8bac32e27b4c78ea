#pragma once

// What a caller wants done in the transmission phase, and what came of it.

#include "protocol/resize.hpp"
#include "protocol/transmission.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace refclient {

/// Identifies a request on its connection, from its submission until its completion was taken.
using Cookie = std::uint64_t;

/// A request and the memory that belongs to it, which has to stay valid until its completion.
struct Operation {
    nbd::Command type = nbd::Command::read;
    std::uint16_t flags = 0;             ///< `nbd::command_flag`; PAYLOAD_LEN is added where it is needed
    std::uint64_t offset = 0;            ///< in bytes; 0 for a flush
    std::uint64_t length = 0;            ///< in bytes; 0 for a flush
    std::span<std::uint8_t> into;        ///< for a read: `length` bytes that take the data
    nbd::Bytes data;                     ///< for a write: `length` bytes
    std::vector<std::uint32_t> contexts; ///< for block status: limit the reply to these ids; empty: to none
    bool past_end = false; ///< it is meant to go past the end, as a write that extends the export

    [[nodiscard]] static Operation read(std::uint64_t offset, std::span<std::uint8_t> into,
                                        std::uint16_t flags = 0);
    [[nodiscard]] static Operation write(std::uint64_t offset, nbd::Bytes data, std::uint16_t flags = 0);
    /// Trim, cache, write zeroes, block status.
    [[nodiscard]] static Operation range(nbd::Command type, std::uint64_t offset, std::uint64_t length,
                                         std::uint16_t flags = 0);
    [[nodiscard]] static Operation flush(std::uint16_t flags = 0);

    // The forms of NBD_CMD_RESIZE. Experimental: RESIZE.

    /// Asks for another size of the export, in bytes (RZ-PLAIN-1).
    [[nodiscard]] static Operation resize(std::uint64_t size, std::uint16_t flags = 0);
    /// Asks for the size (RZ-QUERY-1).
    [[nodiscard]] static Operation query_size(std::uint16_t flags = 0);
    /// Asks to be told of changes, so many times at most; 0 for no limit (RZ-NOTE-1).
    [[nodiscard]] static Operation notify(std::uint64_t credit, std::uint16_t flags = 0);
    /// Ends what `notify` began (RZ-NOTE-8).
    [[nodiscard]] static Operation cancel(Cookie subscription, std::uint16_t flags = 0);
};

/// What a NBD_CMD_RESIZE is meant to do.
enum class ResizeForm { plain, query, notify, cancel };

/// The form of a NBD_CMD_RESIZE, by the first of the flags; a request must not have two of them.
[[nodiscard]] ResizeForm resize_form(const Operation& operation);

/// True for the requests that can extend the export.
[[nodiscard]] bool writes_data(const Operation& operation);

/// The end of the range of an operation, in bytes; 2^64-1 if it lies beyond that.
[[nodiscard]] std::uint64_t end_of(const Operation& operation);

/// For messages: "NBD_CMD_READ of 512 bytes at 0".
[[nodiscard]] std::string to_text(const Operation& operation);

/// A run of bytes with one status. Statuses have 64 bits with extended headers, else 32.
struct Extent {
    std::uint64_t length = 0; ///< in bytes, not 0
    std::uint64_t status = 0; ///< for base:allocation `nbd::allocation_flag`

    bool operator==(const Extent&) const = default;
};

/// What a metadata context says, in consecutive extents from the offset of the request. They may end before
/// the request's end, and the last one beyond it.
struct ContextStatus {
    std::uint32_t context = 0; ///< its id
    std::vector<Extent> extents;

    bool operator==(const ContextStatus&) const = default;
};

/// How a request ended.
struct Completion {
    Cookie cookie = 0;
    Operation operation;
    nbd::Error error = nbd::Error::none;       ///< of the server; never an unknown value
    std::string message;                       ///< the server's words with the error, if any
    std::optional<std::uint64_t> error_offset; ///< where in the export it happened, if the server said so
    std::vector<ContextStatus> status;         ///< of a block status
    std::optional<nbd::ResizeChunk> resize;    ///< the size, if the reply told it

    [[nodiscard]] bool ok() const { return error == nbd::Error::none; }
    /// Throws Failure (server) unless it is ok.
    void check() const;
};

} // namespace refclient
