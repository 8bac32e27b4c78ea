// Live resize of the program itself: over real sockets, with files, and with clients that mean no good.

#include "protocol/handshake.hpp"
#include "protocol/resize.hpp"
#include "protocol/transmission.hpp"
#include "reference-server/tests/served.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace refserver {
namespace {

using nbd::detail::load_big;
namespace flag = nbd::command_flag;

/// A connection with structured replies that asked for NBD_INFO_RESIZE.
class ResizeClient {
  public:
    ResizeClient(const std::string& socket, const std::string& name)
      : raw_(socket) {
        (void)raw_.receive(nbd::wire_size<nbd::NewstyleGreeting>);
        nbd::Buffer out = nbd::encode(nbd::ClientFlags{3});
        nbd::encode_to(out, nbd::OptionRequest{nbd::Option::structured_reply, 0});
        const nbd::Buffer info = nbd::encode(nbd::InfoRequest{name, {nbd::InfoType::resize}});
        nbd::encode_to(out, nbd::OptionRequest{nbd::Option::go, static_cast<std::uint32_t>(info.size())});
        out.insert(out.end(), info.begin(), info.end());
        raw_.send(out);
        (void)raw_.receive(nbd::wire_size<nbd::OptionReply>);
        for (;;) {
            const auto header = nbd::decode<nbd::OptionReply>(raw_.receive(nbd::wire_size<nbd::OptionReply>));
            const nbd::Buffer payload = raw_.receive(header->length);
            if (header->type != nbd::OptionReplyType::info) {
                message_.assign(payload.begin(), payload.end());
                return;
            }
            if (load_big<std::uint16_t>(payload.data()) == 0) {
                size_ = load_big<std::uint64_t>(payload.data() + 2);
            }
        }
    }

    struct Chunk {
        std::uint16_t flags = 0;
        nbd::ChunkType type = nbd::ChunkType::none;
        std::uint64_t cookie = 0;
        nbd::Buffer payload;

        [[nodiscard]] std::uint64_t size() const { return load_big<std::uint64_t>(payload.data()); }
        [[nodiscard]] std::uint32_t resize_flags() const {
            return load_big<std::uint32_t>(payload.data() + 8);
        }
    };

    void send(std::uint16_t flags, std::uint64_t cookie, std::uint64_t offset,
              std::uint32_t length = 0) const {
        raw_.send(nbd::encode(nbd::CompactRequest{flags, nbd::Command::resize, cookie, offset, length}));
    }
    [[nodiscard]] Chunk receive() const {
        const auto header =
            nbd::decode<nbd::StructuredChunk>(raw_.receive(nbd::wire_size<nbd::StructuredChunk>));
        return {header->flags, header->type, header->cookie, raw_.receive(header->length)};
    }
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] const std::string& message() const { return message_; }
    [[nodiscard]] const RawClient& raw() const { return raw_; }

  private:
    RawClient raw_;
    std::uint64_t size_ = 0;
    std::string message_;
};

/// Lines to the control socket, and their answers.
class Control {
  public:
    explicit Control(const std::string& path)
      : raw_(path) {}
    std::string operator()(const std::string& line) {
        const std::string text = line + "\n";
        raw_.send({text.begin(), text.end()});
        std::string answer;
        for (nbd::Buffer part = raw_.receive(1); !part.empty() && part[0] != '\n'; part = raw_.receive(1)) {
            answer += static_cast<char>(part[0]);
        }
        return answer;
    }

  private:
    RawClient raw_;
};

/// What a sanitizer in the server keeps for itself, most of it memory that was freed. KiB.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kept_by_sanitizer = 1U << 20;
#else
constexpr std::uint64_t kept_by_sanitizer = 0;
#endif

std::uint64_t resident_kilobytes(pid_t process) {
    std::ifstream status(fmt::format("/proc/{}/status", process));
    for (std::string word; status >> word;) {
        if (word == "VmRSS:") {
            std::uint64_t value = 0;
            status >> value;
            return value;
        }
    }
    return 0;
}

