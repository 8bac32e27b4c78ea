// The suite of the qcow2 stacks: it is read right and completely, mistakes are reported where they are, and
// servers that lose data and clients that die are noticed.

#include "harness/cli/commands.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/workspace.hpp"
#include "harness/stacks/evidence.hpp"
#include "harness/stacks/program.hpp"
#include "harness/stacks/stack_run.hpp"
#include "harness/stacks/suite.hpp"
#include "harness/tests/temp_catalogue.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>

namespace harness {
namespace {

using namespace testing_support;
using reports::CaseResult;
using reports::Finding;
using reports::Party;
using reports::Verdict;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::SizeIs;

const std::filesystem::path project = std::filesystem::path(NBD_SOURCE_DIR) / "scenarios";

StackSuite load(const std::filesystem::path& folder = project / "stacks") {
    static const Catalogue base = load_catalogue(project);
    static const Knobs knobs = Knobs::load(project / "knobs.yaml");
    return load_stack_suite(folder, base, knobs);
}

/// A copy of the suite's folder, in which tests change things.
class Copy {
  public:
    Copy() {
        for (const auto& file : std::filesystem::directory_iterator(project / "stacks")) {
            files_.write(file.path().filename().string(), read_file(file.path()));
        }
    }
    TempCatalogue* operator->() { return &files_; }
    [[nodiscard]] StackSuite load() const { return harness::load(files_.path()); }
    [[nodiscard]] std::filesystem::path path() const { return files_.path(); }

