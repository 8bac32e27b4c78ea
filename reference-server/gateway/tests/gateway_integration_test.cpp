// The gateway in front of real servers: what it offers, what it passes on, what it says when it cannot start,
// and how it lives through the absence of its server.

#include "reference-server/gateway/tests/inner_servers.hpp"
#include "reference-server/gateway/tests/nbd_client.hpp"
#include "reference-server/tests/served.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

namespace refserver {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::HasSubstr;

constexpr std::uint64_t mib = 1 << 20;
using Clock = std::chrono::steady_clock;

/// Waits for what has to happen soon.
template <class Condition>
bool soon(const Condition& holds) {
    const auto give_up = Clock::now() + 20s;
    while (!holds()) {
        if (Clock::now() > give_up) {
            return false;
        }
        std::this_thread::sleep_for(10ms);
    }
    return true;
}

/// What a control socket answers.
std::string tell(const std::string& socket, const std::string& line) {
    const RawClient raw(socket);
    const std::string text = line + "\n";
    raw.send(nbd::Buffer(text.begin(), text.end()));
    raw.half_close();
    const nbd::Buffer answer = raw.receive_all();
    return {answer.begin(), answer.end()};
}

struct Flag {
    const char* name;
    int (*ask)(nbd_handle*);
};

const Flag flags[] = {
    {"read-only", nbd_is_read_only}, {"flush", nbd_can_flush}, {"fua", nbd_can_fua},
    {"trim", nbd_can_trim},          {"zero", nbd_can_zero},   {"fast-zero", nbd_can_fast_zero},
    {"cache", nbd_can_cache}};

TEST(Gateway, OffersWhatTheInnerServerOffers) {
    const std::vector<std::vector<std::string>> variants{{"--verbose"},
                                                         {"--read-only"},
                                                         {"--without=flush"},
                                                         {"--without=fua"},
                                                         {"--without=trim"},
                                                         {"--without=write-zeroes"},
                                                         {"--without=fast-zero"},
                                                         {"--without=cache"},
                                                         {"--without=block-status"},
                                                         {"--without=multi-conn"},
                                                         {"--replies=simple"}};
    for (const auto& variant : variants) {
        SCOPED_TRACE(variant.front());
        const Served inner(with(variant, {"--memory=1M"}));
        const Served gateway({"--backend", "nbd:" + inner.uri()});
        NbdClient direct;
        NbdClient through;
        ASSERT_EQ(direct.connect(inner.uri()), 0);
        ASSERT_EQ(through.connect(gateway.uri()), 0);
        for (const Flag& flag : flags) {
            EXPECT_EQ(flag.ask(through.handle()), flag.ask(direct.handle())) << flag.name;
        }
        EXPECT_EQ(::nbd_can_meta_context(through.handle(), "base:allocation"),
                  ::nbd_can_meta_context(direct.handle(), "base:allocation"));
        EXPECT_EQ(::nbd_get_size(through.handle()), static_cast<std::int64_t>(mib));
        std::vector<std::uint8_t> bytes(4096);
        EXPECT_EQ(through.read(0, bytes), 0);
    }
}

TEST(Gateway, KeepsToTheInnerServersBlockSizes) {
    const Folder folder;
    const Nbdkit inner(folder, 4 * mib, {"--filter=blocksize-policy"},
                       {"blocksize-minimum=512", "blocksize-preferred=4096", "blocksize-maximum=65536",
                        "blocksize-error-policy=error"});
    const Served gateway(with({"--backend", inner.uri()}, {}));
    NbdClient client;
    ASSERT_EQ(client.connect(gateway.uri()), 0);
    EXPECT_EQ(::nbd_get_block_size(client.handle(), LIBNBD_SIZE_MINIMUM), 512);
    std::vector<std::uint8_t> bytes(3 * mib);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 65536);
    }
    EXPECT_EQ(client.write(512, bytes, LIBNBD_CMD_FLAG_FUA), 0) << "in parts that the inner server takes";
    std::vector<std::uint8_t> back(bytes.size());
    EXPECT_EQ(client.read(512, back), 0);
    EXPECT_EQ(back, bytes);
    EXPECT_EQ(::nbd_zero(client.handle(), 2 * mib, 512, 0), 0);
    EXPECT_TRUE(all_bytes_are(gateway.uri(), 512, 2 * mib + 512, 0));
}

