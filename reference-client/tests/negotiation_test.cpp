// The handshake against scripted servers. All bytes are written by hand from the specification.

#include "reference-client/negotiation.hpp"
#include "reference-client/tests/support/bytes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refclient {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::hex;
using ::testing::IsEmpty;
using testing::to_hex;

// What servers send.
const std::string magic = "4e42444d41474943";                  // NBDMAGIC
const std::string ihaveopt = "49484156454f5054";               // IHAVEOPT
const std::string greeting = magic + ihaveopt + "0003";        // FIXED_NEWSTYLE, NO_ZEROES
const std::string greeting_zeroes = magic + ihaveopt + "0001"; // FIXED_NEWSTYLE
const std::string greeting_plain = magic + ihaveopt + "0000";
const std::string reply = "0003e889045565a9";
const std::string unsup = "80000001";
const std::string unknown = "80000006";
const std::string go = "00000007";
const std::string info_option = "00000006";
const std::string ext = "0000000b";
const std::string sr = "00000008";
const std::string set_meta = "0000000a";
const std::string list_meta = "00000009";
const std::string list_option = "00000003";
const std::string abort_option = "00000002";
const std::string ack = "0000000100000000";
const std::string export_1m = "000000030000000c 0000 0000000000100000 0005"; // 1 MiB, HAS_FLAGS, SEND_FLUSH
const std::string abort_ack = reply + abort_option + ack;

// What clients send.
const std::string opt_ext = ihaveopt + "0000000b00000000";
const std::string opt_sr = ihaveopt + "0000000800000000";
const std::string opt_abort = ihaveopt + "0000000200000000";
const std::string opt_list = ihaveopt + "0000000300000000";
const std::string opt_set_meta_x = ihaveopt + "0000000a 0000001c 00000001 78 00000001 0000000f "
                                              "626173653a616c6c6f636174696f6e"; // x, base:allocation
const std::string go_payload_x = "00000001 78 0003 0001 0002 0003";             // name, description, sizes
const std::string opt_go_x = ihaveopt + "00000007 0000000d" + go_payload_x;
const std::string opt_info_x = ihaveopt + "00000006 0000000d" + go_payload_x;
const std::string opt_export_x = ihaveopt + "00000001 00000001 78";

struct Script {
    std::string name;
    std::string server; ///< hexadecimal
    std::string client; ///< hexadecimal, all that is sent
    Options options{};
    Goal goal = Goal::transmission;
    std::string export_name = "x";
    bool end = false;                               ///< the server closes the connection then
    std::optional<FailureKind> failure{};           ///< expected
    std::string says{};                             ///< part of the failure's message
    bool transmission = true;                       ///< expected, if there is no failure
    std::function<void(const ExportInfo&)> check{}; ///< of what was learnt
};

std::ostream& operator<<(std::ostream& out, const Script& script) {
    return out << script.name;
}

Options plain() {
    Options options;
    options.replies = Replies::simple;
    return options;
}

Options structured() {
    Options options;
    options.replies = Replies::structured;
    return options;
}

Options with(Options options, const std::function<void(Options&)>& change) {
    change(options);
    return options;
}

class NegotiationScripts : public ::testing::TestWithParam<Script> {};

