#include "harness/stacks/judged_server.hpp"

#include <fmt/format.h>

#include <csignal>

namespace harness {
namespace {

constexpr std::chrono::seconds start_patience{10};
/// How long a server may take to close connections whose clients have left.
constexpr std::chrono::milliseconds close_patience{200};

std::chrono::steady_clock::time_point in(std::chrono::milliseconds time) {
    return std::chrono::steady_clock::now() + time;
}

} // namespace

JudgedServer::JudgedServer(const Peer& peer, const ServerVariant& variant, const ServerPlace& place,
                           std::filesystem::path logs, const std::string& title, bool judged)
  : scratch_(place.scratch)
  , logs_(std::move(logs))
  , judged_(judged)
  , server_(peer, variant, false, place)
  , wire_(logs_ / "wire.transcript", title) {}

void JudgedServer::prepare(std::uint64_t size) {
    ExportSetup setup;
    setup.size = size;
    server_.prepare(setup);
}

void JudgedServer::need() {
    if (server_.running()) {
        return;
    }
    try {
        server_.start(logs_, in(start_patience));
    } catch (const ServerFailed& failure) {
        throw ServerTrouble(failure.how() == ServerFailed::How::hangs ? reports::Verdict::timeout
                                                                      : reports::Verdict::crash,
                            failure.what());
    }
    if (tap_) {
        tap_->forward_to(server_.address());
    } else if (judged_) {
        tap_ = std::make_unique<Tap>(server_.address(), scratch_ / "t", wire_);
    }
}

void JudgedServer::check(std::chrono::milliseconds patience) {
    if (const std::optional<Exit> exit = server_.ended(patience)) {
        const std::string words = server_.last_words();
        throw ServerTrouble(reports::Verdict::crash, fmt::format("the server {}{}{}", exit->describe(),
                                                                 words.empty() ? "" : ": ", words));
    }
}

void JudgedServer::stop() {
    if (!server_.running()) {
        return;
    }
    if (tap_) {
        tap_->wait_idle(in(close_patience));
    }
    wire_.interfere();
    const Exit exit = server_.stop();
    if (exit.signal != 0 && exit.signal != SIGTERM && exit.signal != SIGKILL) {
        throw ServerTrouble(reports::Verdict::crash,
                            fmt::format("the server {} when it was asked to end", exit.describe()));
    }
}

Address JudgedServer::address() const {
    return tap_ ? tap_->address() : server_.address();
}

std::string JudgedServer::uri() const {
    return server_.uri(std::nullopt, address());
}

std::vector<WireFinding> JudgedServer::findings() {
    tap_.reset();
    return wire_.findings();
}

} // namespace harness
