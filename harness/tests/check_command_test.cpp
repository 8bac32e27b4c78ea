// nbd-interop check, as a user runs it: exit codes, messages and files.

#include "harness/process/process.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pugixml.hpp>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;

struct Ended {
    int code = 0;
    std::string out;
    std::string err;
};

/// Runs nbd-interop with the project's own catalogue.
Ended run(std::vector<std::string> arguments) {
    const TempFolder folder;
    Launch launch;
    launch.argv = {std::string(NBD_BIN_DIR) + "/nbd-interop"};
    launch.argv.insert(launch.argv.end(), arguments.begin(), arguments.end());
    launch.capture_stdout = true;
    launch.log = folder / "err";
    Process process = Process::start(launch);
    const auto exit = process.wait_for(generous);
    EXPECT_TRUE(exit) << "it does not end";
    return {exit ? exit->code : -1, process.take_output(), read_file(launch.log)};
}

std::string server(const std::string& more = "") {
    return std::string(NBD_BIN_DIR) + "/nbd-resize-server --memory 4M " + more;
}

TEST(CheckCommand, EndsWith0ForAConformantServerAndSaysSoInItsLastLine) {
    const Ended ended = run({"check", "--writable", "--start", server(), "--case", "read-*"});
    EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
    EXPECT_THAT(ended.out,
                ::testing::ContainsRegex("\n[0-9]+ passed, 0 failed, 0 warned, [0-9]+ unsupported\n$"));
}

TEST(CheckCommand, EndsWith1ForABrokenServerAndWritesJunit) {
    const TempFolder folder;
    const std::string junit = (folder / "junit.xml").string();
    const Ended ended = run({"check", "--writable", "--start", server("--fault write-lost"), "--case",
                             "read-*", "--junit", junit});
    EXPECT_EQ(ended.code, 1) << ended.out << ended.err;
    EXPECT_THAT(ended.out, HasSubstr("READ-DATA (MUST)"));
    pugi::xml_document document;
    ASSERT_TRUE(document.load_file(junit.c_str()));
    EXPECT_FALSE(document.select_nodes("//testcase/failure").empty());
}

TEST(CheckCommand, EndsWith2ForWhatCannotBeMeant) {
    EXPECT_EQ(run({"check"}).code, 2);
    EXPECT_EQ(run({"check", "http://localhost/"}).code, 2);
    EXPECT_EQ(run({"check", "--client"}).code, 2);
    const Ended none = run({"check", "--start", server(), "--case", "no-such-case"});
    EXPECT_EQ(none.code, 2);
    EXPECT_THAT(none.err, HasSubstr("--case selects no case"));
}

TEST(CheckCommand, EndsWith3WhereNothingIsTested) {
    const Ended gone = run({"check", "nbd+unix:///?socket=/nonexistent/socket"});
    EXPECT_EQ(gone.code, 3);
    EXPECT_THAT(gone.err, HasSubstr("nothing was tested"));
    const Ended dead = run({"check", "--start", "false"});
    EXPECT_EQ(dead.code, 3);
    // Nothing of what was selected applies: no green light.
    const Ended idle = run({"check", "--start", server("--replies simple"), "--case", "read-*/extended"});
    EXPECT_EQ(idle.code, 3) << idle.out << idle.err;
}

TEST(CheckCommand, StrictMakesASHOULDCount) {
    const std::string no_flush = server("--without flush,fua");
    const std::vector<std::string> lenient{"check",  "--writable", "--start",
                                           no_flush, "--case",     "write-flags-offered"};
    EXPECT_EQ(run(lenient).code, 0);
    std::vector<std::string> strict = lenient;
    strict.push_back("--strict");
    EXPECT_EQ(run(strict).code, 1);
}

TEST(CheckCommand, ChecksAClient) {
    const std::string client = std::string(NBD_BIN_DIR) + "/nbd-resize-client";
    const Ended good =
        run({"check", "--client", "--case", "reply-*", "--", client, "read", "{uri}", "0", "64K"});
    EXPECT_EQ(good.code, 0) << good.out << good.err;
    const Ended broken = run({"check", "--client", "--", "false", "{uri}"});
    EXPECT_EQ(broken.code, 3) << broken.out << broken.err;
}

} // namespace
} // namespace harness
