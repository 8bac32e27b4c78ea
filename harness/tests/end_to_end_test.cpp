// nbd-interop as a user runs it.

#include "harness/tests/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace harness {
namespace {

using namespace testing_support;
using reports::CaseResult;
using reports::Party;
using reports::RunResult;
using reports::Verdict;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// ---- one run with servers of all bad manners ----

class BadServers : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        line_ = new CommandLine;
        line_->add_server("exits",
                          "listen: unix\nstart: [sh, -c, 'echo broken configuration >&2; exit 3']\n");
        line_->add_server(
            "exits-activated",
            "listen: socket-activation\nstart: [sh, -c, 'echo broken configuration >&2; exit 3']\n");
        line_->add_server("silent", "listen: unix\nstart: [sleep, '1000']\n");
        line_->add_server("silent-tcp", "listen: tcp\nstart: [sh, -c, 'exec sleep 1000', '{port}']\n");
        for (const char* manner : {"hang", "crash", "leave"}) {
            line_->add_server(manner, std::string("listen: socket-activation\nstart: [" FAKE_SERVER ", ") +
                                          manner + "]\n");
        }
        // These serve, and are a nuisance besides.
        const std::string serve = R"("{bin}/nbd-resize-server", "--export-name={export}", "{image}"])";
        line_->add_server("floods", "listen: socket-activation\n"
                                    "start: [sh, -c, 'yes nonsense >&2 & exec \"$@\"', flood, " +
                                        serve + "\n");
        // Not by socket activation, which is for the process itself and not for a child of it.
        line_->add_server("stays",
                          "listen: unix\n"
                          "start: [sh, -c, 'trap \"\" TERM; \"$@\"; while :; do sleep 1; done', stay, "
                          "\"{bin}/nbd-resize-server\", \"--unix={socket}\", " +
                              serve.substr(serve.find("\"--export")) + "\n");
        line_->add_server("forks", "listen: socket-activation\n"
                                   "start: [sh, -c, 'setsid sleep 1000 & exec \"$@\"', fork, " +
                                       serve + "\n");
        line_->write("peers/missing.yaml", "peer: missing\nrole: server\ntitle: not here\n"
                                           "version: { run: [no-such-program-at-all, -V], match: '(.*)' }\n"
                                           "start: [no-such-program-at-all]\n");
        line_->add_server("no-command", "listen: unix\nstart: [no-such-program-at-all]\n");
        ended_ = new Ended(line_->run_cases({"--jobs", "16"}));
        results_ = new RunResult(line_->results());
        leftovers_ = line_->leftovers();
    }

    static void TearDownTestSuite() {
        delete results_;
        delete ended_;
        delete line_;
    }

    /// The result of one of the server's cases; both have the same verdict and blame.
    static const CaseResult& of(std::string_view server) {
        const CaseResult& start = find_case(*results_, std::string(server) + "/reference-client/read-start");
        const CaseResult& end = find_case(*results_, std::string(server) + "/reference-client/read-end");
        EXPECT_EQ(start.verdict, end.verdict) << server;
        EXPECT_EQ(start.party, end.party) << server;
        return start;
    }

    static inline CommandLine* line_ = nullptr;
    static inline Ended* ended_ = nullptr;
    static inline RunResult* results_ = nullptr;
    static inline std::vector<std::string> leftovers_;
};

TEST_F(BadServers, TheOthersAreUnaffected) {
    EXPECT_EQ(of("good").verdict, Verdict::pass) << of("good").reason;
    EXPECT_THAT(of("good").findings, IsEmpty());
}

TEST_F(BadServers, TheRunIsRed) {
    EXPECT_EQ(ended_->exit, (Exit{1, 0, false})) << ended_->err;
    for (const char* report : {"junit.xml", "matrix.md", "index.html", "results.json"}) {
        EXPECT_TRUE(std::filesystem::exists(line_->out() / report)) << report;
    }
}

TEST_F(BadServers, NothingIsLeft) {
    EXPECT_THAT(leftovers_, IsEmpty());
}

TEST_F(BadServers, OneThatExitsAtOnce) {
    for (const char* server : {"exits", "exits-activated"}) {
        const CaseResult& result = of(server);
        EXPECT_EQ(result.verdict, Verdict::crash) << server;
        EXPECT_EQ(result.party, Party::server) << server;
        EXPECT_THAT(result.reason, AllOf(HasSubstr("exited with 3"), HasSubstr("broken configuration")))
            << server;
    }
}

