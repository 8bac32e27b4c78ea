// A mounted export, by system calls.

#include "reference-client/mount/tests/support/file_server.hpp"
#include "reference-client/mount/tests/support/mounted.hpp"
#include "reference-client/tests/support/knob_server.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <thread>
#include <unistd.h>

namespace refclient::mount {
namespace {

using refclient::testing::eventually;
using refclient::testing::Finished;
using refclient::testing::run;
using refclient::testing::TemporaryFolder;
using testing::FileServer;
using ::testing::HasSubstr;
using testing::Mounted;
using testing::Mounting;

constexpr off_t mebibyte = 1048576;
const std::string program = NBD_BIN_DIR "/nbd-resize-client";
const std::string all = "growth=both,advertise=info,shrink=allow,learn=notify,limit=8MiB";

const refclient::testing::KnobServer& server() {
    static const refclient::testing::KnobServer started;
    return started;
}

std::string fresh(const std::string& knobs) {
    static int count = 0;
    return fmt::format("{},id={}", knobs, ++count);
}

std::string uri_of(const std::string& knobs) {
    return nbd::format_uri(server().uri(knobs));
}

/// An open file.
class Open {
  public:
    Open(const std::string& path, int flags)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC)) {}
    ~Open() {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;
    [[nodiscard]] int get() const { return descriptor_; }
    [[nodiscard]] off_t size() const {
        struct stat status {};
        return ::fstat(descriptor_, &status) == 0 ? status.st_size : -1;
    }
    [[nodiscard]] ssize_t write(off_t offset, const std::string& data) const {
        return ::pwrite(descriptor_, data.data(), data.size(), offset);
    }
    [[nodiscard]] std::string read(off_t offset, std::size_t length) const {
        std::string data(length, '?');
        const ssize_t count = ::pread(descriptor_, data.data(), length, offset);
        return count < 0 ? std::strerror(errno) : data.substr(0, static_cast<std::size_t>(count));
    }

  private:
    int descriptor_;
};

TEST_F(Mounting, IsAFileThatGrowsAndShrinks) {
    const std::string knobs = fresh(all);
    Mounted mounted(uri_of(knobs));
    const Open file(mounted.path(), O_RDWR);
    ASSERT_GE(file.get(), 0);
    EXPECT_EQ(file.size(), mebibyte);
    EXPECT_EQ(file.write(mebibyte + 10, "beyond"), 6);
    EXPECT_EQ(file.size(), mebibyte + 16);
    EXPECT_EQ(file.read(mebibyte + 8, 100), std::string("\0\0beyond", 8));
    EXPECT_EQ(file.read(mebibyte + 16, 100), "");
    EXPECT_EQ(::ftruncate(file.get(), 5 * mebibyte), 0);
    EXPECT_EQ(server().size(knobs), 5U * mebibyte);
    EXPECT_EQ(::ftruncate(file.get(), 5), 0);
    EXPECT_EQ(server().size(knobs), 5U);
    EXPECT_EQ(::posix_fallocate(file.get(), 0, 2 * mebibyte), 0);
    EXPECT_EQ(file.size(), 2 * mebibyte);
    EXPECT_EQ(::fsync(file.get()), 0);
    EXPECT_EQ(::ftruncate(file.get(), 9 * mebibyte), -1);
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_EQ(file.write(8 * mebibyte, "x"), -1);
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_EQ(file.size(), 2 * mebibyte);
}

TEST_F(Mounting, AppendsAtTheEndThatIsThereNow) {
    const std::string knobs = fresh("growth=both,advertise=info,learn=poll");
    Mounted mounted(uri_of(knobs));
    const Open file(mounted.path(), O_RDWR | O_APPEND);
    ASSERT_EQ(file.size(), mebibyte);
    ASSERT_TRUE(server().resize(knobs, mebibyte + 100));
    // Neither the kernel nor the bridge has asked for the size since.
    EXPECT_EQ(file.write(0, "end"), 3);
    EXPECT_EQ(file.read(mebibyte + 99, 10), std::string("\0end", 4));
    EXPECT_EQ(file.size(), mebibyte + 103);
}

TEST_F(Mounting, TruncatesWhenItIsOpened) {
    const std::string knobs = fresh(all);
    Mounted mounted(uri_of(knobs));
    std::ofstream(mounted.path()) << "all there is";
    EXPECT_EQ(server().size(knobs), 12U);
    EXPECT_EQ(::truncate(mounted.path().c_str(), 3), 0);
    EXPECT_EQ(Open(mounted.path(), O_RDONLY).read(0, 10), "all");
}

TEST_F(Mounting, PunchesAndFindsHoles) {
    Mounted mounted(uri_of(fresh(all)));
    const Open file(mounted.path(), O_RDWR);
    ASSERT_EQ(file.write(0, std::string(mebibyte, 'x')), mebibyte);
    EXPECT_EQ(::lseek(file.get(), 0, SEEK_HOLE), mebibyte);
    ASSERT_EQ(::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, mebibyte / 4, mebibyte / 4),
              0);
    EXPECT_EQ(::lseek(file.get(), 0, SEEK_HOLE), mebibyte / 4);
    EXPECT_EQ(::lseek(file.get(), mebibyte / 4, SEEK_DATA), mebibyte / 2);
    EXPECT_EQ(::lseek(file.get(), 0, SEEK_END), mebibyte);
    ASSERT_EQ(::fallocate(file.get(), FALLOC_FL_ZERO_RANGE, mebibyte - 1, 2), 0);
    EXPECT_EQ(file.read(mebibyte - 2, 10), std::string("x\0\0", 3));
    EXPECT_EQ(::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, 4 * mebibyte), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    EXPECT_EQ(::fallocate(file.get(), FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST_F(Mounting, TakesDirectAndDurableWrites) {
    const std::string knobs = fresh(all);
    Mounted mounted(uri_of(knobs));
    const Open direct(mounted.path(), O_RDWR | O_DIRECT);
    const Open durable(mounted.path(), O_RDWR | O_DSYNC);
    void* memory = nullptr;
    ASSERT_EQ(::posix_memalign(&memory, 4096, 4 * mebibyte), 0);
    std::memset(memory, 'd', 4 * mebibyte);
    EXPECT_EQ(::pwrite(direct.get(), memory, 4 * mebibyte, mebibyte / 2), 4 * mebibyte);
    std::memset(memory, 0, 4 * mebibyte);
    EXPECT_EQ(::pread(direct.get(), memory, 4 * mebibyte, mebibyte / 2), 4 * mebibyte);
    EXPECT_EQ(std::string(static_cast<const char*>(memory), 4 * mebibyte), std::string(4 * mebibyte, 'd'));
    std::free(memory);
    EXPECT_EQ(durable.write(5 * mebibyte, "durable"), 7);
    EXPECT_EQ(direct.size(), 5 * mebibyte + 7);
}

TEST_F(Mounting, ServesManyAtATime) {
    Mounted mounted(uri_of(fresh(all)));
    constexpr int threads = 8;
    constexpr std::size_t part = 300000;
    std::array<bool, threads> fine{};
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) {
        running.emplace_back([&, i] {
            const Open file(mounted.path(), O_RDWR);
            const off_t from = static_cast<off_t>(part) * i;
            bool good = true;
            for (char round = 'a'; round <= 'z'; ++round) {
                const std::string data(part, static_cast<char>(round + i));
                good = good && file.write(from, data) == static_cast<ssize_t>(part) &&
                       file.read(from, part) == data;
            }
            fine[static_cast<std::size_t>(i)] = good && ::fsync(file.get()) == 0;
        });
    }
    for (std::thread& thread : running) {
        thread.join();
    }
    EXPECT_THAT(fine, ::testing::Each(true));
}

TEST_F(Mounting, KeepsWhatIsKnownOfAFile) {
    const TemporaryFolder folder;
    Mounted mounted(uri_of(fresh(all)));
    struct stat status {};
    ASSERT_EQ(::stat(mounted.path().c_str(), &status), 0);
    EXPECT_TRUE(S_ISREG(status.st_mode));
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(status.st_uid, ::getuid());
    EXPECT_EQ(status.st_nlink, 1U);
    ASSERT_EQ(::chmod(mounted.path().c_str(), 0640), 0);
    const std::array<timespec, 2> times = {{{1000, 0}, {2000, 0}}};
    ASSERT_EQ(::utimensat(AT_FDCWD, mounted.path().c_str(), times.data(), 0), 0);
    ASSERT_EQ(::stat(mounted.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0640U);
    EXPECT_EQ(status.st_atim.tv_sec, 1000);
    EXPECT_EQ(status.st_mtim.tv_sec, 2000);
    ASSERT_EQ(Open(mounted.path(), O_WRONLY).write(0, "x"), 1);
    ASSERT_EQ(::stat(mounted.path().c_str(), &status), 0);
    EXPECT_GT(status.st_mtim.tv_sec, 2000);
}

TEST_F(Mounting, TellsHowMuchRoomThereIs) {
    struct statvfs status {};
    Mounted growing(uri_of(fresh(all)));
    ASSERT_EQ(::statvfs(growing.path().c_str(), &status), 0);
    EXPECT_EQ(status.f_blocks * status.f_frsize, 8U * mebibyte);
    EXPECT_EQ(status.f_bavail * status.f_frsize, 7U * mebibyte);
    Mounted fixed(uri_of(fresh("growth=none")));
    ASSERT_EQ(::statvfs(fixed.path().c_str(), &status), 0);
    EXPECT_EQ(status.f_blocks * status.f_frsize, 1U * mebibyte);
    EXPECT_EQ(status.f_bavail, 0U);
}

TEST_F(Mounting, OfAReadOnlyExportIsReadOnly) {
    Mounted mounted(uri_of(fresh("read-only=yes")));
    EXPECT_EQ(Open(mounted.path(), O_RDWR).get(), -1);
    EXPECT_EQ(errno, EROFS);
    EXPECT_EQ(Open(mounted.path(), O_RDONLY).read(0, 3), std::string(3, '\0'));
}

// ---- Beginning and end

TEST_F(Mounting, EndsWhenItIsUnmounted) {
    Mounted mounted(uri_of(fresh(all)));
    EXPECT_EQ(mounted.unmount(), 0) << mounted.log();
    EXPECT_EQ(mounted.log(), "");
    EXPECT_NE(::access(mounted.path().c_str(), F_OK), 0) << "it had been created";
}

TEST_F(Mounting, EndsBySignalAlsoInUse) {
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        const std::string knobs = fresh(all) + ",keep=yes";
        Mounted mounted(uri_of(knobs));
        {
            const Open file(mounted.path(), O_RDWR);
            ASSERT_EQ(file.write(0, "acknowledged"), 12);
            mounted.process().signal(number);
            EXPECT_EQ(mounted.process().wait(), 0);
            EXPECT_THAT(mounted.log(), HasSubstr("although it is in use"));
            EXPECT_EQ(file.write(0, "too late"), -1);
        }
        EXPECT_FALSE(mounted.mounted());
        EXPECT_EQ(run({program, "read", uri_of(knobs), "0", "12"}).out, "acknowledged");
    }
}

TEST_F(Mounting, LeavesTheFileBelowAsItWas) {
    const TemporaryFolder folder;
    const std::string path = folder.file("below");
    std::ofstream(path) << "below";
    ASSERT_EQ(::chmod(path.c_str(), 0604), 0);
    const std::string script = "'" + program + "' mount '" + uri_of(fresh(all)) + "' '" + path +
                               "' --foreground --ready-fd 3 3>'" + folder.file("ready") + "' >'" +
                               folder.file("out") + "' & pid=$!; while ! [ -s '" + folder.file("ready") +
                               "' ]; do sleep 0.01; done; stat -c %s,%a '" + path + "'; umount '" + path +
                               "'; wait $pid; echo $?; cat '" + path + "' '" + folder.file("ready") + "' '" +
                               folder.file("out") + "'";
    const Finished finished = run({refclient::testing::find_program("sh"), "-c", script});
    EXPECT_EQ(finished.out, "1048576,604\n0\nbelowmounted\nmounted " + path + "\n") << finished.err;
}

TEST_F(Mounting, SaysWhatItCannotMountOver) {
    const TemporaryFolder folder;
    const std::string uri = uri_of(fresh(all));
    const Finished directory = run({program, "mount", uri, folder.file("")});
    EXPECT_EQ(directory.status, 4);
    EXPECT_THAT(directory.err, HasSubstr("is a directory"));
    const Finished nowhere = run({program, "mount", uri, folder.file("no/where")});
    EXPECT_EQ(nowhere.status, 4);
    EXPECT_THAT(nowhere.err, HasSubstr("No such file or directory"));
    EXPECT_EQ(run({program, "mount", uri, "/dev/null"}).status, 4);
    Mounted mounted(uri);
    const Finished again = run({program, "mount", uri, mounted.path()});
    EXPECT_EQ(again.status, 4);
    EXPECT_THAT(again.err, HasSubstr("mounted there already"));
    EXPECT_EQ(run({program, "mount", uri}).status, 2);
    EXPECT_EQ(
        run({program, "mount", "nbd+unix:///?socket=" + folder.file("none"), folder.file("disk")}).status, 1);
    EXPECT_NE(::access(folder.file("disk").c_str(), F_OK), 0) << "it is not left behind";
}

TEST_F(Mounting, SaysThatFuseIsMissing) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can hide /dev/fuse";
    }
    const TemporaryFolder folder;
    const std::string script = "mount --bind /dev/null /dev/fuse && '" + program + "' mount '" +
                               uri_of(fresh(all)) + "' '" + folder.file("disk") + "'";
    const Finished finished =
        run({refclient::testing::find_program("unshare"), "--mount", "sh", "-c", script});
    EXPECT_EQ(finished.status, 3) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("FUSE"));
    EXPECT_NE(::access(folder.file("disk").c_str(), F_OK), 0) << "it is not left behind";
}

