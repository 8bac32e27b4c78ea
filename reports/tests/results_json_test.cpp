#include "reports/results_json.hpp"
#include "reports/tests/sample.hpp"
#include "reports/text.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <rapidcheck.h>

namespace reports {
namespace {

using testing::HasSubstr;

std::string message_of(const std::function<void()>& act) {
    try {
        act();
    } catch (const ResultsError& error) {
        return error.what();
    }
    return "no error";
}

/// What went through a file is as it was, but for the name of the source.
RunResult read_back(const RunResult& run) {
    auto out = from_json(to_json(run), "there.json");
    EXPECT_EQ(out.source, "there.json");
    out.source = run.source;
    return out;
}

TEST(ResultsJson, large_run_is_read_back_as_it_was) {
    const auto run = sample::large_run();
    EXPECT_TRUE(read_back(run) == run);
    const auto small = sample::small_run();
    EXPECT_TRUE(read_back(small) == small);
    EXPECT_TRUE(read_back(RunResult{}) == RunResult{});
}

TEST(ResultsJson, is_json_with_one_case_a_line) {
    const auto run = sample::small_run();
    const auto text = to_json(run);
    const auto document = boost::json::parse(text);
    EXPECT_EQ(document.at("format"), 2);
    EXPECT_EQ(document.at("cases").as_array().size(), run.cases.size());
    const auto cases = text.substr(text.find("\"cases\""));
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(cases, '\n')), run.cases.size() + 3);
}

TEST(ResultsJson, bytes_that_are_no_utf8_are_replaced) {
    const auto run = sample::hostile_run();
    const auto once = read_back(run);
    EXPECT_EQ(once.suite, valid_utf8(run.suite));
    EXPECT_EQ(once.cases.size(), run.cases.size());
    EXPECT_TRUE(read_back(once) == once);
}

TEST(ResultsJson, a_duration_that_is_none_becomes_zero) {
    auto run = sample::small_run();
    run.seconds = -3;
    run.cases[0].seconds = std::numeric_limits<double>::quiet_NaN();
    run.cases[1].seconds = std::numeric_limits<double>::infinity();
    const auto back = read_back(run);
    EXPECT_EQ(back.seconds, 0);
    EXPECT_EQ(back.cases[0].seconds, 0);
    EXPECT_EQ(back.cases[1].seconds, 0);
}

std::string any_text() {
    // Code points, so that the text is UTF-8 and takes the whole way through JSON's escapes.
    const auto pieces = *rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("a", "Z", "0", " ", "\"", "\\", "/", "\n", "\r", "\t",
                                      std::string("\0", 1), "\x1f", "\x7f", "ü", "€", "😀", "</"));
    std::string out;
    for (const auto& piece : pieces) {
        out += piece;
    }
    return out;
}