TEST_F(BadServers, OneThatNeverListens) {
    for (const char* server : {"silent", "silent-tcp"}) {
        const CaseResult& result = of(server);
        EXPECT_EQ(result.verdict, Verdict::timeout) << server;
        EXPECT_EQ(result.party, Party::server) << server;
        EXPECT_THAT(result.reason, HasSubstr("takes no connections")) << server;
    }
}

TEST_F(BadServers, OneThatDiesOfItsFirstClient) {
    const CaseResult& result = of("crash");
    EXPECT_EQ(result.verdict, Verdict::crash);
    EXPECT_EQ(result.party, Party::server);
    EXPECT_THAT(result.reason, HasSubstr("SIGSEGV"));
}

TEST_F(BadServers, OneThatLeavesAtItsFirstClient) {
    const CaseResult& result = of("leave");
    EXPECT_EQ(result.verdict, Verdict::crash);
    EXPECT_EQ(result.party, Party::server);
    EXPECT_THAT(result.reason, AllOf(HasSubstr("exited with 7"), HasSubstr("enough")));
}

TEST_F(BadServers, OneThatNeverAnswers) {
    const CaseResult& result = of("hang");
    EXPECT_EQ(result.verdict, Verdict::timeout);
    EXPECT_THAT(result.party, AnyOf(Party::server, Party::undecided));
    EXPECT_NE(result.reason, "");
}

TEST_F(BadServers, OneThatFloodsItsLog) {
    const CaseResult& result = of("floods");
    EXPECT_EQ(result.verdict, Verdict::pass) << result.reason;
    const auto log = line_->out() / result.folder / "server.log";
    ASSERT_TRUE(std::filesystem::exists(log));
    EXPECT_LT(std::filesystem::file_size(log), (1U << 20) + 4096) << "the log has a limit";
}

TEST_F(BadServers, OneThatIgnoresTheWishToEnd) {
    EXPECT_EQ(of("stays").verdict, Verdict::pass) << of("stays").reason;
}

TEST_F(BadServers, OneThatLeavesAChildBehind) {
    EXPECT_EQ(of("forks").verdict, Verdict::pass) << of("forks").reason;
}

TEST_F(BadServers, OneThatIsNotInstalled) {
    for (const CaseResult& result : results_->cases) {
        EXPECT_NE(result.server.name, "missing") << "a case of a server that is not there";
    }
    const auto info = std::ranges::find(results_->peers, "missing", &reports::PeerInfo::name);
    ASSERT_NE(info, results_->peers.end()) << "it shows in the matrix as such";
    EXPECT_FALSE(info->version);
    EXPECT_THAT(ended_->out, HasSubstr("Not installed: server missing"));
    EXPECT_THAT(ended_->err, AllOf(HasSubstr("'missing'"), HasSubstr("no-such-program-at-all")));
}

TEST_F(BadServers, OneWhoseCommandIsNotThere) {
    const CaseResult& result = of("no-command");
    EXPECT_EQ(result.verdict, Verdict::error) << "it is no verdict on a server that it could not be started";
    EXPECT_EQ(result.party, Party::none);
    EXPECT_THAT(result.reason, HasSubstr("no-such-program-at-all"));
}

TEST_F(BadServers, EveryCaseKeepsTheLogsOfBothSides) {
    const CaseResult& result = of("good");
    const auto folder = line_->out() / result.folder;
    EXPECT_TRUE(std::filesystem::exists(folder / "server.log"));
    EXPECT_THAT(read_file(folder / "server-command.txt"), HasSubstr("nbd-resize-server"));
    EXPECT_TRUE(std::filesystem::exists(folder / "client.log"));
    EXPECT_THAT(read_file(folder / "client.jsonl"), HasSubstr("\"op\":\"read\""));
}

// ---- what the user says ----

struct Usage {
    const char* name;
    std::vector<std::string> arguments;
    int code;
    const char* out;
    const char* err;
};

class CommandLineUsage : public ::testing::TestWithParam<Usage> {};

