// The commands for live resize, as a user starts them.

#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/tests/support/knob_server.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace refclient {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string client = NBD_BIN_DIR "/nbd-resize-client";

Finished run(std::vector<std::string> arguments, const std::string& input = {}) {
    arguments.insert(arguments.begin(), client);
    return testing::run(arguments, input);
}

/// One server for all tests; each has exports of its own.
const testing::KnobServer& server() {
    static const testing::KnobServer started;
    return started;
}

std::string uri(const std::string& knobs) {
    return nbd::format_uri(server().uri(knobs));
}

std::uint64_t number(const boost::json::value& value) {
    return value.to_number<std::uint64_t>();
}

const std::string all = "growth=both,advertise=info,consent=implicit,shrink=allow,keep=yes";

TEST(Info, ShowsWhatTheServerSaysOfResizing) {
    const std::string where = uri(all + ",sizing=round,limit=4MiB,smallest=64KiB,id=info");
    EXPECT_THAT(run({"info", where}).out,
                HasSubstr("resize: explicit shrink auto auto-implicit zeroed query notify external; "
                          "granularity 65536, smallest 65536, largest 4194304\n"));
    EXPECT_THAT(run({"info", where, "--option"}).out, HasSubstr("resize: explicit"));
    const boost::json::value told = boost::json::parse(run({"info", where, "--json"}).out);
    EXPECT_EQ(number(told.at("resize").at("granularity")), 65536U);
    EXPECT_EQ(number(told.at("resize").at("largest")), 4194304U);
    EXPECT_EQ(told.at("resize").at("capabilities").as_array().size(), 8U);
    EXPECT_THAT(run({"info", where, "--ask", "none"}).out, Not(HasSubstr("resize: ")));
    EXPECT_THAT(run({"info", uri(all + ",limit=none,id=unlimited")}).out, HasSubstr("largest not known"));
}

TEST(Size, IsANumber) {
    const std::string knobs = all + ",id=size";
    EXPECT_EQ(run({"size", uri(knobs)}).out, "1048576\n");
    for (const std::string learn : {"none", "reconnect", "poll", "notify", "credits"}) {
        const Finished finished = run({"size", uri(knobs), "--json", "--learn", learn});
        EXPECT_EQ(finished.status, 0) << finished.err;
        const boost::json::value told = boost::json::parse(finished.out);
        EXPECT_EQ(number(told.at("size")), 1048576U);
        EXPECT_EQ(told.at("learn").as_string(), learn);
    }
}

TEST(Grow, TellsTheSizeTheWayAndThePromise) {
    const std::string knobs = all + ",sizing=round,id=grow";
    const Finished finished = run({"grow", uri(knobs), "2000001"});
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_THAT(finished.out,
                HasSubstr("2031616 (1.9 MiB), 1048576 before; by the explicit way; the new bytes "
                          "are promised to be zero"));
    for (const std::string way : {"plain", "flagged", "explicit"}) {
        const std::uint64_t before = server().size(knobs);
        const Finished grown =
            run({"grow", uri(knobs), std::to_string(before + 100), "--grow", way, "--json", "--fua"});
        EXPECT_EQ(grown.status, 0) << grown.err;
        const boost::json::value told = boost::json::parse(grown.out);
        EXPECT_EQ(told.at("way").as_string(), way);
        EXPECT_EQ(number(told.at("before")), before);
        EXPECT_EQ(number(told.at("size")), way == "plain" ? before + 100 : before + 65536);
        EXPECT_TRUE(told.at("promised-zero").as_bool());
        EXPECT_EQ(server().size(knobs), before + 65536);
    }
    EXPECT_THAT(run({"grow", uri(knobs), "1"}).out, HasSubstr("as before"));
}

