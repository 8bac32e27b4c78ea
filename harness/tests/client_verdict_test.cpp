// From what a client did to a verdict.

#include "harness/check/client_verdict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace harness::check {
namespace {

using reports::CaseResult;
using reports::Party;
using reports::Verdict;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Wants = ClientCase::Wants;
using Output = ClientCase::Output;

class ClientVerdictTest : public ::testing::Test {
  protected:
    ClientVerdictTest() {
        requirements_["IT-MUST"] = {"IT-MUST", "S", Level::must, Bound::client, "t", "", "", ""};
        requirements_["IT-SHOULD"] = {"IT-SHOULD", "S", Level::should, Bound::client, "t", "", "", ""};
        requirements_["SERVER-MUST"] = {"SERVER-MUST", "S", Level::must, Bound::server, "t", "", "", ""};
        item_.name = "case";
        item_.title = "Something is odd";
        item_.tests = {"IT-MUST"};
        item_.server.fault = "some-fault";
        item_.bites = {"NBD_CMD_READ"};
        item_.wants = Wants::rejects;
        usual_.run.asked = {{"NBD_OPT_GO", 1}, {"NBD_CMD_READ", 4}, {"NBD_CMD_DISC", 1}};
        usual_.run.connections = 1;
        usual_.run.output = "one\ntwo\n";
        usual_.run.disk = "disk";
        run_ = usual_.run;
        run_.at_work = true;
    }

    const CaseResult& judged(const ClientRun* control = nullptr) {
        result_ = {};
        judge_client({item_, requirements_, command_, usual_, run_, control, "answers badly", true}, result_);
        return result_;
    }

    static WireFinding broken(wire::Side by, const std::string& requirement, bool by_ending = false) {
        return {requirement, by, true, "it is wrong", "connection 1", 1, by_ending};
    }

