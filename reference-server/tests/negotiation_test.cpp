// The handshake, in bytes written by hand from the specification.

#include "reference-server/tests/support.hpp"

#include <gtest/gtest.h>

#include <string>

namespace refserver {
namespace {

const std::string flags_fixed = "00000003 ";
const std::string go_disk = "'IHAVEOPT' 00000007 0000000a 00000004 'disk' 0000 ";
const std::string rep = "0003e889045565a9 ";
/// 1 MiB: HAS_FLAGS SEND_FLUSH SEND_FUA SEND_TRIM SEND_WRITE_ZEROES CAN_MULTI_CONN SEND_CACHE SEND_FAST_ZERO.
const std::string size_and_flags = "0000000000100000 0d6d ";
const std::string size_and_flags_df = "0000000000100000 0ded ";

std::string block_size_info(const std::string& option) {
    return rep + option + "00000003 0000000e 0003 00000001 00001000 02000000 ";
}
std::string export_info(const std::string& option, const std::string& size_flags = size_and_flags) {
    return rep + option + "00000003 0000000c 0000 " + size_flags;
}
std::string ack(const std::string& option) {
    return rep + option + "00000001 00000000 ";
}

/// An exchange after the greeting of a server with a disk of 1 MiB.
struct Case {
    const char* name;
    std::string input;
    std::string output; ///< "…" at the end stands for the text of an error message
    bool ends = false;
    SessionOptions options = {};
    ExportOptions served = {};
};

void PrintTo(const Case& c, std::ostream* out) {
    *out << c.name;
}

SessionOptions handshake(Handshake handshake, std::uint16_t mask = 0xffff) {
    SessionOptions options;
    options.handshake = handshake;
    options.handshake_flags_mask = mask;
    return options;
}

SessionOptions style(ReplyStyle most) {
    SessionOptions options;
    options.most = most;
    return options;
}

ExportOptions described(const std::string& description) {
    ExportOptions options;
    options.description = description;
    return options;
}

ExportOptions read_only() {
    ExportOptions options;
    options.read_only = true;
    return options;
}

ExportOptions without_block_size() {
    ExportOptions options;
    options.advertise_block_size = false;
    return options;
}

ExportOptions requiring_block_size() {
    ExportOptions options;
    options.require_block_size = true;
    return options;
}

ExportOptions without_contexts() {
    ExportOptions options;
    options.features.block_status = false;
    return options;
}

class NegotiationTest : public testing::TestWithParam<Case> {};

/// Compares, but takes the message text of an error reply at the end out of `actual`.
void expect_output(const Case& c, nbd::Buffer actual) {
    std::string expected = c.output;
    const std::string ellipsis = "…";
    if (expected.ends_with(ellipsis)) {
        const nbd::Buffer before = bytes(expected.substr(0, expected.size() - ellipsis.size()));
        ASSERT_GE(actual.size(), before.size() + 4) << shown(actual);
        const std::size_t text = actual.size() - before.size() - 4;
        const nbd::Buffer length(actual.begin() + static_cast<std::ptrdiff_t>(before.size()),
                                 actual.begin() + static_cast<std::ptrdiff_t>(before.size() + 4));
        EXPECT_EQ(nbd::detail::load_big<std::uint32_t>(length.data()), text) << "the length of the message";
        actual.resize(before.size());
        EXPECT_EQ(shown(actual), shown(before));
        return;
    }
    EXPECT_EQ(shown(actual), shown(bytes(expected)));
}

TEST_P(NegotiationTest, answers) {
    const Case& c = GetParam();
    for (const Fragments& fragments : {whole(), single_bytes(), random_pieces(1), random_pieces(2)}) {
        Disk disk(1 << 20, c.served);
        Conversation conversation(disk.catalogue, c.options);
        (void)conversation.output();
        conversation.feed(bytes(c.input), fragments);
        expect_output(c, conversation.output());
        EXPECT_EQ(conversation.ended(), c.ends);
    }
}

const Case handshake_cases[] = {
    // Client flags
    {"unknown_client_flag", "00000083", "", true},
    {"client_flags_in_the_wrong_byte_order", "03000000", "", true},
    {"no_zeroes_not_offered", "00000003", "", true, handshake(Handshake::fixed_newstyle, 1)},
    {"fixed_newstyle_not_offered", "00000001", "", true, handshake(Handshake::newstyle)},
    {"wrong_magic", flags_fixed + "'IHAVEOPS' 00000003 00000000", "", true},

    // NBD_OPT_EXPORT_NAME
    {"export_name", flags_fixed + "'IHAVEOPT' 00000001 00000004 'disk'", size_and_flags},
    {"export_name_default", flags_fixed + "'IHAVEOPT' 00000001 00000000", size_and_flags},
    {"export_name_with_zeroes", "00000001 'IHAVEOPT' 00000001 00000004 'disk'", size_and_flags + "00*124"},
    {"export_name_without_fixed_newstyle", "00000002 'IHAVEOPT' 00000001 00000004 'disk'", size_and_flags},
    {"export_name_no_flags", "00000000 'IHAVEOPT' 00000001 00000004 'disk'", size_and_flags + "00*124"},
    {"export_name_server_without_no_zeroes", "00000001 'IHAVEOPT' 00000001 00000004 'disk'",
     size_and_flags + "00*124", false, handshake(Handshake::fixed_newstyle, 1)},
    {"export_name_of_a_plain_newstyle_server", "00000000 'IHAVEOPT' 00000001 00000004 'disk'",
     size_and_flags + "00*124", false, handshake(Handshake::newstyle)},
    {"export_name_unknown", flags_fixed + "'IHAVEOPT' 00000001 00000004 'disc'", "", true},
    {"export_name_with_nul", flags_fixed + "'IHAVEOPT' 00000001 00000006 'disk' 00 'x'", "", true},
    {"export_name_of_4_GiB", flags_fixed + "'IHAVEOPT' 00000001 ffffffff", "", true},
    {"export_name_of_4097_bytes", flags_fixed + "'IHAVEOPT' 00000001 00001001", "", true},
    {"export_name_after_extended_headers",
     flags_fixed + "'IHAVEOPT' 0000000b 00000000 'IHAVEOPT' 00000001 00000004 'disk'", ack("0000000b"), true},
    {"export_name_after_structured_replies",
     flags_fixed + "'IHAVEOPT' 00000008 00000000 'IHAVEOPT' 00000001 00000004 'disk'",
     ack("00000008") + size_and_flags_df},
    {"no_other_option_without_fixed_newstyle", "00000000 'IHAVEOPT' 00000003 00000000", "", true},

    // NBD_OPT_ABORT
    {"abort", flags_fixed + "'IHAVEOPT' 00000002 00000000", ack("00000002"), true},
    {"abort_with_data", flags_fixed + "'IHAVEOPT' 00000002 00000003 'bye'", ack("00000002"), true},

    // NBD_OPT_LIST
    {"list", flags_fixed + "'IHAVEOPT' 00000003 00000000",
     rep + "00000003 00000002 00000008 00000004 'disk'" + ack("00000003")},
    {"list_with_description",
     flags_fixed + "'IHAVEOPT' 00000003 00000000",
     rep + "00000003 00000002 0000000d 00000004 'disk' 'a day'" + ack("00000003"),
     false,
     {},
     described("a day")},
    {"list_with_data", flags_fixed + "'IHAVEOPT' 00000003 00000004 'abcd'", rep + "00000003 80000003 …"},

    // NBD_OPT_STARTTLS
    {"starttls", flags_fixed + "'IHAVEOPT' 00000005 00000000", rep + "00000005 80000001 …"},
    {"starttls_with_data", flags_fixed + "'IHAVEOPT' 00000005 00000001 00", rep + "00000005 80000003 …"},

    // Unknown options
    {"unknown_option", flags_fixed + "'IHAVEOPT' 00001234 00000000", rep + "00001234 80000001 …"},
    {"unknown_option_with_data", flags_fixed + "'IHAVEOPT' 00001234 00000064 41*100",
     rep + "00001234 80000001 …"},
    {"peek_export", flags_fixed + "'IHAVEOPT' 00000004 00000000", rep + "00000004 80000001 …"},
    {"option_of_4_GiB", flags_fixed + "'IHAVEOPT' 00001234 ffffffff", "", true},

    // NBD_OPT_INFO and NBD_OPT_GO
    {"go", flags_fixed + go_disk, block_size_info("00000007") + export_info("00000007") + ack("00000007")},
    {"go_default", flags_fixed + "'IHAVEOPT' 00000007 00000006 00000000 0000",
     block_size_info("00000007") + export_info("00000007") + ack("00000007")},
    {"go_without_no_zeroes_has_no_padding", "00000001" + go_disk,
     block_size_info("00000007") + export_info("00000007") + ack("00000007")},
    {"go_with_name_and_unknown_information",
     flags_fixed + "'IHAVEOPT' 00000007 0000000e 00000004 'disk' 0002 0001 0063",
     block_size_info("00000007") + rep + "00000007 00000003 00000006 0001 'disk'" + export_info("00000007") +
         ack("00000007")},
    {"go_default_tells_the_canonical_name", flags_fixed + "'IHAVEOPT' 00000007 00000008 00000000 0001 0001",
     block_size_info("00000007") + rep + "00000007 00000003 00000006 0001 'disk'" + export_info("00000007") +
         ack("00000007")},
    {"go_without_block_size",
     flags_fixed + go_disk,
     export_info("00000007") + ack("00000007"),
     false,
     {},
     without_block_size()},
    {"info_with_description",
     flags_fixed + "'IHAVEOPT' 00000006 0000000c 00000004 'disk' 0001 0002",
     block_size_info("00000006") + rep + "00000006 00000003 00000007 0002 'a day'" + export_info("00000006") +
         ack("00000006"),
     false,
     {},
     described("a day")},
    {"info_asked_twice_is_told_once",
     flags_fixed + "'IHAVEOPT' 00000006 0000000e 00000004 'disk' 0002 0003 0003",
     block_size_info("00000006") + export_info("00000006") + ack("00000006")},
    {"info_unknown", flags_fixed + "'IHAVEOPT' 00000006 0000000a 00000004 'disc' 0000",
     rep + "00000006 80000006 …"},
    {"info_then_go", flags_fixed + "'IHAVEOPT' 00000006 0000000a 00000004 'disk' 0000" + go_disk,
     block_size_info("00000006") + export_info("00000006") + ack("00000006") + block_size_info("00000007") +
         export_info("00000007") + ack("00000007")},
    {"info_with_nul", flags_fixed + "'IHAVEOPT' 00000006 0000000d 00000007 'disk' 00 'zz' 0000",
     rep + "00000006 80000003 …"},
    {"info_with_invalid_utf8", flags_fixed + "'IHAVEOPT' 00000006 00000008 00000002 c0af 0000",
     rep + "00000006 80000003 …"},
    {"info_name_longer_than_the_option", flags_fixed + "'IHAVEOPT' 00000006 0000000a 00000005 'disk' 0000",
     rep + "00000006 80000003 …"},
    {"info_name_of_4_GiB", flags_fixed + "'IHAVEOPT' 00000006 0000000a ffffffff 'disk' 0000",
     rep + "00000006 80000003 …"},
    {"info_with_too_few_requests", flags_fixed + "'IHAVEOPT' 00000006 0000000a 00000004 'disk' 0001",
     rep + "00000006 80000003 …"},
    {"info_with_bytes_left_over", flags_fixed + "'IHAVEOPT' 00000006 0000000b 00000004 'disk' 0000 00",
     rep + "00000006 80000003 …"},
    {"info_empty", flags_fixed + "'IHAVEOPT' 00000006 00000000", rep + "00000006 80000003 …"},
    {"info_name_of_4096_bytes", flags_fixed + "'IHAVEOPT' 00000006 00001006 00001000 61*4096 0000",
     rep + "00000006 80000006 …"},
    {"info_name_of_4097_bytes", flags_fixed + "'IHAVEOPT' 00000006 00001007 00001001 61*4097 0000",
     rep + "00000006 80000003 …"},
    {"info_too_big", flags_fixed + "'IHAVEOPT' 00000006 00010001 00*65537", rep + "00000006 80000009 …"},
    {"go_requires_block_size",
     flags_fixed + go_disk,
     block_size_info("00000007") + rep + "00000007 80000008 …",
     false,
     {},
     requiring_block_size()},
    {"go_with_required_block_size",
     flags_fixed + "'IHAVEOPT' 00000007 0000000c 00000004 'disk' 0001 0003",
     block_size_info("00000007") + export_info("00000007") + ack("00000007"),
     false,
     {},
     requiring_block_size()},
    {"export_name_where_block_size_is_required",
     flags_fixed + "'IHAVEOPT' 00000001 00000004 'disk'",
     "",
     true,
     {},
     requiring_block_size()},

    // NBD_OPT_STRUCTURED_REPLY and NBD_OPT_EXTENDED_HEADERS
    {"structured_reply", flags_fixed + "'IHAVEOPT' 00000008 00000000" + go_disk,
     ack("00000008") + block_size_info("00000007") + export_info("00000007", size_and_flags_df) +
         ack("00000007")},
    {"structured_reply_twice", flags_fixed + "'IHAVEOPT' 00000008 00000000 'IHAVEOPT' 00000008 00000000",
     ack("00000008") + ack("00000008")},
    {"structured_reply_with_data", flags_fixed + "'IHAVEOPT' 00000008 00000001 00",
     rep + "00000008 80000003 …"},
    {"structured_reply_switched_off", flags_fixed + "'IHAVEOPT' 00000008 00000000",
     rep + "00000008 80000001 …", false, style(ReplyStyle::simple)},
    {"extended_headers", flags_fixed + "'IHAVEOPT' 0000000b 00000000" + go_disk,
     ack("0000000b") + block_size_info("00000007") + export_info("00000007", size_and_flags_df) +
         ack("00000007")},
    {"extended_headers_after_structured_replies",
     flags_fixed + "'IHAVEOPT' 00000008 00000000 'IHAVEOPT' 0000000b 00000000",
     ack("00000008") + ack("0000000b")},
    {"structured_replies_after_extended_headers",
     flags_fixed + "'IHAVEOPT' 0000000b 00000000 'IHAVEOPT' 00000008 00000000",
     ack("0000000b") + rep + "00000008 8000000a …"},
    {"extended_headers_with_data", flags_fixed + "'IHAVEOPT' 0000000b 00000001 00",
     rep + "0000000b 80000003 …"},
    {"extended_headers_switched_off", flags_fixed + "'IHAVEOPT' 0000000b 00000000",
     rep + "0000000b 80000001 …", false, style(ReplyStyle::structured)},

    // NBD_OPT_LIST_META_CONTEXT
    {"list_contexts_without_structured_replies",
     flags_fixed + "'IHAVEOPT' 00000009 0000000c 00000004 'disk' 00000000",
     rep + "00000009 00000004 00000013 00000000 'base:allocation'" + ack("00000009")},
    {"list_contexts_of_a_namespace",
     flags_fixed + "'IHAVEOPT' 00000009 00000015 00000004 'disk' 00000001 00000005 'base:'",
     rep + "00000009 00000004 00000013 00000000 'base:allocation'" + ack("00000009")},
    {"list_contexts_of_another_namespace",
     flags_fixed + "'IHAVEOPT' 00000009 00000014 00000004 'disk' 00000001 00000004 'x-y:'", ack("00000009")},
    {"list_contexts_unknown_export", flags_fixed + "'IHAVEOPT' 00000009 0000000c 00000004 'disc' 00000000",
     rep + "00000009 80000006 …"},
    {"list_contexts_query_beyond_the_end",
     flags_fixed + "'IHAVEOPT' 00000009 00000015 00000004 'disk' 00000001 00000006 'base:'",
     rep + "00000009 80000003 …"},
    {"list_contexts_with_too_many_queries",
     flags_fixed + "'IHAVEOPT' 00000009 0000000c 00000004 'disk' ffffffff", rep + "00000009 80000003 …"},
    {"list_contexts_where_there_are_none",
     flags_fixed + "'IHAVEOPT' 00000009 0000000c 00000004 'disk' 00000000",
     ack("00000009"),
     false,
     {},
     without_contexts()},

    // NBD_OPT_SET_META_CONTEXT
    {"set_context_without_structured_replies",
     flags_fixed + "'IHAVEOPT' 0000000a 0000001f 00000004 'disk' 00000001 0000000f 'base:allocation'",
     rep + "0000000a 80000003 …"},
    {"set_context",
     flags_fixed + "'IHAVEOPT' 00000008 00000000 "
                   "'IHAVEOPT' 0000000a 0000001f 00000004 'disk' 00000001 0000000f 'base:allocation'",
     ack("00000008") + rep + "0000000a 00000004 00000013 00000001 'base:allocation'" + ack("0000000a")},
    {"set_context_twice_in_one_request",
     flags_fixed + "'IHAVEOPT' 00000008 00000000 "
                   "'IHAVEOPT' 0000000a 00000032 00000004 'disk' 00000002 0000000f 'base:allocation' "
                   "0000000f 'base:allocation'",
     ack("00000008") + rep + "0000000a 00000004 00000013 00000001 'base:allocation'" + ack("0000000a")},
    {"set_context_ignores_the_wildcard",
     flags_fixed + "'IHAVEOPT' 00000008 00000000 "
                   "'IHAVEOPT' 0000000a 00000015 00000004 'disk' 00000001 00000005 'base:'",
     ack("00000008") + ack("0000000a")},
    {"set_context_ignores_what_is_unknown",
     flags_fixed +
         "'IHAVEOPT' 00000008 00000000 "
         "'IHAVEOPT' 0000000a 00000023 00000004 'disk' 00000002 00000008 'base:new' 00000007 'x-a:b:c'",
     ack("00000008") + ack("0000000a")},
    {"set_no_context",
     flags_fixed + "'IHAVEOPT' 00000008 00000000 'IHAVEOPT' 0000000a 0000000c 00000004 'disk' 00000000",
     ack("00000008") + ack("0000000a")},
    {"set_context_unknown_export",
     flags_fixed + "'IHAVEOPT' 00000008 00000000 'IHAVEOPT' 0000000a 0000000c 00000004 'disc' 00000000",
     ack("00000008") + rep + "0000000a 80000006 …"},
    {"contexts_add_block_status_payload_with_extended_headers",
     flags_fixed +
         "'IHAVEOPT' 0000000b 00000000 "
         "'IHAVEOPT' 0000000a 0000001f 00000004 'disk' 00000001 0000000f 'base:allocation'" +
         go_disk,
     ack("0000000b") + rep + "0000000a 00000004 00000013 00000001 'base:allocation'" + ack("0000000a") +
         block_size_info("00000007") + export_info("00000007", "0000000000100000 1ded") + ack("00000007")},

    // Flags
    {"read_only",
     flags_fixed + go_disk,
     block_size_info("00000007") + export_info("00000007", "0000000000100000 050f") + ack("00000007"),
     false,
     {},
     read_only()},
};

INSTANTIATE_TEST_SUITE_P(Handshake, NegotiationTest, testing::ValuesIn(handshake_cases),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(Greeting, newstyle_tells_its_flags) {
    struct {
        Handshake handshake;
        std::uint16_t mask;
        const char* flags;
    } const cases[] = {{Handshake::fixed_newstyle, 0xffff, "0003"},
                       {Handshake::fixed_newstyle, 1, "0001"},
                       {Handshake::fixed_newstyle, 0, "0000"},
                       {Handshake::newstyle, 0xffff, "0000"}};
    for (const auto& c : cases) {
        Disk disk(1 << 20);
        Conversation conversation(disk.catalogue, handshake(c.handshake, c.mask));
        EXPECT_EQ(shown(conversation.output()), shown(bytes(std::string("'NBDMAGIC' 'IHAVEOPT'") + c.flags)));
    }
}

TEST(Greeting, oldstyle_enters_transmission_at_once) {
    Disk disk(1 << 20);
    Conversation conversation(disk.catalogue, handshake(Handshake::oldstyle));
    EXPECT_EQ(shown(conversation.output()),
              shown(bytes("'NBDMAGIC' 00 00 42 02 81 86 12 53 0000000000100000 0000 0d6d 00*124")));
    conversation.feed("25609513 0000 0000 0000000000000007 0000000000000002 00000003");
    EXPECT_EQ(shown(conversation.output()), shown(bytes("67446698 00000000 0000000000000007 '234'")));
}

/// The type of each option reply in `output`, which holds nothing else.
std::vector<std::uint32_t> reply_types(const nbd::Buffer& output) {
    std::vector<std::uint32_t> types;
    nbd::Bytes left(output);
    while (!left.empty()) {
        const auto reply = nbd::decode_prefix<nbd::OptionReply>(left);
        if (!reply || left.size() < nbd::wire_size<nbd::OptionReply> + reply->length) {
            ADD_FAILURE() << "not an option reply: " << shown(left);
            break;
        }
        types.push_back(static_cast<std::uint32_t>(reply->type));
        left = left.subspan(nbd::wire_size<nbd::OptionReply> + reply->length);
    }
    return types;
}

TEST(Negotiation, stays_in_step_after_every_kind_of_refusal) {
    Disk disk(1 << 20);
    Conversation conversation(disk.catalogue);
    (void)conversation.output();
    conversation.feed(
        flags_fixed +
        "'IHAVEOPT' 00000003 00000004 'abcd' 'IHAVEOPT' 00000006 00000003 414243 "
        "'IHAVEOPT' 00000005 00000004 'junk' 'IHAVEOPT' ffffffff 00000008 'IHAVEOPT' "
        "'IHAVEOPT' 00000009 00020000 42*131072 'IHAVEOPT' 00000007 0000000a 00000004 'disc' 0000" +
        go_disk);
    EXPECT_EQ(reply_types(conversation.output()),
              (std::vector<std::uint32_t>{0x80000003, 0x80000003, 0x80000003, 0x80000001, 0x80000009,
                                          0x80000006, 3, 3, 1}));
}

TEST(Negotiation, forty_options_and_more_are_fine) {
    Disk disk(1 << 20);
    Conversation conversation(disk.catalogue);
    (void)conversation.output();
    conversation.feed(flags_fixed);
    for (int i = 0; i < 1000; ++i) {
        conversation.feed("'IHAVEOPT' 00000006 0000000a 00000004 'disk' 0000");
        EXPECT_EQ(reply_types(conversation.output()), (std::vector<std::uint32_t>{3, 3, 1}));
    }
}

TEST(Negotiation, shutting_down_refuses_all_but_abort) {
    Disk disk(1 << 20);
    Conversation conversation(disk.catalogue);
    (void)conversation.output();
    conversation.feed(flags_fixed);
    conversation.session().shut_down();
    conversation.feed(go_disk + "'IHAVEOPT' 00000003 00000000 'IHAVEOPT' 00000002 00000000");
    EXPECT_EQ(reply_types(conversation.output()), (std::vector<std::uint32_t>{0x80000007, 0x80000007, 1}));
    EXPECT_TRUE(conversation.ended());
}

TEST(Negotiation, end_of_input_ends_quietly_wherever_it_comes) {
    const nbd::Buffer input = bytes(flags_fixed + "'IHAVEOPT' 00000003 00000000" + go_disk);
    for (std::size_t cut = 0; cut < input.size(); ++cut) {
        Disk disk(1 << 20);
        Conversation conversation(disk.catalogue);
        conversation.feed(nbd::Bytes(input).first(cut));
        conversation.end_of_input();
        EXPECT_TRUE(conversation.ended()) << "after " << cut << " bytes";
    }
}

} // namespace
} // namespace refserver
