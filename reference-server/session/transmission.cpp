#include "reference-server/session/transmission.hpp"

#include "protocol/describe.hpp"
#include "reference-server/backend/backend.hpp"
#include "reference-server/session/extents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace refserver {
namespace {

using nbd::Command;
namespace flag = nbd::command_flag;

/// Further requests wait while this many are in progress,
constexpr std::size_t most_in_progress = 1024;
/// or while this many bytes wait to be sent, whether or not they take memory of their own.
constexpr std::uint64_t most_output = std::uint64_t{64} << 20;
/// From this size on a payload is large.
constexpr std::uint64_t large_payload = std::uint64_t{64} << 10;
/// Requests that are kept for reuse.
constexpr std::size_t most_spare = 256;

Operation::Kind kind_of(Command command) {
    switch (command) {
    case Command::write:
        return Operation::Kind::write;
    case Command::flush:
        return Operation::Kind::flush;
    case Command::trim:
        return Operation::Kind::trim;
    case Command::cache:
        return Operation::Kind::cache;
    case Command::write_zeroes:
        return Operation::Kind::zero;
    case Command::block_status:
        return Operation::Kind::status;
    case Command::resize:
        return Operation::Kind::resize;
    default:
        return Operation::Kind::read;
    }
}

} // namespace

Transmission::Transmission(const SessionOptions& options, Agreement agreement, BufferPool& pool,
                           OutputQueue& output, const Trace& trace, std::function<void()> wake)
  : options_(options)
  , agreement_(std::move(agreement))
  , header_style_(agreement_.style == ReplyStyle::extended ? nbd::HeaderStyle::extended
                                                           : nbd::HeaderStyle::compact)
  , pool_(pool)
  , output_(output)
  , trace_(trace)
  , replies_(agreement_.style, output, trace, agreement_.served->rules().faults)
  , wake_(std::move(wake)) {}

Transmission::~Transmission() {
    abandon();
}

bool Transmission::has_room() const {
    return held_ + output_.held() < options_.memory_limit && output_.size() < most_output;
}

bool Transmission::saturated() const {
    return in_progress_ >= most_in_progress || !has_room();
}

std::size_t Transmission::consume(nbd::Bytes input) {
    if (late_refusal_) {
        return consume_skipped(input);
    }
    if (receiving_) {
        const auto space = payload_space();
        const std::size_t part = std::min(space.size(), input.size());
        std::memcpy(space.data(), input.data(), part);
        payload_received(part);
        return part;
    }
    const std::size_t header_size = nbd::request_header_size(header_style_);
    if (closing_ || input.size() < header_size || saturated()) {
        return 0;
    }
    if (subscription_ && has(Fault::subscription_blocks)) {
        return 0;
    }
    auto request = nbd::decode_request(input, header_style_);
    if (!request) {
        close(fmt::format("not a request: {}", request.error().describe()));
        return header_size;
    }
    if (trace_) {
        trace_("> " + nbd::describe(*request));
    }
    if (header_style_ == nbd::HeaderStyle::extended && request->type == Command::write &&
        (request->flags & nbd::command_flag::payload_len) == 0) {
        // Without the flag no payload should follow, but released qemu clients send it all the same.
        if (trace_) {
            trace_("the client breaks the specification: NBD_CMD_WRITE lacks NBD_CMD_FLAG_PAYLOAD_LEN");
        }
        request->flags |= nbd::command_flag::payload_len;
    }
    begin(*request);
    return header_size;
}

void Transmission::begin(const nbd::Request& request) {
    if (request.type == Command::disc) {
        if (subscription_ && has(Fault::disconnect_answered)) {
            replies_.success(subscription_->request);
        }
        client_left_ = true;
        return close("the client disconnected");
    }
    if (request.type == Command::resize && has(Fault::unannounced_drops) &&
        !agreement_.offers(nbd::transmission_flag::send_resize)) {
        return close("NBD_CMD_RESIZE was not announced");
    }
    const std::uint64_t payload = nbd::payload_length(request, header_style_);
    // The limit that extended headers set for payloads is the advertised one; compact ones leave it open.
    const std::uint64_t most_payload =
        header_style_ == nbd::HeaderStyle::extended
            ? agreement_.served->options().block.maximum
            : std::max<std::uint64_t>(max_drained_write, agreement_.served->options().block.maximum);
    if (payload > most_payload) {
        return close(fmt::format("a payload of {} bytes is too much", payload));
    }
    auto refusal = shutting_down_ ? Refusal{nbd::Error::shutdown, "the server is being shut down"}
                                  : check(request, agreement_);
    if (!refusal && request.type == Command::block_status && payload > max_option_payload) {
        refusal = Refusal{nbd::Error::inval, "the payload is longer than there are metadata contexts"};
    }
    if (refusal && payload != 0) {
        return skip_payload(request, payload, std::move(*refusal));
    }
    if (refusal) {
        return refuse(request, *refusal);
    }
    if (payload != 0) {
        return begin_payload(request, payload);
    }
    if (request.type == Command::resize) {
        return begin_resize(request);
    }
    auto flight = take_slot(request);
    if (request.type == Command::block_status) {
        for (const ActiveContext& context : agreement_.contexts) {
            flight->contexts.push_back(context.id);
        }
    }
    start(std::move(flight));
}

