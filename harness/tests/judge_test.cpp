// What comes of holding an outcome against an expectation.

#include "harness/peers/pattern.hpp"
#include "harness/run/fact_book.hpp"
#include "harness/run/judge.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness {
namespace {

using namespace testing_support;
using reports::Finding;
using reports::Party;
using reports::Verdict;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t export_size = 1U << 20;

const Requirements requirements{
    {"MUST-SERVER", {"MUST-SERVER", "s", Level::must, Bound::server, "t", "proto.md", "", ""}},
    {"SHOULD-SERVER", {"SHOULD-SERVER", "s", Level::should, Bound::server, "t", "proto.md", "", ""}},
    {"MUST-CLIENT", {"MUST-CLIENT", "s", Level::must, Bound::client, "t", "proto.md", "", ""}},
    {"MUST-BOTH", {"MUST-BOTH", "s", Level::must, Bound::both, "t", "proto.md", "", ""}},
};

Expectation success() {
    Expectation expectation;
    expectation.ok = true;
    return expectation;
}

Expectation errors(std::set<std::string> names) {
    Expectation expectation;
    expectation.errors = std::move(names);
    return expectation;
}

Expectation any_error() {
    Expectation expectation;
    expectation.any_error = true;
    return expectation;
}

Expectation anything() {
    Expectation expectation = any_error();
    expectation.ok = true;
    return expectation;
}

ClientOutcome succeeded(ClientResult result = {}) {
    return {std::nullopt, std::move(result)};
}

ClientOutcome failed(const std::string& name, ErrorPlace where = ErrorPlace::server) {
    return {ClientError{name, where, "its words"}, {}};
}

/// A step of a scenario with the rule MUST-SERVER, as the client gets it, and the disk after it.
class Judging : public ::testing::Test {
  protected:
    Judging() { set(StepKind::flush); }

    void set(StepKind kind, std::uint64_t offset = 0, std::uint64_t length = 0) {
        step_.kind = kind;
        step_.rule = "MUST-SERVER";
        evaluated_.kind = kind;
        evaluated_.id = 4;
        evaluated_.export_name = "disk";
        evaluated_.offset = offset;
        evaluated_.length = length;
        evaluated_.stride = length;
        evaluated_.into = folder_ / "into";
    }

    StepJudgement judged(const Expectation& expectation, const ClientOutcome& outcome) {
        return judge(step_, evaluated_, expectation, outcome, disk_, export_size, requirements);
    }

    /// The messages of what was found, joined.
    std::string findings(const Expectation& expectation, const ClientOutcome& outcome) {
        std::string result;
        for (const Finding& finding : judged(expectation, outcome).findings) {
            result += finding.message + "\n";
        }
        return result;
    }

    static ExportSetup setup() {
        ExportSetup setup;
        setup.size = export_size;
        return setup;
    }

