// The oracle that the project comes with: lives worked out by hand from the text of the extension, and what
// has to hold in all of them.

#include "harness/knobs/oracle.hpp"
#include "harness/tests/support.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <ostream>
#include <sstream>

namespace harness {
namespace {

using testing_support::by_name;

const Knobs& project_knobs() {
    static const Knobs knobs = Knobs::load(NBD_SOURCE_DIR "/scenarios/knobs.yaml");
    return knobs;
}

const Oracle& project_oracle() {
    static const Oracle oracle = Oracle::load(NBD_SOURCE_DIR "/scenarios/resize/life.yaml", project_knobs());
    return oracle;
}

struct Life {
    const char* name;
    const char* server;
    const char* client;
    const char* external;
    const char* answers; ///< question=answer, separated by spaces
};

void PrintTo(const Life& life, std::ostream* out) {
    *out << life.server << ' ' << life.client << ' ' << life.external;
}

class OracleLife : public ::testing::TestWithParam<Life> {};

TEST_P(OracleLife, IsAsTheExtensionSays) {
    const Life& life = GetParam();
    std::string error;
    const auto server = project_knobs().find(Side::server, life.server, error);
    const auto client = project_knobs().find(Side::client, life.client, error);
    const auto external =
        project_knobs().find(Side::environment, fmt::format("external={}", life.external), error);
    ASSERT_TRUE(server && client && external) << error;
    const std::size_t index =
        project_knobs().index({static_cast<std::uint32_t>(*server), static_cast<std::uint32_t>(*client),
                               static_cast<std::uint32_t>(*external)});

    std::istringstream words(life.answers);
    for (std::string word; words >> word;) {
        const std::size_t equals = word.find('=');
        const std::size_t question = project_oracle().question(word.substr(0, equals));
        std::string wanted = word.substr(equals + 1);
        if (const auto bytes = size_in_bytes(wanted)) {
            wanted = std::to_string(*bytes);
        }
        const Answer& answer = project_oracle().answer(index, question);
        const Row& row = project_oracle().row(index, question);
        EXPECT_EQ(answer.plain(), wanted)
            << word << "; the row in line " << row.position.line << ": " << row.when;
        EXPECT_EQ(project_oracle().questions()[question].find(wanted),
                  int{project_oracle().answers(index)[question]});
    }
}

INSTANTIATE_TEST_SUITE_P(
    Oracle, OracleLife,
    ::testing::Values(
        // No growth.
        Life{
            "nothing on the server, all on the client",
            "growth=none,advertise=silent,replies=simple,learn=none",
            "ask=info,replies=extended,grow=explicit,learn=credits", "none",
            "style=simple flag=clear info-EXPLICIT=- info-EXTERNAL=- info-granularity=none info-largest=none "
            "inside=ok grow-way=none grow-error=none grow-size=1MiB grow-told=none grow-believed=1MiB "
            "new-end=none promise=none exposed=none over-way=none over-error=none over-size=1MiB "
            "shrink-error=cannot shrink-size=1MiB learn-way=reconnect subscribe-size=none external-size=1MiB "
            "learn-flags=none learn-believed=1MiB new-read=ok stale-read=none kept=written past-end=ENOSPC "
            "leave=ok"},
        Life{"a plain write meets a server that does not grow",
             "growth=none,advertise=silent,replies=simple,learn=none",
             "ask=none,replies=simple,grow=plain,learn=none", "grow",
             "grow-way=plain grow-error=ENOSPC grow-size=1MiB grow-believed=1MiB new-end=none "
             "over-error=ENOSPC external-size=6MiB+5 learn-way=none learn-believed=1MiB new-read=none "
             "stale-read=none kept=written past-end=ENOSPC"},
        Life{"the flag for a query alone", "growth=none,advertise=info,replies=structured,learn=poll",
             "ask=info,replies=structured,grow=explicit,learn=poll", "shrink",
             "style=structured flag=set info-EXPLICIT=no info-SHRINK=no info-AUTO=no info-AUTO_IMPLICIT=no "
             "info-ZEROED=no info-QUERY=yes info-NOTIFY=no info-EXTERNAL=yes info-granularity=1 "
             "info-smallest=none info-largest=4MiB grow-way=none shrink-error=cannot learn-way=poll "
             "external-size=300000 learn-believed=300000 learn-flags=none new-read=ok stale-read=none "
             "kept=none"},
        Life{"no query without chunks", "growth=none,advertise=info,replies=structured,learn=poll",
             "ask=info,replies=simple,grow=flagged,learn=notify", "shrink",
             "style=simple info-QUERY=no info-EXTERNAL=yes flag=clear grow-way=none learn-way=reconnect "
             "learn-believed=300000"},
        Life{"no query without the information", "growth=none,advertise=info,replies=structured,learn=poll",
             "ask=none,replies=structured,grow=none,learn=poll", "shrink",
             "style=structured info-QUERY=- flag=clear learn-way=reconnect learn-believed=300000"},
        Life{"nobody promised zeroes", "growth=none,advertise=info,replies=extended,learn=both",
             "ask=info,replies=extended,grow=none,learn=notify", "grow",
             "style=extended flag=set learn-way=notify subscribe-size=1MiB learn-flags=EXTERNAL "
             "learn-believed=6MiB+5 new-read=ok kept=written past-end=ENOSPC"},
        // Explicit growth.
        Life{"a client that does not know the granularity",
             "growth=explicit,advertise=flag,replies=structured,learn=none,fill=zero,sizing=round,shrink="
             "allow",
             "ask=info,replies=structured,grow=explicit,learn=none", "none",
             "info-EXPLICIT=- flag=set grow-way=explicit grow-error=EINVAL grow-size=1MiB over-error=EINVAL "
             "shrink-error=EINVAL shrink-size=1MiB learn-believed=1MiB new-read=ok kept=written"},
        Life{
            "malformed comes before not permitted",
            "growth=explicit,advertise=flag,replies=structured,learn=none,fill=zero,sizing=round,shrink=deny",
            "ask=none,replies=structured,grow=explicit,learn=none", "none", "shrink-error=EINVAL"},
        Life{
            "exact sizes by the flag alone",
            "growth=explicit,advertise=flag,replies=structured,learn=none,fill=zero,sizing=exact,shrink="
            "allow",
            "ask=none,replies=structured,grow=explicit,learn=none", "grow",
            "style=structured grow-error=none grow-size=1MiB+100001 grow-told=none grow-believed=1MiB+100001 "
            "new-end=ok promise=nothing exposed=zero over-error=ENOSPC over-size=1MiB+100001 "
            "shrink-error=none shrink-size=512KiB+1 shrink-told=none shrink-believed=512KiB+1 "
            "external-size=6MiB+5 learn-believed=512KiB+1 new-read=none kept=none past-end=ENOSPC"},
        Life{"no clamping without a chunk to tell",
             "growth=explicit,advertise=flag,replies=structured,learn=none,fill=unspecified,sizing=clamp,"
             "shrink="
             "deny",
             "ask=none,replies=extended,grow=explicit,learn=reconnect", "none",
             "style=structured over-error=ENOSPC over-size=1MiB+100001 promise=nothing exposed=old "
             "shrink-error=EPERM shrink-size=1MiB+100001 learn-way=reconnect kept=written past-end=ENOSPC"},
        Life{"the server rounds",
             "growth=explicit,advertise=info,replies=structured,learn=none,fill=zero,sizing=round,shrink="
             "allow",
             "ask=info,replies=structured,grow=explicit,learn=poll", "grow",
             "info-granularity=65536 info-smallest=64KiB info-SHRINK=yes info-ZEROED=yes grow-error=none "
             "grow-size=1152KiB grow-told=ZEROED grow-believed=1152KiB promise=zero exposed=zero "
             "over-error=ENOSPC over-told=none over-size=1152KiB shrink-error=none shrink-size=576KiB "
             "shrink-told=0 shrink-believed=576KiB learn-way=reconnect learn-believed=6MiB+5 kept=zero"},
        Life{"the client rounds",
             "growth=explicit,advertise=info,replies=structured,learn=none,fill=unspecified,sizing=round,"
             "shrink="
             "allow",
             "ask=info,replies=simple,grow=explicit,learn=none", "none",
             "style=simple grow-error=none grow-size=1152KiB grow-told=none grow-believed=1152KiB "
             "promise=nothing exposed=old over-error=ENOSPC shrink-error=none shrink-size=576KiB "
             "shrink-told=none shrink-believed=576KiB learn-believed=576KiB new-read=ok kept=none"},
        Life{"clamped to the limit",
             "growth=explicit,advertise=info,replies=extended,learn=none,fill=zero,sizing=clamp,shrink=deny",
             "ask=info,replies=extended,grow=explicit,learn=none", "none",
             "grow-size=1MiB+100001 over-error=none over-size=4MiB over-told=ZEROED over-believed=4MiB "
             "info-SHRINK=no info-smallest=none shrink-error=cannot shrink-size=4MiB past-end=ENOSPC"},
        Life{"not clamped with simple replies",
             "growth=explicit,advertise=info,replies=extended,learn=none,fill=zero,sizing=clamp,shrink=deny",
             "ask=info,replies=simple,grow=explicit,learn=none", "none",
             "over-error=ENOSPC over-size=1MiB+100001 over-told=none over-believed=1MiB+100001"},
        Life{"a write past the end where only the command grows",
             "growth=explicit,advertise=info,replies=simple,learn=none,fill=zero,sizing=exact,shrink=allow",
             "ask=none,replies=simple,grow=plain,learn=none", "none",
             "flag=set grow-way=plain grow-error=ENOSPC shrink-error=cannot past-end=ENOSPC"},
        Life{"a size that is right though nobody told it",
             "growth=explicit,advertise=flag,replies=extended,learn=none,fill=zero,sizing=clamp,shrink=deny",
             "ask=info,replies=structured,grow=explicit,learn=none", "none",
             "style=structured grow-size=1MiB+100001 learn-believed=1MiB+100001 new-read=ok"},
        Life{"a query where there is no subscription",
             "growth=explicit,advertise=info,replies=extended,learn=poll,fill=zero,sizing=exact,shrink=deny",
             "ask=info,replies=extended,grow=none,learn=credits", "grow",
             "info-QUERY=yes info-NOTIFY=no learn-way=poll subscribe-size=none learn-flags=none "
             "learn-believed=6MiB+5"},
        // Automatic growth.
        Life{"nothing tells how far rounding went",
             "growth=auto,consent=implicit,advertise=silent,replies=simple,learn=none,fill=zero,sizing=round",
             "ask=none,replies=simple,grow=plain,learn=none", "none",
             "flag=clear grow-way=plain grow-error=none grow-size=1152KiB grow-told=none "
             "grow-believed=1MiB+100001 new-end=ok promise=nothing exposed=zero over-way=plain "
             "over-error=ENOSPC "
             "over-size=1152KiB over-believed=1MiB+100001 external-size=1152KiB learn-believed=1MiB+100001 "
             "new-read=none stale-read=none kept=written past-end=grows"},
        Life{"connecting again tells it",
             "growth=auto,consent=implicit,advertise=silent,replies=simple,learn=none,fill=zero,sizing=round",
             "ask=none,replies=simple,grow=plain,learn=reconnect", "none",
             "learn-way=reconnect learn-believed=1152KiB new-read=ok"},
        Life{"a size that is no longer true",
             "growth=auto,consent=implicit,advertise=silent,replies=simple,learn=none,fill=zero,sizing=round",
             "ask=none,replies=simple,grow=flagged,learn=none", "shrink",
             "grow-way=none grow-size=1MiB learn-believed=1MiB external-size=300000 new-read=ok "
             "stale-read=EINVAL kept=none past-end=grows"},
        Life{"no command where only writes grow",
             "growth=auto,consent=implicit,advertise=silent,replies=simple,learn=none,fill=zero,sizing=round",
             "ask=none,replies=simple,grow=explicit,learn=poll", "grow",
             "flag=clear grow-way=none shrink-error=cannot past-end=ENOSPC"},
        Life{
            "growth with consent, in chunks",
            "growth=auto,consent=opt-in,advertise=info,replies=structured,learn=none,fill=unspecified,sizing="
            "round",
            "ask=info,replies=structured,grow=flagged,learn=none", "none",
            "flag=clear info-AUTO=yes info-AUTO_IMPLICIT=no info-ZEROED=no grow-way=flagged grow-error=none "
            "grow-size=1152KiB grow-told=0 grow-believed=1152KiB promise=nothing exposed=old "
            "over-error=ENOSPC new-read=ok past-end=ENOSPC"},
        Life{
            "growth with consent, simply",
            "growth=auto,consent=opt-in,advertise=info,replies=structured,learn=none,fill=unspecified,sizing="
            "round",
            "ask=info,replies=simple,grow=flagged,learn=none", "none",
            "grow-way=flagged grow-size=1152KiB grow-told=none grow-believed=1MiB+100001 new-end=ok "
            "new-read=none"},
        Life{
            "a client that knows better than to try",
            "growth=auto,consent=opt-in,advertise=info,replies=structured,learn=none,fill=unspecified,sizing="
            "round",
            "ask=info,replies=structured,grow=plain,learn=none", "none",
            "grow-way=none grow-error=none grow-size=1MiB over-way=none over-error=none"},
        Life{
            "a client that tries, without consent",
            "growth=auto,consent=opt-in,advertise=info,replies=structured,learn=none,fill=unspecified,sizing="
            "round",
            "ask=none,replies=structured,grow=plain,learn=none", "none",
            "grow-way=plain grow-error=ENOSPC grow-size=1MiB past-end=ENOSPC"},
        Life{
            "a flag that nobody told of",
            "growth=auto,consent=opt-in,advertise=info,replies=structured,learn=none,fill=unspecified,sizing="
            "round",
            "ask=none,replies=structured,grow=flagged,learn=none", "none", "grow-way=none over-way=none"},
        Life{"a plain write, and a subscription",
             "growth=auto,consent=implicit,advertise=info,replies=extended,learn=notify,fill=zero,sizing="
             "exact",
             "ask=info,replies=extended,grow=plain,learn=credits", "shrink",
             "flag=set info-NOTIFY=yes info-QUERY=no info-AUTO_IMPLICIT=yes grow-way=plain grow-told=none "
             "grow-size=1MiB+100001 grow-believed=1MiB+100001 promise=zero exposed=zero learn-way=notify "
             "subscribe-size=1MiB+100001 learn-flags=EXTERNAL external-size=300000 learn-believed=300000 "
             "past-end=grows"},
        Life{"no query beside the subscription",
             "growth=auto,consent=implicit,advertise=info,replies=extended,learn=notify,fill=zero,sizing="
             "exact",
             "ask=info,replies=extended,grow=flagged,learn=poll", "none",
             "grow-way=flagged grow-told=ZEROED learn-way=reconnect subscribe-size=none"},
        // Both.
        Life{"implicit growth that was not advertised",
             "growth=both,consent=implicit,advertise=flag,replies=extended,learn=none,fill=zero,sizing=exact,"
             "shrink=allow",
             "ask=info,replies=extended,grow=plain,learn=notify", "none",
             "style=extended flag=set info-AUTO=- grow-way=plain grow-error=none grow-size=1MiB+100001 "
             "shrink-error=cannot learn-way=reconnect past-end=grows"},
        Life{"clamping leaves no room for writes",
             "growth=both,consent=implicit,advertise=info,replies=structured,learn=both,fill=zero,sizing="
             "clamp,"
             "shrink=deny",
             "ask=info,replies=structured,grow=explicit,learn=notify", "none",
             "grow-told=ZEROED over-size=4MiB subscribe-size=4MiB learn-flags=none learn-believed=4MiB "
             "past-end=ENOSPC"},
        Life{"an outside event makes room again",
             "growth=both,consent=implicit,advertise=info,replies=structured,learn=both,fill=zero,sizing="
             "clamp,"
             "shrink=deny",
             "ask=info,replies=structured,grow=explicit,learn=notify", "shrink",
             "subscribe-size=4MiB learn-flags=EXTERNAL learn-believed=300000 past-end=grows"},
        Life{"zeroes, told by the notification",
             "growth=both,consent=implicit,advertise=info,replies=structured,learn=both,fill=zero,sizing="
             "exact,"
             "shrink=allow",
             "ask=info,replies=structured,grow=none,learn=credits", "grow",
             "subscribe-size=1MiB learn-flags=ZEROED+EXTERNAL learn-believed=6MiB+5 kept=written "
             "past-end=ENOSPC"},
        Life{
            "old bytes come back",
            "growth=both,consent=opt-in,advertise=info,replies=structured,learn=both,fill=unspecified,sizing="
            "exact,shrink=allow",
            "ask=info,replies=structured,grow=explicit,learn=credits", "grow",
            "grow-told=0 shrink-size=512KiB+1 shrink-told=0 subscribe-size=512KiB+1 learn-flags=EXTERNAL "
            "learn-believed=6MiB+5 kept=written past-end=ENOSPC"},
        Life{
            "all of that with simple replies",
            "growth=both,consent=opt-in,advertise=info,replies=structured,learn=both,fill=unspecified,sizing="
            "exact,shrink=allow",
            "ask=info,replies=simple,grow=explicit,learn=credits", "grow",
            "style=simple flag=set info-NOTIFY=no info-QUERY=no grow-told=none grow-believed=1MiB+100001 "
            "shrink-told=none shrink-believed=512KiB+1 learn-way=reconnect learn-flags=none kept=written"},
        Life{
            "all of that without the information",
            "growth=both,consent=opt-in,advertise=info,replies=structured,learn=both,fill=unspecified,sizing="
            "exact,shrink=allow",
            "ask=none,replies=structured,grow=explicit,learn=notify", "grow",
            "style=structured flag=set grow-way=explicit grow-told=none over-error=ENOSPC shrink-error=none "
            "learn-way=reconnect learn-believed=6MiB+5"}),
    by_name);

/// The answers of one combination, for looking at many.
class Answers {
  public:
    explicit Answers(std::size_t combination)
      : combination_(combination) {}

