#include "harness/check/dialogue.hpp"

#include "harness/process/interrupt.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

namespace harness::check {
namespace {

/// Bytes of data that are kept of each message.
constexpr std::size_t kept_data = wire::TranscriptWriter::kept_data;

} // namespace

void WireLog::add(wire::TranscriptRecord record) {
    if (transcript.records.size() < most_records) {
        record.at = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
        transcript.records.push_back(std::move(record));
    }
}

/// Puts what the judge takes in into the log.
class Dialogue::Watch final : public wire::JudgeObserver {
  public:
    Watch(WireLog& log, std::uint32_t number)
      : log_(log)
      , number_(number)
      , judge_(*this, log.sizes) {}

    void violation(const wire::Violation& violation) override {
        if (violation.by == wire::Side::server) {
            log_.violations.push_back(violation);
        }
    }

    void took(wire::Side from, nbd::Bytes bytes, bool bulk) override {
        using Kind = wire::TranscriptRecord::Kind;
        if (!bulk) {
            return log_.add({.kind = Kind::bytes,
                             .connection = number_,
                             .side = from,
                             .bytes = {bytes.begin(), bytes.end()}});
        }
        const nbd::Bytes kept = bytes.first(std::min(bytes.size(), kept_data));
        log_.add(
            {.kind = Kind::data, .connection = number_, .side = from, .bytes = {kept.begin(), kept.end()}});
        if (kept.size() < bytes.size()) {
            log_.add({.kind = Kind::left_out,
                      .connection = number_,
                      .side = from,
                      .bytes = {},
                      .left_out = bytes.size() - kept.size()});
        }
    }

    wire::Judge& judge() { return judge_; }

  private:
    WireLog& log_;
    std::uint32_t number_;
    wire::Judge judge_;
};

Dialogue::Dialogue(UniqueFd socket, std::uint32_t number, WireLog& log)
  : socket_(std::move(socket))
  , number_(number)
  , log_(log)
  , watch_(std::make_unique<Watch>(log, number)) {
    log_.add({.kind = wire::TranscriptRecord::Kind::opened, .connection = number_, .bytes = {}});
}

Dialogue::~Dialogue() = default;

const wire::State& Dialogue::state() const {
    return watch_->judge().state();
}

void Dialogue::end(wire::End how) {
    if (silence_ == Silence::none) {
        silence_ = how == wire::End::reset ? Silence::reset : Silence::closed;
        watch_->judge().end(wire::Side::server, how);
        log_.add({.kind = wire::TranscriptRecord::Kind::ended,
                  .connection = number_,
                  .side = wire::Side::server,
                  .bytes = {},
                  .how = how});
    }
}

bool Dialogue::receive() {
    thread_local std::array<std::uint8_t, 256 * 1024> buffer;
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) {
        const nbd::Bytes bytes(buffer.data(), static_cast<std::size_t>(got));
        watch_->judge().feed(wire::Side::server, bytes);
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        received_ += bytes.size();
        if (received_ > most_received) {
            silence_ = Silence::flooded;
        }
        return true;
    }
    if (got == 0) {
        end(wire::End::closed);
        return true;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return false;
    }
    end(wire::End::reset);
    return true;
}

bool Dialogue::send(nbd::Bytes bytes, Clock::time_point deadline, std::size_t segment) {
    watch_->judge().feed(wire::Side::client, bytes);
    while (!bytes.empty()) {
        const std::size_t most = segment == 0 ? bytes.size() : std::min(segment, bytes.size());
        const ssize_t sent = ::send(socket_.get(), bytes.data(), most, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            while (silence_ == Silence::none && receive()) {
            }
            end(errno == ECONNRESET ? wire::End::reset : wire::End::closed);
            return false;
        }
        // A server may answer before it has taken everything, and wait until that is read.
        const bool listens = silence_ == Silence::none;
        pollfd watched{socket_.get(), static_cast<short>(POLLOUT | (listens ? POLLIN : 0)), 0};
        if (!interrupt::poll_until({&watched, 1}, deadline)) {
            return false;
        }
        if (listens && (watched.revents & POLLIN) != 0) {
            (void)receive();
        }
    }
    return true;
}

Silence Dialogue::next(Incoming& message, Clock::time_point deadline) {
    for (;;) {
        if (auto taken = take_message(bytes_, reading_)) {
            message = std::move(*taken);
            return Silence::none;
        }
        if (silence_ != Silence::none) {
            return silence_;
        }
        if (receive()) {
            continue;
        }
        pollfd watched{socket_.get(), POLLIN, 0};
        if (!interrupt::poll_until({&watched, 1}, deadline)) {
            return Silence::late;
        }
    }
}

void Dialogue::finish_sending() {
    if (!finished_) {
        finished_ = true;
        ::shutdown(socket_.get(), SHUT_WR);
        watch_->judge().end(wire::Side::client, wire::End::closed);
        log_.add({.kind = wire::TranscriptRecord::Kind::ended,
                  .connection = number_,
                  .side = wire::Side::client,
                  .bytes = {}});
    }
}

void Dialogue::reset() {
    const linger force{1, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &force, sizeof force);
    watch_->judge().end(wire::Side::client, wire::End::reset);
    watch_->judge().stop();
    socket_.reset();
    silence_ = Silence::reset;
    bytes_.clear();
}

} // namespace harness::check
