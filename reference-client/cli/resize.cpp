// The commands for live resize. Experimental: RESIZE.

#include "reference-client/cli/format.hpp"
#include "reference-client/cli/settings.hpp"
#include "reference-client/cli/signals.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <vector>

namespace refclient::cli {
namespace {

/// A way that was tried and why it did not work.
struct Refusal {
    std::string way;
    Failure why;
};

std::string refusals_text(const std::vector<Refusal>& refusals) {
    std::string text;
    for (const Refusal& refusal : refusals) {
        text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", refusal.way, refusal.why.what());
    }
    return text;
}

/// Tells what came of it, or throws why nothing did.
void tell(const Settings& settings, std::uint64_t before, std::uint64_t wanted, const ResizeOutcome& outcome,
          const std::vector<Refusal>& refusals) {
    if (settings.json) {
        boost::json::object object{{"before", before},
                                   {"size", outcome.size},
                                   {"way", name(outcome.way)},
                                   {"promised-zero", outcome.promised_zero}};
        boost::json::array reasons;
        for (const Refusal& refusal : refusals) {
            reasons.emplace_back(boost::json::object{
                {"way", refusal.way}, {"error", refusal.why.symbol()}, {"message", refusal.why.what()}});
        }
        object["refusals"] = std::move(reasons);
        std::cout << boost::json::serialize(object) << '\n';
    } else if (!outcome.error && outcome.size == before) {
        std::cout << fmt::format("{} ({}), as before\n", outcome.size, human_size(outcome.size));
    } else if (!outcome.error) {
        std::cout << fmt::format("{} ({}), {} before; by the {} way{}\n", outcome.size,
                                 human_size(outcome.size), before, name(outcome.way),
                                 outcome.size <= before  ? ""
                                 : outcome.promised_zero ? "; the new bytes are promised to be zero"
                                                         : "; what the new bytes hold is not promised");
    }
    std::cout.flush();
    if (outcome.error) {
        const Failure& last = *outcome.error;
        throw Failure(
            last.kind(), last.code(),
            fmt::format("cannot make the export {} bytes long: {}", wanted, refusals_text(refusals)));
    }
}

/// Writes zeroes from one offset to another.
void zero(Connection& connection, std::uint64_t begin, std::uint64_t end) {
    constexpr std::uint64_t most = std::uint64_t{1} << 30;
    for (std::uint64_t at = begin; at < end;) {
        const std::uint64_t some = std::min(end - at, most);
        connection.zero(at, some);
        at += some;
    }
}

std::vector<Grow> ways(const Settings& settings) {
    if (settings.grow) {
        return {*settings.grow};
    }
    // A command that only resizes first; writing into an export to make it longer last.
    return {Grow::explicit_, Grow::flagged, Grow::plain};
}

} // namespace

void grow(const nbd::Uri& uri, const Settings& settings, const ResizeArguments& arguments) {
    const auto connection = Connection::open(uri, settings.options);
    const std::uint64_t before = connection->size();
    std::vector<Refusal> refusals;
    ResizeOutcome outcome;
    for (const Grow way : ways(settings)) {
        Resizer resizer(*connection, uri, {way, Learn::none});
        outcome = resizer.grow_to(arguments.size, arguments.flags);
        if (!outcome.error) {
            break;
        }
        refusals.push_back({std::string(name(way)), *outcome.error});
        if (outcome.error->kind() == FailureKind::connection ||
            outcome.error->kind() == FailureKind::protocol) {
            break;
        }
    }
    if (arguments.zero && !outcome.error && outcome.size > before && !outcome.promised_zero) {
        zero(*connection, before, outcome.size);
    }
    const bool alive = !outcome.error || outcome.error->kind() == FailureKind::server ||
                       outcome.error->kind() == FailureKind::local;
    if (alive) {
        connection->disconnect();
    }
    tell(settings, before, arguments.size, outcome, refusals);
    if (outcome.size < arguments.size) {
        throw Failure(FailureKind::server, ENOSPC,
                      fmt::format("the server made the export only {} bytes long, not {}", outcome.size,
                                  arguments.size));
    }
}

void shrink(const nbd::Uri& uri, const Settings& settings, const ResizeArguments& arguments) {
    const auto connection = Connection::open(uri, settings.options);
    const std::uint64_t before = connection->size();
    const ResizeOutcome outcome = Resizer(*connection, uri, {}).shrink_to(arguments.size, arguments.flags);
    std::vector<Refusal> refusals;
    if (outcome.error) {
        refusals.push_back({std::string(name(Grow::explicit_)), *outcome.error});
    }
    if (!outcome.error || outcome.error->kind() == FailureKind::server ||
        outcome.error->kind() == FailureKind::local) {
        connection->disconnect();
    }
    tell(settings, before, arguments.size, outcome, refusals);
}

void size(const nbd::Uri& uri, const Settings& settings) {
    const auto connection = Connection::open(uri, settings.options);
    Resizer resizer(*connection, uri, settings.resize(Learn::none));
    const LearnOutcome outcome = resizer.learn();
    if (outcome.error) {
        throw Failure(*outcome.error);
    }
    resizer.end();
    connection->disconnect();
    if (settings.json) {
        std::cout << boost::json::serialize(
                         boost::json::object{{"size", outcome.size}, {"learn", name(outcome.way)}})
                  << '\n';
    } else {
        std::cout << outcome.size << '\n';
    }
}

void watch(const nbd::Uri& uri, const Settings& settings, const WatchArguments& arguments) {
    const auto connection = Connection::open(uri, settings.options);
    // Not before, so that a signal ends the command at once while nothing has to be ended properly.
    const Interruption interruption;
    Resizer resizer(*connection, uri, settings.resize(Learn::notify));
    const Learn way = resizer.learning();
    resizer.watch(
        [&](std::uint64_t now) {
            if (settings.json) {
                std::cout << boost::json::serialize(boost::json::object{{"size", now}, {"learn", name(way)}});
            } else {
                std::cout << now;
            }
            std::cout << '\n' << std::flush;
        },
        interruption.descriptor(),
        std::chrono::milliseconds(static_cast<std::int64_t>(arguments.interval * 1000)));
    connection->disconnect();
}

} // namespace refclient::cli
