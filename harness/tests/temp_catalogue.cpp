#include "harness/tests/temp_catalogue.hpp"

#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace harness::testing_support {
namespace {

constexpr const char* facts = R"(probe: prober
facts:
  trim: { role: server, flag: trim, meaning: the server can trim }
  structured: { role: server, field: structured, meaning: structured replies are negotiated }
  byte-requests: { role: server, granularity: 1, meaning: single bytes can be asked for }
  names: { role: server, values: [strict, any, none], meaning: which names it takes }
  session: { role: client, meaning: keeps one connection for several steps }
)";

constexpr const char* requirements = R"(document: proto.md
requirements:
  READ-DATA:
    section: NBD_CMD_READ
    level: MUST
    binds: server
    text: A read returns what was written.
  READ-PAST-END:
    section: Error values
    level: SHOULD
    binds: server
    text: A read past the end is refused.
  CLIENT-DUTY:
    section: Transmission
    level: MUST NOT
    binds: client
    text: A client does not do that.
  SHARED-DUTY:
    section: Transmission
    level: SHOULD NOT
    binds: both
    text: Nobody does that.
)";

constexpr const char* server = R"(peer: disk-server
role: server
title: a server
version: { run: [disk-server, --version], match: 'disk-server ([0-9.]+)' }
listen: unix
image: raw
start: [disk-server, "{args}", "{read-only}", --socket, "{socket}", "{image}"]
read-only: [-r]
export: disk
traits: { names: any }
variants:
  default: { about: as it comes }
  slow: { about: slowly, args: [--slow], versions: ">= 2" }
)";

constexpr const char* prober = R"(peer: prober
role: client
kind: driver
title: a driver
version: { run: [prober, --version], match: 'prober ([0-9.]+)' }
start: [prober, "{args}"]
operations: [connect, info, list, read, write, disconnect, finish]
flags: [fua, df]
traits: { session: "yes" }
variants:
  default: {}
  careful: { args: [--careful] }
)";

constexpr const char* tool = R"(peer: tool
role: client
kind: program
title: a program
version: { run: [tool, --version], match: 'tool ([0-9.]+)' }
operations:
  info:
    run: [tool, info, "{uri}"]
    result: { json: { size: /size }, flags: { read-only: /ro } }
  read: { run: [tool, copy, "{uri}", "{into}"], whole: yes }
)";

constexpr const char* prompter = R"(peer: prompter
role: client
kind: shell
title: a shell
version: { run: [prompter, --version], match: 'prompter ([0-9.]+)' }
start: [prompter, "{uri}"]
prompt: '> '
operations:
  read: { send: "read {offset} {length}", success: '^done', failure: '^failed: (.*)$' }
  write: { send: "write {flags} {from} {offset} {length}", flags: { fua: -f } }
)";

constexpr const char* scenarios = R"(scenarios:
- scenario: read-start
  title: Reading the start
  group: data
  rule: READ-DATA
  export: { size: 1MiB, content: pattern }
  steps:
  - connect: {}
  - read: { offset: 0, length: 4KiB }
)";

} // namespace

TempCatalogue::TempCatalogue() {
    write("facts.yaml", facts);
    write("requirements/base.yaml", requirements);
    write("peers/server.yaml", server);
    write("peers/prober.yaml", prober);
    write("peers/tool.yaml", tool);
    write("peers/shell.yaml", prompter);
    write("interop/base.yaml", scenarios);
}

void TempCatalogue::write(const std::string& file, std::string text) {
    // Regular expressions in the files begin with '^ too: those are kept.
    for (std::size_t at = text.find('^'); at != std::string::npos; at = text.find('^', at + 1)) {
        if (at > 0 && text[at - 1] == '\'') {
            continue;
        }
        text.erase(at, 1);
        const auto before = std::string_view(text).substr(0, at);
        const std::size_t line_start = before.rfind('\n') + 1; // npos + 1 is 0
        marked_ = fmt::format("{}:{}:{}", file, std::ranges::count(before, '\n') + 1, at - line_start + 1);
        break;
    }
    write_file(path() / file, text);
}

void TempCatalogue::replace(const std::string& file, const std::string& from, const std::string& to) {
    std::string text = read_file(path() / file);
    const std::size_t at = text.find(from);
    if (at == std::string::npos || text.find(from, at + 1) != std::string::npos) {
        throw std::logic_error(fmt::format("'{}' does not stand exactly once in {}", from, file));
    }
    write(file, text.replace(at, from.size(), to));
}

void TempCatalogue::remove(const std::string& file) {
    std::filesystem::remove_all(path() / file);
}

std::string TempCatalogue::error() const {
    std::string message = message_of<CatalogueError>([&] { (void)load(); });
    const std::string prefix = path().string() + "/";
    for (std::size_t at = message.find(prefix); at != std::string::npos; at = message.find(prefix)) {
        message.erase(at, prefix.size());
    }
    return message;
}

} // namespace harness::testing_support
