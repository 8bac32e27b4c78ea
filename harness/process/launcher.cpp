#include "harness/process/launcher.hpp"

#include "harness/process/errors.hpp"
#include "harness/process/fd.hpp"
#include "harness/process/launch.hpp"
#include "harness/process/marker.hpp"

// Boost.Process with std::filesystem, so that nothing has to be linked; in Boost 1.81 it then forgets these.
#define BOOST_PROCESS_USE_STD_FS
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/core/exchange.hpp>
#include <boost/optional.hpp>
#include <boost/process/v2/posix/vfork_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/type_traits.hpp>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <codecvt>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <linux/close_range.h>
#include <locale>
#include <memory>
#include <numeric>
#include <pthread.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern "C" {
extern char** environ; // NOLINT: POSIX declares it nowhere
}

namespace harness {
namespace {

namespace asio = boost::asio;
namespace process = boost::process::v2;

constexpr int listen_target = 3;

// The step of the child that failed, and why; sent through a close-on-exec pipe.
struct ChildError {
    enum Step : int { descriptors, directory, limits, program } step;
    int error;
};

// Everything the child needs, laid out before it exists.
struct ChildPlan {
    const char* program;
    std::vector<char*> argv;
    std::vector<char*> envp;
    const char* cwd; // nullptr: inherited
    std::array<int, listen_target + 1> descriptors;
    char* listen_pid; // the digits' place in the environment; nullptr: none
    const std::vector<std::pair<int, rlimit>>* limits;
    int errors; // the pipe's end
    pid_t parent;
};

[[noreturn]] void give_up(const ChildPlan& plan, ChildError::Step step) noexcept {
    const ChildError error{step, errno};
    static_cast<void>(::write(plan.errors, &error, sizeof error) == sizeof error);
    ::_exit(127);
}

// Puts each descriptor in its place. One that would be overwritten before its turn is moved out of the way
// first: a program started with closed standard descriptors has others there.
void place_descriptors(ChildPlan& plan) noexcept {
    for (int& fd : plan.descriptors) {
        if (fd < 0 || fd > listen_target)
            continue;
        fd = ::fcntl(fd, F_DUPFD_CLOEXEC, listen_target + 1);
        if (fd < 0)
            give_up(plan, ChildError::descriptors);
    }
    for (int target = 0; target <= listen_target; ++target) {
        const int fd = plan.descriptors[static_cast<std::size_t>(target)];
        if (fd >= 0 && ::dup2(fd, target) < 0)
            give_up(plan, ChildError::descriptors);
    }
    // All of this program's own are close-on-exec already; this is for what a library may have opened
    // without. It fails where a sandbox does not know the call, which is then no loss.
    const int first = plan.descriptors[listen_target] >= 0 ? listen_target + 1 : listen_target;
    ::syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC);
}

void write_decimal(char* place, pid_t number) noexcept {
    char digits[16];
    std::size_t count = 0;
    for (unsigned rest = static_cast<unsigned>(number); rest != 0 || count == 0; rest /= 10)
        digits[count++] = static_cast<char>('0' + rest % 10);
    while (count > 0)
        *place++ = digits[--count];
    *place = '\0';
}

// The child, from vfork() to execve(). It shares the parent's memory, so it calls nothing but the kernel and
// writes nothing but the plan.
[[noreturn]] void run_child(ChildPlan& plan) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != plan.parent)
        ::_exit(127); // it ended before the line above
    ::setpgid(0, 0);

    if (plan.errors <= listen_target)
        plan.errors = ::fcntl(plan.errors, F_DUPFD_CLOEXEC, listen_target + 1);
    place_descriptors(plan);
    if (plan.cwd && ::chdir(plan.cwd) != 0)
        give_up(plan, ChildError::directory);
    for (const auto& [resource, limit] : *plan.limits)
        if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0)
            give_up(plan, ChildError::limits);
    if (plan.listen_pid)
        write_decimal(plan.listen_pid, ::getpid());

    // Handlers go before the mask does: one that ran here would run in the parent's memory.
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal)
        ::sigaction(signal, &action, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);

    ::execve(plan.program, plan.argv.data(), plan.envp.data());
    give_up(plan, ChildError::program);
}

// The initializer for Boost.Process. It executes the program itself: what the launcher of Boost 1.81 does
// when that fails, exit(), would run this program's exit handlers in the child.
struct ExecSetup {
    ChildPlan* plan;
    process::error_code on_exec_setup(process::posix::default_launcher&, const process::filesystem::path&,
                                      const char* const*) const {
        run_child(*plan);
    }
};

// Returns the pid, or throws boost::system::system_error.
pid_t vfork_child(ChildPlan& plan) {
    // A context of its own for each: Boost 1.81 tells it in the child that it was forked, and one in use
    // would then replace its descriptors in memory that is also the parent's. An unused one has nothing to
    // replace.
    asio::io_context context(1);
    process::posix::vfork_launcher launcher;
    process::error_code error;
    const char** argv = const_cast<const char**>(plan.argv.data());
    try {
        auto child = launcher(context.get_executor(), error, plan.program, argv, ExecSetup{&plan});
        child.detach();
    } catch (const boost::system::system_error&) {
        // Its pidfd could not be had, which says nothing of the child: the caller opens one of its own.
        if (launcher.pid <= 0)
            throw;
    }
    if (error)
        throw boost::system::system_error(error);
    return launcher.pid;
}

// The one thread that starts children; never ends.
class LaunchThread {
  public:
    static LaunchThread& instance() {
        static LaunchThread* const thread =
            new LaunchThread; // never destroyed: the thread uses it to the end
        return *thread;
    }