TEST_P(NegotiationScripts, GoAsTheSpecificationWants) {
    const Script& script = GetParam();
    const nbd::Buffer stream = hex(script.server);
    for (const testing::Fragmentation& fragmentation : testing::fragmentations()) {
        SCOPED_TRACE(fragmentation.name);
        Negotiation negotiation(script.options, script.goal, script.export_name);
        nbd::Buffer sent;
        std::size_t used = 0;
        for (const nbd::Bytes part : fragmentation.cut(stream)) {
            used += negotiation.feed(part);
            const nbd::Buffer output = negotiation.take_output();
            sent.insert(sent.end(), output.begin(), output.end());
        }
        EXPECT_EQ(negotiation.finished(), !script.end) << "waiting for " << negotiation.awaited();
        if (script.end) {
            negotiation.feed_end();
        }
        ASSERT_TRUE(negotiation.finished());
        EXPECT_EQ(to_hex(sent), to_hex(hex(script.client)));
        if (script.failure) {
            ASSERT_TRUE(negotiation.failure());
            EXPECT_EQ(negotiation.failure()->kind(), *script.failure) << negotiation.failure()->what();
            EXPECT_THAT(negotiation.failure()->what(), HasSubstr(script.says));
            continue;
        }
        ASSERT_FALSE(negotiation.failure()) << negotiation.failure()->what();
        EXPECT_EQ(used, stream.size());
        EXPECT_EQ(negotiation.in_transmission(), script.transmission);
        if (script.check) {
            script.check(negotiation.info());
        }
    }
}

void is_one_mebibyte(const ExportInfo& info) {
    EXPECT_EQ(info.size, 1048576U);
    EXPECT_EQ(info.flags, 5);
}

