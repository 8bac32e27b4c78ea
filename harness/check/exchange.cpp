#include "harness/check/exchange.hpp"

#include "harness/check/connect.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace harness::check {

const char* name(Style style) {
    constexpr std::array names{"simple", "structured", "extended"};
    return names[static_cast<std::size_t>(style)];
}

std::string describe(Silence silence, std::chrono::milliseconds patience) {
    switch (silence) {
    case Silence::closed:
        return "the server closed the connection";
    case Silence::reset:
        return "the server reset the connection";
    case Silence::late:
        return fmt::format("nothing came for {:.1f} s", static_cast<double>(patience.count()) / 1000);
    case Silence::flooded:
        return "the server sent far more than was asked for";
    case Silence::none:
        break;
    }
    return "an answer came";
}

nbd::Buffer info_request(const std::string& export_name, std::vector<nbd::InfoType> types) {
    return nbd::encode(nbd::InfoRequest{export_name, std::move(types)});
}

nbd::Buffer context_request(const std::string& export_name, const std::vector<std::string>& queries) {
    nbd::MetaContextRequest request{export_name, {}};
    for (const std::string& query : queries) {
        request.queries.push_back({query});
    }
    return nbd::encode(request);
}

Exchange::Exchange(const nbd::Uri& uri, std::uint32_t number, WireLog& log,
                   std::chrono::milliseconds patience, Clock::time_point deadline)
  : patience_(patience)
  , deadline_(deadline) {
    Connected connected = connect_to(uri, until());
    problem_ = std::move(connected.problem);
    if (problem_.empty()) {
        dialogue_ = std::make_unique<Dialogue>(std::move(connected.socket), number, log);
    }
}

Clock::time_point Exchange::until() const {
    return std::min(deadline_, Clock::now() + patience_);
}

std::string Exchange::trouble(const std::string& awaited) const {
    return fmt::format("{} is due, but {}", awaited,
                       garbage_.empty() ? describe(silence_, patience_) : garbage_);
}

bool Exchange::next(Incoming& message) {
    if (!garbage_.empty()) {
        return false;
    }
    silence_ = dialogue_->next(message, until());
    if (silence_ != Silence::none) {
        return false;
    }
    if (const auto* garbage = std::get_if<Garbage>(&message)) {
        garbage_ = garbage->why;
        return false;
    }
    return true;
}

std::string Exchange::greet() {
    Incoming message;
    if (!next(message)) {
        return trouble("a greeting");
    }
    greeting_ = std::get<Greeting>(message);
    dialogue_->reading().phase = greeting_.newstyle ? Reading::Phase::haggling : Reading::Phase::transmission;
    return {};
}

std::string Exchange::haggle() {
    if (std::string why = greet(); !why.empty()) {
        return why;
    }
    if (!greeting_.newstyle) {
        return "the server speaks oldstyle, which has no options";
    }
    constexpr unsigned known = nbd::handshake_flag::fixed_newstyle | nbd::handshake_flag::no_zeroes;
    // Each client flag answers the handshake flag of the same bit.
    return send_client_flags(greeting_.handshake_flags & known) ? std::string()
                                                                : trouble("client flags to be taken");
}