    pid_t start(ChildPlan& plan) {
        // Shared: the caller may be off while the thread is still busy waking it.
        const auto started = std::make_shared<std::promise<pid_t>>();
        asio::post(context_, [&plan, started] {
            try {
                started->set_value(vfork_child(plan));
            } catch (...) {
                started->set_exception(std::current_exception());
            }
        });
        return started->get_future().get();
    }

  private:
    LaunchThread()
      : work_(asio::make_work_guard(context_)) {
        // Writing to a child that is gone has to be an error, not our end. And a program that was started
        // with SIGCHLD ignored would never learn how its children ended.
        ::signal(SIGPIPE, SIG_IGN);
        ::signal(SIGCHLD, SIG_DFL);
        // The mask must be full from the start: no signal handler may run in a child that shares our memory.
        sigset_t all, before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        std::thread([this] { context_.run(); }).detach();
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
};

bool named(std::string_view entry, std::string_view name) {
    return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
}

// The environment as "NAME=value" strings. A LISTEN_PID entry, if any, comes first and has room for any pid.
std::vector<std::string> make_environment(const ChildSetup& setup) {
    std::vector<std::string> entries;
    if (setup.listen >= 0) {
        std::string pid = "LISTEN_PID=";
        pid.resize(pid.size() + 16, '\0');
        entries.push_back(std::move(pid));
        entries.emplace_back("LISTEN_FDS=1");
        entries.emplace_back("LISTEN_FDNAMES=nbd");
    }
    entries.push_back(fmt::format("{}={}", run_variable, run_value()));
    for (const auto& [name, value] : setup.env)
        entries.push_back(fmt::format("{}={}", name, value));
    for (char** inherited = environ; *inherited; ++inherited) {
        const std::string_view entry = *inherited;
        const bool replaced = named(entry, run_variable) || named(entry, "LISTEN_PID") ||
                              named(entry, "LISTEN_FDS") || named(entry, "LISTEN_FDNAMES") ||
                              setup.env.contains(std::string(entry.substr(0, entry.find('='))));
        if (!replaced)
            entries.emplace_back(entry);
    }
    return entries;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (std::string& text : strings)
        result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

[[noreturn]] void throw_start_error(const ChildSetup& setup, int error) {
    using Reason = LaunchError::Reason;
    const bool resources = error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;
    throw LaunchError(resources ? Reason::resources : Reason::other,
                      fmt::format("cannot start {}: {}{}", setup.program, error_text(error),
                                  resources ? "; raise the limits (ulimit -n, -u) or run fewer jobs" : ""));
}

[[noreturn]] void throw_child_error(const ChildSetup& setup, const ChildError& failed) {
    using Reason = LaunchError::Reason;
    const std::string why = error_text(failed.error);
    switch (failed.step) {
    case ChildError::directory:
        throw LaunchError(Reason::bad_directory,
                          fmt::format("cannot start {} in {}: {}", setup.program, setup.cwd, why));
    case ChildError::limits:
        throw LaunchError(Reason::other, fmt::format("cannot set the limits of {}: {}", setup.program, why));
    case ChildError::descriptors:
        throw LaunchError(Reason::resources, fmt::format("cannot start {}: {}", setup.program, why));
    case ChildError::program:
        break;
    }
    if (failed.error == ENOENT)
        throw LaunchError(Reason::not_executable,
                          fmt::format("cannot execute {}: its interpreter is missing", setup.program));
    const bool format = failed.error == EACCES || failed.error == ENOEXEC || failed.error == ELIBBAD;
    throw LaunchError(format ? Reason::not_executable : Reason::other,
                      fmt::format("cannot execute {}: {}", setup.program, why));
}

} // namespace

pid_t launch_child(const ChildSetup& setup) {
    std::vector<std::string> argv = setup.argv;
    std::vector<std::string> environment = make_environment(setup);
    try {
        Pipe errors = make_pipe();
        UniqueFd null;
        if (setup.in < 0 || setup.out < 0 || setup.err < 0) {
            null.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
            if (!null.valid())
                throw std::system_error(errno, std::generic_category(), "/dev/null");
        }
        const auto or_null = [&null](int fd) { return fd >= 0 ? fd : null.get(); };

        ChildPlan plan{};
        plan.program = setup.program.c_str();
        plan.argv = pointers(argv);
        plan.envp = pointers(environment);
        plan.cwd = setup.cwd.empty() ? nullptr : setup.cwd.c_str();
        plan.descriptors = {or_null(setup.in), or_null(setup.out), or_null(setup.err), setup.listen};
        plan.listen_pid = setup.listen >= 0 ? plan.envp.front() + std::strlen("LISTEN_PID=") : nullptr;
        plan.limits = &setup.limits;
        plan.errors = errors.write_end.get();
        plan.parent = ::getpid();

        const pid_t pid = LaunchThread::instance().start(plan);
        errors.write_end.reset();

        // Ends at the successful execve(), which closes the child's copy.
        ChildError failed{};
        ssize_t count = 0;
        do {
            count = ::read(errors.read_end.get(), &failed, sizeof failed);
        } while (count < 0 && errno == EINTR);
        if (count == 0)
            return pid;
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        throw_child_error(setup, failed);
    } catch (const boost::system::system_error& error) {
        throw_start_error(setup, error.code().value());
    } catch (const std::system_error& error) {
        throw_start_error(setup, error.code().value());
    }
}

} // namespace harness