void Transmission::begin_payload(const nbd::Request& request, std::uint64_t size) {
    receiving_ = take_slot(request);
    receiving_->buffer = pool_.take(size);
    held_ += receiving_->buffer.size();
    payload_filled_ = 0;
    expects_large_payloads_ = size >= large_payload;
}

std::span<std::uint8_t> Transmission::payload_space() const {
    return receiving_ ? receiving_->buffer.bytes().subspan(payload_filled_) : std::span<std::uint8_t>{};
}

void Transmission::payload_received(std::size_t size) {
    payload_filled_ += size;
    if (payload_filled_ == receiving_->buffer.size()) {
        payload_complete();
    }
}

void Transmission::payload_complete() {
    auto flight = std::move(receiving_);
    if (flight->request.type == Command::write) {
        return start(std::move(flight));
    }
    const PooledBuffer payload = std::move(flight->buffer);
    held_ -= payload.size();
    const auto query = nbd::decode<nbd::BlockStatusQuery>(payload.bytes());
    std::optional<Refusal> refusal;
    if (!query) {
        refusal = Refusal{nbd::Error::inval, query.error().describe()};
    } else if (query->contexts.empty() || query->effect_length == 0) {
        refusal = Refusal{nbd::Error::inval, "the payload names no metadata context or no length"};
    } else {
        flight->length = query->effect_length;
        flight->contexts = query->contexts;
        refusal = check_range(Command::block_status, flight->offset, flight->length, agreement_);
    }
    for (std::size_t i = 0; i < flight->contexts.size() && !refusal; ++i) {
        const std::uint32_t id = flight->contexts[i];
        const auto earlier_end = flight->contexts.begin() + static_cast<std::ptrdiff_t>(i);
        if (std::find(agreement_.contexts.begin(), agreement_.contexts.end(), ActiveContext{id}) ==
            agreement_.contexts.end()) {
            refusal = Refusal{nbd::Error::inval, fmt::format("the metadata context {} was not selected", id)};
        } else if (std::find(flight->contexts.begin(), earlier_end, id) != earlier_end) {
            refusal = Refusal{nbd::Error::inval, fmt::format("the metadata context {} is named twice", id)};
        }
    }
    if (refusal) {
        refuse(flight->request, *refusal);
        spare_.push_back(std::move(flight));
        return;
    }
    start(std::move(flight));
}

void Transmission::skip_payload(const nbd::Request& request, std::uint64_t size, Refusal refusal) {
    skipped_ = request;
    to_skip_ = size;
    late_refusal_ = std::move(refusal);
}

std::size_t Transmission::consume_skipped(nbd::Bytes input) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), to_skip_));
    to_skip_ -= part;
    if (to_skip_ == 0) {
        refuse(skipped_, *std::exchange(late_refusal_, std::nullopt));
    }
    return part;
}

std::unique_ptr<Transmission::InFlight> Transmission::take_slot(const nbd::Request& request) {
    std::unique_ptr<InFlight> flight;
    if (spare_.empty()) {
        flight = std::make_unique<InFlight>();
    } else {
        flight = std::move(spare_.back());
        spare_.pop_back();
        flight->error = nbd::Error::none;
        flight->size_changed = false;
        flight->exposed_zeroes = false;
        flight->message.clear();
        flight->pieces.clear();
        flight->extents.clear();
        flight->contexts.clear();
    }
    flight->request = request;
    flight->kind = kind_of(request.type);
    flight->offset = request.offset;
    flight->length = request.length;
    flight->fua = (request.flags & flag::fua) != 0;
    flight->no_hole = (request.flags & flag::no_hole) != 0;
    flight->fast = (request.flags & flag::fast_zero) != 0;
    flight->tell_holes = agreement_.style != ReplyStyle::simple && (request.flags & flag::df) == 0;
    flight->one_extent = (request.flags & flag::req_one) != 0;
    flight->may_extend = may_extend(request, agreement_);
    flight->exact_size = agreement_.style == ReplyStyle::simple || !agreement_.resize_info;
    flight->cause = this;
    return flight;
}

