// The library against servers that people use.

#include "reference-client/handshake.hpp"
#include "reference-client/session.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <numeric>

namespace refclient {
namespace {

using testing::RunningServer;
using testing::ServerKind;
namespace flag = nbd::transmission_flag;

constexpr std::uint64_t image_size = 8 * 1048576;

/// A server of each kind, on an image of 8 MiB with data from 1 MiB to 1 MiB + 64 KiB.
class Servers : public ::testing::TestWithParam<ServerKind> {
  protected:
    void SetUp() override {
        if (!GetParam().installed()) {
            GTEST_SKIP() << GetParam().name() << " is not installed";
        }
        image_ = folder_.file("image");
        std::ofstream out(image_, std::ios::binary);
        out.seekp(1048576);
        for (int i = 0; i < 65536; ++i) {
            out.put(static_cast<char>(i * 7 + i / 256));
        }
        out.seekp(image_size - 1);
        out.put('\0');
        out.close();
        server_.emplace(GetParam().start(image_));
    }

    [[nodiscard]] nbd::Uri uri() const { return nbd::parse_uri(server_->uri()); }
    [[nodiscard]] static nbd::Buffer pattern(std::size_t size, unsigned seed) {
        nbd::Buffer bytes(size);
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 255 + seed);
        }
        return bytes;
    }
    /// The export has this flag and the server means it. nbdkit 1.32 offers commands by the oldstyle
    /// handshake that it then answers with NBD_EINVAL.
    [[nodiscard]] static bool offers(const ExportInfo& info, std::uint16_t wanted) {
        return info.has(wanted) && !oldstyle();
    }
    [[nodiscard]] static bool oldstyle() { return GetParam().name() == "nbdkit_oldstyle"; }

    testing::TemporaryFolder folder_;
    std::string image_;
    std::optional<RunningServer> server_;
};

TEST_P(Servers, TellAboutTheirExport) {
    const auto connection = Connection::open(uri(), {});
    EXPECT_EQ(connection->info().size, image_size);
    EXPECT_TRUE(connection->info().has(flag::has_flags));
    EXPECT_FALSE(connection->info().has(flag::read_only));
    connection->disconnect();
}

TEST_P(Servers, WorkWithEveryKindOfReply) {
    for (const Replies replies : {Replies::simple, Replies::structured, Replies::extended}) {
        for (const bool export_name : {false, true}) {
            Options options;
            options.replies = replies;
            options.use_export_name = export_name;
            options.no_zeroes = replies != Replies::simple;
            const auto connection = Connection::open(uri(), options);
            const nbd::Buffer written = pattern(4096, static_cast<unsigned>(replies));
            connection->write(4096, written);
            nbd::Buffer read(4096);
            connection->read(4096, read);
            EXPECT_EQ(read, written);
            EXPECT_FALSE(replies == Replies::simple && connection->info().structured);
            connection->disconnect();
        }
    }
}

TEST_P(Servers, KeepWhatIsWrittenToTheLastByte) {
    const auto connection = Connection::open(uri(), {});
    const nbd::Buffer written = pattern(100000, 5);
    connection->write(image_size - written.size(), written);
    if (offers(connection->info(), flag::send_flush)) {
        connection->flush();
    }
    nbd::Buffer read(written.size());
    connection->read(image_size - read.size(), read);
    EXPECT_EQ(read, written);
}

TEST_P(Servers, AnswerManyRequestsInFlight) {
    const auto connection = Connection::open(uri(), {});
    constexpr std::size_t size = 65536;
    std::vector<nbd::Buffer> written;
    std::vector<Cookie> cookies;
    written.reserve(64);
    for (unsigned i = 0; i < 64; ++i) {
        written.push_back(pattern(size, i));
        cookies.push_back(connection->submit(Operation::write(i * size, written.back())));
    }
    for (const Cookie cookie : cookies) {
        EXPECT_TRUE(connection->wait(cookie).ok());
    }
    std::vector<nbd::Buffer> read(64, nbd::Buffer(size));
    for (unsigned i = 0; i < 64; ++i) {
        connection->submit(Operation::read(i * size, read[i]));
    }
    while (connection->outstanding() > 0) {
        EXPECT_TRUE(connection->wait_any().ok());
    }
    EXPECT_EQ(read, written);
}

TEST_P(Servers, RefusePastTheEndAndGoOn) {
    Options options;
    options.strict = false;
    const auto connection = Connection::open(uri(), options);
    nbd::Buffer memory(512, 0x42);
    const auto error_of = [&](Operation operation) {
        return connection->wait(connection->submit(std::move(operation))).error;
    };
    EXPECT_NE(error_of(Operation::read(image_size, memory)), nbd::Error::none);
    EXPECT_NE(error_of(Operation::write(image_size - 1, memory)), nbd::Error::none);
    connection->read(0, memory);
    EXPECT_EQ(memory, nbd::Buffer(512, 0));
}

