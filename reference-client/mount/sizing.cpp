#include "reference-client/mount/sizing.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>

namespace refclient::mount {
namespace {

namespace can = nbd::resize_capability;

/// Where NBD_INFO_RESIZE does not tell the granularity, these are tried; servers that round are usual with
/// pages, clusters and whole mebibytes.
constexpr std::array<std::uint64_t, 4> likely_granularities = {1, 4096, 65536, 1048576};

bool is_misfit(const ResizeOutcome& outcome) {
    return outcome.error && outcome.error->kind() == FailureKind::server && outcome.error->code() == EINVAL;
}

/// Asks for a size, and where the server may only have disliked that it is no multiple, for larger ones.
ResizeOutcome ask(const Connection& connection, std::uint64_t size, std::uint64_t most,
                  const std::function<ResizeOutcome(std::uint64_t)>& request) {
    ResizeOutcome outcome = request(size);
    if (connection.info().resize) {
        return outcome;
    }
    std::uint64_t asked = size;
    for (const std::uint64_t step : likely_granularities) {
        const std::uint64_t rounded = round_up(size, step);
        if (!is_misfit(outcome) || rounded > most) {
            break;
        }
        if (rounded != asked) {
            asked = rounded;
            outcome = request(rounded);
        }
    }
    return outcome;
}

} // namespace

std::vector<Grow> Sizing::ways() const {
    if (preferences_.grow) {
        return {*preferences_.grow};
    }
    // A command that does nothing but resize first.
    return {Grow::explicit_, Grow::flagged, Grow::plain};
}

Resizer Sizing::resizer(Connection& connection, Grow way) const {
    return {connection, uri_, {way, preferences_.learn, preferences_.credits}};
}

void Sizing::begin(Connection& connection) {
    resizer(connection, Grow::none).begin();
}

Learn Sizing::learning(Connection& connection) const {
    const Learn way = resizer(connection, Grow::none).learning();
    return way == Learn::reconnect && preferences_.learn != Learn::reconnect ? Learn::none : way;
}

void Sizing::learn(Connection& connection) {
    switch (learning(connection)) {
    case Learn::none:
        return;
    case Learn::reconnect: {
        const LearnOutcome outcome = resizer(connection, Grow::none).learn();
        if (outcome.error) {
            throw Failure(*outcome.error);
        }
        return;
    }
    case Learn::poll:
        connection.query_size();
        return;
    case Learn::notify:
    case Learn::credits:
        // One that has used up its credit, or that the server has ended, is begun anew, which tells the size.
        begin(connection);
        return;
    }
}

std::optional<std::uint16_t> Sizing::extending_flags(const Connection& connection, Range write) const {
    const ExportInfo& info = connection.info();
    if (!info.can_resize(can::automatic) ||
        (preferences_.grow && *preferences_.grow != Grow::flagged && *preferences_.grow != Grow::plain)) {
        return std::nullopt;
    }
    const bool gap_or_tail = write.offset > connection.size() || info.resize->granularity > 1;
    if (gap_or_tail && !info.can_resize(can::zeroed)) {
        return std::nullopt;
    }
    if (preferences_.grow == Grow::plain) {
        return info.can_resize(can::automatic_implicit) ? std::optional<std::uint16_t>(0) : std::nullopt;
    }
    return nbd::command_flag::extend;
}

Growth Sizing::grow(Connection& connection, std::uint64_t size, bool allocate) {
    const std::uint64_t from = connection.size();
    if (size <= from) {
        return {};
    }
    if (connection.info().has(nbd::transmission_flag::read_only)) {
        throw Failure(FailureKind::local, EROFS, "the export is read-only");
    }
    std::optional<Failure> refusal;
    for (const Grow way : ways()) {
        Resizer by = resizer(connection, way);
        ResizeOutcome outcome;
        outcome.error = by.why_not_grow();
        if (!outcome.error) {
            const bool no_hole = allocate && way == Grow::explicit_;
            const std::uint16_t flags = no_hole ? nbd::command_flag::no_hole : std::uint16_t{0};
            outcome = ask(connection, size, nbd::max_resize,
                          [&](std::uint64_t asked) { return by.grow_to(asked, flags); });
        }
        if (!outcome.error) {
            return {between(from, connection.size()), outcome.promised_zero};
        }
        connection.check_alive();
        if (!refusal ||
            (refusal->kind() == FailureKind::local && outcome.error->kind() == FailureKind::server)) {
            refusal = std::move(outcome.error);
        }
    }
    throw Failure(*refusal);
}

void Sizing::shrink(Connection& connection, std::uint64_t size) {
    // Nothing may be in flight in the area that goes (RZ-PLAIN-10).
    connection.settle();
    Resizer by = resizer(connection, Grow::none);
    const ResizeOutcome outcome = ask(connection, size, connection.size() - 1,
                                      [&](std::uint64_t asked) { return by.shrink_to(asked); });
    // Where the granularity is not known and no likely one leaves anything to cut off, the export stays as it
    // is.
    if (outcome.error && (!is_misfit(outcome) || connection.info().resize)) {
        throw Failure(*outcome.error);
    }
}

} // namespace refclient::mount
