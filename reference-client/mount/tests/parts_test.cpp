// The parts of the bridge that know neither FUSE nor sockets.

#include "reference-client/mount/allocation_search.hpp"
#include "reference-client/mount/durability.hpp"
#include "reference-client/mount/file_errors.hpp"
#include "reference-client/mount/ranges.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace refclient::mount {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Ranges, AreRoundedToBlocks) {
    struct Case {
        Range range;
        std::uint64_t block;
        Range whole;
        Range inner;
    };
    for (const Case& each : {Case{{0, 512}, 512, {0, 512}, {0, 512}}, Case{{1, 511}, 512, {0, 512}, {512, 0}},
                             Case{{100, 1000}, 512, {0, 1536}, {512, 512}},
                             Case{{513, 100}, 512, {512, 512}, {1024, 0}}, Case{{7, 9}, 1, {7, 9}, {7, 9}}}) {
        EXPECT_EQ(whole_blocks(each.range, each.block), each.whole) << each.range.offset;
        EXPECT_EQ(inner_blocks(each.range, each.block), each.inner) << each.range.offset;
        EXPECT_EQ(is_aligned(each.range, each.block), each.range == each.whole) << each.range.offset;
    }
}

TEST(Ranges, EndWhereTheFileEnds) {
    EXPECT_EQ(before({10, 20}, 100), (Range{10, 20}));
    EXPECT_EQ(before({10, 20}, 15), (Range{10, 5}));
    EXPECT_TRUE(before({10, 20}, 5).empty());
    EXPECT_EQ(between(3, 8), (Range{3, 5}));
    EXPECT_TRUE(between(8, 3).empty());
}

TEST(Ranges, AreCutWithoutGap) {
    EXPECT_THAT(cut({5, 10}, 4), ElementsAre(Range{5, 4}, Range{9, 4}, Range{13, 2}));
    EXPECT_THAT(cut({5, 4}, 4), ElementsAre(Range{5, 4}));
    EXPECT_THAT(cut({5, 0}, 4), IsEmpty());
}

TEST(Ranges, KeepToTheLimitsOfTheServer) {
    ExportInfo info;
    EXPECT_EQ(limits_of(info).block, 1U);
    EXPECT_EQ(limits_of(info).payload, 32U << 20U);
    info.block = BlockSizes{4096, 4096, 10000};
    EXPECT_EQ(limits_of(info).block, 4096U);
    EXPECT_EQ(limits_of(info).payload, 8192U);
    EXPECT_EQ(limits_of(info).length % 4096, 0U);
    EXPECT_LE(limits_of(info).length, UINT32_MAX);
}

struct Told {
    FileAction action;
    Failure failure;
    int error;
};

TEST(Errors, AreThoseOfALocalFile) {
    using Action = FileAction;
    const auto server = [](int code) { return Failure(FailureKind::server, code, "no"); };
    const auto local = [](int code) { return Failure(FailureKind::local, code, "no"); };
    for (const Told& each : {
             // A full disk, whatever the server's reason not to grow.
             Told{Action::write, server(ENOSPC), ENOSPC},
             Told{Action::grow, server(ENOSPC), ENOSPC},
             Told{Action::grow, server(EPERM), ENOSPC},
             Told{Action::grow, local(ENOTSUP), ENOSPC},
             Told{Action::grow, server(EINVAL), ENOSPC},
             Told{Action::grow, server(EIO), EIO},
             Told{Action::grow, local(EROFS), EROFS},
             // What the server does not do, and what it does not do now.
             Told{Action::shrink, local(ENOTSUP), EPERM},
             Told{Action::shrink, server(EPERM), EPERM},
             Told{Action::shrink, server(EINVAL), EINVAL},
             Told{Action::shrink, server(EIO), EIO},
             Told{Action::zero, server(ENOTSUP), EOPNOTSUPP},
             Told{Action::zero, server(ENOSPC), ENOSPC},
             Told{Action::write, server(EPERM), EROFS},
             Told{Action::zero, server(EPERM), EROFS},
             // Nothing that a program could have done better.
             Told{Action::read, server(EINVAL), EIO},
             Told{Action::read, server(ENOSPC), EIO},
             Told{Action::read, server(ENOMEM), ENOMEM},
             Told{Action::write, server(EINVAL), EIO},
             Told{Action::flush, server(EINVAL), EIO},
             Told{Action::flush, server(ENOSPC), ENOSPC},
         }) {
        EXPECT_EQ(file_error(each.action, each.failure), each.error)
            << static_cast<int>(each.action) << ' ' << each.failure.symbol();
    }
}

TEST(Errors, OfAnEndedConnectionAreInputOutputErrors) {
    for (const FailureKind kind : {FailureKind::connection, FailureKind::protocol}) {
        const Failure failure(kind, ENOSPC, "gone");
        EXPECT_TRUE(ends_connection(failure));
        for (const FileAction action : {FileAction::read, FileAction::write, FileAction::zero,
                                        FileAction::grow, FileAction::shrink, FileAction::flush}) {
            EXPECT_EQ(file_error(action, failure), EIO);
        }
    }
    EXPECT_FALSE(ends_connection(Failure(FailureKind::server, EIO, "no")));
}

