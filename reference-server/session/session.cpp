#include "reference-server/session/session.hpp"

#include <algorithm>
#include <cstring>

namespace refserver {
namespace {

constexpr std::size_t input_size = std::size_t{128} << 10;
static_assert(input_size >= Negotiation::max_message);
/// While large payloads come, reading ahead would only mean copying them.
constexpr std::size_t short_read_ahead = 4096;
/// Output of the handshake that may wait before no more options are read.
constexpr std::uint64_t most_handshake_output = std::uint64_t{1} << 20;

} // namespace

Session::Session(const SessionOptions& options, ExportCatalogue& catalogue, BufferPool& pool,
                 const Trace& trace)
  : options_(options)
  , pool_(pool)
  , trace_(trace)
  , output_(pool)
  , negotiation_(options, catalogue, output_, trace)
  , input_(pool.take(input_size)) {
    negotiation_.greet();
    process();
}

bool Session::wants_input() const {
    if (ended_ || no_more_input_) {
        return false;
    }
    return has_room() || (transmission_ && !transmission_->payload_space().empty());
}

std::array<iovec, 2> Session::input_space() {
    std::span<std::uint8_t> payload;
    if (begin_ != 0 && input_size - end_ < input_size / 2) {
        std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    std::size_t room = input_size - end_;
    if (transmission_) {
        payload = transmission_->payload_space();
        if (transmission_->expects_large_payloads()) {
            room = std::min(room, short_read_ahead);
        }
    }
    offered_payload_ = payload.size();
    const iovec input{input_.data() + end_, room};
    if (payload.empty()) {
        return {input, iovec{nullptr, 0}};
    }
    return {iovec{payload.data(), payload.size()}, input};
}

void Session::received(std::size_t size) {
    const std::size_t payload = std::min(size, offered_payload_);
    offered_payload_ = 0;
    end_ += size - payload;
    if (payload != 0) {
        transmission_->payload_received(payload);
    }
    process();
}

void Session::process() {
    while (!ended_) {
        const nbd::Bytes input(input_.data() + begin_, end_ - begin_);
        std::size_t used = 0;
        if (transmission_) {
            used = input.empty() ? 0 : transmission_->consume(input);
            if (transmission_->closing()) {
                ended_ = true;
                reason_ = transmission_->reason();
            }
        } else {
            used = has_room() ? negotiation_.consume(input) : 0;
            if (negotiation_.state() == Negotiation::State::closed) {
                ended_ = true;
                reason_ = negotiation_.reason();
            } else if (negotiation_.state() == Negotiation::State::agreed) {
                enter_transmission();
            }
        }
        begin_ += used;
        if (used != 0) {
            continue;
        }
        // What is left is a part of a message, or waits for room.
        if (no_more_input_ && has_room()) {
            ended_ = true;
            reason_ = "the client closed the connection";
            if (transmission_) {
                transmission_->end_subscription();
            }
        }
        break;
    }
    if (begin_ == end_) {
        begin_ = end_ = 0;
    }
}

bool Session::has_room() const {
    return transmission_ ? !transmission_->saturated() : output_.size() < most_handshake_output;
}

void Session::enter_transmission() {
    transmission_ =
        std::make_unique<Transmission>(options_, negotiation_.agreement(), pool_, output_, trace_, wake_);
    if (shutting_down_) {
        transmission_->shut_down();
    }
}

void Session::end_of_input() {
    no_more_input_ = true;
    process();
}

void Session::abandon() {
    ended_ = true;
    if (transmission_) {
        transmission_->abandon();
    }
    output_.clear();
}

Operation* Session::next_operation() {
    Operation* operation = transmission_ ? transmission_->next_operation() : nullptr;
    handed_out_ += operation != nullptr ? 1 : 0;
    return operation;
}

void Session::complete(Operation& operation) {
    --handed_out_;
    transmission_->complete(operation);
    tell_size();
    process();
}

void Session::sent(std::uint64_t size) {
    output_.consume(size);
    tell_size();
    process();
}

void Session::tell_size() {
    if (transmission_ && !ended_) {
        transmission_->tell_size();
    }
}

void Session::shut_down() {
    shutting_down_ = true;
    negotiation_.shut_down();
    if (transmission_) {
        transmission_->shut_down();
    }
}

bool Session::idle() const {
    return output_.empty() && begin_ == end_ &&
           (!transmission_ || (transmission_->in_progress() == 0 && transmission_->payload_space().empty()));
}

bool Session::finished() const {
    return ended_ && output_.empty() && (!transmission_ || transmission_->in_progress() == 0);
}

std::string_view Session::reason() const {
    return reason_;
}

} // namespace refserver
