// docs/resize-extension.md says the same as the code: values, layouts, identifiers.

#include "protocol/numbers.hpp"
#include "protocol/resize.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace nbd {
namespace {

using ::testing::ElementsAre;

std::string text_of(const std::string& path) {
    std::ifstream file(NBD_SOURCE_DIR "/" + path);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

/// The part of the document from a heading to the next one.
std::string section(std::string_view heading) {
    const std::string text = text_of("docs/resize-extension.md");
    const auto begin = text.find("\n" + std::string(heading) + "\n");
    EXPECT_NE(begin, std::string::npos) << heading;
    return text.substr(begin + 1, text.find("\n#", begin + 2) - begin);
}

std::vector<std::string> all_matches(const std::string& text, const std::string& pattern) {
    const std::regex expression(pattern);
    std::vector<std::string> found;
    for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end; ++match) {
        found.push_back((*match)[1]);
    }
    return found;
}

/// Tables of the kind "| `NAME` | bit 9 |" and "| 0 | `NAME` |".
std::map<std::string, std::string> values(const std::string& text) {
    std::map<std::string, std::string> rows;
    const std::regex name_first(R"(\n\| `([A-Z_]+)` \| ((?:bit )?\d+) \|)");
    const std::regex bit_first(R"(\n\| (\d+) \| `([A-Z_]+)` \|)");
    for (std::sregex_iterator row(text.begin(), text.end(), name_first), end; row != end; ++row) {
        rows[(*row)[1]] = (*row)[2];
    }
    for (std::sregex_iterator row(text.begin(), text.end(), bit_first), end; row != end; ++row) {
        rows[(*row)[2]] = "bit " + (*row)[1].str();
    }
    return rows;
}

/// The names that the code gives to bits.
template <class Flags>
std::map<std::string, std::string> bits(const std::function<std::string(Flags)>& names,
                                        const std::vector<Flags>& flags) {
    std::map<std::string, std::string> rows;
    for (const Flags flag : flags) {
        rows[names(flag)] = "bit " + std::to_string(std::countr_zero(flag));
    }
    return rows;
}

/// The width of each field of a message, in bits.
struct Widths {
    std::vector<std::size_t> bits;

    template <class T>
    void field(std::string_view /*name*/, const T& value) {
        bits.push_back(8 * sizeof value);
    }
};

template <class M>
std::vector<std::size_t> widths() {
    Widths collected;
    const M message;
    M::fields(message, collected);
    return collected.bits;
}

std::vector<std::size_t> widths_in(const std::string& text) {
    std::vector<std::size_t> found;
    for (const std::string& number : all_matches(text, R"(\nS: (\d+) bits)")) {
        found.push_back(std::stoul(number));
    }
    return found;
}

TEST(ResizeText, ValuesAreThoseOfTheCode) {
    std::map<std::string, std::string> code{
        {name(Command::resize), std::to_string(static_cast<unsigned>(Command::resize))},
        {name(InfoType::resize), std::to_string(static_cast<unsigned>(InfoType::resize))},
        {name(ChunkType::resize), std::to_string(static_cast<unsigned>(ChunkType::resize))}};
    code.merge(bits<std::uint16_t>(transmission_flag_names, {transmission_flag::send_resize}));
    code.merge(bits<std::uint16_t>(command_flag_names, {command_flag::extend, command_flag::query,
                                                        command_flag::notify, command_flag::cancel}));
    EXPECT_EQ(values(section("## Values")), code);
}

TEST(ResizeText, CapabilitiesAreThoseOfTheCode) {
    namespace bit = resize_capability;
    EXPECT_EQ(values(section("### `NBD_INFO_RESIZE`")),
              bits<std::uint16_t>(resize_capability_names,
                                  {bit::explicit_, bit::shrink, bit::automatic, bit::automatic_implicit,
                                   bit::zeroed, bit::query, bit::notify, bit::external}));
}

TEST(ResizeText, ChunkFlagsAreThoseOfTheCode) {
    EXPECT_EQ(values(section("## `NBD_REPLY_TYPE_RESIZE`")),
              bits<std::uint32_t>(resize_flag_names,
                                  {resize_flag::zeroed, resize_flag::external, resize_flag::coalesced}));
}

TEST(ResizeText, LayoutsAreThoseOfTheCode) {
    const std::string info = section("### `NBD_INFO_RESIZE`");
    EXPECT_EQ(widths_in(info), widths<InfoResize>());
    EXPECT_THAT(all_matches(info, R"(a length of (\d+))"),
                ElementsAre(std::to_string(wire_size<InfoResize>)));
    const std::string chunk = section("## `NBD_REPLY_TYPE_RESIZE`");
    EXPECT_EQ(widths_in(chunk), widths<ResizeChunk>());
    EXPECT_THAT(all_matches(chunk, R"(a length of (\d+))"),
                ElementsAre(std::to_string(wire_size<ResizeChunk>)));
}

TEST(ResizeText, IdentifiersAreThoseOfTheRequirements) {
    const auto in_text = all_matches(text_of("docs/resize-extension.md"), R"(\((RZ-[A-Z]+-\d+)\))");
    const auto required =
        all_matches(text_of("scenarios/requirements/resize.yaml"), R"(\n  (RZ-[A-Z]+-\d+):)");
    EXPECT_EQ(std::set(in_text.begin(), in_text.end()), std::set(required.begin(), required.end()));
    EXPECT_EQ(in_text.size(), required.size()) << "each statement stands once";
}

} // namespace
} // namespace nbd
