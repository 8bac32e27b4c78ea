#include "reference-server/gateway/qmp_resizer.hpp"
#include "reference-server/gateway/qmp_state.hpp"
#include "reference-server/gateway/tests/fake_monitor.hpp"
#include "reference-server/tests/served.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace refserver {
namespace {

using std::chrono_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t before = 1 << 20;
constexpr std::uint64_t after = 2 << 20;

Patience patience() {
    return {std::chrono::steady_clock::now() + 10s};
}

SizeChange change(std::uint64_t from, std::uint64_t to) {
    SizeChange wanted;
    wanted.from = from;
    wanted.to = to;
    // The fake monitor exports nothing that could be zeroed.
    wanted.leave_old_bytes = true;
    return wanted;
}

/// A monitor with an export, and a server that shows what such an export shows.
class QmpResizing : public testing::Test {
  protected:
    QmpResizing()
      : monitor_(folder_ / "qmp", before, {})
      , shown_({"--memory", "1M", "-x", "disk", "-D", "a disk"}) {
        monitor_.add_export("e0", "n0");
        facts_.size = before;
    }

    [[nodiscard]] std::string uri() const { return "nbd+unix:///disk?socket=" + shown_.socket(); }
    [[nodiscard]] QmpOptions options() const {
        QmpOptions made;
        made.socket = folder_ / "qmp";
        return made;
    }
    [[nodiscard]] std::unique_ptr<QmpResizer> attached(const QmpOptions& options) const {
        auto resizer = std::make_unique<QmpResizer>(options);
        resizer->attach(uri(), facts_, patience());
        return resizer;
    }
    void expect_put_back(std::uint64_t size) const {
        const auto exports = monitor_.exports();
        ASSERT_EQ(exports.count("e0"), 1U);
        EXPECT_EQ(exports.size(), 1U);
        EXPECT_EQ(exports.at("e0").at("node-name").as_string(), "n0");
        EXPECT_EQ(monitor_.size(), size);
        EXPECT_FALSE(std::filesystem::exists(options().state()));
    }

    Folder folder_;
    FakeMonitor monitor_;
    Served shown_;
    InnerFacts facts_;
};

TEST_F(QmpResizing, TheExportIsMadeAnewAsItWas) {
    QmpOptions wanted = options();
    wanted.iothread = "t0";
    const auto resizer = attached(wanted);
    monitor_.behave({});
    const Failure failure = resizer->change(change(before, after), patience());
    EXPECT_EQ(failure.error, nbd::Error::none) << failure.message;
    expect_put_back(after);
    EXPECT_THAT(monitor_.commands(), ElementsAre("query-block-exports", "block-export-del",
                                                 "query-block-exports", "block_resize", "block-export-add"));
    const boost::json::object made = monitor_.exports().at("e0");
    EXPECT_EQ(made.at("name").as_string(), "disk");
    EXPECT_EQ(made.at("description").as_string(), "a disk");
    EXPECT_EQ(made.at("writable").as_bool(), true);
    EXPECT_EQ(made.at("iothread").as_string(), "t0");
    EXPECT_EQ(resizer->change(change(after, before), patience()).error, nbd::Error::none);
    expect_put_back(before);
}

TEST_F(QmpResizing, ARefusedSizeLeavesEverythingAsItWas) {
    const auto resizer = attached(options());
    FakeMonitor::Manners manners;
    manners.refuse["block_resize"] = "Image is full";
    monitor_.behave(manners);
    const Failure growth = resizer->change(change(before, after), patience());
    EXPECT_EQ(growth.error, nbd::Error::nospc);
    EXPECT_THAT(growth.message, HasSubstr("Image is full"));
    expect_put_back(before);
    EXPECT_EQ(resizer->change(change(before, before / 2), patience()).error, nbd::Error::perm);
    expect_put_back(before);
}

TEST_F(QmpResizing, AnExportThatIsInUseIsNotTakenAway) {
    const auto resizer = attached(options());
    FakeMonitor::Manners manners;
    manners.refuse["block-export-del"] = "export 'e0' still in use";
    monitor_.behave(manners);
    const Failure failure = resizer->change(change(before, after), patience());
    EXPECT_EQ(failure.error, nbd::Error::io);
    EXPECT_THAT(failure.message, HasSubstr("still in use"));
    EXPECT_THAT(failure.message, HasSubstr("mode=hard"));
    expect_put_back(before);
}

/// Wherever the conversation ends in the middle, the next one finds the way back.
TEST_F(QmpResizing, WhatBrokeOffIsRepaired) {
    const auto resizer = attached(options());
    for (const char* command :
         {"query-block-exports", "block-export-del", "block_resize", "block-export-add"}) {
        for (const bool carried_out : {false, true}) {
            for (const std::uint64_t to : {after, before / 2}) {
                SCOPED_TRACE(testing::Message() << command << ' ' << carried_out << ' ' << to);
                FakeMonitor::Manners manners;
                (carried_out ? manners.dies_after : manners.dies_before) = command;
                monitor_.behave(manners);
                EXPECT_NE(resizer->change(change(before, to), patience()).error, nbd::Error::none);
                monitor_.behave({});
                // Another process, which knows only what is noted.
                QmpResizer successor(options());
                successor.repair(patience());
                const std::uint64_t size = monitor_.size();
                const bool done = std::string_view(command) == "block-export-add" && carried_out;
                if (to > before) {
                    EXPECT_EQ(size, done ? to : before) << "growth that nobody was told of is taken back";
                }
                expect_put_back(size);
                // As at the beginning, for the next turn.
                if (size != before) {
                    EXPECT_EQ(resizer->change(change(size, before), patience()).error, nbd::Error::none);
                }
            }
        }
    }
}

TEST_F(QmpResizing, WhatCannotBeRepairedIsSaid) {
    boost::json::object settings{{"id", "e9"}, {"node-name", "lost"}, {"type", "nbd"}};
    write_note(options().state(), {settings, before, after});
    QmpResizer resizer(options());
    try {
        resizer.repair(patience());
        ADD_FAILURE();
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("no block node lost; there are f0, n0"));
        EXPECT_THAT(error.what(), HasSubstr(options().state()));
        EXPECT_THAT(error.what(), HasSubstr(R"("id":"e9")"));
    }
    EXPECT_TRUE(std::filesystem::exists(options().state())) << "it is still to be done";
    std::ofstream(options().state()) << "garbage";
    EXPECT_THROW(resizer.repair(patience()), std::runtime_error);
}

TEST_F(QmpResizing, TheRightExportHasToBeClear) {
    monitor_.add_export("e1", "n0");
    EXPECT_THROW((void)attached(options()), std::runtime_error) << "two fit";
    QmpOptions wanted = options();
    wanted.export_id = "e2";
    try {
        (void)attached(wanted);
        ADD_FAILURE();
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("e0 (node n0), e1 (node n0)"));
    }
    wanted.export_id = "e1";
    wanted.node = "n0";
    EXPECT_NO_THROW((void)attached(wanted));
    facts_.size = before + 512;
    EXPECT_THROW((void)attached(wanted), std::runtime_error) << "the node is not what the export shows";
}

} // namespace
} // namespace refserver