TEST(Gateway, PassesExtentsOn) {
    const Folder folder;
    const StorageDaemon inner(folder, 4 * mib, "qcow2");
    const Served gateway(with({"--backend", inner.uri()}, {}));
    NbdClient client;
    ASSERT_EQ(client.connect(gateway.uri()), 0);
    ASSERT_EQ(client.write(mib, std::vector<std::uint8_t>(65536, 1)), 0);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> extents;
    const nbd_extent_callback note{[](void* data, const char* /*context*/, std::uint64_t /*offset*/,
                                      std::uint32_t* entries, std::size_t count, int* /*error*/) {
                                       for (std::size_t i = 0; i + 1 < count; i += 2) {
                                           static_cast<decltype(extents)*>(data)->emplace_back(
                                               entries[i], entries[i + 1]);
                                       }
                                       return 0;
                                   },
                                   &extents, nullptr};
    ASSERT_EQ(::nbd_block_status(client.handle(), 4 * mib, 0, note, 0), 0);
    const std::uint32_t hole = LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO;
    ASSERT_EQ(extents.size(), 3U);
    EXPECT_EQ(extents[0], std::pair(std::uint32_t{mib}, hole));
    EXPECT_EQ(extents[1], std::pair(std::uint32_t{65536}, std::uint32_t{0}));
    EXPECT_EQ(extents[2].second, hole);
}

TEST(Gateway, SaysWhyItDoesNotStart) {
    const Folder folder;
    const Nbdkit inner(folder, mib);
    const Folder daemon_folder;
    const StorageDaemon daemon(daemon_folder, mib, "raw");
    const std::string other = folder / "other";
    std::filesystem::copy_file(inner.image(), other);
    std::filesystem::resize_file(other, mib / 2);
    const std::string backend = "nbd:" + inner.uri();
    const std::string daemon_backend = "nbd:" + daemon.uri();
    struct Case {
        std::vector<std::string> arguments;
        int code;
        std::vector<const char*> parts;
    };
    const std::vector<Case> cases{
        {{"--backend", "nbd+unix:///?socket=" + folder / "nobody"}, 1, {"--backend", "nobody"}},
        {{"--backend", "nbd+unix:///wrong?socket=" + daemon.socket()}, 1, {"--backend", "wrong"}},
        {{"--backend", "disk.img"}, 2, {"disk.img", "nbd:URI"}},
        {{"--backend", backend, "--growth=both"}, 2, {"--growth both", "--resize-with"}},
        {{"--backend", backend, "--memory=1M"}, 2, {"--backend"}},
        {{"--backend", backend, "--size=1M"}, 2, {"--backend"}},
        {{"--resize-with", "truncate:x"}, 2, {"--backend"}},
        {{"--reconnect", "5"}, 2, {"--backend"}},
        {{"--backend", backend, "--resize-with", "fallocate:x"}, 2, {"truncate:FILE"}},
        {{"--backend", backend, "--resize-with", "truncate:" + folder / "absent"}, 1, {"absent"}},
        {{"--backend", backend, "--resize-with", "truncate:" + other}, 1, {"524288", "1048576", "other"}},
        {{"--backend", daemon_backend, "--resize-with", "qmp:" + folder / "absent"},
         1,
         {"absent", "monitor"}},
        {{"--backend", daemon_backend, "--resize-with", daemon.resize_with() + ",export=no"},
         1,
         {"export0 (node disk0)"}},
        {{"--backend", daemon_backend, "--resize-with", daemon.resize_with() + ",mode=x"}, 2, {"mode=x"}},
        {{"--backend", daemon_backend, "--resize-with", daemon.resize_with(), "--growth=both",
          "--granularity=100"},
         1,
         {"granularity 100", "512"}},
    };
    for (const Case& tried : cases) {
        const Result result = run(with({server, "--unix", folder / "socket"}, tried.arguments), folder);
        SCOPED_TRACE(testing::PrintToString(tried.arguments) + result.output);
        EXPECT_EQ(result.code, tried.code);
        EXPECT_THAT(result.output, HasSubstr("nbd-resize-server: "));
        for (const char* part : tried.parts) {
            EXPECT_THAT(result.output, HasSubstr(part));
        }
    }
}

