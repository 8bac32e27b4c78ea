// NBD_CMD_RESIZE and what else tells sizes: the part of the transmission phase that the RESIZE extension
// adds.

#include "reference-server/session/transmission.hpp"

#include <fmt/format.h>

#include <utility>

namespace refserver {
namespace {

namespace flag = nbd::command_flag;

nbd::ResizeChunk to_chunk(const SizeNote& note) {
    namespace is = nbd::resize_flag;
    return {note.size, (note.zeroed ? is::zeroed : 0U) | (note.external ? is::external : 0U) |
                           (note.coalesced ? is::coalesced : 0U)};
}

} // namespace

void Transmission::begin_resize(const nbd::Request& request) {
    if ((request.flags & flag::query) != 0) {
        const bool stale = has(Fault::query_stale);
        replies_.size(request,
                      to_chunk({stale ? agreement_.told_size : agreement_.served->size(),
                                has(Fault::query_sets_flags)}),
                      true);
    } else if ((request.flags & flag::notify) != 0) {
        subscribe(request);
    } else if ((request.flags & flag::cancel) != 0) {
        cancel(request);
    } else {
        start(take_slot(request));
    }
}

bool Transmission::tells_plain() const {
    const bool told = agreement_.resize_info.has_value() || has(Fault::exact_gets_chunk);
    return told && !has(Fault::plain_without_chunk);
}

bool Transmission::tells_write(const InFlight& flight) const {
    const bool asked = (flight.request.flags & flag::extend) != 0 || has(Fault::chunk_without_flag);
    const bool changed = flight.size_changed || (asked && has(Fault::chunk_without_change));
    return asked && changed && !has(Fault::chunk_missing);
}

void Transmission::answer_changed_size(const InFlight& flight) {
    const bool plain = flight.request.type == nbd::Command::resize;
    const bool tells = plain ? tells_plain() : tells_write(flight);
    if (!tells || agreement_.style == ReplyStyle::simple) {
        return replies_.success(flight.request);
    }
    const std::uint64_t size = plain || flight.size_changed ? flight.new_size : agreement_.served->size();
    replies_.size(flight.request, to_chunk({size, flight.exposed_zeroes}), true);
}

void Transmission::subscribe(const nbd::Request& request) {
    if (has(Fault::second_notify)) {
        end_subscription();
    }
    if (subscription_) {
        return refuse(request, {nbd::Error::inval, "this connection has a subscription already"});
    }
    subscription_ = std::make_unique<Subscribed>(this, wake_, request);
    unsent_ = {};
    const std::uint64_t size = agreement_.served->subscribe(subscription_->source);
    if (has(Fault::notify_not_answered)) {
        return;
    }
    if (has(Fault::first_size_costs)) {
        return notify({size});
    }
    replies_.size(request, to_chunk({size}), false);
}

void Transmission::tell_size() {
    if (!subscription_) {
        return;
    }
    const std::uint64_t sent = output_.total_sent();
    if (sent > unsent_.begin && sent < unsent_.end) {
        return;
    }
    auto news = subscription_->source.take();
    if (!news || (has(Fault::own_change_untold) && !news->external)) {
        return;
    }
    if (unsent_.payload != nullptr && sent <= unsent_.begin) {
        const SizeNote before = unsent_.note;
        unsent_.note.merge(*news);
        if (has(Fault::first_size_kept)) {
            unsent_.note.size = before.size;
        }
        if (has(Fault::merge_untold)) {
            unsent_.note.coalesced = false;
        }
        if (has(Fault::merge_adds_flags)) {
            unsent_.note.external = before.external || news->external;
        }
        return replies_.replace_size(unsent_.payload, to_chunk(unsent_.note));
    }
    notify(*news);
}

void Transmission::notify(const SizeNote& note) {
    const std::uint64_t end = has(Fault::credit_exceeded) ? 0 : 1;
    const bool last = !subscription_->unlimited && subscription_->credit == end;
    unsent_.begin = output_.total_added();
    unsent_.payload =
        replies_.size(subscription_->request, to_chunk(note), last && !has(Fault::credit_without_done));
    unsent_.end = output_.total_added();
    unsent_.note = note;
    if (!subscription_->unlimited) {
        --subscription_->credit;
    }
    if (last) {
        end_subscription();
    }
}

void Transmission::cancel(const nbd::Request& request) {
    if (has(Fault::cancel_of_nothing) && !subscription_) {
        return replies_.success(request);
    }
    if (!subscription_ || subscription_->request.cookie != request.offset) {
        return refuse(request, {nbd::Error::inval,
                                fmt::format("{:#x} is the cookie of no open subscription", request.offset)});
    }
    agreement_.served->unsubscribe(subscription_->source);
    // Whatever is unsent goes out first.
    if (const auto news = subscription_->source.take()) {
        notify(*news);
    }
    if (has(Fault::cancel_answered_first)) {
        replies_.success(request);
    }
    if (subscription_) {
        if (!has(Fault::cancel_without_done)) {
            replies_.success(subscription_->request);
        }
        end_subscription();
    }
    if (!has(Fault::cancel_answered_first)) {
        replies_.success(request);
    }
}

void Transmission::end_subscription() {
    if (subscription_) {
        agreement_.served->unsubscribe(subscription_->source);
        subscription_.reset();
    }
    unsent_ = {};
}

void Transmission::shut_down() {
    shutting_down_ = true;
    if (subscription_ && !has(Fault::shutdown_untold)) {
        refuse(subscription_->request, {nbd::Error::shutdown, "the server is being shut down"});
        end_subscription();
    }
}

} // namespace refserver
