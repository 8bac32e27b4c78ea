// Every way of changing the size, in front of servers that have none.

#include "reference-server/gateway/tests/inner_servers.hpp"
#include "reference-server/gateway/tests/nbd_client.hpp"
#include "reference-server/tests/served.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <tuple>

namespace refserver {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t mib = 1 << 20;

std::unique_ptr<InnerServer> make_inner(const std::string& kind, const Folder& folder, std::uint64_t size) {
    if (kind == "nbdkit") {
        return std::make_unique<Nbdkit>(folder, size);
    }
    return std::make_unique<StorageDaemon>(folder, size, kind);
}

/// What the inner server serves, how sizes are chosen, how the client grows.
class Growth : public testing::TestWithParam<std::tuple<const char*, const char*, const char*>> {};

TEST_P(Growth, IsSeenEverywhereAndReadsAsZeroes) {
    const auto [kind, sizing, way] = GetParam();
    const Folder folder;
    const auto inner = make_inner(kind, folder, mib);
    const Served gateway(inner->gateway({"--growth=both", std::string("--sizing=") + sizing,
                                         "--consent=implicit", "--limit=8M", "--granularity=64K"}));
    NbdClient other;
    ASSERT_EQ(other.connect(gateway.uri()), 0);
    ASSERT_EQ(other.write(0, std::vector<std::uint8_t>(mib, 0x5a)), 0);

    const std::string wanted = "3M";
    const Result grown =
        nbd_resize_client(folder, gateway.uri(), {"grow", wanted}, {std::string("--grow=") + way});
    ASSERT_EQ(grown.code, 0) << grown.output;
    EXPECT_EQ(size_at(gateway.uri()), 3 * mib);
    EXPECT_EQ(size_at(inner->uri()), 3 * mib);
    EXPECT_TRUE(all_bytes_are(gateway.uri(), 0, mib, 0x5a));
    // Growing by writing writes the last block, which may be of any content.
    EXPECT_TRUE(all_bytes_are(gateway.uri(), mib, 3 * mib - 65536, 0));

    // What a connection of before the change wrote, and what it writes now, is where the inner server has it.
    std::vector<std::uint8_t> part(4096);
    EXPECT_EQ(other.read(0, part), 0);
    EXPECT_EQ(part, std::vector<std::uint8_t>(4096, 0x5a));
    EXPECT_EQ(other.write(4096, std::vector<std::uint8_t>(4096, 0x77)), 0);
    EXPECT_EQ(other.flush(), 0);
    EXPECT_TRUE(all_bytes_are(inner->uri(), 4096, 8192, 0x77));

    // Above the limit: clamp gives what there is, where the reply can say so; the others refuse.
    const bool clamps = std::string_view(sizing) == "clamp" && std::string_view(way) == "explicit";
    EXPECT_EQ(nbd_resize_client(folder, gateway.uri(), {"grow", "9M"}, {std::string("--grow=") + way}).code,
              1)
        << "it is not as long as that";
    EXPECT_EQ(size_at(inner->uri()), clamps ? 8 * mib : 3 * mib);
}

INSTANTIATE_TEST_SUITE_P(Ways, Growth,
                         testing::Combine(testing::Values("nbdkit", "raw", "qcow2"),
                                          testing::Values("exact", "round", "clamp"),
                                          testing::Values("explicit", "flagged", "plain")),
                         [](const auto& tested) {
                             return fmt::format("{}_{}_{}", std::get<0>(tested.param),
                                                std::get<1>(tested.param), std::get<2>(tested.param));
                         });

class Shrinking : public testing::TestWithParam<const char*> {};

TEST_P(Shrinking, CutBytesDoNotComeBack) {
    const Folder folder;
    const auto inner = make_inner(GetParam(), folder, mib);
    const Served gateway(inner->gateway({"--growth=explicit", "--shrink=allow"}));
    NbdClient client;
    ASSERT_EQ(client.connect(gateway.uri()), 0);
    ASSERT_EQ(client.write(0, std::vector<std::uint8_t>(mib, 0xab)), 0);
    // In the middle of a cluster, where qcow2 keeps the rest.
    const std::uint64_t cut = 100352;
    EXPECT_EQ(nbd_resize_client(folder, gateway.uri(), {"shrink", std::to_string(cut)}).code, 0);
    EXPECT_EQ(size_at(inner->uri()), cut);
    std::vector<std::uint8_t> beyond(512);
    EXPECT_NE(client.read(cut, beyond), 0) << "on a connection that began with the old size as well";
    EXPECT_EQ(nbd_resize_client(folder, gateway.uri(), {"grow", "1M"}).code, 0);
    EXPECT_TRUE(all_bytes_are(gateway.uri(), 0, cut, 0xab));
    EXPECT_TRUE(all_bytes_are(gateway.uri(), cut, mib, 0));
}

INSTANTIATE_TEST_SUITE_P(Inner, Shrinking, testing::Values("nbdkit", "raw", "qcow2"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST(GatewayGrowth, IsToldToSubscribers) {
    const Folder folder;
    const Nbdkit inner(folder, mib);
    const Served gateway(inner.gateway({"--growth=explicit", "--control", folder / "control"}));
    Process watcher({std::string(NBD_BIN_DIR) + "/nbd-resize-client", "watch", gateway.uri()},
                    folder / "watched");
    watcher.wait_for_output("1048576");
    EXPECT_EQ(nbd_resize_client(folder, gateway.uri(), {"grow", "2M"}).code, 0);
    watcher.wait_for_output("2097152");
    EXPECT_EQ(nbd_resize_client(folder, gateway.uri(), {"grow", "3M"}).code, 0);
    watcher.wait_for_output("3145728");
    watcher.signal(SIGTERM);
    watcher.wait();
}

TEST(GatewayGrowth, AServerThatDoesNotLookAnewKeepsItsSize) {
    const Folder folder;
    const QemuNbd inner(folder, mib);
    const Served gateway(with({"--backend", inner.uri(), "--resize-with", "truncate:" + inner.image()},
                              {"--growth=explicit"}));
    const Result grown = nbd_resize_client(folder, gateway.uri(), {"grow", "2M"}, {"--grow=explicit"});
    EXPECT_EQ(grown.code, 1);
    EXPECT_THAT(grown.output, HasSubstr("EIO"));
    EXPECT_EQ(size_at(gateway.uri()), mib);
    EXPECT_EQ(std::filesystem::file_size(inner.image()), mib) << "what was tried is taken back";
    EXPECT_TRUE(all_bytes_are(gateway.uri(), 0, mib, 0));
}

TEST(GatewayGrowth, AnExportThatOthersUseIsLeftAlone) {
    const Folder folder;
    const StorageDaemon inner(folder, mib, "raw");
    NbdClient other;
    ASSERT_EQ(other.connect(inner.uri()), 0);
    const Served safe(inner.gateway({"--growth=explicit"}));
    const Result refused = nbd_resize_client(folder, safe.uri(), {"grow", "2M"}, {"--grow=explicit"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.output, HasSubstr("EIO"));
    EXPECT_EQ(size_at(safe.uri()), mib);
    EXPECT_EQ(other.flush(), 0) << "it was not disturbed";
    const Served hard(with({"--backend", inner.uri(), "--resize-with", inner.resize_with() + ",mode=hard"},
                           {"--growth=explicit"}));
    EXPECT_EQ(nbd_resize_client(folder, hard.uri(), {"grow", "2M"}).code, 0);
    EXPECT_NE(other.flush(), 0);
}

} // namespace
} // namespace refserver
