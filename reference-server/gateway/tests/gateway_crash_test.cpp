// Writing while sizes change, and while one or the other process is killed: what was flushed is there.

#include "reference-server/gateway/tests/disk_model.hpp"
#include "reference-server/gateway/tests/inner_servers.hpp"
#include "reference-server/gateway/tests/nbd_client.hpp"
#include "reference-server/tests/served.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <unistd.h>

namespace refserver {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::size_t writers = 4;
constexpr std::size_t blocks = 64;

/// How often something is killed; the script kill-many sets more.
int kills() {
    const char* wanted = std::getenv("NBD_GATEWAY_KILLS");
    return wanted != nullptr ? std::atoi(wanted) : 6;
}

std::unique_ptr<InnerServer> make_inner(const std::string& kind, const Folder& folder) {
    if (kind == "nbdkit") {
        return std::make_unique<Nbdkit>(folder, 4 * mib);
    }
    return std::make_unique<StorageDaemon>(folder, 4 * mib, kind);
}

/// Some connections that write and read, each in an area of its own below every size that there will be.
class Writers {
  public:
    explicit Writers(std::uint64_t seed) {
        for (std::size_t i = 0; i < writers; ++i) {
            models_.emplace_back(i * blocks * DiskModel::block, blocks, seed + i);
        }
    }
    void start(const std::string& uri) {
        ending_ = false;
        for (DiskModel& model : models_) {
            threads_.emplace_back([this, &model, uri] {
                NbdClient client;
                for (bool connected = client.connect(uri) == 0; connected && !ending_;) {
                    model.step(client);
                    connected = ::nbd_aio_is_ready(client.handle()) == 1;
                }
            });
        }
    }
    void stop() {
        ending_ = true;
        for (std::thread& thread : threads_) {
            thread.join();
        }
        threads_.clear();
    }
    void expect_all_well(const std::string& uri) {
        NbdClient client;
        ASSERT_EQ(client.connect(uri), 0);
        for (DiskModel& model : models_) {
            EXPECT_EQ(model.check(client), "");
        }
    }
    [[nodiscard]] std::size_t errors() const {
        std::size_t all = 0;
        for (const DiskModel& model : models_) {
            all += model.errors();
        }
        return all;
    }
    [[nodiscard]] std::size_t flushes() const {
        std::size_t all = 0;
        for (const DiskModel& model : models_) {
            all += model.flushes();
        }
        return all;
    }

  private:
    std::vector<DiskModel> models_;
    std::vector<std::thread> threads_;
    std::atomic<bool> ending_{false};
};

/// nbdkit before 1.33.10 may abort, soon, when a client with requests in flight is gone.
void revive(InnerServer& inner) {
    std::this_thread::sleep_for(50ms);
    if (!inner.process().running()) {
        EXPECT_THAT(inner.process().output(), testing::HasSubstr("raw_send_socket: Assertion"));
        inner.start();
    }
}

class UnderLoad : public testing::TestWithParam<const char*> {};

TEST_P(UnderLoad, SizesChangeAndNothingIsLost) {
    const Folder folder;
    const auto inner = make_inner(GetParam(), folder);
    const Served gateway(inner->gateway({"--growth=both", "--shrink=allow"}));
    Writers load(1);
    load.start(gateway.uri());
    for (int i = 0; i < 12; ++i) {
        const std::string size = std::to_string((i % 2 == 0 ? 8 : 5) + i % 3) + "M";
        const Result changed =
            nbd_resize_client(folder, gateway.uri(), {i % 2 == 0 ? "grow" : "shrink", size});
        EXPECT_EQ(changed.code, 0) << changed.output;
    }
    load.stop();
    EXPECT_EQ(load.errors(), 0U);
    EXPECT_GT(load.flushes(), 0U);
    load.expect_all_well(gateway.uri());
    load.expect_all_well(inner->uri());
}

TEST_P(UnderLoad, TheInnerServerIsKilledInMidChange) {
    const Folder folder;
    const auto inner = make_inner(GetParam(), folder);
    const Served gateway(inner->gateway({"--growth=both", "--shrink=allow", "--reconnect=30"}));
    std::minstd_rand random(7);
    Writers load(100);
    load.start(gateway.uri());
    for (int i = 0; i < kills(); ++i) {
        Process change({std::string(NBD_BIN_DIR) + "/nbd-resize-client", i % 3 == 2 ? "shrink" : "grow",
                        "--grow", "explicit", gateway.uri(),
                        std::to_string(i % 3 == 2 ? 5 : 6 + i % 2) + "M"},
                       folder / "change");
        std::this_thread::sleep_for(random() % 30000 * 1us);
        inner->kill();
        std::this_thread::sleep_for(random() % 5000 * 1us);
        inner->start();
        // With success or an error, but it ends.
        EXPECT_LE(change.wait(), 1);
    }
    // The load may wait for the inner server; it goes on afterwards.
    const Result grown = nbd_resize_client(folder, gateway.uri(), {"grow", "9M"});
    EXPECT_EQ(grown.code, 0) << grown.output;
    load.stop();
    load.expect_all_well(gateway.uri());
    EXPECT_EQ(size_at(gateway.uri()), 9 * mib);
    EXPECT_EQ(size_at(inner->uri()), 9 * mib);
}

TEST_P(UnderLoad, TheGatewayIsKilledInMidGrowth) {
    const Folder folder;
    const auto inner = make_inner(GetParam(), folder);
    const std::string socket = folder / "socket";
    const std::string uri = "nbd+unix:///?socket=" + socket;
    std::minstd_rand random(11);
    Writers load(200);
    std::uint64_t size = 4 * mib;
    for (int i = 0; i <= kills(); ++i) {
        Process gateway(with({server, "--unix", socket}, inner->gateway({"--growth=both"})),
                        folder / "gateway");
        gateway.wait_for_output(socket);
        ASSERT_TRUE(gateway.running()) << gateway.output();
        load.expect_all_well(uri);
        // Whether or not the growth was finished, it is one or the other.
        const std::uint64_t now = size_at(uri);
        EXPECT_TRUE(now == size || now == size + 65536) << now << " after " << size;
        EXPECT_TRUE(all_bytes_are(uri, 4 * mib, now, 0));
        size = now;
        if (i == kills()) {
            break;
        }
        load.start(uri);
        std::this_thread::sleep_for(random() % 20000 * 1us);
        Process growing({std::string(NBD_BIN_DIR) + "/nbd-resize-client", "grow", "--grow", "explicit", uri,
                         std::to_string(size + 65536)},
                        folder / "growing");
        std::this_thread::sleep_for(random() % 30000 * 1us);
        gateway.signal(SIGKILL);
        gateway.wait();
        load.stop();
        revive(*inner);
        if (growing.wait() == 0) {
            size += 65536;
            EXPECT_EQ(size_at(inner->uri()), size) << "growth that was acknowledged stays";
        }
        ::unlink((folder / "gateway").c_str());
    }
}

INSTANTIATE_TEST_SUITE_P(Inner, UnderLoad, testing::Values("nbdkit", "raw", "qcow2"),
                         [](const auto& tested) { return std::string(tested.param); });

} // namespace
} // namespace refserver
