// Server and bridge are killed at random moments while somebody writes and makes the file longer. What was
// flushed has to be there afterwards. NBD_POWER_CUTS is how often each is killed.

#include "reference-client/mount/tests/support/file_server.hpp"
#include "reference-client/mount/tests/support/mounted.hpp"
#include "reference-client/session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <sys/mount.h>
#include <thread>
#include <unistd.h>

namespace refclient::mount {
namespace {

using refclient::testing::eventually;
using refclient::testing::find_program;
using refclient::testing::Finished;
using refclient::testing::Process;
using refclient::testing::run;
using refclient::testing::TemporaryFolder;
using std::chrono::microseconds;
using testing::FileServer;
using testing::Mounted;
using testing::Mounting;

int power_cuts() {
    const char* const wanted = std::getenv("NBD_POWER_CUTS");
    return wanted == nullptr ? 3 : std::atoi(wanted);
}

/// Bytes that are written once, to a place that nothing else is written to.
struct Record {
    std::uint64_t offset = 0;
    std::size_t length = 0;
    std::uint8_t seed = 0;

    /// Not zero anywhere.
    [[nodiscard]] std::string data() const {
        std::string bytes(length, '\0');
        for (std::size_t i = 0; i < length; ++i) {
            bytes[i] = static_cast<char>(1 + (i * 7 + seed + offset) % 255);
        }
        return bytes;
    }
};

/// What a writer knows to be safe.
struct Promised {
    std::vector<Record> flushed;
    std::atomic<int> flushes = 0;
    std::atomic<int> errors = 0;
    std::atomic<bool> stop = false; ///< it is to end
};

/// Somewhere to write to. Functions return false on an error.
struct Target {
    std::function<bool(const Record&)> write;
    std::function<bool(std::uint64_t)> extend; ///< to a length in bytes
    std::function<bool()> flush;
    std::uint64_t step = 1; ///< offsets and lengths are multiples of it
    std::uint64_t end = 0;  ///< nothing is written behind
};

/// Writes, flushes now and then, and goes on after errors until it is told to stop or the target is full.
void write_on(const Target& target, unsigned seed, Promised& promised) {
    std::mt19937 random(seed);
    std::vector<Record> acknowledged;
    std::uint64_t at = 0;
    while (!promised.stop) {
        const std::uint64_t gap = random() % 3 == 0 ? random() % 50000 : 0;
        const Record record{(at + gap) / target.step * target.step,
                            (1 + random() % 150000 / target.step) * target.step,
                            static_cast<std::uint8_t>(random())};
        at = record.offset + record.length + target.step;
        if (at > target.end) {
            break;
        }
        if (random() % 8 == 0 && !target.extend(at)) {
            ++promised.errors;
        }
        if (target.write(record)) {
            acknowledged.push_back(record);
        } else {
            // A server that comes back is back when the next flush is sent, which must not succeed then.
            ++promised.errors;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        if (random() % 4 != 0) {
            continue;
        }
        if (target.flush()) {
            promised.flushed.insert(promised.flushed.end(), acknowledged.begin(), acknowledged.end());
            promised.flushes += acknowledged.empty() ? 0 : 1;
        } else {
            // What was not flushed by now is not known to be anywhere, whatever a later flush says.
            ++promised.errors;
        }
        acknowledged.clear();
    }
}

/// Compares a raw image with what was promised.
void expect_kept(const std::string& image, const Promised& promised) {
    std::ifstream file(image, std::ios::binary);
    for (const Record& record : promised.flushed) {
        std::string found(record.length, '\0');
        file.clear();
        file.seekg(static_cast<std::streamoff>(record.offset));
        file.read(found.data(), static_cast<std::streamsize>(found.size()));
        ASSERT_TRUE(found == record.data())
            << record.length << " bytes at " << record.offset << " were flushed and are not there";
    }
}

void sleep_for(microseconds time) {
    std::this_thread::sleep_for(time);
}

/// Nothing is written behind.
constexpr std::uint64_t file_size = 1U << 29U;

enum class Victim { server, bridge };

std::ostream& operator<<(std::ostream& out, Victim victim) {
    return out << (victim == Victim::server ? "server" : "bridge");
}

class PowerCut : public Mounting {
  protected:
    /// Kills the victim some time after a writer has begun, and starts a server again.
    static void cut(Victim victim, FileServer& server, Mounted& mounted, std::mt19937& random,
                    const Target& target, Promised& promised) {
        std::thread writer([&, seed = random()] { write_on(target, static_cast<unsigned>(seed), promised); });
        EXPECT_TRUE(eventually([&] { return promised.flushes > 0; }));
        sleep_for(microseconds(random() % 40000));
        if (victim == Victim::bridge) {
            mounted.process().kill();
        } else {
            server.kill();
            sleep_for(microseconds(random() % 10000));
            server.start();
        }
        // Long enough to meet what has changed.
        for (int i = 0; i < 50 && promised.errors == 0; ++i) {
            sleep_for(microseconds(2000));
        }
        sleep_for(microseconds(20000));
        promised.stop = true;
        writer.join();
    }

    static Target file_target(int file, std::uint64_t end) {
        Target target;
        target.write = [file](const Record& record) {
            const std::string data = record.data();
            return ::pwrite(file, data.data(), data.size(), static_cast<off_t>(record.offset)) ==
                   static_cast<ssize_t>(data.size());
        };
        target.extend = [file](std::uint64_t length) {
            return ::ftruncate(file, static_cast<off_t>(length)) == 0;
        };
        target.flush = [file] { return ::fdatasync(file) == 0; };
        target.end = end;
        return target;
    }

    /// The whole of it, `power_cuts()` times.
    static void cut_files(Victim victim, const std::function<FileServer()>& make_server) {
        std::mt19937 random(victim == Victim::server ? 1 : 2);
        int failing = 0;
        for (int round = 0; round < power_cuts(); ++round) {
            FileServer server = make_server();
            Promised promised;
            {
                Mounted mounted(nbd::format_uri(server.uri()));
                const int file = ::open(mounted.path().c_str(), O_RDWR | O_CLOEXEC);
                cut(victim, server, mounted, random, file_target(file, file_size), promised);
                ::close(file);
            }
            expect_kept(server.image(), promised);
            failing += promised.errors > 0 ? 1 : 0;
        }
        EXPECT_GT(failing, 0) << "nobody noticed the end";
    }
};

class PowerCutOf : public PowerCut, public ::testing::WithParamInterface<Victim> {};

TEST_P(PowerCutOf, AGrowingFileKeepsWhatWasFlushed) {
    cut_files(GetParam(), [] { return FileServer({"--growth", "both", "--shrink", "allow"}, 0); });
}

TEST_P(PowerCutOf, NothingIsPromisedThatAServerForgets) {
    if (find_program("nbdkit").empty()) {
        GTEST_SKIP() << "nbdkit is not installed";
    }
    cut_files(GetParam(), [] { return FileServer::forgetful(file_size); });
}

/// qemu-nbd on a qcow2 image, and a connection to it.
class Qcow2Server {
  public:
    explicit Qcow2Server(const std::string& image)
      : process_({find_program("qemu-nbd"), "-t", "-f", "qcow2", "-k", folder_.file("socket"), "--pid-file",
                  folder_.file("pid"), image}) {
        if (!eventually(
                [&] { return std::filesystem::exists(folder_.file("pid")) || !process_.running(); })) {
            throw std::runtime_error("qemu-nbd does not start");
        }
        Options options;
        options.timeout = std::chrono::seconds(10);
        connection_ =
            Connection::open(nbd::parse_uri("nbd+unix:///?socket=" + folder_.file("socket")), options);
    }

    [[nodiscard]] Target target() {
        Target target;
        target.write = [this](const Record& record) {
            const std::string data = record.data();
            const nbd::Bytes bytes(reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
            return attempt([&] { connection_->write(record.offset, bytes); });
        };
        target.extend = [](std::uint64_t) { return true; };
        target.flush = [this] { return attempt([&] { connection_->flush(); }); };
        target.step = 512;
        target.end = connection_->size();
        return target;
    }

  private:
    static bool attempt(const std::function<void()>& work) {
        try {
            work();
            return true;
        } catch (const Failure&) {
            return false;
        }
    }

    TemporaryFolder folder_;
    Process process_;
    std::unique_ptr<Connection> connection_;
};

// Without connecting again, so that the kill is the end as a power cut is. Where writes and fsync fail for a
// while only and qemu (7.2) goes on, it writes L2 tables before their refcounts when it is killed later, on a
// plain file as well.
TEST_P(PowerCutOf, AQcow2ImageStaysWhole) {
    if (find_program("qemu-nbd").empty()) {
        GTEST_SKIP() << "qemu-nbd is not installed";
    }
    std::mt19937 random(GetParam() == Victim::server ? 3 : 4);
    for (int round = 0; round < power_cuts(); ++round) {
        FileServer server({"--growth", "both", "--shrink", "allow"}, 0);
        Promised promised;
        {
            Mounted mounted(nbd::format_uri(server.uri()), {"--no-reconnect"});
            const Finished created =
                run({find_program("qemu-img"), "create", "-q", "-f", "qcow2", mounted.path(), "256M"});
            ASSERT_EQ(created.status, 0) << created.err;
            Qcow2Server qcow2(mounted.path());
            cut(GetParam(), server, mounted, random, qcow2.target(), promised);
        }
        const Finished check = run({find_program("qemu-img"), "check", "-f", "qcow2", server.image()});
        // 3: clusters that are held to be in use, which an end at any moment leaves behind on a plain file,
        // too.
        ASSERT_THAT(check.status, ::testing::AnyOf(0, 3)) << check.out << check.err;
        const TemporaryFolder folder;
        const Finished converted = run({find_program("qemu-img"), "convert", "-f", "qcow2", "-O", "raw",
                                        server.image(), folder.file("raw")});
        ASSERT_EQ(converted.status, 0) << converted.err;
        expect_kept(folder.file("raw"), promised);
    }
}

INSTANTIATE_TEST_SUITE_P(Each, PowerCutOf, ::testing::Values(Victim::server, Victim::bridge),
                         ::testing::PrintToStringParamName());

} // namespace
} // namespace refclient::mount
