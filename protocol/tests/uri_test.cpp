// Statement by statement, the specification's doc/uri.md.

#include "protocol/uri.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nbd {
namespace {

using namespace std::string_literals;

Uri tcp(const std::string& host, std::uint16_t port, const std::string& export_name) {
    Uri uri;
    uri.host = host;
    uri.port = port;
    uri.export_name = export_name;
    return uri;
}

Uri unix_socket(const std::string& socket, const std::string& export_name) {
    Uri uri;
    uri.transport = Uri::Transport::unix_socket;
    uri.host.clear();
    uri.socket = socket;
    uri.export_name = export_name;
    return uri;
}

Uri with_tls(Uri uri, const std::string& user = "") {
    uri.tls = true;
    uri.user = user;
    return uri;
}

Uri with(Uri uri, std::vector<UriParameter> parameters) {
    uri.parameters = std::move(parameters);
    return uri;
}

struct Good {
    std::string text;
    Uri uri;
    std::string formatted; ///< empty: the same text
};

const Good good[] = {
    // the specification's own table of export names
    {"nbd://example.com/disk", tcp("example.com", 10809, "disk"), ""},
    {"nbd+unix:///disk?socket=sock", unix_socket("sock", "disk"), ""},
    {"nbd://example.com/", tcp("example.com", 10809, ""), ""},
    {"nbd://example.com", tcp("example.com", 10809, ""), "nbd://example.com/"},
    {"nbd://example.com//disk", tcp("example.com", 10809, "/disk"), ""},
    {"nbd://example.com/hello%20world", tcp("example.com", 10809, "hello world"), ""},
    // and its other examples
    {"nbd://example.com:10809/export", tcp("example.com", 10809, "export"), "nbd://example.com/export"},
    {"nbd+unix:///export?socket=nbd.sock", unix_socket("nbd.sock", "export"), ""},
    {"nbd+unix:///?socket=%00/abstract", unix_socket("\0/abstract"s, ""), ""},
    // schemes
    {"nbds://h/x", with_tls(tcp("h", 10809, "x")), ""},
    {"nbds+unix:///x?socket=s", with_tls(unix_socket("s", "x")), ""},
    {"NBDS+Unix:///x?socket=s", with_tls(unix_socket("s", "x")), "nbds+unix:///x?socket=s"},
    // authority
    {"nbd://h:1/", tcp("h", 1, ""), ""},
    {"nbd://h:65535/", tcp("h", 65535, ""), ""},
    {"nbd://h:00010/", tcp("h", 10, ""), "nbd://h:10/"},
    {"nbd://h:/", tcp("h", 10809, ""), "nbd://h/"},
    {"nbd:///x", tcp("localhost", 10809, "x"), "nbd://localhost/x"},
    {"nbd://127.0.0.1:10810/x", tcp("127.0.0.1", 10810, "x"), ""},
    {"nbd://[::1]/x", tcp("::1", 10809, "x"), ""},
    {"nbd://[2001:db8::7]:10810/x", tcp("2001:db8::7", 10810, "x"), ""},
    {"nbd://[::ffff:192.0.2.1]", tcp("::ffff:192.0.2.1", 10809, ""), "nbd://[::ffff:192.0.2.1]/"},
    {"nbds://alice@h/", with_tls(tcp("h", 10809, ""), "alice"), ""},
    {"nbds://al%40ice@h/", with_tls(tcp("h", 10809, ""), "al@ice"), ""},
    {"nbds+unix://alice@/x?socket=s", with_tls(unix_socket("s", "x"), "alice"), ""},
    {"nbds://a:1b@h:1/", with_tls(tcp("h", 1, ""), "a:1b"), "nbds://a%3A1b@h:1/"},
    // export names
    {"nbd://h/a:b@c", tcp("h", 10809, "a:b@c"), ""},
    {"nbd://h/a/b", tcp("h", 10809, "a/b"), ""},
    {"nbd://h/a%2Fb", tcp("h", 10809, "a/b"), "nbd://h/a/b"},
    {"nbd://h/%2Fa", tcp("h", 10809, "/a"), "nbd://h//a"},
    {"nbd://h///", tcp("h", 10809, "//"), ""},
    {"nbd://h/..", tcp("h", 10809, ".."), ""},
    {"nbd://h/%FF%FE", tcp("h", 10809, "\xff\xfe"), ""},
    {"nbd://h/%c3%a9", tcp("h", 10809, "\xc3\xa9"), "nbd://h/%C3%A9"},
    {"nbd://h/%25%3F%23", tcp("h", 10809, "%?#"), ""},
    {"nbd://h/a+b", tcp("h", 10809, "a+b"), "nbd://h/a%2Bb"},
    {"nbd://h/growth=both,size=1MiB", tcp("h", 10809, "growth=both,size=1MiB"), ""},
    {"nbd+unix:?socket=s", unix_socket("s", ""), "nbd+unix:///?socket=s"},
    {"nbd+unix:/x?socket=s", unix_socket("s", "x"), "nbd+unix:///x?socket=s"},
    // query parameters
    {"nbd+unix:///?socket=/tmp/a%26b%3Dc", unix_socket("/tmp/a&b=c", ""), ""},
    {"nbd+unix:///?socket=/tmp/a+b", unix_socket("/tmp/a+b", ""), "nbd+unix:///?socket=/tmp/a%2Bb"},
    {"nbd+unix:///?socket=a=b", unix_socket("a=b", ""), "nbd+unix:///?socket=a%3Db"},
    {"nbd+unix:///?%73ocket=s", unix_socket("s", ""), "nbd+unix:///?socket=s"},
    {"nbds://h/?tls-type=psk&tls-hostname=x.example&tls-verify-peer=0",
     with(with_tls(tcp("h", 10809, "")),
          {{"tls-type", "psk"}, {"tls-hostname", "x.example"}, {"tls-verify-peer", "0"}}),
     ""},
    {"nbds+unix:///?tls-type=x509&socket=s", with(with_tls(unix_socket("s", "")), {{"tls-type", "x509"}}),
     "nbds+unix:///?socket=s&tls-type=x509"},
    {"nbd://h/?x-a&x-b=&x-a=1", with(tcp("h", 10809, ""), {{"x-a", ""}, {"x-b", ""}, {"x-a", "1"}}),
     "nbd://h/?x-a=&x-b=&x-a=1"},
    {"nbd://h/x?", tcp("h", 10809, "x"), "nbd://h/x"},
    {"nbd://h/x?&x-a=1&", with(tcp("h", 10809, "x"), {{"x-a", "1"}}), "nbd://h/x?x-a=1"},
};

TEST(Uri, Good) {
    for (const Good& row : good) {
        SCOPED_TRACE(row.text);
        try {
            const Uri uri = parse_uri(row.text);
            EXPECT_EQ(uri, row.uri) << format_uri(uri);
            EXPECT_EQ(format_uri(uri), row.formatted.empty() ? row.text : row.formatted);
        } catch (const UriError& error) {
            ADD_FAILURE() << error.what();
        }
    }
}

struct Bad {
    std::string text;
    std::string where;
    std::string message; ///< a part of it
};

const Bad bad[] = {
    {"", "scheme", "nbd://"},
    {"disk.img", "scheme", "there is none"},
    {"/tmp/a:b", "scheme", "there is none"},
    {"//h/x", "scheme", "there is none"},
    {"http://h/x", "scheme", "http: not one of"},
    {"nbdx://h/x", "scheme", "nbdx: not one of"},
    {"nbd+vsock:///x", "scheme", "vsock is not supported"},
    {"nbds+vsock://2:10809/x", "scheme", "vsock is not supported"},
    {"nbd:", "host", "two slashes"},
    {"nbd:x", "host", "two slashes"},
    {"nbd:/x", "host", "two slashes"},
    {"nbd:localhost:10809", "host", "two slashes"},
    {"nbd://h:0/", "port", "0 is not a number from 1 to 65535"},
    {"nbd://h:65536/", "port", "65536 is not"},
    {"nbd://h:99999999999999999999/", "port", "not a number"},
    {"nbd://h:80x/", "port", "80x is not a number"},
    {"nbd://h:-1/", "port", "-1 is not a number"},
    {"nbd://1:2:3/", "port", "brackets"},
    {"nbd://::1/", "port", "brackets"},
    {"nbds://a:b@h:x?y", "port", "x is not a number"},
    {"nbd://[::1/", "URI", "nbd://HOST:PORT/EXPORT"},
    {"nbd://[::g]/", "URI", "HOST:PORT"},
    {"nbd://[fe80::1%25eth0]:1/", "host", "zone"},
    {"nbd://[v1.x]/", "host", "[v1.x]"},
    {"nbd://a%3Ab/", "host", "no IPv6 address"},
    {"nbd://a%00b/", "host", "NUL"},
    {"nbds://a%00b@h/", "user", "NUL"},
    {"nbd://h/a%00b", "export name", "NUL"},
    {"nbd://h/%00", "export name", "NUL"},
    {"nbd://h/a#b", "fragment", "%23"},
    {"nbd://h/a b", "URI", "(byte 9): the byte 0x20 must be written as %20"},
    {"nbd://h/\xc3\xa9", "URI", "%C3"},
    {"nbd://h/\x7f", "URI", "%7F"},
    {"nbd://h/a\0b"s, "URI", "%00"},
    {"nbd://h/a<b", "URI", "%3C"},
    {"nbd://h/%", "URI", "two hexadecimal digits"},
    {"nbd://h/%4", "URI", "(byte 8)"},
    {"nbd://h/%4g", "URI", "two hexadecimal digits"},
    {"nbd://h/?socket=s", "socket", "only for nbd+unix"},
    {"nbd+unix:///x", "socket", "missing"},
    {"nbd+unix:///x?socket", "socket", "missing"},
    {"nbd+unix:///x?socket=", "socket", "missing"},
    {"nbd+unix:///x?socket=%00", "socket", "missing"},
    {"nbd+unix:///x?socket=a%00b", "socket", "NUL"},
    {"nbd+unix:///x?socket=a&socket=b", "socket", "twice"},
    {"nbd+unix:///x?Socket=a", "socket", "missing"},
    {"nbd+unix://h/x?socket=a", "host", "three slashes"},
    {"nbd+unix://:1/x?socket=a", "host", "three slashes"},
    {"nbd+unix:x?socket=a", "export name", "slash"},
    {"nbd://h/?=x", "query", "no name"},
    {"nbds://h/?tls-verify-peer=no", "tls-verify-peer", "0 or 1"},
};

TEST(Uri, Bad) {
    for (const Bad& row : bad) {
        SCOPED_TRACE(row.text);
        try {
            const Uri uri = parse_uri(row.text);
            ADD_FAILURE() << "accepted as " << format_uri(uri);
        } catch (const UriError& error) {
            EXPECT_EQ(error.where(), row.where);
            EXPECT_THAT(error.what(), testing::StartsWith("NBD URI"));
            EXPECT_THAT(error.what(), testing::HasSubstr(row.message));
        }
    }
}

TEST(Uri, ErrorsTellThePosition) {
    try {
        (void)parse_uri("nbd://h/a b");
        FAIL() << "accepted";
    } catch (const UriError& error) {
        EXPECT_EQ(error.position(), 9U);
        EXPECT_STREQ(error.what(), "NBD URI (byte 9): the byte 0x20 must be written as %20");
    }
}

TEST(Uri, WhatNoUriCanSayIsNotFormatted) {
    EXPECT_THROW((void)format_uri(tcp("h", 10809, "a\0b"s)), UriError);
    EXPECT_THROW((void)format_uri(tcp("", 10809, "a")), UriError);
    EXPECT_THROW((void)format_uri(tcp("a:b", 10809, "a")), UriError);
    EXPECT_THROW((void)format_uri(tcp("h", 0, "a")), UriError);
    EXPECT_THROW((void)format_uri(unix_socket("", "a")), UriError);
    EXPECT_THROW((void)format_uri(unix_socket("a\0"s, "a")), UriError);
    EXPECT_THROW((void)format_uri(with(tcp("h", 1, ""), {{"", "x"}})), UriError);
}

TEST(Uri, Parameters) {
    const Uri uri = parse_uri("nbds://h/?tls-type=psk&x-me=1&x-me=2&tls-certificates=/c&foo");
    EXPECT_EQ(uri.parameter("tls-type"), "psk");
    EXPECT_EQ(uri.parameter("x-me"), "1");
    EXPECT_EQ(uri.parameter("foo"), "");
    EXPECT_EQ(uri.parameter("tls-hostname"), std::nullopt);
    EXPECT_THAT(uri.unknown_parameters(), testing::ElementsAre("tls-certificates", "foo"));
}

} // namespace
} // namespace nbd
