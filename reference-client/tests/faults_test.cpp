// Each fault makes a difference, and without it the client does what the draft wants.

#include "reference-client/faults.hpp"
#include "reference-client/resizer.hpp"
#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

namespace refclient {
namespace {

using ::testing::HasSubstr;
using testing::hex;
using ::testing::Not;
using testing::ScriptedServer;
using testing::to_hex;
using Peer = ScriptedServer::Peer;
using Offer = ScriptedServer::Peer::Offer;
namespace flag = nbd::transmission_flag;

const std::string c1 = "0000000000000001";
const std::string c2 = "0000000000000002";
const std::string c3 = "0000000000000003";
const std::string mib1 = "0000000000100000 00000000";
const std::string mib2 = "0000000000200000 00000000";
const std::string mib2_external = "0000000000200000 00000002";
const std::string half = "0000000000080000 00000000";

std::string size_chunk(const std::string& cookie, const std::string& header, const std::string& payload) {
    return "668e33ef" + header + "0007" + cookie + fmt::format("{:08x}", hex(payload).size()) + payload;
}
std::string done(const std::string& cookie) {
    return "668e33ef 0001 0000" + cookie + "00000000";
}
std::string simple(const std::string& error, const std::string& cookie) {
    return "67446698" + error + cookie;
}
std::string capable(const std::string& capabilities, const std::string& granularity = "00000001") {
    return capabilities + granularity + "0000000000000000 0000000040000000";
}

constexpr std::uint16_t with_resize = flag::has_flags | flag::send_resize;

/// A server's part, and the client's.
struct Scene {
    Fault fault;
    Offer offer;
    std::vector<std::string> replies; ///< to one request each, hexadecimal
    std::function<void(Connection&, Resizer&, std::string&)> act;
    std::string right; ///< part of what is seen without the fault
    std::string wrong; ///< part of what is seen with it
    ResizePreferences prefers{};
    std::uint32_t rate = 1000;
};

void PrintTo(const Scene& scene, std::ostream* out) {
    *out << std::ranges::find(all_faults(), scene.fault, &FaultText::fault)->name;
}

/// Everything that can be seen: what the server received, what the client believes.
std::string observe(const Scene& scene, bool with_fault) {
    std::string received;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(scene.offer);
        for (const std::string& reply : scene.replies) {
            constexpr std::size_t header_size = 28;
            const nbd::Buffer request = peer.receive(header_size);
            received += to_hex(request) + " ";
            if (request.size() == header_size && request[7] == 1) {
                static_cast<void>(peer.receive(std::size_t{request[26]} * 256 + request[27]));
            }
            peer.send(hex(reply));
        }
        static_cast<void>(peer.receive_all());
    });
    Options options;
    options.replies = scene.offer.structured ? Replies::structured : Replies::simple;
    options.contexts.clear();
    options.ask_resize = true;
    options.max_notifications_per_second = scene.rate;
    options.timeout = std::chrono::seconds(10);
    if (with_fault) {
        options.faults.add(scene.fault);
    }
    std::string seen;
    try {
        const auto connection = Connection::open(server.uri(), options);
        Resizer resizer(*connection, server.uri(), scene.prefers);
        try {
            scene.act(*connection, resizer, seen);
        } catch (const Failure& failure) {
            seen += fmt::format("failure {} ", failure.what());
        }
        seen += fmt::format("size {} ", connection->size());
        connection->drop();
    } catch (const Failure& failure) {
        seen += fmt::format("failure {} ", failure.what());
    }
    server.join();
    return seen + "received " + received;
}

class FaultScenes : public ::testing::TestWithParam<Scene> {};

TEST_P(FaultScenes, MakeADifference) {
    const Scene& scene = GetParam();
    const std::string right = observe(scene, false);
    const std::string wrong = observe(scene, true);
    EXPECT_NE(right, wrong);
    EXPECT_THAT(right, HasSubstr(scene.right));
    EXPECT_THAT(wrong, HasSubstr(scene.wrong));
    EXPECT_THAT(right, Not(HasSubstr(scene.wrong)));
}

/// The hexadecimal digits of a request as the server sees it.
std::string seen(const std::string& digits) {
    return to_hex(hex(digits));
}

void grow(Connection& /*connection*/, Resizer& resizer, std::string& seen) {
    const ResizeOutcome outcome = resizer.grow_to(0x1fffff);
    seen += fmt::format("way {} zero {} ", name(outcome.way), outcome.promised_zero);
}

void shrink(Connection& /*connection*/, Resizer& resizer, std::string& seen) {
    seen += fmt::format("way {} ", name(resizer.shrink_to(0x80000).way));
}

void learn(Connection& /*connection*/, Resizer& resizer, std::string& seen) {
    const LearnOutcome outcome = resizer.learn();
    seen += fmt::format("way {} {} ", name(outcome.way), outcome.error ? outcome.error->symbol() : "ok");
}

void subscribe_and_cancel(Connection& connection, Resizer& resizer, std::string& /*seen*/) {
    resizer.begin();
    connection.unsubscribe();
}