    TempFolder folder_;
    Step step_;
    ClientStep evaluated_;
    DiskModel disk_{setup()};
};

struct Row {
    const char* name;
    Expectation expected;
    ClientOutcome outcome;
    const char* rule; ///< of the one finding; empty for none
    Verdict verdict;
    Party party;
};

class Outcomes : public Judging, public ::testing::WithParamInterface<Row> {};

TEST_P(Outcomes, AgainstExpectations) {
    const Row& row = GetParam();
    if (*row.rule != '\0') {
        step_.rule = row.rule;
    }
    const StepJudgement judgement = judged(row.expected, row.outcome);
    EXPECT_EQ(judgement.unsupported, "");
    EXPECT_EQ(judgement.answer, "") << "this step records nothing";
    ASSERT_EQ(judgement.findings.size(), *row.rule == '\0' ? 0U : 1U);
    if (*row.rule != '\0') {
        const Finding& finding = judgement.findings[0];
        EXPECT_EQ(finding.requirement, row.rule);
        EXPECT_EQ(finding.verdict, row.verdict);
        EXPECT_EQ(finding.party, row.party);
        EXPECT_THAT(finding.message, HasSubstr(row.expected.describe() + " was expected"));
        EXPECT_EQ(finding.deviation, "");
    }
    EXPECT_EQ(worst(judgement.findings), std::pair(row.verdict, row.party));
}

INSTANTIATE_TEST_SUITE_P(
    Judge, Outcomes,
    ::testing::Values(
        Row{"success as expected", success(), succeeded(), "", Verdict::pass, Party::none},
        Row{"error instead of success", success(), failed("EIO"), "MUST-SERVER", Verdict::fail,
            Party::server},
        Row{"error, a SHOULD", success(), failed("EIO"), "SHOULD-SERVER", Verdict::warn, Party::server},
        Row{"error, a client's duty", success(), failed("EIO"), "MUST-CLIENT", Verdict::fail, Party::client},
        Row{"error from the server, both bound", success(), failed("EIO"), "MUST-BOTH", Verdict::fail,
            Party::server},
        Row{"error from somewhere, both bound", success(), failed("EIO", ErrorPlace::unknown), "MUST-BOTH",
            Verdict::fail, Party::undecided},
        Row{"connection lost", success(), failed("ECONNRESET", ErrorPlace::connection), "MUST-SERVER",
            Verdict::fail, Party::undecided},
        Row{"the error as expected", errors({"EINVAL"}), failed("EINVAL"), "", Verdict::pass, Party::none},
        Row{"one of the errors", errors({"EINVAL", "ENOSPC"}), failed("ENOSPC"), "", Verdict::pass,
            Party::none},
        Row{"another error", errors({"ENOSPC"}), failed("EINVAL"), "SHOULD-SERVER", Verdict::warn,
            Party::server},
        Row{"success instead of an error", errors({"ENOSPC"}), succeeded(), "MUST-SERVER", Verdict::fail,
            Party::server},
        Row{"connection lost instead of an error", errors({"ENOSPC"}),
            failed("ENOTCONN", ErrorPlace::connection), "MUST-SERVER", Verdict::fail, Party::undecided},
        Row{"lost without a name, instead of an error", errors({"ENOSPC"}),
            failed("EUNKNOWN", ErrorPlace::connection), "MUST-SERVER", Verdict::fail, Party::undecided},
        Row{"any error", any_error(), failed("EIO"), "", Verdict::pass, Party::none},
        Row{"any error, of the connection", any_error(), failed("EPIPE", ErrorPlace::connection), "",
            Verdict::pass, Party::none},
        Row{"any error, unnamed", any_error(), failed("EUNKNOWN", ErrorPlace::unknown), "", Verdict::pass,
            Party::none},
        Row{"success instead of any error", any_error(), succeeded(), "MUST-CLIENT", Verdict::fail,
            Party::client},
        Row{"success or an error: success", anything(), succeeded(), "", Verdict::pass, Party::none},
        Row{"success or an error: error", anything(), failed("EIO"), "", Verdict::pass, Party::none}),
    by_name);

TEST_F(Judging, AnErrorWithoutANameCannotBeTheExpectedOne) {
    const StepJudgement judgement = judged(errors({"EINVAL"}), failed("EUNKNOWN", ErrorPlace::unknown));
    EXPECT_THAT(judgement.findings, IsEmpty());
    EXPECT_THAT(judgement.unsupported, HasSubstr("its words"));
}

TEST_F(Judging, WhatTheClientRefusesByItselfIsUnsupported) {
    for (const Expectation& expectation : {success(), errors({"EINVAL"}), any_error()}) {
        const StepJudgement judgement = judged(expectation, failed("EINVAL", ErrorPlace::local));
        EXPECT_THAT(judgement.findings, IsEmpty());
        EXPECT_THAT(judgement.unsupported, HasSubstr("its words"));
    }
}

TEST_F(Judging, WhatTheDriverDoesNotUnderstandIsNoVerdictOnAPeer) {
    EXPECT_THROW((void)judged(success(), failed("ENOTSUP", ErrorPlace::driver)), std::runtime_error);
    EXPECT_THROW((void)judged(any_error(), failed("ENOTSUP", ErrorPlace::driver)), std::runtime_error);
}

TEST_F(Judging, OtherRulesForErrorsAndForSuccesses) {
    step_.rule_on_error = "SHOULD-SERVER";
    step_.rule_on_success = "MUST-CLIENT";
    EXPECT_EQ(judged(success(), failed("EIO")).findings.at(0).requirement, "SHOULD-SERVER");
    EXPECT_EQ(judged(errors({"EIO"}), succeeded()).findings.at(0).requirement, "MUST-CLIENT");
}

// ---- what a success tells ----

/// A `connect` whose result is complete.
ClientResult told() {
    ClientResult result;
    result.size = export_size;
    result.flags = {"flush", "fua"};
    result.block = BlockSizes{1, 4096, 33554432};
    return result;
}

TEST_F(Judging, SizeAndFlags) {
    set(StepKind::connect);
    Expectation expectation = success();
    expectation.size = SizeExpression::parse("size");
    expectation.flags_set = {"flush"};
    expectation.flags_clear = {"read-only"};
    EXPECT_EQ(findings(expectation, succeeded(told())), "");

    ClientResult wrong = told();
    wrong.size = 0;
    wrong.flags = {"read-only"};
    EXPECT_EQ(findings(expectation, succeeded(wrong)), "the size is 0 instead of 1048576\n"
                                                       "the transmission flag 'flush' is not set\n"
                                                       "the transmission flag 'read-only' is set\n");
    for (const Finding& finding : judged(expectation, succeeded(wrong)).findings) {
        EXPECT_EQ(finding.requirement, "MUST-SERVER");
        EXPECT_EQ(finding.party, Party::server);
    }
}

TEST_F(Judging, WhatIsNotToldCannotBeJudged) {
    struct Question {
        const char* name;
        StepKind kind;
        void (*ask)(Expectation&);
    };
    const Question questions[] = {
        {"size", StepKind::info, [](Expectation& e) { e.size = SizeExpression::parse("size"); }},
        {"flags", StepKind::info, [](Expectation& e) { e.flags_set = {"fua"}; }},
        {"no flags", StepKind::info, [](Expectation& e) { e.flags_clear = {"fua"}; }},
        {"block sizes", StepKind::info, [](Expectation& e) { e.block_sizes_valid = true; }},
        {"exports", StepKind::list, [](Expectation& e) { e.lists_export = true; }},
        {"extents", StepKind::map, [](Expectation& e) { e.extents_truthful = true; }},
    };
    for (const Question& question : questions) {
        set(question.kind, 0, 4096);
        Expectation expectation = success();
        question.ask(expectation);
        const StepJudgement judgement = judged(expectation, succeeded());
        EXPECT_NE(judgement.unsupported, "") << question.name;
        EXPECT_THAT(judgement.findings, IsEmpty()) << question.name;
    }
}

struct Sizes {
    const char* name;
    BlockSizes block;
    bool valid;
};

class AdvertisedBlockSizes : public Judging, public ::testing::WithParamInterface<Sizes> {};

// doc/proto.md, Size constraints.
TEST_P(AdvertisedBlockSizes, AreHeldAgainstTheSpecification) {
    set(StepKind::info);
    Expectation expectation = success();
    expectation.block_sizes_valid = true;
    ClientResult result = told();
    result.block = GetParam().block;
    EXPECT_EQ(findings(expectation, succeeded(result)).empty(), GetParam().valid)
        << findings(expectation, succeeded(result));
}

INSTANTIATE_TEST_SUITE_P(
    Judge, AdvertisedBlockSizes,
    ::testing::Values(Sizes{"defaults", {1, 4096, 33554432}, true}, Sizes{"smallest", {1, 512, 512}, true},
                      Sizes{"largest minimum", {65536, 65536, 65536}, true},
                      Sizes{"no limit", {512, 4096, 0xffffffff}, true},
                      Sizes{"maximum no power of two", {1, 4096, 33554432 - 512}, true},
                      Sizes{"maximum no multiple of the minimum", {4096, 4096, 33554432 - 512}, true},
                      Sizes{"minimum zero", {0, 512, 65536}, false},
                      Sizes{"minimum three", {3, 512, 65536}, false},
                      Sizes{"minimum too large", {131072, 131072, 33554432}, false},
                      Sizes{"preferred no power of two", {1, 4097, 33554432}, false},
                      Sizes{"preferred below 512", {1, 256, 33554432}, false},
                      Sizes{"preferred below minimum", {4096, 2048, 33554432}, false},
                      Sizes{"preferred zero", {1, 0, 33554432}, false},
                      Sizes{"maximum below preferred", {1, 4096, 2048}, false},
                      Sizes{"maximum below minimum", {4096, 4096, 512}, false},
                      Sizes{"maximum zero", {1, 4096, 0}, false}),
    by_name);

TEST_F(Judging, TheListHasToNameTheExport) {
    set(StepKind::list);
    Expectation expectation = success();
    expectation.lists_export = true;
    ClientResult result;
    result.exports = {"other", "disk"};
    EXPECT_EQ(findings(expectation, succeeded(result)), "");
    result.exports = {"other"};
    EXPECT_THAT(findings(expectation, succeeded(result)), HasSubstr("'disk'"));
    result.exports = std::vector<std::string>{};
    EXPECT_THAT(findings(expectation, succeeded(result)), HasSubstr("'disk'"));
}

// ---- data ----

/// The bytes that the disk holds there after a write with that seed.
std::string pattern(std::uint64_t offset, std::uint64_t length, std::uint64_t seed) {
    std::vector<std::uint8_t> bytes(length);
    fill_pattern(bytes, offset, seed);
    return {bytes.begin(), bytes.end()};
}

TEST_F(Judging, ReadDataHaveToBeThoseOfTheDisk) {
    set(StepKind::read, 4096, 4096);
    disk_.write(4096, 4096, 8);
    write_file(evaluated_.into, pattern(4096, 4096, 8));
    EXPECT_EQ(findings(success(), succeeded()), "");
    write_file(evaluated_.into, pattern(0, 4096, 8));
    EXPECT_THAT(findings(success(), succeeded()), HasSubstr("at offset 4096"));
    write_file(evaluated_.into, pattern(4096, 4095, 8));
    EXPECT_NE(findings(success(), succeeded()), "") << "a byte is missing";
}

TEST_F(Judging, EachOfSeveralReadsIsLookedAt) {
    set(StepKind::read, 0, 512);
    evaluated_.count = 3;
    evaluated_.stride = 1024;
    disk_.write(0, 4096, 8);
    write_file(evaluated_.into, pattern(0, 512, 8) + pattern(1024, 512, 8) + pattern(2048, 512, 8));
    EXPECT_EQ(findings(success(), succeeded()), "");
    write_file(evaluated_.into, pattern(0, 512, 8) + pattern(1024, 512, 8) + pattern(2560, 512, 8));
    EXPECT_THAT(findings(success(), succeeded()), HasSubstr("at offset 2048"));
}

TEST_F(Judging, ZeroesHaveToBeAllThere) {
    set(StepKind::read, 0, 4096);
    disk_.forget(0, 4096);
    Expectation expectation = success();
    expectation.data = DataRule::zeroes;
    write_file(evaluated_.into, std::string(4096, '\0'));
    EXPECT_EQ(findings(expectation, succeeded()), "");
    write_file(evaluated_.into, std::string(4095, '\0') + "\1");
    EXPECT_NE(findings(expectation, succeeded()), "");
    write_file(evaluated_.into, std::string(4095, '\0'));
    EXPECT_NE(findings(expectation, succeeded()), "") << "a byte is missing";
    std::filesystem::remove(evaluated_.into);
    EXPECT_NE(findings(expectation, succeeded()), "") << "nothing was read at all";
}

TEST_F(Judging, AnyDataAreTaken) {
    set(StepKind::read, 0, 4096);
    Expectation expectation = success();
    expectation.data = DataRule::any;
    write_file(evaluated_.into, std::string(4096, 'x'));
    EXPECT_EQ(findings(expectation, succeeded()), "");
}

// ---- extents ----

struct Map {
    const char* name;
    std::vector<Extent> extents; ///< of a request for 64 KiB at 64 KiB, with data in its second half
    bool truthful;
    bool one; ///< and a valid reply to a request for one
};

class Extents : public Judging, public ::testing::WithParamInterface<Map> {};

constexpr std::uint64_t kib = 1024;

// doc/proto.md, NBD_REPLY_TYPE_BLOCK_STATUS and base:allocation.
TEST_P(Extents, HaveToBePossibleAndTrue) {
    set(StepKind::map, 64 * kib, 64 * kib);
    disk_.write(96 * kib, 32 * kib, 8);
    disk_.forget(128 * kib, 64 * kib);
    ClientResult result;
    result.extents = GetParam().extents;
    Expectation expectation = success();
    expectation.extents_truthful = true;
    EXPECT_EQ(findings(expectation, succeeded(result)).empty(), GetParam().truthful)
        << findings(expectation, succeeded(result));
    expectation.one_extent = true;
    EXPECT_EQ(findings(expectation, succeeded(result)).empty(), GetParam().one)
        << findings(expectation, succeeded(result));
}

INSTANTIATE_TEST_SUITE_P(
    Judge, Extents,
    ::testing::Values(
        Map{"all data", {{64 * kib, 64 * kib, false, false}}, true, true},
        Map{"hole and data",
            {{64 * kib, 32 * kib, true, true}, {96 * kib, 32 * kib, false, false}},
            true,
            false},
        Map{"only the beginning", {{64 * kib, 512, true, true}}, true, true},
        Map{"zero and allocated", {{64 * kib, 32 * kib, false, true}}, true, true},
        Map{"a hole that does not promise zeroes", {{64 * kib, 64 * kib, true, false}}, true, true},
        Map{"longer than asked for", {{64 * kib, 100 * kib, false, false}}, true, false},
        Map{"begins beyond what was asked about",
            {{64 * kib, 32 * kib, true, true},
             {96 * kib, 32 * kib, false, false},
             {128 * kib, 64 * kib, true, true}},
            false,
            false}, // only the last one may go beyond the request, and all others together are shorter than
                    // it
        Map{"none", {}, false, false}, Map{"empty", {{64 * kib, 0, false, false}}, false, false},
        Map{"begins elsewhere", {{0, 128 * kib, false, false}}, false, false},
        Map{"gap", {{64 * kib, 16 * kib, true, true}, {96 * kib, 32 * kib, false, false}}, false, false},
        Map{"overlap", {{64 * kib, 32 * kib, true, true}, {90 * kib, 38 * kib, false, false}}, false, false},
        Map{"zeroes where data are", {{64 * kib, 64 * kib, true, true}}, false, false},
        Map{"zeroes where one byte of data is", {{64 * kib, 32 * kib + 1, true, true}}, false, false},
        Map{"beyond the export", {{64 * kib, export_size, false, false}}, false, false}),
    by_name);

// ---- what is recorded ----

TEST_F(Judging, AnswersThatAreRecorded) {
    step_.record = "a question";
    EXPECT_EQ(judged(anything(), succeeded()).answer, "success");
    EXPECT_EQ(judged(anything(), failed("EIO")).answer, "EIO");
    EXPECT_EQ(judged(anything(), failed("EPIPE", ErrorPlace::connection)).answer, "connection lost");

    set(StepKind::connect);
    EXPECT_EQ(judged(anything(), succeeded(told())).answer, "1048576 bytes");

    set(StepKind::read, 4096, 4096);
    disk_.write(4096, 4096, 8);
    write_file(evaluated_.into, pattern(4096, 4096, 8));
    EXPECT_EQ(judged(anything(), succeeded()).answer, "the data");
    write_file(evaluated_.into, std::string(4096, '\0'));
    EXPECT_EQ(judged(anything(), succeeded()).answer, "zeroes");
    write_file(evaluated_.into, std::string(4096, 'x'));
    EXPECT_EQ(judged(anything(), succeeded()).answer, "other bytes");
}

TEST_F(Judging, BytesBeyondTheEndAreRecordedAsTheyAre) {
    // The storage grew outside: nothing is known of what is there.
    step_.record = "a question";
    set(StepKind::read, export_size, 4096);
    Expectation expectation = anything();
    expectation.data = DataRule::any;
    write_file(evaluated_.into, std::string(4096, '\0'));
    EXPECT_EQ(judged(expectation, succeeded()).answer, "zeroes");
    write_file(evaluated_.into, std::string(4096, 'x'));
    EXPECT_EQ(judged(expectation, succeeded()).answer, "other bytes");
}

// ---- the whole case ----

TEST(Worst, OfTheFindings) {
    const auto finding = [](Verdict verdict, Party party) { return Finding{verdict, party, "", "", "", ""}; };
    EXPECT_EQ(worst({}), std::pair(Verdict::pass, Party::none));
    // From the mildest to the worst: each beats those before it.
    std::vector<Finding> findings;
    for (const Verdict verdict : {Verdict::warn, Verdict::fail, Verdict::timeout, Verdict::crash}) {
        findings.push_back(finding(verdict, Party::client));
        EXPECT_EQ(worst(findings), std::pair(verdict, Party::client)) << reports::name(verdict);
        findings.insert(findings.begin(), finding(Verdict::warn, Party::server));
    }
    EXPECT_EQ(worst({finding(Verdict::fail, Party::client), finding(Verdict::fail, Party::client)}).second,
              Party::client);
    EXPECT_EQ(worst({finding(Verdict::fail, Party::client), finding(Verdict::fail, Party::server)}).second,
              Party::undecided);
    EXPECT_EQ(worst({finding(Verdict::fail, Party::client), finding(Verdict::warn, Party::server)}).second,
              Party::client)
        << "a lesser finding does not share the blame";
}

// ---- facts ----

TEST(HandshakeFacts, AreReadFromTheProbesResult) {
    FactVocabulary vocabulary;
    {
        const TempFolder folder;
        write_file(folder / "facts.yaml", R"(
fua: { role: server, flag: fua, meaning: m }
trim: { role: server, flag: trim, meaning: m }
structured: { role: server, field: structured, meaning: m }
extended: { role: server, field: extended, meaning: m }
allocation: { role: server, field: "base:allocation", meaning: m }
dirty: { role: server, field: "qemu:dirty", meaning: m }
sizes: { role: server, field: block, meaning: m }
bytes: { role: server, granularity: 1, meaning: m }
sectors: { role: server, granularity: 512, meaning: m }
names: { role: server, values: [strict, any], meaning: m }
)");
        vocabulary = FactVocabulary::load(YamlNode::load(folder / "facts.yaml"));
    }
    ClientResult result;
    result.flags = {"fua"};
    result.structured = true;
    result.extended = false;
    result.contexts = {"base:allocation"};
    result.block = BlockSizes{512, 4096, 33554432};
    EXPECT_EQ(handshake_facts(vocabulary, result), (Facts{{"fua", "yes"},
                                                          {"trim", "no"},
                                                          {"structured", "yes"},
                                                          {"extended", "no"},
                                                          {"allocation", "yes"},
                                                          {"dirty", "no"},
                                                          {"sizes", "yes"},
                                                          {"bytes", "no"},
                                                          {"sectors", "yes"}}))
        << "a trait is not among them";
    result.block.reset();
    const Facts without = handshake_facts(vocabulary, result);
    EXPECT_EQ(without.at("sizes"), "no");
    EXPECT_EQ(without.at("bytes"), "yes") << "nothing above 1 was advertised";
}

} // namespace
} // namespace harness
