// A file on exports that change from outside, break, have blocks, or do not grow.

#include "reference-client/mount/tests/support/driven_file.hpp"
#include "reference-client/mount/tests/support/file_server.hpp"
#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/tests/support/knob_server.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>

namespace refclient::mount {
namespace {

using refclient::testing::hex;
using refclient::testing::ScriptedServer;
using refclient::testing::server_kinds;
using refclient::testing::ServerKind;
using refclient::testing::to_hex;
using ::testing::Contains;
using testing::DrivenFile;
using testing::FileServer;
using ::testing::HasSubstr;
using Peer = ScriptedServer::Peer;

constexpr std::uint64_t mebibyte = 1048576;

const refclient::testing::KnobServer& server() {
    static const refclient::testing::KnobServer started;
    return started;
}

/// An export of its own, also when tests are repeated.
std::string fresh(const std::string& knobs) {
    static int count = 0;
    return fmt::format("{},id={}", knobs, ++count);
}

FilePreferences learning(Learn way) {
    FilePreferences preferences;
    preferences.size.learn = way;
    preferences.size.credits = 1;
    return preferences;
}

// ---- Changes from outside

class Outside : public ::testing::TestWithParam<std::pair<Learn, std::string>> {};

TEST_P(Outside, ChangesOfTheSizeAreSeen) {
    const auto [way, offer] = GetParam();
    const std::string knobs = fresh("growth=both,advertise=info,shrink=allow,learn=" + offer);
    DrivenFile file(server().uri(knobs), learning(way));
    for (const std::uint64_t size : {2 * mebibyte, mebibyte / 2, 3 * mebibyte}) {
        ASSERT_TRUE(server().resize(knobs, size));
        // A notification is on its way when the server answers on its control socket, at the latest.
        EXPECT_TRUE(file.drive([&] { return file.length() == size; })) << file.length();
    }
    EXPECT_EQ(file.read(3 * mebibyte - 10, 100).second.size(), 10U);
}

INSTANTIATE_TEST_SUITE_P(Each, Outside,
                         ::testing::Values(std::pair(Learn::notify, "both"),
                                           std::pair(Learn::credits, "notify"),
                                           std::pair(Learn::notify, "poll"), std::pair(Learn::poll, "poll"),
                                           std::pair(Learn::reconnect, "none")));

TEST(Outside, ChangesAreSeenByReadingAtTheEnd) {
    const std::string knobs = fresh("growth=none,advertise=info,learn=poll");
    DrivenFile file(server().uri(knobs));
    EXPECT_EQ(file.read(mebibyte, 100).second.size(), 0U);
    ASSERT_TRUE(server().resize(knobs, mebibyte + 7));
    EXPECT_EQ(file.read(mebibyte, 100).second, std::string(7, '\0'));
}

TEST(Outside, GrowthIsNotCutOffByAWrite) {
    const std::string knobs = fresh("growth=explicit,advertise=info,shrink=allow,learn=poll");
    DrivenFile file(server().uri(knobs));
    ASSERT_TRUE(server().resize(knobs, 3 * mebibyte));
    // To this client the export ends before, and it would ask for a size that is now smaller.
    EXPECT_EQ(file.write(mebibyte, "more"), 4);
    EXPECT_EQ(server().size(knobs), 3 * mebibyte);
}

// ---- Servers that do not grow

/// Without nbdkit_oldstyle, which offers what it then refuses (nbdkit 1.32).
std::vector<ServerKind> fixed_kinds() {
    std::vector<ServerKind> kinds;
    for (const ServerKind& kind : server_kinds()) {
        if (kind.name() != "nbdkit_oldstyle") {
            kinds.push_back(kind);
        }
    }
    return kinds;
}

class FixedSize : public ::testing::TestWithParam<ServerKind> {
  protected:
    FixedSize() {
        if (GetParam().installed()) {
            std::ofstream(folder_.file("image")) << std::string(mebibyte, '.');
            running_.emplace(GetParam().start(folder_.file("image")));
        }
    }
    void SetUp() override {
        if (!running_) {
            GTEST_SKIP() << GetParam().name() << " is not installed";
        }
    }

