// What clients that misread URIs make of them.

#include "faults/catalogue.hpp"
#include "protocol/uri.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

namespace faults {
namespace {

constexpr const char* refused = "";

struct Misread {
    const char* fault;
    const char* uri;
    const char* as; ///< the URI that the client takes it for; `refused` if it takes it for none
};

constexpr Misread all[] = {
    {"uri-percent-kept", "nbd://h/%64isk", "nbd://h/%2564isk"},
    {"uri-decoded-twice", "nbd://h/100%2564isk", "nbd://h/100disk"},
    {"uri-small-digits-kept", "nbd://h/%2f%2F%64", "nbd://h/%252f%2F%64"},
    {"uri-encoded-slash-separates", "nbd://h/pool%2Fdisk", "nbd://h/pool"},
    {"uri-plus-is-blank", "nbd://h/a+b", "nbd://h/a%20b"},
    {"uri-name-ends-at-ampersand", "nbd://h/a&b", "nbd://h/a"},
    {"uri-latin-1", "nbd://h/Gr%C3%B6%C3%9fe%25", "nbd://h/Gr%C3%83%C2%B6%C3%83%C2%9Fe%25"},
    {"uri-socket-as-written", "nbd+unix:///disk?socket=%2ftmp", "nbd+unix:///disk?socket=%252ftmp"},
    {"uri-query-in-name", "nbd://h/disk?part", "nbd://h/disk%3Fpart"},
    {"uri-fragment-in-name", "nbd://h/disk#part", "nbd://h/disk%23part"},
    {"uri-user-refused", "nbd://me@h/disk", refused},
    {"uri-host-name-refused", "nbd://localhost:7/disk", refused},
    {"uri-capitals-refused", "NBD+unix:///?socket=s", refused},
    {"uri-nbd-is-unix", "nbd://127.0.0.1:7/disk", "nbd+unix:///disk?socket=127.0.0.1"},
    {"uri-tls-left-out", "nbds://h/disk", "nbd://h/disk"},
    {"uri-tls-left-out", "nbds+unix:///disk?socket=s", "nbd+unix:///disk?socket=s"},
    {"uri-socket-in-path", "nbd+unix:///tmp/s", "nbd+unix:///?socket=/tmp/s"},
    {"uri-brackets-kept", "nbd://[::1]:7/disk", refused},
    {"uri-port-10810", "nbd://h/disk", "nbd://h:10810/disk"},
    {"uri-port-10810", "nbd://[::1]/disk", "nbd://[::1]:10810/disk"},
    {"uri-port-2000", "nbd://h/disk", "nbd://h:2000/disk"},
    {"uri-slash-kept", "nbd://h/disk", "nbd://h//disk"},
    {"uri-slash-kept", "nbd://h", "nbd://h//"},
    {"uri-slashes-merged", "nbd://h//pool//disk", "nbd://h/pool/disk"},
    {"uri-last-slash-dropped", "nbd://h/disk/", "nbd://h/disk"},
    {"uri-path-dropped", "nbd://h/disk", "nbd://h/"},
    {"uri-default-name", "nbd://h", "nbd://h/default"},
    {"uri-name-ends-at-nul", "nbd://h/disk%00rest", "nbd://h/disk"},
    {"uri-parameter-ignored", "nbd+unix:///disk?socket=s&colour=blue", "nbd+unix:///disk?socket=s"},
    {"tls-refused-asks-on", "nbds://h/disk", "nbd://h/disk"},
    {"uri-tls-fallback", "nbds+unix:///disk?socket=s", "nbd+unix:///disk?socket=s"},
    {"uri-tls-late", "nbds://h/disk", "nbd://h/disk"},
    {"uri-tls-list-first", "nbds://h/disk", "nbd://h/disk"},
};

std::string read(const Misread& item) {
    const Fault* const fault = find(client_faults(), item.fault);
    if (fault == nullptr || fault->uri == nullptr) {
        return "no fault of that name";
    }
    try {
        return nbd::format_uri(nbd::parse_uri(fault->uri(item.uri)));
    } catch (const nbd::UriError&) {
        return refused;
    }
}

TEST(UriFaults, MakeOtherUris) {
    for (const Misread& item : all) {
        const std::string_view as(item.as);
        EXPECT_EQ(read(item), as.empty() ? "" : nbd::format_uri(nbd::parse_uri(as))) << item.fault;
    }
}

TEST(UriFaults, AreAllHere) {
    std::set<std::string_view> here;
    for (const Misread& item : all) {
        here.insert(item.fault);
    }
    for (const Fault& fault : client_faults()) {
        EXPECT_EQ(here.contains(fault.name), fault.uri != nullptr) << fault.name;
    }
}

} // namespace
} // namespace faults
