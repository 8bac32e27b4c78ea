// Conformance cases as YAML: what is read, and that every mistake is reported where it is.

#include "harness/check/server_case.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness::check {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Requirements requirements() {
    Requirements all;
    for (const auto& [id, bound] : {std::pair("SERVES", Bound::server), std::pair("ASKS", Bound::client),
                                    std::pair("BOTH", Bound::both)}) {
        all[id] = {id, "Somewhere", Level::must, bound, "It does.", "proto.md", "", ""};
    }
    return all;
}

std::vector<ServerCase> load(const std::string& text) {
    const TempFolder folder;
    write_file(folder / "cases.yaml", text);
    std::vector<ServerCase> cases;
    load_server_cases(YamlNode::load(folder / "cases.yaml"), requirements(), cases);
    return cases;
}

std::string file_with(const std::string& rest) {
    return "section: Somewhere\ncases:\n- case: one\n  title: A case\n" + rest;
}

TEST(ServerCase, IsReadWithItsSteps) {
    const std::vector<ServerCase> cases = load(file_with(R"(  needs: [writable, bytes]
  styles: [structured, extended]
  contexts: ["base:allocation"]
  also: [BOTH]
  steps:
  - send:
    - { request: NBD_CMD_WRITE, offset: size-4KiB, length: 4KiB, flags: [fua], data: { pattern: 1 }, as: first }
    - { request: NBD_CMD_READ, length: 512 }
  - expect: { SERVES: [success, NBD_EIO] }
    of: first
  - usable: BOTH
)"));
    ASSERT_EQ(cases.size(), 1U);
    const ServerCase& made = cases.front();
    EXPECT_EQ(made.name, "one");
    EXPECT_EQ(made.start, ServerCase::Start::transmission);
    EXPECT_THAT(made.styles, ElementsAre(Style::structured, Style::extended));
    EXPECT_THAT(made.requirements(), ElementsAre("BOTH", "SERVES"));
    ASSERT_EQ(made.steps.size(), 3U);
    ASSERT_EQ(made.steps[0].messages.size(), 2U);
    EXPECT_EQ(made.steps[0].messages[0].flags, nbd::command_flag::fua);
    EXPECT_EQ(made.steps[1].of, "first");
    ASSERT_EQ(made.steps[1].demands.size(), 1U);
    EXPECT_EQ(made.steps[1].demands[0].allowed[1].value, 5U);
}

struct Mistake {
    const char* name;
    const char* rest;    ///< of the case, behind its title
    const char* place;   ///< line and column
    const char* message; ///< part of it
};

class CaseMistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(CaseMistakes, AreReported) {
    const std::string error = message_of<CatalogueError>([] { (void)load(file_with(GetParam().rest)); });
    EXPECT_THAT(error, HasSubstr(GetParam().message));
    EXPECT_THAT(error, HasSubstr(std::string("cases.yaml:") + GetParam().place)) << error;
}

INSTANTIATE_TEST_SUITE_P(
    Case, CaseMistakes,
    ::testing::Values(
        Mistake{"no steps", "", "3:3", "'steps' is missing"},
        Mistake{"unknown key", "  stepz: []\n  steps: []\n", "5:3", "'stepz' is not known here"},
        Mistake{"unknown requirement", "  steps:\n  - usable: SERVE\n", "6:13", "did you mean 'SERVES'"},
        Mistake{"a client's", "  steps:\n  - usable: ASKS\n", "6:13", "binds clients"},
        Mistake{"tests nothing", "  steps:\n  - pause: 1\n", "3:3", "tests no requirement"},
        Mistake{"unknown need", "  needs: [writeable]\n  steps:\n  - usable: BOTH\n", "5:10",
                "did you mean 'writable'"},
        Mistake{"unknown style", "  styles: [compact]\n  steps:\n  - usable: BOTH\n", "5:11",
                "simple, structured or extended"},
        Mistake{"styles of options", "  start: haggling\n  styles: [simple]\n  steps:\n  - usable: BOTH\n",
                "6:11", "cases that start in the transmission phase"},
        Mistake{"unknown start", "  start: begin\n  steps:\n  - usable: BOTH\n", "5:10", "not 'begin'"},
        Mistake{"unknown step", "  steps:\n  - hope: BOTH\n", "6:5", "'hope' is not known here"},
        Mistake{"no step", "  steps:\n  - on: 1\n", "6:5", "a step is one of"},
        Mistake{"unknown outcome", "  steps:\n  - expect: { SERVES: NBD_EINVALID }\n", "6:23",
                "did you mean 'NBD_EINVAL'"},
        Mistake{"empty expectation", "  steps:\n  - expect: {}\n", "6:13", "names no requirement"},
        Mistake{"unknown label", "  steps:\n  - expect: { SERVES: success }\n    of: first\n", "7:9",
                "no request is called 'first'"},
        Mistake{"unknown option", "  steps:\n  - send: { option: NBD_OPT_GOO }\n  - usable: BOTH\n", "6:21",
                "did you mean 'NBD_OPT_GO'"},
        Mistake{"unknown command", "  steps:\n  - send: { request: NBD_CMD_REED }\n  - usable: BOTH\n",
                "6:22", "did you mean 'NBD_CMD_READ'"},
        Mistake{"unknown flag",
                "  steps:\n  - send: { request: NBD_CMD_READ, flags: [fau] }\n  - usable: BOTH\n", "6:43",
                "did you mean 'fua'"},
        Mistake{"odd hex", "  steps:\n  - send: { option: 9, data: \"0 1 2\" }\n  - usable: BOTH\n", "6:30",
                "are no bytes"},
        Mistake{"data and fields",
                "  steps:\n  - send: { option: 7, data: \"00\", name: { text: a } }\n  - usable: BOTH\n",
                "6:11", "not both"},
        Mistake{"unknown variable", "  steps:\n  - send: { request: 0, offset: sise }\n  - usable: BOTH\n",
                "6:33", "is not a size"},
        Mistake{"no comparison", "  steps:\n  - send: { option: 3 }\n  - holds: { SERVES: replies }\n",
                "7:22", "compares nothing"},
        Mistake{
            "a field of the other kind",
            "  start: haggling\n  steps:\n  - send: { option: 3 }\n  - holds: { SERVES: \"chunks == 1\" }\n",
            "8:22", "is not a size"},
        Mistake{"data says nothing", "  steps:\n  - data: { rule: SERVES }\n", "6:11",
                "one of pattern, zeroes"},
        Mistake{"a long pause", "  steps:\n  - pause: 5000\n", "6:12", "at most 1000 ms"},
        Mistake{"connection 1 again", "  steps:\n  - connect: 1\n", "6:14", "2 to 16"},
        Mistake{"writes without leave", "  steps:\n  - send: { request: NBD_CMD_WRITE }\n  - usable: BOTH\n",
                "3:3", "would damage an export"},
        Mistake{"resizes without leave",
                "  needs: [writable]\n  steps:\n  - send: { request: NBD_CMD_RESIZE }\n  - usable: BOTH\n",
                "3:3", "would change a size"}),
    by_name);

TEST(ServerCase, ASecondCaseOfANameIsRefused) {
    const std::string one = "- case: one\n  title: A case\n  steps:\n  - usable: BOTH\n";
    EXPECT_THAT(message_of<CatalogueError>([&] { (void)load("section: Somewhere\ncases:\n" + one + one); }),
                HasSubstr("a second case 'one'"));
}

} // namespace
} // namespace harness::check
