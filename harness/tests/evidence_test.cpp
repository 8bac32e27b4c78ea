// What is counted among lives is counted right, and mistakes in what is to be counted are reported where they
// are.

#include "harness/exhaustive/evidence.hpp"
#include "harness/tests/temp_catalogue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* knobs_text = R"(knobs:
- { knob: growth, side: server, says: how it grows, values: { none: not, auto: a write } }
- { knob: ask, side: client, says: what it asks, values: { none: nothing, info: for information } }
- { knob: external, side: environment, says: what happens, values: { none: nothing, grow: it grows } }
rules: []
)";

constexpr const char* life_text = R"(life:
- fact: knows
  values: [yes, no]
  rows:
  - { when: { ask: info }, then: yes }
  - { when: { ask: none }, then: no }
- question: size
  title: how long it is
  rules: [RZ-AUTO-1]
  answers: sizes
  rows:
  - { when: { growth: auto }, then: 2MiB }
  - { when: { growth: none }, then: 1MiB }
)";

constexpr const char* evidence_text = R"(knob-by-knob:
  about: of those
  columns:
  - { says: grew, when: { size: 2MiB } }
  - { says: grew knowingly, among: { size: 2MiB }, when: { knows: yes } }
crossings:
- { says: it grew, when: { size: 2MiB }, rows: [growth], columns: [ask] }
questions:
- question: Does it grow?
  counts:
  - { says: it does, among: { ask: info }, when: { size: 2MiB } }
- { question: 'And why?', beyond: Nobody knows. }
)";

class EvidenceTest : public ::testing::Test {
  protected:
    EvidenceTest() {
        files_.write("knobs.yaml", knobs_text);
        files_.write("life.yaml", life_text);
        files_.write("evidence.yaml", evidence_text);
    }

    /// What is counted among these lives.
    [[nodiscard]] reports::RunResult counted(const std::vector<std::size_t>& lives) const {
        const Knobs knobs = Knobs::load(files_.path() / "knobs.yaml");
        const Oracle oracle = Oracle::load(files_.path() / "life.yaml", knobs);
        CombinationSet set(knobs.count());
        for (const std::size_t life : lives) {
            set.set(life);
        }
        reports::RunResult run;
        Evidence::load(files_.path() / "evidence.yaml", knobs, oracle).add_to(run, knobs, oracle, set);
        return run;
    }

    TempCatalogue files_;
};

TEST_F(EvidenceTest, CountsKnobByKnob) {
    // growth: none 0-3, auto 4-7; ask: none 0, 1, 4, 5; the environment varies fastest.
    const reports::RunResult run = counted({0, 1, 2, 3, 4, 5, 6});
    ASSERT_THAT(run.tables, SizeIs(2));
    EXPECT_THAT(run.tables[0].columns, ElementsAre("knob", "lives", "grew", "grew knowingly"));
    EXPECT_THAT(run.tables[0].rows,
                ElementsAre(ElementsAre("growth=none", "4", "none of 4", "–"),
                            ElementsAre("growth=auto", "3", "all of 3", "1 of 3 (33%)"),
                            ElementsAre("ask=none", "4", "2 of 4 (50%)", "none of 2"),
                            ElementsAre("ask=info", "3", "1 of 3 (33%)", "all of 1"),
                            ElementsAre("external=none", "4", "2 of 4 (50%)", "1 of 2 (50%)"),
                            ElementsAre("external=grow", "3", "1 of 3 (33%)", "none of 1")));
}

TEST_F(EvidenceTest, CountsOneSideByTheOther) {
    const reports::RunResult run = counted({0, 4, 5, 6, 7});
    EXPECT_EQ(run.tables[1].title, "it grew");
    EXPECT_THAT(run.tables[1].columns, ElementsAre("server", "ask=none", "ask=info"));
    EXPECT_THAT(run.tables[1].rows, ElementsAre(ElementsAre("growth=none", "none of 1", "–"),
                                                ElementsAre("growth=auto", "all of 2", "all of 2")));
}

TEST_F(EvidenceTest, AnswersQuestionsWithExamples) {
    const reports::RunResult run = counted({0, 2, 6});
    ASSERT_THAT(run.questions, SizeIs(2));
    EXPECT_EQ(run.questions[0].question, "Does it grow?");
    EXPECT_THAT(run.questions[0].tables.at(0).rows,
                ElementsAre(ElementsAre("it does", "1 of 2 (50%)", "growth=auto ask=info external=none",
                                        "growth=none ask=info external=none")));
    EXPECT_EQ(run.questions[1].beyond, "Nobody knows.");
}

TEST_F(EvidenceTest, AMistakeIsReportedWhereItIs) {
    struct Mistake {
        const char* from;
        const char* to;
        const char* message;
    };
    for (const Mistake& mistake : {
             Mistake{"among: { ask: info }", "among: { ^aks: info }", "did you mean 'ask'?"},
             Mistake{"rows: [growth]", "rows: [^grwth]", "did you mean 'growth'?"},
             Mistake{"rows: [growth]", "rows: [^size]", "'size' is no knob"},
             Mistake{"among: { size: 2MiB }, when: { knows: yes }",
                     "among: { growth: none }, when: ^{ size: 2MiB }", "no combination meets this"},
             Mistake{"- { question: 'And why?', beyond: Nobody knows. }", "- ^{ question: 'And why?' }",
                     "has counts, or says where"},
         }) {
        files_.write("evidence.yaml", evidence_text);
        files_.replace("evidence.yaml", mistake.from, mistake.to);
        const std::string error = message_of<CatalogueError>([&] { (void)counted({}); });
        EXPECT_THAT(error, HasSubstr(files_.marked() + ": ")) << mistake.to;
        EXPECT_THAT(error, HasSubstr(mistake.message));
    }
}

TEST(ProjectEvidence, CountsEveryLifeOfTheProject) {
    const std::filesystem::path folder = std::filesystem::path(NBD_SOURCE_DIR) / "scenarios";
    const Knobs knobs = Knobs::load(folder / "knobs.yaml");
    const Oracle oracle = Oracle::load(folder / "resize/life.yaml", knobs);
    reports::RunResult run;
    Evidence::load(folder / "resize/evidence.yaml", knobs, oracle)
        .add_to(run, knobs, oracle, CombinationSet(knobs.count()).set());
    EXPECT_THAT(run.questions, SizeIs(7)) << "the draft asks seven questions";
    std::size_t values = 0;
    for (const Knob& knob : knobs.all()) {
        values += knob.values.size();
    }
    EXPECT_THAT(run.tables.at(0).rows, SizeIs(values));
}

} // namespace
} // namespace harness
