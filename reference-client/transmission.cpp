#include "reference-client/transmission.hpp"

#include "protocol/describe.hpp"
#include "reference-client/payload_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace refclient {
namespace {

using nbd::Command;

constexpr std::size_t magic_size = 4;
/// Memory for payloads grows with the bytes that arrive, not with what a header announces.
constexpr std::size_t staging_step = 65536;

std::uint32_t magic_of(const nbd::Buffer& bytes) {
    return nbd::detail::load_big<std::uint32_t>(bytes.data());
}

} // namespace

Transmission::Transmission(Agreement agreement, Trace trace, std::shared_ptr<BelievedSize> size)
  : agreement_(std::move(agreement))
  , trace_(std::move(trace))
  , last_cookie_(agreement_.first_cookie - 1)
  , size_(std::move(size)) {
    next_reply();
}

Cookie Transmission::submit(Operation operation, nbd::Buffer& out) {
    const bool extended = agreement_.headers == nbd::HeaderStyle::extended;
    if (!extended && operation.length > UINT32_MAX) {
        throw Failure(FailureKind::local, EOVERFLOW,
                      fmt::format("{}: a length beyond 32 bits needs extended headers, which were not agreed",
                                  to_text(operation)));
    }
    if (!operation.contexts.empty() && !extended) {
        throw Failure(FailureKind::local, ENOTSUP,
                      fmt::format("{}: a choice of contexts needs extended headers, which were not agreed",
                                  to_text(operation)));
    }
    distort(operation, agreement_.faults);
    const bool reads = operation.type == Command::read;
    const bool writes = operation.type == Command::write;
    if ((reads && operation.into.size() != operation.length) ||
        (writes && operation.data.size() != operation.length)) {
        throw Failure(FailureKind::local, EINVAL,
                      fmt::format("{}: the buffer has another size", to_text(operation)));
    }
    nbd::Request request{operation.flags, operation.type, ++last_cookie_, operation.offset, operation.length};
    nbd::Buffer query;
    const bool distorted = operation.type == Command::resize && agreement_.faults.has(Fault::payload_flag);
    if (extended && (writes || distorted)) {
        request.flags |= nbd::command_flag::payload_len;
    } else if (!operation.contexts.empty()) {
        request.flags |= nbd::command_flag::payload_len;
        query = nbd::encode(nbd::BlockStatusQuery{operation.length, operation.contexts});
        request.length = query.size();
    }
    nbd::encode_request_to(out, request, agreement_.headers);
    out.insert(out.end(), query.begin(), query.end());
    if (trace_) {
        trace_(Direction::sent, nbd::describe(request));
    }
    pending_.emplace(request.cookie, Pending(agreement_, request.cookie, std::move(operation), size_->get()));
    return request.cookie;
}

void Transmission::encode_disconnect(nbd::Buffer& out) {
    const nbd::Request request{0, Command::disc, ++last_cookie_, 0, 0};
    nbd::encode_request_to(out, request, agreement_.headers);
    if (trace_) {
        trace_(Direction::sent, nbd::describe(request));
    }
}

std::span<std::uint8_t> Transmission::wanted() {
    if (failure_) {
        return {};
    }
    if (!target_.empty()) {
        return target_;
    }
    if (filled_ == staged_.size()) {
        staged_.resize(std::min(needed_, filled_ + staging_step));
    }
    return std::span(staged_).subspan(filled_);
}

void Transmission::advance(std::size_t count) {
    position_ += count;
    if (!target_.empty()) {
        target_ = target_.subspan(count);
        if (!target_.empty()) {
            return;
        }
    } else {
        filled_ += count;
        if (filled_ < needed_) {
            return;
        }
    }
    try {
        step();
    } catch (const Failure& broken) {
        fail(broken.what());
    }
}

void Transmission::feed(nbd::Bytes bytes) {
    while (!bytes.empty() && !failure_) {
        const std::span<std::uint8_t> room = wanted();
        const std::size_t count = std::min(room.size(), bytes.size());
        std::memcpy(room.data(), bytes.data(), count);
        bytes = bytes.subspan(count);
        advance(count);
    }
}

