#include "faults/tests/stage.hpp"

#include "reference-server/backend/operation.hpp"
#include "reference-server/backend/sparse_memory.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

namespace faults::testing {
namespace {

constexpr std::size_t sector = 512;

std::shared_ptr<refserver::Export> make_export(const Setting& setting, refserver::BufferPool& pool) {
    auto backend = std::make_shared<refserver::SparseMemory>(
        disk_size, std::make_shared<refserver::MemoryBudget>(std::int64_t{2} * disk_size));
    refserver::Operation write;
    write.kind = refserver::Operation::Kind::write;
    write.length = disk_size / 8;
    write.buffer = pool.take(write.length);
    for (std::size_t i = 0; i < write.length; ++i) {
        const bool full = i / sector % 2 == 0;
        write.buffer.data()[i] = static_cast<std::uint8_t>(full ? i % 251 + 1 : 0);
    }
    backend->perform(write);
    refserver::ExportOptions options;
    options.name = "disk";
    options.description = "for tests";
    options.read_only = setting.read_only;
    options.advertise_block_size = setting.tell_block_sizes;
    return std::make_shared<refserver::Export>(options, backend);
}

/// Enough of the bytes to tell two of them apart.
std::string digest(const nbd::Buffer& bytes) {
    return std::to_string(bytes.size()) + ':' +
           std::to_string(
               std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) +
           ' ';
}

} // namespace

Stage::Stage(const Recipe& recipe, const Setting& setting)
  : export_(make_export(setting, pool_))
  , catalogue_(export_)
  , exchange_(recipe.make())
  , judge_(*this, sizes_) {
    options_.handshake = setting.handshake;
    session_ = std::make_unique<refserver::Session>(options_, catalogue_, pool_, trace_);
    settle();
}

Stage::~Stage() = default;

Stage& Stage::say(const nbd::Buffer& bytes) {
    if (!over_) {
        seen_by_client_ += "| ";
        judge_.feed(wire::Side::client, bytes);
        exchange_.receive(Side::client, bytes);
        settle();
    }
    return *this;
}

void Stage::leave() {
    if (!over_) {
        seen_by_client_ += "leaves ";
        judge_.end(wire::Side::client, wire::End::closed);
        exchange_.end(Side::client);
        settle();
    }
}

void Stage::violation(const wire::Violation& violation) {
    if (violation.by == wire::Side::server) {
        broken_.insert(std::string(violation.requirement));
        explained_.push_back(std::string(violation.requirement) + ": " + violation.what);
    }
}

void Stage::settle() {
    do {
        serve();
    } while (to_client() || to_server());
}

void Stage::serve() {
    std::array<iovec, 64> vectors{};
    nbd::Buffer output;
    do {
        while (refserver::Operation* operation = session_->next_operation()) {
            session_->served().perform(*operation);
            session_->complete(*operation);
        }
        const std::size_t count = session_->output().gather(vectors);
        std::uint64_t size = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const auto* from = static_cast<const std::uint8_t*>(vectors.at(i).iov_base);
            output.insert(output.end(), from, from + vectors.at(i).iov_len);
            size += vectors.at(i).iov_len;
        }
        session_->sent(size);
    } while (!session_->output().empty());
    if (!output.empty()) {
        exchange_.receive(Side::server, output);
    }
    if (session_->finished() && !std::exchange(server_ended_, true)) {
        exchange_.end(Side::server);
    }
}

bool Stage::to_server() {
    auto& steps = exchange_.steps(Side::server);
    const bool any = !steps.empty();
    while (!steps.empty()) {
        const Step step = std::move(steps.front());
        steps.pop_front();
        if (const auto* const send = std::get_if<Send>(&step)) {
            seen_by_server_ += digest(send->bytes);
            nbd::Bytes input = send->bytes;
            while (!input.empty() && !session_->finished() && session_->wants_input()) {
                std::size_t taken = 0;
                for (const iovec& space : session_->input_space()) {
                    const std::size_t part = std::min(space.iov_len, input.size());
                    if (part != 0) {
                        std::memcpy(space.iov_base, input.data(), part);
                    }
                    input = input.subspan(part);
                    taken += part;
                }
                session_->received(taken);
                serve();
            }
        } else if (!std::holds_alternative<Pause>(step) && !session_->finished()) {
            session_->end_of_input();
        }
    }
    return any;
}

void Stage::look_for_greeting(const nbd::Buffer& bytes) {
    constexpr std::size_t size = nbd::wire_size<nbd::NewstyleGreeting>;
    if (greeting_.size() < size) {
        greeting_.insert(greeting_.end(), bytes.begin(), bytes.end());
        if (greeting_.size() >= size) {
            offered_ = nbd::detail::load_big<std::uint16_t>(greeting_.data() + size - sizeof offered_);
        }
    }
}

bool Stage::to_client() {
    auto& steps = exchange_.steps(Side::client);
    const bool any = !steps.empty();
    while (!steps.empty()) {
        const Step step = std::move(steps.front());
        steps.pop_front();
        if (const auto* const send = std::get_if<Send>(&step)) {
            seen_by_client_ += digest(send->bytes) + (send->piece == 0 ? "" : "in pieces ");
            judge_.feed(wire::Side::server, send->bytes);
            look_for_greeting(send->bytes);
        } else if (const auto* const pause = std::get_if<Pause>(&step)) {
            seen_by_client_ += "pause " + std::to_string(pause->time.count()) + ' ';
        } else if (!over_) {
            over_ = true;
            const bool reset = std::holds_alternative<Reset>(step);
            seen_by_client_ += reset ? "reset " : "end ";
            judge_.end(wire::Side::server, reset ? wire::End::reset : wire::End::closed);
        }
    }
    return any;
}

} // namespace faults::testing
