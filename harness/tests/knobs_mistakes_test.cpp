// Every mistake that an author of knobs.yaml or life.yaml can make is reported where it is.

#include "harness/knobs/knobs.hpp"
#include "harness/knobs/oracle.hpp"
#include "harness/tests/temp_catalogue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* knobs_text = R"(knobs:
- knob: growth
  side: server
  says: how it grows
  values: { none: not, auto: a write, explicit: a command }
- knob: consent
  side: server
  says: which writes
  applies: { growth: auto }
  values: { implicit: any, opt-in: with the flag }
- knob: learn
  side: server
  says: how the size is learnt
  values: { none: not, poll: a query }
- knob: learn
  side: client
  says: how the size is learnt
  values: { none: not, poll: a query }
- knob: external
  side: environment
  says: what happens outside
  values: { none: nothing, grow: it grows }
rules:
- rule: consent has to be told
  when: { consent: opt-in }
  need: { server.learn: poll }
)";

constexpr const char* life_text = R"(life:
- fact: grows
  values: [yes, no]
  rows:
  - { when: { growth: auto, consent: implicit }, then: yes }
  - { when: { growth: auto, consent: opt-in }, then: no }
  - { when: { growth: { not: auto } }, then: no }
- question: size
  title: how long it is
  rules: [RZ-AUTO-1]
  answers: sizes
  rows:
  - { when: { grows: yes }, then: 1MiB+5 }
  - { when: { grows: no }, then: 1MiB }
- question: believed
  title: how long it seems
  rules: [RZ-AUTO-12, RZ-SIZE-1]
  answers: sizes
  rows:
  - { when: { client.learn: poll }, then: same as size }
  - { when: { client.learn: none }, then: none }
- question: leave
  title: how it ends
  rules: [RZ-NOTE-8]
  answers: [ok, late]
  rows:
  - { when: { external: none, size: 1024KiB }, then: late }
  - { when: { external: none, size: 1MiB+5 }, then: ok }
  - { when: { external: grow }, then: ok }
)";

struct Mistake {
    const char* name;
    const char* from;    ///< the one place in the valid file
    const char* to;      ///< what stands there instead, '^' where the message has to point
    const char* message; ///< part of it
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
    *out << mistake.to;
}

/// Both files, valid but for one mistake, and what loading them says, without the folder's path.
std::string error_of(TempCatalogue& files, const std::string& file, const Mistake& mistake) {
    files.write("knobs.yaml", knobs_text);
    files.write("life.yaml", life_text);
    files.replace(file, mistake.from, mistake.to);
    std::string error = message_of<CatalogueError>([&] {
        const Knobs knobs = Knobs::load(files.path() / "knobs.yaml");
        (void)Oracle::load(files.path() / "life.yaml", knobs);
    });
    const std::string folder = files.path().string() + "/";
    for (std::size_t at = error.find(folder); at != std::string::npos; at = error.find(folder)) {
        error.erase(at, folder.size());
    }
    return error;
}

void expect_report(const std::string& file, const Mistake& mistake) {
    TempCatalogue files;
    const std::string error = error_of(files, file, mistake);
    ASSERT_FALSE(files.marked().empty()) << "the test marks no place";
    EXPECT_THAT(error, StartsWith(files.marked() + ": "));
    EXPECT_THAT(error, HasSubstr(mistake.message));
}

TEST(KnobMistake, IsReportedWhereSomethingIsMissing) {
    struct Elsewhere {
        const char* from;
        const char* to;
        const char* error;
    };
    for (const Elsewhere& row : {
             Elsewhere{"side: environment", "side: client",
                       "knobs.yaml:2:1: there have to be 1 to 8 knobs of the environment"},
             Elsewhere{"need: { server.learn: poll }", "need: { growth: none }",
                       "knobs.yaml:10:28: no valid configuration has consent=opt-in"},
         }) {
        TempCatalogue files;
        EXPECT_EQ(error_of(files, "knobs.yaml", {"", row.from, row.to, ""}), row.error);
    }
}

