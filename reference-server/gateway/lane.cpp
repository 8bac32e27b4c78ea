#include "reference-server/gateway/lane.hpp"

#include "reference-server/backend/errors.hpp"
#include "reference-server/gateway/quiet_thread.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace refserver {
namespace {

/// libnbd itself sends no more than 64 MiB at a time.
constexpr std::uint64_t most_payload = nbd::default_max_payload;

const char* name_of(Operation::Kind kind) {
    switch (kind) {
    case Operation::Kind::read:
        return "reading";
    case Operation::Kind::write:
        return "writing";
    case Operation::Kind::flush:
        return "flushing";
    case Operation::Kind::trim:
        return "trimming";
    case Operation::Kind::cache:
        return "caching";
    case Operation::Kind::zero:
        return "zeroing";
    case Operation::Kind::status:
        return "the block status";
    case Operation::Kind::resize:
        break;
    }
    return "resizing";
}

} // namespace

nbd::Error from_inner_errno(int number) {
    switch (number) {
    case ENOTSUP:
        return nbd::Error::notsup;
    case EOVERFLOW:
        return nbd::Error::overflow;
    default:
        return from_errno(number);
    }
}

Lane::Lane(InnerHandle handle, const InnerFacts& facts, std::uint64_t generation, Owner& owner)
  : handle_(std::move(handle))
  , facts_(facts)
  , generation_(generation)
  , largest_payload_(std::max<std::uint64_t>(facts.block.minimum,
                                             std::min<std::uint64_t>(most_payload, facts.block.maximum) /
                                                 facts.block.minimum * facts.block.minimum))
  , owner_(owner)
  , wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake_.valid()) {
        throw std::system_error(errno, std::system_category(), "eventfd");
    }
    thread_ = quiet_thread([this] { run(); });
}

Lane::~Lane() {
    stop();
}

bool Lane::submit(Request& request) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        if (over_ || stopping_) {
            return false;
        }
        first = inbox_.empty();
        request.lane = this;
        inbox_.push_back(&request);
    }
    if (first) {
        wake();
    }
    return true;
}

void Lane::wake() const {
    const std::uint64_t one = 1;
    // It can only fail if the counter is full, and then the thread wakes up anyway.
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void Lane::begin_stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake();
}