void subscribe_and_flush(Connection& connection, Resizer& resizer, std::string& seen) {
    resizer.begin();
    connection.flush();
    // A reply that came before the end of the connection is not lost by it.
    connection.check_alive();
    seen += "goes on ";
}

const Offer all_ways{.flags = with_resize | flag::send_flush, .resize = capable("00ff")};
const Offer simple_all{.flags = with_resize, .structured = false, .resize = capable("009f", "00010000")};
const ResizePreferences by_command{.grow = Grow::explicit_};
const ResizePreferences by_notify{.learn = Learn::notify};
const ResizePreferences by_poll{.learn = Learn::poll};

const Scene scenes[] = {
    {Fault::resize_without_flag,
     {.flags = 1},
     {simple("00000016", c1)},
     grow,
     "way none",
     "way explicit",
     by_command},
    {Fault::query_without_information,
     {.flags = with_resize},
     {simple("00000016", c1)},
     [](Connection&, Resizer& resizer, std::string& seen) {
         seen += fmt::format("by {} ", name(resizer.learning()));
         if (resizer.learning() == Learn::poll) {
             static_cast<void>(resizer.learn());
         }
     },
     "by reconnect",
     seen("25609513 0080 0008"),
     by_poll},
    {Fault::information_of_any_length,
     {.flags = with_resize, .resize = capable("0081") + "00"},
     {},
     learn,
     "of 25 bytes",
     "size 1048576"},
    {Fault::trust_opt_info,
     {.flags = with_resize, .resize = capable("0081"), .resize_before = capable("00ff")},
     {},
     [](Connection& connection, Resizer&, std::string& seen) {
         seen += fmt::format("capabilities {} ", connection.info().resize->capabilities);
     },
     "capabilities 129",
     "failure"},
    {Fault::refuse_unknown_capabilities,
     {.flags = with_resize, .resize = capable("0181")},
     {},
     learn,
     "size 1048576",
     "not known"},
    {Fault::extend_unadvertised,
     {.flags = with_resize, .resize = capable("0081")},
     {simple("00000016", c1)},
     grow,
     "way none",
     seen("25609513 0040 0001"),
     {.grow = Grow::flagged}},
    {Fault::extend_on_read,
     all_ways,
     {simple("00000016", c1)},
     [](Connection& connection, Resizer&, std::string&) {
         std::uint8_t byte[1];
         connection.read(0, byte);
     },
     seen("25609513 0000 0000"),
     seen("25609513 0040 0000")},
    {Fault::forget_growth,
     {.structured = false},
     {simple("00000000", c1)},
     grow,
     "size 2097151",
     "size 1048576",
     {.grow = Grow::plain}},
    {Fault::two_forms,
     all_ways,
     {size_chunk(c1, "0001", mib1)},
     learn,
     seen("25609513 0080 0008"),
     seen("25609513 0180 0008"),
     by_poll},
    {Fault::length_with_size,
     all_ways,
     {size_chunk(c1, "0001", "00000000001fffff 00000000")},
     grow,
     seen(c1 + "00000000001fffff 00000000"),
     seen(c1 + "00000000001fffff 00000200"),
     by_command},
    {Fault::misaligned_size,
     simple_all,
     {simple("00000000", c1)},
     grow,
     "size 2097152",
     "size 2097151",
     by_command},
    {Fault::shrink_grows,
     {.size = 0x80001, .flags = with_resize, .structured = false, .resize = capable("009f", "00100000")},
     {simple("00000000", c1)},
     shrink,
     "way none",
     "way explicit"},
    {Fault::promise_zeroes,
     {.flags = with_resize},
     {simple("00000000", c1)},
     grow,
     "zero false",
     "zero true",
     by_command},
    {Fault::touch_changing_area,
     all_ways,
     {size_chunk(c1, "0001", "00000000001fffff 00000000"), simple("00000016", c2)},
     grow,
     "received " + seen("25609513 0000 0008" + c1 + "00000000001fffff 00000000"),
     seen("25609513 0000 0000" + c2 + "0000000000100000 00000001"),
     by_command},
    {Fault::query_with_offset,
     all_ways,
     {size_chunk(c1, "0001", mib1)},
     learn,
     seen(c1 + "0000000000000000 00000000"),
     seen(c1 + "0000000000000200 00000000"),
     by_poll},
    {Fault::notify_with_offset,
     all_ways,
     {size_chunk(c1, "0000", mib1)},
     learn,
     seen("0100 0008" + c1 + "0000000000000000"),
     seen("0100 0008" + c1 + "0000000000000200"),
     by_notify},
    {Fault::two_subscriptions,
     all_ways,
     {size_chunk(c1, "0000", mib1), simple("00000016", c2)},
     learn,
     seen("0100 0008" + c1),
     seen("0100 0008" + c2),
     by_notify},
    {Fault::accept_beyond_credit,
     all_ways,
     {size_chunk(c1, "0000", mib1),
      size_chunk(c1, "0000", mib2_external) + size_chunk(c1, "0000", mib2_external) + simple("00000000", c2)},
     subscribe_and_flush,
     "more than the 1",
     "goes on",
     {.learn = Learn::credits, .credits = 1}},
    {Fault::bear_floods,
     all_ways,
     {size_chunk(c1, "0000", mib1), size_chunk(c1, "0000", mib2_external) +
                                        size_chunk(c1, "0000", mib2_external) +
                                        size_chunk(c1, "0000", mib2_external) + simple("00000000", c2)},
     subscribe_and_flush,
     "more than 1 a second",
     "goes on",
     by_notify,
     1},
    {Fault::cancel_wrong_cookie,
     all_ways,
     {size_chunk(c1, "0000", mib1), done(c1) + done(c2)},
     subscribe_and_cancel,
     seen("0200 0008" + c2 + c1),
     seen("0200 0008" + c2 + "0000000000000201"),
     by_notify},
    {Fault::cancel_with_length,
     all_ways,
     {size_chunk(c1, "0000", mib1), done(c1) + done(c2)},
     subscribe_and_cancel,
     seen("0200 0008" + c2 + c1 + "00000000"),
     seen("0200 0008" + c2 + c1 + "00000001"),
     by_notify},
    {Fault::size_of_any_length,
     all_ways,
     {size_chunk(c1, "0001", mib2 + "00")},
     learn,
     "EPROTO",
     "size 2097152",
     by_poll},
    {Fault::refuse_unknown_size_flags,
     all_ways,
     {size_chunk(c1, "0001", "0000000000200000 00000008")},
     learn,
     "way poll ok",
     "EPROTO",
     by_poll},
    {Fault::ignore_chosen_size,
     {.flags = with_resize, .resize = capable("00ff", "00010000")},
     {size_chunk(c1, "0001", mib2)},
     grow,
     "size 2097152",
     "size 2097151",
     by_command},
    {Fault::ignore_polled_size,
     all_ways,
     {size_chunk(c1, "0001", mib2)},
     learn,
     "size 2097152",
     "size 1048576",
     by_poll},
    {Fault::ignore_notified_size,
     all_ways,
     {size_chunk(c1, "0000", mib1), size_chunk(c1, "0000", mib2_external) + done(c2)},
     subscribe_and_flush,
     "size 2097152",
     "size 1048576",
     by_notify},
    {Fault::never_smaller,
     all_ways,
     {size_chunk(c1, "0001", half)},
     learn,
     "size 524288",
     "size 1048576",
     by_poll},
};

