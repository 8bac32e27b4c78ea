// The driver of the reference client, as the harness starts it.

#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace driver {
namespace {

namespace json = boost::json;
using refclient::testing::RunningServer;
using refclient::testing::ScriptedServer;
using refclient::testing::TemporaryFolder;

constexpr std::uint64_t mebibyte = 1048576;

/// The results of steps; their ids are 0, 1, … The hello line is checked and left out.
std::vector<json::object> converse(const std::vector<json::object>& steps,
                                   std::vector<std::string> switches = {}) {
    std::string input;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        json::object step = steps[i];
        step["id"] = i;
        input += json::serialize(step) + "\n";
    }
    switches.insert(switches.begin(), NBD_BIN_DIR "/nbd-driver-reference");
    const auto finished = refclient::testing::run(switches, input);
    EXPECT_EQ(finished.status, 0) << finished.err;
    std::istringstream lines(finished.out);
    std::string line;
    std::getline(lines, line);
    const json::value hello = json::parse(line);
    EXPECT_EQ(hello.at("driver").as_string(), "reference");
    EXPECT_EQ(hello.at("protocol").to_number<int>(), 1);
    std::vector<json::object> results;
    while (std::getline(lines, line)) {
        results.push_back(json::parse(line).as_object());
        EXPECT_EQ(results.back().at("id").to_number<std::size_t>(), results.size() - 1);
    }
    EXPECT_EQ(results.size(), steps.size()) << finished.out;
    results.resize(steps.size());
    return results;
}

bool ok(const json::object& result) {
    return result.contains("ok") && result.at("ok").as_bool();
}

/// "server EINVAL"; "ok" if there is no error.
std::string error_of(const json::object& result) {
    if (ok(result)) {
        return "ok";
    }
    const json::object& error = result.at("error").as_object();
    return std::string(error.at("where").as_string()) + " " + std::string(error.at("errno").as_string());
}

class ReferenceDriver : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto& kind = refclient::testing::server_kind("nbdkit");
        if (!kind.installed()) {
            GTEST_SKIP() << "nbdkit is not installed";
        }
        std::ofstream image(folder_.file("image"));
        image.seekp(mebibyte - 1);
        image.put('\0');
        image.close();
        server_.emplace(kind.start(folder_.file("image")));
        std::string text;
        for (int i = 0; i < 65536; ++i) {
            text += static_cast<char>(i % 251);
        }
        std::ofstream(folder_.file("data"), std::ios::binary) << text;
    }
    [[nodiscard]] std::string contents(const std::string& name) const {
        std::ostringstream text;
        text << std::ifstream(folder_.file(name), std::ios::binary).rdbuf();
        return text.str();
    }
    [[nodiscard]] json::object connect() const { return {{"op", "connect"}, {"uri", server_->uri()}}; }

    TemporaryFolder folder_;
    std::optional<RunningServer> server_;
};

TEST_F(ReferenceDriver, TellsWhatTheHandshakeTold) {
    const auto results = converse(
        {connect(), {{"op", "info"}, {"uri", server_->uri()}}, {{"op", "list"}, {"uri", server_->uri()}}});
    for (std::size_t i = 0; i < 2; ++i) {
        const json::object& info = results[i].at("result").as_object();
        EXPECT_EQ(info.at("size").to_number<std::uint64_t>(), mebibyte);
        EXPECT_EQ(info.at("export").as_string(), "");
        EXPECT_TRUE(info.at("structured").as_bool());
        EXPECT_FALSE(info.at("extended").as_bool());
        EXPECT_EQ(info.at("contexts"), json::value({"base:allocation"}));
        EXPECT_FALSE(info.contains("block"));
    }
    EXPECT_EQ(results[2].at("result").at("exports").as_array().size(), 1U);
}

