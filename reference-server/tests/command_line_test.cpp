#include "reference-server/command_line.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace refserver {
namespace {

struct Outcome {
    Parsed parsed;
    std::string output;
    std::string errors;
};

Outcome parse(const std::vector<const char*>& arguments) {
    std::vector<const char*> all{"nbd-resize-server"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Outcome outcome;
    outcome.parsed = parse_command_line(static_cast<int>(all.size()), all.data(), "1.2.3");
    outcome.output = testing::internal::GetCapturedStdout();
    outcome.errors = testing::internal::GetCapturedStderr();
    return outcome;
}

TEST(CommandLine, a_file_is_all_it_needs) {
    const auto [parsed, output, errors] = parse({"disk.img"});
    ASSERT_TRUE(parsed.command_line) << errors;
    const CommandLine& line = *parsed.command_line;
    EXPECT_EQ(line.file, "disk.img");
    EXPECT_FALSE(line.memory_size);
    EXPECT_EQ(line.served.name, "");
    EXPECT_FALSE(line.served.read_only);
    EXPECT_TRUE(line.served.advertise_block_size);
    EXPECT_EQ(line.served.block.minimum, 1U);
    EXPECT_EQ(line.served.block.preferred, 4096U);
    EXPECT_EQ(line.served.block.maximum, 32U << 20);
    EXPECT_EQ(line.server.session.most, ReplyStyle::extended);
    EXPECT_EQ(line.server.session.handshake, Handshake::fixed_newstyle);
    EXPECT_FALSE(line.port);
    EXPECT_TRUE(line.unix_path.empty());
}

TEST(CommandLine, understands_all_options) {
    const auto [parsed, output, errors] = parse({"--memory",
                                                 "1GiB",
                                                 "-x",
                                                 "name",
                                                 "-D",
                                                 "text",
                                                 "-r",
                                                 "-k",
                                                 "/s",
                                                 "-e",
                                                 "5",
                                                 "-t",
                                                 "--handshake-limit",
                                                 "7",
                                                 "--replies",
                                                 "simple",
                                                 "--handshake",
                                                 "newstyle",
                                                 "--mask-handshake",
                                                 "0x1",
                                                 "--block-size",
                                                 "512,8K,1M",
                                                 "--require-block-size",
                                                 "--without",
                                                 "trim,fua",
                                                 "--no-multi-conn",
                                                 "--threads",
                                                 "3",
                                                 "--workers",
                                                 "2",
                                                 "--pid-file",
                                                 "/p",
                                                 "-v"});
    ASSERT_TRUE(parsed.command_line) << errors;
    const CommandLine& line = *parsed.command_line;
    EXPECT_EQ(line.memory_size, 1U << 30);
    EXPECT_EQ(line.served.name, "name");
    EXPECT_EQ(line.served.description, "text");
    EXPECT_TRUE(line.served.read_only);
    EXPECT_EQ(line.unix_path, "/s");
    EXPECT_EQ(line.server.max_connections, 5U);
    EXPECT_EQ(line.server.handshake_limit.count(), 7);
    EXPECT_EQ(line.server.session.most, ReplyStyle::simple);
    EXPECT_EQ(line.server.session.handshake, Handshake::newstyle);
    EXPECT_EQ(line.server.session.handshake_flags_mask, 1U);
    EXPECT_EQ(line.served.block.minimum, 512U);
    EXPECT_EQ(line.served.block.preferred, 8192U);
    EXPECT_EQ(line.served.block.maximum, 1U << 20);
    EXPECT_TRUE(line.served.require_block_size);
    EXPECT_FALSE(line.served.features.trim);
    EXPECT_FALSE(line.served.features.fua);
    EXPECT_FALSE(line.served.features.multi_conn);
    EXPECT_TRUE(line.served.features.flush);
    EXPECT_EQ(line.server.io_threads, 3U);
    EXPECT_EQ(line.server.workers, 2U);
    EXPECT_EQ(line.pid_file, "/p");
    EXPECT_TRUE(line.server.verbose);
}

TEST(CommandLine, wrong_usage_is_explained) {
    struct {
        std::vector<const char*> arguments;
        const char* part_of_the_message;
    } const cases[] = {
        {{"--memory", "1M", "--size", "2M"}, "exclude each other"},
        {{"a", "--memory", "1M"}, "exclude each other"},
        {{"a", "b"}, "b"},
        {{"--memory", "1Q"}, "unknown unit"},
        {{"a", "--block-size", "512"}, "MIN,PREF,MAX"},
        {{"a", "--block-size", "3,4K,32M"}, "power of 2"},
        {{"a", "--block-size", "128K,128K,32M"}, "64K"},
        {{"a", "--block-size", "1,256,32M"}, "at least 512"},
        {{"a", "--block-size", "4K,2K,32M"}, "at least the minimum"},
        {{"a", "--block-size", "1,4K,1K"}, "maximum"},
        {{"a", "--block-size", "1,4K,8G"}, "32 bits"},
        {{"a", "--without", "trim,speed"}, "speed"},
        {{"a", "--replies", "fancy"}, "fancy"},
        {{"a", "--handshake", "secret"}, "secret"},
        {{"a", "--mask-handshake", "all"}, "all"},
        {{"a", "-p", "65536"}, "65536"},
        {{"a", "-p", "1", "-U", "/s"}, "--unix excludes"},
        {{"a", "--threads", "0"}, "--threads"},
        {{"a", "-x", "\xff"}, "--export-name"},
        {{"a", "--no-block-size", "--require-block-size"}, "--require-block-size"},
        {{"a", "--nosuch"}, "--nosuch"},
        {{"--growth", "big"}, "growth is none, explicit, auto or both"},
        {{"--growth", "both", "--advertise", "silent"}, "needs advertise=flag or advertise=info"},
        {{"--learn", "poll", "--replies", "simple"}, "learn other than none needs replies"},
        {{"--fill", "zero"}, "fill applies only where"},
        {{"--growth", "auto", "--granularity", "1000", "--block-size", "512,4K,32M"}, "no multiple"},
        {{"--size", "1Q"}, "--size"},
        {{"--memory", "15E"}, "the most that an export can have"},
    };
    for (const auto& c : cases) {
        const Outcome outcome = parse(c.arguments);
        EXPECT_FALSE(outcome.parsed.command_line) << c.part_of_the_message;
        EXPECT_EQ(outcome.parsed.exit_code, exit_code::usage);
        EXPECT_NE(outcome.errors.find(c.part_of_the_message), std::string::npos) << outcome.errors;
        EXPECT_NE(outcome.errors.find("--help"), std::string::npos);
        EXPECT_EQ(outcome.output, "");
    }
}

TEST(CommandLine, understands_knobs) {
    const auto [parsed, output, errors] = parse(
        {"--growth",   "both",       "--consent", "opt-in",    "--advertise", "info",     "--replies",
         "structured", "--learn",    "poll",      "--fill",    "unspecified", "--sizing", "round",
         "--shrink",   "allow",      "--size",    "2MiB",      "--limit",     "8MiB",     "--granularity",
         "4096",       "--smallest", "1K",        "--control", "/c"});
    ASSERT_TRUE(parsed.command_line) << errors;
    const KnobSettings& knobs = parsed.command_line->knobs;
    EXPECT_EQ(knobs.growth, Growth::both);
    EXPECT_EQ(knobs.consent, Consent::opt_in);
    EXPECT_EQ(knobs.advertise, Advertise::info);
    EXPECT_EQ(knobs.replies, ReplyStyle::structured);
    EXPECT_EQ(knobs.learn, Learn::poll);
    EXPECT_EQ(knobs.fill, Fill::unspecified);
    EXPECT_EQ(knobs.sizing, Sizing::round);
    EXPECT_EQ(knobs.shrink, Shrink::allow);
    EXPECT_EQ(knobs.size, 2U << 20);
    EXPECT_EQ(knobs.limit, 8U << 20);
    EXPECT_EQ(knobs.granularity, 4096U);
    EXPECT_EQ(knobs.smallest, 1024U);
    EXPECT_EQ(parsed.command_line->control_path, "/c");
}

TEST(CommandLine, lists_faults) {
    const Outcome outcome = parse({"--list-faults"});
    EXPECT_FALSE(outcome.parsed.command_line);
    EXPECT_EQ(outcome.parsed.exit_code, exit_code::success);
    EXPECT_NE(outcome.output.find("info-too-long\tRZ-INFO-3\t"), std::string::npos) << outcome.output;
}

TEST(CommandLine, lists_faults_and_oddities_of_the_wire) {
    const Outcome listed = parse({"--list-faults"});
    EXPECT_NE(listed.output.find("greeting-magic\tGREETING-MAGIC\t"), std::string::npos) << listed.output;
    const Outcome oddities = parse({"--list-oddities"});
    EXPECT_EQ(oddities.parsed.exit_code, exit_code::success);
    EXPECT_NE(oddities.output.find("bytes-one-by-one\t"), std::string::npos) << oddities.output;
}

TEST(CommandLine, takes_faults_of_both_kinds) {
    const Outcome outcome = parse({"--fault", "greeting-magic", "--fault", "info-too-long"});
    ASSERT_TRUE(outcome.parsed.command_line) << outcome.errors;
    EXPECT_EQ(outcome.parsed.command_line->server.twists.size(), 1U);
    EXPECT_TRUE(
        outcome.parsed.command_line->knobs.faults.test(static_cast<std::size_t>(Fault::info_too_long)));
}

TEST(CommandLine, puts_twists_in_connections) {
    const std::vector<std::pair<std::vector<const char*>, std::size_t>> cases{
        {{"--oddity", "bytes-one-by-one"}, 1},
        {{"--wire-faults"}, 1},
        {{"--fault", "info-too-long"}, 0},
        {{"--oddity", "bytes-one-by-one", "--fault", "greeting-magic"}, 2},
    };
    for (const auto& [arguments, twists] : cases) {
        const Outcome outcome = parse(arguments);
        ASSERT_TRUE(outcome.parsed.command_line) << outcome.errors;
        EXPECT_EQ(outcome.parsed.command_line->server.twists.size(), twists) << arguments.back();
    }
}

TEST(CommandLine, refuses_faults_that_do_not_fit) {
    const std::vector<std::vector<const char*>> cases{
        {"--fault", "no-such"},
        {"--oddity", "greeting-magic"},
        {"--fault", "greeting-magic", "--fault", "greeting-style"},
        {"--oddity", "bytes-one-by-one", "--wire-faults"},
        {"--fault", "greeting-magic", "--wire-faults"},
    };
    for (const auto& arguments : cases) {
        const Outcome outcome = parse(arguments);
        EXPECT_FALSE(outcome.parsed.command_line) << outcome.errors;
        EXPECT_EQ(outcome.parsed.exit_code, exit_code::usage);
        EXPECT_NE(outcome.errors.find(arguments[1]), std::string::npos) << outcome.errors;
    }
}

TEST(CommandLine, help_and_version_go_to_standard_output) {
    const Outcome help = parse({"--help"});
    EXPECT_FALSE(help.parsed.command_line);
    EXPECT_EQ(help.parsed.exit_code, exit_code::success);
    for (const char* part : {"--unix", "--read-only", "Examples:", "Exit codes:"}) {
        EXPECT_NE(help.output.find(part), std::string::npos) << part;
    }
    const Outcome version = parse({"--version"});
    EXPECT_EQ(version.parsed.exit_code, exit_code::success);
    EXPECT_EQ(version.output, "nbd-resize-server 1.2.3\n");
}

} // namespace
} // namespace refserver
