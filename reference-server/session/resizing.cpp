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
        replies_.size(request, to_chunk({agreement_.served->size()}), true);
    } else if ((request.flags & flag::notify) != 0) {
        subscribe(request);
    } else if ((request.flags & flag::cancel) != 0) {
        cancel(request);
    } else {
        start(take_slot(request));
    }
}

void Transmission::answer_changed_size(const InFlight& flight) {
    const bool plain = flight.request.type == nbd::Command::resize;
    const bool tells = plain ? agreement_.resize_info.has_value()
                             : flight.size_changed && (flight.request.flags & flag::extend) != 0;
    if (!tells || agreement_.style == ReplyStyle::simple) {
        return replies_.success(flight.request);
    }
    replies_.size(flight.request, to_chunk({flight.new_size, flight.exposed_zeroes}), true);
}

void Transmission::subscribe(const nbd::Request& request) {
    if (subscription_) {
        return refuse(request, {nbd::Error::inval, "this connection has a subscription already"});
    }
    subscription_ = std::make_unique<Subscribed>(this, wake_, request);
    unsent_ = {};
    replies_.size(request, to_chunk({agreement_.served->subscribe(subscription_->source)}), false);
}

void Transmission::tell_size() {
    if (!subscription_) {
        return;
    }
    const std::uint64_t sent = output_.total_sent();
    if (sent > unsent_.begin && sent < unsent_.end) {
        return;
    }
    const auto news = subscription_->source.take();
    if (!news) {
        return;
    }
    if (unsent_.payload != nullptr && sent <= unsent_.begin) {
        unsent_.note.merge(*news);
        return replies_.replace_size(unsent_.payload, to_chunk(unsent_.note));
    }
    notify(*news);
}

void Transmission::notify(const SizeNote& note) {
    const bool last = !subscription_->unlimited && subscription_->credit == 1;
    unsent_.begin = output_.total_added();
    unsent_.payload = replies_.size(subscription_->request, to_chunk(note), last);
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
    if (!subscription_ || subscription_->request.cookie != request.offset) {
        return refuse(request, {nbd::Error::inval,
                                fmt::format("{:#x} is the cookie of no open subscription", request.offset)});
    }
    agreement_.served->unsubscribe(subscription_->source);
    // Whatever is unsent goes out first.
    if (const auto news = subscription_->source.take()) {
        notify(*news);
    }
    if (subscription_) {
        replies_.success(subscription_->request);
        end_subscription();
    }
    replies_.success(request);
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
    if (subscription_) {
        refuse(subscription_->request, {nbd::Error::shutdown, "the server is being shut down"});
        end_subscription();
    }
}

} // namespace refserver
