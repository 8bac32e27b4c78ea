#include "harness/process/process.hpp"

#include "harness/process/exit_watch.hpp"
#include "harness/process/fd.hpp"
#include "harness/process/interrupt.hpp"
#include "harness/process/launcher.hpp"
#include "harness/process/output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <functional>
#include <poll.h>
#include <stdexcept>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace harness {
namespace {

using namespace std::chrono_literals;

// A killed process that does not end within this time hangs in the kernel; waiting longer helps nobody.
constexpr auto kill_limit = 10s;
constexpr auto interrupted_grace = 200ms;

// A limit of hours or more means "without limit" and must not overflow the clock.
Process::Clock::time_point after(std::chrono::milliseconds limit) {
    return Process::Clock::now() + std::min<std::chrono::milliseconds>(limit, 24h * 365);
}

Exit to_exit(const siginfo_t& info) {
    Exit exit;
    if (info.si_code == CLD_EXITED)
        exit.code = info.si_status;
    else
        exit.signal = info.si_status;
    exit.core = info.si_code == CLD_DUMPED;
    return exit;
}

UniqueFd watch_exit(pid_t pid) {
    UniqueFd pidfd = open_pidfd(pid);
    if (pidfd.valid())
        return pidfd;
    if (errno == ENOSYS || errno == EPERM)
        return watch_with_thread(pid);
    throw LaunchError(
        LaunchError::Reason::resources,
        fmt::format("cannot watch a child process: {}; raise the limit (ulimit -n) or run fewer jobs",
                    error_text(errno)));
}

// Core dumps: 1 byte and not 0, as 0 only keeps the kernel from writing a file; a core_pattern that names a
// program would still be served.
rlimit core_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = std::min<rlim_t>(1, limit.rlim_max);
    return limit;
}

rlimit soft_limit(int resource, std::uint64_t value) {
    rlimit limit{};
    ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
    limit.rlim_cur = std::min<rlim_t>(value, limit.rlim_max);
    return limit;
}

} // namespace

class Process::Impl {
  public:
    explicit Impl(const Launch& launch);
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    bool poll_exit(Clock::time_point deadline, bool interruptible);
    void look();
    void drain();
    void reap();
    std::optional<std::string> read(Clock::time_point deadline,
                                    const std::function<std::optional<std::string>(Capture&)>& next,
                                    bool rest_at_end);
    void check_capture() const;

    std::string name_;
    pid_t pid_ = -1;
    UniqueFd exit_fd_;
    std::optional<Exit> exit_;
    bool reaped_ = false;
    UniqueFd stdin_;
    std::unique_ptr<LogFile> log_;
    std::unique_ptr<Capture> capture_;
    std::shared_ptr<OutputReader> log_reader_;
    std::shared_ptr<OutputReader> capture_reader_;
};

Process::Impl::Impl(const Launch& launch) {
    if (launch.argv.empty())
        throw LaunchError(LaunchError::Reason::not_found, "cannot start a program: no command was given");
    ChildSetup setup;
    setup.program = find_program(launch.argv.front(), launch.env).string();
    setup.argv = launch.argv;
    setup.env = launch.env;
    setup.cwd = launch.cwd.string();
    setup.listen = launch.listen_fd;
    setup.limits.emplace_back(RLIMIT_CORE, core_limit());
    if (launch.address_space)
        setup.limits.emplace_back(RLIMIT_AS, soft_limit(RLIMIT_AS, *launch.address_space));
    if (launch.file_size)
        setup.limits.emplace_back(RLIMIT_FSIZE, soft_limit(RLIMIT_FSIZE, *launch.file_size));

    Pipe log_pipe, capture_pipe, stdin_pipe;
    try {
        if (!launch.log.empty()) {
            log_ = std::make_unique<LogFile>(launch.log, launch.log_limit);
            log_pipe = make_pipe();
            setup.out = setup.err = log_pipe.write_end.get();
        }
        if (launch.capture_stdout) {
            capture_ = std::make_unique<Capture>(launch.output_limit);
            capture_pipe = make_pipe();
            setup.out = capture_pipe.write_end.get();
        }
        if (launch.pipe_stdin) {
            stdin_pipe = make_pipe();
            set_nonblocking(stdin_pipe.write_end.get());
            setup.in = stdin_pipe.read_end.get();
            stdin_ = std::move(stdin_pipe.write_end);
        }
    } catch (const std::system_error& error) {
        throw LaunchError(LaunchError::Reason::resources,
                          fmt::format("cannot start {}: {}; raise the limit (ulimit -n) or run fewer jobs",
                                      setup.program, error.what()));
    }

    pid_ = launch_child(setup);
    try {
        name_ = fmt::format("{} (pid {})", std::filesystem::path(setup.program).filename().string(), pid_);
        exit_fd_ = watch_exit(pid_);
        if (log_)
            log_reader_ = OutputReader::start(std::move(log_pipe.read_end), *log_);
        if (capture_)
            capture_reader_ = OutputReader::start(std::move(capture_pipe.read_end), *capture_);
    } catch (...) {
        reap();
        throw;
    }
}

Process::Impl::~Impl() {
    reap();
}

// Kills the group and reaps the leader. Until then the zombie keeps its pid, and by it the group's, from
// being given to anybody else.
void Process::Impl::reap() {
    if (reaped_ || pid_ <= 0)
        return;
    ::kill(-pid_, SIGKILL);
    if (!exit_) {
        if (!exit_fd_.valid())
            ::waitpid(pid_, nullptr, 0);
        else if (!poll_exit(Clock::now() + kill_limit, false))
            exit_ = Exit{0, SIGKILL, false};
    }
    drain();
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG);
    reaped_ = true;
    for (const auto& reader : {log_reader_, capture_reader_})
        if (reader)
            reader->close();
}