class KnobMistakes : public ::testing::TestWithParam<Mistake> {};
TEST_P(KnobMistakes, AreReported) {
    expect_report("knobs.yaml", GetParam());
}

class LifeMistakes : public ::testing::TestWithParam<Mistake> {};
TEST_P(LifeMistakes, AreReported) {
    expect_report("life.yaml", GetParam());
}

TEST(KnobsAndLife, AreLoadedWhereThereIsNoMistake) {
    TempCatalogue files;
    EXPECT_EQ(error_of(files, "life.yaml", {"", "how it ends", "how it stops", ""}), "(nothing was thrown)");
    const Knobs knobs = Knobs::load(files.path() / "knobs.yaml");
    EXPECT_EQ(knobs.configurations(Side::server).size(), 7U);
    EXPECT_EQ(knobs.count(), 28U);
    const Oracle oracle = Oracle::load(files.path() / "life.yaml", knobs);
    EXPECT_EQ(oracle.questions().size(), 3U);
    EXPECT_EQ(oracle.questions()[oracle.question("leave")].title, "how it stops");
    EXPECT_THROW((void)oracle.question("grows"), std::out_of_range) << "a fact is no question";
}

INSTANTIATE_TEST_SUITE_P(
    Knobs, KnobMistakes,
    ::testing::Values(
        Mistake{"misspelt key", "- knob: consent\n  side: server\n  says:",
                "- ^knob: consent\n  side: server\n  sais:", "'says' is missing"},
        Mistake{"no such side", "side: environment", "side: ^outside", "server, client or environment"},
        Mistake{"a knob twice", "- knob: consent", "- ^knob: growth",
                "the server has a knob 'growth' already"},
        Mistake{"one value only", "values: { none: nothing, grow: it grows }", "values: ^{ none: nothing }",
                "at least two values"},
        Mistake{"a value that no name can hold", "opt-in: with the flag", "^'opt,in': with the flag",
                "'opt,in' cannot be the name"},
        Mistake{"the value of what does not apply", "opt-in: with the flag", "^'-': with the flag",
                "'-' cannot be the name"},
        Mistake{"applies by a misspelt knob", "applies: { growth: auto }", "applies: { ^grwth: auto }",
                "did you mean 'growth'?"},
        Mistake{"applies by a misspelt value", "applies: { growth: auto }", "applies: { growth: ^autp }",
                "did you mean 'auto'?"},
        Mistake{"applies by another side", "applies: { growth: auto }", "applies: ^{ client.learn: poll }",
                "depends on other knobs of the server"},
        Mistake{"applies always", "applies: { growth: auto }", "applies: { growth: ^[none, auto, explicit] }",
                "these are all values of growth"},
        Mistake{"a knob of two sides", "need: { server.learn: poll }", "need: { ^learn: poll }",
                "say which, as in 'server.learn'"},
        Mistake{"a rule over two sides", "need: { server.learn: poll }", "need: ^{ client.learn: poll }",
                "the knobs of one side"},
        Mistake{"a condition over two sides", "when: { consent: opt-in }",
                "when: ^{ consent: opt-in, external: grow }", "knobs of one side"},
        Mistake{"a rule without a need", "need: { server.learn: poll }", "need: ^{}",
                "a condition is missing"},
        Mistake{"a rule that excludes nothing", "- rule: consent has to be told\n  when: { consent: opt-in }",
                "- ^rule: consent has to be told\n  when: { consent: opt-in, growth: none }",
                "excludes nothing"}),
    by_name);

