#include "reports/junit.hpp"
#include "reports/tests/sample.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pugixml.hpp>

#include <cstdarg>
#include <cstdio>
#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <memory>
#include <string>

namespace reports {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// Collects what libxml2 complains of.
extern "C" void collect_complaint(void* into, const char* format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    *static_cast<std::string*>(into) += line;
}

/// What is wrong with the text as JUnit XML; empty if nothing is. Read by another library than it is written
/// with.
std::string complaints(const std::string& xml) {
    std::string out;
    const std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)> document(
        xmlReadMemory(xml.data(), static_cast<int>(xml.size()), "junit.xml", nullptr,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING),
        &xmlFreeDoc);
    if (!document) {
        const auto* error = xmlGetLastError();
        return std::string("not well-formed: ") + (error != nullptr ? error->message : "");
    }
    const std::unique_ptr<xmlSchemaParserCtxt, decltype(&xmlSchemaFreeParserCtxt)> parser(
        xmlSchemaNewParserCtxt(NBD_SOURCE_DIR "/reports/tests/junit.xsd"), &xmlSchemaFreeParserCtxt);
    xmlSchemaSetParserErrors(parser.get(), collect_complaint, collect_complaint, &out);
    const std::unique_ptr<xmlSchema, decltype(&xmlSchemaFree)> schema(xmlSchemaParse(parser.get()),
                                                                      &xmlSchemaFree);
    if (!schema) {
        return "the schema is broken: " + out;
    }
    const std::unique_ptr<xmlSchemaValidCtxt, decltype(&xmlSchemaFreeValidCtxt)> validator(
        xmlSchemaNewValidCtxt(schema.get()), &xmlSchemaFreeValidCtxt);
    xmlSchemaSetValidErrors(validator.get(), collect_complaint, collect_complaint, &out);
    if (xmlSchemaValidateDoc(validator.get(), document.get()) != 0 && out.empty()) {
        out = "not valid";
    }
    return out;
}

struct Parsed {
    explicit Parsed(const std::string& xml) { EXPECT_TRUE(document.load_buffer(xml.data(), xml.size())); }
    [[nodiscard]] pugi::xml_node root() const { return document.child("testsuites"); }
    /// The test case whose name starts so.
    [[nodiscard]] pugi::xml_node test_case(const std::string& scenario) const {
        return document.find_node([&](pugi::xml_node node) {
            return std::string_view(node.name()) == "testcase" &&
                   std::string_view(node.attribute("name").value()).starts_with(scenario);
        });
    }
    pugi::xml_document document;
};

std::string property(pugi::xml_node node, const char* name) {
    return node.child("properties").find_child_by_attribute("name", name).attribute("value").value();
}

struct Sums {
    unsigned tests = 0;
    unsigned failures = 0;
    unsigned errors = 0;
    unsigned skipped = 0;
    bool operator==(const Sums&) const = default;
};

Sums attributes_of(pugi::xml_node node) {
    return {node.attribute("tests").as_uint(), node.attribute("failures").as_uint(),
            node.attribute("errors").as_uint(), node.attribute("skipped").as_uint()};
}

/// Compares every count with what is there to be counted.
void expect_counts_to_fit(const std::string& xml) {
    const Parsed parsed(xml);
    Sums all;
    for (const auto suite : parsed.root().children("testsuite")) {
        Sums counted;
        double seconds = 0;
        for (const auto test_case : suite.children("testcase")) {
            ++counted.tests;
            counted.failures += test_case.child("failure") ? 1U : 0U;
            counted.errors += test_case.child("error") ? 1U : 0U;
            counted.skipped += test_case.child("skipped") ? 1U : 0U;
            seconds += test_case.attribute("time").as_double();
        }
        EXPECT_EQ(attributes_of(suite), counted) << suite.attribute("name").value();
        EXPECT_NEAR(suite.attribute("time").as_double(), seconds, 0.001 * (counted.tests + 1));
        all = {all.tests + counted.tests, all.failures + counted.failures, all.errors + counted.errors, 0};
    }
    EXPECT_EQ(attributes_of(parsed.root()), all);
}

class ValidJunit : public testing::TestWithParam<std::pair<const char*, RunResult (*)()>> {};

TEST_P(ValidJunit, fits_the_schema_and_counts_right) {
    const auto run = GetParam().second();
    for (const bool skip : {false, true}) {
        const auto xml = to_junit(run, {.deviations_as_skipped = skip});
        EXPECT_EQ(complaints(xml), "");
        expect_counts_to_fit(xml);
    }
}

INSTANTIATE_TEST_SUITE_P(Runs, ValidJunit,
                         testing::Values(std::pair{"small", &sample::small_run},
                                         std::pair{"large", &sample::large_run},
                                         std::pair{"hostile", &sample::hostile_run},
                                         std::pair{"empty", +[] { return RunResult{}; }},
                                         std::pair{"no_case",
                                                   +[] {
                                                       auto run = sample::small_run();
                                                       run.cases.clear();
                                                       return run;
                                                   }}),
                         [](const auto& tested) { return tested.param.first; });

