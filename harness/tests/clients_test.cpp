// Clients that are programs or shells, played by shell scripts, and daemons that are kept in the foreground.

#include "harness/peers/program_client.hpp"
#include "harness/peers/shell_client.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/launch.hpp"
#include "harness/process/marker.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace harness {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ClientStep step(StepKind kind, const std::string& connection = "a") {
    ClientStep step;
    step.kind = kind;
    step.id = 3;
    step.connection = connection;
    step.uri = "nbd://host/disk";
    step.offset = 512;
    step.length = 1024;
    step.from = "/tmp/from";
    return step;
}

/// A client whose operations are shell scripts.
class ProgramClientTest : public ::testing::Test {
  protected:
    ProgramClientTest() {
        values_.texts["uri"] = "nbd://host/disk";
        values_.lists["args"] = {"-x", "-y"};
        into_ = folder_ / "into";
    }

    OperationTemplate& operation(StepKind kind, const std::string& script,
                                 std::vector<std::string> words = {}) {
        peer_.operations.insert(name(kind));
        OperationTemplate& operation = peer_.templates[name(kind)];
        operation.run = {"sh", "-c", script, "program"};
        operation.run.insert(operation.run.end(), words.begin(), words.end());
        return operation;
    }

    ClientOutcome perform(ClientStep what, Deadline deadline = generous_deadline()) {
        what.into = into_;
        ProgramClient client(peer_, variant_, values_, folder_.path());
        return client.perform(what, deadline);
    }

    TempFolder folder_;
    std::filesystem::path into_;
    Peer peer_;
    ClientVariant variant_;
    Placeholders values_;
};

TEST_F(ProgramClientTest, PlaceholdersOfTheStepAreFilledIn) {
    operation(StepKind::read, "printf '%s\\n' \"$@\" > " + (folder_ / "words").string(),
              {"{args}", "{uri}", "{offset}", "{length}", "{from}", "{into}", "{flags}"})
        .flags = {{"fua", "-f"}, {"df", "-d"}};
    ClientStep read = step(StepKind::read);
    read.flags = {"fua", "df"};
    EXPECT_FALSE(perform(read).error);
    EXPECT_EQ(read_file(folder_ / "words"),
              "-x\n-y\nnbd://host/disk\n512\n1024\n/tmp/from\n" + into_.string() + "\n-d\n-f\n");
}

TEST_F(ProgramClientTest, WithoutFlagsTheirPlaceholderIsNoWord) {
    operation(StepKind::read, "echo $# > " + (folder_ / "count").string(), {"{flags}"});
    EXPECT_FALSE(perform(step(StepKind::read)).error);
    EXPECT_EQ(read_file(folder_ / "count"), "0\n");
}

TEST_F(ProgramClientTest, TheEnvironmentOfTheVariantIsThere) {
    variant_.env = {{"GREETING", "hello"}};
    operation(StepKind::read, "test \"$GREETING\" = hello");
    EXPECT_FALSE(perform(step(StepKind::read)).error);
}

TEST_F(ProgramClientTest, AResultIsReadFromTheOutput) {
    operation(StepKind::info, "echo '{\"size\": 77}'; echo noise >&2").result.fields = {
        {"size", {"/size", {}, false}}};
    EXPECT_EQ(perform(step(StepKind::info)).result.size, 77U);
}

TEST_F(ProgramClientTest, AnExitStatusOtherThanZeroIsAnErrorInItsWords) {
    operation(StepKind::read, "echo 'read: command failed: Invalid argument' >&2; exit 1");
    const ClientOutcome outcome = perform(step(StepKind::read));
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->name, "EINVAL");
    EXPECT_EQ(outcome.error->where, ErrorPlace::unknown);
    EXPECT_THAT(outcome.error->message, HasSubstr("read: command failed"));
}

TEST_F(ProgramClientTest, AConnectionErrorIsOneOfTheConnection) {
    operation(StepKind::read, "echo 'connect: Connection refused' >&2; exit 1");
    const ClientOutcome outcome = perform(step(StepKind::read));
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->where, ErrorPlace::connection);
}

TEST_F(ProgramClientTest, AFailureInItsOutputCountsThoughItExitsWithZero) {
    operation(StepKind::read, "echo 'write failed: No space left on device'").output.failure =
        "^write failed: .*$";
    const ClientOutcome outcome = perform(step(StepKind::read));
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->name, "ENOSPC");
}