const Script accepted[] = {
    {.name = "NBD_OPT_GO with simple replies",
     .server = greeting + reply + go + export_1m + reply + go + ack,
     .client = "00000003" + opt_go_x,
     .options = plain(),
     .check =
         [](const ExportInfo& info) {
             is_one_mebibyte(info);
             EXPECT_FALSE(info.structured);
             EXPECT_EQ(info.handshake, HandshakeStyle::fixed_newstyle);
             EXPECT_FALSE(info.block);
         }},
    {.name = "all that there is",
     .server = greeting + reply + ext + ack + reply + set_meta + "00000004 00000013 0000002a" +
               "626173653a616c6c6f636174696f6e" + reply + set_meta + ack + reply + go +
               "00000003 0000000e 0003 00000200 00001000 02000000" + reply + go + "00000003 00000006 0001" +
               "64697361" + reply + go + "00000003 00000004 0002 6869" + reply + go + export_1m + reply + go +
               ack,
     .client = "00000003" + opt_ext + opt_set_meta_x + opt_go_x,
     .check =
         [](const ExportInfo& info) {
             is_one_mebibyte(info);
             EXPECT_TRUE(info.structured);
             EXPECT_TRUE(info.extended());
             EXPECT_EQ(info.block, (BlockSizes{512, 4096, 33554432}));
             EXPECT_EQ(info.canonical_name, "disa");
             EXPECT_EQ(info.description, "hi");
             EXPECT_THAT(info.contexts, ElementsAre(MetaContext{42, "base:allocation"}));
         }},
    {.name = "extended headers fall back to structured replies",
     .server = greeting + reply + ext + unsup + "00000002 6e6f" + reply + sr + ack + reply + set_meta + ack +
               reply + go + export_1m + reply + go + ack,
     .client = "00000003" + opt_ext + opt_sr + opt_set_meta_x + opt_go_x,
     .check =
         [](const ExportInfo& info) {
             EXPECT_TRUE(info.structured);
             EXPECT_FALSE(info.extended());
             EXPECT_THAT(info.contexts, IsEmpty());
         }},
    {.name = "structured replies fall back to simple ones on any error",
     .server = greeting + reply + ext + unsup + "00000000" + reply + sr + "8000000200000000" + reply + go +
               export_1m + reply + go + ack,
     .client = "00000003" + opt_ext + opt_sr + opt_go_x,
     .check = [](const ExportInfo& info) { EXPECT_FALSE(info.structured); }},
    {.name = "contexts before an error are disregarded",
     .server = greeting + reply + sr + ack + reply + set_meta + "00000004 00000013 0000002a" +
               "626173653a616c6c6f636174696f6e" + reply + set_meta + "8000000900000000" + reply + go +
               export_1m + reply + go + ack,
     .client = "00000003" + opt_sr + opt_set_meta_x + opt_go_x,
     .options = structured(),
     .check = [](const ExportInfo& info) { EXPECT_THAT(info.contexts, IsEmpty()); }},
    {.name = "NBD_OPT_GO unknown: NBD_OPT_EXPORT_NAME without zeroes",
     .server = greeting + reply + go + unsup + "00000000" + "0000000000100000 0005",
     .client = "00000003" + opt_go_x + opt_export_x,
     .options = plain(),
     .check = is_one_mebibyte},
    {.name = "NBD_OPT_EXPORT_NAME with 124 zeroes from a server without NO_ZEROES",
     .server = greeting_zeroes + "0000000000100000 0005" + std::string(248, '0'),
     .client = "00000001" + opt_export_x,
     .options = with(plain(), [](Options& options) { options.use_export_name = true; }),
     .check = is_one_mebibyte},
    {.name = "NBD_OPT_EXPORT_NAME with 124 zeroes because the client wants them",
     .server = greeting + "0000000000100000 0005" + std::string(248, '0'),
     .client = "00000001" + opt_export_x,
     .options = with(plain(),
                     [](Options& options) {
                         options.use_export_name = true;
                         options.no_zeroes = false;
                     }),
     .check = is_one_mebibyte},
    {.name = "structured replies and contexts go with NBD_OPT_EXPORT_NAME, extended headers do not",
     .server = greeting + reply + sr + ack + reply + set_meta + ack + "0000000000100000 0005",
     .client = "00000003" + opt_sr + opt_set_meta_x + opt_export_x,
     .options = with({}, [](Options& options) { options.use_export_name = true; }),
     .check = [](const ExportInfo& info) { EXPECT_TRUE(info.structured); }},
    {.name = "newstyle that is not fixed has one option",
     .server = greeting_plain + "0000000000100000 0005" + std::string(248, '0'),
     .client = "00000000" + opt_export_x,
     .check = [](const ExportInfo& info) { EXPECT_EQ(info.handshake, HandshakeStyle::newstyle); }},
    {.name = "a client that does not set FIXED_NEWSTYLE uses one option",
     .server = greeting + "0000000000100000 0005",
     .client = "00000002" + opt_export_x,
     .options = with({}, [](Options& options) { options.fixed_newstyle = false; }),
     .check = is_one_mebibyte},
    {.name = "oldstyle; handshake flags are not transmission flags",
     .server = magic + "0000420281861253 0000000000100000 0002 0005" + std::string(248, '0'),
     .client = "",
     .export_name = "",
     .check =
         [](const ExportInfo& info) {
             is_one_mebibyte(info);
             EXPECT_EQ(info.handshake, HandshakeStyle::oldstyle);
         }},
    {.name = "unknown handshake flags are ignored",
     .server = magic + ihaveopt + "8003" + reply + go + export_1m + reply + go + ack,
     .client = "00000003" + opt_go_x,
     .options = plain()},
    {.name = "unknown information is ignored, however long",
     .server = greeting + reply + go + "00000003 00000004 0063 abcd" + reply + go + "00000003 00004000 0064" +
               std::string(2 * (0x4000 - 2), '7') + reply + go + export_1m + reply + go + ack,
     .client = "00000003" + opt_go_x,
     .options = plain(),
     .check = is_one_mebibyte},
    {.name = "information by NBD_OPT_INFO",
     .server = greeting + reply + info_option + export_1m + reply + info_option + ack + abort_ack,
     .client = "00000003" + opt_info_x + opt_abort,
     .options = plain(),
     .goal = Goal::info,
     .transmission = false,
     .check = is_one_mebibyte},
    {.name = "information by NBD_OPT_INFO, unknown to the server",
     .server = greeting + reply + info_option + unsup + "00000000" + "0000000000100000 0005",
     .client = "00000003" + opt_info_x + opt_export_x,
     .options = plain(),
     .goal = Goal::info,
     .check = is_one_mebibyte},
    {.name = "the answer to NBD_OPT_ABORT does not matter",
     .server = greeting + reply + info_option + export_1m + reply + info_option + ack +
               "ffffffffffffffff0000000000000000ffffffff",
     .client = "00000003" + opt_info_x + opt_abort,
     .options = plain(),
     .goal = Goal::info,
     .transmission = false},
    {.name = "a list of contexts",
     .server = greeting + reply + sr + ack + reply + list_meta + "00000004 00000007 00000000 713a78" + reply +
               list_meta + ack + reply + go + export_1m + reply + go + ack,
     .client = "00000003" + opt_sr + ihaveopt + "00000009 00000009 00000001 78 00000000" + opt_go_x,
     .options = with(structured(),
                     [](Options& options) {
                         options.contexts.clear();
                         options.list_contexts = true;
                     }),
     .check =
         [](const ExportInfo& info) {
             EXPECT_THAT(info.available_contexts, ElementsAre("q:x"));
             EXPECT_THAT(info.contexts, IsEmpty());
         }},
};

