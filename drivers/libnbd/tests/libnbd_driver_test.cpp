// The driver against released servers: every operation, every kind of error, lost connections.

#include "drivers/libnbd/tests/driver_process.hpp"
#include "drivers/libnbd/tests/server_process.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace json = boost::json;
using testing::HasSubstr;

namespace driver::test {
namespace {

constexpr std::uint64_t mebibyte = 1048576;

class LibnbdDriver : public testing::Test {
  protected:
    ~LibnbdDriver() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string path(const char* name) const { return folder_ + "/" + name; }

    /// A file of `size` bytes that differ from block to block; its path.
    [[nodiscard]] std::string make_file(const char* name, std::size_t size) const {
        std::string data(size, '\0');
        for (std::size_t i = 0; i < size; ++i)
            data[i] = static_cast<char>('a' + (i / 512 + i) % 23);
        std::ofstream(path(name), std::ios::binary) << data;
        return path(name);
    }

    static std::string contents(const std::string& file) {
        std::ifstream in(file, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    std::string folder_ = make_folder();
};

json::object connect(const std::string& uri, const char* connection = "a") {
    return {{"op", "connect"}, {"uri", uri}, {"connection", connection}};
}

json::object transfer(const char* op, std::uint64_t offset, std::uint64_t length, json::object more = {}) {
    more["op"] = op;
    more["offset"] = offset;
    more["length"] = length;
    return more;
}

TEST_F(LibnbdDriver, SaysWhatItCan) {
    DriverProcess driver;
    EXPECT_EQ(driver.hello().at("driver"), "libnbd");
    EXPECT_EQ(driver.hello().at("protocol"), 1);
    EXPECT_EQ(
        driver.hello().at("operations"),
        json::parse(R"(["connect", "info", "list", "read", "write", "zero", "trim", "cache", "flush", "map",
                              "grow", "learn", "disconnect", "finish"])"));
    EXPECT_EQ(driver.hello().at("flags"), json::parse(R"(["fua", "df", "no-hole", "fast", "req-one"])"));
    EXPECT_EQ(driver.end(), 0);
}

TEST_F(LibnbdDriver, TellsTheHandshakeOfNbdkit) {
    const auto server = ServerProcess::nbdkit({"memory", "1M"});
    DriverProcess driver;
    auto told = driver.result_of(connect(server.uri()));
    told.erase("block"); // which only later versions tell
    EXPECT_EQ(
        told,
        json::parse(R"({"size": 1048576, "flags": ["flush", "fua", "trim", "write-zeroes", "df", "multi-conn",
                              "cache", "fast-zero"], "structured": true, "extended": false,
                              "contexts": ["base:allocation"]})"));
}

TEST_F(LibnbdDriver, TellsInfoAndListOfQemuNbd) {
    const auto server = ServerProcess::qemu_nbd(1);
    DriverProcess driver;
    const auto info = driver.result_of({{"op", "info"}, {"uri", server.uri("disk")}});
    EXPECT_EQ(info.at("size"), mebibyte);
    EXPECT_EQ(info.at("export"), "disk");
    EXPECT_EQ(info.at("structured"), true);
    EXPECT_EQ(info.at("contexts"), json::parse(R"(["base:allocation"])"));
    EXPECT_EQ(info.at("block"), json::parse(R"({"minimum": 1, "preferred": 4096, "maximum": 33554432})"));
    EXPECT_EQ(driver.result_of({{"op", "list"}, {"uri", server.uri()}}),
              json::parse(R"({"exports": [{"name": "disk", "description": "a disk"}]})"));
}

TEST_F(LibnbdDriver, TellsReadOnly) {
    const auto server = ServerProcess::nbdkit({"--readonly", "memory", "1M"});
    DriverProcess driver;
    const auto info = driver.result_of({{"op", "info"}, {"uri", server.uri()}});
    EXPECT_EQ(info.at("flags"), json::parse(R"(["read-only", "flush", "df", "multi-conn", "cache"])"));
}

TEST_F(LibnbdDriver, ReadsBackWhatItWrote) {
    for (const bool qemu : {false, true}) {
        SCOPED_TRACE(qemu ? "qemu-nbd" : "nbdkit file");
        const std::string image = make_file("image", mebibyte);
        const auto server = qemu ? ServerProcess::qemu_nbd(1) : ServerProcess::nbdkit({"file", image});
        DriverProcess driver;
        driver.result_of(connect(server.uri(qemu ? "disk" : "")));
        const std::string data = make_file("data", 65536);
        driver.result_of(transfer("write", mebibyte - 65536, 65536, {{"from", data}, {"flags", {"fua"}}}));
        driver.result_of({{"op", "flush"}});
        driver.result_of(
            transfer("read", mebibyte - 65536, 65536, {{"into", path("back")}, {"flags", {"df"}}}));
        EXPECT_EQ(contents(path("back")), contents(data));
        driver.result_of({{"op", "disconnect"}});
        EXPECT_EQ(driver.end(), 0);
    }
}

TEST_F(LibnbdDriver, SpreadsRequestsOverTheExport) {
    const auto server = ServerProcess::nbdkit({"memory", "64M"});
    DriverProcess driver;
    driver.result_of(connect(server.uri()));
    const std::string data = make_file("data", 1024 * std::size_t{4096});
    const json::object many{{"count", 1024}, {"stride", 65536}};
    json::object write = many;
    write["from"] = data;
    driver.result_of(transfer("write", 0, 4096, write));
    json::object read = many;
    read["into"] = path("back");
    driver.result_of(transfer("read", 0, 4096, read));
    EXPECT_EQ(contents(path("back")), contents(data));
    driver.result_of(transfer("read", 65536 * 7, 4096, {{"into", path("seventh")}}));
    EXPECT_EQ(contents(path("seventh")), contents(data).substr(std::size_t{7} * 4096, 4096));
}

TEST_F(LibnbdDriver, MovesMuchInTheBackgroundInBothDirections) {
    const auto server = ServerProcess::nbdkit({"memory", "256M"});
    DriverProcess driver;
    driver.result_of(connect(server.uri()));
    const std::string data = make_file("data", 64 * mebibyte);
    driver.result_of(transfer("write", 0, mebibyte, {{"from", data}, {"count", 64}, {"background", true}}));
    const auto write = driver.last_id();
    driver.result_of(transfer("read", 128 * mebibyte, mebibyte,
                              {{"into", path("zeroes")}, {"count", 64}, {"background", true}}));
    const auto read = driver.last_id();
    driver.result_of({{"op", "finish"}, {"of", read}});
    driver.result_of({{"op", "finish"}, {"of", write}});
    EXPECT_EQ(contents(path("zeroes")), std::string(64 * mebibyte, '\0'));
    driver.result_of(transfer("read", 0, 32 * mebibyte, {{"into", path("back")}, {"count", 2}}));
    EXPECT_TRUE(contents(path("back")) == contents(data));
}

TEST_F(LibnbdDriver, ZeroesTrimsAndCaches) {
    const auto server = ServerProcess::nbdkit({"memory", "1M"});
    DriverProcess driver;
    driver.result_of(connect(server.uri()));
    driver.result_of(transfer("write", 0, 65536, {{"from", make_file("data", 65536)}}));
    driver.result_of(transfer("zero", 0, 4096, {{"flags", {"no-hole", "fua"}}}));
    driver.result_of(transfer("zero", 4096, 4096, {{"flags", {"fast"}}}));
    driver.result_of(transfer("trim", 8192, 4096, {{"flags", {"fua"}}, {"count", 2}}));
    driver.result_of(transfer("cache", 0, 65536));
    driver.result_of(transfer("read", 0, 16384, {{"into", path("back")}}));
    EXPECT_EQ(contents(path("back")), std::string(16384, '\0'));
}

TEST_F(LibnbdDriver, MapsWhatOneReplyTold) {
    const auto server = ServerProcess::qemu_nbd(1);
    DriverProcess driver;
    driver.result_of(connect(server.uri("disk")));
    EXPECT_EQ(driver.result_of(transfer("map", 0, mebibyte)),
              json::parse(R"({"extents": [{"offset": 0, "length": 65536, "hole": false, "zero": false},
                                          {"offset": 65536, "length": 983040, "hole": true, "zero": true}]})"));
    EXPECT_EQ(
        driver.result_of(transfer("map", 4096, 65536, {{"flags", {"req-one"}}})),
        json::parse(R"({"extents": [{"offset": 4096, "length": 61440, "hole": false, "zero": false}]})"));
}

TEST_F(LibnbdDriver, RefusesLocallyWhatStrictModeForbids) {
    const auto server = ServerProcess::nbdkit({"memory", "128M"});
    DriverProcess driver;
    driver.result_of(connect(server.uri()));
    const std::string into = path("r");
    EXPECT_EQ(driver.error_of(transfer("read", 128 * mebibyte, 512, {{"into", into}})), "EINVAL local");
    EXPECT_EQ(driver.error_of(transfer("write", 128 * mebibyte, 512, {{"from", make_file("w", 512)}})),
              "ENOSPC local");
    EXPECT_EQ(driver.error_of(transfer("read", 0, 0, {{"into", into}})), "EINVAL local");
    EXPECT_EQ(driver.error_of(transfer("trim", 0, 512, {{"flags", {"df"}}})), "EINVAL local");
    EXPECT_EQ(driver.error_of(transfer("read", 0, 64 * mebibyte + 1, {{"into", into}})), "ERANGE local");
    EXPECT_EQ(driver.error_of(transfer("zero", 0, std::uint64_t{1} << 32U)), "ENOSPC local");
    EXPECT_FALSE(std::filesystem::exists(into));
}

TEST_F(LibnbdDriver, TellsWhatTheServerAnsweredPastTheEnd) {
    const auto server = ServerProcess::nbdkit({"memory", "1M"});
    DriverProcess driver({"--strict-off"});
    driver.result_of(connect(server.uri()));
    const std::string data = make_file("w", 2048);
    EXPECT_EQ(driver.error_of(transfer("write", mebibyte, 512, {{"from", data}})), "ENOSPC server");
    EXPECT_EQ(driver.error_of(transfer("write", mebibyte - 256, 512, {{"from", data}})), "ENOSPC server");
    EXPECT_EQ(driver.error_of(transfer("read", mebibyte, 512, {{"into", path("r")}})), "EINVAL server");
    EXPECT_EQ(driver.error_of(transfer("zero", mebibyte, 512)), "ENOSPC server");
    EXPECT_EQ(driver.error_of(transfer("trim", mebibyte, 512)), "EINVAL server");

    // The third and the fourth of four are past the end.
    const auto answer = driver(transfer("write", mebibyte - 1024, 512, {{"from", data}, {"count", 4}}));
    EXPECT_EQ(answer.at("error").at("errno"), "ENOSPC");
    EXPECT_EQ(answer.at("errors"),
              json::parse(R"([{"index": 2, "errno": "ENOSPC"}, {"index": 3, "errno": "ENOSPC"}])"));
    driver.result_of(transfer("read", mebibyte - 1024, 1024, {{"into", path("end")}}));
    EXPECT_EQ(contents(path("end")), contents(data).substr(0, 1024)) << "the first two had to be written";
}

TEST_F(LibnbdDriver, TellsReadOnlyErrors) {
    const auto server = ServerProcess::nbdkit({"--readonly", "memory", "1M"});
    const json::object write = transfer("write", 0, 512, {{"from", make_file("w", 512)}});
    DriverProcess strict;
    strict.result_of(connect(server.uri()));
    EXPECT_EQ(strict.error_of(write), "EPERM local");
    DriverProcess lax({"--strict-off"});
    lax.result_of(connect(server.uri()));
    EXPECT_EQ(lax.error_of(write), "EPERM server");
}

TEST_F(LibnbdDriver, TellsServersErrorsByTheirNames) {
    for (const char* name : {"EPERM", "EIO", "ENOMEM", "ENOSPC", "ESHUTDOWN"}) {
        const auto server = ServerProcess::nbdkit(
            {"--filter=error", "memory", "1M", std::string("error=") + name, "error-rate=100%"});
        DriverProcess driver;
        driver.result_of(connect(server.uri()));
        EXPECT_EQ(driver.error_of(transfer("read", 0, 512, {{"into", path("r")}})),
                  std::string(name) + " server");
    }
}

TEST_F(LibnbdDriver, TellsWhyItCannotConnect) {
    const auto server = ServerProcess::qemu_nbd(1);
    DriverProcess driver;
    const std::string nowhere = "nbd+unix:///?socket=" + path("none");
    for (const char* op : {"connect", "info"}) {
        SCOPED_TRACE(op);
        EXPECT_EQ(driver.error_of({{"op", op}, {"uri", nowhere}}), "ENOENT connection");
        EXPECT_EQ(driver.error_of({{"op", op}, {"uri", "nbd://127.0.0.1:1/"}}), "ECONNREFUSED connection");
        EXPECT_EQ(driver.error_of({{"op", op}, {"uri", server.uri("nosuch")}}), "ENOENT server");
        EXPECT_EQ(driver.error_of({{"op", op}, {"uri", "bogus://host"}}), "EINVAL local");
    }
    EXPECT_EQ(driver.error_of({{"op", "list"}, {"uri", nowhere}}), "ENOENT connection");
    EXPECT_EQ(driver.error_of({{"op", "flush"}}), "ENOTCONN driver");
    EXPECT_EQ(driver.end(), 0);
}

TEST_F(LibnbdDriver, KeepsTwoConnectionsApart) {
    const auto one = ServerProcess::nbdkit({"memory", "1M"});
    const auto two = ServerProcess::nbdkit({"memory", "2M"});
    DriverProcess driver;
    EXPECT_EQ(driver.result_of(connect(one.uri(), "one")).at("size"), mebibyte);
    EXPECT_EQ(driver.result_of(connect(two.uri(), "two")).at("size"), 2 * mebibyte);
    const std::string data = make_file("data", 512);
    driver.result_of(transfer("write", 0, 512, {{"from", data}, {"connection", "one"}}));
    driver.result_of(transfer("read", 0, 512, {{"into", path("one")}, {"connection", "one"}}));
    driver.result_of(transfer("read", 0, 512, {{"into", path("two")}, {"connection", "two"}}));
    EXPECT_EQ(contents(path("one")), contents(data));
    EXPECT_EQ(contents(path("two")), std::string(512, '\0'));
    EXPECT_EQ(driver.error_of({{"op", "flush"}}), "ENOTCONN driver") << "there is no connection a";
    driver.result_of({{"op", "disconnect"}, {"connection", "one"}});
    driver.result_of({{"op", "flush"}, {"connection", "two"}});
}

TEST_F(LibnbdDriver, SeesOneConnectionsWritesOnTheOther) {
    const auto server = ServerProcess::nbdkit({"memory", "1M"});
    DriverProcess driver;
    driver.result_of(connect(server.uri(), "writer"));
    driver.result_of(connect(server.uri(), "reader"));
    const std::string data = make_file("data", 4096);
    driver.result_of(transfer("write", 512, 4096, {{"from", data}, {"connection", "writer"}}));
    driver.result_of(transfer("read", 512, 4096, {{"into", path("back")}, {"connection", "reader"}}));
    EXPECT_EQ(contents(path("back")), contents(data));
}

TEST_F(LibnbdDriver, TellsThatTheServerDiedUnderRequests) {
    auto server = ServerProcess::nbdkit({"--filter=delay", "memory", "1M", "rdelay=3600"});
    DriverProcess driver;
    driver.result_of(connect(server.uri()));
    driver.result_of(transfer("read", 0, 512, {{"into", path("r")}, {"count", 64}, {"background", true}}));
    const auto read = driver.last_id();
    server.kill();
    const auto answer = driver({{"op", "finish"}, {"of", read}});
    EXPECT_EQ(answer.at("error").at("errno"), "ENOTCONN");
    EXPECT_EQ(answer.at("error").at("where"), "connection");
    EXPECT_EQ(answer.at("errors").as_array().size(), 64U);

    // Whatever follows on it fails in the same way, and the name can be used again.
    EXPECT_EQ(driver.error_of({{"op", "flush"}}), "ENOTCONN connection");
    EXPECT_EQ(driver.error_of(transfer("map", 0, 512)), "ENOTCONN connection");
    EXPECT_EQ(driver.error_of(transfer("trim", 0, 512, {{"count", 2}})), "ENOTCONN connection");
    const auto next = ServerProcess::nbdkit({"memory", "1M"});
    driver.result_of(connect(next.uri()));
    driver.result_of({{"op", "flush"}});
    EXPECT_EQ(driver.end(), 0);
}

TEST_F(LibnbdDriver, TellsThatTheServerDiedBetweenSteps) {
    auto server = ServerProcess::qemu_nbd(1);
    DriverProcess driver;
    driver.result_of(connect(server.uri("disk")));
    server.kill();
    EXPECT_EQ(driver.error_of(transfer("write", 0, 65536, {{"from", make_file("w", 65536)}})),
              "ENOTCONN connection");
    EXPECT_EQ(driver.error_of({{"op", "disconnect"}}), "ENOTCONN connection");
    EXPECT_EQ(driver.error_of({{"op", "disconnect"}}), "ENOTCONN driver") << "it is forgotten now";
}

TEST_F(LibnbdDriver, DisconnectsAbruptlyWithRequestsInFlight) {
    const auto server = ServerProcess::nbdkit({"--filter=delay", "memory", "1M", "rdelay=3600"});
    DriverProcess driver;
    driver.result_of(connect(server.uri()));
    driver.result_of(transfer("read", 0, 512, {{"into", path("r")}, {"count", 8}, {"background", true}}));
    const auto read = driver.last_id();
    driver.result_of({{"op", "disconnect"}, {"abrupt", true}});
    EXPECT_EQ(driver.error_of({{"op", "finish"}, {"of", read}}), "ENOTCONN connection");
    EXPECT_EQ(driver.error_of({{"op", "flush"}}), "ENOTCONN driver");
}

TEST_F(LibnbdDriver, KeepsRepliesThatCameBeforeADisconnect) {
    // With more threads nbdkit may answer ESHUTDOWN to requests that NBD_CMD_DISC overtakes.
    const auto server = ServerProcess::nbdkit({"--threads=1", "memory", "1M"});
    DriverProcess driver;
    driver.result_of(connect(server.uri()));
    driver.result_of(transfer("read", 0, 512, {{"into", path("r")}, {"count", 8}, {"background", true}}));
    const auto read = driver.last_id();
    driver.result_of({{"op", "disconnect"}});
    driver.result_of({{"op", "finish"}, {"of", read}});
    EXPECT_EQ(contents(path("r")), std::string(4096, '\0'));
}

TEST_F(LibnbdDriver, EndsWithRequestsInFlight) {
    const auto server = ServerProcess::nbdkit({"--filter=delay", "memory", "1M", "rdelay=3600"});
    DriverProcess driver;
    driver.result_of(connect(server.uri()));
    driver.result_of(transfer("read", 0, 512, {{"into", path("r")}, {"background", true}}));
    EXPECT_EQ(driver.end(), 0);
}

} // namespace
} // namespace driver::test
