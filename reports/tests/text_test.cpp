#include "reports/text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace reports {
namespace {

const std::string bad = "\xEF\xBF\xBD"; // U+FFFD

struct Utf8Case {
    const char* what;
    std::string in;
    std::string out;
};

class ValidUtf8 : public testing::TestWithParam<Utf8Case> {};

TEST_P(ValidUtf8, replaces_what_is_not_utf8) {
    EXPECT_EQ(valid_utf8(GetParam().in), GetParam().out);
}

INSTANTIATE_TEST_SUITE_P(Table, ValidUtf8,
                         testing::Values(Utf8Case{"ascii", "abc", "abc"}, Utf8Case{"two", "ü", "ü"},
                                         Utf8Case{"three", "€", "€"}, Utf8Case{"four", "😀", "😀"},
                                         Utf8Case{"highest", "\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
                                         Utf8Case{"stray_continuation", "a\x80z", "a" + bad + "z"},
                                         Utf8Case{"truncated", "a\xE2\x82", "a" + bad + bad},
                                         Utf8Case{"overlong_slash", "\xC0\xAF", bad + bad},
                                         Utf8Case{"overlong_three", "\xE0\x80\x80", bad + bad + bad},
                                         Utf8Case{"overlong_four", "\xF0\x8F\xBF\xBF", bad + bad + bad + bad},
                                         Utf8Case{"surrogate", "\xED\xA0\x80", bad + bad + bad},
                                         Utf8Case{"above_unicode", "\xF4\x90\x80\x80", bad + bad + bad + bad},
                                         Utf8Case{"never_a_lead", "\xFF\xFE", bad + bad},
                                         Utf8Case{"broken_third", "\xE2\x82z", bad + bad + "z"}),
                         [](const auto& tested) { return tested.param.what; });

TEST(Printable, drops_what_xml_forbids_and_unifies_line_ends) {
    EXPECT_EQ(printable(std::string("a\0b\x1B[1m\x0B", 8)), "ab[1m");
    EXPECT_EQ(printable("1\r\n2\r3\n4\r\r\n5\t6"), "1\n2\n3\n4\n\n5\t6");
    EXPECT_EQ(printable("x\xEF\xBF\xBEy\xEF\xBF\xBFz"), "xyz");
}

TEST(OneLine, joins_lines_and_trims) {
    EXPECT_EQ(one_line("  a \r\n\t b\x01\n"), "a b");
    EXPECT_EQ(one_line(" \n "), "");
}

TEST(OneLine, cuts_between_characters) {
    EXPECT_EQ(one_line("abcde", 5), "abcde");
    EXPECT_EQ(one_line("abcdef", 5), "abcd…");
    EXPECT_EQ(one_line("üüüü", 3), "üü…");
    EXPECT_EQ(one_line("abc  ", 3), "abc") << "white space at the end is no reason to cut";
    EXPECT_EQ(one_line("abc", 1), "…");
}

TEST(Limited, says_how_much_is_missing) {
    EXPECT_EQ(limited("abc", 3), "abc");
    EXPECT_EQ(limited("abcd", 3), "abc… (1 more bytes)");
    EXPECT_EQ(limited("aüb", 2), "a… (3 more bytes)") << "must not cut inside of a character";
}

TEST(MarkdownCell, escapes_markup) {
    EXPECT_EQ(markdown_cell("a|b\nc"), "a\\|b c");
    EXPECT_EQ(markdown_cell("<b>&`*_[x]~\\"), "&lt;b&gt;&amp;\\`\\*\\_\\[x\\]\\~\\\\");
}

TEST(MarkdownCode, never_lets_a_cell_or_the_span_end_early) {
    EXPECT_EQ(markdown_code("a_b"), "`a_b`");
    EXPECT_EQ(markdown_code("a`b"), "a\\`b");
    EXPECT_EQ(markdown_code("a|b"), "a\\|b");
    EXPECT_EQ(markdown_code(""), "");
}

TEST(Href, can_name_neither_a_scheme_nor_a_host) {
    EXPECT_EQ(href("cases/nbdkit+no-sr/x y"), "cases/nbdkit%2Bno-sr/x%20y");
    EXPECT_EQ(href("javascript:alert(1)"), "javascript%3Aalert%281%29");
    EXPECT_EQ(href("//example.org/x"), "example.org/x");
    EXPECT_EQ(href("a\"b\xFF"), "a%22b%FF");
    EXPECT_EQ(href("///"), "");
}

TEST(Counted, agrees_in_number) {
    EXPECT_EQ(counted(0, "case"), "0 cases");
    EXPECT_EQ(counted(1, "case"), "1 case");
    EXPECT_EQ(counted(191160, "case"), "191,160 cases");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1000000), "1,000,000");
}

TEST(DayAndTime, is_for_people) {
    EXPECT_EQ(day_and_time("2026-11-22T16:21:07Z"), "2026-11-22 16:21:07 UTC");
    EXPECT_EQ(day_and_time("Tuesday"), "Tuesday");
}

} // namespace
} // namespace reports