const Script refused[] = {
    {.name = "the server does not have the export",
     .server = greeting + reply + go + unknown + "00000004 6e6f7065" + abort_ack,
     .client = "00000003" + opt_go_x + opt_abort,
     .options = plain(),
     .failure = FailureKind::server,
     .says = "nope"},
    {.name = "the server demands TLS for any option",
     .server = greeting + reply + sr + "8000000500000000" + abort_ack,
     .client = "00000003" + opt_sr + opt_abort,
     .options = structured(),
     .failure = FailureKind::server,
     .says = "TLS"},
    {.name = "a server that shuts down is left by NBD_OPT_ABORT",
     .server = greeting + reply + sr + "8000000700000000" + abort_ack,
     .client = "00000003" + opt_sr + opt_abort,
     .options = structured(),
     .failure = FailureKind::server,
     .says = "shutting down"},
    {.name = "the server demands block sizes",
     .server = greeting + reply + go + "8000000800000000" + abort_ack,
     .client = "00000003" + ihaveopt + "00000007 0000000b 00000001 78 0002 0001 0002" + opt_abort,
     .options = with(plain(), [](Options& options) { options.request_block_size = false; }),
     .failure = FailureKind::server,
     .says = "block sizes"},
    {.name = "no way back from extended headers to NBD_OPT_EXPORT_NAME",
     .server = greeting + reply + ext + ack + reply + go + unsup + "00000000" + abort_ack,
     .client = "00000003" + opt_ext + opt_go_x + opt_abort,
     .options = with({}, [](Options& options) { options.contexts.clear(); }),
     .failure = FailureKind::server,
     .says = "NBD_REP_ERR_UNSUP"},
    {.name = "a list that policy forbids",
     .server = greeting + reply + list_option + "8000000200000000" + abort_ack,
     .client = "00000003" + opt_list + opt_abort,
     .goal = Goal::list,
     .failure = FailureKind::server,
     .says = "policy"},
    {.name = "closed after NBD_OPT_EXPORT_NAME",
     .server = greeting + reply + go + unsup + "00000000",
     .client = "00000003" + opt_go_x + opt_export_x,
     .options = plain(),
     .end = true,
     .failure = FailureKind::connection,
     .says = "refuses an export"},
    {.name = "closed in the middle of the reply to NBD_OPT_EXPORT_NAME",
     .server = greeting + reply + go + unsup + "00000000" + "00000000",
     .client = "00000003" + opt_go_x + opt_export_x,
     .options = plain(),
     .end = true,
     .failure = FailureKind::connection,
     .says = "in the middle"},
    {.name = "closed after information, before NBD_REP_ACK",
     .server = greeting + reply + info_option + export_1m,
     .client = "00000003" + opt_info_x,
     .options = plain(),
     .goal = Goal::info,
     .end = true,
     .failure = FailureKind::connection,
     .says = "NBD_OPT_INFO"},
    {.name = "closed at once",
     .server = "",
     .client = "",
     .end = true,
     .failure = FailureKind::connection,
     .says = "greeting"},
    {.name = "closed because of an option that the server does not know",
     .server = greeting,
     .client = "00000003" + opt_sr,
     .options = structured(),
     .end = true,
     .failure = FailureKind::connection,
     .says = "simple replies"},
    {.name = "oldstyle has no names",
     .server = magic + "0000420281861253 0000000000100000 0000 0005" + std::string(248, '0'),
     .client = "",
     .failure = FailureKind::local,
     .says = "oldstyle"},
    {.name = "no list without fixed newstyle",
     .server = greeting_plain,
     .client = "00000000",
     .goal = Goal::list,
     .failure = FailureKind::local,
     .says = "fixed newstyle"},
};

