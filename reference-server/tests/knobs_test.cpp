// Which knobs fit together, and export names that set them.

#include "reference-server/backend/sparse_memory.hpp"
#include "reference-server/catalogue.hpp"
#include "reference-server/net/control.hpp"
#include "reference-server/resize/knob_names.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace refserver {
namespace {

TEST(Knobs, there_are_531_valid_configurations) {
    int valid = 0;
    int all = 0;
    for (const auto growth : {Growth::none, Growth::explicit_, Growth::automatic, Growth::both}) {
        for (const auto consent : {Consent::not_applicable, Consent::implicit, Consent::opt_in}) {
            for (const auto advertise : {Advertise::silent, Advertise::flag, Advertise::info}) {
                for (const auto replies :
                     {ReplyStyle::simple, ReplyStyle::structured, ReplyStyle::extended}) {
                    for (const auto learn : {Learn::none, Learn::poll, Learn::notify, Learn::both}) {
                        for (const auto fill : {Fill::not_applicable, Fill::zero, Fill::unspecified}) {
                            for (const auto sizing :
                                 {Sizing::not_applicable, Sizing::exact, Sizing::round, Sizing::clamp}) {
                                for (const auto shrink :
                                     {Shrink::not_applicable, Shrink::allow, Shrink::deny}) {
                                    ++all;
                                    const Configuration knobs{growth, consent, advertise, replies,
                                                              learn,  fill,    sizing,    shrink};
                                    valid += broken_rule(knobs) ? 0 : 1;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    EXPECT_EQ(all, 15552);
    EXPECT_EQ(valid, 531);
}

TEST(Knobs, what_is_left_out_follows_from_the_rest) {
    const auto plan = [](const char* name, const KnobSettings& defaults = {}) {
        return plan_disk(parse_knob_name(name), defaults, 1);
    };
    const DiskPlan nothing = plan("");
    EXPECT_EQ(nothing.rules.knobs, Configuration{});
    EXPECT_EQ(nothing.size, 1U << 20);
    EXPECT_EQ(nothing.rules.granularity, 1U);
    EXPECT_EQ(nothing.rules.largest, 1U << 30);

    const Configuration both = plan("growth=both").rules.knobs;
    EXPECT_EQ(both, (Configuration{Growth::both, Consent::opt_in, Advertise::info, ReplyStyle::extended,
                                   Learn::both, Fill::zero, Sizing::exact, Shrink::deny}));
    EXPECT_EQ(plan("growth=auto,advertise=silent").rules.knobs.consent, Consent::implicit);
    EXPECT_EQ(plan("growth=auto,advertise=silent").rules.knobs.learn, Learn::none);
    EXPECT_EQ(plan("growth=both,replies=simple").rules.knobs.learn, Learn::none);
    EXPECT_EQ(plan("learn=notify").rules.knobs.advertise, Advertise::info);
    EXPECT_EQ(plan("growth=both,sizing=round").rules.granularity, 65536U);
    EXPECT_EQ(plan("growth=both,sizing=round,limit=2000000").rules.largest, 30U * 65536);
    EXPECT_EQ(plan("size=2GiB").rules.largest, 2ULL << 30);
    EXPECT_EQ(plan("limit=none").rules.largest, std::nullopt);
    EXPECT_EQ(plan_disk(parse_knob_name("growth=both"), {}, 512).rules.granularity, 512U);

    const KnobSettings from_command_line = parse_knob_name("growth=both,fill=unspecified,size=5M");
    EXPECT_EQ(plan("sizing=clamp", from_command_line).rules.knobs.fill, Fill::unspecified);
    EXPECT_EQ(plan("growth=none", from_command_line).rules.knobs.fill, Fill::not_applicable);
    EXPECT_EQ(plan("", from_command_line).size, 5U << 20);
    EXPECT_EQ(plan("growth=auto,consent=implicit,shrink=-", from_command_line).rules.knobs.shrink,
              Shrink::not_applicable);
}

TEST(Knobs, bad_names_are_explained) {
    const struct {
        std::string name;
        const char* part_of_the_message;
    } cases[] = {
        {"disk", "growth=both,size=1MiB"},
        {"growth", "growth=both,size=1MiB"},
        {",", "growth=both,size=1MiB"},
        {"growth=both,", "last comma"},
        {"growth=big", "none, explicit, auto or both"},
        {"Growth=both", "there are growth, consent"},
        {"growth=both,growth=both", "twice"},
        {"size=", "size: "},
        {"size=-1", "size: "},
        {"size=9223372036854775808", "the most that an export can have"},
        {"size=18446744073709551616", "too large"},
        {"size=16E", "too large"},
        {"growth=both,granularity=0", "granularity is from 1"},
        {"growth=both,granularity=4G", "granularity is from 1"},
        {"growth=both,size=2M,limit=1M", "below the size"},
        {"growth=both,shrink=allow,smallest=2M", "above the size"},
        {"growth=auto,consent=-", "it is implicit or opt-in"},
        {"growth=explicit,consent=opt-in", "applies only"},
        {"growth=auto,consent=opt-in,advertise=silent", "consent=opt-in needs advertise=info"},
        {"growth=both,advertise=silent", "needs advertise=flag or advertise=info"},
        {"growth=auto,advertise=flag", "needs explicit growth"},
        {"growth=none,advertise=info", "needs learn"},
        {"learn=poll,advertise=silent", "needs advertise=info"},
        {"learn=poll,replies=simple", "needs replies"},
        {"fill=zero", "applies only"},
        {"growth=both,fill=-", "zero or unspecified"},
        {"growth=auto,shrink=deny", "applies only"},
        {"sizing=round", "applies only"},
        {"read-only=maybe", "yes or no"},
        {"backend=tape", "memory or file"},
        {"fault=nosuch", "--list-faults"},
        {"oddity=nosuch", "--list-oddities"},
        {"fault=write-lost", "--wire-faults"},
        {"fault=greeting-magic", "before an export is named"},
        {"fault=write-lost,fault=read-byte-early", "only one fault or oddity"},
        {std::string("growth=\x01\xff\"", 10), "\\xff"},
        {"size=" + std::string(4000, '9'), "…"},
        {std::string(4000, 'a') + "=1", "…"},
        {std::string(4095, '='), "there is no knob \"\""},
        {std::string(4095, ','), "KNOB=VALUE"},
    };
    KnobCatalogue catalogue({});
    for (const auto& c : cases) {
        const auto [served, why_not] = catalogue.find(c.name);
        EXPECT_FALSE(served) << c.name;
        EXPECT_NE(why_not.find(c.part_of_the_message), std::string::npos) << c.name << ": " << why_not;
        EXPECT_LT(why_not.size(), 500U) << why_not;
    }
    EXPECT_EQ(catalogue.disks(), 0U);
}

TEST(Knobs, a_name_is_a_disk) {
    KnobCatalogue catalogue({});
    const auto first = catalogue.find("growth=both,id=1").served;
    EXPECT_EQ(catalogue.find("growth=both,id=1").served, first);
    EXPECT_NE(catalogue.find("growth=both,id=2").served, first);
    EXPECT_NE(catalogue.find("id=1,growth=both").served, first);
    EXPECT_EQ(first->name(), "growth=both,id=1");
    EXPECT_TRUE(catalogue.find("id=" + std::string(3000, 'i')).served);
    EXPECT_TRUE(catalogue.find("").served);
    EXPECT_EQ(catalogue.list().size(), 1U);
}

TEST(Knobs, names_may_put_faults_on_the_wire) {
    DiskOptions options;
    options.wire_faults = true;
    KnobCatalogue catalogue(options);
    EXPECT_TRUE(catalogue.find("fault=write-lost,size=1KiB").served);
    EXPECT_FALSE(catalogue.find("fault=greeting-magic").served);
}

TEST(Knobs, names_ask_for_no_more_than_the_server_negotiates) {
    DiskOptions options;
    options.defaults.replies = ReplyStyle::structured;
    KnobCatalogue catalogue(options);
    EXPECT_TRUE(catalogue.find("replies=simple").served);
    EXPECT_TRUE(catalogue.find("replies=structured,learn=poll").served);
    EXPECT_FALSE(catalogue.find("replies=extended").served);
}

TEST(Knobs, disks_stay_for_a_while) {
    DiskOptions options;
    options.most_idle = 2;
    options.most_kept = 1;
    KnobCatalogue catalogue(options);
    const auto resize = [&](const char* name) {
        EXPECT_EQ(catalogue.find(name).served->resize_from_outside(5), std::nullopt);
    };
    const auto size = [&](const char* name) { return catalogue.find(name).served->size(); };
    resize("id=1");
    resize("id=2,keep=yes");
    resize("id=3");
    EXPECT_EQ(size("id=1"), 5U);
    resize("id=4");
    EXPECT_EQ(size("id=1"), 5U) << "the longest idle one is dropped, not the first one";
    EXPECT_EQ(size("id=3"), 1U << 20);
    EXPECT_EQ(size("id=2,keep=yes"), 5U);
    EXPECT_FALSE(catalogue.find("id=5,keep=yes").served);
    const auto held = catalogue.find("id=6").served;
    EXPECT_EQ(held->resize_from_outside(6), std::nullopt);
    for (int i = 10; i < 20; ++i) {
        (void)catalogue.find(fmt::format("id={}", i));
    }
    EXPECT_EQ(size("id=6"), 6U);
    EXPECT_EQ(catalogue.disks(), 4U);
}

TEST(Knobs, ten_thousand_disks) {
    KnobCatalogue catalogue({});
    std::vector<std::shared_ptr<Export>> held;
    for (int i = 0; i < 10000; ++i) {
        held.push_back(catalogue.find(fmt::format("growth=both,id={}", i)).served);
        ASSERT_TRUE(held.back());
    }
    EXPECT_EQ(catalogue.disks(), 10000U);
    EXPECT_EQ(catalogue.find("growth=both,id=77").served, held[77]);
    held.clear();
    EXPECT_EQ(catalogue.disks(), DiskOptions{}.most_idle);
}

TEST(Knobs, disks_share_a_bounded_memory) {
    DiskOptions options;
    options.memory = 1 << 20;
    KnobCatalogue catalogue(options);
    BufferPool pool;
    const auto write = [&](Export& served, std::uint64_t size) {
        Operation operation;
        operation.kind = Operation::Kind::write;
        operation.length = size;
        operation.buffer = pool.take(size);
        served.perform(operation);
        return operation.error;
    };
    {
        const auto first = catalogue.find("id=1").served;
        EXPECT_EQ(write(*first, 900000), nbd::Error::none);
        const auto second = catalogue.find("id=2").served;
        EXPECT_EQ(write(*second, 900000), nbd::Error::nospc);
        EXPECT_EQ(write(*second, 90000), nbd::Error::none);
        EXPECT_EQ(write(*first, 900000), nbd::Error::none) << "what is there already takes no more";
        Operation trim;
        trim.kind = Operation::Kind::trim;
        trim.length = 900000;
        first->perform(trim);
        EXPECT_EQ(write(*second, 900000), nbd::Error::none);
    }
}

TEST(Control, lines_are_obeyed_or_explained) {
    KnobCatalogue catalogue({});
    const auto held = catalogue.find("id=a b").served;
    const struct {
        std::string line;
        std::string answer; ///< "error …" for any error
    } cases[] = {
        {"size id=a b", "1048576"},
        {"resize id=a b 77", "ok"},
        {"size id=a b", "77"},
        {"size id=a b\r", "77"},
        {"resize  123", "ok"},
        {"size ", "123"},
        {"size", "123"},
        {"resize id=a b 9223372036854775807", "ok"},
        {"size id=a b", "9223372036854775807"},
        {"resize id=a b 9223372036854775808", "error …"},
        {"resize id=a b 18446744073709551616", "error …"},
        {"resize id=a b -1", "error …"},
        {"resize id=a b 1M", "error …"},
        {"resize id=a b ", "error …"},
        {"resize 5", "error …"},
        {"resize", "error …"},
        {"resize nosuch 5", "error …"},
        {"size nosuch", "error …"},
        {"", "error …"},
        {"help", "error …"},
        {"size id=a b", "9223372036854775807"},
    };
    for (const auto& c : cases) {
        const std::string answer = obey(catalogue, c.line);
        EXPECT_EQ(answer.starts_with("error ") ? "error …" : answer, c.answer) << c.line << ": " << answer;
    }
}

} // namespace
} // namespace refserver