void Transmission::await(State state, std::size_t bytes) {
    state_ = state;
    needed_ = bytes;
}

void Transmission::next_reply() {
    staged_.clear();
    filled_ = 0;
    current_ = nullptr;
    message_start_ = position_;
    simple_.reset();
    chunk_.reset();
    // The magic tells how long the header is, unless there is only one kind.
    await(State::magic, agreement_.headers == nbd::HeaderStyle::extended
                            ? nbd::chunk_header_size(nbd::HeaderStyle::extended)
                            : magic_size);
}

void Transmission::step() {
    switch (state_) {
    case State::magic:
        return take_magic();
    case State::simple:
        return take_simple();
    case State::chunk:
        return take_chunk();
    case State::payload: {
        if (trace_) {
            trace_(Direction::received, payload_text(*chunk_, staged_));
        }
        const std::span<std::uint8_t> target = current_->payload(nbd::Bytes(staged_).first(needed_));
        if (chunk_->type == nbd::ChunkType::resize) {
            take_size();
        }
        return await_data(target);
    }
    case State::data:
        return end_message();
    }
}

void Transmission::take_magic() {
    const std::uint32_t magic = magic_of(staged_);
    if (agreement_.headers == nbd::HeaderStyle::extended) {
        if (magic != nbd::extended_reply_magic) {
            throw violation(
                fmt::format("a reply begins with {:#010x}; with extended headers agreed it has to "
                            "be {:#010x}",
                            magic, nbd::extended_reply_magic));
        }
        return take_chunk();
    }
    if (magic == nbd::simple_reply_magic) {
        return await(State::simple, nbd::wire_size<nbd::SimpleReply>);
    }
    if (magic == nbd::structured_reply_magic) {
        if (!agreement_.structured) {
            throw violation("a structured reply, although structured replies were not agreed");
        }
        return await(State::chunk, nbd::chunk_header_size(nbd::HeaderStyle::compact));
    }
    throw violation(fmt::format("a reply begins with {:#010x}, which is no magic number of a reply", magic));
}

Pending& Transmission::find(Cookie cookie) {
    const auto found = pending_.find(cookie);
    if (found == pending_.end()) {
        throw violation(cookie != 0 && cookie <= last_cookie_
                            ? "the request with this cookie has been answered before"
                            : "there is no request with this cookie");
    }
    return found->second;
}

void Transmission::take_simple() {
    const nbd::SimpleReply reply = nbd::decode_prefix<nbd::SimpleReply>(staged_).value();
    simple_ = reply;
    if (trace_) {
        trace_(Direction::received, nbd::describe(reply));
    }
    current_ = &find(reply.cookie);
    current_cookie_ = reply.cookie;
    done_ = true;
    await_data(current_->simple_reply(reply.error));
}

void Transmission::take_chunk() {
    const nbd::Chunk chunk = nbd::decode_chunk(staged_, agreement_.headers).value();
    chunk_ = chunk;
    if (trace_) {
        trace_(Direction::received, nbd::describe(chunk));
    }
    current_ = &find(chunk.cookie);
    current_cookie_ = chunk.cookie;
    done_ = chunk.done();
    const Pending::Plan plan = current_->chunk(chunk);
    if (plan.stored == 0) {
        return end_message();
    }
    staged_.clear();
    filled_ = 0;
    await(State::payload, plan.stored);
}

void Transmission::await_data(std::span<std::uint8_t> target) {
    if (target.empty()) {
        return end_message();
    }
    target_ = target;
    state_ = State::data;
}

bool Transmission::is_in_flight(Cookie cookie) const {
    const auto found = pending_.find(cookie);
    return found != pending_.end() && !found->second.subscribed();
}

void Transmission::adopt(std::uint64_t size) {
    const Faults faults = agreement_.faults;
    const Operation& operation = current_->operation();
    const bool command = operation.type == Command::resize;
    const ResizeForm form = resize_form(operation);
    if (command && form == ResizeForm::query && faults.has(Fault::ignore_polled_size)) {
        return;
    }
    if (command && form == ResizeForm::notify && current_->sizes() > 1 &&
        faults.has(Fault::ignore_notified_size)) {
        return;
    }
    if (faults.has(Fault::ignore_chosen_size) && (!command || form == ResizeForm::plain)) {
        size = command ? operation.offset : end_of(operation);
    }
    if (faults.has(Fault::never_smaller)) {
        return size_->reaches(size);
    }
    size_->report(size);
}