TEST_P(Servers, ZeroAndTrim) {
    const auto connection = Connection::open(uri(), {});
    if (offers(connection->info(), flag::send_write_zeroes)) {
        connection->write(0, pattern(8192, 1));
        connection->zero(0, 4096);
        nbd::Buffer read(4096);
        connection->read(0, read);
        EXPECT_EQ(read, nbd::Buffer(4096, 0));
        connection->zero(4096, 4096, nbd::command_flag::no_hole);
        connection->read(4096, read);
        EXPECT_EQ(read, nbd::Buffer(4096, 0));
    }
    if (offers(connection->info(), flag::send_trim)) {
        connection->trim(1048576, 65536);
    }
    if (offers(connection->info(), flag::send_fua)) {
        connection->write(0, pattern(512, 2), nbd::command_flag::fua);
    }
    connection->disconnect();
}

TEST_P(Servers, TellHolesWhereTheyHaveContexts) {
    const auto connection = Connection::open(uri(), {});
    const auto id = connection->info().context_id(nbd::base_allocation);
    if (!id) {
        GTEST_SKIP() << "no base:allocation";
    }
    const std::vector<ContextStatus> all = connection->block_status(0, image_size);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all.front().context, *id);
    ASSERT_GE(all.front().extents.size(), 1U);
    EXPECT_EQ(all.front().extents.front(),
              (Extent{1048576, nbd::allocation_flag::hole | nbd::allocation_flag::zero}));
    const std::vector<ContextStatus> one =
        connection->block_status(1048576, 65536, nbd::command_flag::req_one);
    EXPECT_THAT(one, ::testing::ElementsAre(ContextStatus{*id, {{65536, 0}}}));
}

TEST_P(Servers, ListTheirExports) {
    if (oldstyle()) {
        EXPECT_THROW(static_cast<void>(query_list(uri(), {})), Failure);
        return;
    }
    const std::vector<ListedExport> exports = query_list(uri(), {});
    ASSERT_EQ(exports.size(), 1U);
    EXPECT_EQ(exports.front().name, uri().export_name);
}

TEST_P(Servers, RefuseExportsThatTheyDoNotHave) {
    nbd::Uri wrong = uri();
    wrong.export_name = "no such export";
    // nbdkit's file plugin has one export under any name.
    if (GetParam().name().starts_with("nbdkit") && !oldstyle()) {
        EXPECT_NO_THROW(static_cast<void>(Connection::open(wrong, {})));
        return;
    }
    EXPECT_THROW(static_cast<void>(Connection::open(wrong, {})), Failure);
    Options old;
    old.use_export_name = true;
    EXPECT_THROW(static_cast<void>(Connection::open(wrong, old)), Failure);
    EXPECT_EQ(Connection::open(uri(), {})->info().size, image_size);
}

TEST_P(Servers, TellWithoutEntering) {
    const ExportInfo info = query_info(uri(), {});
    // nbd-server opens the file when the export is entered, and tells a size of 0 before.
    if (GetParam().name() != "nbd_server") {
        EXPECT_EQ(info.size, image_size);
    }
    EXPECT_TRUE(info.has(flag::has_flags));
}

TEST_P(Servers, DieWithoutHangingTheClient) {
    const auto connection = Connection::open(uri(), {});
    nbd::Buffer memory(512);
    connection->read(0, memory);
    if (GetParam().name() == "nbd_server") {
        GTEST_SKIP() << "a process of its own serves each connection";
    }
    server_->process().kill();
    try {
        connection->read(0, memory);
        FAIL() << "a dead server answered";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.kind(), FailureKind::connection);
    }
}

TEST_P(Servers, AgreeAcrossConnectionsWhereTheyPromiseIt) {
    Options options;
    options.connections = 4;
    Session session = Session::open(uri(), options);
    EXPECT_EQ(session.connection_count(), session.info().has(flag::can_multi_conn) ? 4U : 1U);
    const nbd::Buffer written = pattern(512, 9);
    for (std::uint64_t i = 0; i < 8; ++i) {
        session.wait(session.submit(Operation::write(i * 512, written))).check();
    }
    if (offers(session.info(), flag::send_flush)) {
        session.wait(session.submit(Operation::flush())).check();
    }
    for (std::uint64_t i = 0; i < 8; ++i) {
        nbd::Buffer read(512);
        session.wait(session.submit(Operation::read((7 - i) * 512, read))).check();
        EXPECT_EQ(read, written);
    }
    session.disconnect();
}

INSTANTIATE_TEST_SUITE_P(Installed, Servers, ::testing::ValuesIn(testing::server_kinds()),
                         [](const ::testing::TestParamInfo<ServerKind>& server) {
                             return server.param.name();
                         });

} // namespace
} // namespace refclient
