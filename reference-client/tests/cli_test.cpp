// The program nbd-resize-client as a user starts it.

#include "reference-client/tests/support/servers.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <sys/stat.h>

namespace refclient {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::RunningServer;
using ::testing::StartsWith;
using testing::TemporaryFolder;

const std::string client = NBD_BIN_DIR "/nbd-resize-client";

Finished run(std::vector<std::string> arguments, const std::string& input = {}) {
    arguments.insert(arguments.begin(), client);
    return testing::run(arguments, input);
}

std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

/// 1 MiB, with the text "first" at its beginning, 64 KiB of data at 512 KiB, and holes elsewhere.
std::string make_image(const TemporaryFolder& folder) {
    std::string path = folder.file("image");
    std::ofstream out(path, std::ios::binary);
    out << "first";
    out.seekp(512 * 1024);
    out << std::string(64 * 1024, 'd');
    out.seekp(1024 * 1024 - 1);
    out.put('\0');
    return path;
}

class Program : public ::testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        const testing::ServerKind& kind = testing::server_kind(GetParam());
        if (!kind.installed()) {
            GTEST_SKIP() << kind.name() << " is not installed";
        }
        image_ = make_image(folder_);
        server_.emplace(kind.start(image_));
        uri_ = server_->uri();
    }

    TemporaryFolder folder_;
    std::string image_;
    std::optional<RunningServer> server_;
    std::string uri_;
};

TEST_P(Program, TellsAboutAnExport) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"info", "--json", uri_}, {uri_, "info", "--json"}, {"--json", uri_}}) {
        const Finished finished = run(arguments);
        ASSERT_EQ(finished.status, 0) << finished.err;
        const boost::json::value told = boost::json::parse(finished.out);
        EXPECT_EQ(told.at("size").to_number<std::uint64_t>(), 1048576U);
        EXPECT_EQ(told.at("handshake").as_string(), "newstyle-fixed");
    }
    EXPECT_THAT(run({"info", uri_}).out, HasSubstr("size: 1048576 (1 MiB)"));
}

TEST_P(Program, ShowsEveryMessageWhenAsked) {
    const Finished finished = run({"read", uri_, "0", "512", "--verbose", "-o", folder_.file("out")});
    EXPECT_EQ(finished.status, 0);
    EXPECT_THAT(finished.err, HasSubstr("NBD_OPT_GO"));
    EXPECT_THAT(finished.err, HasSubstr("request NBD_CMD_READ flags=0 cookie=1 offset=0 length=512"));
    EXPECT_THAT(finished.err, HasSubstr("NBD_CMD_DISC"));
}

TEST_P(Program, ReadsAsItIsAndAsAHexDump) {
    const Finished raw = run({"read", uri_, "0", "8"});
    EXPECT_EQ(raw.status, 0) << raw.err;
    EXPECT_EQ(raw.out, std::string("first\0\0\0", 8));
    EXPECT_EQ(run({"read", uri_, "512K", "8", "--hex"}).out,
              "00080000  64 64 64 64 64 64 64 64                           |dddddddd|\n00080008\n");
    EXPECT_EQ(run({"read", uri_, "0", "1M", "-o", folder_.file("out")}).status, 0);
    EXPECT_EQ(contents(folder_.file("out")), contents(image_));
}

TEST_P(Program, WritesPatternsFilesAndInput) {
    EXPECT_EQ(run({"write", uri_, "4K", "--pattern", "0x41", "--length", "1K", "--fua"}).status, 0);
    EXPECT_EQ(run({"write", uri_, "8K"}, "from standard input").status, 0);
    std::ofstream(folder_.file("in")) << "from a file";
    EXPECT_EQ(run({"write", uri_, "12K", "-i", folder_.file("in")}).status, 0);
    EXPECT_EQ(run({"flush", uri_}).status, 0);
    EXPECT_EQ(run({"read", uri_, "4K", "1K"}).out, std::string(1024, 'A'));
    EXPECT_EQ(run({"read", uri_, "8K", "19"}).out, "from standard input");
    EXPECT_EQ(run({"read", uri_, "12K", "11"}).out, "from a file");
}

TEST_P(Program, ZeroesTrimsAndCaches) {
    EXPECT_EQ(run({"zero", uri_, "0", "4K", "--no-hole"}).status, 0);
    EXPECT_EQ(run({"read", uri_, "0", "5"}).out, std::string(5, '\0'));
    EXPECT_EQ(run({"trim", uri_, "512K", "64K"}).status, 0);
    const Finished cached = run({"cache", uri_, "0", "4K"});
    EXPECT_TRUE(cached.status == 0 || cached.err.find("NBD_FLAG_SEND_CACHE is not set") != std::string::npos);
}

TEST_P(Program, MapsHoles) {
    const Finished finished = run({"map", uri_, "--json"});
    ASSERT_EQ(finished.status, 0) << finished.err;
    std::uint64_t offset = 0;
    bool data = false;
    const boost::json::value extents = boost::json::parse(finished.out);
    for (const boost::json::value& extent : extents.as_array()) {
        EXPECT_EQ(extent.at("offset").to_number<std::uint64_t>(), offset);
        if (offset <= 512 * 1024 && offset + extent.at("length").to_number<std::uint64_t>() > 512 * 1024) {
            data = extent.at("type").to_number<unsigned>() == 0;
        }
        offset += extent.at("length").to_number<std::uint64_t>();
    }
    EXPECT_EQ(offset, 1048576U);
    EXPECT_TRUE(data);
    EXPECT_EQ(run({"map", uri_, "--context", "x-none:such"}).status, 1);
}