    [[nodiscard]] std::string_view word(std::size_t question) const {
        return project_oracle().answer(combination_, question).text;
    }
    [[nodiscard]] std::uint64_t bytes(std::size_t question) const {
        return project_oracle().answer(combination_, question).bytes.value();
    }

  private:
    std::size_t combination_;
};

TEST(Oracle, KeepsToTheExtensionInAllCombinations) {
    const auto question = [](std::string_view name) { return project_oracle().question(name); };
    const std::size_t style = question("style");
    const std::size_t external = question("external-size");
    const std::size_t learnt = question("learn-believed");
    const std::size_t stale = question("stale-read");
    struct Step {
        std::size_t error, size, believed, told;
        std::string_view fine;
    };
    const std::array<Step, 3> steps{Step{question("grow-error"), question("grow-size"),
                                         question("grow-believed"), question("grow-told"), "none"},
                                    Step{question("over-error"), question("over-size"),
                                         question("over-believed"), question("over-told"), "none"},
                                    Step{question("shrink-error"), question("shrink-size"),
                                         question("shrink-believed"), question("shrink-told"), "none"}};

    for (std::size_t index = 0; index < project_knobs().count(); ++index) {
        SCOPED_TRACE(index);
        const Answers life(index);
        std::uint64_t size = 1 << 20;
        std::uint64_t believed = 1 << 20;
        for (const Step& step : steps) {
            if (life.word(step.error) != step.fine) {
                ASSERT_EQ(life.bytes(step.size), size) << "RZ-PLAIN-6, RZ-AUTO-11: an error changes nothing";
                ASSERT_EQ(life.bytes(step.believed), believed);
                ASSERT_EQ(life.word(step.told), "none") << "RZ-CHUNK-2";
            }
            size = life.bytes(step.size);
            believed = life.bytes(step.believed);
            ASSERT_LE(size, 4U << 20) << "RZ-INFO-6: nothing that a client asks for goes beyond the limit";
            ASSERT_LE(believed, size) << "a client is never told too much";
            if (life.word(step.told) != "none") {
                ASSERT_NE(life.word(style), "simple") << "chunks are structured";
                ASSERT_EQ(believed, size) << "RZ-CHUNK-3";
            }
        }
        ASSERT_EQ(life.word(stale) == "EINVAL", life.bytes(learnt) > life.bytes(external));
    }
}

TEST(Oracle, UsesOnlyWhatWasOffered) {
    struct Needed {
        const char* question;
        const char* answer;
        const char* needs;
        const char* value;
    };
    for (const Needed& row :
         {Needed{"grow-way", "explicit", "flag", "set"}, Needed{"grow-way", "flagged", "info-AUTO", "yes"},
          Needed{"learn-way", "poll", "info-QUERY", "yes"},
          Needed{"learn-way", "notify", "info-NOTIFY", "yes"},
          Needed{"info-SHRINK", "yes", "info-EXPLICIT", "yes"},
          Needed{"info-AUTO_IMPLICIT", "yes", "info-AUTO", "yes"}, Needed{"info-QUERY", "yes", "flag", "set"},
          Needed{"info-NOTIFY", "yes", "flag", "set"}, Needed{"info-EXPLICIT", "yes", "flag", "set"}}) {
        const std::size_t question = project_oracle().question(row.question);
        const std::size_t needs = project_oracle().question(row.needs);
        std::size_t met = 0;
        for (std::size_t index = 0; index < project_knobs().count(); ++index) {
            const Answers life(index);
            if (life.word(question) == row.answer) {
                ++met;
                ASSERT_EQ(life.word(needs), row.value) << row.question << " in combination " << index;
            }
        }
        EXPECT_GT(met, 0U) << row.question;
    }
}

TEST(Oracle, NamesStatementsThatThereAre) {
    const std::map<std::string, int> statements{{"FLAG", 4},  {"INFO", 7},  {"SIZE", 2},
                                                {"AUTO", 12}, {"CMD", 3},   {"PLAIN", 12},
                                                {"QUERY", 2}, {"NOTE", 10}, {"CHUNK", 3}};
    const auto check = [&](const std::string& rule) {
        const std::size_t dash = rule.rfind('-');
        const auto family = statements.find(rule.substr(3, dash - 3));
        ASSERT_NE(family, statements.end()) << rule;
        const int number = std::stoi(rule.substr(dash + 1));
        EXPECT_GE(number, 1) << rule;
        EXPECT_LE(number, family->second) << rule;
    };
    for (const Question& question : project_oracle().questions()) {
        EXPECT_FALSE(question.rules.empty()) << question.name;
        EXPECT_FALSE(question.title.empty()) << question.name;
        EXPECT_EQ(question.position.file.filename(), "life.yaml");
        for (const std::string& rule : question.rules) {
            check(rule);
        }
    }
}

TEST(Oracle, FindsAnswersByWhatDriversSay) {
    const Question& size = project_oracle().questions()[project_oracle().question("info-granularity")];
    EXPECT_EQ(size.answers.at(static_cast<std::size_t>(size.find("65536"))).text, "64KiB");
    EXPECT_EQ(size.answers.at(static_cast<std::size_t>(size.find("none"))).text, "none");
    EXPECT_EQ(size.find("64KiB"), -1) << "drivers say bytes";
    EXPECT_EQ(size.find("4096"), -1);
    EXPECT_EQ(size.find(""), -1);
    const Question& told = project_oracle().questions()[project_oracle().question("grow-told")];
    EXPECT_EQ(told.answers.at(static_cast<std::size_t>(told.find("0"))).text, "0")
        << "a word that looks like a number";
    EXPECT_EQ(told.find("00"), -1);
}

} // namespace
} // namespace harness