TEST(Grow, SaysByWhichWaysItCouldNot) {
    const Finished finished = run({"grow", uri("growth=none,id=cannot"), "2M"});
    EXPECT_EQ(finished.status, 1);
    EXPECT_THAT(finished.err, HasSubstr("explicit: the server does not offer NBD_CMD_RESIZE"));
    EXPECT_THAT(finished.err, HasSubstr("flagged: NBD_CMD_FLAG_EXTEND needs NBD_INFO_RESIZE"));
    EXPECT_THAT(finished.err, HasSubstr("plain: NBD_CMD_WRITE of 512 bytes at 2096640: the server answered "
                                        "NBD_ENOSPC"));
    const Finished one =
        run({"grow", uri(all + ",limit=2MiB,id=cannot"), "3M", "--grow", "explicit", "--json"});
    EXPECT_EQ(one.status, 1);
    const boost::json::value told = boost::json::parse(one.out);
    EXPECT_EQ(number(told.at("size")), 1048576U);
    ASSERT_EQ(told.at("refusals").as_array().size(), 1U);
    EXPECT_EQ(told.at("refusals").as_array().front().at("error").as_string(), "ENOSPC");
    EXPECT_EQ(run({"grow", uri(all + ",id=cannot2"), "3M", "--grow", "none"}).status, 1);
}

TEST(Grow, IsNoSuccessWhereLessIsGranted) {
    const Finished finished = run({"grow", uri(all + ",sizing=clamp,limit=2MiB,id=less"), "3M"});
    EXPECT_EQ(finished.status, 1);
    EXPECT_THAT(finished.out, HasSubstr("2097152 (2 MiB), 1048576 before"));
    EXPECT_THAT(finished.err, HasSubstr("only 2097152 bytes long, not 3145728"));
}

TEST(Shrink, MakesItSmallerWhereThatIsAllowed) {
    const std::string knobs = all + ",id=shrink";
    EXPECT_THAT(run({"shrink", uri(knobs), "512K"}).out, HasSubstr("524288 (512 KiB), 1048576 before"));
    EXPECT_EQ(server().size(knobs), 524288U);
    const Finished denied = run({"shrink", uri("growth=explicit,advertise=info,id=shrink"), "1"});
    EXPECT_EQ(denied.status, 1);
    EXPECT_THAT(denied.err, HasSubstr("without SHRINK"));
    EXPECT_EQ(run({"shrink", uri("growth=explicit,advertise=flag,shrink=deny,id=shrink"), "1"}).status, 1);
    EXPECT_EQ(run({"shrink", uri(knobs), "1G"}).status, 1);
}

TEST(Write, MayGoPastTheEndIfTold) {
    const std::string knobs = all + ",id=write";
    const Finished refused = run({"write", uri(knobs), "1M"}, "more");
    EXPECT_EQ(refused.status, 1);
    EXPECT_THAT(refused.err, HasSubstr("not sent: the export ends at 1048576"));
    EXPECT_EQ(run({"write", uri(knobs), "1M", "--grow", "plain"}, "more").status, 0);
    EXPECT_EQ(run({"write", uri(knobs), "1048580", "--grow", "flagged"}, " and more").status, 0);
    EXPECT_EQ(run({"read", uri(knobs), "1M", "13"}).out, "more and more");
    EXPECT_EQ(run({"zero", uri(knobs), "2M", "1M", "--grow", "flagged"}).status, 0);
    EXPECT_EQ(server().size(knobs), 3145728U);
}