    refclient::testing::TemporaryFolder folder_;
    std::optional<refclient::testing::RunningServer> running_;
};

TEST_P(FixedSize, IsAFullDisk) {
    DrivenFile file(nbd::parse_uri(running_->uri()));
    EXPECT_EQ(file.length(), mebibyte);
    EXPECT_EQ(file.write(100, "data"), 4);
    EXPECT_EQ(file.read(99, 6), std::pair(0, std::string(".data.")));
    EXPECT_EQ(file.write(mebibyte - 2, "data"), -ENOSPC);
    EXPECT_EQ(file.write(mebibyte, "data"), -ENOSPC);
    EXPECT_EQ(file.set_length(2 * mebibyte), ENOSPC);
    EXPECT_EQ(file.allocate(Allocate::reserve, false, 0, 2 * mebibyte), ENOSPC);
    EXPECT_EQ(file.set_length(512), EPERM);
    EXPECT_EQ(file.length(), mebibyte);
    EXPECT_EQ(file.read(mebibyte - 2, 10), std::pair(0, std::string("..")));
    EXPECT_EQ(file.flush(), 0);
    file.file().finish();
    EXPECT_EQ(std::filesystem::file_size(folder_.file("image")), mebibyte);
}

TEST_P(FixedSize, CanHideItsRest) {
    FilePreferences preferences;
    preferences.hide_rest = true;
    DrivenFile file(nbd::parse_uri(running_->uri()), preferences);
    EXPECT_EQ(file.set_length(0), 0);
    EXPECT_EQ(file.length(), 0U);
    EXPECT_EQ(file.write(0, "data", true), 4);
    EXPECT_EQ(file.write(10, "data"), 4);
    EXPECT_EQ(file.length(), 14U);
    EXPECT_EQ(file.read(0, 100), std::pair(0, std::string("data\0\0\0\0\0\0data", 14)));
    EXPECT_EQ(file.set_length(mebibyte), 0);
    EXPECT_TRUE(file.read(14, mebibyte) == std::pair(0, std::string(mebibyte - 14, '\0')));
    EXPECT_EQ(file.set_length(mebibyte + 1), ENOSPC);
    EXPECT_EQ(file.write(mebibyte - 1, "ab"), -ENOSPC);
}

TEST_P(FixedSize, TellsDataFromHoles) {
    DrivenFile file(nbd::parse_uri(running_->uri()));
    if (file.allocate(Allocate::punch_hole, true, mebibyte / 4, mebibyte / 2) != 0 ||
        !file.file().info().context_id(nbd::base_allocation)) {
        EXPECT_EQ(file.seek(5, Seek::data), 5);
        EXPECT_EQ(file.seek(5, Seek::hole), mebibyte);
        return;
    }
    EXPECT_EQ(file.read(mebibyte / 4 - 1, 3), std::pair(0, std::string(".\0\0", 3)));
    EXPECT_EQ(file.seek(5, Seek::data), 5);
    EXPECT_EQ(file.seek(5, Seek::hole), mebibyte / 4);
    EXPECT_EQ(file.seek(mebibyte / 4, Seek::data), 3 * mebibyte / 4);
    EXPECT_EQ(file.seek(mebibyte - 1, Seek::hole), mebibyte);
    EXPECT_EQ(file.seek(mebibyte, Seek::data), -ENXIO);
}

INSTANTIATE_TEST_SUITE_P(Each, FixedSize, ::testing::ValuesIn(fixed_kinds()),
                         [](const auto& test) { return test.param.name(); });

// ---- Blocks

TEST(Blocks, AreReadBeforeTheyAreWrittenInPart) {
    FileServer server({"--block-size", "512,4096,65536", "--growth", "both", "--fill", "unspecified",
                       "--granularity", "512", "--shrink", "allow"},
                      1024);
    DrivenFile file(server.uri());
    std::string model(1024, '.');
    const auto write = [&](std::size_t offset, const std::string& data) {
        ASSERT_EQ(file.write(offset, data), static_cast<std::int64_t>(data.size()));
        model.resize(std::max(model.size(), offset + data.size()));
        model.replace(offset, data.size(), data);
        // The file has whole blocks.
        model.resize((model.size() + 511) / 512 * 512);
        ASSERT_EQ(file.length(), model.size());
        ASSERT_TRUE(file.read(0, model.size() + 1) == std::pair(0, model));
    };
    write(3, "within a block");
    write(510, "over an edge");
    write(600, std::string(1000, 'x'));
    write(5001, "beyond the end");
    write(0, std::string(200000, 'y'));
    write(200001, "at the end");
    EXPECT_EQ(file.read(511, 3), std::pair(0, std::string("yyy")));
    EXPECT_EQ(file.set_length(1000), 0);
    EXPECT_EQ(file.read(999, 100).second, "y" + std::string(24, '\0'));
    EXPECT_EQ(file.allocate(Allocate::punch_hole, true, 100, 500), 0);
    EXPECT_EQ(file.read(98, 5).second, std::string("yy\0\0\0", 5));
    EXPECT_EQ(file.read(598, 5).second, std::string("\0\0yyy", 5));
}

// ---- Connections that break

FilePreferences once() {
    FilePreferences preferences;
    preferences.reconnect = false;
    return preferences;
}

TEST(Broken, ConnectionsFailWhatIsInFlightAndComeBack) {
    FileServer server({"--growth", "both", "--shrink", "allow"}, mebibyte);
    DrivenFile file(server.uri());
    ASSERT_EQ(file.write(0, "flushed"), 7);
    ASSERT_EQ(file.flush(), 0);
    server.kill();
    EXPECT_EQ(file.write(0, "x"), -EIO);
    EXPECT_EQ(file.read(0, 1).first, EIO);
    EXPECT_EQ(file.set_length(5), EIO);
    EXPECT_EQ(file.allocate(Allocate::punch_hole, true, 0, 1), EIO);
    EXPECT_EQ(file.seek(0, Seek::data), -EIO);
    EXPECT_EQ(file.flush(), EIO);
    EXPECT_EQ(file.length(), mebibyte) << "the length that was known last stays";
    EXPECT_THAT(file.log(), Contains(HasSubstr("the connection has broken")));
    server.start();
    EXPECT_EQ(file.read(0, 7), std::pair(0, std::string("flushed")));
    EXPECT_THAT(file.log(), Contains(HasSubstr("connected again")));
    EXPECT_EQ(file.write(mebibyte, "grown"), 5);
    EXPECT_EQ(file.flush(), 0);
    EXPECT_NO_THROW(file.file().finish());
}

TEST(Broken, ConnectionsStayBrokenIfWished) {
    FileServer server({"--growth", "both", "--shrink", "allow"}, mebibyte);
    DrivenFile file(server.uri(), once());
    server.kill();
    EXPECT_EQ(file.write(0, "x"), -EIO);
    server.start();
    EXPECT_EQ(file.write(0, "x"), -EIO);
    EXPECT_EQ(file.read(0, 1).first, EIO);
}

TEST(Broken, ConnectionsMakeAnUnflushedWriteAnErrorOfFlush) {
    FileServer server({"--growth", "both", "--shrink", "allow"}, mebibyte);
    DrivenFile file(server.uri());
    ASSERT_EQ(file.write(0, "not flushed"), 11);
    server.kill();
    server.start();
    EXPECT_TRUE(file.drive([&] { return !file.file().link().connected(); }));
    EXPECT_EQ(file.flush(), EIO) << "a flush on another connection says nothing about the write";
    EXPECT_EQ(file.flush(), 0);
    ASSERT_EQ(file.write(0, "again"), 5);
    server.kill();
    EXPECT_TRUE(file.drive([&] { return !file.file().link().connected(); }));
    EXPECT_THROW(file.file().finish(), Failure) << "nobody was told";
}

TEST(Broken, ConnectionsDoNotHurtWhatIsDurable) {
    FileServer server({"--growth", "both", "--shrink", "allow"}, mebibyte);
    DrivenFile file(server.uri());
    ASSERT_EQ(file.write(0, "durable", false, true), 7);
    ASSERT_EQ(file.write(2 * mebibyte, "durable growth", false, true), 14);
    server.kill();
    server.start();
    EXPECT_TRUE(file.drive([&] { return !file.file().link().connected(); }));
    EXPECT_EQ(file.flush(), 0);
}

TEST(Broken, SilentServersAreLeft) {
    ScriptedServer silent([](const Peer& peer) {
        peer.shake_hands({});
        static_cast<void>(peer.receive_all());
    });
    Options options;
    options.contexts.clear();
    options.timeout = std::chrono::milliseconds(50);
    ExportFile file(silent.uri(), options, once(), [](std::string_view) {});
    file.open();
    int error = 0;
    file.read(0, 512, [&](int told, std::span<const std::uint8_t>) { error = told; });
    EXPECT_EQ(error, 0);
    EXPECT_TRUE(refclient::testing::eventually([&] {
        file.link().expire();
        return error != 0;
    }));
    EXPECT_EQ(error, EIO);
}

// ---- What goes over the wire

/// The requests that a server receives that answers each with success, as hexadecimal digits without their
/// data.
std::vector<std::string> requests_of(std::uint16_t flags, const std::function<void(DrivenFile&)>& act) {
    std::vector<std::string> requests;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands({.flags = flags, .structured = false});
        for (;;) {
            const nbd::Buffer request = peer.receive(28);
            if (request.size() < 28 || request[7] == 2) {
                return;
            }
            requests.push_back(to_hex(nbd::Bytes(request).subspan(4, 4)));
            if (request[7] == 1) {
                static_cast<void>(peer.receive(nbd::detail::load_big<std::uint32_t>(request.data() + 24)));
            }
            nbd::Buffer reply = hex("67446698 00000000");
            reply.insert(reply.end(), request.begin() + 8, request.begin() + 16);
            peer.send(reply);
        }
    });
    {
        DrivenFile file(server.uri(), once(), Replies::simple);
        act(file);
        file.file().link().disconnect();
    }
    server.join();
    return requests;
}

