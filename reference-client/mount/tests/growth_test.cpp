// A file on an export that grows, in every way that a server may offer, against what a local file would do.

#include "reference-client/mount/tests/support/driven_file.hpp"
#include "reference-client/tests/support/knob_server.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <random>

namespace refclient::mount {
namespace {

using testing::DrivenFile;

constexpr std::uint64_t granularity = 65536;
constexpr std::uint64_t limit = 1048576;

/// One server for all tests; each has exports of its own.
const refclient::testing::KnobServer& server() {
    static const refclient::testing::KnobServer started;
    return started;
}

struct Way {
    std::string knobs;
    bool shrinks = false;
    bool rounds = false;
    bool clamps = false;
};

std::vector<Way> ways() {
    std::vector<Way> all;
    for (const std::string growth :
         {"growth=explicit,advertise=info,shrink=allow", "growth=explicit,advertise=info,shrink=deny",
          "growth=explicit,advertise=flag,shrink=allow", "growth=auto,advertise=info,consent=opt-in",
          "growth=auto,advertise=info,consent=implicit", "growth=auto,advertise=silent,consent=implicit",
          "growth=both,advertise=info,consent=opt-in,shrink=allow",
          "growth=both,advertise=flag,consent=implicit,shrink=deny"}) {
        for (const std::string fill : {"zero", "unspecified"}) {
            for (const std::string sizing : {"exact", "round", "clamp"}) {
                Way way;
                way.knobs = fmt::format("{},fill={},sizing={},limit={}", growth, fill, sizing, limit);
                way.shrinks = growth.find("shrink=allow") != std::string::npos;
                way.rounds = sizing == "round";
                way.clamps = sizing == "clamp";
                all.push_back(way);
            }
        }
    }
    return all;
}

struct Setting {
    Way way;
    Replies replies;
    bool hide_rest;

    /// The reply to what extends the export tells how long it is.
    [[nodiscard]] bool tells_sizes() const {
        return replies != Replies::simple && way.knobs.find("advertise=info") != std::string::npos;
    }
};

std::ostream& operator<<(std::ostream& out, const Setting& setting) {
    return out << setting.way.knobs << ",replies=" << static_cast<int>(setting.replies)
               << (setting.hide_rest ? ",hidden" : "");
}

std::vector<Setting> settings() {
    std::vector<Setting> all;
    for (const Way& way : ways()) {
        for (const Replies replies : {Replies::simple, Replies::structured, Replies::extended}) {
            all.push_back({way, replies, false});
        }
        if (!way.shrinks) {
            all.push_back({way, Replies::extended, true});
        }
    }
    return all;
}

std::string random_bytes(std::mt19937& random, std::size_t length) {
    std::string bytes(length, '\0');
    for (char& byte : bytes) {
        byte = static_cast<char>(random());
    }
    return bytes;
}

class AnyGrowth : public ::testing::TestWithParam<Setting> {
  protected:
    AnyGrowth()
      : knobs_(fmt::format("{},size=0,replies={},id={}", GetParam().way.knobs, reply_knob(), next_id()))
      , file_(server().uri(knobs_), preferences(), GetParam().replies) {}

    /// Every test has a disk of its own, also when it is repeated.
    static int next_id() {
        static int count = 0;
        return ++count;
    }
    static std::string reply_knob() {
        return std::array{"simple", "structured", "extended"}[static_cast<std::size_t>(GetParam().replies)];
    }
    static FilePreferences preferences() {
        FilePreferences wanted;
        wanted.hide_rest = GetParam().hide_rest;
        return wanted;
    }

    /// The file has these bytes, and where the server rounds, zeroes after them.
    void expect_content(const std::string& bytes) {
        const std::uint64_t length = file_.length();
        if (GetParam().way.rounds) {
            EXPECT_GE(length, bytes.size());
            EXPECT_LT(length, bytes.size() + granularity);
        } else {
            ASSERT_EQ(length, bytes.size());
        }
        auto [error, found] = file_.read(0, static_cast<std::size_t>(length) + 100);
        ASSERT_EQ(error, 0);
        ASSERT_EQ(found.size(), length);
        std::string expected = bytes;
        expected.resize(found.size());
        ASSERT_TRUE(found == expected)
            << "differs at " << std::ranges::mismatch(found, expected).in1 - found.begin();
    }

