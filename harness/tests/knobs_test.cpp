// The knobs that the project comes with, against section 6 of the extension.

#include "harness/catalogue/yaml.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/knobs/knobs.hpp"
#include "harness/run/selection.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace harness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::message_of;

const Knobs& project_knobs() {
    static const Knobs knobs = Knobs::load(NBD_SOURCE_DIR "/scenarios/knobs.yaml");
    return knobs;
}

TEST(ProjectKnobs, AreAsManyAsTheExtensionSays) {
    const Knobs& knobs = project_knobs();
    EXPECT_EQ(knobs.configurations(Side::server).size(), 531U);
    EXPECT_EQ(knobs.configurations(Side::client).size(), 120U);
    EXPECT_EQ(knobs.configurations(Side::environment).size(), 3U);
    EXPECT_EQ(knobs.count(), 191160U);
}

TEST(ProjectKnobs, HaveTheNamesOfTheTables) {
    std::vector<std::string> ids;
    for (const Column& column : project_knobs().columns()) {
        ids.push_back(column.name);
    }
    EXPECT_THAT(ids,
                ElementsAre("growth", "consent", "advertise", "server.replies", "server.learn", "fill",
                            "sizing", "shrink", "ask", "client.replies", "grow", "client.learn", "external"));
    EXPECT_THAT(project_knobs().all()[1].values, ElementsAre("implicit", "opt-in", "-"));
    EXPECT_THAT(project_knobs().all()[4].values, ElementsAre("none", "poll", "notify", "both"));
}

