// What each switch of the driver changes.

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
#include <vector>

namespace json = boost::json;
using testing::HasSubstr;

namespace driver::test {
namespace {

json::object connect(const std::string& uri) {
    return {{"op", "connect"}, {"uri", uri}};
}
json::object info(const std::string& uri) {
    return {{"op", "info"}, {"uri", uri}};
}
const json::object flush{{"op", "flush"}};
const json::object trim{{"op", "trim"}, {"offset", 0}, {"length", 512}};
const json::object map{{"op", "map"}, {"offset", 0}, {"length", 512}};

class LibnbdSwitch : public testing::Test {
  protected:
    ~LibnbdSwitch() override { std::filesystem::remove_all(folder_); }

    /// nbdkit with a log of what reaches it.
    [[nodiscard]] ServerProcess logging_server(std::vector<std::string> filters = {}) const {
        std::vector<std::string> arguments{"--filter=log"};
        arguments.insert(arguments.end(), filters.begin(), filters.end());
        arguments.insert(arguments.end(), {"memory", "1M", "logfile=" + log_});
        return ServerProcess::nbdkit(arguments);
    }

    /// Connection numbers of the log's lines that contain `what`, such as " Trim ".
    [[nodiscard]] std::vector<std::string> connections_with(const std::string& what) const {
        std::vector<std::string> numbers;
        std::ifstream log(log_);
        for (std::string line; std::getline(log, line);) {
            const std::string key = "connection=";
            const auto at = line.find(key);
            if (at != std::string::npos && line.find(what) != std::string::npos)
                numbers.push_back(line.substr(at + key.size(), line.find(' ', at) - at - key.size()));
        }
        return numbers;
    }

