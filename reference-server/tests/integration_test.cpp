// The program itself, over real sockets and with the clients that people use.

#include "protocol/describe.hpp"
#include "protocol/handshake.hpp"
#include "protocol/transmission.hpp"
#include "reference-server/tests/process.hpp"
#include "reference-server/tests/raw_client.hpp"
#include "reference-server/tests/served.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace refserver {
namespace {

nbd::Buffer request(nbd::Command type, std::uint64_t cookie, std::uint64_t offset, std::uint32_t length) {
    return nbd::encode(nbd::CompactRequest{0, type, cookie, offset, length});
}

const nbd::Buffer disconnect = request(nbd::Command::disc, 0, 0, 0);

nbd::Buffer operator+(nbd::Buffer left, const nbd::Buffer& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

nbd::Buffer random_content(std::size_t size) {
    nbd::Buffer content(size);
    std::mt19937 generator(42);
    std::generate(content.begin(), content.end(), [&] { return static_cast<std::uint8_t>(generator()); });
    return content;
}

void write_file(const std::string& path, const nbd::Buffer& content) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
}

nbd::Buffer read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return nbd::Buffer(std::istreambuf_iterator<char>(file), {});
}

TEST(Program, serves_a_file_and_leaves_nothing_behind) {
    Folder folder;
    const nbd::Buffer content = random_content(100000);
    write_file(folder / "disk", content);
    Served served({folder / "disk"});
    const RawClient client(served.socket());
    EXPECT_EQ(client.enter_transmission(), 100000U);
    client.send(request(nbd::Command::read, 1, 5, 99995));
    EXPECT_EQ(client.receive(16), nbd::encode(nbd::SimpleReply{nbd::Error::none, 1}));
    EXPECT_TRUE(client.receive(99995) == nbd::Buffer(content.begin() + 5, content.end()));
    served.process().signal(SIGTERM);
    EXPECT_EQ(served.process().wait(), 0);
    EXPECT_FALSE(std::filesystem::exists(served.socket()));
    EXPECT_TRUE(client.receive_all().empty());
}

TEST(Program, ends_by_sigint_too_and_removes_the_pid_file) {
    Folder folder;
    Served served({"--memory", "1M", "--pid-file", folder / "pid"});
    served.expect_service();
    EXPECT_EQ(read_file(folder / "pid").size(), std::to_string(served.process().id()).size() + 1);
    served.process().signal(SIGINT);
    EXPECT_EQ(served.process().wait(), 0);
    EXPECT_FALSE(std::filesystem::exists(folder / "pid"));
}

TEST(Program, replaces_a_socket_that_was_left_behind_but_not_one_in_use) {
    Folder folder;
    const std::string path = folder / "socket";
    {
        Process killed({server, "--memory", "1M", "-U", path}, folder / "first");
        killed.wait_for_output("serving");
        const Result second = run({server, "--memory", "1M", "-U", path}, folder);
        EXPECT_EQ(second.code, 1);
        EXPECT_NE(second.output.find(path), std::string::npos) << second.output;
        killed.signal(SIGKILL);
        killed.wait();
    }
    ASSERT_TRUE(std::filesystem::exists(path));
    Process next({server, "--memory", "1M", "-U", path}, folder / "third");
    next.wait_for_output("serving");
    EXPECT_EQ(RawClient(path).enter_transmission(), 1U << 20);
}

TEST(Program, listens_on_any_free_port) {
    Folder folder;
    Process process({server, "--memory", "1M", "--port", "0", "--bind", "127.0.0.1"}, folder / "log");
    const std::string output = process.wait_for_output("/\n");
    const auto at = output.find("nbd://127.0.0.1:");
    ASSERT_NE(at, std::string::npos) << output;
    const auto port = static_cast<std::uint16_t>(std::stoul(output.substr(at + 16)));
    EXPECT_EQ(RawClient(port).enter_transmission(), 1U << 20);
}

TEST(Program, takes_sockets_from_the_service_manager) {
    Folder folder;
    const std::string path = folder / "socket";
    const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listening, 16), 0);
    Process process({server, "--memory", "1M"}, folder / "log", listening);
    {
        Process contradictory({server, "--memory", "1M", "-U", folder / "other"}, folder / "log2", listening);
        EXPECT_EQ(contradictory.wait(), 2);
        EXPECT_NE(contradictory.output().find("socket activation"), std::string::npos);
    }
    ::close(listening);
    EXPECT_EQ(RawClient(path).enter_transmission(), 1U << 20);
    process.signal(SIGTERM);
    EXPECT_EQ(process.wait(), 0);
    EXPECT_TRUE(std::filesystem::exists(path)) << "a socket that it did not make";
    EXPECT_EQ(process.output(), "");
}