    Requirements requirements_;
    ClientCase item_;
    ClientCommand command_;
    Usual usual_;
    ClientRun run_;
    CaseResult result_;
};

TEST_F(ClientVerdictTest, BlamesAClientThatAcceptsWhatItHasToReject) {
    EXPECT_EQ(judged().verdict, Verdict::fail);
    EXPECT_EQ(result_.party, Party::client);
    ASSERT_THAT(result_.findings, SizeIs(1));
    EXPECT_EQ(result_.findings[0].requirement, "IT-MUST");
    EXPECT_THAT(result_.reason, HasSubstr("the server answers badly"));
}

TEST_F(ClientVerdictTest, WarnsWhereNoMustBindsTheClient) {
    item_.tests = {"IT-SHOULD"};
    EXPECT_EQ(judged().verdict, Verdict::warn);
    item_.tests.clear();
    item_.breaks = "SERVER-MUST";
    EXPECT_EQ(judged().verdict, Verdict::warn);
    EXPECT_EQ(result_.findings.at(0).requirement, "SERVER-MUST");
}

TEST_F(ClientVerdictTest, PraisesAClientThatFails) {
    run_.exit.code = 1;
    EXPECT_EQ(judged().verdict, Verdict::pass);
}

TEST_F(ClientVerdictTest, TakesNoCrashForARejection) {
    run_.exit = {0, SIGSEGV, false};
    EXPECT_EQ(judged().verdict, Verdict::crash);
    run_.exit = {128 + SIGABRT, 0, false};
    EXPECT_EQ(judged().verdict, Verdict::crash);
    EXPECT_EQ(result_.party, Party::client);
}

TEST_F(ClientVerdictTest, TakesNoHangForARejectionUnlessTheServerOwesSomething) {
    run_.timed_out = true;
    EXPECT_EQ(judged().verdict, Verdict::timeout);
    item_.may_wait = true;
    EXPECT_EQ(judged().verdict, Verdict::pass);
}

TEST_F(ClientVerdictTest, BlamesGrowth) {
    run_.grew = true;
    EXPECT_EQ(judged().verdict, Verdict::fail);
}

TEST_F(ClientVerdictTest, SaysNothingWhereTheFaultWasNotReached) {
    run_.at_work = false;
    EXPECT_EQ(judged().verdict, Verdict::unsupported);
    EXPECT_THAT(result_.reason, HasSubstr("nothing that the client sent"));
}

TEST_F(ClientVerdictTest, KnowsWhatAClientWouldNeverMeet) {
    EXPECT_TRUE(could_bite(item_, usual_.run));
    item_.bites = {"NBD_CMD_WRITE", "NBD_OPT_LIST"};
    EXPECT_FALSE(could_bite(item_, usual_.run));
}

TEST_F(ClientVerdictTest, AllowsToSucceedOnAFurtherConnectionWhereTheCaseSaysSo) {
    run_.connections = 2;
    EXPECT_EQ(judged().verdict, Verdict::fail);
    item_.may_reconnect = true;
    EXPECT_EQ(judged().verdict, Verdict::pass);
}

TEST_F(ClientVerdictTest, ComparesWithAFailureThatMattersNot) {
    // The client reports success where reads fail, and does not say "two" then.
    ClientRun control = usual_.run;
    control.at_work = true;
    control.output = "one\n";
    EXPECT_EQ(judged(&control).verdict, Verdict::fail) << "it took the bad reply for a good one";
    run_.output = "one\n";
    EXPECT_EQ(judged(&control).verdict, Verdict::pass);
    control.output = run_.output = usual_.run.output;
    EXPECT_EQ(judged(&control).verdict, Verdict::unsupported) << "nobody can tell";
    control.exit.code = 1;
    EXPECT_EQ(judged(&control).verdict, Verdict::fail) << "reads do matter to it";
}

TEST_F(ClientVerdictTest, NamesTheServerWhoseCommandFails) {
    EXPECT_EQ(control_oddity(item_), "fails-read");
    item_.bites = {"NBD_CMD_BLOCK_STATUS"};
    EXPECT_EQ(control_oddity(item_), "fails-block-status");
    item_.bites = {"NBD_OPT_GO"};
    EXPECT_EQ(control_oddity(item_), "");
    item_.bites = {"NBD_CMD_READ"};
    item_.wants = Wants::survives;
    EXPECT_EQ(control_oddity(item_), "");
}

TEST_F(ClientVerdictTest, BlamesAClientThatDoesNotTolerate) {
    item_.wants = Wants::tolerates;
    EXPECT_EQ(judged().verdict, Verdict::pass);
    run_.exit.code = 1;
    EXPECT_EQ(judged().verdict, Verdict::fail);
    item_.may_need = {"NBD_CMD_READ"};
    EXPECT_EQ(judged().verdict, Verdict::unsupported);
}

TEST_F(ClientVerdictTest, NoticesWorkThatIsLeftOut) {
    item_.wants = Wants::tolerates;
    run_.asked.erase("NBD_CMD_READ");
    EXPECT_EQ(judged().verdict, Verdict::fail);
    EXPECT_THAT(result_.reason, HasSubstr("left out NBD_CMD_READ"));
    item_.may_skip = {"NBD_CMD_READ"};
    EXPECT_EQ(judged().verdict, Verdict::pass);
}

TEST_F(ClientVerdictTest, CountsConnectionsWhereTheCaseDoes) {
    item_.wants = ClientCase::Wants::tolerates;
    run_.at_once = 4;
    EXPECT_EQ(judged().verdict, Verdict::pass);
    item_.connections = 1;
    EXPECT_EQ(judged().verdict, Verdict::fail);
    run_.at_once = 1;
    EXPECT_EQ(judged().verdict, Verdict::pass);
}

TEST_F(ClientVerdictTest, NoticesCorruption) {
    item_.wants = Wants::survives;
    run_.output = "one\nthree\n";
    EXPECT_EQ(judged().verdict, Verdict::pass);
    item_.output = Output::as_usual;
    EXPECT_EQ(judged().verdict, Verdict::fail);
    EXPECT_THAT(result_.reason, HasSubstr("'three' rather than 'two'"));
    item_.output = Output::nothing_else;
    EXPECT_EQ(judged().verdict, Verdict::fail);
    item_.output = Output::data;
    EXPECT_EQ(judged().verdict, Verdict::pass) << "text may tell what is different";
    run_.file = "other bytes";
    EXPECT_EQ(judged().verdict, Verdict::fail);
    run_.file.clear();
    run_.disk = "other";
    EXPECT_EQ(judged().verdict, Verdict::fail);
    run_.exit.code = 1;
    EXPECT_EQ(judged().verdict, Verdict::pass) << "it reports no success";
}

TEST_F(ClientVerdictTest, HoldsACopyAgainstTheDisk) {
    item_.wants = Wants::survives;
    item_.server = {};
    item_.server.size = 513;
    run_.disk = "513 bytes";
    run_.file = "512 bytes";
    EXPECT_EQ(judged().verdict, Verdict::pass) << "it does not copy the disk usually";
    usual_.run.file = usual_.run.disk = "1000 bytes";
    EXPECT_EQ(judged().verdict, Verdict::fail);
    EXPECT_THAT(result_.reason, HasSubstr("513 bytes long, has 512 bytes"));
    run_.file.clear();
    EXPECT_EQ(judged().verdict, Verdict::fail) << "it wrote nothing at all";
    run_.file = run_.disk;
    EXPECT_EQ(judged().verdict, Verdict::pass);
    run_.file = "513 other bytes";
    EXPECT_EQ(judged().verdict, Verdict::fail);
    run_.file = "1024 bytes";
    EXPECT_EQ(judged().verdict, Verdict::pass) << "it pads its copy";
    run_.file = "512 bytes";
    run_.exit.code = 1;
    EXPECT_EQ(judged().verdict, Verdict::pass) << "it reports no success";
    run_.exit.code = 0;
    item_.server.fault = "some-fault";
    EXPECT_EQ(judged().verdict, Verdict::pass) << "nobody knows what the server made of its disk";
}

TEST_F(ClientVerdictTest, WantsNoLessThanUsualOfALargerDisk) {
    item_.wants = Wants::survives;
    item_.server = {};
    item_.server.size = std::uint64_t{8} << 30;
    usual_.run.file = usual_.run.disk = "1000 bytes";
    run_.disk.clear();
    run_.file = "1000 bytes";
    EXPECT_EQ(judged().verdict, Verdict::pass) << "it may have been told to copy just that";
    run_.file = "512 bytes";
    EXPECT_EQ(judged().verdict, Verdict::fail);
    run_.file.clear();
    EXPECT_EQ(judged().verdict, Verdict::fail);
}

TEST_F(ClientVerdictTest, AllowsLinesToBeMissing) {
    item_.wants = Wants::survives;
    run_.output = "two\n";
    item_.output = Output::nothing_else;
    EXPECT_EQ(judged().verdict, Verdict::pass);
    item_.output = Output::as_usual;
    EXPECT_EQ(judged().verdict, Verdict::fail);
}

TEST_F(ClientVerdictTest, LeavesAsideWhatDiffersFromTimeToTime) {
    usual_.again = usual_.run;
    usual_.again->output = "one\n2\n";
    run_.output = "one\nzwei\n";
    EXPECT_EQ(same_output(usual_, run_), true);
    run_.output = "eins\ntwo\n";
    EXPECT_EQ(same_output(usual_, run_), false);
    usual_.again->output = "quite another\n";
    EXPECT_EQ(same_output(usual_, run_), std::nullopt);
}

TEST_F(ClientVerdictTest, CountsWhatTheClientDoesOnTheWire) {
    item_.server.fault.clear();
    item_.server.oddity = "odd";
    item_.wants = Wants::survives;
    run_.findings = {broken(wire::Side::client, "DISC-ENDS"), broken(wire::Side::server, "SERVER-MUST")};
    EXPECT_EQ(judged().verdict, Verdict::fail);
    ASSERT_THAT(result_.findings, SizeIs(1));
    EXPECT_EQ(result_.findings[0].requirement, "DISC-ENDS");
    usual_.run.findings = {broken(wire::Side::client, "DISC-ENDS")};
    EXPECT_EQ(judged().verdict, Verdict::pass) << "it does that always, which the baseline says";
}

TEST_F(ClientVerdictTest, LeavesOutWhatAFaultMayHaveProvoked) {
    item_.wants = Wants::survives;
    run_.findings = {broken(wire::Side::client, "DISC-ENDS")};
    EXPECT_THAT(judged().findings, IsEmpty());
    item_.tests = {"DISC-ENDS"};
    requirements_["DISC-ENDS"] = requirements_.at("IT-MUST");
    EXPECT_EQ(judged().verdict, Verdict::fail);
}

TEST_F(ClientVerdictTest, LeavesOutHowAClientEndsThatMetTheLimitOfItsFile) {
    item_.server.fault.clear();
    item_.server.oddity = "odd";
    item_.wants = Wants::survives;
    run_.exit = {0, SIGXFSZ, false};
    run_.findings = {broken(wire::Side::client, "CLIENT-SOFT-END", true)};
    EXPECT_EQ(judged().verdict, Verdict::pass);
}

TEST_F(ClientVerdictTest, WantsSomethingToBeSaid) {
    item_.server.fault.clear();
    item_.wants = Wants::reports;
    usual_.run.errors = "usual\n";
    run_.errors = "usual\nusual\n";
    EXPECT_EQ(judged().verdict, Verdict::fail);
    run_.errors = "usual\nwarning: what is this?\n";
    EXPECT_EQ(judged().verdict, Verdict::pass);
    run_.errors.clear();
    run_.exit.code = 1;
    EXPECT_EQ(judged().verdict, Verdict::pass) << "an error is a report, too";
}

TEST_F(ClientVerdictTest, BlamesForWhatMayNotBeSent) {
    item_.wants = Wants::survives;
    item_.may_send = {"NBD_OPT_GO", "NBD_CMD_READ", "NBD_CMD_DISC"};
    EXPECT_EQ(judged().verdict, Verdict::pass);
    run_.asked["NBD_OPT_LIST"] = 1;
    EXPECT_EQ(judged().verdict, Verdict::fail);
    EXPECT_THAT(result_.reason, HasSubstr("sent NBD_OPT_LIST"));
    item_.may_send.reset();
    EXPECT_EQ(judged().verdict, Verdict::pass);
    item_.may_not_send = {"NBD_OPT_LIST"};
    EXPECT_EQ(judged().verdict, Verdict::fail);
}

TEST_F(ClientVerdictTest, BlamesForWhatIsUsuallySentAndMissing) {
    item_.wants = Wants::survives;
    item_.still_sends = {"NBD_OPT_GO", "NBD_OPT_ABORT"};
    EXPECT_EQ(judged().verdict, Verdict::pass) << "it never sends NBD_OPT_ABORT";
    run_.asked.erase("NBD_OPT_GO");
    EXPECT_EQ(judged().verdict, Verdict::fail);
    EXPECT_THAT(result_.reason, HasSubstr("did not send NBD_OPT_GO"));
}

TEST_F(ClientVerdictTest, BlamesForAnotherExportThanTheUriNames) {
    item_.server = {};
    item_.server.export_name = "disk";
    item_.uri = ClientUri("nbd+unix:///%64isk?socket={socket}");
    item_.wants = Wants::tolerates;
    run_.entered = {"disk"};
    EXPECT_EQ(judged().verdict, Verdict::pass);
    run_.entered = {"", "disk"};
    EXPECT_EQ(judged().verdict, Verdict::fail);
    EXPECT_THAT(result_.reason, HasSubstr("entered the export ''"));
}

} // namespace
} // namespace harness::check
