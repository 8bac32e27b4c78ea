// Requests and their replies, in bytes written by hand from the specification.

#include "reference-server/tests/support.hpp"

#include <gtest/gtest.h>

#include <string>

namespace refserver {
namespace {

const std::string client_flags = "00000003 ";
const std::string go = "'IHAVEOPT' 00000007 00000006 00000000 0000 ";
const std::string structured = "'IHAVEOPT' 00000008 00000000 ";
const std::string extended = "'IHAVEOPT' 0000000b 00000000 ";
const std::string allocation = "'IHAVEOPT' 0000000a 0000001b 00000000 00000001 0000000f 'base:allocation' ";

/// Requests that are sent to a disk of 1 MiB in memory, whose first 16 bytes are 0123456789abcdef.
struct Case {
    const char* name;
    std::string handshake; ///< between client flags and GO
    std::string input;
    std::string output; ///< an error chunk may end in "…", which stands for its message
    bool ends = false;
    ExportOptions served = {};
};

void PrintTo(const Case& c, std::ostream* out) {
    *out << c.name;
}

// Headers, with the cookie "cookie-1".
std::string request(const std::string& flags, const std::string& type, const std::string& offset,
                    const std::string& length) {
    return "25609513 " + flags + type + " 'cookie-1' " + offset + length;
}
std::string read(const std::string& offset, const std::string& length) {
    return request("0000", "0000", offset, length);
}
std::string extended_request(const std::string& flags, const std::string& type, const std::string& offset,
                             const std::string& length) {
    return "21e41c71 " + flags + type + " 'cookie-1' " + offset + length;
}
std::string simple(const std::string& error) {
    return "67446698 " + error + " 'cookie-1' ";
}
std::string chunk(const std::string& flags, const std::string& type, const std::string& length) {
    return " 668e33ef " + flags + type + " 'cookie-1' " + length;
}
std::string extended_chunk(const std::string& flags, const std::string& type, const std::string& offset,
                           const std::string& length) {
    return " 6e8a278c " + flags + type + " 'cookie-1' " + offset + length;
}
const std::string done = chunk("0001", "0000", "00000000");
/// The start of a structured error chunk; its length is that of the message, which is compared apart.
std::string error_chunk(const std::string& error) {
    return "668e33ef 0001 8001 'cookie-1' …" + error;
}

const std::string at_0 = "0000000000000000";
const std::string at_end = "0000000000100000";
const std::string beyond = "0000000000100001";
const std::string wraps = "fffffffffffffe00";

class TransmissionTest : public testing::TestWithParam<Case> {};

/// Takes the message out of a structured or extended error chunk at the end, checks its lengths, and returns
/// what is left: the header without its length, and the error.
nbd::Buffer without_message(const nbd::Buffer& actual, std::size_t chunk_at, std::size_t header_size) {
    const std::size_t payload_at = chunk_at + header_size;
    EXPECT_GE(actual.size(), payload_at + 6);
    if (actual.size() < payload_at + 6) {
        return actual;
    }
    const std::size_t length_size = header_size == 20 ? 4 : 8;
    std::uint64_t length = 0;
    for (std::size_t i = payload_at - length_size; i < payload_at; ++i) {
        length = length << 8 | actual[i];
    }
    const std::size_t message = nbd::detail::load_big<std::uint16_t>(actual.data() + payload_at + 4);
    EXPECT_EQ(length, 6 + message);
    EXPECT_EQ(actual.size(), payload_at + length);
    EXPECT_GT(message, 0U) << "an error without a text";
    nbd::Buffer rest(actual.begin(), actual.begin() + static_cast<std::ptrdiff_t>(payload_at - length_size));
    rest.insert(rest.end(), actual.begin() + static_cast<std::ptrdiff_t>(payload_at),
                actual.begin() + static_cast<std::ptrdiff_t>(payload_at + 4));
    return rest;
}

void expect_output(const std::string& expected, const nbd::Buffer& actual) {
    const std::string ellipsis = "…";
    const auto at = expected.find(ellipsis);
    if (at == std::string::npos) {
        EXPECT_EQ(shown(actual), shown(bytes(expected)));
        return;
    }
    const auto chunk_text = expected.rfind("668e33ef", at);
    const bool compact = chunk_text != std::string::npos;
    const std::size_t before =
        bytes(expected.substr(0, compact ? chunk_text : expected.rfind("6e8a278c", at))).size();
    const nbd::Buffer rest = without_message(actual, before, compact ? 20 : 32);
    EXPECT_EQ(shown(rest), shown(bytes(expected.substr(0, at) + expected.substr(at + ellipsis.size()))));
}

TEST_P(TransmissionTest, answers) {
    const Case& c = GetParam();
    for (const Fragments& fragments : {whole(), single_bytes(), random_pieces(3), random_pieces(4)}) {
        Disk disk(1 << 20, c.served);
        Conversation conversation(disk.catalogue);
        conversation.feed(client_flags + c.handshake + go);
        (void)conversation.output();
        conversation.feed(bytes(c.input), fragments);
        expect_output(c.output, conversation.output());
        EXPECT_EQ(conversation.ended(), c.ends);
    }
}

ExportOptions blocks(const BlockSizes& sizes) {
    ExportOptions options;
    options.block = sizes;
    return options;
}

const ExportOptions read_only = [] {
    ExportOptions options;
    options.read_only = true;
    return options;
}();
const ExportOptions blocks_of_512 = blocks({512, 4096, 1 << 20});

const Case simple_cases[] = {
    {"read", "", read("0000000000000002", "00000003"), simple("00000000") + "'234'"},
    {"read_across_data_and_hole", "", read("000000000000000f", "00000003"), simple("00000000") + "'f' 0000"},
    {"read_of_a_hole", "", read("0000000000080000", "00001100"), simple("00000000") + "00*4352"},
    {"read_the_last_byte", "", read("00000000000fffff", "00000001"), simple("00000000") + "00"},
    {"read_nothing", "", read(at_0, "00000000"), simple("00000000")},
    {"read_nothing_at_the_end", "", read(at_end, "00000000"), simple("00000000")},
    {"read_nothing_beyond_the_end", "", read(beyond, "00000000"), simple("00000016")},
    {"read_past_the_end", "", read("00000000000fffff", "00000002"), simple("00000016")},
    {"read_that_wraps", "", read(wraps, "00000400"), simple("00000016")},
    {"read_with_df_that_was_not_offered", "", request("0004", "0000", at_0, "00000001"), simple("00000016")},
    {"read_with_fua", "", request("0001", "0000", at_0, "00000001"), simple("00000000") + "'0'"},
    {"read_with_unknown_flag", "", request("8000", "0000", at_0, "00000001"), simple("00000016")},
    {"read_with_no_hole", "", request("0002", "0000", at_0, "00000001"), simple("00000016")},
    {"read_after_a_failed_one", "", read(wraps, "00000400") + read(at_0, "00000001"),
     simple("00000016") + simple("00000000") + "'0'"},

    {"write", "", request("0000", "0001", "0000000000000003", "00000002") + "'xy'" + read(at_0, "00000008"),
     simple("00000000") + simple("00000000") + "'012xy567'"},
    {"write_with_fua", "", request("0001", "0001", at_0, "00000001") + "'x'" + read(at_0, "00000002"),
     simple("00000000") + simple("00000000") + "'x1'"},
    {"write_nothing", "", request("0000", "0001", at_0, "00000000") + read(at_0, "00000001"),
     simple("00000000") + simple("00000000") + "'0'"},
    {"write_past_the_end", "",
     request("0000", "0001", "00000000000fffff", "00000002") + "'xy'" + read(at_0, "00000001"),
     simple("0000001c") + simple("00000000") + "'0'"},
    {"write_that_wraps_with_a_payload_that_looks_like_a_request", "",
     request("0000", "0001", wraps, "0000001c") + request("0000", "0004", at_0, "00001000") +
         read(at_0, "00000001"),
     simple("0000001c") + simple("00000000") + "'0'"},
    {"write_with_unknown_flag", "",
     request("8000", "0001", at_0, "00000002") + "'xy'" + read(at_0, "00000002"),
     simple("00000016") + simple("00000000") + "'01'"},
    {"write_with_payload_len_in_compact_mode", "",
     request("0020", "0001", at_0, "00000001") + "'x'" + read(at_0, "00000001"),
     simple("00000016") + simple("00000000") + "'0'"},
    {"write_of_65_MiB", "", request("0000", "0001", at_0, "04100000"), "", true},
    {"write_of_4_GiB", "", request("0000", "0001", at_0, "ffffffff"), "", true},
    {"write_read_only", "", request("0000", "0001", at_0, "00000002") + "'xy'" + read(at_0, "00000002"),
     simple("00000001") + simple("00000000") + "'01'", false, read_only},

    {"flush", "", request("0000", "0003", at_0, "00000000"), simple("00000000")},
    {"flush_with_fua", "", request("0001", "0003", at_0, "00000000"), simple("00000000")},
    {"flush_with_offset", "", request("0000", "0003", "0000000000000001", "00000000"), simple("00000016")},
    {"flush_with_length", "", request("0000", "0003", at_0, "00000001"), simple("00000016")},

    {"trim", "", request("0000", "0004", at_0, "00000004") + read(at_0, "00000008"),
     simple("00000000") + simple("00000000") + "00*4 '4567'"},
    {"trim_with_fua", "", request("0001", "0004", at_0, "00001000"), simple("00000000")},
    {"trim_past_the_end", "", request("0000", "0004", at_0, "00100001"), simple("00000016")},
    {"trim_of_everything", "", request("0000", "0004", at_0, "00100000") + read(at_0, "00000004"),
     simple("00000000") + simple("00000000") + "00000000"},
    {"trim_read_only", "", request("0000", "0004", at_0, "00000004"), simple("00000001"), false, read_only},

    {"cache", "", request("0000", "0005", at_0, "00100000"), simple("00000000")},
    {"cache_past_the_end", "", request("0000", "0005", at_0, "00100001"), simple("00000016")},
    {"cache_read_only", "", request("0000", "0005", at_0, "00100000"), simple("00000000"), false, read_only},

    {"zero", "", request("0000", "0006", "0000000000000004", "00000002") + read(at_0, "00000008"),
     simple("00000000") + simple("00000000") + "'0123' 0000 '67'"},
    {"zero_with_all_flags", "", request("0013", "0006", at_0, "00100000") + read(at_0, "00000002"),
     simple("00000000") + simple("00000000") + "0000"},
    {"zero_past_the_end", "", request("0000", "0006", at_end, "00000001"), simple("0000001c")},
    {"zero_that_wraps", "", request("0000", "0006", wraps, "00000400"), simple("0000001c")},
    {"zero_read_only", "", request("0000", "0006", at_0, "00000001"), simple("00000001"), false, read_only},

    {"block_status_without_contexts", "", request("0000", "0007", at_0, "00100000"), simple("00000016")},
    {"resize", "", request("0000", "0008", at_end, "00000000"), simple("00000016")},
    {"unknown_command", "", request("0000", "0063", at_0, "00000004") + read(at_0, "00000001"),
     simple("00000016") + simple("00000000") + "'0'"},
    {"disc", "", request("0000", "0002", at_0, "00000000"), "", true},
    {"disc_with_nonsense", "", request("ffff", "0002", wraps, "00000200"), "", true},
    {"disc_behind_reads", "",
     read(at_0, "00000001") + read(at_0, "00000002") + request("0000", "0002", at_0, "00000000"),
     simple("00000000") + "'0'" + simple("00000000") + "'01'", true},
    {"wrong_magic", "", read(at_0, "00000001") + "25609514 00*24", simple("00000000") + "'0'", true},
    {"extended_magic_in_compact_mode", "", extended_request("0000", "0000", at_0, at_0), "", true},

    {"unaligned_offset", "", read("0000000000000100", "00000200"), simple("00000016"), false, blocks_of_512},
    {"unaligned_length", "", request("0000", "0001", at_0, "00000004") + "'wxyz'" + read(at_0, "00000200"),
     simple("00000016") + simple("00000000") + "'0123456789abcdef' 00*496", false, blocks_of_512},
    {"read_above_the_maximum", "", read(at_0, "00100200"), simple("00000016"), false, blocks_of_512},
};

const Case structured_cases[] = {
    {"read", structured, read("0000000000000002", "00000003"),
     chunk("0001", "0001", "0000000b") + "0000000000000002 '234'"},
    {"read_of_a_hole", structured, read("0000000000080000", "00000100"),
     chunk("0001", "0002", "0000000c") + "0000000000080000 00000100"},
    {"read_across_data_and_hole", structured, read("0000000000000000", "00002000"),
     chunk("0000", "0001", "00001008") + at_0 + "'0123456789abcdef' 00*4080" +
         chunk("0001", "0002", "0000000c") + "0000000000001000 00001000"},
    {"read_with_df", structured, request("0004", "0000", "0000000000000000", "00002000"),
     chunk("0001", "0001", "00002008") + at_0 + "'0123456789abcdef' 00*8176"},
    {"read_nothing", structured, read(at_0, "00000000"), done},
    {"read_past_the_end", structured, read(at_end, "00000001"), error_chunk("00000016")},
    {"read_with_df_above_the_maximum", structured, request("0004", "0000", at_0, "00080000"),
     error_chunk("0000004b"), false, blocks({1, 512, 1 << 18})},
    {"read_above_the_maximum_in_parts", structured, read("0000000000000000", "00001800"),
     chunk("0000", "0001", "00000808") + at_0 + "'0123456789abcdef' 00*2032" +
         chunk("0000", "0001", "00000808") + "0000000000000800 00*2048" + chunk("0001", "0002", "0000000c") +
         "0000000000001000 00000800",
     false, blocks({1, 512, 2048})},
    {"write", structured, request("0000", "0001", at_0, "00000001") + "'x'", done},
    {"write_past_the_end", structured, request("0000", "0001", at_end, "00000001") + "'x'",
     error_chunk("0000001c")},
    {"write_read_only", structured, request("0000", "0001", at_0, "00000001") + "'x'",
     error_chunk("00000001"), false, read_only},
    {"write_above_the_maximum", structured, request("0000", "0001", at_0, "00000801") + "78*2049",
     error_chunk("00000016"), false, blocks({1, 512, 2048})},
    {"cache_has_no_data", structured, request("0000", "0005", at_0, "00000001"), done},
    {"zero", structured, request("0000", "0006", at_0, "00000001"), done},
    {"flush", structured, request("0000", "0003", at_0, "00000000"), done},
    {"unknown_command", structured, request("0000", "0063", at_0, "00000000"), error_chunk("00000016")},

    {"block_status", structured + allocation, request("0000", "0007", at_0, "00100000"),
     chunk("0001", "0005", "00000014") + "00000001 00001000 00000000 000ff000 00000003"},
    {"block_status_goes_on_behind_the_request", structured + allocation,
     request("0000", "0007", at_0, "00000010"),
     chunk("0001", "0005", "0000000c") + "00000001 00001000 00000000"},
    {"block_status_of_one", structured + allocation, request("0008", "0007", at_0, "00100000"),
     chunk("0001", "0005", "0000000c") + "00000001 00001000 00000000"},
    {"block_status_of_one_is_not_longer", structured + allocation, request("0008", "0007", at_0, "00000010"),
     chunk("0001", "0005", "0000000c") + "00000001 00000010 00000000"},
    {"block_status_with_fua", structured + allocation, request("0009", "0007", at_0, "00000010"),
     chunk("0001", "0005", "0000000c") + "00000001 00000010 00000000"},
    {"block_status_of_nothing", structured + allocation, request("0000", "0007", at_0, "00000000"),
     error_chunk("00000016")},
    {"block_status_past_the_end", structured + allocation, request("0000", "0007", at_0, "00100001"),
     error_chunk("00000016")},
    {"block_status_without_contexts", structured, request("0000", "0007", at_0, "00100000"),
     error_chunk("00000016")},
    {"block_status_of_contexts_for_another_name",
     structured + "'IHAVEOPT' 0000000a 0000001f 00000004 'disk' 00000001 0000000f 'base:allocation'",
     request("0000", "0007", at_0, "00100000"), error_chunk("00000016")},
    {"block_status_after_the_contexts_were_replaced",
     structured + allocation + "'IHAVEOPT' 0000000a 00000015 00000000 00000001 00000009 'x-y:other'",
     request("0000", "0007", at_0, "00100000"), error_chunk("00000016")},
    {"block_status_after_replacing_the_contexts_failed",
     structured + allocation + "'IHAVEOPT' 0000000a 00000003 000000",
     request("0000", "0007", at_0, "00100000"), error_chunk("00000016")},
    {"block_status_after_replacing_the_contexts_was_too_big",
     structured + allocation + "'IHAVEOPT' 0000000a 00010001 00*65537",
     request("0000", "0007", at_0, "00100000"), error_chunk("00000016")},
    {"trim_makes_a_hole", structured + allocation,
     request("0000", "0004", at_0, "00001000") + request("0000", "0007", at_0, "00100000"),
     done + chunk("0001", "0005", "0000000c") + "00000001 00100000 00000003"},
    {"no_hole_makes_none", structured + allocation,
     request("0002", "0006", at_0, "00002000") + request("0008", "0007", at_0, "00100000"),
     done + chunk("0001", "0005", "0000000c") + "00000001 00002000 00000000"},
};

const Case extended_cases[] = {
    {"read", extended, extended_request("0000", "0000", "0000000000000002", "0000000000000003"),
     extended_chunk("0001", "0001", "0000000000000002", "000000000000000b") + "0000000000000002 '234'"},
    {"read_in_parts_repeats_the_offset_of_the_request", extended,
     extended_request("0000", "0000", at_0, "0000000000002000"),
     extended_chunk("0000", "0001", at_0, "0000000000001008") + at_0 + "'0123456789abcdef' 00*4080" +
         extended_chunk("0001", "0002", at_0, "000000000000000c") + "0000000000001000 00001000"},
    {"read_past_the_end", extended, extended_request("0000", "0000", at_0, "0000000200000000"),
     "6e8a278c 0001 8001 'cookie-1' " + at_0 + "… 00000016"},
    {"read_with_payload", extended, extended_request("0020", "0000", at_0, "0000000000000004") + "'junk'",
     "6e8a278c 0001 8001 'cookie-1' " + at_0 + "… 00000016"},
    {"write", extended, extended_request("0020", "0001", at_0, "0000000000000002") + "'xy'",
     extended_chunk("0001", "0000", at_0, at_0)},
    {"write_without_payload_len_as_qemu_sends_it", extended,
     extended_request("0000", "0001", at_0, "0000000000000002") + "'xy'",
     extended_chunk("0001", "0000", at_0, at_0)},
    {"payload_above_the_maximum", extended, extended_request("0020", "0001", at_0, "0000000002000001"), "",
     true},
    {"payload_of_unknown_command_above_the_maximum", extended,
     extended_request("0020", "0063", at_0, "ffffffffffffffff"), "", true},
    {"zero_of_everything", extended, extended_request("0000", "0006", at_0, at_end),
     extended_chunk("0001", "0000", at_0, at_0)},
    {"zero_of_2_to_the_63", extended, extended_request("0000", "0006", at_0, "8000000000000000"),
     "6e8a278c 0001 8001 'cookie-1' " + at_0 + "… 0000001c"},
    {"compact_magic", extended, read(at_0, "00000001") + "00000000", "", true},
    {"block_status", extended + allocation, extended_request("0000", "0007", at_0, at_end),
     extended_chunk("0001", "0006", at_0, "0000000000000028") +
         "00000001 00000002 0000000000001000 0000000000000000 00000000000ff000 0000000000000003"},
    {"block_status_with_payload", extended + allocation,
     extended_request("0028", "0007", at_0, "000000000000000c") + at_end + "00000001",
     extended_chunk("0001", "0006", at_0, "0000000000000018") +
         "00000001 00000001 0000000000001000 0000000000000000"},
    {"block_status_of_an_unknown_context", extended + allocation,
     extended_request("0020", "0007", at_0, "000000000000000c") + at_end + "00000002",
     "6e8a278c 0001 8001 'cookie-1' " + at_0 + "… 00000016"},
    {"block_status_of_a_context_twice", extended + allocation,
     extended_request("0020", "0007", at_0, "0000000000000010") + at_end + "00000001 00000001",
     "6e8a278c 0001 8001 'cookie-1' " + at_0 + "… 00000016"},
    {"block_status_with_malformed_payload", extended + allocation,
     extended_request("0020", "0007", at_0, "000000000000000b") + at_end + "000000",
     "6e8a278c 0001 8001 'cookie-1' " + at_0 + "… 00000016"},
    {"block_status_with_a_payload_past_the_end", extended + allocation,
     extended_request("0020", "0007", at_0, "000000000000000c") + beyond + "00000001",
     "6e8a278c 0001 8001 'cookie-1' " + at_0 + "… 00000016"},
    {"block_status_with_a_payload_that_was_not_offered", extended,
     extended_request("0020", "0007", at_0, "000000000000000c") + at_end + "00000001",
     "6e8a278c 0001 8001 'cookie-1' " + at_0 + "… 00000016"},
};

INSTANTIATE_TEST_SUITE_P(Simple, TransmissionTest, testing::ValuesIn(simple_cases),
                         [](const auto& instance) { return std::string(instance.param.name); });
INSTANTIATE_TEST_SUITE_P(Structured, TransmissionTest, testing::ValuesIn(structured_cases),
                         [](const auto& instance) { return std::string(instance.param.name); });
INSTANTIATE_TEST_SUITE_P(Extended, TransmissionTest, testing::ValuesIn(extended_cases),
                         [](const auto& instance) { return std::string(instance.param.name); });

/// Everything that was left out is refused with EINVAL and the connection goes on.
TEST(Features, what_is_not_offered_is_refused) {
    struct {
        bool Features::*feature;
        std::string input;
    } const cases[] = {
        {&Features::flush, request("0000", "0003", at_0, "00000000")},
        {&Features::trim, request("0000", "0004", at_0, "00000001")},
        {&Features::cache, request("0000", "0005", at_0, "00000001")},
        {&Features::write_zeroes, request("0000", "0006", at_0, "00000001")},
        {&Features::fast_zero, request("0010", "0006", at_0, "00000001")},
        {&Features::fua, request("0001", "0001", at_0, "00000001") + "'x'"},
    };
    for (const auto& c : cases) {
        ExportOptions options;
        options.features.*c.feature = false;
        Disk disk(1 << 20, options);
        Conversation conversation(disk.catalogue);
        conversation.feed(client_flags + go);
        (void)conversation.output();
        conversation.feed(c.input + read(at_0, "00000001"));
        EXPECT_EQ(shown(conversation.output()),
                  shown(bytes(simple("00000016") + simple("00000000") + "'0'")));
    }
}

TEST(OutOfOrder, replies_follow_completion) {
    Disk disk(1 << 20);
    Conversation conversation(disk.catalogue);
    conversation.feed(client_flags + go);
    (void)conversation.output();
    Session& session = conversation.session();
    const nbd::Buffer input = bytes("25609513 00000000 'cookie-1' 0000000000000000 00000001"
                                    "25609513 00000000 'cookie-2' 0000000000000001 00000001"
                                    "25609513 00000002 'cookie-3' 0000000000000000 00000000");
    const auto space = session.input_space();
    std::copy(input.begin(), input.end(), static_cast<std::uint8_t*>(space[0].iov_base));
    session.received(input.size());
    Operation* const first = session.next_operation();
    Operation* const second = session.next_operation();
    ASSERT_NE(first, nullptr);
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(session.next_operation(), nullptr);
    for (Operation* operation : {second, first}) {
        EXPECT_FALSE(session.finished()) << "before all requests are answered";
        session.served().perform(*operation);
        session.complete(*operation);
    }
    std::array<iovec, 8> vectors;
    nbd::Buffer output;
    for (std::size_t i = 0, count = session.output().gather(vectors); i < count; ++i) {
        const auto* from = static_cast<const std::uint8_t*>(vectors.at(i).iov_base);
        output.insert(output.end(), from, from + vectors.at(i).iov_len);
    }
    EXPECT_EQ(shown(output),
              shown(bytes("67446698 00000000 'cookie-2' '1' 67446698 00000000 'cookie-1' '0'")));
    session.sent(output.size());
    EXPECT_TRUE(session.finished());
}

TEST(ShutDown, later_requests_are_refused) {
    Disk disk(1 << 20);
    Conversation conversation(disk.catalogue);
    conversation.feed(client_flags + go);
    (void)conversation.output();
    conversation.session().shut_down();
    conversation.feed(request("0000", "0001", at_0, "00000001") + "'x'" + read(at_0, "00000001"));
    EXPECT_EQ(shown(conversation.output()), shown(bytes(simple("0000006c") + simple("0000006c"))));
    EXPECT_TRUE(conversation.session().idle());
}

TEST(HalfClose, what_was_received_is_answered) {
    Disk disk(1 << 20);
    Conversation conversation(disk.catalogue);
    conversation.feed(client_flags + go);
    (void)conversation.output();
    conversation.feed(read(at_0, "00000001") + request("0000", "0001", at_0, "00000004") + "'xy'");
    conversation.end_of_input();
    EXPECT_EQ(shown(conversation.output()), shown(bytes(simple("00000000") + "'0'")));
    EXPECT_TRUE(conversation.ended());
    Operation operation;
    operation.length = 4;
    disk.backend->perform(operation);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(operation.pieces.front().data), 4), "0123")
        << "half a write was carried out";
}

} // namespace
} // namespace refserver