TEST(Requests, AreDurableByFuaOrByFlush) {
    namespace flag = nbd::transmission_flag;
    const auto durable_write = [](DrivenFile& file) { EXPECT_EQ(file.write(0, "data", false, true), 4); };
    EXPECT_THAT(requests_of(flag::has_flags | flag::send_fua | flag::send_flush, durable_write),
                ::testing::ElementsAre("00010001"));
    EXPECT_THAT(requests_of(flag::has_flags | flag::send_flush, durable_write),
                ::testing::ElementsAre("00000001", "00000003"));
    EXPECT_THAT(requests_of(flag::has_flags, durable_write), ::testing::ElementsAre("00000001"));
}

TEST(Requests, OfFsyncAreFlushes) {
    namespace flag = nbd::transmission_flag;
    const auto sync = [](DrivenFile& file) { EXPECT_EQ(file.flush(), 0); };
    EXPECT_THAT(requests_of(flag::has_flags | flag::send_flush, sync), ::testing::ElementsAre("00000003"));
    EXPECT_THAT(requests_of(flag::has_flags, sync), ::testing::IsEmpty());
}

TEST(Requests, KeepOrGiveBackSpace) {
    namespace flag = nbd::transmission_flag;
    const std::uint16_t flags = flag::has_flags | flag::send_write_zeroes | flag::send_trim;
    EXPECT_THAT(requests_of(flags,
                            [](DrivenFile& file) {
                                EXPECT_EQ(file.allocate(Allocate::punch_hole, true, 0, 4096), 0);
                                EXPECT_EQ(file.allocate(Allocate::zero_range, true, 0, 4096), 0);
                            }),
                ::testing::ElementsAre("00000006", "00020006"));
    // What NBD_CMD_TRIM leaves need not read as zero.
    EXPECT_THAT(requests_of(flag::has_flags | flag::send_trim,
                            [](DrivenFile& file) {
                                EXPECT_EQ(file.allocate(Allocate::punch_hole, true, 0, 4096), EOPNOTSUPP);
                            }),
                ::testing::IsEmpty());
}

} // namespace
} // namespace refclient::mount
