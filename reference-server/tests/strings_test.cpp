#include "reference-server/session/strings.hpp"

#include <gtest/gtest.h>

#include <string>

namespace refserver {
namespace {

using namespace std::string_literals;

TEST(ProtocolString, is_utf8_without_nul) {
    for (const std::string& text :
         {""s, "disk"s, "\x7f"s, "gr\xc3\xbc\xc3\x9f"s, "\xe2\x82\xac"s, "\xf0\x9f\x92\xbe"s, "\xed\x9f\xbf"s,
          "\xf4\x8f\xbf\xbf"s, std::string(4096, 'a')}) {
        EXPECT_TRUE(is_protocol_string(text)) << text;
    }
    for (const std::string& text :
         {"a\0b"s, "\0"s, "\x80"s, "\xc3"s, "\xc3\x28"s, "\xc0\xaf"s, "\xc1\xbf"s, "\xe0\x80\xaf"s,
          "\xed\xa0\x80"s, "\xe2\x82"s, "\xf0\x80\x80\xaf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s,
          "\xff"s, std::string(4097, 'a')}) {
        EXPECT_FALSE(is_protocol_string(text));
    }
}

} // namespace
} // namespace refserver