void Transmission::take_size() {
    const nbd::ResizeChunk told = *current_->told();
    adopt(told.size);
    if (!current_->subscribed()) {
        return;
    }
    if (current_->sizes() == 1) {
        ++open_;
        subscription_.emplace();
        subscription_->cookie = current_cookie_;
        subscription_->credit = current_->operation().length;
        subscription_->latest = told;
        completed_.push_back(current_->opened());
        return;
    }
    ++notifications_;
    notified_bytes_ += position_ - message_start_;
    if (subscription_->cookie == current_cookie_) {
        const bool external = (told.flags & nbd::resize_flag::external) != 0;
        const bool coalesced = (told.flags & nbd::resize_flag::coalesced) != 0;
        subscription_->latest = told;
        ++subscription_->notifications;
        subscription_->external += external ? 1 : 0;
        subscription_->coalesced += coalesced ? 1 : 0;
        subscription_->foreign += external || coalesced ? 1 : 0;
    }
}

void Transmission::end_message() {
    if (done_) {
        complete();
    }
    next_reply();
}

void Transmission::complete() {
    const bool subscribed = current_->subscribed();
    const bool past_end = current_->past_end();
    Completion completion = current_->finish();
    const Operation& operation = completion.operation;
    shutdown_seen_ = shutdown_seen_ || completion.error == nbd::Error::shutdown;
    if (subscribed) {
        return end_subscription(std::move(completion));
    }
    if (completion.ok() && !completion.resize && past_end && !agreement_.faults.has(Fault::forget_growth)) {
        size_->reaches(end_of(operation));
    }
    if (completion.ok() && operation.type == Command::resize) {
        const ResizeForm form = resize_form(operation);
        if (form == ResizeForm::plain && !completion.resize) {
            size_->report(operation.offset);
        }
        const auto cancelled = pending_.find(operation.offset);
        if (form == ResizeForm::cancel && cancelled != pending_.end() && cancelled->second.subscribed()) {
            throw violation("a subscription has to end before the request that cancels it is answered");
        }
    }
    pending_.erase(current_cookie_);
    completed_.push_back(std::move(completion));
}

void Transmission::end_subscription(Completion completion) {
    --open_;
    pending_.erase(current_cookie_);
    if (subscription_->cookie == completion.cookie) {
        subscription_->open = false;
        subscription_->error = completion.error;
        subscription_->message = std::move(completion.message);
    }
}

void Transmission::feed_end() {
    if (failure_) {
        return;
    }
    if (position_ != message_start_) {
        failure_ = Failure(FailureKind::connection, ECONNRESET,
                           "the server closed the connection in the middle of a reply");
    } else if (in_flight() > 0) {
        failure_ = Failure(
            FailureKind::connection, ECONNRESET,
            fmt::format("the server closed the connection with {} request(s) unanswered", in_flight()));
    }
}

std::optional<Completion> Transmission::take(Cookie cookie) {
    const auto found = std::ranges::find(completed_, cookie, &Completion::cookie);
    if (found == completed_.end()) {
        return std::nullopt;
    }
    Completion completion = std::move(*found);
    completed_.erase(found);
    return completion;
}

std::optional<Completion> Transmission::take_any() {
    if (completed_.empty()) {
        return std::nullopt;
    }
    Completion completion = std::move(completed_.front());
    completed_.pop_front();
    return completion;
}

void Transmission::fail(const std::string& what) {
    std::string about;
    if (simple_ || chunk_) {
        about = fmt::format(" in the {}", simple_ ? nbd::describe(*simple_) : nbd::describe(*chunk_));
    }
    if (current_ != nullptr) {
        about += fmt::format(" to {}", to_text(current_->operation()));
    }
    target_ = {};
    failure_ = violation(fmt::format("protocol error{}: {} (the message began at byte {} of the server's "
                                     "side of the transmission phase)",
                                     about, what, message_start_));
}

} // namespace refclient