Script broken(const std::string& name, const std::string& after_greeting, const std::string& says,
              const std::string& client = opt_go_x, Options options = plain()) {
    return {.name = name,
            .server = greeting + after_greeting,
            .client = "00000003" + client,
            .options = std::move(options),
            .failure = FailureKind::protocol,
            .says = says};
}

const Script violations[] = {
    {.name = "no NBD server at all",
     .server = "53534800"
               "2d322e30"
               "2d4f7065"
               "6e535348",
     .client = "",
     .failure = FailureKind::protocol,
     .says = "NBDMAGIC"},
    {.name = "an unknown style of greeting",
     .server = magic + "0000000000000000",
     .client = "",
     .failure = FailureKind::protocol,
     .says = "style"},
    broken("wrong magic of a reply", "0003e889045565aa" + go + ack, "magic"),
    broken("a reply to another option", reply + list_option + ack, "NBD_OPT_LIST"),
    broken("a reply that does not fit", reply + go + "0000000200000000", "NBD_REP_SERVER"),
    broken("an unknown reply that is no error", reply + go + "0000006300000000", "0x63"),
    broken("NBD_REP_ACK with data", reply + go + export_1m + reply + go + "0000000100000004", "4 bytes"),
    broken("NBD_REP_ACK without NBD_INFO_EXPORT", reply + go + ack, "NBD_INFO_EXPORT"),
    broken("an error message without end", reply + go + unknown + "ffffffff", "4294967295"),
    broken("a reply without end", reply + sr + ack + reply + set_meta + "00000004ffffffff", "4294967295",
           opt_sr + opt_set_meta_x, structured()),
    broken("NBD_INFO_EXPORT too short", reply + go + "000000030000000b 0000 0000000000100000 00",
           "NBD_REP_INFO"),
    broken("NBD_INFO_EXPORT too long", reply + go + "000000030000000d 0000 0000000000100000 0005 00",
           "left over"),
    broken("information without type", reply + go + "0000000300000001 00", "too short"),
    broken("minimum block not a power of 2", reply + go + "00000003 0000000e 0003 00000300 00001000 02000000",
           "power of 2"),
    broken("minimum block of 0", reply + go + "00000003 0000000e 0003 00000000 00001000 02000000",
           "power of 2"),
    broken("minimum block too large", reply + go + "00000003 0000000e 0003 00020000 00020000 02000000",
           "65536"),
    broken("preferred block below the minimum",
           reply + go + "00000003 0000000e 0003 00001000 00000800 02000000", "preferred"),
    broken("preferred block below 512", reply + go + "00000003 0000000e 0003 00000001 00000100 02000000",
           "preferred"),
    broken("maximum below preferred", reply + go + "00000003 0000000e 0003 00000001 00001000 00000800",
           "maximum"),
    broken("a context reply too short", reply + sr + ack + reply + set_meta + "00000004 00000003 000000",
           "NBD_REP_META_CONTEXT", opt_sr + opt_set_meta_x, structured()),
    broken("two contexts with one id",
           reply + sr + ack + reply + set_meta + "00000004 00000007 00000001 613a62" + reply + set_meta +
               "00000004 00000007 00000001 613a63" + reply + set_meta + ack,
           "same id", opt_sr + opt_set_meta_x, structured()),
    {.name = "an export name that goes beyond its reply",
     .server = greeting + reply + list_option + "00000002 00000005 00000002 78",
     .client = "00000003" + opt_list,
     .goal = Goal::list,
     .failure = FailureKind::protocol,
     .says = "goes beyond"},
    {.name = "an export reply without a length",
     .server = greeting + reply + list_option + "00000002 00000002 0000",
     .client = "00000003" + opt_list,
     .goal = Goal::list,
     .failure = FailureKind::protocol,
     .says = "NBD_REP_SERVER"},
    {.name = "an export name with a NUL",
     .server = greeting + reply + list_option + "00000002 00000007 00000003 780079",
     .client = "00000003" + opt_list,
     .goal = Goal::list,
     .failure = FailureKind::protocol,
     .says = "NUL"},
};