struct WrongXml {
    const char* what;
    const char* find;
    const char* put;
};

class JunitSchema : public testing::TestWithParam<WrongXml> {};

// A schema that takes everything would prove nothing.
TEST_P(JunitSchema, refuses) {
    auto xml = to_junit(sample::small_run());
    const auto at = xml.find(GetParam().find);
    ASSERT_NE(at, std::string::npos);
    xml.replace(at, std::string(GetParam().find).size(), GetParam().put);
    EXPECT_NE(complaints(xml), "");
}

INSTANTIATE_TEST_SUITE_P(
    Table, JunitSchema,
    testing::Values(WrongXml{"text_for_a_count", "failures=\"1\"", "failures=\"one\""},
                    WrongXml{"a_suite_without_errors", "errors=\"0\"", ""},
                    WrongXml{"unknown_element", "<properties>", "<facts/><properties>"},
                    WrongXml{"two_outcomes", "<failure", "<skipped type=\"a\" message=\"b\"/><failure"},
                    WrongXml{"output_before_the_outcome", "<failure", "<system-out/><failure"},
                    WrongXml{"a_zone", "2026-11-22T16:21:07", "2026-11-22T16:21:07Z"},
                    WrongXml{"an_exponent", "time=\"0.0", "time=\"1e0"},
                    WrongXml{"a_nameless_case", "name=\"read-past-end [default, default]\"", "name=\"\""},
                    WrongXml{"a_case_twice", "name=\"read-past-end [default, default]\"",
                             "name=\"flush [no-sr, default]\""},
                    WrongXml{"a_control_character", "read-past-end", "read\x01past"}),
    [](const auto& tested) { return tested.param.what; });

TEST(Junit, a_suite_for_every_pair_of_peers) {
    const Parsed parsed(to_junit(sample::small_run()));
    std::vector<std::string> names;
    for (const auto suite : parsed.root().children("testsuite")) {
        names.emplace_back(suite.attribute("name").value());
        EXPECT_STREQ(suite.attribute("hostname").value(), "builder");
        EXPECT_STREQ(suite.attribute("timestamp").value(), "2026-11-22T16:21:07");
    }
    EXPECT_THAT(names, testing::ElementsAre("nbdkit x libnbd", "nbdkit x qemu-io", "qemu-nbd x libnbd",
                                            "qemu-nbd x qemu-io", "server nbd-server (not installed)"));
}

TEST(Junit, every_case_of_the_run_is_there) {
    const auto run = sample::large_run();
    const Parsed parsed(to_junit(run));
    EXPECT_EQ(parsed.root().attribute("tests").as_uint(), run.cases.size() + 1)
        << "one peer is not installed";
}

TEST(Junit, a_failure_says_what_whose_and_which_requirement) {
    const Parsed parsed(to_junit(sample::small_run()));
    const auto test_case = parsed.test_case("read-past-end");
    EXPECT_STREQ(test_case.attribute("classname").value(), "nbdkit.libnbd");
    EXPECT_STREQ(test_case.attribute("name").value(), "read-past-end [default, default]");
    const auto failure = test_case.child("failure");
    EXPECT_STREQ(failure.attribute("type").value(), "fail");
    EXPECT_STREQ(failure.attribute("message").value(),
                 "server nbdkit 1.32.5: expected EINVAL, got EIO [read-past-end-requirement]");
    EXPECT_THAT(failure.text().get(), HasSubstr("fail (server) at step 2: read: expected EINVAL, got EIO"));
    EXPECT_THAT(failure.text().get(), HasSubstr("logs: cases/nbdkit/libnbd/read-past-end"));
    EXPECT_EQ(property(test_case, "server-version"), "1.32.5");
    EXPECT_EQ(property(test_case, "client-version"), "1.14.2");
    EXPECT_EQ(property(test_case, "verdict"), "fail");
    EXPECT_EQ(property(test_case, "attribution"), "server");
    EXPECT_EQ(property(test_case, "requirement"), "read-past-end-requirement");
}

TEST(Junit, timeout_and_crash_are_failures_and_error_is_an_error) {
    const Parsed parsed(to_junit(sample::small_run()));
    EXPECT_STREQ(parsed.test_case("trim").child("failure").attribute("type").value(), "timeout");
    EXPECT_STREQ(parsed.test_case("block-status").child("failure").attribute("type").value(), "crash");
    EXPECT_STREQ(parsed.test_case("fua").child("error").attribute("type").value(), "error");
    EXPECT_STREQ(parsed.test_case("fua").child("error").attribute("message").value(),
                 "expected EINVAL, got EIO");
}

