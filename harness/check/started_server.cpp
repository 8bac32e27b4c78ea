#include "harness/check/started_server.hpp"

#include "harness/check/connect.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/interrupt.hpp"

#include <fmt/format.h>

#include <csignal>
#include <poll.h>
#include <sys/socket.h>

namespace harness::check {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto stop_grace = 2s;
constexpr std::size_t shown_words = 500;

bool replace(std::string& text, std::string_view what, const std::string& by) {
    bool found = false;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
        text.replace(at, what.size(), by);
        found = true;
    }
    return found;
}

} // namespace

StartedServer::StartedServer(std::string command, std::optional<nbd::Uri> uri, Workspace& workspace)
  : command_(std::move(command))
  , folder_(workspace.make_folder("server")) {
    const std::string export_name = uri ? uri->export_name : "";
    if (command_.find("{socket}") != std::string::npos) {
        listening_ = Listening::socket;
    } else if (command_.find("{port}") != std::string::npos) {
        listening_ = Listening::port;
    } else if (!uri) {
        listening_ = Listening::activation;
    }
    if (uri) {
        uri_ = *uri;
    }
    if (listening_ == Listening::socket || listening_ == Listening::activation) {
        uri_.transport = nbd::Uri::Transport::unix_socket;
        uri_.socket = (folder_ / "s").string();
    } else if (listening_ == Listening::port) {
        uri_.transport = nbd::Uri::Transport::tcp;
        uri_.host = "127.0.0.1";
        uri_.port = ReservedPort().number();
    }
    replace(command_, "{socket}", uri_.socket);
    replace(command_, "{port}", std::to_string(uri_.port));
    const std::string control = (folder_ / "c").string();
    if (replace(command_, "{control}", control)) {
        control_.transport = nbd::Uri::Transport::unix_socket;
        control_.socket = control;
    }
}

StartedServer::~StartedServer() {
    stop();
}

bool StartedServer::answers(std::chrono::milliseconds patience) const {
    return connect_to(uri_, Clock::now() + patience).problem.empty();
}

void StartedServer::stop() {
    if (process_) {
        // With grace: what has become a daemon has to be told by whoever started it.
        process_->stop(stop_grace);
        process_.reset();
    }
}

void StartedServer::start(std::chrono::milliseconds patience) {
    const bool again = process_ != nullptr;
    stop();
    if (listening_ == Listening::by_itself || listening_ == Listening::port) {
        const auto gone = Clock::now() + patience;
        while (answers(20ms)) {
            if (Clock::now() >= gone) {
                throw NotStarted(
                    fmt::format("something else takes connections at {} already", server_text(uri_)));
            }
            interrupt::poll_until({}, Clock::now() + 20ms);
        }
        // A server that died has left its socket behind, over which many servers stumble.
        if (again && std::filesystem::is_socket(uri_.socket)) {
            std::filesystem::remove(uri_.socket);
        }
    }
    Launch launch;
    launch.argv = {"/bin/sh", "-c", "exec " + command_};
    launch.log = folder_ / "log";
    Listener listener;
    if (listening_ == Listening::socket || listening_ == Listening::activation) {
        std::filesystem::remove(uri_.socket);
    }
    if (listening_ == Listening::activation) {
        listener = listen_unix(uri_.socket);
        launch.listen_fd = listener.fd.get();
    }
    try {
        process_ = std::make_unique<Process>(Process::start(launch));
    } catch (const LaunchError& error) {
        throw NotStarted(error.what());
    }
    const auto deadline = Clock::now() + patience;
    for (auto pause = 1ms;; pause = std::min(2 * pause, 20ms)) {
        if (const auto exit = ended(0ms)) {
            throw NotStarted(fmt::format("'{}' {} before it took connections: {}", command_, exit->describe(),
                                         last_words()));
        }
        if (const Connected connected = connect_to(uri_, deadline); connected.problem.empty()) {
            // It may listen long before it serves anybody, or the kernel took the connection for it.
            pollfd watched[] = {{connected.socket.get(), POLLIN, 0},
                                {process_->exit_descriptor(), POLLIN, 0}};
            interrupt::poll_until(watched, deadline);
            if ((watched[1].revents & POLLIN) == 0) {
                return;
            }
            continue; // it has ended, which is told above
        }
        if (Clock::now() >= deadline) {
            throw NotStarted(
                fmt::format("'{}' runs, but takes no connections at {}", command_, server_text(uri_)));
        }
        interrupt::poll_until({}, std::min(Clock::now() + pause, deadline));
    }
}

void StartedServer::shut_down() {
    if (process_) {
        process_->kill_group(SIGTERM);
    }
}

std::string StartedServer::resize(const std::string& export_name, std::uint64_t bytes,
                                  std::chrono::milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    const Connected connected = connect_to(control_, deadline);
    if (!connected.problem.empty()) {
        return connected.problem;
    }
    const std::string line = fmt::format("resize {} {}\n", export_name, bytes);
    if (::send(connected.socket.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(line.size())) {
        return "the control socket takes no line";
    }
    std::string answer;
    char part[256];
    while (answer.find('\n') == std::string::npos && Clock::now() < deadline) {
        pollfd watched[] = {{connected.socket.get(), POLLIN, 0}};
        interrupt::poll_until(watched, deadline);
        const ssize_t size = ::recv(connected.socket.get(), part, sizeof part, 0);
        if (size == 0) {
            break;
        }
        answer.append(part, size > 0 ? static_cast<std::size_t>(size) : 0);
    }
    return answer == "ok\n" ? "" : fmt::format("the control socket says '{}'", answer);
}

std::optional<Exit> StartedServer::ended(std::chrono::milliseconds time) {
    return process_ ? process_->wait_for(time) : std::nullopt;
}

std::string StartedServer::last_words() const {
    return process_ ? process_->error_tail(shown_words) : "";
}

} // namespace harness::check
