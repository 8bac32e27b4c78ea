#include "reference-server/gateway/qmp.hpp"
#include "reference-server/gateway/tests/fake_monitor.hpp"
#include "reference-server/tests/process.hpp"

#include <boost/json/array.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refserver {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

Patience patience(std::chrono::milliseconds limit = 10s) {
    return {std::chrono::steady_clock::now() + limit};
}

TEST(Qmp, ReturnsWhatTheCommandReturns) {
    const Folder folder;
    FakeMonitor monitor(folder / "qmp", 4096, {});
    monitor.add_export("e0", "n0");
    Qmp qmp(folder / "qmp", patience());
    const boost::json::value exports = qmp.execute("query-block-exports");
    ASSERT_EQ(exports.as_array().size(), 1U);
    EXPECT_EQ(exports.at(0).at("id").as_string(), "e0");
}

TEST(Qmp, PassesOverEventsAndAnswersToOthersAndTakesItsOwnInPieces) {
    const Folder folder;
    FakeMonitor::Manners manners;
    manners.talkative = true;
    FakeMonitor monitor(folder / "qmp", 4096, manners);
    Qmp qmp(folder / "qmp", patience());
    EXPECT_TRUE(qmp.execute("query-block-exports").as_array().empty());
    EXPECT_TRUE(qmp.execute("block_resize", {{"node-name", "n0"}, {"size", 8192}}).is_object());
    EXPECT_EQ(monitor.size(), 8192U);
}

TEST(Qmp, ARefusalKeepsTheConnection) {
    const Folder folder;
    FakeMonitor::Manners manners;
    manners.refuse["block_resize"] = "no room at all";
    FakeMonitor monitor(folder / "qmp", 4096, manners);
    Qmp qmp(folder / "qmp", patience());
    try {
        qmp.execute("block_resize");
        ADD_FAILURE();
    } catch (const QmpRefusal& refusal) {
        EXPECT_THAT(refusal.what(), testing::HasSubstr("no room at all"));
    }
    EXPECT_TRUE(qmp.execute("query-block-exports").is_array());
}

TEST(Qmp, SaysWhatIsWrongWithTheMonitor) {
    const Folder folder;
    FakeMonitor::Manners none;
    FakeMonitor::Manners silent;
    silent.silent = true;
    FakeMonitor::Manners stranger;
    stranger.greeting = R"({"hello": 1})";
    FakeMonitor::Manners garbage;
    garbage.greeting = "SSH-2.0";
    FakeMonitor::Manners dying;
    dying.dies_before = "qmp_capabilities";
    const std::pair<FakeMonitor::Manners, const char*> cases[] = {{silent, "somebody else"},
                                                                  {stranger, "does not greet"},
                                                                  {garbage, "no JSON"},
                                                                  {dying, "closed the connection"}};
    for (const auto& [manners, part] : cases) {
        const FakeMonitor monitor(folder / "qmp", 4096, manners);
        try {
            const Qmp qmp(folder / "qmp", patience(200ms));
            ADD_FAILURE() << part;
        } catch (const QmpError& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr(part));
            EXPECT_THAT(error.what(), testing::HasSubstr(folder / "qmp"));
        }
    }
    EXPECT_THROW(Qmp(folder / "nobody", patience()), QmpError);
    EXPECT_THROW(Qmp(std::string(200, 'x'), patience()), QmpError);
}

TEST(Qmp, WaitingEndsWhenItIsToldTo) {
    const Folder folder;
    FakeMonitor::Manners silent;
    silent.silent = true;
    const FakeMonitor monitor(folder / "qmp", 4096, silent);
    Patience impatient = patience();
    impatient.go_on = [] { return false; };
    EXPECT_THROW(Qmp(folder / "qmp", impatient), QmpError);
}

} // namespace
} // namespace refserver
