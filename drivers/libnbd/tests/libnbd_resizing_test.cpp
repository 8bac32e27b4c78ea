// What a library without live resize makes of exports that grow and of those that do not.

#include "drivers/libnbd/tests/driver_process.hpp"
#include "drivers/libnbd/tests/server_process.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace json = boost::json;

namespace driver::test {
namespace {

constexpr std::uint64_t mebibyte = 1U << 20;

json::object connect(const std::string& uri, const char* connection = "a") {
    return {{"op", "connect"}, {"uri", uri}, {"connection", connection}};
}

json::object grow(std::uint64_t to, const char* connection = "a") {
    return {{"op", "grow"}, {"to", to}, {"connection", connection}};
}

const json::object learn{{"op", "learn"}};

ServerProcess growing_server() {
    return ServerProcess::resize_server(1, {"--growth=auto", "--consent=implicit", "--limit=4M"});
}

TEST(LibnbdResizing, GrowsByAWritePastTheEnd) {
    const auto server = growing_server();
    DriverProcess driver({"--grow", "plain"});
    driver.result_of(connect(server.uri()));
    EXPECT_EQ(driver.result_of(grow(2 * mebibyte + 1)), json::parse(R"({"size": 2097153, "way": "plain"})"));
    // A new connection is told so, and what is less than there is needs no request.
    EXPECT_EQ(driver.result_of(connect(server.uri(), "b")).at("size"), 2097153);
    EXPECT_EQ(driver.result_of(grow(2 * mebibyte)), json::parse(R"({"size": 2097153, "way": "none"})"));
}

TEST(LibnbdResizing, ReadsBehindTheEndThatItWasToldAtFirst) {
    const auto server = growing_server();
    const std::string folder = make_folder();
    DriverProcess driver({"--grow", "plain"});
    driver.result_of(connect(server.uri()));
    driver.result_of(grow(2 * mebibyte));
    driver.result_of(
        {{"op", "read"}, {"offset", 2 * mebibyte - 512}, {"length", 512}, {"into", folder + "/r"}});
    std::ifstream file(folder + "/r", std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), std::string(512, '\0'));
    std::filesystem::remove_all(folder);
}

TEST(LibnbdResizing, TellsWhatTheServerAnswers) {
    const auto limited = growing_server();
    const auto fixed = ServerProcess::nbdkit({"memory", "1M"});
    DriverProcess driver({"--grow", "plain"});
    driver.result_of(connect(limited.uri()));
    EXPECT_EQ(driver.error_of(grow(5 * mebibyte)), "ENOSPC server");
    driver.result_of(connect(fixed.uri()));
    EXPECT_EQ(driver.error_of(grow(2 * mebibyte)), "ENOSPC server");
}

TEST(LibnbdResizing, LeavesDataAloneThatItKnowsOf) {
    const auto server = ServerProcess::resize_server(
        1, {"--growth=auto", "--consent=implicit", "--limit=4M", "--block-size=4096,4096,33554432"});
    const std::string folder = make_folder();
    std::ofstream(folder + "/w", std::ios::binary) << std::string(4096, 'x');
    DriverProcess driver({"--grow", "plain"});
    driver.result_of(connect(server.uri()));
    driver.result_of(
        {{"op", "write"}, {"offset", mebibyte - 4096}, {"length", 4096}, {"from", folder + "/w"}});
    EXPECT_EQ(driver.result_of(grow(mebibyte + 1)), json::parse(R"({"size": 1052672, "way": "plain"})"));
    driver.result_of(
        {{"op", "read"}, {"offset", mebibyte - 4096}, {"length", 4096}, {"into", folder + "/r"}});
    std::ifstream file(folder + "/r", std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), std::string(4096, 'x'));
    std::filesystem::remove_all(folder);
}

TEST(LibnbdResizing, IsNotWhatLibnbdDoesByItself) {
    const auto server = growing_server();
    DriverProcess driver;
    driver.result_of(connect(server.uri()));
    EXPECT_EQ(driver.error_of(grow(2 * mebibyte)), "ENOTSUP local");
    EXPECT_EQ(driver.result_of(learn), json::parse(R"({"size": 1048576, "way": "none"})"));
}

TEST(LibnbdResizing, LearnsByConnectingAgain) {
    const auto server = growing_server();
    DriverProcess other({"--grow", "plain"});
    DriverProcess driver({"--learn", "reconnect"});
    driver.result_of(connect(server.uri()));
    other.result_of(connect(server.uri()));
    other.result_of(grow(3 * mebibyte));
    EXPECT_EQ(driver.result_of(learn), json::parse(R"({"size": 3145728, "way": "reconnect"})"));
    // From then on that is the size that there is.
    EXPECT_EQ(driver.result_of(grow(3 * mebibyte)), json::parse(R"({"size": 3145728, "way": "none"})"));
}

} // namespace
} // namespace driver::test