TEST(ResizeProgram, tells_what_others_do_to_its_file) {
    Folder folder;
    Served served({"--size", "100000", "--growth", "both", "--shrink", "allow", folder / "disk"});
    EXPECT_EQ(std::filesystem::file_size(folder / "disk"), 100000U);
    const ResizeClient client(served.socket(), "");
    EXPECT_EQ(client.size(), 100000U);
    client.send(flag::notify, 7, 0);
    EXPECT_EQ(client.receive().size(), 100000U);
    for (const std::uint64_t size : {200000U, 5000U}) {
        std::filesystem::resize_file(folder / "disk", size);
        const auto note = client.receive();
        EXPECT_EQ(note.cookie, 7U);
        EXPECT_EQ(note.size(), size);
        EXPECT_EQ(note.resize_flags(), nbd::resize_flag::external);
    }
    client.send(0, 8, 70000);
    const auto reply = client.receive();
    EXPECT_EQ(reply.cookie, 8U);
    EXPECT_EQ(reply.size(), 70000U);
    EXPECT_EQ(reply.resize_flags(), nbd::resize_flag::zeroed);
    EXPECT_EQ(std::filesystem::file_size(folder / "disk"), 70000U);
    std::filesystem::resize_file(folder / "disk", 123);
    EXPECT_EQ(ResizeClient(served.socket(), "").size(), 123U) << "a handshake looks by itself";
}

TEST(ResizeProgram, prepares_the_file_that_it_serves) {
    Folder folder;
    const auto start = [&](const char* size) {
        return run({server, "--size", size, "-U", "/nonexistent/socket", folder / "disk"}, folder);
    };
    EXPECT_EQ(start("5000").code, 1);
    EXPECT_EQ(std::filesystem::file_size(folder / "disk"), 5000U);
    EXPECT_EQ(start("1M").code, 1);
    EXPECT_EQ(std::filesystem::file_size(folder / "disk"), 1U << 20);
    const Result shorter = start("5000");
    EXPECT_EQ(shorter.code, 1);
    EXPECT_NE(shorter.output.find("would lose data"), std::string::npos) << shorter.output;
    EXPECT_EQ(std::filesystem::file_size(folder / "disk"), 1U << 20);
}

TEST(ResizeProgram, allocates_what_must_not_be_sparse) {
    Folder folder;
    Served served({"--size", "1M", "--growth", "both", folder / "disk"});
    const ResizeClient client(served.socket(), "");
    client.send(flag::no_hole | flag::fua, 1, 3 << 20);
    EXPECT_EQ(client.receive().size(), 3U << 20);
    struct stat status {};
    ASSERT_EQ(::stat((folder / "disk").c_str(), &status), 0);
    EXPECT_GE(status.st_blocks * 512, 2 << 20);
}

TEST(ResizeProgram, is_controlled_from_outside) {
    Folder folder;
    Served served({"--control", folder / "control"});
    const std::string name = "learn=notify,id=a b";
    const ResizeClient client(served.socket(), name);
    client.send(flag::notify, 7, 0);
    EXPECT_EQ(client.receive().size(), 1U << 20);
    Control control(folder / "control");
    Control other(folder / "control");
    EXPECT_EQ(control("resize " + name + " 12345"), "ok");
    EXPECT_EQ(client.receive().size(), 12345U);
    EXPECT_EQ(other("size " + name), "12345");
    EXPECT_EQ(other("size id=never-seen"), "1048576");
    EXPECT_TRUE(control("resize nosuch 1").starts_with("error "));
    EXPECT_TRUE(control(std::string(9000, 'x')).starts_with("error "));
    served.process().signal(SIGTERM);
    const auto last = client.receive();
    EXPECT_EQ(last.type, nbd::ChunkType::error);
    EXPECT_EQ(last.cookie, 7U);
    EXPECT_EQ(load_big<std::uint32_t>(last.payload.data()), 108U);
    EXPECT_TRUE(client.raw().receive_all().empty());
    EXPECT_EQ(served.process().wait(), 0);
    EXPECT_FALSE(std::filesystem::exists(folder / "control"));
}