TEST_P(CommandLineUsage, HasTheDocumentedExitCodeAndAClearMessage) {
    const CommandLine line;
    const Ended ended = line.run(GetParam().arguments);
    EXPECT_EQ(ended.exit, (Exit{GetParam().code, 0, false})) << ended.out << ended.err;
    EXPECT_THAT(ended.out, HasSubstr(GetParam().out));
    EXPECT_THAT(ended.err, HasSubstr(GetParam().err));
    EXPECT_THAT(line.leftovers(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Cli, CommandLineUsage,
    ::testing::Values(
        Usage{"help", {"--help"}, 0, "Exit codes:", ""},
        Usage{"help of run", {"run", "--help"}, 0, "--require", ""},
        Usage{"version", {"--version"}, 0, "nbd-interop ", ""}, Usage{"nothing", {}, 2, "", "subcommand"},
        Usage{"unknown command", {"walk"}, 2, "", "walk"},
        Usage{"unknown option", {"run", "--sever", "x"}, 2, "", "--sever"},
        Usage{"jobs zero", {"run", "--jobs", "0"}, 2, "", "--jobs"},
        Usage{"jobs a word", {"run", "--jobs", "many"}, 2, "", "--jobs"},
        Usage{"pairs unknown", {"run", "--pairs", "some"}, 2, "", "--pairs"},
        Usage{"list of what", {"list", "verdicts"}, 2, "", "verdicts"},
        Usage{"no such catalogue", {"--scenarios", "/no/such/folder", "run"}, 2, "", "/no/such/folder"},
        Usage{"unknown server",
              {"run", "--server", "godo"},
              2,
              "",
              "no server matches 'godo' (did you mean 'good'?)"},
        Usage{"unknown variant", {"run", "--server", "good+fast"}, 2, "", "no server matches 'good+fast'"},
        Usage{"unknown client", {"run", "--client", "good"}, 2, "", "no client matches 'good'"},
        Usage{"unknown scenario", {"run", "--scenario", "wirte-*"}, 2, "", "no scenario matches 'wirte-*'"},
        Usage{"one of two scenarios unknown",
              {"run", "--scenario", "read-start", "--scenario", "x*"},
              2,
              "",
              "no scenario matches 'x*'"},
        Usage{"unknown peer required", {"run", "--require", "godo"}, 2, "", "(did you mean 'good'?)"},
        Usage{"unknown server in a list",
              {"list", "cases", "--server", "godo"},
              2,
              "",
              "no server matches 'godo'"},
        Usage{"no such results", {"report", "/no/such/results.json"}, 2, "", "/no/such/results.json"},
        Usage{"no results at all", {"report"}, 2, "", "results"},
        Usage{"out is a file", {"run", "--out", "/dev/null"}, 2, "", "/dev/null"},
        Usage{"scenarios", {"list", "scenarios"}, 0, "read-start", ""},
        Usage{"cases", {"list", "cases"}, 0, "good/reference-client/read-start\n", ""},
        Usage{"selected cases",
              {"list", "cases", "--scenario", "*-end"},
              0,
              "good/reference-client/read-end\n",
              ""},
        Usage{"peers", {"list", "peers"}, 0, "good", ""}),
    by_name);

TEST(CommandLineTest, ListsAreOfTheCatalogueThatIsNamed) {
    CommandLine line;
    line.write("peers/missing.yaml", "peer: missing\nrole: server\ntitle: not here\n"
                                     "version: { run: [no-such-program-at-all], match: '(.*)' }\nstart: [x]\n"
                                     "variants: { default: {}, other: {} }\n");
    const std::string peers = line.run({"list", "peers"}).out;
    EXPECT_THAT(peers, ::testing::ContainsRegex("server +good +1\\.0 +default"));
    EXPECT_THAT(peers, ::testing::ContainsRegex("server +missing +not installed +default other"));
    EXPECT_THAT(peers, ::testing::ContainsRegex("client +reference-client +[0-9.]+ +default"));
    EXPECT_THAT(peers, Not(HasSubstr("nbdkit")));

    const std::string cases = line.run({"list", "cases", "--scenario", "read-start"}).out;
    EXPECT_EQ(cases, "good/reference-client/read-start\nmissing/reference-client/read-start\n"
                     "missing+other/reference-client/read-start\n");

    // The option may also stand after the command.
    const std::string again = line.run({"list", "scenarios", "--scenarios", line.catalogue()}).out;
    EXPECT_THAT(again, AllOf(HasSubstr("read-start"), HasSubstr("Reading the end")));
}

TEST(CommandLineTest, AMisspeltKeyIsReportedWithItsPlaceAndNothingIsRun) {
    CommandLine line;
    line.add_server("bad", "lisen: unix\nstart: [touch, '" + (line / "started").string() + "']\n");
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"run"}, std::vector<std::string>{"list", "peers"},
          std::vector<std::string>{"list", "cases"}}) {
        const Ended ended = line.run(command);
        EXPECT_EQ(ended.exit.code, 2);
        EXPECT_EQ(ended.err, "nbd-interop: " + (line.catalogue() / "peers/bad.yaml").string() +
                                 ":6:1: 'lisen' is not known here (did you mean 'listen'?)\n");
    }
    EXPECT_FALSE(std::filesystem::exists(line / "started"));
}