double any_seconds() {
    return static_cast<double>(*rc::gen::inRange(0, 1'000'000'000)) / 1e6;
}

template <typename Make>
auto any_list(Make make) {
    std::vector<decltype(make())> out(*rc::gen::inRange<std::size_t>(0, 4));
    for (auto& item : out) {
        item = make();
    }
    return out;
}

std::map<std::string, std::string> any_map() {
    std::map<std::string, std::string> out;
    for (const auto& key : any_list(any_text)) {
        out[key] = any_text();
    }
    return out;
}

Finding any_finding() {
    return {*rc::gen::elementOf(all_verdicts),
            *rc::gen::elementOf(all_parties),
            any_text(),
            any_text(),
            any_text(),
            any_text()};
}

CaseResult any_case() {
    CaseResult out;
    out.scenario = any_text();
    out.title = any_text();
    out.group = any_text();
    out.server = {any_text(), any_text()};
    out.client = {any_text(), any_text()};
    out.knobs = any_map();
    out.verdict = *rc::gen::elementOf(all_verdicts);
    out.party = *rc::gen::elementOf(all_parties);
    out.reason = any_text();
    out.findings = any_list(any_finding);
    out.observations = any_list([] { return Observation{any_text(), any_text()}; });
    out.seconds = any_seconds();
    out.folder = any_text();
    return out;
}

PeerInfo any_peer() {
    PeerInfo out{any_text(), *rc::gen::element<std::string>("server", "client"), any_text(), std::nullopt,
                 any_list(any_text)};
    if (*rc::gen::arbitrary<bool>()) {
        out.version = any_text();
    }
    return out;
}

TEST(ResultsJson, any_run_is_read_back_as_it_was) {
    EXPECT_TRUE(rc::check([] {
        RunResult run;
        run.suite = any_text();
        run.started = any_text();
        run.seconds = any_seconds();
        run.properties = any_map();
        run.peers = any_list(any_peer);
        run.cases = any_list(any_case);
        for (std::size_t i = 0; i < run.cases.size(); ++i) {
            run.cases[i].id = std::to_string(i) + any_text();
        }
        run.stale = any_list([] { return StaleDeviation{any_text(), any_text(), any_text()}; });
        run.deviations = any_list([] {
            return DeviationInfo{any_text(), any_text(), any_text(), any_text(), any_text()};
        });
        run.requirements = any_list([] {
            return RequirementInfo{any_text(), any_text(), any_text(), any_text()};
        });
        RC_ASSERT(read_back(run) == run);
    }));
}

TEST(ResultsJson, no_prefix_of_a_file_is_taken_for_a_whole_one) {
    const auto text = to_json(sample::small_run());
    const auto end = text.find_last_of('}');
    for (std::size_t size = 0; size <= end; size += 7) {
        EXPECT_THROW((void)from_json(text.substr(0, size)), ResultsError) << size;
    }
}

struct BrokenFile {
    const char* what;
    std::string find; ///< the first occurrence of this …
    std::string put;  ///< … is replaced by this
    std::string message;
};

class BrokenResults : public testing::TestWithParam<BrokenFile> {};

TEST_P(BrokenResults, are_refused_with_file_and_field) {
    auto text = to_json(sample::small_run());
    const auto at = text.find(GetParam().find);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, GetParam().find.size(), GetParam().put);
    EXPECT_THAT(message_of([&] { (void)from_json(text, "shard.json"); }),
                HasSubstr("shard.json: " + GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BrokenResults,
    testing::Values(BrokenFile{"other_format", "\"format\": 2", "\"format\": 1", "format: this is layout 1"},
                    BrokenFile{"no_format", "\"format\": 2,", "", "format: the field is missing"},
                    BrokenFile{"format_text", "\"format\": 2", "\"format\": \"1\"",
                               "format: expected a number, found \"1\""},
                    BrokenFile{"unknown_field", "\"suite\"", "\"suit\": 1, \"suite\"",
                               "suit: no such field is known here"},
                    BrokenFile{"unknown_verdict", "\"verdict\":\"fail\"", "\"verdict\":\"failed\"",
                               "cases[1].verdict: \"failed\" is not a verdict; there are pass, fail"},
                    BrokenFile{"unknown_party", "\"party\":\"client\"", "\"party\":\"me\"",
                               "cases[6].party: \"me\" is not a party"},
                    BrokenFile{"unknown_role", "\"role\":\"server\"", "\"role\":\"judge\"",
                               "peers[0].role: \"judge\" is not a role"},
                    BrokenFile{"id_missing", "\"id\":\"nbdkit/libnbd/read-past-end\",", "",
                               "cases[1].id: the field is missing"},
                    BrokenFile{"id_wrong", "\"id\":\"nbdkit/libnbd/read-past-end\"", "\"id\":7",
                               "cases[1].id: expected a string, found 7"},
                    BrokenFile{"unknown_in_finding", "\"step\"", "\"stepp\":1,\"step\"",
                               "cases[1].findings[0].stepp: no such field is known here"},
                    BrokenFile{"list_wrong", "\"stale\": [", "\"stale\": {}, \"x\": [",
                               "stale: expected a list, found {}"},
                    BrokenFile{"map_wrong", "\"knobs\":{\"consent\":\"opt-in\"",
                               "\"knobs\":{\"consent\":true",
                               "cases[8].knobs.consent: expected a string, found true"},
                    BrokenFile{"negative_time", "\"seconds\":1.25E-2", "\"seconds\":-1",
                               "cases[0].seconds: must not be negative"},
                    BrokenFile{"same_id", "nbdkit/libnbd/read-past-end\",", "nbdkit/qemu-io/trim\",",
                               "cases[1] and cases[3] have the same id \"nbdkit/qemu-io/trim\""},
                    BrokenFile{"not_json", "\"started\"", "started", "line 4: not JSON"},
                    BrokenFile{"more_after_it", "]\n}\n", "]\n}\n{", "line 25: not JSON"}),
    [](const auto& tested) { return tested.param.what; });

TEST(ResultsFile, is_written_and_read) {
    auto directory = (std::filesystem::temp_directory_path() / "nbd-reports-XXXXXX").string();
    ASSERT_NE(mkdtemp(directory.data()), nullptr);
    const auto file = std::filesystem::path(directory) / "new" / "results.json";
    auto run = sample::small_run();
    write_results(file, run);
    run.source = file.string();
    EXPECT_TRUE(read_results(file) == run);

    EXPECT_THAT(message_of([&] { (void)read_results(directory + "/none.json"); }),
                testing::AllOf(HasSubstr(directory + "/none.json"), HasSubstr("cannot read")));
    EXPECT_THAT(message_of([&] { (void)read_results(directory); }), HasSubstr("it is a directory"));
    EXPECT_THAT(message_of([&] { write_results(file / "below", run); }), HasSubstr("results.json"));
    std::ofstream(directory + "/empty.json").close();
    EXPECT_THAT(message_of([&] { (void)read_results(directory + "/empty.json"); }), HasSubstr("not JSON"));
    std::filesystem::remove_all(directory);
}

} // namespace
} // namespace reports