TEST(Junit, unsupported_is_skipped_with_its_reason) {
    const Parsed parsed(to_junit(sample::small_run()));
    const auto skipped = parsed.test_case("list-exports").child("skipped");
    EXPECT_STREQ(skipped.attribute("message").value(), "qemu-io cannot list exports");
}

TEST(Junit, a_warning_passes_and_says_what_it_warns_of) {
    const Parsed parsed(to_junit(sample::small_run()));
    const auto test_case = parsed.test_case("write-past-end");
    EXPECT_FALSE(test_case.child("failure"));
    EXPECT_FALSE(test_case.child("skipped"));
    EXPECT_EQ(property(test_case, "verdict"), "warn");
    EXPECT_EQ(property(test_case, "deviation"), "qemu-write-past-end-einval");
    EXPECT_THAT(test_case.child("system-out").text().get(),
                StartsWith("warning: server qemu-nbd 7.2.22: expected"));
}

TEST(Junit, known_deviations_are_skipped_if_wanted) {
    auto run = sample::small_run();
    run.cases.push_back(sample::broken(Verdict::fail, "nbdkit", "libnbd", "zeroes", "nbdkit-zeroes"));
    const Parsed plain(to_junit(run));
    EXPECT_TRUE(plain.test_case("zeroes").child("failure"));
    const Parsed lenient(to_junit(run, {.deviations_as_skipped = true}));
    EXPECT_THAT(lenient.test_case("zeroes").child("skipped").attribute("message").value(),
                StartsWith("known deviation nbdkit-zeroes: server nbdkit 1.32.5: "));
    EXPECT_TRUE(lenient.test_case("write-past-end").child("skipped"));
    EXPECT_TRUE(lenient.test_case("read-past-end").child("failure")) << "what is not listed stays red";
}

TEST(Junit, knobs_and_observations_are_properties_and_part_of_the_name) {
    const Parsed parsed(to_junit(sample::small_run()));
    const auto test_case = parsed.test_case("backing-grew [default, default] consent=opt-in growth=both");
    ASSERT_TRUE(test_case);
    EXPECT_EQ(property(test_case, "knob.growth"), "both");
    EXPECT_EQ(property(test_case, "observation"), "read at the new end = EINVAL");
}

TEST(Junit, a_peer_that_is_not_installed_is_seen) {
    const Parsed parsed(to_junit(sample::small_run()));
    const auto suite = parsed.root().find_child_by_attribute("name", "server nbd-server (not installed)");
    EXPECT_EQ(property(suite, "not-installed"), "nbd-server");
    EXPECT_STREQ(suite.child("testcase").child("skipped").attribute("message").value(),
                 "nbd-server is not installed: none of its cases ran");
}

TEST(Junit, huge_messages_are_cut) {
    const auto xml = to_junit(sample::hostile_run());
    EXPECT_LT(xml.size(), 200'000U);
    EXPECT_THAT(xml, HasSubstr(" more bytes)"));
}

TEST(Junit, a_start_that_is_no_time_is_left_out) {
    auto run = sample::small_run();
    run.started = "2026-11-22";
    EXPECT_FALSE(Parsed(to_junit(run)).root().child("testsuite").attribute("timestamp"));
}

TEST(Junit, names_what_a_case_stands_for_if_it_was_asked_to) {
    RunResult run;
    CaseResult result;
    result.id = "s/c/life growth=none";
    result.scenario = "life";
    result.server = {"s", "default"};
    result.client = {"c", "default"};
    result.members = {"growth=none ask=info", "growth=none ask=none"};
    run.cases = {result};
    pugi::xml_document document;
    ASSERT_TRUE(document.load_string(to_junit(run).c_str()));
    const auto suite = document.child("testsuites").child("testsuite");
    EXPECT_STREQ(suite.attribute("tests").value(), "2");
    EXPECT_STREQ(suite.child("testcase").attribute("name").value(),
                 "life [default, default] growth=none ask=info");
    EXPECT_EQ(std::distance(suite.children("testcase").begin(), suite.children("testcase").end()), 2);
}

TEST(Junit, cases_that_are_left_of_many_have_names_of_their_own) {
    RunResult run;
    CaseResult one = sample::broken(Verdict::fail, "s", "c", "x", "listed");
    one.id = "s/c/x (deviation)";
    CaseResult other = sample::broken(Verdict::crash, "s", "c", "x", "listed");
    other.id = "s/c/x (deviation) 2";
    run.cases = {one, other};
    const std::string xml = to_junit(run, {});
    EXPECT_EQ(complaints(xml), "");
    EXPECT_NE(xml.find("\"x [default, default]\""), std::string::npos);
    EXPECT_NE(xml.find("\"x [default, default] (2)\""), std::string::npos);
}

} // namespace
} // namespace reports
