// qemu's tools on a qcow2 image in a mounted export.

#include "reference-client/mount/tests/support/mounted.hpp"
#include "reference-client/tests/support/knob_server.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace refclient::mount {
namespace {

using refclient::testing::find_program;
using refclient::testing::Finished;
using refclient::testing::run;
using refclient::testing::TemporaryFolder;
using ::testing::HasSubstr;
using testing::Mounted;
using testing::Mounting;

const refclient::testing::KnobServer& server() {
    static const refclient::testing::KnobServer started;
    return started;
}

/// Runs a program that has to succeed.
void do_run(std::vector<std::string> command) {
    command.front() = find_program(command.front());
    const Finished finished = run(command);
    ASSERT_EQ(finished.status, 0) << ::testing::PrintToString(command) << finished.out << finished.err;
}

/// What is written into both images, in this order.
const std::vector<std::string> writes = {"write -P 1 0 3M",       "write -P 2 20M 64k",
                                         "write -P 3 1M 100k",    "write -z 512k 256k",
                                         "write -P 4 31M 1M",     "flush",
                                         "discard 2M 256k",       "write -P 5 2M 256k",
                                         "write -P 6 10000k 3k",  "aio_write -P 7 12M 512k",
                                         "aio_write -P 8 14M 2M", "aio_flush",
                                         "write -P 9 5123 700",   "flush"};

/// Fills a qcow2 image beyond what its file had at first and compares it with a raw file that was filled
/// likewise.
void fill_and_compare(const std::string& path, const std::vector<std::string>& cache) {
    const TemporaryFolder folder;
    const std::string raw = folder.file("raw");
    do_run({"qemu-img", "create", "-q", "-f", "raw", raw, "32M"});
    do_run({"qemu-img", "create", "-q", "-f", "qcow2", path, "32M"});
    for (const auto& [image, format] : {std::pair(raw, "raw"), std::pair(path, "qcow2")}) {
        std::vector<std::string> command = {"qemu-io", "-f", format};
        if (image == path) {
            command.insert(command.end(), cache.begin(), cache.end());
        }
        for (const std::string& write : writes) {
            command.insert(command.end(), {"-c", write});
        }
        command.push_back(image);
        do_run(command);
    }
    do_run({"qemu-img", "check", "-f", "qcow2", path});
    do_run({"qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, path});
    // Once more, by another way through the data.
    do_run({"qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, folder.file("out")});
    do_run({"cmp", raw, folder.file("out")});
}

class Qcow2 : public Mounting {
  protected:
    void SetUp() override {
        if (find_program("qemu-img").empty()) {
            GTEST_SKIP() << "qemu-img is not installed";
        }
        Mounting::SetUp();
    }
};

class Qcow2Growing : public Qcow2, public ::testing::WithParamInterface<std::string> {};

TEST_P(Qcow2Growing, IsAsGoodAsOnAFile) {
    static int count = 0;
    const std::string knobs = fmt::format("{},size=0,limit=64MiB,id={}", GetParam(), ++count);
    const bool simple = knobs.find("replies=simple") != std::string::npos;
    Mounted mounted(nbd::format_uri(server().uri(knobs)), {"--replies", simple ? "simple" : "extended"});
    ASSERT_NO_FATAL_FAILURE(fill_and_compare(mounted.path(), {}));
    EXPECT_GT(server().size(knobs), 6U << 20U) << "so much was written at least";
    EXPECT_EQ(mounted.unmount(), 0) << mounted.log();
}

std::vector<std::string> ways() {
    std::vector<std::string> all;
    for (const std::string growth :
         {"growth=explicit,advertise=info,shrink=allow", "growth=explicit,advertise=flag,shrink=deny",
          "growth=auto,advertise=info,consent=opt-in", "growth=auto,advertise=info,consent=implicit",
          "growth=auto,advertise=silent,consent=implicit",
          "growth=both,advertise=info,consent=opt-in,shrink=allow"}) {
        for (const std::string exposed :
             {"fill=zero,sizing=exact", "fill=unspecified,sizing=round", "fill=unspecified,sizing=clamp"}) {
            all.push_back(growth + "," + exposed);
        }
    }
    all.emplace_back("growth=both,advertise=info,fill=unspecified,sizing=round,replies=simple");
    return all;
}

INSTANTIATE_TEST_SUITE_P(Each, Qcow2Growing, ::testing::ValuesIn(ways()));

TEST_F(Qcow2, MayBeOpenedWithoutCache) {
    for (const std::vector<std::string>& cache : {std::vector<std::string>{"-t", "none"},
                                                  {"-t", "none", "-i", "native"},
                                                  {"-t", "directsync"},
                                                  {"-t", "writethrough"}}) {
        static int count = 0;
        Mounted mounted(nbd::format_uri(server().uri(
            fmt::format("growth=both,advertise=info,size=0,limit=64MiB,id=nocache{}", ++count))));
        ASSERT_NO_FATAL_FAILURE(fill_and_compare(mounted.path(), cache));
    }
}

TEST_F(Qcow2, MeetsAFullDisk) {
    Mounted mounted(
        nbd::format_uri(server().uri("growth=both,advertise=info,size=0,limit=2MiB,shrink=allow,id=full")));
    do_run({"qemu-img", "create", "-q", "-f", "qcow2", mounted.path(), "32M"});
    do_run({"qemu-io", "-f", "qcow2", "-c", "write -P 1 0 1M", "-c", "flush", mounted.path()});
    const Finished full =
        run({find_program("qemu-io"), "-f", "qcow2", "-c", "write -P 2 10M 4M", mounted.path()});
    EXPECT_THAT(full.out + full.err, HasSubstr("No space left on device"));
    do_run({"qemu-io", "-f", "qcow2", "-c", "read -P 1 0 1M", mounted.path()});
    do_run({"qemu-img", "check", "-f", "qcow2", "-r", "leaks", mounted.path()});
}

class Qcow2Fixed : public Qcow2, public ::testing::WithParamInterface<std::string> {};

TEST_P(Qcow2Fixed, HasRoomInsideAnExportThatDoesNotGrow) {
    const auto& kind = refclient::testing::server_kind(GetParam());
    if (!kind.installed()) {
        GTEST_SKIP() << GetParam() << " is not installed";
    }
    const TemporaryFolder folder;
    std::ofstream(folder.file("image")) << std::string(16U << 20U, '.');
    refclient::testing::RunningServer running = kind.start(folder.file("image"));
    {
        Mounted plain(running.uri());
        const Finished refused =
            run({find_program("qemu-img"), "create", "-q", "-f", "qcow2", plain.path(), "32M"});
        EXPECT_NE(refused.status, 0) << "it cannot be made shorter";
    }
    Mounted mounted(running.uri(), {"--hide-rest"});
    ASSERT_NO_FATAL_FAILURE(fill_and_compare(mounted.path(), {}));
    EXPECT_EQ(mounted.unmount(), 0) << mounted.log();
    // All of the export is there again, and qcow2 does not mind.
    do_run({"qemu-img", "check", "-f", "qcow2", running.uri()});
}

INSTANTIATE_TEST_SUITE_P(Each, Qcow2Fixed, ::testing::Values("nbdkit", "qemu_nbd", "reference_server"));

} // namespace
} // namespace refclient::mount