void Transmission::start(std::unique_ptr<InFlight> flight) {
    InFlight& started = *flight.release();
    ++in_progress_;
    const bool nothing_to_do = started.length == 0 && !started.may_extend &&
                               started.kind != Operation::Kind::flush &&
                               started.kind != Operation::Kind::resize;
    if (nothing_to_do) {
        replies_.success(started.request);
        return release(started);
    }
    if (started.kind == Operation::Kind::read) {
        started.read_end = started.end();
        return next_part(started);
    }
    ready_.push_back(&started);
}

void Transmission::next_part(InFlight& flight) {
    flight.length =
        std::min<std::uint64_t>(flight.read_end - flight.offset, agreement_.served->options().block.maximum);
    if (!agreement_.served->backend().lends_memory()) {
        flight.buffer = pool_.take(flight.length);
        held_ += flight.buffer.size();
    }
    ready_.push_back(&flight);
}

Operation* Transmission::next_operation() {
    if (!waiting_parts_.empty() && has_room()) {
        next_part(*waiting_parts_.front());
        waiting_parts_.pop_front();
    }
    if (ready_.empty()) {
        return nullptr;
    }
    Operation* operation = ready_.front();
    ready_.pop_front();
    return operation;
}

void Transmission::complete(Operation& operation) {
    auto& flight = static_cast<InFlight&>(operation);
    if (abandoned_) {
        return release(flight);
    }
    if (flight.error != nbd::Error::none) {
        replies_.error(flight.request, flight.error, flight.message);
        return release(flight);
    }
    switch (flight.kind) {
    case Operation::Kind::read:
        return answer_read(flight);
    case Operation::Kind::status:
        answer_status(flight);
        break;
    default:
        answer_changed_size(flight);
        break;
    }
    release(flight);
}

void Transmission::answer_read(InFlight& flight) {
    const bool last = flight.end() == flight.read_end;
    replies_.data(flight.request, flight, last);
    const bool buffer_used = std::any_of(flight.pieces.begin(), flight.pieces.end(),
                                         [](const Piece& piece) { return piece.data != nullptr; });
    held_ -= flight.buffer.size();
    if (buffer_used) {
        output_.keep(std::move(flight.buffer));
    }
    flight.buffer.reset();
    if (last) {
        return release(flight);
    }
    flight.offset += flight.length;
    flight.pieces.clear();
    waiting_parts_.push_back(&flight);
}

void Transmission::answer_status(InFlight& flight) {
    const std::uint64_t block = agreement_.served->options().block.minimum;
    const std::uint64_t most = agreement_.style == ReplyStyle::extended
                                   ? std::numeric_limits<std::uint64_t>::max()
                                   : std::numeric_limits<std::uint32_t>::max();
    const std::uint64_t unit = std::max<std::uint64_t>(block, nbd::default_min_block);
    // The export may have shrunk since the extents were looked up.
    const std::uint64_t size = std::max(agreement_.served->size(), flight.end());
    const ExtentRules rules{flight.offset, flight.length, size, block, most / unit * unit, flight.one_extent};
    const std::vector<Extent> extents = to_reply(flight.extents, rules);
    for (const std::uint32_t& context : flight.contexts) {
        replies_.status(flight.request, context, extents, &context == &flight.contexts.back());
    }
}

void Transmission::refuse(const nbd::Request& request, const Refusal& refusal) {
    replies_.error(request, refusal.error, refusal.message);
}

void Transmission::abandon() {
    abandoned_ = true;
    closing_ = true;
    end_subscription();
    for (auto* queue : {&ready_, &waiting_parts_}) {
        for (InFlight* flight : *queue) {
            release(*flight);
        }
        queue->clear();
    }
    receiving_.reset();
    late_refusal_.reset();
}

void Transmission::close(std::string reason) {
    closing_ = true;
    end_subscription();
    reason_ = std::move(reason);
}

void Transmission::release(InFlight& flight) {
    --in_progress_;
    held_ -= flight.buffer.size();
    flight.buffer.reset();
    std::unique_ptr<InFlight> owner(&flight);
    if (spare_.size() < most_spare) {
        spare_.push_back(std::move(owner));
    }
}

} // namespace refserver