std::string Exchange::enter(const Entrance& entrance) {
    if (std::string why = greet(); !why.empty()) {
        return why;
    }
    if (!greeting_.newstyle) {
        entered_size_ = greeting_.size;
        return entrance.style == Style::simple ? ""
                                               : "the server speaks oldstyle, which has simple replies only";
    }
    constexpr unsigned known = nbd::handshake_flag::fixed_newstyle | nbd::handshake_flag::no_zeroes;
    send_client_flags(greeting_.handshake_flags & known);
    const auto refused = [&](const OptionOutcome& outcome) {
        if (!outcome.complete) {
            return trouble(fmt::format("the answer to {}", nbd::name(outcome.option)));
        }
        return fmt::format("{} is answered by {}", nbd::name(outcome.option), outcome.describe());
    };
    if (entrance.style != Style::simple) {
        send_option(entrance.style == Style::extended ? nbd::Option::extended_headers
                                                      : nbd::Option::structured_reply);
        if (const OptionOutcome outcome = await_option(); !outcome.success()) {
            return refused(outcome);
        }
    }
    if (!entrance.contexts.empty()) {
        send_option(nbd::Option::set_meta_context, context_request(entrance.export_name, entrance.contexts));
        const OptionOutcome outcome = await_option();
        if (!outcome.success() || outcome.contexts().size() != entrance.contexts.size()) {
            return refused(outcome);
        }
        context_ = outcome.contexts().begin()->second;
    }
    if (entrance.by_export_name) {
        send_option(nbd::Option::export_name,
                    {reinterpret_cast<const std::uint8_t*>(entrance.export_name.data()),
                     entrance.export_name.size()});
    } else {
        send_option(nbd::Option::go,
                    info_request(entrance.export_name, {nbd::InfoType::block_size, nbd::InfoType::resize}));
    }
    const OptionOutcome outcome = await_option();
    if (!outcome.success()) {
        return refused(outcome);
    }
    const Fields told = outcome.fields(entrance.export_name, {});
    if (const auto size = told.find("export-size"); size != told.end()) {
        entered_size_ = size->second;
    }
    return {};
}

bool Exchange::send(nbd::Bytes bytes, std::size_t segment) {
    return dialogue_->send(bytes, until(), segment);
}

void Exchange::client_flags_sent(std::uint32_t flags) {
    client_flags_ = flags;
    dialogue_->reading().no_zeroes = (flags & nbd::client_flag::no_zeroes) != 0 &&
                                     (greeting_.handshake_flags & nbd::handshake_flag::no_zeroes) != 0;
}

bool Exchange::send_client_flags(std::uint32_t flags) {
    client_flags_sent(flags);
    return send(nbd::encode(nbd::ClientFlags{flags}));
}

void Exchange::option_sent(nbd::Option option) {
    options_.push_back(option);
    dialogue_->reading().awaits_export_name =
        dialogue_->reading().awaits_export_name || option == nbd::Option::export_name;
}

bool Exchange::send_option(nbd::Option option, nbd::Bytes data) {
    option_sent(option);
    nbd::Buffer bytes = nbd::encode(nbd::OptionRequest{option, static_cast<std::uint32_t>(data.size())});
    bytes.insert(bytes.end(), data.begin(), data.end());
    return send(bytes);
}

void Exchange::request_sent(const nbd::Request& request) {
    RequestOutcome outcome;
    outcome.request = request;
    outcome.subscription =
        request.type == nbd::Command::resize && (request.flags & nbd::command_flag::notify) != 0;
    requests_[request.cookie] = std::move(outcome);
    if (request.type == nbd::Command::read) {
        dialogue_->reading().read_lengths[request.cookie] = request.length;
    }
}

bool Exchange::send_request(const nbd::Request& request, nbd::Bytes data) {
    request_sent(request);
    nbd::Buffer bytes;
    nbd::encode_request_to(bytes, request, style_);
    bytes.insert(bytes.end(), data.begin(), data.end());
    return send(bytes);
}

OptionOutcome Exchange::await_option() {
    OptionOutcome outcome;
    outcome.option = options_.front();
    options_.erase(options_.begin());
    Incoming message;
    while (!outcome.complete && next(message)) {
        if (auto* reply = std::get_if<OptionAnswer>(&message)) {
            outcome.take(std::move(*reply));
            if (outcome.replies.size() >= most_messages) {
                silence_ = Silence::flooded;
                break;
            }
        } else if (const auto* entered = std::get_if<ExportEntered>(&message)) {
            outcome.entered = entered->reply;
            outcome.complete = true;
        }
    }
    if (outcome.success()) {
        switch (outcome.option) {
        case nbd::Option::extended_headers:
            style_ = nbd::HeaderStyle::extended;
            break;
        case nbd::Option::starttls:
            dialogue_->reading().phase = Reading::Phase::encrypted;
            break;
        case nbd::Option::go:
        case nbd::Option::export_name:
            dialogue_->reading().phase = Reading::Phase::transmission;
            break;
        default:
            break;
        }
    }
    return outcome;
}