TEST(Gateway, AReadOnlyServerDoesNotGrow) {
    const Folder folder;
    const Nbdkit inner(folder, mib, {"--readonly"});
    const Result refused =
        run(with({server, "--unix", folder / "socket"}, inner.gateway({"--growth=both"})), folder);
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.output, HasSubstr("read-only"));
    const Served gateway(inner.gateway({"--growth=both", "--read-only"}));
    EXPECT_NE(nbd_resize_client(folder, gateway.uri(), {"grow", "2M"}).code, 0);
    EXPECT_EQ(std::filesystem::file_size(inner.image()), mib);
}

TEST(Gateway, NoticesAnOutsideChange) {
    const Folder folder;
    const Nbdkit inner(folder, mib);
    const Served polling(with({"--backend", inner.uri()}, {"--poll=0.05", "--learn=notify"}));
    Served asked(with({"--backend", inner.uri()}, {"--control", folder / "control"}));
    Process watcher(
        {std::string(NBD_BIN_DIR) + "/nbd-resize-client", "watch", "--learn", "notify", polling.uri()},
        folder / "watched");
    watcher.wait_for_output("1048576");
    std::filesystem::resize_file(inner.image(), 2 * mib);
    watcher.wait_for_output("2097152");
    EXPECT_EQ(size_at(polling.uri()), 2 * mib);
    EXPECT_EQ(size_at(asked.uri()), mib) << "nobody has asked so far";
    EXPECT_EQ(tell(folder / "control", "size "), "2097152\n");
    EXPECT_EQ(size_at(asked.uri()), 2 * mib);
    EXPECT_THAT(tell(folder / "control", "resize  4194304"), HasSubstr("--resize-with"));
    std::filesystem::resize_file(inner.image(), mib / 2);
    watcher.wait_for_output("524288");
    NbdClient client;
    ASSERT_EQ(client.connect(polling.uri()), 0);
    std::vector<std::uint8_t> bytes(512);
    EXPECT_NE(client.read(mib / 2, bytes), 0);
    watcher.signal(SIGTERM);
    watcher.wait();
}

TEST(Gateway, RequestsFailWhileTheInnerServerIsAway) {
    const Folder folder;
    Nbdkit inner(folder, mib);
    Served gateway(inner.gateway({"--growth=explicit"}));
    NbdClient client;
    ASSERT_EQ(client.connect(gateway.uri()), 0);
    ASSERT_EQ(client.write(0, std::vector<std::uint8_t>(4096, 7)), 0);
    inner.kill();
    std::vector<std::uint8_t> bytes(4096);
    EXPECT_TRUE(soon([&] { return client.read(0, bytes) == EIO; }));
    EXPECT_EQ(client.write(0, bytes), EIO);
    EXPECT_EQ(nbd_resize_client(folder, gateway.uri(), {"grow", "2M"}, {"--grow=explicit"}).code, 1);
    EXPECT_EQ(size_at(gateway.uri()), mib) << "the gateway itself is there";
    inner.start();
    EXPECT_TRUE(soon([&] { return client.read(0, bytes) == 0; }));
    EXPECT_EQ(bytes, std::vector<std::uint8_t>(4096, 7));
    EXPECT_EQ(client.flush(), EIO) << "what was not flushed before may be missing";
    EXPECT_EQ(client.flush(), 0);
    EXPECT_EQ(nbd_resize_client(folder, gateway.uri(), {"grow", "2M"}).code, 0);
}