    std::string knobs_;
    DrivenFile file_;
};

TEST_P(AnyGrowth, DoesWhatALocalFileDoes) {
    std::mt19937 random(static_cast<unsigned>(std::hash<std::string>()(GetParam().way.knobs)));
    const auto below = [&random](std::uint64_t bound) { return random() % bound; };
    const bool shrinks = GetParam().way.shrinks || GetParam().hide_rest;
    std::string model;
    // Where the server rounds, programs see the rounded length, so that what they add lies beyond it.
    const auto adopt = [&] { model.resize(static_cast<std::size_t>(file_.file().length())); };
    for (int step = 0; step < 60; ++step) {
        const std::uint64_t offset = below(model.size() + 70000);
        const std::uint64_t length = 1 + below(50000);
        const std::uint64_t end = offset + length;
        SCOPED_TRACE(fmt::format("step {}: {} bytes at {}, before {}", step, length, offset, model.size()));
        const auto grow_model = [&](std::uint64_t to) {
            model.resize(std::max<std::size_t>(model.size(), to));
        };
        switch (below(7)) {
        case 0:
        case 1: {
            if (end > limit) {
                continue;
            }
            const std::string data = random_bytes(random, length);
            ASSERT_EQ(file_.write(offset, data, false, below(2) == 0), static_cast<std::int64_t>(length));
            grow_model(end);
            model.replace(offset, length, data);
            break;
        }
        case 2: {
            if (model.size() + length > limit) {
                continue;
            }
            const std::string data = random_bytes(random, length);
            ASSERT_EQ(file_.write(0, data, true), static_cast<std::int64_t>(length));
            model += data;
            break;
        }
        case 3: {
            const std::uint64_t wanted = below(limit / 2);
            const bool shorter = wanted < model.size();
            ASSERT_EQ(file_.set_length(wanted), shorter && !shrinks ? EPERM : 0);
            if (!shorter || shrinks) {
                model.resize(wanted);
            }
            break;
        }
        case 4:
            ASSERT_EQ(file_.allocate(Allocate::punch_hole, true, offset, length), 0);
            if (offset < model.size()) {
                const std::size_t count = std::min<std::size_t>(length, model.size() - offset);
                model.replace(offset, count, count, '\0');
            }
            break;
        case 5:
            if (end > limit) {
                continue;
            }
            ASSERT_EQ(file_.allocate(Allocate::zero_range, false, offset, length), 0);
            grow_model(end);
            model.replace(offset, length, length, '\0');
            break;
        default:
            if (end > limit) {
                continue;
            }
            ASSERT_EQ(file_.allocate(Allocate::reserve, false, offset, length), 0);
            grow_model(end);
            break;
        }
        ASSERT_NO_FATAL_FAILURE(expect_content(model));
        adopt();
    }
    EXPECT_EQ(file_.flush(), 0);
    file_.file().finish();
    if (GetParam().hide_rest) {
        return;
    }
    const std::uint64_t truth = server().size(knobs_);
    if (GetParam().way.rounds && !GetParam().tells_sizes()) {
        // Nothing says how far a write has extended the export (RZ-AUTO-6).
        EXPECT_GE(truth, file_.file().length());
        EXPECT_LT(truth, file_.file().length() + granularity);
    } else {
        EXPECT_EQ(truth, file_.file().length());
    }
}

TEST_P(AnyGrowth, EndsAsAFullDiskDoes) {
    const std::string data(4096, 'x');
    ASSERT_EQ(file_.write(limit - 2000, data.substr(0, 1000)), 1000);
    const std::int64_t count = file_.write(limit - 1000, data);
    // All or nothing, unless the server grants what is left, and then as write(2) does on a full disk.
    EXPECT_THAT(count, ::testing::AnyOf(-ENOSPC, GetParam().way.clamps ? 1000 : -ENOSPC));
    EXPECT_EQ(file_.write(limit, data), -ENOSPC);
    EXPECT_EQ(file_.set_length(2 * limit), ENOSPC);
    EXPECT_EQ(file_.allocate(Allocate::reserve, false, 0, 2 * limit), ENOSPC);
    EXPECT_EQ(file_.allocate(Allocate::zero_range, false, limit, limit), ENOSPC);
    EXPECT_LE(server().size(knobs_), limit);
    EXPECT_EQ(file_.write(length_limit, "x"), -EFBIG);
    const auto [error, found] = file_.read(limit - 2000, 1000);
    EXPECT_EQ(error, 0);
    EXPECT_EQ(found, data.substr(0, 1000));
}

INSTANTIATE_TEST_SUITE_P(Each, AnyGrowth, ::testing::ValuesIn(settings()));

} // namespace
} // namespace refclient::mount