    std::string folder_ = make_folder();
    std::string log_ = folder_ + "/log";
};

TEST_F(LibnbdSwitch, NoStructuredReplies) {
    const auto server = ServerProcess::qemu_nbd(1);
    DriverProcess driver({"--no-structured-replies"});
    const auto result = driver.result_of(connect(server.uri("disk")));
    EXPECT_EQ(result.at("structured"), false);
    EXPECT_EQ(result.at("contexts"), json::array{});
    EXPECT_EQ(driver.error_of(map), "ENOTSUP local");
    EXPECT_EQ(driver.result_of(info(server.uri("disk"))).at("structured"), false);
}

TEST_F(LibnbdSwitch, NoMetaContext) {
    const auto server = ServerProcess::qemu_nbd(1);
    DriverProcess driver({"--no-meta-context"});
    const auto result = driver.result_of(connect(server.uri("disk")));
    EXPECT_EQ(result.at("structured"), true);
    EXPECT_EQ(result.at("contexts"), json::array{});
    EXPECT_EQ(driver.error_of(map), "ENOTSUP local");
}

TEST_F(LibnbdSwitch, HandshakeFlags) {
    const auto server = ServerProcess::qemu_nbd(1);
    struct Row {
        const char* value;
        bool fixed;
    };
    for (const auto& [value, fixed] : {Row{"none", false}, Row{"0", false}, Row{"no-zeroes", false},
                                       Row{"fixed-newstyle", true}, Row{"all", true}, Row{"3", true}}) {
        SCOPED_TRACE(value);
        DriverProcess driver({"--handshake-flags", value});
        // Without fixed newstyle there are no options but NBD_OPT_EXPORT_NAME.
        EXPECT_EQ(driver.result_of(connect(server.uri("disk"))).at("structured"), fixed);
        EXPECT_EQ(driver.result_of(info(server.uri("disk"))).at("size"), 1048576);
        EXPECT_EQ(driver.error_of({{"op", "list"}, {"uri", server.uri()}}),
                  fixed ? "no error" : "ENOTSUP local");
        driver.result_of(flush);
    }
}

TEST_F(LibnbdSwitch, OptMode) {
    const auto server = ServerProcess::qemu_nbd(1);
    DriverProcess driver({"--opt-mode"});
    EXPECT_EQ(driver.error_of(connect(server.uri("nosuch"))), "ENOENT server");
    const auto result = driver.result_of(connect(server.uri("disk")));
    EXPECT_EQ(result.at("size"), 1048576);
    EXPECT_EQ(result.at("contexts"), json::parse(R"(["base:allocation"])"));
    driver.result_of(flush);
}

TEST_F(LibnbdSwitch, OptModeOnAnOldstyleServer) {
    const auto server = ServerProcess::nbdkit({"--oldstyle", "memory", "1M"});
    DriverProcess driver({"--opt-mode"});
    EXPECT_EQ(driver.result_of(connect(server.uri())).at("structured"), false);
    EXPECT_EQ(driver.result_of(info(server.uri())).at("size"), 1048576);
    EXPECT_EQ(driver.error_of({{"op", "list"}, {"uri", server.uri()}}), "ENOTSUP local");
}

TEST_F(LibnbdSwitch, ConnectionsTakeTurns) {
    const auto server = logging_server();
    DriverProcess driver({"--connections", "4"});
    driver.result_of(connect(server.uri()));
    json::object eight = trim;
    eight["count"] = 8;
    driver.result_of(eight);
    driver.result_of(flush);
    driver.result_of({{"op", "disconnect"}});
    std::vector<std::string> numbers = connections_with(" Trim ");
    EXPECT_EQ(numbers.size(), 8U);
    std::sort(numbers.begin(), numbers.end());
    EXPECT_EQ(std::unique(numbers.begin(), numbers.end()) - numbers.begin(), 4);
    EXPECT_EQ(connections_with(" Flush ").size(), 1U);
}

TEST_F(LibnbdSwitch, ConnectionsNeedThePromise) {
    const auto server = logging_server({"--filter=multi-conn"});
    DriverProcess with({"--connections", "4"});
    EXPECT_THAT(json::serialize(with.result_of(connect(server.uri()))), HasSubstr("multi-conn"));
    with.result_of({{"op", "disconnect"}});
    EXPECT_EQ(connections_with(" Connect ").size(), 4U);

    const auto without = ServerProcess::qemu_nbd(1, {"--shared=1"});
    DriverProcess driver({"--connections", "4"});
    const auto result = driver.result_of(connect(without.uri("disk")));
    EXPECT_THAT(json::serialize(result), Not(HasSubstr("multi-conn")));
    driver.result_of(flush);
}

TEST_F(LibnbdSwitch, PatienceGivesASilentServerUp) {
    const auto server = ServerProcess::nbdkit({"--filter=delay", "memory", "1M", "rdelay=3600"});
    DriverProcess driver({"--patience", "1"});
    driver.result_of(connect(server.uri()));
    EXPECT_EQ(driver.error_of({{"op", "read"}, {"offset", 0}, {"length", 512}, {"into", folder_ + "/r"}}),
              "ETIMEDOUT connection");
    EXPECT_EQ(driver.error_of(flush), "ENOTCONN connection");
}

TEST_F(LibnbdSwitch, ThroughAProxy) {
    const auto server = logging_server();
    DriverProcess driver({"--", "nbdkit", "--exit-with-parent", "nbd", "uri={uri}"});
    const auto result = driver.result_of(connect(server.uri()));
    EXPECT_EQ(result.at("size"), 1048576);
    EXPECT_FALSE(result.contains("export"));
    driver.result_of(trim);
    driver.result_of({{"op", "disconnect"}});
    EXPECT_EQ(connections_with(" Trim ").size(), 1U);
    EXPECT_EQ(driver.error_of(info("nbd+unix:///?socket=" + folder_ + "/none")), "ENOENT server");
    EXPECT_EQ(driver.end(), 0);
}

TEST_F(LibnbdSwitch, ThroughAProxyThatIsNotThere) {
    DriverProcess driver({"--", folder_ + "/none", "{uri}"});
    EXPECT_THAT(driver.error_of(connect("nbd://host")), HasSubstr(" connection"));
    EXPECT_EQ(driver.end(), 0);
}

} // namespace
} // namespace driver::test