TEST_F(ProgramClientTest, ASuccessThatDoesNotShowIsNone) {
    operation(StepKind::read, "echo 'did something'").output.success = "^copied";
    bool failed = false;
    try {
        failed = perform(step(StepKind::read)).error.has_value();
    } catch (const std::runtime_error&) {
        failed = true;
    }
    EXPECT_TRUE(failed) << "OutputRule: `success` must match the output";
}

TEST_F(ProgramClientTest, ASignalIsACrash) {
    operation(StepKind::read, "echo 'oops' >&2; kill -ABRT $$");
    try {
        (void)perform(step(StepKind::read));
        FAIL() << "it should have died";
    } catch (const ClientDied& death) {
        EXPECT_TRUE(death.crashed());
        EXPECT_THAT(death.what(), AllOf(HasSubstr("SIGABRT"), HasSubstr("oops")));
    }
}

TEST_F(ProgramClientTest, AProgramThatHangsTimesOut) {
    operation(StepKind::read, "exec sleep 1000");
    EXPECT_THROW((void)perform(step(StepKind::read), std::chrono::steady_clock::now() + 200ms), TimedOut);
}

TEST_F(ProgramClientTest, AProgramThatIsNotThere) {
    operation(StepKind::read, "").run = {"/no/such/program"};
    EXPECT_THROW((void)perform(step(StepKind::read)), LaunchError);
}

TEST_F(ProgramClientTest, OutputThatIsNotOfTheFormIsARuntimeError) {
    operation(StepKind::info, "echo hello").result.fields = {{"size", {"/size", {}, false}}};
    EXPECT_THROW((void)perform(step(StepKind::info)), std::runtime_error);
}

TEST_F(ProgramClientTest, ConnectingAndDisconnectingIsUpToEachProcess) {
    EXPECT_FALSE(perform(step(StepKind::connect)).error);
    EXPECT_FALSE(perform(step(StepKind::disconnect)).error);
}

TEST_F(ProgramClientTest, CommandsAndOutputAreKept) {
    operation(StepKind::info, "echo some output; echo some words >&2", {"{uri}"});
    (void)perform(step(StepKind::info));
    EXPECT_THAT(read_file(folder_ / "client-commands.txt"), HasSubstr("nbd://host/disk"));
    EXPECT_EQ(read_file(folder_ / "client-03-info.out"), "some output\n");
    EXPECT_EQ(read_file(folder_ / "client-03-info.log"), "some words\n");
}

/// A client with a prompt. Its script is the loop's body, with the line in $line.
class ShellClientTest : public ::testing::Test {
  protected:
    ShellClientTest() {
        peer_.name = "prompter";
        peer_.kind = ClientKind::shell;
        peer_.prompt = "> ";
        for (const StepKind kind : {StepKind::read, StepKind::write}) {
            peer_.operations.insert(name(kind));
            OperationTemplate& operation = peer_.templates[name(kind)];
            operation.send = std::string(name(kind)) + " {flags} {from} {offset} {length}";
            operation.flags = {{"fua", "-f"}, {"df", "-d"}};
            operation.output.success = "^done";
            operation.output.failure = "^failed: .*$";
        }
    }

    ShellClient& start(const std::string& body, const std::string& before = ":") {
        variant_.start = {"sh", "-c",
                          before + "; printf '> '; while read -r line; do " + (body.empty() ? ":" : body) +
                              "; printf '> '; done",
                          "prompter", "{uri}"};
        client_ = std::make_unique<ShellClient>(peer_, variant_, Placeholders{}, folder_.path());
        return *client_;
    }

    /// A client that is connected.
    ShellClient& connected(const std::string& body) {
        ShellClient& client = start(body);
        EXPECT_FALSE(client.perform(step(StepKind::connect), generous_deadline()).error);
        return client;
    }

    TempFolder folder_;
    Peer peer_;
    ClientVariant variant_;
    std::unique_ptr<ShellClient> client_;
};

