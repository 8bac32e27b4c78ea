#include "harness/peers/output_reader.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

JsonField at(const std::string& pointer) {
    return {pointer, std::nullopt, false};
}
JsonField bit(const std::string& pointer, unsigned number) {
    return {pointer, number, false};
}
JsonField no(const std::string& pointer) {
    return {pointer, std::nullopt, true};
}

class OutputReader : public ::testing::Test {
  protected:
    ClientResult read(std::string_view output) { return read_output(form_, output, into_); }
    std::string error(std::string_view output) {
        return message_of<std::runtime_error>([&] { (void)read(output); });
    }

    TempFolder folder_;
    std::filesystem::path into_ = folder_ / "into";
    ResultTemplate form_;
};

TEST_F(OutputReader, WithoutAFormNothingIsToldWhateverIsPrinted) {
    const ClientResult result = read("any words\n");
    EXPECT_FALSE(result.size);
    EXPECT_FALSE(result.flags);
    EXPECT_FALSE(result.block);
    EXPECT_FALSE(result.exports);
    EXPECT_FALSE(result.extents);
}

TEST_F(OutputReader, FieldsByPointer) {
    form_.fields = {{"size", at("/exports/0/export-size")},
                    {"structured", at("/structured")},
                    {"extended", no("/plain")},
                    {"block.minimum", at("/b/0")},
                    {"block.preferred", at("/b/1")},
                    {"block.maximum", at("/b/2")}};
    const ClientResult result = read(R"({ "exports": [ { "export-size": 18446744073709551615 } ],
        "structured": true, "plain": false, "b": [1, 4096, 33554432] })");
    EXPECT_EQ(result.size, 18446744073709551615U);
    EXPECT_EQ(result.structured, true);
    EXPECT_EQ(result.extended, true);
    ASSERT_TRUE(result.block);
    EXPECT_EQ(result.block->minimum, 1U);
    EXPECT_EQ(result.block->preferred, 4096U);
    EXPECT_EQ(result.block->maximum, 33554432U);
}

TEST_F(OutputReader, WhatIsMissingOrNullIsLeftOut) {
    form_.fields = {{"size", at("/size")},
                    {"structured", at("/structured")},
                    {"block.minimum", at("/minimum")},
                    {"block.preferred", at("/preferred")},
                    {"block.maximum", at("/maximum")}};
    const ClientResult result = read(R"({ "size": null, "minimum": 1, "preferred": 512 })");
    EXPECT_FALSE(result.size);
    EXPECT_FALSE(result.structured);
    EXPECT_FALSE(result.block) << "two of three block sizes are none";
}

TEST_F(OutputReader, FlagsAreBooleansBitsOrTheirOpposite) {
    form_.flags = {{"flush", at("/flush")},   {"fua", at("/fua")},
                   {"trim", bit("/bits", 5)}, {"df", bit("/bits", 7)},
                   {"read-only", no("/rw")},  {"cache", at("/missing")},
                   {"rotational", no("/no")}, {"multi-conn", {"/bits", 7, true}}};
    const ClientResult result =
        read(R"({ "flush": true, "fua": false, "bits": 32, "rw": false, "no": true })");
    ASSERT_TRUE(result.flags);
    EXPECT_THAT(*result.flags, UnorderedElementsAre("flush", "trim", "read-only", "multi-conn"));
}

TEST_F(OutputReader, ListOfExports) {
    form_.items = "/exports";
    form_.item = {{"name", at("/export-name")}};
    const ClientResult result = read(R"({ "exports": [ { "export-name": "" }, { "export-name": "a/b" } ] })");
    ASSERT_TRUE(result.exports);
    EXPECT_THAT(*result.exports, ElementsAre("", "a/b"));
}

TEST_F(OutputReader, AnEmptyListIsAList) {
    form_.items = "/exports";
    form_.item = {{"name", at("/export-name")}};
    const ClientResult result = read(R"({ "exports": [] })");
    ASSERT_TRUE(result.exports) << "that nothing is exported was told";
    EXPECT_TRUE(result.exports->empty());
}

TEST_F(OutputReader, AnEmptyMapIsAMap) {
    form_.items = "";
    form_.item = {{"offset", at("/o")}, {"length", at("/l")}, {"hole", at("/h")}, {"zero", at("/z")}};
    const ClientResult result = read("[]");
    ASSERT_TRUE(result.extents);
    EXPECT_TRUE(result.extents->empty());
}