bool Exchange::note(const Incoming& message) {
    const auto* simple = std::get_if<SimpleAnswer>(&message);
    const auto* chunk = std::get_if<ChunkAnswer>(&message);
    if (simple == nullptr && chunk == nullptr) {
        return false;
    }
    const auto found = requests_.find(simple != nullptr ? simple->reply.cookie : chunk->chunk.cookie);
    // A server that answers what nobody asked may not answer what was asked: nothing is gained by waiting for
    // it.
    if (found == requests_.end()) {
        garbage_ = "a reply with the cookie of no request came";
        return true;
    }
    if (found->second.complete && !found->second.subscription) {
        garbage_ = "a second reply to the same request came";
        return true;
    }
    if (chunk != nullptr && found->second.subscription) {
        notifications_[found->first].push_back(*chunk);
        return true;
    }
    simple != nullptr ? found->second.take(*simple) : found->second.take(*chunk);
    if (found->second.complete) {
        dialogue_->reading().read_lengths.erase(found->first);
    }
    return true;
}

void Exchange::take_next(RequestOutcome& outcome, std::deque<ChunkAnswer>& chunks) {
    if (!outcome.complete && !chunks.empty()) {
        outcome.take(chunks.front());
        chunks.pop_front();
    }
}

const RequestOutcome& Exchange::await_request(std::uint64_t cookie) {
    RequestOutcome& outcome = requests_[cookie];
    std::deque<ChunkAnswer>& notifications = notifications_[cookie];
    outcome.complete = outcome.complete && !outcome.subscription;
    take_next(outcome, notifications);
    Incoming message;
    for (std::size_t count = 0; !outcome.complete && next(message); ++count) {
        note(message);
        take_next(outcome, notifications);
        if (count >= most_messages) {
            silence_ = Silence::flooded;
            break;
        }
    }
    return outcome;
}

bool Exchange::await_all() {
    return std::ranges::all_of(requests_, [&](const auto& entry) {
        return entry.second.subscription || await_request(entry.first).complete;
    });
}

Silence Exchange::await_end() {
    Incoming message;
    for (std::size_t count = 0; next(message); ++count) {
        note(message);
        if (count >= most_messages) {
            return silence_ = Silence::flooded;
        }
    }
    return silence_;
}

bool Exchange::listen(std::chrono::milliseconds time) {
    Incoming message;
    const auto end = std::min(deadline_, Clock::now() + time);
    const Silence silence = dialogue_->next(message, end);
    if (silence == Silence::none) {
        note(message);
    }
    return silence != Silence::late;
}

const RequestOutcome& Exchange::take_request(std::uint64_t cookie) {
    RequestOutcome& outcome = requests_[cookie];
    outcome.complete = outcome.complete && !outcome.subscription;
    take_next(outcome, notifications_[cookie]);
    return outcome;
}

void Exchange::leave() {
    if (dialogue_ && !dialogue_->over() && garbage_.empty()) {
        if (in_transmission()) {
            nbd::Request request;
            request.type = nbd::Command::disc;
            request.cookie = new_cookie();
            nbd::Buffer bytes;
            nbd::encode_request_to(bytes, request, style_);
            dialogue_->send(bytes, Clock::now(), 0);
        } else if (dialogue_->reading().phase == Reading::Phase::haggling &&
                   (client_flags_ & nbd::client_flag::fixed_newstyle) != 0) {
            dialogue_->send(nbd::encode(nbd::OptionRequest{nbd::Option::abort, 0}), Clock::now(), 0);
        }
        dialogue_->finish_sending();
    }
}

} // namespace harness::check