TEST(Gateway, RequestsWaitForAnInnerServerThatComesBack) {
    const Folder folder;
    Nbdkit inner(folder, mib);
    const Served gateway(inner.gateway({"--reconnect=20"}));
    NbdClient client;
    ASSERT_EQ(client.connect(gateway.uri()), 0);
    ASSERT_EQ(client.write(0, std::vector<std::uint8_t>(4096, 7), LIBNBD_CMD_FLAG_FUA), 0);
    inner.kill();
    // nbdkit ends with the thread that started it, so that it is the client that gets one of its own.
    std::atomic<int> outcome = -1;
    std::vector<std::uint8_t> bytes(4096);
    std::thread reader([&] { outcome = client.read(0, bytes); });
    std::this_thread::sleep_for(300ms);
    EXPECT_EQ(outcome, -1) << "it waits";
    inner.start();
    reader.join();
    EXPECT_EQ(outcome, 0);
    EXPECT_EQ(bytes, std::vector<std::uint8_t>(4096, 7));
    EXPECT_EQ(client.flush(), 0) << "all was durable";
}

TEST(Gateway, RequestsDoNotWaitForEver) {
    const Folder folder;
    Nbdkit inner(folder, mib);
    const Served gateway(inner.gateway({"--reconnect=0.3"}));
    NbdClient client;
    ASSERT_EQ(client.connect(gateway.uri()), 0);
    inner.kill();
    std::vector<std::uint8_t> bytes(4096);
    const auto begin = Clock::now();
    EXPECT_EQ(client.read(0, bytes), EIO);
    EXPECT_GE(Clock::now() - begin, 250ms);
}

TEST(Gateway, AServerThatComesBackWithLessIsNotUsed) {
    const Folder folder;
    std::unique_ptr<Nbdkit> inner = std::make_unique<Nbdkit>(folder, mib);
    Served gateway(inner->gateway({}));
    NbdClient client;
    ASSERT_EQ(client.connect(gateway.uri()), 0);
    inner->kill();
    inner = std::make_unique<Nbdkit>(folder, mib, std::vector<std::string>{"--readonly"});
    gateway.process().wait_for_output("without writing");
    std::vector<std::uint8_t> bytes(512);
    EXPECT_EQ(client.read(0, bytes), EIO);
    inner->kill();
    inner = std::make_unique<Nbdkit>(folder, mib);
    EXPECT_TRUE(soon([&] { return client.read(0, bytes) == 0; }));
}

TEST(Gateway, EndsThoughTheInnerServerHangs) {
    const Folder folder;
    Nbdkit inner(folder, mib);
    Served gateway(inner.gateway({"--growth=explicit"}));
    NbdClient client;
    ASSERT_EQ(client.connect(gateway.uri()), 0);
    inner.process().signal(SIGSTOP);
    std::vector<std::uint8_t> bytes(4096);
    std::atomic<int> outcome = 0;
    std::thread reader([&] { outcome = client.read(0, bytes); });
    Process growing(
        {std::string(NBD_BIN_DIR) + "/nbd-resize-client", "grow", "--grow", "explicit", gateway.uri(), "2M"},
        folder / "growing");
    std::this_thread::sleep_for(300ms);
    const auto begin = Clock::now();
    gateway.process().signal(SIGTERM);
    EXPECT_EQ(gateway.process().wait(), 0) << gateway.process().output();
    EXPECT_LT(Clock::now() - begin, 10s);
    reader.join();
    EXPECT_NE(outcome, 0);
    inner.process().signal(SIGCONT);
}

} // namespace
} // namespace refserver
