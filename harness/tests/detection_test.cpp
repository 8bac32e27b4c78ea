// Who notices which fault, and the plan by which that is repeated.

#include "harness/check/detection_plan.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness::check {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Detection three_faults() {
    Detection detection;
    detection.faults = {{"a", "RULE-A", ""}, {"b", "RULE-B", ""}, {"c", "RULE-C", ""}};
    detection.cases = {"one", "two", "three"};
    return detection;
}

TEST(Detection, TellsWhatNobodyNoticedAndWhoNoticedNothing) {
    Detection detection = three_faults();
    detection.add({"a", "plain", "one", {"RULE-A"}, false});
    detection.add({"b", "plain", "two", {"RULE-X"}, true}); // by the judge, in a case that passed

    EXPECT_THAT(detection.unnoticed_faults(), ElementsAre("c"));
    EXPECT_THAT(detection.idle_cases(), ElementsAre("two", "three"));
    EXPECT_THAT(detection.noticed("a"), ElementsAre("one"));
    EXPECT_THAT(detection.noticed("b"), ElementsAre("wire-RULE-X"));
    EXPECT_THAT(detection.noticed("c"), IsEmpty());
}

TEST(Detection, AServerThatCannotBeSpokenToIsNoticed) {
    Detection detection = three_faults();
    detection.add({"a", "plain", "one", {}, true});

    EXPECT_THAT(detection.unnoticed_faults(), ElementsAre("b", "c"));
    EXPECT_THAT(detection.noticed("a"), ElementsAre("(it cannot be spoken to)"));
    EXPECT_THAT(detection.idle_cases(), ElementsAre("one", "two", "three"));
}

TEST(Detection, AStatementIsShownByWhatWasBlamedOrByACaseThatTestsIt) {
    Detection detection = three_faults();
    detection.add({"a", "plain", "one", {"RULE-X"}, false});
    const ListedFault& a = detection.faults[0];

    EXPECT_TRUE(detection.shows(a, "RULE-X", {}));
    EXPECT_TRUE(detection.shows(a, "RULE-A", {"one"}));
    EXPECT_FALSE(detection.shows(a, "RULE-A", {"two"})); // it tests the rule, but has noticed nothing
    EXPECT_FALSE(detection.shows(a, "RULE-B", {"one"}));
    EXPECT_FALSE(detection.shows(detection.faults[1], "RULE-B", {"one"}));
}

std::set<std::string> broken(const Sighting& sighting) {
    return sighting.broken;
}

TEST(Detection, TellsWhoNoticedByThemselves) {
    Detection detection = three_faults();
    detection.add({"a", "plain", "one", {"RULE-A"}, false, false});
    detection.add({"b", "plain", "two", {"RULE-B"}, true, true});

    EXPECT_FALSE(detection.noticed_alone("a"));
    EXPECT_TRUE(detection.noticed_alone("b"));
    EXPECT_TRUE(detection.noticed_by("a", "one"));
    EXPECT_TRUE(detection.noticed_by("b", "two")); // though the case itself passed
    EXPECT_FALSE(detection.noticed_by("a", "two"));
    EXPECT_TRUE(detection.busy("one"));
    EXPECT_FALSE(detection.busy("two"));
}

TEST(DetectionPlan, PrefersWhatCasesNoticeByThemselves) {
    Detection detection = three_faults();
    detection.add({"a", "plain", "one", {"RULE-A", "RULE-B"}, false, false});
    detection.add({"a", "blocks", "two", {"RULE-A"}, false, true});

    // The first one would show more, but is good for what the second one does not show.
    EXPECT_THAT(thin_out(detection, broken), UnorderedElementsAre(PlannedTrial{"a", "blocks", {"two"}},
                                                                  PlannedTrial{"a", "plain", {"one"}}));

    detection.add({"a", "bare", "one", {"RULE-B"}, false, true});
    EXPECT_THAT(thin_out(detection, broken), UnorderedElementsAre(PlannedTrial{"a", "blocks", {"two"}},
                                                                  PlannedTrial{"a", "bare", {"one"}}));
}

TEST(DetectionPlan, IsThinAndLosesNothing) {
    Detection detection = three_faults();
    detection.add({"a", "plain", "one", {"RULE-A"}, false});
    detection.add({"a", "plain", "two", {"RULE-A"}, false});
    detection.add({"a", "blocks", "one", {"RULE-A"}, false}); // nothing new
    detection.add({"b", "blocks", "two", {"RULE-B"}, false});
    detection.add({"b", "blocks", "one", {"RULE-B"}, false}); // nothing new
    detection.add({"b", "plain", "three", {"RULE-X"}, true}); // a statement that nothing else shows

    const auto trials = thin_out(detection, broken);
    Detection again = three_faults();
    for (const PlannedTrial& trial : trials) {
        for (const Sighting& sighting : detection.sightings()) {
            if (sighting.fault == trial.fault && sighting.on == trial.on &&
                std::ranges::find(trial.cases, sighting.made) != trial.cases.end()) {
                again.add(sighting);
            }
        }
    }

    EXPECT_EQ(again.unnoticed_faults(), detection.unnoticed_faults());
    EXPECT_EQ(again.idle_cases(), detection.idle_cases());
    EXPECT_TRUE(again.shows(detection.faults[1], "RULE-X", {}));
    EXPECT_LT(again.sightings().size(), detection.sightings().size());
}

TEST(DetectionPlan, AJudgesSightingIsKeptUnderItsCase) {
    Detection detection = three_faults();
    detection.add({"a", "plain", "three", {"RULE-A"}, true});
    EXPECT_THAT(thin_out(detection, broken), ElementsAre(PlannedTrial{"a", "plain", {"three"}}));
}

TEST(DetectionPlan, IsReadAsItWasWritten) {
    DetectionPlan plan;
    plan.servers = {{"a", "plain", {"one", "two"}}, {"b", "large-blocks", {"three"}}};
    const TempFolder folder;
    for (const bool clients : {false, true}) {
        if (clients) {
            plan.clients = {{"c", "copy", {"four"}}};
        }
        write_file(folder / "detection.yaml", plan_text(plan));
        const DetectionPlan read = load_plan(YamlNode::load(folder / "detection.yaml"));
        EXPECT_EQ(read.servers, plan.servers);
        EXPECT_EQ(read.clients, plan.clients);
    }
}

TEST(DetectionPlan, SaysWhereAMistakeIs) {
    const TempFolder folder;
    write_file(folder / "detection.yaml", "servers:\n- { fault: a, cases: [one] }\nclients: []\n");
    try {
        (void)load_plan(YamlNode::load(folder / "detection.yaml"));
        FAIL() << "was accepted";
    } catch (const CatalogueError& error) {
        EXPECT_THAT(error.what(), ::testing::HasSubstr("detection.yaml:2"));
        EXPECT_THAT(error.what(), ::testing::HasSubstr("on"));
    }
}

} // namespace
} // namespace harness::check