TEST_F(ReferenceDriver, CarriesOutEveryOperation) {
    const auto results = converse(
        {connect(),
         {{"op", "write"}, {"offset", 0}, {"length", 1024}, {"count", 64}, {"from", folder_.file("data")}},
         {{"op", "read"}, {"offset", 0}, {"length", 1024}, {"count", 64}, {"into", folder_.file("one")}},
         {{"op", "flush"}},
         {{"op", "zero"}, {"offset", 0}, {"length", 512}, {"flags", {"fua", "no-hole"}}},
         {{"op", "trim"}, {"offset", 131072}, {"length", 4096}, {"flags", json::array{"fua"}}},
         {{"op", "cache"}, {"offset", 0}, {"length", 4096}},
         {{"op", "map"}, {"offset", 0}, {"length", 65536}, {"flags", json::array{"req-one"}}},
         {{"op", "read"},
          {"offset", 0},
          {"length", 1024},
          {"flags", json::array{"df"}},
          {"into", folder_.file("two")}},
         {{"op", "disconnect"}},
         {{"op", "flush"}}});
    for (std::size_t i = 0; i + 1 < results.size(); ++i) {
        EXPECT_EQ(error_of(results[i]), "ok") << i;
    }
    EXPECT_EQ(error_of(results.back()), "driver ENOTCONN");
    EXPECT_EQ(contents("one"), contents("data"));
    EXPECT_EQ(contents("two"), std::string(512, '\0') + contents("data").substr(512, 512));
    EXPECT_EQ(results[7].at("result").at("extents").as_array().size(), 1U);
}

TEST_F(ReferenceDriver, LetsTheServerRefuse) {
    const json::object past = {
        {"op", "read"}, {"offset", mebibyte}, {"length", 512}, {"into", folder_.file("x")}};
    const json::object second = {{"op", "zero"}, {"offset", mebibyte - 1024}, {"length", 512}, {"count", 4}};
    const auto results = converse({connect(), past, second});
    EXPECT_EQ(error_of(results[1]), "server EINVAL");
    EXPECT_EQ(error_of(results[2]), "server ENOSPC");
    EXPECT_EQ(results[2].at("errors"),
              json::parse(R"([{"index":2,"errno":"ENOSPC"},{"index":3,"errno":"ENOSPC"}])"));
    EXPECT_EQ(error_of(converse({connect(), past}, {"--strict"})[1]), "local EINVAL");
}

TEST_F(ReferenceDriver, WorksInTheBackground) {
    for (const std::string connections : {"1", "4"}) {
        const auto results = converse({connect(),
                                       {{"op", "write"},
                                        {"offset", 0},
                                        {"length", 512},
                                        {"count", 128},
                                        {"from", folder_.file("data")},
                                        {"background", true}},
                                       {{"op", "finish"}, {"of", 1}},
                                       {{"op", "read"},
                                        {"offset", 0},
                                        {"length", 512},
                                        {"count", 128},
                                        {"into", folder_.file("one")},
                                        {"background", true}},
                                       {{"op", "flush"}},
                                       {{"op", "finish"}, {"of", 3}}},
                                      {"--connections", connections});
        for (const json::object& result : results) {
            EXPECT_EQ(error_of(result), "ok");
        }
        EXPECT_TRUE(results[1].at("result").at("pending").as_bool());
        EXPECT_EQ(contents("one"), contents("data"));
    }
}

TEST_F(ReferenceDriver, HasItsSwitches) {
    const auto info = [&](const std::vector<std::string>& switches) {
        return converse({connect()}, switches)[0].at("result").as_object();
    };
    EXPECT_FALSE(info({"--replies", "simple"}).at("structured").as_bool());
    EXPECT_TRUE(info({"--replies", "structured", "--export-name"}).at("structured").as_bool());
    EXPECT_TRUE(info({"--no-meta-context"}).at("contexts").as_array().empty());
    EXPECT_FALSE(info({"--no-fixed-newstyle"}).at("structured").as_bool());
    EXPECT_EQ(refclient::testing::run({NBD_BIN_DIR "/nbd-driver-reference", "--replies", "none"}).status, 2);
}