INSTANTIATE_TEST_SUITE_P(Accepted, NegotiationScripts, ::testing::ValuesIn(accepted));
INSTANTIATE_TEST_SUITE_P(Refused, NegotiationScripts, ::testing::ValuesIn(refused));
INSTANTIATE_TEST_SUITE_P(Violations, NegotiationScripts, ::testing::ValuesIn(violations));

TEST(Negotiation, ListsExportsWithTheirDescriptions) {
    Negotiation negotiation({}, Goal::list, "");
    negotiation.feed(hex(greeting + reply + list_option + "00000002 00000005 00000001 61" + reply +
                         list_option + "00000002 00000009 00000001 62 74657874" + reply + list_option +
                         "00000002 00000004 00000000" + reply + list_option + ack + abort_ack));
    ASSERT_TRUE(negotiation.finished());
    EXPECT_FALSE(negotiation.failure());
    EXPECT_THAT(negotiation.exports(),
                ElementsAre(ListedExport{"a", ""}, ListedExport{"b", "text"}, ListedExport{"", ""}));
}

TEST(Negotiation, LeavesTheTransmissionPhaseAlone) {
    Negotiation negotiation(plain(), Goal::transmission, "x");
    const nbd::Buffer handshake = hex(greeting + reply + go + export_1m + reply + go + ack);
    nbd::Buffer stream = handshake;
    stream.insert(stream.end(), {1, 2, 3, 4});
    EXPECT_EQ(negotiation.feed(stream), handshake.size());
    EXPECT_TRUE(negotiation.in_transmission());
}

TEST(Negotiation, EndsAListThatDoesNotEnd) {
    Negotiation negotiation({}, Goal::list, "");
    negotiation.feed(hex(greeting));
    const nbd::Buffer entry =
        hex(reply + list_option + "00000002 00001004 00001000" + std::string(2 * 4096, '6'));
    std::size_t fed = 0;
    while (!negotiation.finished() && fed < 2 * max_option_replies) {
        negotiation.feed(entry);
        fed += entry.size();
    }
    ASSERT_TRUE(negotiation.failure());
    EXPECT_EQ(negotiation.failure()->kind(), FailureKind::protocol);
    EXPECT_LE(fed, max_option_replies + entry.size());
}

TEST(Negotiation, RefusesNamesThatCannotBeSent) {
    for (const std::string& name : {std::string(4097, 'x'), std::string("a\0b", 3), std::string("\xff")}) {
        EXPECT_THROW(Negotiation({}, Goal::transmission, name), Failure);
    }
    EXPECT_NO_THROW(Negotiation({}, Goal::transmission, std::string(4096, 'x')));
}

TEST(Negotiation, KnowsUtf8) {
    for (const char* good : {"", "abc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
        EXPECT_TRUE(is_utf8(good)) << good;
    }
    // A lone continuation, overlong forms, a surrogate, beyond the last code point, a cut sequence.
    for (const char* bad :
         {"\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xff"}) {
        EXPECT_FALSE(is_utf8(bad));
    }
}

} // namespace
} // namespace refclient