INSTANTIATE_TEST_SUITE_P(
    Life, LifeMistakes,
    ::testing::Values(
        Mistake{"neither fact nor question", "- fact: grows", "- ^fakt: grows",
                "either a 'fact' or a 'question'"},
        Mistake{"misspelt key",
                "- question: size\n  title:", "- ^question: size\n  titel:", "'title' is missing"},
        Mistake{"misspelt knob", "{ external: grow }", "{ ^extrenal: grow }", "did you mean 'external'?"},
        Mistake{"misspelt fact", "{ grows: yes }", "{ ^growz: yes }", "did you mean 'grows'?"},
        Mistake{"a knob of two sides", "{ client.learn: poll }", "{ ^learn: poll }", "say which"},
        Mistake{"an entry further down", "{ grows: yes }", "{ ^believed: none }", "'believed'"},
        Mistake{"no value of the knob", "{ external: grow }", "{ external: ^shrink }",
                "'shrink' is no value of external; its values are none, grow"},
        Mistake{"no value of the question", "size: 1024KiB", "size: ^1025KiB", "its values are 1MiB+5, 1MiB"},
        Mistake{"a value twice", "{ not: auto }", "[none, ^none]", "a second time"},
        Mistake{"no value", "{ not: auto }", "^[]", "no value of growth is here"},
        Mistake{"all values", "{ not: auto }", "^[none, explicit, auto]", "these are all values of growth"},
        Mistake{"nothing left", "{ external: grow }", "{ external: ^{ not: [none, grow] } }",
                "this can never hold"},
        Mistake{"not misspelt", "{ not: auto }", "^{ nto: auto }", "'not' is missing"},
        Mistake{"unknown answer", "then: late", "then: ^lat", "did you mean 'late'?"},
        Mistake{"an answer that nobody gives", "answers: [ok, late]", "answers: [ok, late, ^never]",
                "no combination gives 'leave' the value 'never'"},
        Mistake{"an answer twice", "answers: [ok, late]", "answers: [ok, late, ^ok]", "a second time"},
        Mistake{"anything goes", "then: late", "then: ^any", "'any' is no value of 'leave'"},
        Mistake{"no size", "then: 1MiB+5", "then: ^1MB+5", "'1MB+5' is no size"},
        Mistake{"a share of a size", "then: 1MiB+5", "then: ^size/2", "'size/2' is no size"},
        Mistake{"same as nothing", "same as size", "^same as siez", "did you mean 'size'?"},
        Mistake{"same as an entry of other values", "then: late", "then: ^same as grows",
                "'no' is no value of 'leave'"},
        Mistake{"a name twice", "- question: leave", "- question: ^grows", "already"},
        Mistake{"the name of a knob", "- question: leave", "- question: ^growth", "already"},
        Mistake{"no identifier", "[RZ-NOTE-8]", "[^RZ-NOTE]", "no identifier"},
        Mistake{"no rules", "[RZ-NOTE-8]", "^[]", "names the statements"},
        Mistake{"a fact has no rules", "  values: [yes, no]", "  ^rules: [RZ-NOTE-8]\n  values: [yes, no]",
                "'rules' is not known here"},
        Mistake{"a row that never matches", "- { when: { growth: { not: auto } }, then: no }",
                "- { when: { growth: { not: auto } }, then: no }\n  - ^{ when: { growth: none, consent: "
                "implicit }, "
                "then: no }",
                "no combination meets this row of 'grows': growth is none, consent is implicit"},
        Mistake{"an overlap", "- { when: { growth: { not: auto } }, then: no }",
                "- ^{ when: { growth: { not: none } }, then: no }",
                "this row of 'grows' and the one in line 5 both fit growth=auto, consent=implicit"},
        Mistake{"an overlap that agrees", "- { when: { external: grow }, then: ok }",
                "- { when: { external: grow }, then: ok }\n  - ^{ when: { size: 1MiB+5 }, then: ok }",
                "the one in line 28 both fit external=none, size=1MiB+5"},
        Mistake{"a gap",
                "rows:\n  - { when: { growth: auto, consent: implicit }, then: yes }\n  - { when: { growth: "
                "auto, consent: opt-in }, then: no }\n  - { when: { growth: { not: auto } }, then: no }",
                "^rows:\n  - { when: { growth: auto, consent: implicit }, then: yes }\n  - { when: { growth: "
                "none }, "
                "then: no }",
                "no row of 'grows' fits growth=auto, consent=opt-in (12 combinations, for one: "
                "growth=auto,consent=opt-in,learn=poll learn=none external=none)"}),
    by_name);

} // namespace
} // namespace harness