TEST(CommandLineTest, ARequiredPeerThatIsNotInstalled) {
    CommandLine line;
    line.write("peers/missing.yaml",
               "peer: missing\nrole: server\ntitle: not here\n"
               "version: { run: [no-such-program-at-all], match: '(.*)' }\nstart: [x]\n");
    const Ended ended = line.run_cases({"--require", "good", "--require", "missing"});
    EXPECT_EQ(ended.exit.code, 3) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("the peer 'missing' is required"));
    EXPECT_FALSE(std::filesystem::exists(line.out() / "cases")) << "nothing is run";
}

TEST(CommandLineTest, OnlyPeersThatAreNotInstalled) {
    CommandLine line;
    line.write("peers/missing.yaml",
               "peer: missing\nrole: server\ntitle: not here\n"
               "version: { run: [no-such-program-at-all], match: '(.*)' }\nstart: [x]\n");
    const Ended ended = line.run_cases({"--server", "missing"});
    EXPECT_EQ(ended.exit.code, 3);
    EXPECT_THAT(ended.out, HasSubstr("Not installed: server missing"));
}

TEST(CommandLineTest, AVersionThatIsNotToldIsExplained) {
    CommandLine line;
    line.write("peers/odd.yaml",
               "peer: odd\nrole: server\ntitle: odd\n"
               "version: { run: [echo, I am too old to tell], match: 'version ([0-9.]+)' }\nstart: [x]\n");
    const Ended ended = line.run_cases({"--require", "odd"});
    EXPECT_EQ(ended.exit.code, 3);
    EXPECT_THAT(ended.err, AllOf(HasSubstr("'odd'"), HasSubstr("I am too old to tell")));
}

TEST(CommandLineTest, OnlyUnsupportedCases) {
    CommandLine line;
    line.write("interop/base.yaml", "scenarios:\n- { scenario: s, title: t, group: g, rule: READ-DATA, "
                                    "needs: { client: { session: \"no\" } }, steps: [ { connect: {} } ] }\n");
    const Ended ended = line.run_cases();
    EXPECT_EQ(ended.exit.code, 3);
    EXPECT_THAT(ended.out, HasSubstr("0 passed, 0 failed, 0 warned, 1 unsupported"));
    const RunResult results = line.results();
    const CaseResult& result = find_case(results, "good/reference-client/s");
    EXPECT_EQ(result.verdict, Verdict::unsupported);
    EXPECT_EQ(result.reason, "reference-client: session is 'yes', 'no' is needed");
}

TEST(CommandLineTest, AllIsWell) {
    const CommandLine line;
    const Ended ended = line.run_cases({"--require", "good", "--require", "reference-client"});
    EXPECT_EQ(ended.exit.code, 0) << ended.out << ended.err;
    EXPECT_THAT(ended.out, HasSubstr("2 passed, 0 failed, 0 warned, 0 unsupported"));
    EXPECT_THAT(line.leftovers(), IsEmpty());
}

TEST(CommandLineTest, ARunReplacesTheCasesOfTheLastOne) {
    const CommandLine line;
    EXPECT_EQ(line.run_cases().exit.code, 0);
    EXPECT_EQ(line.run_cases({"--scenario", "read-end"}).exit.code, 0);
    EXPECT_THAT(line.results().cases, SizeIs(1));
    EXPECT_FALSE(std::filesystem::exists(line.out() / "cases/good/reference-client/read-start"));
    EXPECT_TRUE(std::filesystem::exists(line.out() / "cases/good/reference-client/read-end"));
}

/// A scenario that the server fails, with that rule.
constexpr const char* failing = R"(scenarios:
- scenario: refuse
  title: Expects what does not come
  group: data
  rule: READ-DATA
  steps:
  - connect: {}
  - read: { offset: 0, length: 4KiB }
    expect: { error: EIO }
)";

constexpr const char* deviation = R"(deviations:
- { deviation: known, server: good, versions: "<= 1.0", rule: READ-DATA, verdict: fail, scenarios: "*", reason: r }
)";

TEST(CommandLineTest, AFailIsRedUntilItIsListed) {
    CommandLine line;
    line.write("interop/base.yaml", failing);
    EXPECT_EQ(line.run_cases().exit.code, 1);
    const RunResult before = line.results();
    const CaseResult& result = find_case(before, "good/reference-client/refuse");
    EXPECT_EQ(result.verdict, Verdict::fail);
    EXPECT_EQ(result.party, Party::server);
    EXPECT_EQ(result.findings.at(0).requirement, "READ-DATA");
    EXPECT_THAT(result.findings.at(0).step, HasSubstr("2: read 0+4096"));

    line.write("deviations.yaml", deviation);
    EXPECT_EQ(line.run_cases().exit.code, 0);
    const RunResult after = line.results();
    EXPECT_EQ(find_case(after, "good/reference-client/refuse").findings.at(0).deviation, "known");
}

