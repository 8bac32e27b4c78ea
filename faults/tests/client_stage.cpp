#include "faults/tests/client_stage.hpp"

#include "faults/relay.hpp"
#include "harness/wire/judge.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace faults::testing {
namespace {

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return address;
}

int connect_to(const std::string& path) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(path);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(socket);
        return -1;
    }
    return socket;
}

/// Forwards the bytes of one connection to their end.
class Forwarder : public wire::JudgeObserver {
  public:
    Forwarder(int client, int server)
      : sockets_{client, server}
      , judge_(*this, sizes_) {}
    ~Forwarder() override {
        ::close(sockets_[0]);
        ::close(sockets_[1]);
    }

    void run() {
        while (!ended_[0] || !ended_[1]) {
            std::array<pollfd, 2> waiting{};
            for (std::size_t i = 0; i < 2; ++i) {
                waiting[i] = {ended_[i] ? -1 : sockets_[i], POLLIN, 0};
            }
            ::poll(waiting.data(), waiting.size(), -1);
            for (std::size_t i = 0; i < 2; ++i) {
                if (waiting[i].revents != 0) {
                    forward(i);
                }
            }
        }
    }
    void violation(const wire::Violation& found) override {
        if (found.by == wire::Side::client) {
            broken.emplace(found.requirement);
            details.push_back(std::string(found.requirement) + ": " + found.what);
        }
    }

    nbd::Buffer sent;
    std::set<std::string> broken;
    std::vector<std::string> details;

  private:
    void forward(std::size_t from) {
        const wire::Side side = from == 0 ? wire::Side::client : wire::Side::server;
        const std::size_t to = 1 - from;
        std::array<std::uint8_t, 65536> bytes{};
        const ssize_t count = ::recv(sockets_[from], bytes.data(), bytes.size(), 0);
        if (count <= 0) {
            ended_[from] = true;
            judge_.end(side, count < 0 ? wire::End::reset : wire::End::closed);
            ::shutdown(sockets_[to], SHUT_WR);
            return;
        }
        const nbd::Bytes part = nbd::Bytes(bytes).first(static_cast<std::size_t>(count));
        judge_.feed(side, part);
        if (from == 0) {
            sent.insert(sent.end(), part.begin(), part.end());
        }
        for (std::size_t done = 0; done < part.size();) {
            const ssize_t some = ::send(sockets_[to], part.data() + done, part.size() - done, MSG_NOSIGNAL);
            if (some < 0) {
                return; // that side is gone, which is seen when it is read
            }
            done += static_cast<std::size_t>(some);
        }
    }

    int sockets_[2];
    bool ended_[2] = {false, false};
    wire::KnownSizes sizes_;
    wire::Judge judge_;
};

/// Takes connections in a thread of its own, and forwards each in another one.
class Between {
  public:
    Between(std::string path, std::string server, const Recipe& twist)
      : server_(std::move(server))
      , twist_(twist)
      , listening_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const sockaddr_un address = address_of(path);
        constexpr int backlog = 16;
        if (::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listening_, backlog) != 0) {
            throw std::runtime_error(std::strerror(errno));
        }
        acceptor_ = std::thread([this] { accept(); });
    }
    ~Between() { finish(); }
    Between(const Between&) = delete;
    Between& operator=(const Between&) = delete;

    /// Waits until all connections have ended.
    std::vector<std::unique_ptr<Forwarder>>& finish() {
        if (acceptor_.joinable()) {
            ::shutdown(listening_, SHUT_RDWR);
            acceptor_.join();
            for (std::thread& thread : threads_) {
                thread.join();
            }
            ::close(listening_);
        }
        return forwarders_;
    }

  private:
    void accept() {
        for (;;) {
            const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
            if (client < 0) {
                return;
            }
            const int server = interpose(connect_to(server_), twist_, Side::client);
            Forwarder& forwarder = *forwarders_.emplace_back(std::make_unique<Forwarder>(client, server));
            threads_.emplace_back([&forwarder] { forwarder.run(); });
        }
    }

    const std::string server_;
    const Recipe twist_;
    int listening_;
    std::thread acceptor_;
    std::vector<std::thread> threads_;
    std::vector<std::unique_ptr<Forwarder>> forwarders_;
};

} // namespace

Server::Server()
  : process_({NBD_BIN_DIR "/nbd-resize-server", "--memory", "8G", "--description", "for tests", "--unix",
              folder_.file("server")}) {
    const bool up = refclient::testing::eventually([&] {
        const int socket = connect_to(folder_.file("server"));
        if (socket >= 0) {
            ::close(socket);
        }
        return socket >= 0;
    });
    if (!up) {
        throw std::runtime_error("the server does not come up");
    }
}

Seen see(const Server& server, const Recipe& twist, const Talk& talk, const refclient::Options& options) {
    const refclient::testing::TemporaryFolder folder;
    Between between(folder.file("between"), server.socket(), twist);
    nbd::Uri uri;
    uri.transport = nbd::Uri::Transport::unix_socket;
    uri.host.clear();
    uri.socket = folder.file("between");
    Seen seen;
    seen.outcome = talk(uri, options);
    for (const auto& forwarder : between.finish()) {
        ++seen.connections;
        seen.sent.insert(seen.sent.end(), forwarder->sent.begin(), forwarder->sent.end());
        seen.broken.insert(forwarder->broken.begin(), forwarder->broken.end());
        seen.details.insert(seen.details.end(), forwarder->details.begin(), forwarder->details.end());
    }
    return seen;
}

} // namespace faults::testing