TEST(Durability, IsThatOfChangesBeforeTheFlush) {
    Durability durability;
    EXPECT_TRUE(durability.clean());
    durability.changed();
    const std::uint64_t sent = durability.mark();
    durability.changed();
    durability.flushed(sent);
    EXPECT_FALSE(durability.clean()) << "the second change came after the flush was sent";
    durability.flushed(durability.mark());
    EXPECT_TRUE(durability.clean());
    durability.flushed(sent);
    EXPECT_TRUE(durability.clean()) << "replies may come in another order";
}

TEST(Durability, TellsALossOnceToEveryone) {
    Durability durability;
    Durability::Witness one = durability.open();
    Durability::Witness two = durability.open();
    EXPECT_FALSE(durability.connection_lost()) << "nothing was at stake";
    EXPECT_FALSE(durability.tell(one));
    durability.changed();
    EXPECT_TRUE(durability.connection_lost());
    EXPECT_TRUE(durability.loss_untold());
    Durability::Witness late = durability.open();
    EXPECT_TRUE(durability.tell(one));
    EXPECT_FALSE(durability.tell(one));
    EXPECT_TRUE(durability.tell(two));
    EXPECT_TRUE(durability.tell(late)) << "it was opened before anybody was told";
    EXPECT_FALSE(durability.loss_untold());
    Durability::Witness later = durability.open();
    EXPECT_FALSE(durability.tell(later)) << "somebody had been told";
    EXPECT_TRUE(durability.clean());
    EXPECT_FALSE(durability.connection_lost()) << "what is lost cannot be lost again";
}

constexpr std::uint64_t data = 0;
constexpr std::uint64_t hole = nbd::allocation_flag::hole | nbd::allocation_flag::zero;
constexpr std::uint64_t prepared = nbd::allocation_flag::zero;
constexpr std::uint64_t unknown = nbd::allocation_flag::hole;

/// Data to 100, hole to 300, space that reads as zero to 400, space that may hold anything to 500, hole to
/// 700.
std::vector<Extent> status_from(std::uint64_t offset, std::uint64_t length) {
    std::vector<Extent> extents;
    for (const auto& [end, status] : {std::pair<std::uint64_t, std::uint64_t>{100, data},
                                      {300, hole},
                                      {400, prepared},
                                      {500, unknown},
                                      {700, hole}}) {
        if (end > offset && length > 0) {
            extents.push_back({std::min(end - offset, length), status});
            length -= extents.back().length;
            offset += extents.back().length;
        }
    }
    return extents;
}

/// Searches by requests of at most so many bytes, whose answers have at most so many extents.
std::optional<std::uint64_t> search(Seek kind, std::uint64_t from, std::uint64_t end, std::uint64_t length,
                                    std::size_t extents) {
    AllocationSearch searching(kind, from, end, {10, 1000, length});
    for (int requests = 0; searching.next(); ++requests) {
        if (requests > 1000) {
            ADD_FAILURE() << "it does not end";
            break;
        }
        const Range next = *searching.next();
        EXPECT_TRUE(is_aligned(next, 10));
        EXPECT_LE(next.length, length);
        std::vector<Extent> answer = status_from(next.offset, next.length);
        answer.resize(std::min(answer.size(), extents));
        searching.take(answer);
    }
    return searching.found();
}

TEST(AllocationSearch, FindsWhatLseekWouldFind) {
    struct Case {
        Seek kind;
        std::uint64_t from;
        std::uint64_t end;
        std::optional<std::uint64_t> found;
    };
    for (const std::uint64_t length : {10U, 30U, 1000U}) {
        for (const std::size_t extents : {1U, 2U, 100U}) {
            for (const Case& each :
                 {Case{Seek::data, 0, 700, 0}, Case{Seek::data, 55, 700, 55}, Case{Seek::data, 99, 700, 99},
                  Case{Seek::data, 100, 700, 400}, Case{Seek::data, 333, 700, 400},
                  Case{Seek::data, 450, 700, 450}, Case{Seek::data, 505, 700, std::nullopt},
                  Case{Seek::data, 103, 395, std::nullopt}, Case{Seek::hole, 0, 700, 100},
                  Case{Seek::hole, 109, 700, 109}, Case{Seek::hole, 301, 700, 301},
                  Case{Seek::hole, 401, 700, 500}, Case{Seek::hole, 401, 455, 455},
                  Case{Seek::hole, 3, 77, 77}}) {
                EXPECT_EQ(search(each.kind, each.from, each.end, length, extents), each.found)
                    << (each.kind == Seek::data ? "data" : "hole") << " from " << each.from << " before "
                    << each.end << " by requests of " << length << " and " << extents << " extents";
            }
        }
    }
}

TEST(AllocationSearch, TakesSilenceForData) {
    AllocationSearch for_data(Seek::data, 5, 100, {1, 1000, 1000});
    for_data.take({});
    EXPECT_FALSE(for_data.next());
    EXPECT_EQ(for_data.found(), 5U);
    AllocationSearch for_hole(Seek::hole, 5, 100, {1, 1000, 1000});
    for_hole.take({});
    EXPECT_FALSE(for_hole.next());
    EXPECT_EQ(for_hole.found(), 100U);
}

} // namespace
} // namespace refclient::mount