// Takes note of the end, if it came; does not reap.
void Process::Impl::look() {
    if (exit_)
        return;
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == pid_)
        exit_ = to_exit(info);
}

bool Process::Impl::poll_exit(Clock::time_point deadline, bool interruptible) {
    look();
    while (!exit_) {
        pollfd watched{exit_fd_.get(), POLLIN, 0};
        const bool ended = interrupt::poll_until({&watched, 1}, deadline, interruptible);
        look();
        if (!ended)
            break;
    }
    return exit_.has_value();
}

void Process::Impl::drain() {
    for (const auto& reader : {log_reader_, capture_reader_}) {
        if (!reader)
            continue;
        const auto guard = reader->lock();
        reader->drain();
    }
}

void Process::Impl::check_capture() const {
    if (!capture_)
        throw std::logic_error(name_ + ": its standard output is not captured");
    if (capture_->overflowed())
        throw OutputOverflow(
            fmt::format("{} wrote more than {} bytes to standard output", name_, capture_->limit()));
}

std::optional<std::string>
Process::Impl::read(Clock::time_point deadline,
                    const std::function<std::optional<std::string>(Capture&)>& next, bool rest_at_end) {
    if (!capture_)
        check_capture();
    const OutputReader::Hold hold(*capture_reader_);
    while (true) {
        // Looked at before the output is read: what an ended child wrote is all there by then.
        look();
        std::array<pollfd, 2> watched{{{-1, POLLIN, 0}, {exit_fd_.get(), POLLIN, 0}}};
        {
            const auto guard = capture_reader_->lock();
            capture_reader_->drain();
            if (auto text = next(*capture_))
                return text;
            check_capture();
            if (capture_reader_->at_end() || exit_) {
                std::string rest = rest_at_end ? capture_->rest() : std::string();
                return rest.empty() ? std::nullopt : std::optional(std::move(rest));
            }
            watched[0].fd = capture_reader_->descriptor();
        }
        if (!interrupt::poll_until(watched, deadline))
            throw TimedOut(fmt::format("{} wrote nothing (more) to standard output in time", name_));
    }
}

Process::Process(std::unique_ptr<Impl> impl)
  : impl_(std::move(impl)) {}
Process::Process(Process&&) noexcept = default;
Process& Process::operator=(Process&&) noexcept = default;
Process::~Process() = default;

Process Process::start(const Launch& launch) {
    interrupt::throw_if_requested();
    return Process(std::make_unique<Impl>(launch));
}

pid_t Process::pid() const {
    return impl_->pid_;
}
const std::string& Process::name() const {
    return impl_->name_;
}
int Process::exit_descriptor() const {
    return impl_->exit_fd_.get();
}

bool Process::running() {
    impl_->look();
    return !impl_->exit_;
}

std::optional<Exit> Process::wait_for(std::chrono::milliseconds limit) {
    if (impl_->poll_exit(after(limit), true))
        impl_->drain();
    return impl_->exit_;
}

Exit Process::stop(std::chrono::milliseconds grace) {
    impl_->look();
    if (!impl_->exit_) {
        kill_group(SIGTERM);
        kill_group(SIGCONT); // a stopped process would not notice
        const auto begin = Clock::now();
        const auto deadline = after(grace);
        try {
            impl_->poll_exit(deadline, true);
        } catch (const Interrupted&) {
            impl_->poll_exit(std::min(deadline, begin + interrupted_grace), false);
        }
    }
    impl_->reap();
    return impl_->exit_.value_or(Exit{0, SIGKILL, false});
}

void Process::kill(int signal) {
    if (!impl_->reaped_)
        ::kill(impl_->pid_, signal);
}

void Process::kill_group(int signal) {
    if (!impl_->reaped_)
        ::kill(-impl_->pid_, signal);
}

void Process::write_line(std::string_view line, std::chrono::milliseconds limit) {
    const auto deadline = after(limit);
    std::string text(line);
    text += '\n';
    std::string_view left = text;
    while (!left.empty()) {
        if (!impl_->stdin_.valid())
            throw PeerGone(fmt::format("{}: its standard input is closed", impl_->name_));
        const ssize_t count = ::write(impl_->stdin_.get(), left.data(), left.size());
        if (count >= 0) {
            left.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            pollfd watched{impl_->stdin_.get(), POLLOUT, 0};
            if (!interrupt::poll_until({&watched, 1}, deadline))
                throw TimedOut(fmt::format("{} did not read its standard input in time", impl_->name_));
        } else if (errno != EINTR) {
            const int error = errno;
            impl_->look();
            throw PeerGone(fmt::format("{} does not read its standard input any more: {}", impl_->name_,
                                       impl_->exit_ ? impl_->exit_->describe() : error_text(error)));
        }
    }
}

void Process::close_stdin() {
    impl_->stdin_.reset();
}

std::optional<std::string> Process::read_line(Clock::time_point deadline) {
    return impl_->read(
        deadline, [](Capture& capture) { return capture.next_line(); }, true);
}

std::optional<std::string> Process::read_until(std::string_view marker, Clock::time_point deadline) {
    return impl_->read(
        deadline, [marker](Capture& capture) { return capture.next_until(marker); }, false);
}

std::string Process::take_output() {
    if (!impl_->capture_)
        impl_->check_capture();
    const auto guard = impl_->capture_reader_->lock();
    impl_->capture_reader_->drain();
    impl_->check_capture();
    return impl_->capture_->rest();
}

std::string Process::error_tail(std::size_t max) const {
    if (!impl_->log_)
        return {};
    const auto guard = impl_->log_reader_->lock();
    impl_->log_reader_->drain();
    return impl_->log_->tail(max);
}

} // namespace harness