TEST(ResizeProgram, a_subscriber_that_never_reads_costs_nothing) {
    Served served({"--threads", "2"});
    const std::string name = "growth=explicit,shrink=allow,learn=notify,limit=8MiB";
    const ResizeClient idle(served.socket(), name);
    idle.send(flag::notify, 7, 0);
    constexpr int connections = 8;
    constexpr int rounds = 20000; // as chunks, these would be more than the memory that is allowed below
    const auto resize_often = [&](int number) {
        const ResizeClient client(served.socket(), name);
        for (int i = 0; i < rounds; ++i) {
            const std::uint64_t size = (1U << 20) + static_cast<unsigned>(i * connections + number);
            client.send(0, static_cast<std::uint64_t>(i), size);
            const auto reply = client.receive();
            ASSERT_EQ(reply.cookie, static_cast<std::uint64_t>(i));
            ASSERT_EQ(reply.size(), size);
        }
    };
    { resize_often(0); }
    const std::uint64_t before = resident_kilobytes(served.process().id());
    std::vector<std::thread> threads;
    for (int number = 0; number < connections; ++number) {
        threads.emplace_back(resize_often, number);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_LT(resident_kilobytes(served.process().id()), before + 4096 + kept_by_sanitizer);
    // It reads at last: what it was told last is the size.
    const ResizeClient asks(served.socket(), name);
    std::uint64_t told = 0;
    int notes = 0;
    idle.send(flag::cancel, 9, 7);
    for (auto chunk = idle.receive(); chunk.cookie != 9; chunk = idle.receive()) {
        told = chunk.payload.empty() ? told : chunk.size();
        ++notes;
    }
    EXPECT_EQ(told, asks.size());
    EXPECT_LT(notes, connections * rounds) << "notifications were merged";
}

// RZ-PLAIN-10: requests that touch what changes meanwhile may be answered either way, but each of them is.
TEST(ResizeProgram, answers_requests_in_the_area_that_changes) {
    Served served({"--threads", "2"});
    const ResizeClient client(served.socket(), "growth=explicit,shrink=allow");
    constexpr std::uint64_t rounds = 500;
    constexpr std::uint64_t whole = 1U << 20;
    const nbd::Buffer data(512);
    nbd::Buffer out;
    for (std::uint64_t i = 0; i < rounds; ++i) {
        const std::uint64_t size = i % 2 == 0 ? whole / 2 : whole;
        nbd::encode_to(out, nbd::CompactRequest{0, nbd::Command::resize, 3 * i, size, 0});
        nbd::encode_to(out, nbd::CompactRequest{0, nbd::Command::read, 3 * i + 1, whole - 512, 512});
        nbd::encode_to(out, nbd::CompactRequest{0, nbd::Command::write, 3 * i + 2, whole - 4096, 512});
        out.insert(out.end(), data.begin(), data.end());
    }
    std::thread sender([&] { client.raw().send(out); });
    std::set<std::uint64_t> open;
    for (std::uint64_t cookie = 0; cookie < 3 * rounds; ++cookie) {
        open.insert(cookie);
    }
    while (!open.empty()) {
        const auto chunk = client.receive();
        ASSERT_TRUE(open.contains(chunk.cookie)) << chunk.cookie;
        if ((chunk.flags & nbd::reply_flag::done) != 0) {
            open.erase(chunk.cookie);
        }
    }
    sender.join();
}

TEST(ResizeProgram, ten_thousand_exports_at_a_time) {
    rlimit descriptors{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &descriptors), 0);
    descriptors.rlim_cur = descriptors.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &descriptors);
    const std::size_t count = std::min<std::size_t>(10000, descriptors.rlim_cur - 200);
    Served served({"--max-connections", "0"});
    std::vector<std::unique_ptr<RawClient>> clients;
    for (std::size_t i = 0; i < count; ++i) {
        clients.push_back(std::make_unique<RawClient>(served.socket()));
        ASSERT_EQ(clients.back()->enter_transmission(fmt::format("growth=auto,advertise=silent,id={}", i)),
                  1U << 20);
    }
    EXPECT_LT(resident_kilobytes(served.process().id()), (300U << 10) + kept_by_sanitizer);
    clients.clear();
    served.expect_service();
}

TEST(ResizeProgram, hostile_names_are_refused_with_a_reason) {
    Served served({});
    for (const std::string& name :
         {std::string("nosuch"), std::string(4000, '='), std::string(4000, ','),
          "size=" + std::string(4000, '9'), std::string("growth=both,size=9223372036854775808"),
          std::string("fault=nosuch"), std::string("backend=file,size=9223372036854775807")}) {
        const ResizeClient client(served.socket(), name);
        EXPECT_FALSE(client.message().empty()) << name;
        EXPECT_LT(client.message().size(), 1000U);
    }
    const ResizeClient huge(served.socket(), "growth=both,size=9223372036854775807,limit=none");
    EXPECT_EQ(huge.size(), 9223372036854775807U);
    served.expect_service();
}

TEST(ResizeProgram, lists_its_faults) {
    const Folder folder;
    const Result listed = run({server, "--list-faults"}, folder);
    EXPECT_EQ(listed.code, 0);
    int of_the_draft = 0;
    std::istringstream text(listed.output);
    for (std::string line; std::getline(text, line);) {
        const auto tab = line.find('\t');
        of_the_draft += line.substr(tab + 1, 3) == "RZ-" ? 1 : 0;
        EXPECT_NE(line.find('\t', tab + 1), std::string::npos) << line;
    }
    EXPECT_GE(of_the_draft, 45);
}

} // namespace
} // namespace refserver
