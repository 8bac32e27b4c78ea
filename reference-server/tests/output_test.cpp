#include "reference-server/session/output.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace refserver {
namespace {

nbd::Bytes as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Takes everything out of the queue, with `vectors` vectors and at most `most` bytes at a time.
std::string drain(OutputQueue& queue, std::size_t vectors, std::size_t most) {
    std::string text;
    std::vector<iovec> room(vectors);
    while (!queue.empty()) {
        const std::size_t count = queue.gather(room);
        std::size_t left = most;
        std::size_t taken = 0;
        for (std::size_t i = 0; i < count && left != 0; ++i) {
            const std::size_t part = std::min(left, room[i].iov_len);
            text.append(static_cast<const char*>(room[i].iov_base), part);
            left -= part;
            taken += part;
        }
        if (taken == 0) {
            ADD_FAILURE() << "nothing gathered of " << queue.size() << " bytes";
            break;
        }
        queue.consume(taken);
    }
    return text;
}

TEST(OutputQueue, gives_back_everything_in_order_however_it_is_cut) {
    const std::string lent(5000, 'l');
    for (const std::size_t vectors : {std::size_t{1}, std::size_t{2}, std::size_t{64}}) {
        for (const std::size_t most :
             {std::size_t{1}, std::size_t{7}, std::size_t{4096}, std::size_t{1} << 30}) {
            BufferPool pool;
            OutputQueue queue(pool);
            std::string expected;
            for (int round = 0; round < 3; ++round) {
                std::memcpy(queue.add_header(4), "head", 4);
                std::memcpy(queue.add_header(20), "more of the same....", 20);
                queue.add_borrowed(as_bytes(lent));
                queue.add_zeroes(300000);
                queue.add_copy(as_bytes("short"));
                queue.add_copy(as_bytes(std::string(100, 'c')));
                PooledBuffer kept = pool.take(10);
                std::memcpy(kept.data(), "0123456789", 10);
                queue.add_borrowed(kept.bytes());
                queue.keep(std::move(kept));
                queue.add_zeroes(0);
                queue.add_copy({});
                expected += "headmore of the same...." + lent + std::string(300000, '\0') + "short" +
                            std::string(100, 'c') + "0123456789";
            }
            EXPECT_EQ(queue.size(), expected.size());
            if (most == 1) {
                // Byte by byte is only worth it for the beginning.
                std::vector<iovec> room(vectors);
                for (int i = 0; i < 6000; ++i) {
                    ASSERT_GE(queue.gather(room), 1U);
                    ASSERT_EQ(*static_cast<const char*>(room[0].iov_base), expected.front());
                    expected.erase(0, 1);
                    queue.consume(1);
                }
            }
            EXPECT_TRUE(drain(queue, vectors, std::max<std::size_t>(most, 7)) == expected);
            EXPECT_EQ(queue.size(), 0U);
            EXPECT_EQ(queue.held(), 0U);
        }
    }
}

TEST(BufferPool, reuses_what_was_given_back) {
    BufferPool pool;
    PooledBuffer first = pool.take(5000);
    const std::uint8_t* const where = first.data();
    first.reset();
    EXPECT_TRUE(first.empty());
    const PooledBuffer second = pool.take(8192);
    EXPECT_EQ(second.data(), where);
    const PooledBuffer third = pool.take(8193);
    EXPECT_NE(third.data(), where);
    EXPECT_EQ(third.size(), 8193U);
    EXPECT_TRUE(pool.take(0).empty());
}

} // namespace
} // namespace refserver
