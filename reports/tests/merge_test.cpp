#include "reports/results_json.hpp"
#include "reports/tests/sample.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reports {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(std::vector<RunResult> shards) {
    try {
        (void)merge(std::move(shards));
    } catch (const ResultsError& error) {
        return error.what();
    }
    return "no error";
}

/// The run's cases dealt to `count` shards.
std::vector<RunResult> deal(const RunResult& run, std::size_t count) {
    std::vector<RunResult> shards(count, run);
    for (std::size_t i = 0; i < count; ++i) {
        shards[i].cases.clear();
        if (i > 0) { // each suite counts in one shard
            shards[i].tables.clear();
            shards[i].questions.clear();
        }
        shards[i].source = "shard-" + std::to_string(i) + ".json";
        for (std::size_t c = i; c < run.cases.size(); c += count) {
            shards[i].cases.push_back(run.cases[c]);
        }
    }
    return shards;
}

TEST(Merge, shards_make_the_run_that_they_are_of) {
    auto run = sample::large_run();
    auto merged = merge(deal(run, 3));
    EXPECT_TRUE(merged.source.empty());
    std::ranges::sort(run.cases, {}, &CaseResult::id);
    std::ranges::sort(merged.cases, {}, &CaseResult::id);
    EXPECT_TRUE(merged == run);
}

TEST(Merge, of_one_run_is_that_run) {
    const auto run = sample::small_run();
    EXPECT_TRUE(merge({run}) == run);
}

TEST(Merge, a_case_in_two_shards_is_an_error_that_names_both) {
    auto first = sample::small_run();
    first.source = "a/results.json";
    auto second = sample::small_run();
    second.source = "b/results.json";
    EXPECT_THAT(refusal({first, second}), AllOf(HasSubstr("nbdkit+no-sr/libnbd/flush"),
                                                HasSubstr("a/results.json"), HasSubstr("b/results.json")));
    first.source.clear();
    EXPECT_THAT(refusal({first, second}), HasSubstr("shard 1 (started 2026-11-22T16:21:07Z)"));
}

TEST(Merge, peers_are_united) {
    auto shards = deal(sample::small_run(), 2);
    shards[0].peers = {{"nbdkit", "server", "nbdkit", std::nullopt, {"default"}}};
    shards[1].peers = {{"libnbd", "client", "libnbd", "1.14.2", {"default"}},
                       {"nbdkit", "server", "nbdkit", "1.32.5", {"default", "no-sr"}},
                       {"nbdkit", "client", "nbdkit's plugin", "1.32.5", {}}};
    const auto merged = merge(shards);
    EXPECT_EQ(merged.peers,
              (std::vector<PeerInfo>{{"nbdkit", "server", "nbdkit", "1.32.5", {"default", "no-sr"}},
                                     {"libnbd", "client", "libnbd", "1.14.2", {"default"}},
                                     {"nbdkit", "client", "nbdkit's plugin", "1.32.5", {}}}));
}

TEST(Merge, two_versions_of_a_peer_do_not_fit) {
    auto shards = deal(sample::small_run(), 3);
    shards[0].peers[0].version.reset();
    shards[2].peers[0].version = "1.40.0";
    EXPECT_THAT(refusal(shards), AllOf(HasSubstr("server nbdkit is version 1.32.5 in shard-1.json"),
                                       HasSubstr("version 1.40.0 in shard-2.json")));
}

TEST(Merge, a_deviation_that_another_shard_saw_is_not_stale) {
    auto shards = deal(sample::small_run(), 2);
    const StaleDeviation seen_elsewhere{"qemu-write-past-end-einval", "qemu-nbd", "why"};
    shards[0].stale = {seen_elsewhere, {"nowhere", "qemu-nbd", "why"}};
    shards[1].stale = {seen_elsewhere, {"nowhere", "qemu-nbd", "why"}};
    EXPECT_EQ(merge(shards).stale, (std::vector<StaleDeviation>{{"nowhere", "qemu-nbd", "why"}}));
}

TEST(Merge, host_facts_and_times_are_united) {
    auto shards = deal(sample::small_run(), 3);
    shards[0].started = "2026-11-22T16:21:09Z";
    shards[0].seconds = 10;
    shards[1].seconds = 30;
    shards[2].seconds = 20;
    shards[0].properties = {{"kernel", "a"}, {"only", "here"}};
    shards[1].properties = {{"kernel", "b"}};
    shards[2].properties = {{"kernel", "a"}};
    const auto merged = merge(shards);
    EXPECT_EQ(merged.started, "2026-11-22T16:21:07Z");
    EXPECT_EQ(merged.seconds, 30);
    EXPECT_EQ(merged.properties, (std::map<std::string, std::string>{{"kernel", "a; b"}, {"only", "here"}}));
    EXPECT_EQ(merged.suite, "default");
}

TEST(Merge, nothing_is_an_error) {
    EXPECT_THAT(refusal({}), HasSubstr("no results"));
}

TEST(Rebase, folders_are_found_from_the_new_place) {
    auto run = sample::small_run();
    run.cases[1].folder.clear();
    rebase_folders(run, "out/shard-1", "out/all");
    EXPECT_EQ(run.cases[0].folder, "../shard-1/cases/nbdkit/libnbd/flush");
    EXPECT_EQ(run.cases[1].folder, "");

    rebase_folders(run, "out/all", ""); // as for a report beside a file that is named without a directory
    EXPECT_EQ(run.cases[0].folder, "out/shard-1/cases/nbdkit/libnbd/flush");
    rebase_folders(run, "", "out/all/");
    EXPECT_EQ(run.cases[0].folder, "../shard-1/cases/nbdkit/libnbd/flush");
}

} // namespace
} // namespace reports
