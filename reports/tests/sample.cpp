#include "reports/tests/sample.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <vector>

namespace reports::sample {
namespace {

struct Scenario {
    const char* id;
    const char* title;
    const char* group;
};

const std::vector<Scenario> scenarios{
    {"handshake-size", "The handshake tells the size of the image", "handshake"},
    {"handshake-flags", "The transmission flags fit what the server does", "handshake"},
    {"handshake-block-sizes", "Block sizes are sane where they are advertised", "handshake"},
    {"list-exports", "Listing names the export", "handshake"},
    {"unknown-export", "An export that does not exist is refused", "handshake"},
    {"empty-name", "The empty name is the default export", "handshake"},
    {"first-and-last-byte", "The first and the last byte are those of the image", "integrity"},
    {"across-boundaries", "Requests across block boundaries keep their data", "integrity"},
    {"write-read-back", "What was written is read back", "integrity"},
    {"read-past-end", "A read past the end is refused", "bounds"},
    {"write-past-end", "A write past the end is refused", "bounds"},
    {"trim-past-end", "A trim past the end is refused", "bounds"},
    {"unaligned-read", "A read that is not aligned gives the right bytes", "bounds"},
    {"read-32-mib", "A read of 32 MiB", "large"},
    {"write-32-mib", "A write of 32 MiB", "large"},
    {"64-in-flight", "64 requests in flight", "concurrency"},
    {"fua", "A write with FUA survives a killed server", "durability"},
    {"flush", "Data is in the image after a flush", "durability"},
    {"trim", "A trimmed range can be read", "zeroes"},
    {"zeroes", "Zeroes read as zeroes", "zeroes"},
    {"zeroes-no-hole", "Zeroes without a hole", "zeroes"},
    {"sparse-read", "A sparse read gives zeroes for holes", "zeroes"},
    {"block-status", "Block status covers the range asked for", "status"},
    {"read-only", "A read-only export refuses writes", "read-only"},
    {"two-connections", "Two connections see each other's writes", "concurrency"},
    {"abrupt-disconnect", "The server outlives an abrupt disconnect", "disconnect"},
    {"backing-grew", "What a client sees after the backing storage grew", "resize"},
    {"backing-shrank", "What a client sees after the backing storage shrank", "resize"},
};

RunResult frame() {
    RunResult run;
    run.suite = "default";
    run.started = "2026-11-22T16:21:07Z";
    run.seconds = 98.437;
    run.properties = {{"hostname", "builder"},
                      {"kernel", "Linux 6.1.0-28-amd64"},
                      {"distribution", "Debian GNU/Linux 12 (bookworm)"},
                      {"nbd-interop", "0.1.0"}};
    return run;
}

std::vector<PeerInfo> all_peers() {
    return {
        {"reference-server",
         "server",
         "the reference server of this project",
         "0.1.0",
         {"default", "simple-replies", "extended-headers"}},
        {"qemu-nbd", "server", "QEMU's disk network block device server", "7.2.22", {"default", "qcow2"}},
        {"qemu-storage-daemon", "server", "QEMU's storage daemon", "7.2.22", {"default"}},
        {"nbdkit",
         "server",
         "nbdkit with the file and memory plugins",
         "1.32.5",
         {"default", "memory", "no-structured-replies", "no-meta-contexts", "mask-handshake", "oldstyle",
          "blocksize-policy", "nozero", "noextents"}},
        {"nbd-server", "server", "the NBD project's own server", "3.24", {"default"}},
        {"reference-client",
         "client",
         "the reference client's library",
         "0.1.0",
         {"default", "simple-replies"}},
        {"libnbd",
         "client",
         "libnbd through its C API",
         "1.14.2",
         {"default", "no-structured-replies", "no-handshake-flags", "opt-mode", "strict-off", "multi-conn"}},
        {"nbdinfo", "client", "libnbd's nbdinfo", "1.14.2", {"default"}},
        {"nbdcopy", "client", "libnbd's nbdcopy", "1.14.2", {"default", "synchronous"}},
        {"qemu-img", "client", "QEMU's disk image utility", "7.2.22", {"default"}},
        {"qemu-io", "client", "QEMU's block layer test shell", "7.2.22", {"default"}},
        {"nbdkit-nbd", "client", "nbdkit's nbd plugin", "1.32.5", {"default"}},
        {"nbd-client", "client", "the NBD project's client for the kernel", std::nullopt, {"default"}},
    };
}

std::string label(const PeerId& peer) {
    return peer.variant == "default" ? peer.name : peer.name + "+" + peer.variant;
}

CaseResult make_case(const PeerId& server, const PeerId& client, const Scenario& scenario) {
    CaseResult out;
    out.id = fmt::format("{}/{}/{}", label(server), label(client), scenario.id);
    out.scenario = scenario.id;
    out.title = scenario.title;
    out.group = scenario.group;
    out.server = server;
    out.client = client;
    out.seconds = 0.0125;
    out.folder = "cases/" + out.id;
    return out;
}

void spoil(CaseResult& result, Finding finding) {
    result.verdict = finding.verdict;
    result.party = finding.party;
    result.reason = finding.message;
    result.findings.push_back(std::move(finding));
}

bool can_run(const PeerId& client, const Scenario& scenario, std::string& reason) {
    const std::string_view group = scenario.group;
    if (client.name == "nbdinfo" && group != "handshake" && group != "status") {
        reason = "nbdinfo cannot read or write data";
    } else if (client.name == "nbdcopy" &&
               (group == "bounds" || group == "resize" || group == "disconnect")) {
        reason = "nbdcopy copies whole exports only: no single requests";
    } else if (client.name == "qemu-img" &&
               (group == "bounds" || group == "concurrency" || group == "durability")) {
        reason = "qemu-img cannot send a request of a given offset and length";
    } else if (client.name == "nbdkit-nbd" && group == "concurrency") {
        reason = "nbdkit's nbd plugin does not tell connections apart";
    }
    return reason.empty();
}

void observe(CaseResult& result) {
    if (result.scenario == "backing-grew") {
        const bool sees = result.server.name == "nbdkit" && result.server.variant != "memory";
        result.observations = {{"size told on a new connection", "the new size"},
                               {"read at the new end, same connection", sees ? "data" : "EINVAL"},
                               {"write at the new end, same connection",
                                result.client.name == "qemu-io" ? "EIO (by the client)" : "EINVAL"}};
    } else if (result.scenario == "backing-shrank") {
        const bool qcow = result.server.variant == "qcow2";
        result.observations = {{"read at the old end, same connection", result.server.name == "nbd-server"
                                                                            ? "connection closed"
                                                                        : qcow ? "zeroes"
                                                                               : "EIO"},
                               {"size told on a new connection", qcow ? "the old size" : "the new size"}};
    }
}

/// The problems that a released peer really has, or something close to them.
void judge(CaseResult& result, std::mt19937& random) {
    const auto& server = result.server.name;
    if (result.scenario == "write-past-end" && server.starts_with("qemu")) {
        spoil(result, {Verdict::warn, Party::server, "write-past-end-enospc", "2: write",
                       "expected ENOSPC for a write past the end, the reply has EINVAL",
                       "qemu-write-past-end-einval"});
    } else if (result.scenario == "trim-past-end" && server == "nbd-server") {
        spoil(result, {Verdict::fail, Party::server, "trim-past-end-einval", "2: trim",
                       "expected EINVAL for a trim past the end, the reply is a success",
                       "nbd-server-trim-past-end"});
    } else if (result.scenario == "read-past-end" && result.client.name == "nbdkit-nbd" &&
               server == "nbd-server") {
        spoil(result, {Verdict::fail, Party::server, "reply-instead-of-disconnect", "3: read",
                       "expected a reply with EINVAL, the server closed the connection", ""});
    } else if (result.scenario == "unaligned-read" && result.server.variant == "blocksize-policy" &&
               result.client.name == "qemu-io") {
        spoil(result,
              {Verdict::fail, Party::client, "request-aligned-to-minimum", "4: read",
               "the request at offset 511 is no multiple of the advertised minimum block size 4096", ""});
    } else if (result.scenario == "64-in-flight" && result.server.variant == "oldstyle" &&
               random() % 3 == 0) {
        spoil(result, {Verdict::timeout, Party::undecided, "", "5: finish",
                       "no reply to 3 of 64 requests within 10 s", ""});
    } else if (result.scenario == "block-status" && result.server.variant == "memory" &&
               result.client.variant == "opt-mode") {
        spoil(result,
              {Verdict::crash, Party::server, "", "2: map", "the server ended with signal 6 (SIGABRT)", ""});
    } else if (result.scenario == "handshake-block-sizes" && server == "nbd-server") {
        spoil(result, {Verdict::warn, Party::server, "block-size-info", "1: info",
                       "block sizes were asked for and not advertised", ""});
    } else if (result.scenario == "list-exports" && result.server.variant == "oldstyle") {
        result.verdict = Verdict::unsupported;
        result.party = Party::server;
        result.reason = "the oldstyle handshake has no options";
    }
}

} // namespace

CaseResult passed(const std::string& server, const std::string& client, const std::string& scenario) {
    return make_case({server, "default"}, {client, "default"}, {scenario.c_str(), "A title", "bounds"});
}

CaseResult broken(Verdict verdict, const std::string& server, const std::string& client,
                  const std::string& scenario, const std::string& deviation) {
    auto out = passed(server, client, scenario);
    spoil(out, {verdict, Party::server, scenario + "-requirement", "2: read", "expected EINVAL, got EIO",
                deviation});
    return out;
}

RunResult small_run() {
    auto run = frame();
    run.peers = {{"nbdkit", "server", "nbdkit", "1.32.5", {"default", "no-sr"}},
                 {"qemu-nbd", "server", "qemu-nbd", "7.2.22", {"default"}},
                 {"nbd-server", "server", "nbd-server", std::nullopt, {"default"}},
                 {"libnbd", "client", "libnbd", "1.14.2", {"default"}},
                 {"qemu-io", "client", "qemu-io", "7.2.22", {"default"}}};
    run.cases = {passed("nbdkit", "libnbd", "flush"),
                 broken(Verdict::fail, "nbdkit", "libnbd", "read-past-end"),
                 broken(Verdict::warn, "qemu-nbd", "libnbd", "write-past-end", "qemu-write-past-end-einval"),
                 broken(Verdict::timeout, "nbdkit", "qemu-io", "trim"),
                 broken(Verdict::crash, "qemu-nbd", "qemu-io", "block-status"),
                 broken(Verdict::error, "qemu-nbd", "qemu-io", "fua"),
                 passed("nbdkit", "qemu-io", "list-exports"),
                 passed("nbdkit", "libnbd", "backing-grew"),
                 passed("qemu-nbd", "libnbd", "backing-grew")};
    auto& unsupported = run.cases[6];
    unsupported.verdict = Verdict::unsupported;
    unsupported.party = Party::client;
    unsupported.reason = "qemu-io cannot list exports";
    run.cases[0].server.variant = "no-sr";
    run.cases[0].id = "nbdkit+no-sr/libnbd/flush";
    run.cases[5].findings.clear();
    run.cases[5].party = Party::none;
    run.cases[7].observations = {{"read at the new end", "data"}};
    run.cases[8].observations = {{"read at the new end", "EINVAL"}};
    run.cases[8].knobs = {{"growth", "both"}, {"consent", "opt-in"}};
    run.stale = {{"nbdkit-old-bug", "nbdkit", "zeroes were not zero"}};
    run.deviations = {
        {"qemu-write-past-end-einval", "qemu-nbd", "< 8.0", "one error code for all bounds", ""}};
    run.requirements = {{"read-past-end-requirement", "MUST", "Request types", "A read past the end fails."}};
    return run;
}

RunResult large_run() {
    auto run = frame();
    run.peers = all_peers();
    std::mt19937 random(2); // NOLINT: the same run every time
    for (const auto& server : run.peers) {
        for (const auto& client : run.peers) {
            if (server.role != "server" || client.role != "client" || !client.version) {
                continue;
            }
            for (const auto& server_variant : server.variants) {
                for (const auto& client_variant : client.variants) {
                    for (const auto& scenario : scenarios) {
                        auto result =
                            make_case({server.name, server_variant}, {client.name, client_variant}, scenario);
                        result.seconds = static_cast<double>(4000 + random() % 20000) / 1e6;
                        if (can_run(result.client, scenario, result.reason)) {
                            observe(result);
                            judge(result, random);
                        } else {
                            result.verdict = Verdict::unsupported;
                            result.party = Party::client;
                        }
                        run.cases.push_back(std::move(result));
                    }
                }
            }
        }
    }
    run.stale = {{"nbdkit-list-empty", "nbdkit", "the list had one export too many before 1.32"}};
    run.deviations = {
        {"qemu-write-past-end-einval", "qemu-nbd", "< 9.2",
         "the server answers every request past the end with EINVAL", "https://gitlab.com/qemu-project/qemu"},
        {"nbd-server-trim-past-end", "nbd-server", "<= 3.24", "trim is not checked against the size", ""}};
    run.requirements = {
        {"write-past-end-enospc", "SHOULD", "Error values", "A write past the end is answered with ENOSPC."},
        {"trim-past-end-einval", "MUST", "Request types", "A trim past the end is answered with an error."},
        {"request-aligned-to-minimum", "MUST", "Block size constraints",
         "A client that knows the minimum block size sends multiples of it only."}};
    run.tables = {{"Knob by knob", "Counts of lives.", {"knob", "grew"}, {{"growth=auto", "3 of 4 (75 %)"}}}};
    run.questions = {{"Must exposed bytes be zero?",
                      {{"Counts", "", {"statement", "lives"}, {{"they were", "all of 7"}}}},
                      "More is shown elsewhere."}};
    return run;
}

std::string hostile_text() {
    std::string text =
        "</script><script>alert(1)</script> ]]> <!-- & \"quoted\" 'single' | pipe `tick` \\ _x_ *y* {{css}}\n"
        "second line\r\nthird\ttab ";
    text += std::string("\0\x01\x08\x0B\x1B[31mred\x7F", 13);
    text += "\xFF\xFE \xC3\x28 \xED\xA0\x80 \xF4\x90\x80\x80 \xC0\xAF"; // no UTF-8, each in another way
    text += "\xEF\xBF\xBE ü € 😀 \xE2\x82"; // a noncharacter; ends in half a character
    return text;
}

RunResult hostile_run() {
    const auto text = hostile_text();
    RunResult run;
    run.suite = text;
    run.started = text;
    run.seconds = -1;
    run.properties = {{text, text}, {"hostname", text}};
    run.peers = {{text, "server", text, text, {text}}, {text, "client", text, std::nullopt, {text}}};
    for (const auto verdict : all_verdicts) {
        CaseResult result;
        result.id = text + name(verdict);
        result.scenario = text + name(verdict);
        result.title = text;
        result.group = text;
        result.server = {text, text};
        result.client = {text, text};
        result.knobs = {{text, text}};
        result.verdict = verdict;
        result.party = Party::undecided;
        result.reason = text;
        result.findings = {{verdict, Party::server, text, text, text, ""},
                           {verdict, Party::client, text, text, text, text}};
        result.observations = {{text, text}};
        result.folder = "javascript:alert(1)//" + text;
        run.cases.push_back(result);
    }
    run.cases[1].findings[0].message = text + std::string(4'000'000, 'x') + text;
    run.stale = {{text, text, text}};
    run.deviations = {{text, text, text, text, "javascript:alert(1)"}};
    run.requirements = {{text, text, text, text}};
    run.tables = {{text, text, {text, text}, {{text, text}}}};
    run.questions = {{text, run.tables, text}};
    return run;
}

} // namespace reports::sample
