#include "harness/check/client_bench.hpp"

#include "harness/check/client_disk.hpp"
#include "harness/check/client_watch.hpp"
#include "harness/process/process.hpp"
#include "harness/process/socket.hpp"
#include "harness/tap/tap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

namespace harness::check {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::string_view server_name = "nbd-resize-server";

/// For the reference server to accept connections, also on a busy machine.
constexpr std::chrono::seconds server_start{20};
/// For the server to end its connections once the client is gone.
constexpr std::chrono::milliseconds wire_end{2000};
/// How much of a client's standard output is kept; the rest is read and dropped.
constexpr std::uint64_t most_output = std::uint64_t{8} << 20;
constexpr std::size_t most_errors = 2000;
/// How long a file of the client may become.
constexpr std::uint64_t most_file = std::uint64_t{1} << 30;

/// Replaces each `from`.
void replace_all(std::string& text, const std::string& from, std::string_view to) {
    if (from.empty()) {
        return;
    }
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

bool has_any(const std::vector<std::string>& argv, std::initializer_list<std::string_view> places) {
    return std::ranges::any_of(argv, [&](const std::string& word) {
        return std::ranges::any_of(
            places, [&](std::string_view place) { return word.find(place) != std::string::npos; });
    });
}

/// Looks on, and cuts the disk as soon as a client begins to read: only clients that have learnt the size
/// before that can ask for what is gone.
class Cutter final : public TapObserver {
  public:
    /// Cuts nothing where `size` is nothing.
    Cutter(WireRecord& record, fs::path disk, std::optional<std::uint64_t> size)
      : record_(record)
      , disk_(std::move(disk))
      , size_(size) {}

    void opened(std::uint32_t connection) override { record_.opened(connection); }
    void bytes(std::uint32_t connection, wire::Side from, std::span<const std::uint8_t> bytes) override {
        record_.bytes(connection, from, bytes);
        if (size_ && from == wire::Side::client && record_.asked().contains(nbd::name(nbd::Command::read))) {
            std::error_code ignored; // then nothing fails, which the case notices
            fs::resize_file(disk_, *std::exchange(size_, std::nullopt), ignored);
        }
    }
    void ended(std::uint32_t connection, wire::Side by, wire::End how) override {
        record_.ended(connection, by, how);
    }

  private:
    WireRecord& record_;
    fs::path disk_;
    std::optional<std::uint64_t> size_;
};

/// One meeting.
class Meeting {
  public:
    Meeting(const ClientCommand& command, const fs::path& programs, const fs::path& folder,
            const ClientServer& server, const ClientUri& uri, const std::string& title, const fs::path& logs)
      : command_(command)
      , folder_(folder)
      , server_(server)
      , logs_(logs)
      , disk_(folder / "disk")
      , address_(UnixAddress{folder / "s"})
      , record_(logs / "wire.transcript", title)
      , cutter_(record_, disk_,
                server.content == ClientServer::Content::cut ? std::optional(server.size / 2) : std::nullopt)
      , process_(start_server(programs))
      , tap_(address_, listen(uri), cutter_) {
        fill_places(uri);
    }

    ClientRun run() {
        carry_out();
        (void)tap_.wait_idle(Clock::now() + wire_end);
        record_.interfere();
        tap_.stop();
        const bool running = process_.running();
        const Exit ended = process_.stop(1000ms);
        if (!running) {
            throw BenchError(fmt::format("the reference server {} by itself: {}", ended.describe(),
                                         process_.error_tail(most_errors)));
        }
        run_.asked = record_.asked();
        run_.connections = record_.connections();
        run_.at_once = record_.most_at_once();
        run_.entered = record_.entered();
        run_.findings = record_.findings();
        run_.not_judged = record_.not_judged();
        const std::string& twist = server_.fault.empty() ? server_.oddity : server_.fault;
        run_.at_work =
            !twist.empty() &&
            process_.error_tail(most_errors).find(fmt::format("{} is at work", twist)) != std::string::npos;
        if (server_.content == ClientServer::Content::pattern ||
            server_.content == ClientServer::Content::sparse) {
            run_.disk = digest_of(disk_);
        }
        return std::move(run_);
    }

  private:
    Process start_server(const fs::path& programs) {
        Launch launch;
        launch.argv = {(programs / server_name).string(), "--unix", folder_ / "s"};
        launch.log = logs_ / "server.log";
        return start_server(launch);
    }

    Process start_server(Launch& launch) {
        auto& argv = launch.argv;
        argv.insert(argv.end(), {"--threads", "1", "--workers", "1"});
        if (!server_.export_name.empty()) {
            argv.insert(argv.end(), {"--export-name", server_.export_name});
        }
        if (!server_.fault.empty()) {
            argv.insert(argv.end(), {"--fault", server_.fault});
        }
        if (!server_.oddity.empty()) {
            argv.insert(argv.end(), {"--oddity", server_.oddity});
        }
        argv.insert(argv.end(), server_.options.begin(), server_.options.end());
        if (server_.content == ClientServer::Content::zeroes) {
            argv.insert(argv.end(), {"--memory", std::to_string(server_.size)});
        } else {
            make_disk(server_, disk_);
            argv.push_back(disk_);
        }
        Process process = Process::start(launch);
        if (wait_until_accepting(address_, Clock::now() + server_start, &process, Probe::listening) !=
            Readiness::ready) {
            (void)process.stop(0ms);
            throw BenchError(fmt::format("'{}' does not serve: {}", launch.command_line(),
                                         process.error_tail(most_errors)));
        }
        return process;
    }

    /// Where the client connects, whatever the server is on.
    [[nodiscard]] Listener listen(const ClientUri& uri) const {
        const fs::path path = folder_ / "tap";
        return !uri.empty() ? uri.listen(path) : command_.tcp() ? listen_tcp() : listen_unix(path);
    }

    void fill_places(const ClientUri& uri) {
        const Address& at = tap_.address();
        places_.emplace_back("{uri}", uri.empty() ? plain_uri(at, server_.export_name) : uri.at(at));
        if (const auto* const unix_address = std::get_if<UnixAddress>(&at)) {
            places_.emplace_back("{socket}", unix_address->path);
        } else {
            places_.emplace_back("{port}", std::to_string(std::get<TcpAddress>(at).port));
        }
        places_.emplace_back("{export}", server_.export_name);
        places_.emplace_back("{file}", (folder_ / "file").string());
        places_.emplace_back("{input}", (folder_ / "input").string());
    }

    [[nodiscard]] Launch client_launch() const {
        Launch launch;
        launch.cwd = folder_;
        launch.log = logs_ / "client.log";
        launch.capture_stdout = true;
        launch.output_limit = most_output;
        launch.file_size = most_file;
        for (std::string word : command_.argv) {
            for (const auto& [place, value] : places_) {
                if (place == "{input}" && word.find(place) != std::string::npos) {
                    make_input(server_.size, folder_ / "input");
                }
                replace_all(word, place, value);
            }
            launch.argv.push_back(std::move(word));
        }
        return launch;
    }

    void carry_out() {
        const Launch launch = client_launch();
        const auto begin = Clock::now();
        Process client = Process::start(launch);
        const Watched watched = watch(client, begin + command_.limit, command_.memory_limit);
        run_.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        run_.memory = watched.memory;
        run_.timed_out = watched.timed_out;
        run_.grew = watched.grew;
        if (run_.timed_out || run_.grew) {
            // What the connection looks like after that is not the client's doing.
            record_.interfere();
            client.kill_group(SIGKILL);
        }
        run_.exit = client.stop(0ms);
        try {
            run_.output = client.take_output();
        } catch (const OutputOverflow&) {
            run_.output_cut = true;
        }
        run_.errors = client.error_tail(most_errors);
        leave_places_out(run_.output);
        leave_places_out(run_.errors);
        if (fs::exists(folder_ / "file")) {
            run_.file = digest_of(folder_ / "file");
        }
    }

    /// Two meetings have different sockets, and clients like to print them.
    void leave_places_out(std::string& text) const {
        for (const auto& [place, value] : places_) {
            if (value.size() > 3) {
                replace_all(text, value, place);
            }
        }
        if (const auto* const at = std::get_if<UnixAddress>(&tap_.address())) {
            replace_all(text, escaped(at->path.native()), "{socket}");
            replace_all(text, folder_.string(), "{folder}");
        }
    }

    const ClientCommand& command_;
    fs::path folder_;
    const ClientServer& server_;
    fs::path logs_;
    fs::path disk_;
    Address address_;
    WireRecord record_;
    Cutter cutter_;
    Process process_;
    Tap tap_;
    std::vector<std::pair<std::string, std::string>> places_;
    ClientRun run_;
};

} // namespace

bool ClientCommand::tcp() const {
    return has_any(argv, {"{port}"});
}

bool ClientCommand::has_uri() const {
    return has_any(argv, {"{uri}"});
}

bool ClientCommand::has_address() const {
    return has_any(argv, {"{uri}", "{socket}", "{port}"});
}

bool ClientCommand::names_export() const {
    return has_any(argv, {"{uri}", "{export}"});
}

int ClientRun::signal() const {
    if (timed_out || grew) {
        return 0;
    }
    if (exit.signal == SIGXFSZ) {
        return 0; // it met the limit for {file}
    }
    // A shell that waited for the client says so in this way.
    constexpr int shell = 128;
    constexpr std::array faults{SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGTRAP, SIGSYS};
    for (const int fault : faults) {
        if (exit.code == shell + fault) {
            return fault;
        }
    }
    return exit.signal;
}

std::string ClientRun::describe(const ClientCommand& command) const {
    if (timed_out) {
        return fmt::format("did not end within {:.3g} s",
                           std::chrono::duration<double>(command.limit).count());
    }
    if (grew) {
        return fmt::format("used {} MiB of memory and was ended", memory >> 20U);
    }
    return exit.describe();
}

ClientBench::ClientBench(ClientCommand command, fs::path programs, Workspace& workspace)
  : command_(std::move(command))
  , programs_(std::move(programs))
  , workspace_(workspace) {}

ClientRun ClientBench::meet(const ClientServer& server, const ClientUri& uri, const std::string& title,
                            const fs::path& logs, std::optional<std::chrono::milliseconds> limit) const {
    const fs::path folder = workspace_.make_folder("m");
    struct Gone {
        Workspace& workspace;
        const fs::path& folder;
        ~Gone() { workspace.remove_folder(folder); }
    } const gone{workspace_, folder};
    ClientCommand command = command_;
    command.limit = limit.value_or(command.limit);
    return Meeting(command, programs_, folder, server, uri, title, logs).run();
}

} // namespace harness::check