void Lane::stop() {
    begin_stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Lane::run() {
    nbd_handle* const handle = handle_.get();
    std::vector<Request*> fresh;
    for (;;) {
        bool stopping = false;
        {
            const std::lock_guard lock(mutex_);
            fresh.swap(inbox_);
            stopping = stopping_;
        }
        for (Request* request : fresh) {
            outstanding_.insert(request);
        }
        for (Request* request : fresh) {
            issue(*request);
        }
        fresh.clear();
        settle();
        if (stopping) {
            leave_inner(handle);
            return end(true);
        }
        if (::nbd_aio_is_dead(handle) == 1 || ::nbd_aio_is_closed(handle) == 1) {
            if (why_.empty()) {
                why_ = "it closed the connection";
            }
            return end(false);
        }
        wait_for_events();
    }
}

void Lane::wait_for_events() {
    nbd_handle* const handle = handle_.get();
    const unsigned direction = ::nbd_aio_get_direction(handle);
    short events = 0;
    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0) {
        events |= POLLIN;
    }
    if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0) {
        events |= POLLOUT;
    }
    std::array<pollfd, 2> both{pollfd{wake_.get(), POLLIN, 0}, pollfd{::nbd_aio_get_fd(handle), events, 0}};
    if (::poll(both.data(), both.size(), -1) <= 0) {
        return;
    }
    if (both[0].revents != 0) {
        std::uint64_t count = 0;
        [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
    }
    int outcome = 0;
    if ((both[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
        (direction & LIBNBD_AIO_DIRECTION_READ) != 0) {
        outcome = ::nbd_aio_notify_read(handle);
    } else if (both[1].revents != 0) {
        outcome = ::nbd_aio_notify_write(handle);
    }
    if (outcome == -1) {
        why_ = inner_error();
    }
}

void Lane::issue(Request& request) {
    const nbd_completion_callback done{[](void* data, int* error) {
                                           auto* answered = static_cast<Request*>(data);
                                           answered->lane->answers_.emplace_back(answered, *error);
                                           return 1;
                                       },
                                       &request, nullptr};
    if (send_part(request, done) == -1) {
        // Most likely the connection broke while sending; then this does not count as an answer.
        const int number = ::nbd_get_errno();
        answers_.emplace_back(&request, number != 0 ? number : EIO);
    }
}

std::int64_t Lane::send_part(Request& request, nbd_completion_callback done) const {
    nbd_handle* const handle = handle_.get();
    Operation& operation = *request.operation;
    const std::uint64_t at = operation.offset + request.completed;
    const std::uint64_t left = operation.length - request.completed;
    const bool payload = operation.kind == Operation::Kind::read || operation.kind == Operation::Kind::write;
    request.part = std::min(left, payload ? largest_payload_ : longest_request);
    const std::uint32_t fua = operation.fua && facts_.can.fua ? LIBNBD_CMD_FLAG_FUA : 0;
    switch (operation.kind) {
    case Operation::Kind::read:
        return ::nbd_aio_pread(handle, operation.buffer.data() + request.completed, request.part, at, done,
                               0);
    case Operation::Kind::write:
        return ::nbd_aio_pwrite(handle, operation.buffer.data() + request.completed, request.part, at, done,
                                fua);
    case Operation::Kind::flush:
        return ::nbd_aio_flush(handle, done, 0);
    case Operation::Kind::trim:
        return ::nbd_aio_trim(handle, request.part, at, done, fua);
    case Operation::Kind::cache:
        return ::nbd_aio_cache(handle, request.part, at, done, 0);
    case Operation::Kind::zero: {
        // Once a part is zero, it is too late to say that it is not fast.
        const bool fast = operation.fast && request.completed == 0;
        return ::nbd_aio_zero(handle, request.part, at, done,
                              fua | (operation.no_hole ? LIBNBD_CMD_FLAG_NO_HOLE : 0U) |
                                  (fast ? LIBNBD_CMD_FLAG_FAST_ZERO : 0U));
    }
    case Operation::Kind::status:
        operation.extents.clear();
        return ::nbd_aio_block_status(handle, request.part, at, extents_into(operation.extents), done,
                                      operation.one_extent ? LIBNBD_CMD_FLAG_REQ_ONE : 0U);
    case Operation::Kind::resize:
        break;
    }
    return -1;
}

void Lane::settle() {
    // Further parts may be answered meanwhile.
    while (!answers_.empty()) {
        std::vector<std::pair<Request*, int>> answers;
        answers.swap(answers_);
        const bool dead = ::nbd_aio_is_dead(handle_.get()) == 1 || ::nbd_aio_is_closed(handle_.get()) == 1;
        for (const auto& [request, error] : answers) {
            // What fails because the connection broke was not answered.
            if (error == 0 || (!dead && error != ESHUTDOWN)) {
                settle(*request, error);
            } else if (!dead) {
                why_ = "it is being shut down";
                (void)::nbd_aio_disconnect(handle_.get(), 0);
            }
        }
    }
}

void Lane::settle(Request& request, int error) {
    Operation& operation = *request.operation;
    const bool once = operation.kind == Operation::Kind::flush || operation.kind == Operation::Kind::status;
    request.completed += error == 0 ? request.part : 0;
    if (error != 0) {
        operation.fail(from_inner_errno(error),
                       fmt::format("{} of {} bytes at offset {}: the inner server answered {}",
                                   name_of(operation.kind), request.part,
                                   operation.offset + request.completed,
                                   std::system_category().message(error)));
    } else if (!once && request.completed < operation.length) {
        return issue(request);
    } else if (operation.kind == Operation::Kind::read) {
        operation.pieces.push_back({operation.length, operation.buffer.data()});
    } else if (operation.kind == Operation::Kind::status && operation.extents.empty()) {
        operation.fail(nbd::Error::io, "the inner server told no extents");
    }
    outstanding_.erase(&request);
    owner_.answered(request);
}

void Lane::end(bool orderly) {
    // Nothing may write into the buffers of operations any more.
    handle_.reset();
    std::vector<Request*> unanswered(outstanding_.begin(), outstanding_.end());
    outstanding_.clear();
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
        unanswered.insert(unanswered.end(), inbox_.begin(), inbox_.end());
        inbox_.clear();
    }
    owner_.gone(*this, unanswered, orderly, why_);
}

} // namespace refserver
