// What judging costs: writes and short requests between two ends of a Unix socket, directly, by a tap that
// only forwards, and by one that judges and writes a transcript; in turns. Usage: bench-judged [GiB] [rounds]

#include "harness/process/socket.hpp"
#include "harness/process/workspace.hpp"
#include "harness/run/wire_record.hpp"
#include "harness/tap/tap.hpp"
#include "protocol/handshake.hpp"
#include "protocol/transmission.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <vector>

namespace {

using namespace harness;
using Clock = std::chrono::steady_clock;

constexpr std::size_t write_size = 256 * 1024;
constexpr std::uint64_t export_size = std::uint64_t{1} << 40;
constexpr int trips = 20'000;

/// Forwards to another observer, if any, and knows how long the tap's thread has worked.
class Timed final : public TapObserver {
  public:
    explicit Timed(TapObserver* next)
      : next_(next) {}
    void opened(std::uint32_t connection) override {
        clockid_t clock{};
        if (::pthread_getcpuclockid(::pthread_self(), &clock) != 0) {
            std::abort();
        }
        clock_ = clock;
        if (next_ != nullptr) {
            next_->opened(connection);
        }
    }
    void bytes(std::uint32_t connection, wire::Side from, std::span<const std::uint8_t> bytes) override {
        if (next_ != nullptr) {
            next_->bytes(connection, from, bytes);
        }
    }
    void ended(std::uint32_t connection, wire::Side by, wire::End how) override {
        if (next_ != nullptr) {
            next_->ended(connection, by, how);
        }
    }
    [[nodiscard]] double seconds() const {
        timespec now{};
        ::clock_gettime(clock_, &now);
        return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
    }

  private:
    TapObserver* next_;
    std::atomic<clockid_t> clock_{};
};

int connect_to(const Address& address) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, std::get<UnixAddress>(address).path.c_str(), sizeof name.sun_path - 1);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) {
        std::abort();
    }
    return socket;
}

void send_all(int socket, nbd::Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) {
            std::abort();
        }
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
}

void receive(int socket, std::size_t size, std::vector<std::uint8_t>& buffer) {
    while (size > 0) {
        const ssize_t got = ::recv(socket, buffer.data(), std::min(size, buffer.size()), 0);
        if (got <= 0) {
            std::abort();
        }
        size -= static_cast<std::size_t>(got);
    }
}