  private:
    TempCatalogue files_;
};

TEST(StackSuite, EveryStepOfEveryCaseHasOneExpectation) {
    const StackSuite suite = load();
    const std::vector<StackCase> cases = stack_cases(suite, false);
    EXPECT_THAT(cases, Not(IsEmpty()));
    for (const StackCase& item : cases) {
        const Facts facts = item.facts();
        for (const Action& action : item.server == nullptr ? std::vector<Action>{} : item.scenario->actions) {
            EXPECT_EQ(std::ranges::count_if(
                          action.rows, [&](const ExpectationRow& row) { return satisfied(row.when, facts); }),
                      1)
                << item.id() << ": " << action.describe(item.scenario->disk);
        }
    }
}

TEST(StackSuite, CasesHaveNamesOfTheirOwn) {
    const StackSuite suite = load();
    std::set<std::string> names;
    for (const StackCase& item : stack_cases(suite, false)) {
        EXPECT_TRUE(names.insert(item.id()).second) << item.id();
    }
}

TEST(StackSuite, BothStacksMeetEveryServer) {
    const StackSuite suite = load();
    std::set<std::string> met;
    for (const StackCase& item : stack_cases(suite, false)) {
        met.insert(fmt::format("{} on {}", item.stack->name, item.server_peer->name));
    }
    for (const char* stack : {"a", "b"}) {
        for (const char* server :
             {"qemu-nbd", "qemu-storage-daemon", "nbdkit", "nbd-server", "reference-server"}) {
            EXPECT_THAT(met, Contains(fmt::format("{} on {}", stack, server)));
        }
    }
}

TEST(StackSuite, TheServerThatGrowsHasEveryConsentSizingAndFill) {
    const StackSuite suite = load();
    std::set<std::string> configurations;
    for (const ServerVariant& variant : suite.catalogue.peer("reference-server-growing", "server")->servers) {
        configurations.insert(fmt::format("{} {} {}", variant.traits.at("knob.consent"),
                                          variant.traits.at("knob.sizing"), variant.traits.at("knob.fill")));
    }
    EXPECT_THAT(configurations, SizeIs(2 * 3 * 2));
}

TEST(StackSuite, TheBridgeMeetsEveryWayOfGrowing) {
    const StackSuite suite = load();
    std::set<std::string> configurations;
    for (const StackCase& item : stack_cases(suite, false)) {
        if (item.stack->name == "b-bridge") {
            configurations.insert(
                fmt::format("{} {}", item.facts().at("knob.growth"), item.facts().at("knob.consent")));
        }
    }
    EXPECT_THAT(configurations,
                IsSupersetOf({"none -", "explicit -", "auto implicit", "auto opt-in", "both opt-in"}));
}

TEST(StackSuite, TheBriefPartIsAPartOfTheWhole) {
    const StackSuite suite = load();
    std::set<std::string> whole;
    for (const StackCase& item : stack_cases(suite, false)) {
        whole.insert(item.id());
    }
    const std::vector<StackCase> brief = stack_cases(suite, true);
    EXPECT_LT(brief.size(), whole.size() / 10);
    for (const StackCase& item : brief) {
        EXPECT_THAT(whole, Contains(item.id()));
    }
}

TEST(StackSuite, AMistakeIsReportedWhereItIs) {
    struct Mistake {
        const char* file;
        const char* from;
        const char* to;
        const char* message;
    };
    for (const Mistake& mistake : {
             Mistake{"scenarios.yaml", "  - fill: &whole", "  - ^filll: &whole", "did you mean 'fill'?"},
             Mistake{"scenarios.yaml", "stacks: &all [a, b, b-bridge", "stacks: ^&all [a, c, b-bridge",
                     "there is no stack 'c'"},
             Mistake{"scenarios.yaml", "container: 5MiB", "container: ^5Mib", "Mib"},
             Mistake{"scenarios.yaml", "knob.consent: implicit }, then: ok }",
                     "knob.consent: opt-in }, then: ok }", "the table is"},
             Mistake{"scenarios.yaml", "  - trim: { offset: 0, length: 2MiB }", "  - trim: { offset: 0 }",
                     "'length' is missing"},
             Mistake{"scenarios.yaml", "    expect: any\n    record: making an image with all of its space",
                     "    expect: any", "it has to be recorded"},
             Mistake{"scenarios.yaml", "then: unchanged, rule: RZ-AUTO-3", "then: ^leaks, rule: RZ-AUTO-3",
                     "'leaks' cannot come of 'container'"},
             Mistake{"scenarios.yaml", "piece: 4KiB, stride: 64KiB", "piece: 4KiB, stride: 1KiB",
                     "the next one begins behind it"},
             Mistake{"suite.yaml", "where: { growth: auto", "where: ^{ grow: plain, growth: auto",
                     "only the server's knobs"},
             Mistake{"suite.yaml", "- peer: reference-server\n  name: reference-server-growing\n",
                     "- peer: ^reference-serve\n  name: reference-server-growing\n",
                     "there is no server 'reference-serve'"},
             Mistake{"suite.yaml", "exits: { 2: corrupt", "exits: { ^two: corrupt",
                     "an exit status is a number"},
             Mistake{"suite.yaml", "not-here: 3", "not-here: ^0", "an exit status is a number"},
             Mistake{"suite.yaml", "\"{uri}\", \"{file}\"", "\"{uri}\", \"{fille}\"", "did you mean 'file'?"},
             Mistake{"suite.yaml", "\"{disk}\"]", "\"{disc}\"]", "did you mean 'disk'?"},
             Mistake{"suite.yaml", "\"name\": \"{name}\"'", "\"name\": \"{nam}\"'", "nam"},
             Mistake{"suite.yaml", "  check: { run:", "  chek: { run:", "'check' is missing"},
             Mistake{"deviations.yaml", "scenarios: [b-empty,", "scenarios: [b-emty,",
                     "the scenario 'b-emty'"},
         }) {
        Copy copy;
        copy->replace(mistake.file, mistake.from, mistake.to);
        const std::string error = message_of<CatalogueError>([&] { (void)copy.load(); });
        EXPECT_THAT(error, HasSubstr(mistake.message)) << mistake.to;
        if (std::string_view(mistake.to).find('^') != std::string_view::npos) {
            EXPECT_THAT(error, HasSubstr(copy->marked())) << mistake.to;
        }
    }
}

TEST(StackSuite, TwoProgramsMayNotHaveOneImageOpen) {
    struct Order {
        const char* steps;
        const char* message;
    };
    for (const Order& order : {
             Order{"- write: { offset: 0, length: 1 }", "'write' needs 'open' before it"},
             Order{"- open: {}\n  - contents: {}\n  - close: {}", "'contents' needs 'close' before it"},
             Order{"- open: {}\n  - check: {}\n  - close: {}", "'check' needs 'close' before it"},
             Order{"- open: {}", "the last 'open' has no 'close'"},
             Order{"- contents: { of: one }", "there is no snapshot 'one'"},
         }) {
        Copy copy;
        copy->write("scenarios.yaml",
                    fmt::format("scenarios:\n- scenario: fill\n  title: t\n  container: 1MiB\n  disk: 1MiB\n"
                                "  rule: READ-DATA\n  steps:\n  {}\n",
                                order.steps));
        EXPECT_THAT(message_of<CatalogueError>([&] { (void)copy.load(); }), HasSubstr(order.message));
    }
}

TEST(StackEvidenceTest, AnswersAQuestionThatTheDraftAsks) {
    const StackSuite suite = load();
    reports::RunResult run;
    std::vector<StackCase> cases = stack_cases(suite, false);
    const auto counted = std::ranges::find_if(cases, [](const StackCase& item) {
        return item.scenario_name() == "b-fill" && item.facts().at("knob.consent") == "implicit";
    });
    ASSERT_NE(counted, cases.end());
    cases = {*counted, *counted, *counted};
    std::vector<CaseResult> results(3);
    results[0].observations = {{"writing the whole disk", "success up to 4194304"}};
    results[1].observations = {{"writing the whole disk", "ENOSPC at 0"}};
    results[2].verdict = Verdict::unsupported;
    StackEvidence::load(project / "stacks/evidence.yaml", suite).add_to(run, cases, results);
    ASSERT_THAT(run.questions, SizeIs(1));
    EXPECT_THAT(read_file(project / "resize/evidence.yaml"), HasSubstr(run.questions[0].question));
    EXPECT_THAT(run.questions[0].tables.at(0).rows,
                Contains(ElementsAre(HasSubstr("for any write past its end"), "1 of 2", counted->id(),
                                     counted->id())));
}

TEST(StackEvidenceTest, RefusesToCountWhatIsNotRecorded) {
    Copy copy;
    const std::string before = "[b-convert-compressed]\n  among: { knob.consent: implicit }\n";
    copy->replace("evidence.yaml", before + "  record: qemu-img convert -c\n",
                  before + "  record: qemu-img convert\n");
    EXPECT_THAT(
        message_of<CatalogueError>([&] { (void)StackEvidence::load(copy.path() / "evidence.yaml", load()); }),
        HasSubstr("no case of the suite"));
}

TEST(StackProgram, SaysWhatHasComeOfIt) {
    const TempFolder folder;
    const auto run = [&](const std::string& script) {
        Tool tool;
        tool.run = {"/bin/sh", "-c", script};
        tool.exits = {{3, "leaks"}};
        tool.finds = "\"name\": \"{name}\"";
        tool.otherwise = "lost";
        Placeholders values;
        values.texts["name"] = "one";
        return run_tool(tool, values, folder / "log", generous_deadline());
    };
    EXPECT_FALSE(run("echo '\"name\": \"one\"'").error);
    EXPECT_EQ(run("echo '\"name\": \"two\"'").error->name, "lost");
    EXPECT_EQ(run("exit 3").error->name, "leaks");
    EXPECT_EQ(run("echo 'No space left on device' >&2; exit 1").error->name, "ENOSPC");
    EXPECT_EQ(run("exit 1").error->message, "/bin/sh exited with 1 without a word");
    EXPECT_THROW((void)run("kill -ABRT $$"), ClientDied);
}

/// How many lines of the table of mounts have something below this folder.
std::size_t mounts_below(const std::filesystem::path& folder) {
    std::istringstream table(read_file("/proc/self/mounts"));
    std::size_t count = 0;
    for (std::string line; std::getline(table, line);) {
        if (line.find(" " + folder.string() + "/") != std::string::npos) {
            ++count;
        }
    }
    return count;
}

/// Runs the one case of a suite that is on this server, by this client. No mount may be left.
CaseResult run_one(const StackSuite& suite, const std::string& server, const std::string& client,
                   const std::string& scenario) {
    const TempFolder out;
    Workspace workspace;
    const Versions versions;
    const StackPlace place{&suite, &versions, NBD_BIN_DIR, &workspace, out.path(), true};
    const std::vector<StackCase> cases = stack_cases(suite, false);
    const auto item = std::ranges::find_if(cases, [&](const StackCase& candidate) {
        return candidate.server_peer->name == server && candidate.client->peer.name == client &&
               candidate.scenario_name() == scenario;
    });
    EXPECT_NE(item, cases.end());
    CaseResult result = item == cases.end() ? CaseResult{} : run_stack(*item, place);
    EXPECT_EQ(mounts_below(workspace.path()), 0U) << scenario;
    return result;
}

/// A suite with one scenario, by a qemu-io that writes nothing and dies when it is to read.
StackSuite with_a_dying_client(Copy& copy, const std::string& before_the_read) {
    const std::filesystem::path program = copy.path() / "dies";
    write_file(program, "#!/bin/sh\nprintf 'qemu-io> '\nwhile read -r word rest; do\n"
                        "case $word in write) echo 'wrote 1/1 bytes' ;; read) kill -ABRT $$ ;; esac\n"
                        "printf 'qemu-io> '\ndone\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    copy->replace("qemu-io.yaml", "start: [qemu-io, -t, writeback, -d, unmap, -f,",
                  fmt::format("start: [{},", program.string()));
    copy->write("deviations.yaml", "deviations: []\n");
    copy->write("scenarios.yaml",
                fmt::format("scenarios:\n- scenario: fill\n  title: t\n  stacks: [b]\n  container: 1MiB\n"
                            "  disk: 1MiB\n  rule: READ-DATA\n  steps:\n  - create: {{}}\n  - open: {{}}\n"
                            "  - write: {{ offset: 0, length: 64KiB }}\n{}"
                            "  - read: {{ offset: 0, length: 64KiB }}\n    record: reading\n"
                            "  - write: {{ offset: 0, length: 64KiB }}\n"
                            "  - close: {{}}\n  - contents: {{}}\n    record: the disk\n  - check: {{}}\n",
                            before_the_read));
    return copy.load();
}

TEST(StackRun, ACrashIsTheClientsAndTheImageIsLookedAtAllTheSame) {
    Copy copy;
    const CaseResult result = run_one(with_a_dying_client(copy, ""), "reference-server", "qemu-io", "b-fill");
    EXPECT_EQ(result.verdict, Verdict::crash) << result.reason;
    EXPECT_EQ(result.party, Party::client);
    // What was not flushed may be gone.
    EXPECT_THAT(result.findings, SizeIs(1));
    EXPECT_THAT(result.findings.at(0).message, HasSubstr("SIGABRT"));
    EXPECT_THAT(result.observations, ElementsAre(reports::Observation{"reading", "the client dies"},
                                                 reports::Observation{"the disk", "as written"}));
}

TEST(StackRun, WhatWasFlushedBeforeACrashHasToBeThere) {
    Copy copy;
    const CaseResult result =
        run_one(with_a_dying_client(copy, "  - flush: {}\n"), "reference-server", "qemu-io", "b-fill");
    EXPECT_EQ(result.verdict, Verdict::crash);
    EXPECT_THAT(result.findings, Contains(AllOf(Field(&Finding::requirement, "READ-DATA"),
                                                Field(&Finding::message, HasSubstr("at offset 0 are 00")))));
}

TEST(StackRun, AServerThatLosesDataIsNoticed) {
    StackSuite suite = load();
    Peer& server = *std::ranges::find(suite.catalogue.peers, "nbdkit", &Peer::name);
    server.servers.front().start = {"nbdkit",
                                    "--foreground",
                                    "--exit-with-parent",
                                    "eval",
                                    "get_size=stat -L -c %s {image}",
                                    "pread=dd iflag=skip_bytes,count_bytes skip=$4 count=$3 if={image}",
                                    "can_write=exit 0",
                                    "pwrite=if [ $4 -ge 524288 ]; then cat >/dev/null; else "
                                    "dd oflag=seek_bytes conv=notrunc seek=$4 of={image}; fi"};
    const CaseResult result = run_one(suite, "nbdkit", "qemu-io", "b-convert");
    EXPECT_THAT(result.findings, Not(Contains(Field(&Finding::verdict, Verdict::error)))) << result.reason;
    const CaseResult filled = run_one(suite, "nbdkit", "qemu-io", "b-fill");
    EXPECT_THAT(filled.findings, Contains(AllOf(Field(&Finding::requirement, "READ-DATA"),
                                                Field(&Finding::party, Party::server),
                                                Field(&Finding::message, HasSubstr("are 00 00")))))
        << filled.reason;
}

TEST(StackRun, ADaemonIsDrivenOverItsMonitor) {
    const CaseResult result =
        run_one(load(), "reference-server-growing", "qemu-storage-daemon", "b-resize-open");
    EXPECT_THAT(result.observations,
                Contains(reports::Observation{"block_resize of the disk that is open", "success"}))
        << result.reason;
    EXPECT_THAT(result.observations,
                Contains(reports::Observation{"the disk, read by a new process", "as written"}));
}

/// The suite with another program in place of the one that mounts; `script` has its arguments as "$@".
StackSuite with_a_bridge(Copy& copy, const std::string& script) {
    write_file(copy.path() / "bridge", "#!/bin/sh\n" + script);
    std::filesystem::permissions(copy.path() / "bridge", std::filesystem::perms::owner_all);
    copy->replace(
        "suite.yaml", "start: [\"{bin}/nbd-resize-client\", mount,",
        fmt::format("start: [{}, \"{{bin}}/nbd-resize-client\", mount,", (copy.path() / "bridge").string()));
    return copy.load();
}

CaseResult run_on_a_mount(const StackSuite& suite, const std::string& scenario) {
    return run_one(suite, "reference-server-resizing", "qemu-io", scenario);
}

TEST(StackRun, AMountedExportIsAnImageThatGrows) {
    const CaseResult result = run_on_a_mount(load(), "b-bridge-read-own");
    if (result.verdict == Verdict::unsupported) {
        GTEST_SKIP() << result.reason;
    }
    EXPECT_EQ(result.verdict, Verdict::pass) << result.reason;
    EXPECT_THAT(result.observations,
                Contains(reports::Observation{"the disk, read by a new process", "as written"}));
}

TEST(StackRun, WithoutFuseACaseIsUnsupported) {
    Copy copy;
    const CaseResult result =
        run_on_a_mount(with_a_bridge(copy, "echo \"no FUSE for $4\" >&2\nexit 3\n"), "b-bridge-fill");
    EXPECT_EQ(result.verdict, Verdict::unsupported);
    EXPECT_EQ(result.reason, "no FUSE for the file");
}

TEST(StackRun, ABridgeThatLosesWritesIsNoticed) {
    Copy copy;
    const CaseResult result = run_on_a_mount(
        with_a_bridge(copy, "trap 'echo lost >&2; kill $!; exit 1' TERM\necho mounted\nsleep 60 & wait\n"),
        "b-bridge-fill");
    EXPECT_THAT(result.findings,
                Contains(AllOf(Field(&Finding::verdict, Verdict::fail), Field(&Finding::party, Party::client),
                               Field(&Finding::message, HasSubstr("exited with 1 when it was to unmount")))));
}

TEST(StackRun, ABridgeThatDiesIsNoticed) {
    Copy copy;
    // Whoever mounts for the harness is deaf to SIGTERM, so that only its death ends it, and dies with the
    // bridge as soon as the mount is there.
    const CaseResult result = run_on_a_mount(
        with_a_bridge(copy,
                      "trap '' TERM\n\"$@\" & bridge=$!\n"
                      "until grep -qF \" $4 \" /proc/mounts; do kill -0 $bridge || exit 3; sleep 0.01; done\n"
                      "kill -9 $bridge\nkill -9 $$\n"),
        "b-bridge-fill");
    if (result.verdict == Verdict::unsupported) {
        GTEST_SKIP() << result.reason;
    }
    EXPECT_THAT(result.findings, Contains(AllOf(Field(&Finding::verdict, Verdict::crash),
                                                Field(&Finding::party, Party::client),
                                                Field(&Finding::message, HasSubstr("SIGKILL")))))
        << result.reason;
}

TEST(StackRun, WhatCannotBeHadIsUnsupportedWithTheReason) {
    const StackSuite suite = load();
    const CaseResult no_qcow2 = run_one(suite, "nbdkit", "qemu-io", "a-fill");
    EXPECT_EQ(no_qcow2.verdict, Verdict::unsupported);
    EXPECT_EQ(no_qcow2.reason, "nbdkit serves no qcow2 image");
}

} // namespace
} // namespace harness