// ---- What breaks

TEST_F(Mounting, OutlivesItsServer) {
    FileServer broken({"--growth", "both"}, mebibyte);
    Mounted mounted(nbd::format_uri(broken.uri()));
    const Open file(mounted.path(), O_RDWR);
    ASSERT_EQ(file.write(0, "unflushed"), 9);
    broken.kill();
    EXPECT_EQ(file.read(0, 1), std::strerror(EIO));
    EXPECT_EQ(file.write(0, "x"), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(file.size(), mebibyte);
    broken.start();
    EXPECT_EQ(file.read(mebibyte - 1, 10), ".");
    EXPECT_EQ(::fsync(file.get()), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(::fsync(file.get()), 0);
    EXPECT_EQ(file.write(mebibyte, "grown"), 5);
    EXPECT_THAT(mounted.log(), HasSubstr("connected again"));
}

TEST_F(Mounting, WithoutReconnectingStaysBroken) {
    FileServer broken({}, mebibyte);
    Mounted mounted(nbd::format_uri(broken.uri()), {"--no-reconnect"});
    const Open file(mounted.path(), O_RDWR);
    broken.kill();
    broken.start();
    EXPECT_EQ(file.read(0, 1), std::strerror(EIO));
    EXPECT_TRUE(mounted.mounted());
}

TEST_F(Mounting, CanBeCleanedUpAfterItWasKilled) {
    const std::string uri = uri_of(fresh(all));
    Mounted mounted(uri);
    const Open file(mounted.path(), O_RDWR);
    mounted.process().kill();
    EXPECT_EQ(file.write(0, "x"), -1);
    const Finished again = run({program, "mount", uri, mounted.path()});
    EXPECT_EQ(again.status, 4);
    EXPECT_THAT(again.err, HasSubstr("umount -l"));
    EXPECT_EQ(run({refclient::testing::find_program("umount"), "-l", mounted.path()}).status, 0);
    EXPECT_FALSE(mounted.mounted());
}

} // namespace
} // namespace refclient::mount