TEST_F(OutputReader, ExtentsOfTheWholeDocument) {
    form_.items = "";
    form_.item = {{"offset", at("/offset")},
                  {"length", at("/length")},
                  {"hole", bit("/type", 0)},
                  {"zero", bit("/type", 1)}};
    const ClientResult result = read(R"([ { "offset": 0, "length": 65536, "type": 0 },
        { "offset": 65536, "length": 1, "type": 3 }, { "offset": 65537, "length": 2, "type": 2 } ])");
    ASSERT_TRUE(result.extents);
    ASSERT_EQ(result.extents->size(), 3U);
    EXPECT_FALSE(result.extents->at(0).hole);
    EXPECT_EQ(result.extents->at(0).length, 65536U);
    EXPECT_TRUE(result.extents->at(1).hole);
    EXPECT_TRUE(result.extents->at(1).zero);
    EXPECT_EQ(result.extents->at(1).offset, 65536U);
    EXPECT_FALSE(result.extents->at(2).hole);
    EXPECT_TRUE(result.extents->at(2).zero);
}

TEST_F(OutputReader, HoleThatIsTheOppositeOfData) {
    form_.items = "/map";
    form_.item = {{"offset", at("/o")}, {"length", at("/l")}, {"hole", no("/data")}, {"zero", at("/z")}};
    const ClientResult result = read(R"({ "map": [ { "o": 0, "l": 1, "data": false, "z": true } ] })");
    ASSERT_TRUE(result.extents);
    EXPECT_TRUE(result.extents->at(0).hole);
}

TEST_F(OutputReader, SizeInWords) {
    form_.size_match = "virtual size: .* \\(([0-9]+) bytes\\)";
    EXPECT_EQ(read("image: x\nvirtual size: 1 MiB (1048576 bytes)\n").size, 1048576U);
    EXPECT_THAT(error("nothing of the kind"), HasSubstr("size"));
    EXPECT_THAT(error("virtual size: 1 MiB (99999999999999999999999 bytes)"), HasSubstr("size"))
        << "what is no 64-bit number is no result";
}

TEST_F(OutputReader, HexDumpBecomesAFile) {
    form_.hexdump = "^[0-9a-f]{8,}:  ((?:[0-9a-f]{2} )+)";
    (void)read("00000000:  00 ff 10 0a  ....\n00000004:  7f 80  ..\nread 6/6 bytes at offset 0\n");
    EXPECT_THAT(read_bytes(into_), ElementsAre(0x00, 0xff, 0x10, 0x0a, 0x7f, 0x80));
}

TEST_F(OutputReader, AHexDumpOfNothingIsAnEmptyFile) {
    form_.hexdump = "^[0-9a-f]{8,}:  ((?:[0-9a-f]{2} )+)";
    (void)read("read 0/0 bytes\n");
    ASSERT_TRUE(std::filesystem::exists(into_));
    EXPECT_TRUE(read_bytes(into_).empty());
}

struct Malformed {
    const char* name;
    const char* output;
};

class MalformedOutput : public OutputReader, public ::testing::WithParamInterface<Malformed> {};

TEST_P(MalformedOutput, IsARuntimeErrorWhateverIsAskedFor) {
    form_.fields = {{"size", at("/size")}};
    form_.flags = {{"fua", bit("/fua", 3)}};
    form_.items = "/list";
    form_.item = {{"offset", at("/o")}, {"length", at("/l")}, {"hole", at("/h")}, {"zero", bit("/z", 0)}};
    EXPECT_NE(error(GetParam().output), "(nothing was thrown)");
}

INSTANTIATE_TEST_SUITE_P(
    Output, MalformedOutput,
    ::testing::Values(
        Malformed{"empty", ""}, Malformed{"words", "no JSON"}, Malformed{"cut off", R"({ "size": 1, )"},
        Malformed{"two values", R"({ "list": [] } { "list": [] })"},
        Malformed{"size a text", R"({ "size": "1", "list": [] })"},
        Malformed{"size negative", R"({ "size": -1, "list": [] })"},
        Malformed{"size a fraction", R"({ "size": 1.5, "list": [] })"},
        Malformed{"size a list", R"({ "size": [], "list": [] })"},
        Malformed{"bit of a text", R"({ "fua": "yes", "list": [] })"},
        Malformed{"list missing", R"({ "size": 1 })"}, Malformed{"list an object", R"({ "list": {} })"},
        Malformed{"item a number", R"({ "list": [ 1 ] })"},
        Malformed{"item without offset", R"({ "list": [ { "l": 1, "h": true, "z": 0 } ] })"},
        Malformed{"item without hole", R"({ "list": [ { "o": 0, "l": 1, "z": 0 } ] })"},
        Malformed{"length a text", R"({ "list": [ { "o": 0, "l": "1", "h": true, "z": 0 } ] })"},
        Malformed{"bit of a boolean", R"({ "list": [ { "o": 0, "l": 1, "h": true, "z": true } ] })"}),
    by_name);

TEST_F(OutputReader, NameThatIsNoTextIsMalformed) {
    form_.items = "/e";
    form_.item = {{"name", at("/n")}};
    EXPECT_NE(error(R"({ "e": [ { "n": 7 } ] })"), "(nothing was thrown)");
    EXPECT_NE(error(R"({ "e": [ { } ] })"), "(nothing was thrown)");
}

} // namespace
} // namespace harness