TEST_P(Program, CopiesBothWaysAndKeepsHoles) {
    const std::string copy = folder_.file("copy");
    const Finished out = run({"copy", uri_, copy, "--json"});
    ASSERT_EQ(out.status, 0) << out.err;
    EXPECT_EQ(contents(copy), contents(image_));
    struct stat status {};
    ASSERT_EQ(::stat(copy.c_str(), &status), 0);
    EXPECT_LT(status.st_blocks * 512, 1048576 / 2);
    EXPECT_GE(boost::json::parse(out.out).at("zeroes").to_number<std::uint64_t>(), 1048576U / 2);

    std::ofstream(copy, std::ios::binary | std::ios::in).write("other", 5);
    EXPECT_EQ(run({"copy", copy, uri_, "--request-size", "4K", "--requests", "3"}).status, 0);
    EXPECT_EQ(contents(image_), contents(copy));

    // Between two exports.
    const TemporaryFolder folder;
    const std::string image = make_image(folder);
    RunningServer second = testing::server_kind(GetParam()).start(image);
    EXPECT_EQ(run({"copy", uri_, second.uri()}).status, 0);
    EXPECT_EQ(contents(image).substr(0, 5), "other");
}

TEST_P(Program, ClaimsNoSuccessWhereThereWasNone) {
    std::ofstream(folder_.file("large")) << std::string(1048577, 'x');
    const Finished large = run({"copy", folder_.file("large"), uri_});
    EXPECT_EQ(large.status, 1);
    EXPECT_THAT(large.err, HasSubstr("the destination has 1048576 bytes"));
    EXPECT_EQ(run({"copy", uri_, folder_.file("no/such/folder")}).status, 1);
    EXPECT_EQ(run({"copy", uri_, "/dev/full"}).status, 1);
    EXPECT_EQ(run({"copy", uri_, "-"}).status, 1);
    EXPECT_EQ(run({"read", uri_, "0", "512", "-o", "/dev/full"}).status, 1);
    EXPECT_EQ(run({"copy", folder_.file("large"), folder_.file("image")}).status, 1);

    const Finished past = run({"read", uri_, "1M", "512", "--no-checks"});
    EXPECT_EQ(past.status, 1);
    EXPECT_THAT(past.err, HasSubstr("NBD_EINVAL"));
    EXPECT_THAT(past.out, IsEmpty());
    EXPECT_THAT(run({"read", uri_, "1M", "512"}).err, HasSubstr("not sent"));

    server_->process().kill();
    const Finished dead = run({"copy", uri_, folder_.file("copy")});
    EXPECT_EQ(dead.status, 1);
    EXPECT_THAT(dead.err, StartsWith("nbd-resize-client: cannot connect to "));
    EXPECT_THAT(dead.out, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Installed, Program, ::testing::Values("nbdkit", "qemu_nbd", "reference_server"),
                         [](const ::testing::TestParamInfo<std::string>& server) { return server.param; });

TEST(ProgramErrors, TellAServerThatDiesWhileCopying) {
    const TemporaryFolder folder;
    testing::ScriptedServer server([](const testing::ScriptedServer::Peer& peer) {
        peer.shake_hands(64 * 1048576, 1);
        // A few requests arrive and stay without answer.
        static_cast<void>(peer.receive(4 * 28));
    });
    const Finished finished =
        run({"copy", nbd::format_uri(server.uri()), folder.file("copy"), "--replies", "simple"});
    EXPECT_EQ(finished.status, 1);
    EXPECT_THAT(finished.err, HasSubstr("unanswered"));
}

TEST(ProgramErrors, ExplainWrongUsage) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{},
          {"frobnicate"},
          {"info"},
          {"read", "nbd://localhost", "0"},
          {"read", "nbd://localhost", "1X", "1"},
          {"info", "http://localhost"},
          {"info", "nbd://localhost:99999"},
          {"write", "nbd://localhost", "0", "--pattern", "300", "--length", "1"},
          {"write", "nbd://localhost", "0", "--pattern", "1"},
          {"info", "nbd://localhost", "--replies", "none"},
          {"info", "nbd://localhost", "--no-such-flag"}}) {
        const Finished finished = run(arguments);
        EXPECT_EQ(finished.status, 2) << ::testing::PrintToString(arguments) << finished.err;
        EXPECT_THAT(finished.err, ::testing::Not(IsEmpty()));
    }
    EXPECT_THAT(run({"info", "nbds://localhost"}).err, HasSubstr("TLS"));
    EXPECT_EQ(run({"info", "nbds://localhost"}).status, 1);
}

TEST(ProgramErrors, HelpIsNoError) {
    const Finished help = run({"--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.out, HasSubstr("Examples:"));
    EXPECT_THAT(help.out, HasSubstr("Exit status:"));
    EXPECT_EQ(run({"copy", "--help"}).status, 0);
    EXPECT_THAT(run({"--version"}).out, StartsWith("nbd-resize-client "));
}

} // namespace
} // namespace refclient
