// What a client can make the server hold.

#include "reference-server/tests/support.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>

namespace refserver {
namespace {

/// A backend like a file: it lends nothing, and nothing is at once.
class SlowBackend : public Backend {
  public:
    [[nodiscard]] std::uint64_t size() const override { return std::uint64_t{1} << 40; }
    [[nodiscard]] bool read_only() const override { return false; }
    [[nodiscard]] bool lends_memory() const override { return false; }
    [[nodiscard]] std::string describe() const override { return "slow"; }
    [[nodiscard]] bool try_now(Operation& /*operation*/) override { return false; }
    void perform(Operation& operation) override {
        if (operation.kind == Operation::Kind::read) {
            operation.pieces.push_back({operation.length, operation.buffer.data()});
        }
    }
};

struct Flood {
    Flood()
      : served(std::make_shared<Export>(ExportOptions{}, std::make_shared<SlowBackend>()))
      , catalogue(served)
      , session(options, catalogue, pool, trace) {
        feed(bytes("00000003 'IHAVEOPT' 00000007 00000006 00000000 0000"));
        session.sent(session.output().size());
    }

    /// Feeds as much as the session takes; returns how much that was.
    std::size_t feed(nbd::Bytes input) {
        std::size_t fed = 0;
        while (!input.empty() && session.wants_input()) {
            std::size_t taken = 0;
            for (const iovec& space : session.input_space()) {
                const std::size_t part = std::min(space.iov_len, input.size());
                if (part != 0) {
                    std::memcpy(space.iov_base, input.data(), part);
                }
                input = input.subspan(part);
                taken += part;
            }
            session.received(taken);
            fed += taken;
        }
        return fed;
    }

    std::vector<Operation*> take_all() {
        std::vector<Operation*> taken;
        while (Operation* operation = session.next_operation()) {
            taken.push_back(operation);
        }
        return taken;
    }

    void complete(const std::vector<Operation*>& operations) {
        for (Operation* operation : operations) {
            session.served().perform(*operation);
            session.complete(*operation);
        }
    }

    SessionOptions options{Handshake::fixed_newstyle, 0xffff, ReplyStyle::extended, 1 << 20};
    std::shared_ptr<Export> served;
    SingleExport catalogue;
    BufferPool pool;
    const Trace trace;
    Session session;
};

nbd::Buffer repeated(const std::string& text, int count) {
    const nbd::Buffer once = bytes(text);
    nbd::Buffer all;
    for (int i = 0; i < count; ++i) {
        all.insert(all.end(), once.begin(), once.end());
    }
    return all;
}

const std::string read_64k = "25609513 0000 0000 'cookie-1' 0000000000000000 00010000";

TEST(Bounds, reads_wait_while_too_much_is_in_progress_and_go_on_later) {
    Flood flood;
    const nbd::Buffer reads = repeated(read_64k, 10000);
    const std::size_t fed = flood.feed(reads);
    EXPECT_LT(fed, reads.size());
    EXPECT_FALSE(flood.session.wants_input());
    auto operations = flood.take_all();
    // 1 MiB is allowed, and each takes 64 KiB.
    EXPECT_LE(operations.size(), 17U);
    std::size_t answered = 0;
    nbd::Bytes left = nbd::Bytes(reads).subspan(fed);
    while (!operations.empty()) {
        answered += operations.size();
        flood.complete(operations);
        EXPECT_LE(flood.session.output().held(), (1U << 20) + (64U << 10) + 4096);
        flood.session.sent(flood.session.output().size());
        left = left.subspan(flood.feed(left));
        operations = flood.take_all();
    }
    EXPECT_TRUE(left.empty());
    EXPECT_EQ(answered, 10000U);
}

TEST(Bounds, a_client_that_never_reads_stops_being_read_from) {
    Flood flood;
    const nbd::Buffer reads = repeated(read_64k, 10000);
    nbd::Bytes left(reads);
    for (int i = 0; i < 100; ++i) {
        left = left.subspan(flood.feed(left));
        flood.complete(flood.take_all());
    }
    EXPECT_FALSE(left.empty());
    EXPECT_FALSE(flood.session.wants_input());
    EXPECT_LE(flood.session.output().held(), (1U << 20) + (64U << 10) + 4096);
}

TEST(Bounds, requests_without_data_are_counted_too) {
    Flood flood;
    const nbd::Buffer flushes = repeated("25609513 0000 0003 'cookie-1' 0000000000000000 00000000", 100000);
    (void)flood.feed(flushes);
    EXPECT_FALSE(flood.session.wants_input());
    const auto operations = flood.take_all();
    EXPECT_LE(operations.size(), 1024U);
    flood.complete(operations);
}

TEST(Bounds, error_replies_are_counted_too) {
    Flood flood;
    const nbd::Buffer errors = repeated("25609513 0000 0063 'cookie-1' 0000000000000000 00000000", 1000000);
    EXPECT_LT(flood.feed(errors), errors.size());
    EXPECT_LE(flood.session.output().held(), (1U << 20) + 4096);
}

TEST(Bounds, options_are_not_read_while_nobody_takes_the_replies) {
    Flood flood;
    SessionOptions options;
    Session session(options, flood.catalogue, flood.pool, flood.trace);
    const nbd::Buffer input = bytes("00000003 'IHAVEOPT' 00000006 00000006 00000000 0000");
    const nbd::Bytes option = nbd::Bytes(input).subspan(4);
    std::size_t sent = 0;
    const auto feed = [&](nbd::Bytes piece) {
        std::memcpy(session.input_space()[0].iov_base, piece.data(), piece.size());
        session.received(piece.size());
    };
    feed(nbd::Bytes(input).first(4));
    while (session.wants_input() && sent < 1000000) {
        feed(option);
        ++sent;
    }
    EXPECT_LT(sent, 1000000U);
    EXPECT_LE(session.output().size(), (1U << 20) + 200);
}

TEST(Bounds, a_read_in_many_parts_holds_one_of_them) {
    Flood flood;
    SessionOptions options = flood.options;
    Session session(options, flood.catalogue, flood.pool, flood.trace);
    const nbd::Buffer input =
        bytes("00000003 'IHAVEOPT' 00000008 00000000 'IHAVEOPT' 00000007 00000006 00000000 0000 "
              "25609513 0000 0000 'cookie-1' 0000000000000000 ffffffff");
    std::memcpy(session.input_space()[0].iov_base, input.data(), input.size());
    session.received(input.size());
    session.sent(session.output().size());
    std::uint64_t received = 0;
    std::uint64_t parts = 0;
    while (Operation* operation = session.next_operation()) {
        EXPECT_EQ(session.next_operation(), nullptr) << "two parts at a time";
        ++parts;
        received += operation->length;
        session.served().perform(*operation);
        session.complete(*operation);
        EXPECT_EQ(session.next_operation(), nullptr) << "the next part must wait until this one is sent";
        session.sent(session.output().size());
    }
    EXPECT_EQ(received, 0xffffffffU);
    EXPECT_EQ(parts, 128U);
    EXPECT_TRUE(session.idle());
}

TEST(Abandoned, operations_may_be_completed_after_the_end) {
    Flood flood;
    (void)flood.feed(repeated(read_64k, 5));
    const auto operations = flood.take_all();
    ASSERT_EQ(operations.size(), 5U);
    flood.session.abandon();
    EXPECT_EQ(flood.session.handed_out(), 5U);
    EXPECT_FALSE(flood.session.finished());
    flood.complete(operations);
    EXPECT_TRUE(flood.session.finished());
    EXPECT_TRUE(flood.session.output().empty());
}

} // namespace
} // namespace refserver
