#include "harness/process/output.hpp"

#include "harness/process/errors.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace harness {
namespace {

namespace asio = boost::asio;

// The background thread and its context; made at first use, it lives until the program ends.
class Pump {
  public:
    static asio::io_context& context() {
        static Pump* const pump = new Pump; // never destroyed: the thread uses it to the very end
        return pump->context_;
    }

  private:
    Pump()
      : work_(asio::make_work_guard(context_)) {
        // The new thread inherits the mask: signals are for the threads of the program proper.
        sigset_t all, before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        std::thread([this] { context_.run(); }).detach();
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
};

class PumpedReader final : public OutputReader {
  public:
    PumpedReader(UniqueFd pipe, OutputSink& sink)
      : descriptor_(Pump::context())
      , sink_(sink) {
        set_nonblocking(pipe.get());
        descriptor_.assign(pipe.get());
        static_cast<void>(pipe.release());
    }

    void resume() override {
        if (waiting_ || !descriptor_.is_open())
            return;
        waiting_ = true;
        descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                               [self = std::static_pointer_cast<PumpedReader>(shared_from_this())](
                                   const boost::system::error_code&) { self->on_ready(); });
    }

    void drain() override {
        // Bounded, so that one talkative child keeps neither the others nor a deadline waiting.
        constexpr int max_reads = 32;
        char block[65536];
        for (int i = 0; i < max_reads && descriptor_.is_open(); ++i) {
            const ssize_t count = ::read(descriptor_.native_handle(), block, sizeof block);
            if (count > 0) {
                sink_.take({block, static_cast<std::size_t>(count)});
            } else if (count < 0 && errno == EINTR) {
                continue;
            } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
                return;
            } else {
                boost::system::error_code ignored;
                descriptor_.close(ignored);
            }
        }
    }

    [[nodiscard]] bool at_end() const override { return !descriptor_.is_open(); }

    [[nodiscard]] int descriptor() override {
        return descriptor_.is_open() ? descriptor_.native_handle() : -1;
    }

    void close() override {
        const auto guard = lock();
        drain();
        boost::system::error_code ignored;
        if (descriptor_.is_open())
            descriptor_.close(ignored);
    }

  private:
    void on_ready() {
        const auto guard = lock();
        waiting_ = false;
        if (held_ || !descriptor_.is_open())
            return;
        drain();
        resume();
    }

    // Asio's objects are not for several threads at once: all use of it is under the lock.
    asio::posix::stream_descriptor descriptor_;
    OutputSink& sink_;
    bool waiting_ = false;
};

} // namespace

std::shared_ptr<OutputReader> OutputReader::start(UniqueFd pipe, OutputSink& sink) {
    auto reader = std::make_shared<PumpedReader>(std::move(pipe), sink);
    const auto guard = reader->lock();
    reader->resume();
    return reader;
}

OutputReader::Hold::Hold(OutputReader& reader)
  : reader_(reader) {
    const auto guard = reader_.lock();
    reader_.held_ = true;
}

OutputReader::Hold::~Hold() {
    const auto guard = reader_.lock();
    reader_.held_ = false;
    reader_.resume();
}

LogFile::LogFile(const std::filesystem::path& path, std::uint64_t limit)
  : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644))
  , limit_(limit) {
    struct stat info {};
    if (!file_.valid() || ::fstat(file_.get(), &info) != 0)
        throw LaunchError(LaunchError::Reason::bad_log,
                          fmt::format("cannot open the log {}: {}", path.string(), error_text(errno)));
    begin_ = static_cast<std::uint64_t>(info.st_size);
}

void LogFile::take(std::string_view bytes) {
    const std::uint64_t room = limit_ - std::min(received_, limit_);
    const bool fits_now = bytes.size() <= room;
    const bool fitted_before = received_ <= limit_;
    received_ += bytes.size();
    write(bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(room, bytes.size()))));
    if (!fits_now && fitted_before)
        write(fmt::format("\n[nbd-interop: more than {} bytes of output; the rest is dropped]\n", limit_));
}

void LogFile::write(std::string_view bytes) {
    while (!bytes.empty() && error_ == 0) {
        const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
        if (count >= 0)
            bytes.remove_prefix(static_cast<std::size_t>(count));
        else if (errno != EINTR)
            error_ = errno;
    }
}

std::string LogFile::tail(std::size_t max) const {
    struct stat info {};
    if (::fstat(file_.get(), &info) != 0)
        return {};
    const auto end = static_cast<std::uint64_t>(info.st_size);
    const std::uint64_t length = std::min<std::uint64_t>(end - std::min(begin_, end), max);
    std::string text(static_cast<std::size_t>(length), '\0');
    const ssize_t count = ::pread(file_.get(), text.data(), text.size(), static_cast<off_t>(end - length));
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    if (error_ != 0)
        text += fmt::format("\n[nbd-interop: the log could not be written: {}]\n", error_text(error_));
    return text;
}

void Capture::take(std::string_view bytes) {
    const std::uint64_t kept = bytes_.size() - begin_;
    const std::uint64_t room = limit_ - std::min(kept, limit_);
    if (bytes.size() > room) {
        overflowed_ = true;
        bytes = bytes.substr(0, static_cast<std::size_t>(room));
    }
    bytes_ += bytes;
}

std::string Capture::cut(std::size_t length, std::size_t also_skip) {
    std::string text = bytes_.substr(begin_, length);
    begin_ += length + also_skip;
    if (begin_ == bytes_.size()) {
        bytes_.clear();
        begin_ = 0;
    } else if (begin_ > bytes_.size() / 2) {
        bytes_.erase(0, begin_);
        begin_ = 0;
    }
    scanned_ = begin_;
    return text;
}

std::optional<std::string> Capture::next_line() {
    const std::size_t newline = bytes_.find('\n', std::max(begin_, scanned_));
    if (newline == std::string::npos) {
        scanned_ = bytes_.size();
        return std::nullopt;
    }
    return cut(newline - begin_, 1);
}

std::optional<std::string> Capture::next_until(std::string_view marker) {
    const std::size_t found = bytes_.find(marker, begin_);
    if (found == std::string::npos)
        return std::nullopt;
    return cut(found + marker.size() - begin_, 0);
}

std::string Capture::rest() {
    return cut(bytes_.size() - begin_, 0);
}

} // namespace harness
