#include "harness/wire/judge.hpp"

#include "harness/wire/apply.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace wire {

Judge::Judge(JudgeObserver& observer, KnownSizes& sizes)
  : observer_(observer)
  , sizes_(sizes) {}

void Judge::report(std::string_view requirement, Side by, bool mandatory, std::string what) {
    const Stream& from = stream(by);
    observer_.violation(
        {requirement, by, mandatory, std::move(what), from.message, from.position - from.message, ending_});
}

void Judge::lose(std::string why) {
    if (lost_.empty()) {
        lost_ = std::move(why);
    }
}

void Judge::stray(Side from, StrayEvent::Kind kind, std::uint64_t found, std::string why) {
    say(from, [&] { return fmt::format("no message: {}", why); });
    apply(stray_rules(), StrayEvent{state_, kind, found}, from);
    lose(std::move(why));
}

void Judge::take(Side from, nbd::Bytes bytes, bool bulk) {
    stream(from).position += bytes.size();
    observer_.took(from, bytes, bulk);
}

void Judge::feed(Side from, nbd::Bytes bytes) {
    Stream& in = stream(from);
    while (!bytes.empty()) {
        if (stopped_ || !lost_.empty()) {
            return tls_ && !stopped_ ? over_tls(from, bytes) : take(from, bytes, true);
        }
        if (from == Side::client && state_.phase == Phase::greeting) {
            // Nothing forbids it, but its flags answer those of the server.
            early_.insert(early_.end(), bytes.begin(), bytes.end());
            return early_.size() > longest_kept ? lose("the client sends much before the greeting") : void();
        }
        if (in.bulk > 0) {
            const auto data =
                bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(in.bulk, bytes.size())));
            bytes = bytes.subspan(data.size());
            in.bulk -= data.size();
            take(from, data, true);
            continue;
        }
        if (in.expect == Expect::message) {
            in.message = in.position;
            from == Side::client ? resolve_client() : resolve_server();
            continue;
        }
        const auto part = bytes.first(std::min(in.need - in.partial.size(), bytes.size()));
        bytes = bytes.subspan(part.size());
        take(from, part, false);
        if (in.partial.empty() && part.size() == in.need) {
            piece(from, part);
            continue;
        }
        in.partial.insert(in.partial.end(), part.begin(), part.end());
        if (in.partial.size() == in.need) {
            const nbd::Buffer whole = std::move(in.partial);
            in.partial.clear();
            piece(from, whole);
        }
    }
}

void Judge::over_tls(Side from, nbd::Bytes bytes) {
    while (const auto found = tls_->feed(from, bytes)) {
        take(from, bytes.first(found->used), true);
        bytes = bytes.subspan(found->used);
        stream(from).message = stream(from).position - found->length;
        apply(stray_rules(), StrayEvent{state_, found->kind, found->first}, from);
    }
    if (!bytes.empty()) {
        take(from, bytes, true);
    }
}

void Judge::piece(Side from, nbd::Bytes bytes) {
    from == Side::client ? client_piece(bytes) : server_piece(bytes);
    Stream& in = stream(from);
    if (in.grows) {
        in.grows = false;
        in.partial.assign(bytes.begin(), bytes.end());
    }
    if (from == Side::server && state_.phase != Phase::greeting && !early_.empty()) {
        const nbd::Buffer early = std::move(early_);
        early_.clear();
        feed(Side::client, early);
    }
}

void Judge::skip(Side from, std::uint64_t bytes) {
    Stream& in = stream(from);
    if (!stopped_ && lost_.empty() && in.bulk == 0 && in.expect == Expect::message && bytes > 0) {
        in.message = in.position;
        from == Side::client ? resolve_client() : resolve_server();
    }
    if (!stopped_ && lost_.empty() && in.bulk < bytes) {
        lose("data that are not at hand stand where a message is due");
    }
    in.bulk -= std::min(in.bulk, bytes);
    in.position += bytes;
}

void Judge::end(Side by, End how) {
    if (!stopped_ && lost_.empty() && !state_.ended_by(by)) {
        Stream& in = stream(by);
        if (in.expect == Expect::message) {
            in.message = in.position;
        }
        ending_ = true;
        const bool in_read = by == Side::server && in.bulk > 0 && !state_.chunks();
        apply(end_rules(), EndEvent{state_, by, how, in_read}, by);
        ending_ = false;
    }
    state_.ended[static_cast<int>(by)] = true;
}

void Judge::size_told(std::uint64_t size) {
    if (state_.entered) {
        state_.size_moved = state_.size_moved || size != state_.entered->size;
        state_.largest_size = std::max(state_.largest_size, sizes_.tell(state_.entered->name, size));
    }
}

void Judge::hear_sizes() {
    if (state_.entered) {
        state_.largest_size = sizes_.tell(state_.entered->name, state_.largest_size);
    }
}

OpenRequest* Judge::find(std::uint64_t cookie) {
    const auto found = state_.open.find(cookie);
    return found == state_.open.end() ? nullptr : &found->second;
}

} // namespace wire
