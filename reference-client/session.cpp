#include "reference-client/session.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <optional>

namespace refclient {

Session Session::open(const nbd::Uri& uri, const Options& options) {
    Session session;
    session.connections_.push_back(Connection::open(uri, options));
    const ExportInfo& first = session.info();
    if (!first.has(nbd::transmission_flag::can_multi_conn)) {
        return session;
    }
    const bool resizable = first.resize || first.has(nbd::transmission_flag::send_resize);
    while (session.connection_count() < options.connections) {
        session.connections_.push_back(
            Connection::open(uri, options, session.connections_.front()->shared_size()));
        const ExportInfo& another = session.connections_.back()->info();
        if ((another.size != first.size && !resizable) || another.flags != first.flags) {
            throw Failure(FailureKind::connection, ESTALE,
                          fmt::format("two connections to the same export disagree: size {} and {}, flags {} "
                                      "and {}",
                                      first.size, another.size, nbd::transmission_flag_names(first.flags),
                                      nbd::transmission_flag_names(another.flags)));
        }
    }
    return session;
}

void Session::before(const Operation& operation) {
    if (operation.type == nbd::Command::flush && connection_count() > 1) {
        for (const auto& connection : connections_) {
            connection->settle();
        }
    }
}

std::size_t Session::turn() {
    const std::size_t index = next_;
    next_ = (next_ + 1) % connection_count();
    return index;
}

Ticket Session::submit(Operation operation) {
    before(operation);
    const std::size_t index = turn();
    return {index, connections_[index]->submit(std::move(operation))};
}

Ticket Session::post(Operation operation) {
    before(operation);
    const std::size_t index = turn();
    return {index, connections_[index]->post(std::move(operation))};
}

Completion Session::wait(const Ticket& ticket) {
    return connections_[ticket.connection]->wait(ticket.cookie);
}

void Session::disconnect() {
    std::optional<Failure> first;
    for (const auto& connection : connections_) {
        try {
            connection->disconnect();
        } catch (const Failure& failure) {
            first = first ? first : failure;
        }
    }
    if (first) {
        throw Failure(*first);
    }
}

void Session::drop() {
    for (const auto& connection : connections_) {
        connection->drop();
    }
}

} // namespace refclient