TEST_F(ShellClientTest, ALineForEachStepInOneProcess) {
    ShellClient& client = connected("echo \"$$ $line\" >> " + (folder_ / "lines").string() + "; echo done");
    ClientStep write = step(StepKind::write);
    write.flags = {"df", "fua"};
    EXPECT_FALSE(client.perform(step(StepKind::read), generous_deadline()).error);
    EXPECT_FALSE(client.perform(write, generous_deadline()).error);
    client.finish(generous_deadline());
    const std::string lines = read_file(folder_ / "lines");
    const std::string pid = lines.substr(0, lines.find(' '));
    EXPECT_EQ(lines, pid + " read  /tmp/from 512 1024\n" + pid + " write -d -f /tmp/from 512 1024\n");
}

TEST_F(ShellClientTest, TwoConnectionsAreTwoProcesses) {
    ShellClient& client = connected("echo \"$$\" >> " + (folder_ / "pids").string() + "; echo done");
    EXPECT_FALSE(client.perform(step(StepKind::connect, "b"), generous_deadline()).error);
    EXPECT_FALSE(client.perform(step(StepKind::read, "a"), generous_deadline()).error);
    EXPECT_FALSE(client.perform(step(StepKind::read, "b"), generous_deadline()).error);
    const std::string pids = read_file(folder_ / "pids");
    EXPECT_NE(pids.substr(0, pids.find('\n')),
              pids.substr(pids.find('\n') + 1, pids.size() - pids.find('\n') - 2));
}

TEST_F(ShellClientTest, AFailureInItsWords) {
    const ClientOutcome outcome =
        connected("echo 'failed: Input/output error'").perform(step(StepKind::read), generous_deadline());
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->name, "EIO");
}

TEST_F(ShellClientTest, WordsOnStandardErrorInsteadOfSuccess) {
    const ClientOutcome outcome = connected("echo 'write failed: Operation not permitted' >&2")
                                      .perform(step(StepKind::write), generous_deadline());
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->name, "EPERM");
}

TEST_F(ShellClientTest, AnAnswerThatIsNeitherIsQuoted) {
    ShellClient& client = connected("echo 'what?'");
    EXPECT_THAT(message_of<std::runtime_error>(
                    [&] { (void)client.perform(step(StepKind::read), generous_deadline()); }),
                HasSubstr("what?"));
}

TEST_F(ShellClientTest, ARefusedConnectionIsAnOutcome) {
    ShellClient& client = start("", "echo \"cannot open $1: Connection refused\" >&2; exit 1");
    const ClientOutcome outcome = client.perform(step(StepKind::connect), generous_deadline());
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->name, "ECONNREFUSED");
    EXPECT_EQ(outcome.error->where, ErrorPlace::connection);
    EXPECT_THAT(outcome.error->message, HasSubstr("cannot open nbd://host/disk"));
}

TEST_F(ShellClientTest, AStepWithoutConnection) {
    ShellClient& client = start("echo done");
    EXPECT_EQ(client.perform(step(StepKind::read), generous_deadline()).error.value().name, "ENOTCONN");
    EXPECT_EQ(client.perform(step(StepKind::disconnect), generous_deadline()).error.value().name, "ENOTCONN");
}

TEST_F(ShellClientTest, AfterDisconnectTheConnectionIsGone) {
    ShellClient& client = connected("echo done");
    EXPECT_FALSE(client.perform(step(StepKind::disconnect), generous_deadline()).error);
    EXPECT_EQ(client.perform(step(StepKind::read), generous_deadline()).error.value().name, "ENOTCONN");
}

TEST_F(ShellClientTest, AnAbruptEndIsOneWithoutGoodbye) {
    variant_.env = {};
    ShellClient& client = start("echo done", "trap 'echo bye > " + (folder_ / "bye").string() + "' EXIT");
    EXPECT_FALSE(client.perform(step(StepKind::connect), generous_deadline()).error);
    ClientStep leave = step(StepKind::disconnect);
    leave.abrupt = true;
    EXPECT_FALSE(client.perform(leave, generous_deadline()).error);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "bye"));
}

TEST_F(ShellClientTest, AShellThatDiesInMidCommand) {
    ShellClient& client = connected("echo oops >&2; kill -SEGV $$");
    try {
        (void)client.perform(step(StepKind::read), generous_deadline());
        FAIL() << "it should have died";
    } catch (const ClientDied& death) {
        EXPECT_TRUE(death.crashed());
        EXPECT_THAT(death.what(), AllOf(HasSubstr("SIGSEGV"), HasSubstr("oops")));
    }
}