TEST(CommandLineTest, AListedDeviationThatIsGoneIsRed) {
    CommandLine line;
    line.write("deviations.yaml", deviation);
    const Ended ended = line.run_cases();
    EXPECT_EQ(ended.exit.code, 1);
    EXPECT_THAT(ended.out, HasSubstr("known (good)"));
    EXPECT_EQ(line.run_cases({"--scenario", "read-start"}).exit.code, 0)
        << "a part of the cases does not show what is gone";
}

TEST(CommandLineTest, ReportsAreMergedFromShards) {
    const CommandLine line;
    const auto shard = [&](const std::string& scenario, const std::string& folder) {
        EXPECT_EQ(line.run({"run", "-q", "--scenario", scenario, "--out", line / folder}).exit.code, 0);
        return (line / folder / "results.json").string();
    };
    const std::string first = shard("read-start", "one");
    const std::string second = shard("read-end", "two");
    const Ended ended = line.run({"report", first, second, "--out", line.out()});
    EXPECT_EQ(ended.exit.code, 0) << ended.err;
    EXPECT_THAT(ended.out, HasSubstr("2 passed"));
    std::vector<std::string> ids;
    for (const CaseResult& result : line.results().cases) {
        ids.push_back(result.id);
        EXPECT_TRUE(std::filesystem::exists(line.out() / result.folder / "server.log")) << result.folder;
    }
    EXPECT_THAT(ids,
                UnorderedElementsAre("good/reference-client/read-start", "good/reference-client/read-end"));
    for (const char* report : {"junit.xml", "matrix.md", "index.html"}) {
        EXPECT_TRUE(std::filesystem::exists(line.out() / report)) << report;
    }

    const Ended twice = line.run({"report", first, first, "--out", line / "twice"});
    EXPECT_EQ(twice.exit.code, 2);
    EXPECT_THAT(twice.err, HasSubstr("good/reference-client/read-start"));

    write_file(line / "garbage.json", "{ \"format\": ");
    const Ended garbage = line.run({"report", line / "garbage.json", "--out", line / "none"});
    EXPECT_EQ(garbage.exit.code, 2);
    EXPECT_THAT(garbage.err, HasSubstr("garbage.json"));
}

// ---- interrupted ----

/// A run whose server hangs, stopped in the middle of it.
class Interrupting : public ::testing::Test {
  protected:
    Interrupting() {
        line_.add_server("slow",
                         "listen: socket-activation\nstart: [sh, -c, 'setsid sleep 1000 & touch \"$0\"; "
                         "exec sleep 1000', '" +
                             (line_ / "started").string() + "']\n");
    }

    /// A run that waits for the slow server, while the good one has been at work.
    Process start() {
        Process process = line_.start({"run", "--quiet", "--out", line_.out(), "--jobs", "2"});
        EXPECT_TRUE(eventually([&] { return std::filesystem::exists(line_ / "started"); }));
        EXPECT_THAT(line_.leftovers(), Not(IsEmpty())) << "this test would not notice what is left";
        return process;
    }

    void expect_nothing_left() {
        EXPECT_TRUE(eventually([&] { return line_.leftovers().empty(); }))
            << ::testing::PrintToString(line_.leftovers());
    }

    CommandLine line_;
};

TEST_F(Interrupting, BySignalsThatAskForTheEnd) {
    for (const int signal : {SIGINT, SIGTERM}) {
        std::filesystem::remove(line_ / "started");
        Process process = start();
        process.kill(signal);
        const auto exit = process.wait_for(generous);
        ASSERT_TRUE(exit);
        EXPECT_EQ(*exit, (Exit{130, 0, false})) << "after signal " << signal;
        EXPECT_THAT(read_file(line_ / "stderr"), HasSubstr("interrupted"));
        expect_nothing_left();
    }
}

TEST_F(Interrupting, ByImpatience) {
    Process process = start();
    process.kill(SIGINT);
    process.kill(SIGINT);
    const auto exit = process.wait_for(generous);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->signal == 0 ? exit->code : 128 + exit->signal, 130);
    expect_nothing_left();
}

TEST_F(Interrupting, ByKillingTheRunner) {
    Process process = start();
    process.kill(SIGKILL);
    const auto exit = process.wait_for(generous);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->signal, SIGKILL);
    expect_nothing_left();
}

} // namespace
} // namespace harness
