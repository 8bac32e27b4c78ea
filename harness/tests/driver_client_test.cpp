// The harness's side of docs/driver-protocol.md, against drivers that are shell scripts.

#include "harness/peers/driver_client.hpp"
#include "harness/process/errors.hpp"
#include "harness/tests/support.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;
namespace json = boost::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr const char* hello =
    R"(echo '{"driver":"fake","version":"1","protocol":1,"operations":["connect","read","finish"],"flags":[]}'; )";

class DriverClientTest : public ::testing::Test {
  protected:
    /// A client whose driver says hello and then does what the script says.
    std::unique_ptr<DriverClient> start(const std::string& script, Deadline deadline = generous_deadline()) {
        return start_silent(hello + script, deadline);
    }

    std::unique_ptr<DriverClient> start_silent(const std::string& script,
                                               Deadline deadline = generous_deadline()) {
        Launch launch;
        launch.argv = {"sh", "-c", script};
        launch.log = folder_ / "log";
        launch.output_limit = std::uint64_t{1} << 20;
        return std::make_unique<DriverClient>(launch, std::set<std::string>{"connect", "read"}, transcript_,
                                              deadline);
    }

    /// What comes of a step that a driver answers with that line.
    ClientOutcome answered(const std::string& line) {
        const auto client = start("read step; echo '" + line + "'; cat >/dev/null");
        return client->perform(step(), generous_deadline());
    }

    /// What the runtime_error says that such an answer leads to.
    std::string complaint(const std::string& line) {
        return message_of<std::runtime_error>([&] { (void)answered(line); });
    }

    static ClientStep step() {
        ClientStep step;
        step.kind = StepKind::connect;
        step.id = 1;
        step.uri = "nbd://localhost/disk";
        return step;
    }

    static Deadline soon() { return std::chrono::steady_clock::now() + 200ms; }

    TempFolder folder_;
    std::filesystem::path transcript_ = folder_ / "client.jsonl";
};

/// What the driver reads on its standard input for a step.
class DriverRequest : public DriverClientTest {
  protected:
    json::object sent(const ClientStep& step) {
        const auto client = start("read -r line; printf '%s' \"$line\" > " + (folder_ / "got").string() +
                                  "; echo '{\"id\":" + std::to_string(step.id) +
                                  ",\"ok\":true,\"result\":{}}'; cat >/dev/null");
        EXPECT_FALSE(client->perform(step, generous_deadline()).error);
        return json::parse(read_file(folder_ / "got")).as_object();
    }

    static json::object object(const char* text) { return json::parse(text).as_object(); }

    /// A step with a value in every field, of which an operation sends its own only.
    static ClientStep full(StepKind kind) {
        ClientStep step;
        step.kind = kind;
        step.id = 7;
        step.connection = "b";
        step.uri = "nbd+unix:///x?socket=/tmp/s";
        step.export_name = "x";
        step.offset = 18446744073709551615U;
        step.length = 4096;
        step.count = 3;
        step.stride = 8192;
        step.flags = {"df", "fua"};
        step.from = "/tmp/from";
        step.into = "/tmp/into";
        step.background = true;
        step.abrupt = true;
        step.of = 5;
        return step;
    }
};