INSTANTIATE_TEST_SUITE_P(All, FaultScenes, ::testing::ValuesIn(scenes));

/// The scripted servers have no extended headers.
TEST(FaultPayloadFlag, SetsTheFlag) {
    for (const bool with_fault : {false, true}) {
        Agreement agreement{nbd::HeaderStyle::extended, true, {}, nbd::InfoResize{}, {}};
        if (with_fault) {
            agreement.faults.add(Fault::payload_flag);
        }
        Transmission transmission(agreement, {});
        nbd::Buffer out;
        transmission.submit(Operation::resize(0x200000), out);
        EXPECT_EQ(to_hex(nbd::Bytes(out).first(6)), seen(with_fault ? "21e41c71 0020" : "21e41c71 0000"));
    }
}

TEST(FaultIgnoreSizeOfReconnect, KeepsTheOldOne) {
    for (const bool with_fault : {false, true}) {
        ScriptedServer first([&](const Peer& peer) {
            peer.shake_hands({.flags = with_resize});
            static_cast<void>(peer.receive_all());
        });
        ScriptedServer second([&](const Peer& peer) {
            peer.shake_hands({.size = 3145728});
            static_cast<void>(peer.receive_all());
        });
        Options options;
        options.replies = Replies::structured;
        if (with_fault) {
            options.faults.add(Fault::ignore_size_of_reconnect);
        }
        const auto connection = Connection::open(first.uri(), options);
        const LearnOutcome outcome = Resizer(*connection, second.uri(), {.learn = Learn::reconnect}).learn();
        EXPECT_EQ(outcome.size, with_fault ? 1048576U : 3145728U);
        connection->drop();
    }
}

TEST(FaultTable, NamesEachFaultOnceAndAllAreTested) {
    std::set<Fault> tested = {Fault::payload_flag, Fault::ignore_size_of_reconnect};
    for (const Scene& scene : scenes) {
        tested.insert(scene.fault);
    }
    std::set<std::string_view> names;
    for (const FaultText& text : all_faults()) {
        EXPECT_TRUE(names.insert(text.name).second) << text.name;
        EXPECT_TRUE(tested.contains(text.fault)) << text.name;
        EXPECT_TRUE(text.requirement.starts_with("RZ-")) << text.name;
        EXPECT_EQ(find_fault(text.name), text.fault);
    }
    EXPECT_EQ(tested.size(), names.size());
    EXPECT_FALSE(find_fault("no such fault"));
}

} // namespace
} // namespace refclient