/// Starts `watch`, resizes when it has told the sizes before, and ends it by a signal.
class Watch : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(Watch, TellsEachSizeUntilASignal) {
    const auto [learn, signal] = GetParam();
    const std::string knobs = all + ",id=watch-" + learn + signal;
    const testing::TemporaryFolder folder;
    const std::string out = folder.file("out");
    // The shell waits for lines, resizes by another client in between, and passes the exit status on.
    const std::string lines = "lines() { while [ $(wc -l < " + out + ") -lt $1 ]; do sleep 0.01; done; }; ";
    const std::string script =
        ": > " + out + "; '" + client + "' watch '" + uri(knobs) + "' --interval 0.01 --learn " + learn +
        " --credits 1 > " + out + " & pid=$!; " + lines + "lines 1; '" + client + "' grow '" + uri(knobs) +
        "' 2M; lines 2; '" + client + "' shrink '" + uri(knobs) + "' 512K; lines 3; kill -" + signal +
        " $pid; wait $pid; status=$?; cat " + out + "; exit $status";
    const Finished finished = testing::run({testing::find_program("sh"), "-c", script});
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr("1048576\n2097152\n524288\n"));
    EXPECT_THAT(finished.err, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, Watch,
                         ::testing::Values(std::tuple("notify", "INT"), std::tuple("notify", "TERM"),
                                           std::tuple("credits", "INT"), std::tuple("poll", "TERM"),
                                           std::tuple("reconnect", "INT")));

TEST(Watch, LeavesAServerThatFloods) {
    testing::ScriptedServer flooding([](const testing::ScriptedServer::Peer& peer) {
        peer.shake_hands({.flags = 0x201, .resize = "00c1 00000001 0000000000000000 0000000000100000"});
        static_cast<void>(peer.receive(28));
        const std::string chunk = "668e33ef 0000 0007 0000000000000001 0000000c 0000000000100000";
        peer.send(testing::hex(chunk + "00000000"));
        const nbd::Buffer notification = testing::hex(chunk + "00000006");
        for (int i = 0; i < 50000; ++i) {
            peer.send(notification);
        }
        static_cast<void>(peer.receive_all());
    });
    const Finished finished = run({"watch", nbd::format_uri(flooding.uri()), "--replies", "structured",
                                   "--max-notifications-per-second", "100"});
    EXPECT_EQ(finished.status, 1);
    EXPECT_EQ(finished.out, "1048576\n");
    EXPECT_THAT(finished.err, HasSubstr("more than 100 a second"));
}

TEST(Faults, AreListedAndUsed) {
    const Finished listed = run({"--list-faults"});
    EXPECT_EQ(listed.status, 0);
    EXPECT_THAT(listed.out, HasSubstr("cancel-with-length\tRZ-NOTE-8\tcancels with a length of 1\n"));
    EXPECT_THAT(listed.out, HasSubstr("request-magic\tREQUEST-MAGIC\t"));
    EXPECT_GE(std::ranges::count(listed.out, '\n'), 15);
    const Finished broken = run({"size", uri(all + ",id=fault"), "--learn", "poll", "--fault",
                                 "query-with-offset", "--fault", "two-forms"});
    EXPECT_EQ(broken.status, 1);
    EXPECT_THAT(broken.err, HasSubstr("NBD_EINVAL"));
    const Finished on_the_wire =
        run({"size", uri(all + ",id=wire"), "--learn", "poll", "--fault", "request-magic"});
    EXPECT_EQ(on_the_wire.status, 1);
    EXPECT_NE(run({"size", uri(all), "--fault", "no-such"}).status, 0);
}

TEST(Usage, OfResizingIsExplained) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"grow", "nbd://localhost"},
          {"size", "nbd://localhost", "--ask", "nobody"},
          {"size", "nbd://localhost", "--learn", "much"},
          {"size", "nbd://localhost", "--credits", "0"},
          {"grow", "nbd://localhost", "1G", "--grow", "somehow"},
          {"watch", "nbd://localhost", "--interval", "0"},
          {"watch", "nbd://localhost", "--learn", "none"},
          {"size", "nbd://localhost", "--max-notifications-per-second", "-1"},
          {"size", "nbd://localhost", "--fault", "nameless"}}) {
        const Finished finished = run(arguments);
        EXPECT_EQ(finished.status, 2) << ::testing::PrintToString(arguments) << finished.err;
        EXPECT_THAT(finished.err, Not(IsEmpty()));
    }
}

} // namespace
} // namespace refclient