TEST_F(DriverRequest, EveryOperationSendsItsArguments) {
    EXPECT_EQ(sent(full(StepKind::connect)),
              object(R"({"id":7,"op":"connect","connection":"b","uri":"nbd+unix:///x?socket=/tmp/s"})"));
    EXPECT_EQ(sent(full(StepKind::info)),
              object(R"({"id":7,"op":"info","uri":"nbd+unix:///x?socket=/tmp/s"})"));
    EXPECT_EQ(sent(full(StepKind::list)),
              object(R"({"id":7,"op":"list","uri":"nbd+unix:///x?socket=/tmp/s"})"));
    EXPECT_EQ(sent(full(StepKind::read)),
              object(R"({"id":7,"op":"read","connection":"b","offset":18446744073709551615,"length":4096,
                         "flags":["df","fua"],"count":3,"stride":8192,"background":true,"into":"/tmp/into"})"));
    EXPECT_EQ(sent(full(StepKind::write)),
              object(R"({"id":7,"op":"write","connection":"b","offset":18446744073709551615,"length":4096,
                         "flags":["df","fua"],"count":3,"stride":8192,"background":true,"from":"/tmp/from"})"));
    for (const StepKind kind : {StepKind::zero, StepKind::trim, StepKind::cache}) {
        json::object expected =
            object(R"({"id":7,"connection":"b","offset":18446744073709551615,"length":4096,
                       "flags":["df","fua"],"count":3,"stride":8192,"background":true})");
        expected["op"] = name(kind);
        EXPECT_EQ(sent(full(kind)), expected);
    }
    EXPECT_EQ(sent(full(StepKind::map)),
              object(R"({"id":7,"op":"map","connection":"b","offset":18446744073709551615,"length":4096,
                         "flags":["df","fua"]})"));
    EXPECT_EQ(sent(full(StepKind::flush)),
              object(R"({"id":7,"op":"flush","connection":"b","flags":["df","fua"]})"));
    EXPECT_EQ(sent(full(StepKind::disconnect)),
              object(R"({"id":7,"op":"disconnect","connection":"b","abrupt":true})"));
    EXPECT_EQ(sent(full(StepKind::finish)), object(R"({"id":7,"op":"finish","of":5})"));
}

TEST_F(DriverRequest, WhatIsNotAskedForIsLeftOut) {
    ClientStep step;
    step.kind = StepKind::read;
    step.id = 2;
    step.length = 512;
    step.into = "/tmp/i";
    EXPECT_EQ(sent(step),
              object(R"({"id":2,"op":"read","connection":"a","offset":0,"length":512,"into":"/tmp/i"})"));
}

TEST_F(DriverClientTest, ASuccessTellsWhatTheClientKnows) {
    const ClientOutcome outcome =
        answered(R"({"id":1,"ok":true,"result":{"size":1048576,"export":"disk","flags":["flush","df"],)"
                 R"("structured":true,"extended":false,"contexts":["base:allocation"],)"
                 R"("block":{"minimum":1,"preferred":4096,"maximum":33554432}}})");
    EXPECT_FALSE(outcome.error);
    EXPECT_EQ(outcome.result.size, 1048576U);
    EXPECT_THAT(outcome.result.flags.value(), UnorderedElementsAre("flush", "df"));
    EXPECT_EQ(outcome.result.structured, true);
    EXPECT_EQ(outcome.result.extended, false);
    EXPECT_THAT(outcome.result.contexts, ElementsAre("base:allocation"));
    EXPECT_EQ(outcome.result.block.value().preferred, 4096U);
    EXPECT_FALSE(outcome.result.exports);
    EXPECT_FALSE(outcome.result.extents);
}

TEST_F(DriverClientTest, WhatIsNotToldIsNotKnown) {
    const ClientOutcome outcome = answered(R"({"id":1,"ok":true,"result":{}})");
    EXPECT_FALSE(outcome.error);
    EXPECT_FALSE(outcome.result.size);
    EXPECT_FALSE(outcome.result.flags);
    EXPECT_FALSE(outcome.result.structured);
    EXPECT_FALSE(outcome.result.block);
}

TEST_F(DriverClientTest, ListsAndExtents) {
    EXPECT_THAT(
        answered(R"({"id":1,"ok":true,"result":{"exports":[{"name":"a","description":"d"},{"name":""}]}})")
            .result.exports.value(),
        ElementsAre("a", ""));
    const auto extents =
        answered(
            R"({"id":1,"ok":true,"result":{"extents":[{"offset":0,"length":5,"hole":true,"zero":false}]}})")
            .result.extents.value();
    ASSERT_EQ(extents.size(), 1U);
    EXPECT_EQ(extents[0].length, 5U);
    EXPECT_TRUE(extents[0].hole);
    EXPECT_FALSE(extents[0].zero);
}

TEST_F(DriverClientTest, AnErrorHasANameAPlaceAndWords) {
    const std::pair<const char*, ErrorPlace> places[] = {{"server", ErrorPlace::server},
                                                         {"local", ErrorPlace::local},
                                                         {"connection", ErrorPlace::connection},
                                                         {"driver", ErrorPlace::driver}};
    for (const auto& [word, place] : places) {
        const ClientOutcome outcome =
            answered(std::string(R"({"id":1,"ok":false,"error":{"errno":"EINVAL","where":")") + word +
                     R"(","message":"no such place"}})");
        ASSERT_TRUE(outcome.error);
        EXPECT_EQ(outcome.error->name, "EINVAL");
        EXPECT_EQ(outcome.error->where, place) << word;
        EXPECT_EQ(outcome.error->message, "no such place");
    }
}

TEST_F(DriverClientTest, ErrorsDescribeThemselves) {
    EXPECT_EQ((ClientError{"EIO", ErrorPlace::server, "broken"}.describe()), "EIO (from the server): broken");
    EXPECT_EQ((ClientError{"EIO", ErrorPlace::unknown, ""}.describe()), "EIO");
}

struct BadAnswer {
    const char* name;
    const char* line;
};

class BadAnswers : public DriverClientTest, public ::testing::WithParamInterface<BadAnswer> {};

TEST_P(BadAnswers, BreakTheDriverProtocolAndAreQuoted) {
    EXPECT_THAT(complaint(GetParam().line),
                AllOf(HasSubstr("driver protocol"), HasSubstr(std::string(GetParam().line).substr(0, 20))));
}

INSTANTIATE_TEST_SUITE_P(
    Driver, BadAnswers,
    ::testing::Values(
        BadAnswer{"garbage", "Segmentation fault, almost"}, BadAnswer{"empty line", ""},
        BadAnswer{"no object", "[1]"}, BadAnswer{"a text", "\"ok\""},
        BadAnswer{"wrong id", R"({"id":2,"ok":true,"result":{}})"},
        BadAnswer{"null id", R"({"id":null,"ok":true,"result":{}})"},
        BadAnswer{"no id", R"({"ok":true,"result":{}})"}, BadAnswer{"no ok", R"({"id":1,"result":{}})"},
        BadAnswer{"ok a number", R"({"id":1,"ok":1,"result":{}})"},
        BadAnswer{"no result", R"({"id":1,"ok":true})"}, BadAnswer{"no error", R"({"id":1,"ok":false})"},
        BadAnswer{"error without errno", R"({"id":1,"ok":false,"error":{"where":"server","message":""}})"},
        BadAnswer{"error without where", R"({"id":1,"ok":false,"error":{"errno":"EIO","message":""}})"},
        BadAnswer{"unknown where",
                  R"({"id":1,"ok":false,"error":{"errno":"EIO","where":"moon","message":""}})"},
        BadAnswer{"size a text", R"({"id":1,"ok":true,"result":{"size":"1"}})"},
        BadAnswer{"flags a text", R"({"id":1,"ok":true,"result":{"flags":"fua"}})"},
        BadAnswer{"block incomplete", R"({"id":1,"ok":true,"result":{"block":{"minimum":1}}})"},
        BadAnswer{"extent incomplete", R"({"id":1,"ok":true,"result":{"extents":[{"offset":1}]}})"}),
    by_name);

TEST_F(DriverClientTest, HelloHasToBeOne) {
    EXPECT_THAT(message_of<std::runtime_error>([&] { (void)start_silent("echo welcome; cat"); }),
                AllOf(HasSubstr("hello"), HasSubstr("welcome")));
    EXPECT_THAT(message_of<std::runtime_error>(
                    [&] { (void)start_silent("echo '{\"driver\":\"x\",\"protocol\":1}'; cat"); }),
                HasSubstr("hello"));
}

TEST_F(DriverClientTest, AnotherProtocolIsRefused) {
    EXPECT_THAT(message_of<std::runtime_error>([&] {
                    (void)start_silent(R"(echo '{"driver":"fake","version":"1","protocol":2,)"
                                       R"("operations":["connect","read"],"flags":[]}'; cat)");
                }),
                AllOf(HasSubstr("protocol"), HasSubstr("2")));
}

TEST_F(DriverClientTest, WhatThePeerFilePromisesHasToBeThere) {
    EXPECT_THAT(message_of<std::runtime_error>([&] {
                    (void)start_silent(R"(echo '{"driver":"fake","version":"1","protocol":1,)"
                                       R"("operations":["connect"],"flags":[]}'; cat)");
                }),
                HasSubstr("'read'"));
}

TEST_F(DriverClientTest, ADriverThatSaysNothingAtAllTimesOut) {
    EXPECT_THROW((void)start_silent("cat >/dev/null", soon()), TimedOut);
}

TEST_F(DriverClientTest, ADriverThatCannotBeStarted) {
    Launch launch;
    launch.argv = {"/no/such/driver"};
    EXPECT_THROW(DriverClient(launch, {}, transcript_, generous_deadline()), LaunchError);
}

TEST_F(DriverClientTest, ADriverThatEndsBeforeItsHello) {
    EXPECT_THAT(message_of<ClientDied>([&] { (void)start_silent("echo 'no library' >&2; exit 4"); }),
                AllOf(HasSubstr("exited with 4"), HasSubstr("no library")));
}

TEST_F(DriverClientTest, ADriverThatHangsTimesOut) {
    const auto client = start("cat >/dev/null");
    EXPECT_THROW((void)client->perform(step(), soon()), TimedOut);
}

TEST_F(DriverClientTest, ADriverThatEndsInsteadOfAnsweringIsQuoted) {
    const auto client = start("read step; echo 'assertion failed' >&2; exit 3");
    try {
        (void)client->perform(step(), generous_deadline());
        FAIL() << "it should have died";
    } catch (const ClientDied& death) {
        EXPECT_FALSE(death.crashed());
        EXPECT_THAT(death.what(), AllOf(HasSubstr("exited with 3"), HasSubstr("assertion failed")));
    }
}

TEST_F(DriverClientTest, ADriverThatEndedBeforeTheStep) {
    const auto client = start("exit 0");
    EXPECT_THROW((void)client->perform(step(), generous_deadline()), ClientDied);
}

TEST_F(DriverClientTest, ADriverThatASignalEndsHasCrashed) {
    const auto client = start("read step; kill -SEGV $$");
    try {
        (void)client->perform(step(), generous_deadline());
        FAIL() << "it should have died";
    } catch (const ClientDied& death) {
        EXPECT_TRUE(death.crashed());
        EXPECT_THAT(death.what(), HasSubstr("SIGSEGV"));
    }
}

TEST_F(DriverClientTest, AnEndlessLineIsCutOff) {
    const auto client = start("read step; while :; do printf '%1000s' x; done");
    EXPECT_THROW((void)client->perform(step(), generous_deadline()), OutputOverflow);
}

TEST_F(DriverClientTest, FinishClosesItsInputAndWaits) {
    const auto client = start("cat >/dev/null; echo gone >&2; exit 0");
    client->finish(generous_deadline());
    EXPECT_EQ(read_file(folder_ / "log"), "gone\n");
}

TEST_F(DriverClientTest, FinishOfADriverThatStays) {
    const auto client = start("while :; do sleep 1; done");
    EXPECT_THROW(client->finish(soon()), TimedOut);
}

TEST_F(DriverClientTest, FinishOfADriverThatFails) {
    const auto client = start("cat >/dev/null; exit 1");
    EXPECT_THAT(message_of<ClientDied>([&] { client->finish(generous_deadline()); }),
                HasSubstr("exited with 1"));
}

TEST_F(DriverClientTest, TheTranscriptHasBothSides) {
    const std::string answer = R"({"id":1,"ok":true,"result":{"size":5}})";
    (void)answered(answer);
    const std::string transcript = read_file(transcript_);
    EXPECT_THAT(transcript, HasSubstr("< {\"driver\":\"fake\""));
    EXPECT_THAT(transcript, HasSubstr("> {\"id\":1,\"op\":\"connect\""));
    EXPECT_THAT(transcript, HasSubstr("< " + answer + "\n"));
}

TEST_F(DriverClientTest, AnswersWithDataThatNameNoErrorAreNotASuccess) {
    EXPECT_THAT(complaint(R"({"id":1,"ok":"true","result":{}})"), HasSubstr("driver protocol"));
}

} // namespace
} // namespace harness
