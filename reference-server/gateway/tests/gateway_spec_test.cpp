#include "reference-server/gateway/gateway_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refserver {
namespace {

TEST(ParseBackend, TakesTheUriWithAndWithoutItsKind) {
    const std::pair<const char*, const char*> cases[] = {
        {"nbd:nbd://localhost:10810/disk", "nbd://localhost:10810/disk"},
        {"nbd://localhost/disk", "nbd://localhost/disk"},
        {"nbd:nbd+unix:///disk?socket=/tmp/s", "nbd+unix:///disk?socket=/tmp/s"},
        {"nbd+unix:///?socket=/tmp/s", "nbd+unix:///?socket=/tmp/s"},
        {"nbd:nbds://host/", "nbds://host/"},
        {"nbds+unix:///?socket=s", "nbds+unix:///?socket=s"}};
    for (const auto& [text, uri] : cases) {
        EXPECT_EQ(parse_backend(text), uri);
    }
    for (const char* text : {"", "nbd:", "disk.img", "http://localhost", "nbd:localhost"}) {
        EXPECT_THROW((void)parse_backend(text), std::invalid_argument) << text;
    }
}

TEST(ParseResizeWith, Truncate) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(parse_resize_with("")));
    const auto how = parse_resize_with("truncate:/tmp/a,b=c:d");
    ASSERT_TRUE(std::holds_alternative<TruncateOptions>(how));
    EXPECT_EQ(std::get<TruncateOptions>(how).path, "/tmp/a,b=c:d");
}

TEST(ParseResizeWith, Qmp) {
    const auto plain = std::get<QmpOptions>(parse_resize_with("qmp:/run/qmp"));
    EXPECT_EQ(plain.socket, "/run/qmp");
    EXPECT_EQ(plain.export_id, "");
    EXPECT_FALSE(plain.hard);
    EXPECT_EQ(plain.state(), "/run/qmp.nbd-resize");
    const auto full = std::get<QmpOptions>(
        parse_resize_with("qmp:/run/qmp,export=e0,node=n=1,mode=hard,iothread=t0,state=/var/x"));
    EXPECT_EQ(full.export_id, "e0");
    EXPECT_EQ(full.node, "n=1");
    EXPECT_TRUE(full.hard);
    EXPECT_EQ(full.iothread, "t0");
    EXPECT_EQ(full.state(), "/var/x");
}

TEST(ParseResizeWith, SaysWhatIsWrong) {
    const std::pair<const char*, const char*> cases[] = {
        {"truncate:", "truncate:FILE"},   {"fallocate:x", "'fallocate:x'"}, {"qmp:", "qmp.sock"},
        {"qmp:s,mode=soft", "mode=soft"}, {"qmp:s,exprot=e", "exprot=e"},   {"qmp:s,node=", "node="},
        {"qmp:s,node", "'node'"}};
    for (const auto& [text, part] : cases) {
        try {
            (void)parse_resize_with(text);
            ADD_FAILURE() << text;
        } catch (const std::invalid_argument& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr(part));
        }
    }
}

InnerFacts everything() {
    InnerFacts facts;
    facts.size = 1 << 20;
    return facts;
}

TEST(Offered, NoMoreThanTheInnerServerHas) {
    InnerFacts inner = everything();
    const Features all = offered({}, false, inner).features;
    EXPECT_TRUE(all.flush && all.fua && all.trim && all.write_zeroes && all.fast_zero && all.cache &&
                all.block_status && all.df && all.multi_conn);
    bool Features::*const members[] = {&Features::flush,        &Features::fua,       &Features::trim,
                                       &Features::write_zeroes, &Features::fast_zero, &Features::cache,
                                       &Features::block_status};
    for (bool Features::*member : members) {
        inner = everything();
        inner.can.*member = false;
        EXPECT_FALSE(offered({}, false, inner).features.*member);
        ExportOptions wanted;
        wanted.features.*member = false;
        EXPECT_FALSE(offered(wanted, false, everything()).features.*member);
    }
    inner = everything();
    inner.read_only = true;
    EXPECT_TRUE(offered({}, false, inner).read_only);
    EXPECT_FALSE(offered({}, false, everything()).read_only);
}

TEST(Offered, BlockSizesAreTheInnerServersUnlessGiven) {
    InnerFacts inner = everything();
    inner.block = {512, 65536, 1 << 20};
    const BlockSizes adopted = offered({}, false, inner).block;
    EXPECT_EQ(adopted.minimum, 512U);
    EXPECT_EQ(adopted.preferred, 65536U);
    ExportOptions wanted;
    wanted.block = {4096, 8192, 1 << 25};
    EXPECT_EQ(offered(wanted, true, inner).block.minimum, 4096U);
    wanted.block.minimum = 1;
    EXPECT_THROW((void)offered(wanted, true, inner), std::runtime_error);
    inner.block.minimum = 513;
    EXPECT_THROW((void)offered({}, false, inner), std::runtime_error);
}

TEST(InnerFacts, WhatCameBackWithLessIsNamed) {
    EXPECT_FALSE(everything().missing(everything()));
    InnerFacts less = everything();
    less.read_only = true;
    less.can.trim = false;
    const auto missing = less.missing(everything());
    ASSERT_TRUE(missing);
    EXPECT_THAT(*missing, testing::HasSubstr("writing"));
    EXPECT_THAT(*missing, testing::HasSubstr("NBD_CMD_TRIM"));
    EXPECT_FALSE(everything().missing(less)) << "more is as good";
    InnerFacts coarser = everything();
    coarser.block.minimum = 4096;
    EXPECT_TRUE(coarser.missing(everything()));
}

} // namespace
} // namespace refserver
