#include "reference-server/session/extents.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <ostream>

namespace refserver {

void PrintTo(const Extent& extent, std::ostream* out) {
    *out << extent.length << ":" << extent.status;
}

namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

struct Case {
    const char* name;
    std::vector<Extent> known;
    ExtentRules rules;
    std::vector<Extent> reply;
};

TEST(Extents, keep_to_the_rules) {
    const Case cases[] = {
        {"as they are", {{10, 0}, {20, 3}}, {0, 30, 100, 1, unlimited}, {{10, 0}, {20, 3}}},
        {"joined", {{10, 0}, {20, 0}, {5, 3}}, {0, 35, 100, 1, unlimited}, {{30, 0}, {5, 3}}},
        {"the last one may go on", {{10, 0}, {90, 3}}, {0, 11, 100, 1, unlimited}, {{10, 0}, {90, 3}}},
        {"none begins behind the request", {{10, 0}, {90, 3}}, {0, 10, 100, 1, unlimited}, {{10, 0}}},
        {"not beyond the export", {{10, 0}, {90, 3}}, {0, 50, 60, 1, unlimited}, {{10, 0}, {50, 3}}},
        {"one", {{10, 0}, {90, 3}}, {0, 50, 100, 1, unlimited, true}, {{10, 0}}},
        {"one, not longer than the request", {{10, 0}}, {0, 3, 100, 1, unlimited, true}, {{3, 0}}},
        {"short enough for the field", {{1000, 0}, {5, 3}}, {0, 1005, 2000, 1, 512}, {{512, 0}}},
        {"length 0xffffffff over a longer extent",
         {{std::uint64_t{8} << 30, 3}},
         {0, 0xffffffff, std::uint64_t{8} << 30, 1, 0xfffffe00},
         {{0xfffffe00, 3}}},
        {"whole blocks", {{700, 0}, {1348, 3}}, {0, 2048, 2048, 512, unlimited}, {{1024, 0}, {1024, 3}}},
        {"a block is a hole only if all of it is",
         {{600, 3}, {100, 0}, {1348, 3}},
         {0, 2048, 2048, 512, unlimited},
         {{512, 3}, {512, 0}, {1024, 3}}},
        {"many extents in a block",
         {{100, 3}, {100, 0}, {100, 3}, {724, 0}},
         {0, 1024, 1024, 512, unlimited},
         {{1024, 0}}},
        {"the end of the export need not be aligned",
         {{600, 0}, {100, 3}},
         {0, 700, 700, 512, unlimited},
         {{700, 0}}},
        {"a part of a block is all that is known", {{100, 3}}, {512, 512, 2048, 512, unlimited}, {{512, 0}}},
        {"what is left of a block is not told",
         {{512, 3}, {100, 0}},
         {0, 1024, 2048, 512, unlimited},
         {{512, 3}}},
    };
    for (const Case& c : cases) {
        EXPECT_EQ(to_reply(c.known, c.rules), c.reply) << c.name;
    }
}

} // namespace
} // namespace refserver