TEST(Program, says_what_is_wrong) {
    Folder folder;
    const Result missing = run({server, "-U", folder / "s", folder / "missing"}, folder);
    EXPECT_EQ(missing.code, 1);
    EXPECT_NE(missing.output.find("missing"), std::string::npos);
    EXPECT_NE(missing.output.find("No such file"), std::string::npos);
    const Result nothing = run({server, "--nosuch"}, folder);
    EXPECT_EQ(nothing.code, 2);
    const Result elsewhere = run({server, "--memory", "1M", "-U", "/nonexistent/socket"}, folder);
    EXPECT_EQ(elsewhere.code, 1);
    EXPECT_NE(elsewhere.output.find("/nonexistent/socket"), std::string::npos);
    const Result huge = run({server, "--memory", "7E", "-U", folder / "s"}, folder);
    EXPECT_EQ(huge.code, 1);
    EXPECT_FALSE(std::filesystem::exists(folder / "s"));
}

TEST(Program, tells_every_message_when_asked) {
    Served served({"--memory", "1M", "-v"});
    served.expect_service();
    const std::string log = served.process().wait_for_output("ends: the client disconnected");
    EXPECT_NE(log.find("NBD_OPT_EXPORT_NAME"), std::string::npos) << log;
}

TEST(Connections, sixteen_at_once) {
    Served served({"--memory", "16M"});
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 16; ++i) {
        clients.push_back(std::make_unique<RawClient>(served.socket()));
    }
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (std::size_t i = 0; i < clients.size(); ++i) {
        threads.emplace_back([&, i] {
            const RawClient& client = *clients[i];
            client.enter_transmission();
            const std::uint64_t offset = i << 20;
            const nbd::Buffer data(1 << 20, static_cast<std::uint8_t>(i + 1));
            for (std::uint64_t cookie = 0; cookie < 20; ++cookie) {
                client.send(request(nbd::Command::write, cookie, offset, 1 << 20) + data);
                const bool written =
                    client.receive(16) == nbd::encode(nbd::SimpleReply{nbd::Error::none, cookie});
                client.send(request(nbd::Command::read, cookie, offset, 1 << 20));
                const bool read =
                    client.receive(16) == nbd::encode(nbd::SimpleReply{nbd::Error::none, cookie}) &&
                    client.receive(1 << 20) == data;
                good += written && read ? 1 : 0;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(good, 16 * 20);
}

TEST(Connections, one_sees_what_another_one_wrote) {
    Folder folder;
    write_file(folder / "disk", nbd::Buffer(1 << 20));
    for (const std::vector<std::string>& source :
         {std::vector<std::string>{"--memory", "1M"}, {folder / "disk"}}) {
        Served served(source);
        const RawClient writer(served.socket());
        const RawClient reader(served.socket());
        writer.enter_transmission();
        reader.enter_transmission();
        for (std::uint8_t round = 1; round < 100; ++round) {
            const nbd::Buffer data(4096, round);
            writer.send(request(nbd::Command::write, round, 8192, 4096) + data);
            ASSERT_EQ(writer.receive(16), nbd::encode(nbd::SimpleReply{nbd::Error::none, round}));
            reader.send(request(nbd::Command::read, round, 8192, 4096));
            ASSERT_EQ(reader.receive(16), nbd::encode(nbd::SimpleReply{nbd::Error::none, round}));
            ASSERT_TRUE(reader.receive(4096) == data);
        }
    }
}

TEST(Connections, more_than_allowed_wait_for_their_turn) {
    Served served({"--memory", "1M", "--shared", "1"});
    auto first = std::make_unique<RawClient>(served.socket());
    first->enter_transmission();
    const RawClient second(served.socket());
    first.reset();
    EXPECT_EQ(second.enter_transmission(), 1U << 20);
}

TEST(Connections, an_idle_handshake_is_ended) {
    Served served({"--memory", "1M", "--handshake-limit", "1"});
    const RawClient idle(served.socket());
    EXPECT_EQ(idle.receive_all().size(), nbd::wire_size<nbd::NewstyleGreeting>);
    served.expect_service();
}

TEST(Clients, that_probe_or_leave_do_no_harm) {
    Served served({"--memory", "1M"});
    for (int i = 0; i < 200; ++i) {
        RawClient client(served.socket());
        if (i % 4 == 1) {
            client.send({0, 0});
        } else if (i % 4 == 2) {
            client.enter_transmission();
            nbd::Buffer reads;
            for (std::uint64_t cookie = 0; cookie < 64; ++cookie) {
                reads = reads + request(nbd::Command::read, cookie, 0, 1 << 20);
            }
            client.send(reads);
        } else if (i % 4 == 3) {
            client.enter_transmission();
            client.send(request(nbd::Command::write, 1, 0, 4096) + nbd::Buffer(1000, 'x'));
        }
        client.reset();
    }
    served.expect_service();
}

TEST(Clients, a_disc_behind_requests_gets_all_replies_and_then_the_end) {
    Folder folder;
    write_file(folder / "disk", random_content(1 << 20));
    for (const std::vector<std::string>& source :
         {std::vector<std::string>{"--memory", "1M"}, {folder / "disk"}}) {
        Served served(source);
        const RawClient client(served.socket());
        client.enter_transmission();
        nbd::Buffer input;
        for (std::uint64_t cookie = 0; cookie < 20; ++cookie) {
            input = input + request(nbd::Command::read, cookie, cookie * 4096, 4096);
        }
        client.send(input + disconnect + nbd::Buffer(100, 'x'));
        EXPECT_EQ(client.receive_all().size(), 20U * (16 + 4096));
    }
}

TEST(Clients, a_half_close_gets_all_replies_and_then_the_end) {
    Served served({"--memory", "1M"});
    const RawClient client(served.socket());
    client.enter_transmission();
    client.send(request(nbd::Command::read, 1, 0, 65536) + request(nbd::Command::read, 2, 0, 65536));
    client.half_close();
    EXPECT_EQ(client.receive_all().size(), 2U * (16 + 65536));
}

TEST(Clients, garbage_ends_the_connection_at_once) {
    Served served({"--memory", "1M"});
    const RawClient client(served.socket());
    client.enter_transmission();
    client.send(nbd::Buffer(28, 'x'));
    EXPECT_TRUE(client.receive_all().empty());
    served.expect_service();
}

/// The resident memory of a process, in bytes.
std::uint64_t resident(pid_t process) {
    std::ifstream file(fmt::format("/proc/{}/statm", process));
    std::uint64_t total = 0;
    std::uint64_t pages = 0;
    file >> total >> pages;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

TEST(Clients, one_that_never_reads_is_held_up_and_costs_little) {
    Folder folder;
    write_file(folder / "disk", random_content(16 << 20));
    Served served({folder / "disk", "--threads", "1"});
    const RawClient greedy(served.socket());
    greedy.enter_transmission();
    nbd::Buffer reads;
    for (std::uint64_t cookie = 0; cookie < 100000; ++cookie) {
        nbd::encode_to(reads, nbd::CompactRequest{0, nbd::Command::read, cookie, 0, 1 << 20});
    }
    EXPECT_LT(greedy.send_until_blocked(reads), reads.size());
    // Served by the same thread, so nothing must be blocked there.
    served.expect_service();
    EXPECT_LT(resident(served.process().id()), std::uint64_t{600} << 20);
}

/// More than the server is willing to keep for one connection.
TEST(Clients, a_slow_reader_gets_every_byte) {
    constexpr std::size_t count = 24;
    constexpr std::uint32_t length = 4 << 20;
    Folder folder;
    const nbd::Buffer content = random_content(length);
    write_file(folder / "disk", content);
    for (const std::vector<std::string>& source :
         {std::vector<std::string>{"--memory", "4M"}, {folder / "disk"}}) {
        Served served(source);
        const RawClient client(served.socket());
        client.enter_transmission();
        client.send(request(nbd::Command::write, count, 0, length) + content);
        ASSERT_EQ(client.receive(16), nbd::encode(nbd::SimpleReply{nbd::Error::none, count}));
        nbd::Buffer reads;
        for (std::uint64_t cookie = 0; cookie < count; ++cookie) {
            reads = reads + request(nbd::Command::read, cookie, 0, length);
        }
        client.send(reads);
        std::vector<bool> seen(count);
        for (std::size_t i = 0; i < count; ++i) {
            const auto reply = nbd::decode<nbd::SimpleReply>(client.receive(16)).value();
            ASSERT_EQ(reply.error, nbd::Error::none);
            ASSERT_LT(reply.cookie, count);
            EXPECT_FALSE(seen[reply.cookie]);
            seen[reply.cookie] = true;
            nbd::Buffer data;
            while (data.size() < content.size()) {
                const nbd::Buffer part =
                    client.receive(std::min<std::size_t>(content.size() - data.size(), 50021));
                ASSERT_FALSE(part.empty());
                data.insert(data.end(), part.begin(), part.end());
            }
            ASSERT_TRUE(data == content);
        }
    }
}

TEST(Shutdown, requests_in_progress_are_answered) {
    Folder folder;
    write_file(folder / "disk", random_content(4 << 20));
    Served served({folder / "disk"});
    const RawClient client(served.socket());
    client.enter_transmission();
    client.send(request(nbd::Command::read, 1, 0, 4 << 20));
    // The reply has begun, and does not fit into the socket.
    EXPECT_EQ(client.receive(16), nbd::encode(nbd::SimpleReply{nbd::Error::none, 1}));
    served.process().signal(SIGTERM);
    EXPECT_EQ(client.receive_all().size(), std::size_t{4} << 20);
    EXPECT_EQ(served.process().wait(), 0);
}

TEST(OutsideChanges, all_connections_see_the_new_size) {
    Folder folder;
    const std::string path = folder / "disk";
    write_file(path, random_content(1 << 20));
    Served served({path});
    const RawClient before(served.socket());
    EXPECT_EQ(before.enter_transmission(), 1U << 20);
    std::filesystem::resize_file(path, 2 << 20);
    EXPECT_EQ(RawClient(served.socket()).enter_transmission(), 2U << 20);
    before.send(request(nbd::Command::read, 1, 1 << 20, 512));
    EXPECT_EQ(before.receive(16 + 512),
              nbd::encode(nbd::SimpleReply{nbd::Error::none, 1}) + nbd::Buffer(512));
    std::filesystem::resize_file(path, 4096);
    // Whether the server has noticed already is a matter of time; that it must not write there is not.
    before.send(request(nbd::Command::read, 2, 8192, 512) + request(nbd::Command::write, 3, 8192, 1) +
                nbd::Buffer(1));
    for (int i = 0; i < 2; ++i) {
        const auto reply = nbd::decode<nbd::SimpleReply>(before.receive(16));
        EXPECT_TRUE(reply->error == nbd::Error::io || reply->error == nbd::Error::inval ||
                    reply->error == nbd::Error::nospc);
    }
    EXPECT_EQ(std::filesystem::file_size(path), 4096U);
}

class WithTools : public testing::Test {
  protected:
    void SetUp() override {
        for (const char* tool : {"nbdinfo", "nbdcopy", "qemu-io", "qemu-img"}) {
            if (!installed(tool)) {
                GTEST_SKIP() << tool << " is not installed";
            }
        }
    }
};

TEST_F(WithTools, nbdinfo_understands_every_handshake) {
    const std::vector<std::vector<std::string>> variants{
        {},
        {"--replies", "simple"},
        {"--replies", "structured"},
        {"--handshake", "newstyle"},
        {"--handshake", "oldstyle"},
        {"--mask-handshake", "1"},
        {"--block-size", "512,4K,1M"},
        {"--no-block-size"},
        {"--require-block-size"},
        {"--read-only"},
        {"--without", "flush,fua,trim,write-zeroes,fast-zero,df,multi-conn,cache,block-status"}};
    for (const auto& variant : variants) {
        Served served(with({"--memory", "3M"}, variant));
        // Not --size: nbdinfo 1.22 asks for it before the export is open if the option mode is missing.
        const Result info = run({"nbdinfo", "--json", served.uri()}, served.folder());
        EXPECT_EQ(info.code, 0) << info.output;
        EXPECT_NE(info.output.find(R"("export-size": 3145728)"), std::string::npos) << info.output;
    }
}

TEST_F(WithTools, nbdinfo_lists_and_maps) {
    Served served({"--memory", "1M", "-x", "scratch", "-D", "a scratch disk"});
    const Result list = run({"nbdinfo", "--list", served.uri()}, served.folder());
    EXPECT_EQ(list.code, 0) << list.output;
    EXPECT_NE(list.output.find("scratch"), std::string::npos) << list.output;
    EXPECT_NE(list.output.find("a scratch disk"), std::string::npos) << list.output;
    const Result map = run({"nbdinfo", "--map", served.uri()}, served.folder());
    EXPECT_EQ(map.code, 0) << map.output;
    EXPECT_NE(map.output.find("hole,zero"), std::string::npos) << map.output;
    const Result unknown =
        run({"nbdinfo", "--size", "nbd+unix:///other?socket=" + served.socket()}, served.folder());
    EXPECT_NE(unknown.code, 0);
}

TEST_F(WithTools, nbdcopy_copies_both_ways) {
    Folder folder;
    const nbd::Buffer content = random_content(20 << 20);
    write_file(folder / "source", content);
    write_file(folder / "disk", nbd::Buffer(20 << 20));
    for (const std::vector<std::string>& source : {std::vector<std::string>{"--memory", "20M"},
                                                   {folder / "disk"},
                                                   {"--memory", "20M", "--replies", "simple"}}) {
        Served served(source);
        const Result in = run({"nbdcopy", folder / "source", served.uri()}, folder);
        EXPECT_EQ(in.code, 0) << in.output;
        const Result out = run({"nbdcopy", served.uri(), folder / "copy"}, folder);
        EXPECT_EQ(out.code, 0) << out.output;
        EXPECT_TRUE(read_file(folder / "copy") == content);
        std::filesystem::remove(folder / "copy");
    }
}

TEST_F(WithTools, nbdcopy_starts_it_by_socket_activation) {
    Folder folder;
    const nbd::Buffer content = random_content(1 << 20);
    write_file(folder / "disk", content);
    const Result copied = run({"nbdcopy", "--", "[", server, folder / "disk", "]", folder / "copy"}, folder);
    EXPECT_EQ(copied.code, 0) << copied.output;
    EXPECT_TRUE(read_file(folder / "copy") == content);
}

TEST_F(WithTools, qemu_io_does_all_commands) {
    Folder folder;
    write_file(folder / "disk", nbd::Buffer(4 << 20));
    for (const std::vector<std::string>& source :
         {std::vector<std::string>{"--memory", "4M"}, {folder / "disk"}}) {
        Served served(source);
        const Result done = run({"qemu-io",
                                 "-f",
                                 "raw",
                                 "-d",
                                 "unmap",
                                 "-c",
                                 "write -P 7 1000 100000",
                                 "-c",
                                 "write -f -P 8 0 512",
                                 "-c",
                                 "write -z -u 65536 65536",
                                 "-c",
                                 "write -z 200000 1000",
                                 "-c",
                                 "discard 1M 1M",
                                 "-c",
                                 "flush",
                                 "-c",
                                 "read -P 8 0 512",
                                 "-c",
                                 "read -P 7 1000 64536",
                                 "-c",
                                 "read -P 0 65536 35464",
                                 "-c",
                                 "read -P 0 200000 1000",
                                 "-c",
                                 "aio_write -P 9 2M 1M",
                                 "-c",
                                 "aio_flush",
                                 "-c",
                                 "read -P 9 2M 1M",
                                 served.uri()},
                                folder);
        EXPECT_EQ(done.code, 0) << done.output;
        EXPECT_EQ(done.output.find("failed"), std::string::npos) << done.output;
    }
}

TEST_F(WithTools, qemu_img_maps_converts_and_compares) {
    Folder folder;
    const nbd::Buffer content = random_content(1 << 20);
    write_file(folder / "disk", content);
    std::filesystem::resize_file(folder / "disk", 8 << 20);
    Served served({folder / "disk"});
    const Result map = run({"qemu-img", "map", "-f", "raw", "--output=json", served.uri()}, folder);
    EXPECT_EQ(map.code, 0) << map.output;
    const Result converted =
        run({"qemu-img", "convert", "-f", "raw", "-O", "raw", served.uri(), folder / "copy"}, folder);
    EXPECT_EQ(converted.code, 0) << converted.output;
    const Result compared =
        run({"qemu-img", "compare", "-f", "raw", "-F", "raw", served.uri(), folder / "copy"}, folder);
    EXPECT_EQ(compared.code, 0) << compared.output;
    EXPECT_TRUE(read_file(folder / "copy") == read_file(folder / "disk"));
}

} // namespace
} // namespace refserver
