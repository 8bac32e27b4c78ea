#include "harness/run/judged_server.hpp"

#include "harness/run/case_end.hpp"

#include <fmt/format.h>

#include <csignal>
#include <utility>

namespace harness {
namespace {

using reports::Party;
using reports::Verdict;

constexpr std::chrono::seconds start_patience{10};
/// How long a server may take to close connections whose clients have left.
constexpr std::chrono::milliseconds close_patience{200};

std::chrono::steady_clock::time_point in(std::chrono::milliseconds time) {
    return std::chrono::steady_clock::now() + time;
}

} // namespace

JudgedServer::JudgedServer(ServerInstance& server, std::filesystem::path scratch, std::filesystem::path logs,
                           const std::string& title, bool judged)
  : server_(server)
  , scratch_(std::move(scratch))
  , logs_(std::move(logs))
  , judged_(judged)
  , wire_(logs_ / "wire.transcript", title) {}

void JudgedServer::need() {
    if (!server_.running()) {
        try {
            server_.start(logs_, in(start_patience));
        } catch (const ServerFailed& failure) {
            throw PeerTrouble(failure.how() == ServerFailed::How::hangs ? Verdict::timeout : Verdict::crash,
                              Party::server, failure.what());
        }
        if (tap_) {
            tap_->forward_to(server_.address());
        }
    }
    if (!tap_ && judged_) {
        tap_ = std::make_unique<Tap>(server_.address(), scratch_ / "t", wire_);
    }
}

void JudgedServer::check(std::chrono::milliseconds patience) {
    if (const std::optional<Exit> exit = server_.ended(patience)) {
        const std::string words = server_.last_words();
        throw PeerTrouble(
            Verdict::crash, Party::server,
            fmt::format("the server {}{}{}", exit->describe(), words.empty() ? "" : ": ", words));
    }
}

void JudgedServer::stop() {
    wire_.interfere();
    const bool was_running = server_.running();
    const Exit exit = server_.stop();
    if (was_running && exit.signal != 0 && exit.signal != SIGTERM && exit.signal != SIGKILL) {
        throw PeerTrouble(Verdict::crash, Party::server,
                          fmt::format("the server {} when it was asked to end", exit.describe()));
    }
}

void JudgedServer::kill() {
    wire_.interfere();
    server_.kill();
}

void JudgedServer::wait_idle() {
    if (tap_) {
        tap_->wait_idle(in(close_patience));
    }
}

Address JudgedServer::address() const {
    return tap_ ? tap_->address() : server_.address();
}

std::string JudgedServer::uri(const std::optional<std::string>& export_name) const {
    return server_.uri(export_name, address());
}

const WireRecord& JudgedServer::record() {
    tap_.reset();
    return wire_;
}

} // namespace harness