TEST_F(ShellClientTest, AShellThatHangsTimesOut) {
    ShellClient& client = connected("sleep 1000");
    EXPECT_THROW((void)client.perform(step(StepKind::read), std::chrono::steady_clock::now() + 200ms),
                 TimedOut);
}

TEST_F(ShellClientTest, AShellThatNeverPrompts) {
    ShellClient& client = start("", "exec sleep 1000");
    EXPECT_THROW((void)client.perform(step(StepKind::connect), std::chrono::steady_clock::now() + 200ms),
                 TimedOut);
}

TEST_F(ShellClientTest, FinishEndsWhatIsOpen) {
    ShellClient& client = start("echo done", "trap 'echo bye > " + (folder_ / "bye").string() + "' EXIT");
    EXPECT_FALSE(client.perform(step(StepKind::connect), generous_deadline()).error);
    client.finish(generous_deadline());
    EXPECT_EQ(read_file(folder_ / "bye"), "bye\n");
}

/// in-foreground, with a shell script in the role of a daemon.
class InForeground : public ::testing::Test {
  protected:
    Process start(const std::string& script) {
        Launch launch;
        launch.argv = {NBD_BIN_DIR "/in-foreground", "sh", "-c", script};
        launch.log = folder_ / "log";
        return Process::start(launch);
    }

    /// A script that becomes a daemon, in a session of its own, prepares itself, and then does that.
    [[nodiscard]] std::string daemon(const std::string& body, const std::string& preparation = ":") const {
        // The shell that starts it might take the end of its child for itself, so that must be gone before.
        return "launcher=$$ setsid sh -c 'while kill -0 $launcher 2>/dev/null; do sleep 0.01; done; " +
               preparation + "; echo $$ > " + pid_file_ + ".new; mv " + pid_file_ + ".new " + pid_file_ +
               "; " + body + "' & exit 0";
    }

    [[nodiscard]] pid_t daemon_pid() const {
        EXPECT_TRUE(eventually([&] { return std::filesystem::exists(pid_file_); }));
        return static_cast<pid_t>(std::stol(read_file(pid_file_)));
    }

    TempFolder folder_;
    std::string pid_file_ = (folder_ / "pid").string();
};

TEST_F(InForeground, StaysAsLongAsTheDaemonAndEndsLikeIt) {
    Process process =
        start(daemon("while ! test -e " + (folder_ / "end").string() + "; do sleep 0.01; done; exit 5"));
    (void)daemon_pid();
    EXPECT_TRUE(process.running());
    EXPECT_FALSE(process.wait_for(100ms)) << "the command has ended, the daemon has not";
    write_file(folder_ / "end", "");
    const auto exit = process.wait_for(generous);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->code, 5);
}

TEST_F(InForeground, EndsByTheSignalThatEndsTheDaemon) {
    Process process = start(daemon("exec sleep 1000"));
    ASSERT_EQ(::kill(daemon_pid(), SIGKILL), 0);
    const auto exit = process.wait_for(generous);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->signal, SIGKILL);
}

TEST_F(InForeground, PassesTheWishToEndOn) {
    Process process = start(daemon("while :; do sleep 0.01; done", "trap \"exit 0\" TERM"));
    const pid_t pid = daemon_pid();
    process.kill(SIGTERM);
    const auto exit = process.wait_for(generous);
    ASSERT_TRUE(exit);
    EXPECT_TRUE(exit->success()) << exit->describe();
    EXPECT_EQ(::kill(pid, 0), -1) << "the daemon is still there";
}

TEST_F(InForeground, ACommandThatFailsToBecomeADaemon) {
    Process process = start("echo 'bad configuration' >&2; exit 3");
    const auto exit = process.wait_for(generous);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->code, 3);
    EXPECT_EQ(read_file(folder_ / "log"), "bad configuration\n");
}

TEST_F(InForeground, NoSuchCommand) {
    Launch launch;
    launch.argv = {NBD_BIN_DIR "/in-foreground", "/no/such/command"};
    launch.log = folder_ / "log";
    Process process = Process::start(launch);
    const auto exit = process.wait_for(generous);
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->code, 127);
    EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("/no/such/command"));
}

} // namespace
} // namespace harness
