#include "reference-server/net/control.hpp"

#include "reference-server/backend/backend.hpp"
#include "reference-server/net/reactor.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <functional>
#include <memory>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>
#include <utility>

namespace refserver {
namespace {

constexpr std::size_t most_connections = 256;

/// Somebody who sends lines. While answers wait to be taken, no further lines are read.
class Controller : public EventSource {
  public:
    Controller(Reactor& reactor, Descriptor socket, ExportCatalogue& catalogue,
               std::function<void(Controller&)> on_closed)
      : reactor_(reactor)
      , socket_(std::move(socket))
      , catalogue_(catalogue)
      , on_closed_(std::move(on_closed)) {
        reactor_.add(socket_.get(), interest_, *this);
    }
    ~Controller() override { reactor_.remove(socket_.get()); }
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;

    void on_events(std::uint32_t /*events*/) override {
        if (closed_) {
            return;
        }
        if (!flush() || (output_.empty() && !read_lines())) {
            closed_ = true;
            on_closed_(*this);
            return;
        }
        const std::uint32_t wanted = output_.empty() ? EPOLLIN : EPOLLOUT;
        if (wanted != interest_) {
            interest_ = wanted;
            reactor_.modify(socket_.get(), wanted, *this);
        }
    }

  private:
    /// False if the connection is over.
    bool flush() {
        while (!output_.empty()) {
            const ssize_t sent = ::send(socket_.get(), output_.data(), output_.size(), MSG_NOSIGNAL);
            if (sent < 0) {
                return errno == EAGAIN || errno == EINTR;
            }
            output_.erase(0, static_cast<std::size_t>(sent));
        }
        return true;
    }

    /// False if the connection is over.
    bool read_lines() {
        std::array<char, 4096> part;
        const ssize_t got = ::read(socket_.get(), part.data(), part.size());
        if (got <= 0) {
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        }
        input_.append(part.data(), static_cast<std::size_t>(got));
        std::size_t begin = 0;
        for (std::size_t end = input_.find('\n'); end != std::string::npos; end = input_.find('\n', begin)) {
            output_ += obey(catalogue_, std::string_view(input_).substr(begin, end - begin)) + '\n';
            begin = end + 1;
        }
        input_.erase(0, begin);
        if (input_.size() > ControlSocket::longest_line) {
            output_ += "error the line is too long\n";
            (void)flush();
            return false;
        }
        return flush();
    }

    Reactor& reactor_;
    const Descriptor socket_;
    ExportCatalogue& catalogue_;
    const std::function<void(Controller&)> on_closed_;
    std::uint32_t interest_ = EPOLLIN;
    std::string input_;
    std::string output_;
    bool closed_ = false;
};

std::string error(std::string_view text) {
    return fmt::format("error {}", text);
}

std::string resize(ExportCatalogue& catalogue, std::string_view arguments) {
    const auto space = arguments.rfind(' ');
    if (space == std::string_view::npos) {
        return error("write: resize EXPORT BYTES");
    }
    const std::string_view number = arguments.substr(space + 1);
    std::uint64_t size = 0;
    const auto [end, wrong] = std::from_chars(number.data(), number.data() + number.size(), size);
    if (wrong != std::errc{} || end != number.data() + number.size()) {
        return error("the last word is no number of bytes; write: resize EXPORT BYTES");
    }
    const auto [served, why_not] = catalogue.find(arguments.substr(0, space));
    if (!served) {
        return error(why_not);
    }
    const auto problem = served->resize_from_outside(size);
    return problem ? error(*problem) : "ok";
}

std::string size(ExportCatalogue& catalogue, std::string_view name) {
    const auto [served, why_not] = catalogue.find(name);
    if (!served) {
        return error(why_not);
    }
    served->backend().look_again();
    served->refresh();
    return std::to_string(served->size());
}

} // namespace

std::string obey(ExportCatalogue& catalogue, std::string_view line) {
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    const auto space = line.find(' ');
    const std::string_view verb = line.substr(0, space);
    const std::string_view rest =
        space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
    try {
        if (verb == "resize") {
            return resize(catalogue, rest);
        }
        if (verb == "size") {
            return size(catalogue, rest);
        }
    } catch (const std::exception& problem) {
        return error(problem.what());
    }
    return error("there are two commands: resize EXPORT BYTES, and size EXPORT");
}

class ControlSocket::Implementation : public EventSource {
  public:
    Implementation(const std::string& path, ExportCatalogue& catalogue)
      : listener_(listen_unix(path))
      , catalogue_(catalogue) {
        reactor_.add(listener_.socket.get(), EPOLLIN, *this);
        thread_ = std::thread([this] { reactor_.run(); });
    }

    ~Implementation() override {
        reactor_.stop();
        thread_.join();
        ::unlink(listener_.unix_path.c_str());
    }
    Implementation(const Implementation&) = delete;
    Implementation& operator=(const Implementation&) = delete;

    void on_events(std::uint32_t /*events*/) override {
        Descriptor socket(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        // Who is one too many sees the connection close.
        if (!socket.valid() || controllers_.size() >= most_connections) {
            return;
        }
        auto controller =
            std::make_shared<Controller>(reactor_, std::move(socket), catalogue_, [this](Controller& closed) {
                const auto found = controllers_.find(&closed);
                reactor_.retire(std::move(found->second));
                controllers_.erase(found);
            });
        controllers_.emplace(controller.get(), std::move(controller));
    }

  private:
    Listener listener_;
    ExportCatalogue& catalogue_;
    Reactor reactor_;
    std::unordered_map<Controller*, std::shared_ptr<Controller>> controllers_;
    std::thread thread_;
};

ControlSocket::ControlSocket(const std::string& path, ExportCatalogue& catalogue)
  : implementation_(std::make_unique<Implementation>(path, catalogue)) {}

ControlSocket::~ControlSocket() = default;

} // namespace refserver
