#include "drivers/libnbd/connection.hpp"

#include <fmt/format.h>
#include <libnbd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace driver {

namespace {

using Clock = std::chrono::steady_clock;

std::uint32_t command_flags(const Flags& flags) {
    struct Bit {
        bool Flags::*member;
        std::uint32_t value;
    };
    constexpr std::array<Bit, 5> bits{{{&Flags::fua, LIBNBD_CMD_FLAG_FUA},
                                       {&Flags::df, LIBNBD_CMD_FLAG_DF},
                                       {&Flags::no_hole, LIBNBD_CMD_FLAG_NO_HOLE},
                                       {&Flags::fast, LIBNBD_CMD_FLAG_FAST_ZERO},
                                       {&Flags::req_one, LIBNBD_CMD_FLAG_REQ_ONE}}};
    std::uint32_t value = 0;
    for (const Bit& bit : bits)
        if (flags.*bit.member)
            value |= bit.value;
    return value;
}

/// libnbd puts the data into the buffer by itself.
int accept_chunk(void*, const void*, std::size_t, std::uint64_t, unsigned, int*) {
    return 0;
}

std::int64_t issue(nbd_handle* handle, const Transfer& step, std::uint64_t offset, std::byte* data) {
    const std::uint32_t flags = command_flags(step.flags);
    switch (step.command) {
    case Command::read:
        // Of libnbd's two functions for reading only this one takes the DF flag.
        if (step.flags.df)
            return nbd_aio_pread_structured(handle, data, step.length, offset,
                                            {accept_chunk, nullptr, nullptr}, NBD_NULL_COMPLETION, flags);
        return nbd_aio_pread(handle, data, step.length, offset, NBD_NULL_COMPLETION, flags);
    case Command::write:
        return nbd_aio_pwrite(handle, data, step.length, offset, NBD_NULL_COMPLETION, flags);
    case Command::zero:
        return nbd_aio_zero(handle, step.length, offset, NBD_NULL_COMPLETION, flags);
    case Command::trim:
        return nbd_aio_trim(handle, step.length, offset, NBD_NULL_COMPLETION, flags);
    case Command::cache:
        break;
    }
    return nbd_aio_cache(handle, step.length, offset, NBD_NULL_COMPLETION, flags);
}

void add_extent(Requests& requests, std::uint64_t& offset, std::uint64_t length, std::uint64_t state) {
    requests.extents.push_back(
        {offset, length, (state & LIBNBD_STATE_HOLE) != 0, (state & LIBNBD_STATE_ZERO) != 0});
    offset += length;
}

#ifdef LIBNBD_HAVE_NBD_AIO_BLOCK_STATUS_64

int remember_extents(void* user_data, const char* context, std::uint64_t offset, nbd_extent* entries,
                     std::size_t count, int*) {
    if (std::strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0)
        for (std::size_t i = 0; i < count; ++i)
            add_extent(*static_cast<Requests*>(user_data), offset, entries[i].length, entries[i].flags);
    return 0;
}

std::int64_t issue_block_status(nbd_handle* handle, const Map& step, Requests* requests) {
    return nbd_aio_block_status_64(handle, step.length, step.offset, {remember_extents, requests, nullptr},
                                   NBD_NULL_COMPLETION, command_flags(step.flags));
}

#else

/// Older libnbd: pairs of length and state.
int remember_extents(void* user_data, const char* context, std::uint64_t offset, std::uint32_t* entries,
                     std::size_t count, int*) {
    if (std::strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0)
        for (std::size_t i = 0; i + 1 < count; i += 2)
            add_extent(*static_cast<Requests*>(user_data), offset, entries[i], entries[i + 1]);
    return 0;
}

std::int64_t issue_block_status(nbd_handle* handle, const Map& step, Requests* requests) {
    return nbd_aio_block_status(handle, step.length, step.offset, {remember_extents, requests, nullptr},
                                NBD_NULL_COMPLETION, command_flags(step.flags));
}

#endif

void throw_error_of(const Requests& requests) {
    if (requests.errors.front())
        throw Failure(*requests.errors.front());
}

} // namespace

Connection::Connection(const LibnbdOptions& options, const std::string& uri)
  : options_(options)
  , uri_(uri) {
    handles_.push_back(std::make_unique<Handle>(options, uri, Until::transmission));
    info_ = handles_.front()->info();
    held_ = info_.size.value_or(0);
    if (handles_.front()->promises_multi_conn())
        while (handles_.size() < options.connections)
            handles_.push_back(std::make_unique<Handle>(options, uri, Until::transmission));
    for (const auto& handle : handles_)
        pointers_.push_back(handle.get());
}

Handle& Connection::next() {
    return *handles_[turn_++ % handles_.size()];
}

void Connection::submit(const Transfer& step, const std::shared_ptr<Requests>& requests) {
    std::byte nothing{}; // libnbd wants an address even where it puts no byte
    const bool moves_bytes = step.command == Command::read || step.command == Command::write;
    for (std::uint64_t i = 0; i < step.count; ++i) {
        std::byte* data = moves_bytes && step.length > 0 ? &requests->data[i * step.length] : &nothing;
        const std::uint64_t offset = step.offset + i * step.stride;
        next().submit(requests, i, [&](nbd_handle* handle) { return issue(handle, step, offset, data); });
    }
}

void Connection::wait_for(const Requests& requests) {
    while (requests.unanswered > 0) {
        if (serve(handles(), -1, options_.patience) != Wake::silence)
            continue;
        for (Handle* handle : handles())
            if (handle->awaits_reply_of(requests))
                handle->give_up(ETIMEDOUT,
                                fmt::format("the server sent nothing for {} ms; connection given up",
                                            options_.patience.count()));
    }
}

void Connection::flush(const Flags& flags) {
    const auto requests = std::make_shared<Requests>(1);
    next().submit(requests, 0, [&](nbd_handle* handle) {
        return nbd_aio_flush(handle, NBD_NULL_COMPLETION, command_flags(flags));
    });
    wait_for(*requests);
    throw_error_of(*requests);
}

std::vector<Extent> Connection::map(const Map& step) {
    const auto requests = std::make_shared<Requests>(1);
    next().submit(requests, 0,
                  [&](nbd_handle* handle) { return issue_block_status(handle, step, requests.get()); });
    wait_for(*requests);
    throw_error_of(*requests);
    return std::move(requests->extents);
}

void Connection::disconnect(std::chrono::milliseconds patience) {
    bool complete = true;
    for (Handle* handle : handles())
        complete = handle->say_goodbye() && complete;
    const auto deadline = Clock::now() + patience;
    const auto any_alive = [this] {
        return std::any_of(pointers_.begin(), pointers_.end(),
                           [](Handle* handle) { return handle->alive(); });
    };
    while (any_alive()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() > 0 && serve(handles(), -1, left) != Wake::silence)
            continue;
        constexpr const char* reason = "the server did not close the connection after NBD_CMD_DISC";
        for (Handle* handle : handles())
            handle->give_up(ETIMEDOUT, reason);
        throw Failure({errno_name(ETIMEDOUT), Where::connection, reason});
    }
    if (!complete)
        throw Failure({errno_name(ENOTCONN), Where::connection, "the connection was closed already"});
}

} // namespace driver