TEST_F(ReferenceDriver, GoesOnAfterErrors) {
    const auto results =
        converse({{{"op", "connect"}, {"uri", "nbd+unix:///?socket=" + folder_.file("none")}},
                  {{"op", "connect"}, {"uri", "nonsense"}},
                  {{"op", "connect"}, {"uri", "nbds://localhost"}},
                  {{"op", "frobnicate"}},
                  connect(),
                  {{"op", "disconnect"}, {"abrupt", true}}});
    EXPECT_EQ(error_of(results[0]), "connection ENOENT");
    EXPECT_EQ(error_of(results[1]), "driver EINVAL");
    EXPECT_EQ(error_of(results[2]), "local ENOTSUP");
    EXPECT_EQ(error_of(results[3]), "driver ENOTSUP");
    EXPECT_EQ(error_of(results[4]), "ok");
    EXPECT_EQ(error_of(results[5]), "ok");
}

TEST(ReferenceDriverErrors, ServerThatClosesWithRequestsInFlight) {
    const TemporaryFolder folder;
    ScriptedServer server([](const ScriptedServer::Peer& peer) {
        peer.shake_hands(mebibyte, 1);
        static_cast<void>(peer.receive(4 * 28));
    });
    const auto results = converse({{{"op", "connect"}, {"uri", nbd::format_uri(server.uri())}},
                                   {{"op", "read"},
                                    {"offset", 0},
                                    {"length", 512},
                                    {"count", 4},
                                    {"into", folder.file("x")},
                                    {"background", true}},
                                   {{"op", "finish"}, {"of", 1}},
                                   {{"op", "disconnect"}}},
                                  {"--replies", "simple"});
    EXPECT_EQ(error_of(results[1]), "ok");
    EXPECT_EQ(error_of(results[2]), "connection ECONNRESET");
    EXPECT_EQ(results[2].at("errors").as_array().size(), 4U);
    EXPECT_EQ(error_of(results[3]), "connection ECONNRESET");
}

TEST(ReferenceDriverErrors, ServerThatBreaksTheProtocol) {
    const TemporaryFolder folder;
    ScriptedServer server([](const ScriptedServer::Peer& peer) {
        peer.shake_hands(mebibyte, 5);
        static_cast<void>(peer.receive(28));
        peer.send(refclient::testing::hex("67446698 00000000 00000000000000ff"));
        static_cast<void>(peer.receive_all());
    });
    const auto results =
        converse({{{"op", "connect"}, {"uri", nbd::format_uri(server.uri())}}, {{"op", "flush"}}},
                 {"--replies", "simple"});
    EXPECT_EQ(error_of(results[1]), "connection EPROTO");
}

TEST_F(ReferenceDriver, SaysThatItCannotGrowWhatDoesNotGrow) {
    const auto grow = [&](const std::string& way) {
        const auto results =
            converse({connect(),
                      {{"op", "grow"}, {"to", 2 * mebibyte}},
                      {{"op", "read"}, {"offset", 0}, {"length", 512}, {"into", folder_.file("r")}}},
                     {"--ask=info", "--grow=" + way});
        EXPECT_EQ(error_of(results[2]), "ok");
        return error_of(results[1]);
    };
    EXPECT_EQ(grow("none"), "local ENOTSUP");
    EXPECT_EQ(grow("explicit"), "local ENOTSUP");
    EXPECT_EQ(grow("flagged"), "local ENOTSUP");
    EXPECT_EQ(grow("plain"), "server ENOSPC");
}

TEST_F(ReferenceDriver, LearnsByConnectingAgainWhereNothingElseIsOffered) {
    for (const char* way : {"reconnect", "poll", "notify", "credits"}) {
        const auto results = converse({connect(), json::object{{"op", "learn"}}},
                                      {"--ask=info", std::string("--learn=") + way});
        ASSERT_EQ(error_of(results[1]), "ok") << way;
        EXPECT_EQ(results[1].at("result").at("way").as_string(), "reconnect") << way;
        EXPECT_EQ(results[1].at("result").at("size").to_number<std::uint64_t>(), mebibyte) << way;
    }
    const auto results = converse({connect(), json::object{{"op", "learn"}}});
    EXPECT_EQ(results[1].at("result").at("way").as_string(), "none");
}

} // namespace
} // namespace driver
