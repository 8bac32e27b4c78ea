// The functions of a connection that carry out one request each.

#include "reference-client/connection.hpp"

#include <array>
#include <poll.h>

namespace refclient {

using nbd::Command;

Completion Connection::run(Operation operation) {
    Completion completion = wait(submit(std::move(operation)));
    completion.check();
    return completion;
}

void Connection::read(std::uint64_t offset, std::span<std::uint8_t> into, std::uint16_t flags) {
    run(Operation::read(offset, into, flags));
}

void Connection::write(std::uint64_t offset, nbd::Bytes data, std::uint16_t flags) {
    run(Operation::write(offset, data, flags));
}

void Connection::zero(std::uint64_t offset, std::uint64_t length, std::uint16_t flags) {
    run(Operation::range(Command::write_zeroes, offset, length, flags));
}

void Connection::trim(std::uint64_t offset, std::uint64_t length, std::uint16_t flags) {
    run(Operation::range(Command::trim, offset, length, flags));
}

void Connection::cache(std::uint64_t offset, std::uint64_t length, std::uint16_t flags) {
    run(Operation::range(Command::cache, offset, length, flags));
}

void Connection::flush(std::uint16_t flags) {
    run(Operation::flush(flags));
}

std::vector<ContextStatus> Connection::block_status(std::uint64_t offset, std::uint64_t length,
                                                    std::uint16_t flags) {
    return run(Operation::range(Command::block_status, offset, length, flags)).status;
}

nbd::ResizeChunk Connection::resize(std::uint64_t size, std::uint16_t flags) {
    const Completion completion = run(Operation::resize(size, flags));
    return completion.resize.value_or(nbd::ResizeChunk{size, 0});
}

std::uint64_t Connection::query_size() {
    return run(Operation::query_size()).resize.value().size;
}

std::uint64_t Connection::subscribe(std::uint64_t credit) {
    rate_.start(Clock::now());
    const std::uint64_t size = run(Operation::notify(credit)).resize.value().size;
    if (options_.faults.has(Fault::two_subscriptions)) {
        static_cast<void>(wait(submit(Operation::notify(credit))));
    }
    return size;
}

bool Connection::await_notification(Clock::time_point until, int until_readable) {
    const std::uint64_t before = transmission_->notifications();
    const std::size_t open = transmission_->subscriptions();
    while (open > 0) {
        check_alive();
        if (transmission_->notifications() != before || transmission_->subscriptions() != open) {
            return true;
        }
        std::array<pollfd, 2> waiting{
            {{socket_.descriptor(), awaited_events(), 0}, {until_readable, POLLIN, 0}}};
        const int ready = ::poll(waiting.data(), waiting.size(), poll_timeout(until));
        if (ready == 0 || (ready > 0 && waiting[1].revents != 0)) {
            return false;
        }
        if (ready > 0) {
            pump(waiting[0].revents);
        }
    }
    return false;
}

void Connection::unsubscribe() {
    check_alive();
    if (!subscribed()) {
        return;
    }
    const Cookie cookie = subscription()->cookie;
    const Completion completion = wait(submit(Operation::cancel(cookie)));
    // One that has ended meanwhile is unknown to the server, which is as good.
    if (subscription()->cookie != cookie || subscription()->open) {
        completion.check();
    }
}

} // namespace refclient
