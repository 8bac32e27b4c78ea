#include "reference-server/gateway/doubt.hpp"

#include <gtest/gtest.h>

namespace refserver {
namespace {

const int clients[3] = {};
const void* const a = &clients[0];
const void* const b = &clients[1];

TEST(Doubt, NothingIsDoubtfulWhereNothingWasWritten) {
    Doubt doubt;
    doubt.lost();
    EXPECT_FALSE(doubt.take(a));
}

TEST(Doubt, WhatWasFlushedIsNotDoubtful) {
    Doubt doubt;
    doubt.wrote(a);
    doubt.flushed(doubt.moment());
    doubt.lost();
    EXPECT_FALSE(doubt.take(a));
}

TEST(Doubt, AFlushDoesNotCoverWhatIsAcknowledgedAfterItWasSent) {
    Doubt doubt;
    const auto sent = doubt.moment();
    doubt.wrote(a);
    doubt.flushed(sent);
    doubt.lost();
    EXPECT_TRUE(doubt.take(a));
}

TEST(Doubt, EachClientThatMayHaveLostWritesIsToldOnce) {
    Doubt doubt;
    doubt.wrote(a);
    doubt.wrote(b);
    doubt.lost();
    EXPECT_TRUE(doubt.take(a));
    EXPECT_FALSE(doubt.take(a));
    EXPECT_TRUE(doubt.take(b));
    EXPECT_FALSE(doubt.take(b));
}

TEST(Doubt, WhoeverFlushesFirstIsToldToo) {
    Doubt doubt;
    doubt.wrote(a);
    doubt.lost();
    EXPECT_TRUE(doubt.take(&clients[2])) << "it may flush for a, as multi-conn allows";
    EXPECT_FALSE(doubt.take(b));
    EXPECT_TRUE(doubt.take(a));
}

} // namespace
} // namespace refserver