/// The valid server configurations as section 6 describes them, written a second time.
std::set<std::string> expected_servers() {
    using Texts = std::vector<std::string>;
    std::set<std::string> result;
    for (const std::string growth : {"none", "explicit", "auto", "both"}) {
        const bool automatic = growth == "auto" || growth == "both";
        const bool explicitly = growth == "explicit" || growth == "both";
        for (const std::string& consent : automatic ? Texts{"implicit", "opt-in"} : Texts{""}) {
            for (const std::string advertise : {"silent", "flag", "info"}) {
                for (const std::string replies : {"simple", "structured", "extended"}) {
                    for (const std::string learn : {"none", "poll", "notify", "both"}) {
                        const bool valid = (consent != "opt-in" || advertise == "info") &&
                                           (!explicitly || advertise != "silent") &&
                                           (advertise != "flag" || explicitly) &&
                                           (growth != "none" || advertise != "info" || learn != "none") &&
                                           (learn == "none" || (advertise == "info" && replies != "simple"));
                        if (!valid) {
                            continue;
                        }
                        const Texts fills =
                            growth == "none" ? Texts{""} : Texts{",fill=zero", ",fill=unspecified"};
                        const Texts sizings = growth == "none"
                                                  ? Texts{""}
                                                  : Texts{",sizing=exact", ",sizing=round", ",sizing=clamp"};
                        const Texts shrinks = explicitly ? Texts{",shrink=allow", ",shrink=deny"} : Texts{""};
                        for (const std::string& fill : fills) {
                            for (const std::string& sizing : sizings) {
                                for (const std::string& shrink : shrinks) {
                                    std::string text = "growth=" + growth;
                                    text += consent.empty() ? "" : ",consent=" + consent;
                                    text += ",advertise=" + advertise + ",replies=" + replies;
                                    result.insert(text + ",learn=" + learn + fill + sizing + shrink);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    return result;
}

TEST(ProjectKnobs, MakeExactlyTheServersOfTheExtension) {
    std::set<std::string> texts;
    for (std::size_t server = 0; server < project_knobs().configurations(Side::server).size(); ++server) {
        texts.insert(project_knobs().text(Side::server, server));
    }
    EXPECT_EQ(texts, expected_servers());
}

TEST(ProjectKnobs, AreCountedAndNamedBackAndForth) {
    const Knobs& knobs = project_knobs();
    for (const Side side : all_sides) {
        EXPECT_TRUE(std::ranges::is_sorted(knobs.configurations(side)));
        for (std::size_t index = 0; index < knobs.configurations(side).size(); ++index) {
            std::string error;
            EXPECT_EQ(knobs.find(side, knobs.text(side, index), error), index) << error;
        }
    }
    for (std::size_t index = 0; index < knobs.count(); ++index) {
        ASSERT_EQ(knobs.index(knobs.combination(index)), index);
    }
    EXPECT_EQ(knobs.combination(0), (Combination{0, 0, 0}));
    EXPECT_EQ(knobs.combination(1), (Combination{0, 0, 1}));
    EXPECT_EQ(knobs.combination(3), (Combination{0, 1, 0}));
    EXPECT_EQ(knobs.combination(360), (Combination{1, 0, 0}));
    EXPECT_EQ(knobs.text(Combination{0, 0, 0}), "growth=none,advertise=silent,replies=simple,learn=none "
                                                "ask=none,replies=simple,grow=none,learn=none external=none");
    EXPECT_EQ(knobs.value(Side::server, 0, "consent"), "-");
    EXPECT_EQ(knobs.value(Side::client, 1, "learn"), "reconnect");
    EXPECT_THROW((void)knobs.value(Side::client, 0, "growth"), std::out_of_range);
}

TEST(ProjectKnobs, SayWhyATextIsNoConfiguration) {
    struct NoConfiguration {
        const char* text;
        const char* error;
    };
    for (const NoConfiguration& row : {
             NoConfiguration{"", "'growth' is not set"},
             NoConfiguration{"growth=none,advertise", "'advertise' is no setting"},
             NoConfiguration{"grwth=none", "did you mean 'growth'?"},
             NoConfiguration{"grow=none", "no setting KNOB=VALUE of a knob of the server"},
             NoConfiguration{"growth=sometimes", "'sometimes' is no value of growth"},
             NoConfiguration{"growth=none,growth=none", "'growth' is set twice"},
             NoConfiguration{"growth=none,advertise=silent,learn=none", "'replies' is not set"},
             NoConfiguration{"growth=auto,advertise=silent,replies=simple,learn=none,fill=zero,sizing=exact",
                             "'consent' applies where, and only where, growth is auto or both"},
             NoConfiguration{"growth=none,advertise=silent,replies=simple,learn=none,fill=zero",
                             "'fill' applies where, and only where, growth is not none"},
             NoConfiguration{"growth=none,advertise=silent,replies=extended,learn=poll",
                             "told by NBD_INFO_RESIZE"},
         }) {
        std::string error;
        EXPECT_EQ(project_knobs().find(Side::server, row.text, error), std::nullopt) << row.text;
        EXPECT_THAT(error, HasSubstr(row.error)) << row.text;
    }
    std::string error;
    EXPECT_EQ(
        project_knobs().find(
            Side::server, "growth=none,consent=-,advertise=silent,replies=simple,learn=none,shrink=-", error),
        0U)
        << "what does not apply may be said so: " << error;
}

/// What `nbd-interop knobs` prints.
std::string printed(const KnobsOptions& options) {
    CommonOptions common;
    common.scenarios = NBD_SOURCE_DIR "/scenarios";
    ::testing::internal::CaptureStdout();
    const int code = knobs_command(common, options);
    std::string text = ::testing::internal::GetCapturedStdout();
    EXPECT_EQ(code, exit_ok);
    return text;
}

TEST(KnobsCommand, CountsInThreeLines) {
    KnobsOptions options;
    options.count = true;
    EXPECT_EQ(printed(options), "server 531\nclient 120\ncombinations 191160\n");
}

TEST(KnobsCommand, ShowsEveryKnobValueAndRule) {
    const std::string text = printed({});
    for (const Knob& knob : project_knobs().all()) {
        EXPECT_THAT(text, HasSubstr(knob.name + " "));
        EXPECT_THAT(text, HasSubstr(knob.says));
        for (std::size_t value = 0; value < knob.values.size(); ++value) {
            if (knob.values[value] != not_applicable) {
                EXPECT_THAT(text, HasSubstr(knob.meanings[value]));
            }
        }
    }
    for (const KnobRule& rule : project_knobs().rules()) {
        EXPECT_THAT(text, HasSubstr(rule.says));
    }
}

TEST(KnobsCommand, ShowsALife) {
    KnobsOptions options;
    options.life = {
        "growth=explicit,advertise=flag,replies=simple,learn=none,fill=zero,sizing=round,shrink=deny",
        "ask=none,replies=simple,grow=explicit,learn=none", "external=none"};
    const std::string text = printed(options);
    EXPECT_THAT(text, HasSubstr("grow-error         EINVAL"));
    EXPECT_THAT(text, HasSubstr("(RZ-PLAIN-5)"));

    options.life[1] = "ask=none,replies=simple,grow=slowly,learn=none";
    CommonOptions common;
    common.scenarios = NBD_SOURCE_DIR "/scenarios";
    EXPECT_EQ(message_of<SelectionError>([&] { (void)knobs_command(common, options); }),
              "client: 'slowly' is no value of grow");
}

} // namespace
} // namespace harness