/// Two ends that have shaken hands.
class Pair {
  public:
    Pair(const Listener& listener, const Address& address)
      : client_(connect_to(address))
      , server_(::accept(listener.fd.get(), nullptr, nullptr)) {
        using namespace nbd;
        nbd::Buffer go = encode(InfoRequest{"", {}});
        exchange(server_, client_, encode(NewstyleGreeting{3}));
        exchange(client_, server_, encode(ClientFlags{3}));
        exchange(client_, server_, encode(OptionRequest{Option::go, static_cast<std::uint32_t>(go.size())}));
        exchange(client_, server_, go);
        const nbd::Buffer info =
            encode(InfoExport{InfoType::export_, export_size, transmission_flag::has_flags});
        exchange(
            server_, client_,
            encode(OptionReply{Option::go, OptionReplyType::info, static_cast<std::uint32_t>(info.size())}));
        exchange(server_, client_, info);
        exchange(server_, client_, encode(OptionReply{Option::go, OptionReplyType::ack, 0}));
    }
    ~Pair() {
        ::close(client_);
        ::close(server_);
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    /// Seconds for so many writes, each answered.
    double writes(std::size_t count) {
        const auto begin = Clock::now();
        std::thread server([&] {
            std::vector<std::uint8_t> buffer(write_size);
            for (std::size_t i = 0; i < count; ++i) {
                receive(server_, nbd::wire_size<nbd::CompactRequest> + write_size, buffer);
                send_all(server_, nbd::encode(nbd::SimpleReply{nbd::Error::none, i}));
            }
        });
        std::thread replies([&] {
            std::vector<std::uint8_t> buffer(65536);
            receive(client_, count * nbd::wire_size<nbd::SimpleReply>, buffer);
        });
        nbd::Buffer request(nbd::wire_size<nbd::CompactRequest> + write_size);
        for (std::size_t i = 0; i < count; ++i) {
            nbd::encode_fixed(request.data(), nbd::CompactRequest{0, nbd::Command::write, i, i * write_size,
                                                                  static_cast<std::uint32_t>(write_size)});
            send_all(client_, request);
        }
        replies.join();
        server.join();
        return std::chrono::duration<double>(Clock::now() - begin).count();
    }

    /// Seconds for a short request and its answer, on average.
    double trip() {
        const auto begin = Clock::now();
        for (std::uint64_t i = 0; i < trips; ++i) {
            exchange(client_, server_, nbd::encode(nbd::CompactRequest{0, nbd::Command::cache, i, 0, 512}));
            exchange(server_, client_, nbd::encode(nbd::SimpleReply{nbd::Error::none, i}));
        }
        return std::chrono::duration<double>(Clock::now() - begin).count() / trips;
    }

  private:
    void exchange(int from, int to, const nbd::Buffer& bytes) {
        send_all(from, bytes);
        receive(to, bytes.size(), buffer_);
    }

    int client_;
    int server_;
    std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(4096);
};

double median(std::vector<double> values) {
    std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
    return values[values.size() / 2];
}

/// One way to connect, and what was measured with it.
struct Way {
    const char* name;
    std::vector<double> bulk;    ///< GB/s
    std::vector<double> per_cpu; ///< GB for each second of the tap's thread
    std::vector<double> trip;    ///< microseconds
};

void measure(Way& way, Pair& pair, const Timed* timed, std::size_t count) {
    const double gigabytes = static_cast<double>(count * write_size) / 1e9;
    const double before = timed != nullptr ? timed->seconds() : 0;
    way.bulk.push_back(gigabytes / pair.writes(count));
    if (timed != nullptr) {
        way.per_cpu.push_back(gigabytes / (timed->seconds() - before));
    }
    way.trip.push_back(pair.trip() * 1e6);
}

} // namespace

int main(int argc, char** argv) {
    const std::size_t count =
        (static_cast<std::size_t>(argc > 1 ? std::atoi(argv[1]) : 1) << 30) / write_size;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
    if (count == 0 || rounds <= 0) {
        fmt::print(stderr, "usage: bench-judged [GiB] [rounds]\n");
        return 2;
    }
    const Workspace workspace;
    const Listener listener = listen_unix(workspace.path() / "server");
    WireRecord record(workspace.path() / "transcript", "bench");
    Timed forwarding(nullptr);
    Timed judging(&record);
    Tap plain_tap(listener.address, workspace.path() / "plain", forwarding);
    Tap judged_tap(listener.address, workspace.path() / "judged", judging);
    Way ways[] = {{"directly", {}, {}, {}}, {"forwarded", {}, {}, {}}, {"judged", {}, {}, {}}};
    {
        Pair direct(listener, listener.address);
        Pair plain(listener, plain_tap.address());
        Pair judged(listener, judged_tap.address());
        for (int round = 0; round < rounds; ++round) {
            measure(ways[0], direct, nullptr, count);
            measure(ways[1], plain, &forwarding, count);
            measure(ways[2], judged, &judging, count);
        }
        record.interfere();
    }
    fmt::print("medians of {} rounds in turns; writes of 256 KiB, then {} short requests\n", rounds, trips);
    for (const Way& way : ways) {
        fmt::print("{:<10} {:6.2f} GB/s ({:.2f} of directly){}, {:.1f} us a request\n", way.name,
                   median(way.bulk), median(way.bulk) / median(ways[0].bulk),
                   way.per_cpu.empty()
                       ? ""
                       : fmt::format(", {:.2f} GB per CPU second of the tap", median(way.per_cpu)),
                   median(way.trip));
    }
    if (!record.findings().empty()) {
        fmt::print(stderr, "bench-judged: the judge found {}\n", record.findings().front().requirement);
        return 1;
    }
    return 0;
}
