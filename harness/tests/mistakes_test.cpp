// Every mistake that an author of a catalogue can make is reported where it is, with what is wrong.

#include "harness/tests/temp_catalogue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Mistake {
    const char* name;
    const char* from;    ///< the place in the valid file; empty: `to` is the whole file
    const char* to;      ///< what stands there instead, '^' where the message has to point
    const char* message; ///< part of it
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
    *out << mistake.to;
}

/// Makes the mistake in `file` of a fresh catalogue and looks at the message.
void expect_report(const Mistake& mistake, const std::string& file) {
    TempCatalogue files;
    if (*mistake.from == '\0') {
        files.write(file, mistake.to);
    } else {
        files.replace(file, mistake.from, mistake.to);
    }
    const std::string error = files.error();
    EXPECT_THAT(error, StartsWith(files.marked().empty() ? file + ":" : files.marked() + ": "));
    EXPECT_THAT(error, HasSubstr(mistake.message));
}

#define NBD_MISTAKES(suite, file)                                                                            \
    class suite : public ::testing::TestWithParam<Mistake> {};                                               \
    TEST_P(suite, AreReported) {                                                                             \
        expect_report(GetParam(), file);                                                                     \
    }

NBD_MISTAKES(FactMistakes, "facts.yaml")
NBD_MISTAKES(RequirementMistakes, "requirements/base.yaml")
NBD_MISTAKES(ServerMistakes, "peers/server.yaml")
NBD_MISTAKES(DriverMistakes, "peers/prober.yaml")
NBD_MISTAKES(ProgramMistakes, "peers/tool.yaml")
NBD_MISTAKES(ShellMistakes, "peers/shell.yaml")
NBD_MISTAKES(ScenarioMistakes, "interop/base.yaml")
NBD_MISTAKES(StepMistakes, "interop/base.yaml")
NBD_MISTAKES(DeviationMistakes, "deviations.yaml")

const auto named = [](const auto& info) { return row_name(info); };

INSTANTIATE_TEST_SUITE_P(
    Catalogue, FactMistakes,
    ::testing::Values(
        Mistake{"empty file", "", "\n", ""},
        Mistake{"probe missing", "probe: prober\n", "", "'probe' is missing"},
        Mistake{"probe unknown", "probe: prober", "probe: ^nobody",
                "'nobody' is not the name of a client with a driver"},
        Mistake{"probe no driver", "probe: prober", "probe: ^tool",
                "'tool' is not the name of a client with a driver"},
        Mistake{"probe a server", "probe: prober", "probe: ^disk-server", "is not the name of a client"},
        Mistake{"key misspelt", "field: structured", "^feild: structured",
                "'feild' is not known here (did you mean 'field'?)"},
        Mistake{"role unknown", "session: { role: client", "session: { role: ^guest",
                "'server' or 'client', not 'guest'"},
        Mistake{"meaning missing", "{ role: server, flag: trim, meaning: the server can trim }",
                "^{ role: server, flag: trim }", "'meaning' is missing"},
        Mistake{"one value", "[strict, any, none]", "^[strict]", "at least two values"},
        Mistake{"value twice", "[strict, any, none]", "^[strict, any, strict]", "strict"},
        Mistake{"two sources", "flag: trim,", "flag: trim, field: structured,", "only one of"},
        Mistake{"a client's handshake", "{ role: client, meaning", "{ role: client, flag: trim, meaning",
                "a server's"},
        Mistake{"values of a handshake", "flag: trim,", "flag: trim, values: [a, b],", "no and yes"},
        Mistake{"flag unknown", "flag: trim", "flag: ^tirm", "(did you mean 'trim'?)"},
        Mistake{"granularity no number", "granularity: 1", "granularity: ^one", "a whole number"},
        Mistake{"fact twice", "  session:", "  ^trim:", "second time"}),
    by_name);

INSTANTIATE_TEST_SUITE_P(
    Catalogue, RequirementMistakes,
    ::testing::Values(
        Mistake{"level unknown", "level: MUST NOT", "level: ^MAY",
                "MUST, MUST NOT, SHOULD or SHOULD NOT, not 'MAY'"},
        Mistake{"binds unknown", "binds: client", "binds: ^nobody", "server, client or both, not 'nobody'"},
        Mistake{"text missing", "    text: Nobody does that.\n", "", "'text' is missing"},
        Mistake{"section misspelt", "  CLIENT-DUTY:\n    section", "  CLIENT-DUTY:\n    ^secton", ""},
        Mistake{"text a list", "text: Nobody does that.", "text: ^[Nobody, does, that]",
                "a text is expected"},
        Mistake{"defined twice", "  CLIENT-DUTY:", "  ^READ-DATA:", "second time"},
        Mistake{"no map", "", "^- a\n- b\n", "a map is expected"},
        Mistake{"other top key", "document: proto.md\nrequirements:", "^document: proto.md\nrequirement:",
                "'requirements' is missing"},
        Mistake{"document missing", "document: proto.md\n", "", "'document' is missing"},
        Mistake{"document unknown", "document: proto.md", "document: ^proto",
                "'proto' is no document with requirements; those are proto.md, uri.md, "
                "extension-ext-header, resize"},
        Mistake{"document of one requirement", "    text: Nobody does that.\n",
                "    text: Nobody does that.\n    ^document: proto.md\n", "'document' is not known here"},
        Mistake{"untestable misspelt", "    text: Nobody does that.\n",
                "    text: Nobody does that.\n    ^untestabel: It is an intention.\n",
                "'untestabel' is not known here (did you mean 'untestable'?)"},
        Mistake{"untestable without a reason", "    text: Nobody does that.\n",
                "    text: Nobody does that.\n    ^untestable: ''\n", "'untestable' says nothing"},
        Mistake{"untestable no text", "    text: Nobody does that.\n",
                "    text: Nobody does that.\n    untestable: ^[it, is]\n", "a text is expected"},
        Mistake{"ambiguous without readings", "    text: Nobody does that.\n",
                "    text: Nobody does that.\n    ^ambiguous: ''\n", "'ambiguous' says nothing"},
        Mistake{"no YAML", "", "requirements: {\n", ""}),
    by_name);

INSTANTIATE_TEST_SUITE_P(
    Catalogue, ServerMistakes,
    ::testing::Values(
        Mistake{"key misspelt", "listen: unix", "^lisen: unix",
                "'lisen' is not known here (did you mean 'listen'?)"},
        Mistake{"key with a map misspelt", "traits: { names: any }", "^trait: { names: any }",
                "(did you mean 'traits'?)"},
        Mistake{"key with a block misspelt", "variants:\n", "^varaints:\n", "(did you mean 'variants'?)"},
        Mistake{"key of a variant misspelt", "args: [--slow]", "^arg: [--slow]", "(did you mean 'args'?)"},
        Mistake{"a client's key", "listen: unix", "listen: unix\n^kind: driver", "'kind' is not known here"},
        Mistake{"key twice", "listen: unix", "listen: unix\n^listen: tcp", "second time"},
        Mistake{"name missing", "peer: disk-server\n", "", "'peer' is missing"},
        Mistake{"role unknown", "role: server", "role: ^sever", "server or client, not 'sever'"},
        Mistake{"title missing", "title: a server\n", "", "'title' is missing"},
        Mistake{"version missing",
                "version: { run: [disk-server, --version], match: 'disk-server ([0-9.]+)' }\n", "",
                "'version' is missing"},
        Mistake{"version without match", ", match: 'disk-server ([0-9.]+)'", "", "'match' is missing"},
        Mistake{"version command empty", "run: [disk-server, --version]", "run: ^[]", "at least one word"},
        Mistake{"bad regular expression", "'disk-server ([0-9.]+)'", "^'disk-server ([0-9.]+'",
                "no regular expression"},
        Mistake{"expression without group", "'disk-server ([0-9.]+)'", "^'disk-server [0-9.]+'", "group"},
        Mistake{"listen unknown", "listen: unix", "listen: ^udp",
                "socket-activation, unix or tcp, not 'udp'"},
        Mistake{"image unknown", "image: raw", "image: ^vmdk", "none, raw or qcow2, not 'vmdk'"},
        Mistake{"reuse no boolean", "image: raw", "image: raw\nreuse: ^often", "yes or no is expected"},
        Mistake{"args a map", "args: [--slow]", "args: ^{ slow: yes }", "expected"},
        Mistake{"env a list", "image: raw", "image: raw\nenv: ^[A]", "a map is expected"},
        Mistake{"export no text", "export: disk", "export: ^[disk]", "a text is expected"},
        Mistake{"start missing",
                "start: [disk-server, \"{args}\", \"{read-only}\", --socket, \"{socket}\", \"{image}\"]\n",
                "", "the variant 'default' has no 'start'"},
        Mistake{"start empty",
                "start: [disk-server, \"{args}\", \"{read-only}\", --socket, \"{socket}\", \"{image}\"]",
                "start: ^[]", "at least one word"},
        Mistake{"trait unknown", "traits: { names: any }", "traits: { ^name: any }",
                "'name' is no fact about a server (did you mean 'names'?)"},
        Mistake{"value of a trait unknown", "traits: { names: any }", "traits: { names: ^some }",
                "'some' is no value of names; its values are strict, any, none"},
        Mistake{"trait of the other side", "traits: { names: any }", "traits: { ^session: \"yes\" }",
                "'session' is no fact about a server"},
        Mistake{"trait of the handshake", "traits: { names: any }", "traits: { ^trim: \"yes\" }",
                "learnt from the handshake"},
        Mistake{"trait with two values", "traits: { names: any }", "traits: { names: ^[any, none] }",
                "has one value"},
        Mistake{"default not first", "  default: { about: as it comes }\n", "",
                "the first variant is 'default'"},
        Mistake{"variants empty",
                "  default: { about: as it comes }\n  slow: { about: slowly, args: [--slow], versions: \">= "
                "2\" }",
                "  {}", "the first variant is 'default'"},
        Mistake{"variant no map", "{ about: as it comes }", "^plain", "a map is expected"},
        Mistake{"variant twice", "  slow:", "  ^default:", "second time"},
        Mistake{"versions wrong", "versions: \">= 2\"", "versions: ^newer", "is no range of versions"},
        Mistake{"name with a slash", "peer: disk-server", "peer: ^disk/server", "disk/server"},
        Mistake{"name with a plus", "peer: disk-server", "peer: ^disk+server", "disk+server"},
        Mistake{"name empty", "peer: disk-server", "peer: ^''", "name"},
        Mistake{"variant's name with a slash", "  slow:", "  ^a/b:", "a/b"},
        Mistake{"placeholder unknown", "\"{image}\"]", "^\"{imagge}\"]", "imagge"},
        Mistake{"placeholder of a port without TCP", "\"{image}\"]", "\"--port={port}\"]", "port"},
        Mistake{"placeholder of a file that is not there", "\"{image}\"]", "\"{file:config}\"]",
                "file:config"},
        Mistake{"placeholder in version", "run: [disk-server,", "run: [^\"{been}/disk-server\",", "been"}),
    by_name);

INSTANTIATE_TEST_SUITE_P(
    Catalogue, DriverMistakes,
    ::testing::Values(
        Mistake{"kind unknown", "kind: driver", "kind: ^library", "driver, program or shell, not 'library'"},
        Mistake{"kind missing", "kind: driver\n", "", "'kind' is missing"},
        Mistake{"a server's key", "kind: driver", "kind: driver\n^listen: unix",
                "'listen' is not known here"},
        Mistake{"start missing", "start: [prober, \"{args}\"]\n", "", "needs 'start'"},
        Mistake{"operations missing", "operations: [connect, info, list, read, write, disconnect, finish]\n",
                "", "'operations' is missing"},
        Mistake{"operation unknown", "[connect, info, list,", "[connect, info, ^lst,",
                "'lst' is no operation of a client (did you mean 'list'?)"},
        Mistake{"operations a map", "[connect, info, list, read, write, disconnect, finish]", "^{ read: {} }",
                "expected"},
        Mistake{"flag unknown", "flags: [fua, df]", "flags: [^fau, df]", "(did you mean 'fua'?)"},
        Mistake{"trait unknown", "traits: { session: \"yes\" }", "traits: { ^sesion: \"yes\" }",
                "(did you mean 'session'?)"},
        Mistake{"trait's value a boolean", "traits: { session: \"yes\" }", "traits: { session: ^true }",
                "'true' is no value of session"},
        Mistake{"prompt of a driver", "kind: driver", "kind: driver\n^prompt: '> '",
                "'prompt' is not known here"},
        Mistake{"placeholder unknown", "start: [prober, \"{args}\"]", "start: [prober, ^\"{arguments}\"]",
                "arguments"}),
    by_name);

INSTANTIATE_TEST_SUITE_P(
    Catalogue, ProgramMistakes,
    ::testing::Values(
        Mistake{
            "operations a list",
            "operations:\n  info:\n    run: [tool, info, \"{uri}\"]\n    result: { json: { size: /size }, "
            "flags: { read-only: /ro } }\n  read: { run: [tool, copy, \"{uri}\", \"{into}\"], whole: yes }",
            "operations: ^[info, read]", "a map is expected"},
        Mistake{"operation unknown", "  read: {", "  ^reed: {",
                "'reed' is no operation of a client (did you mean 'read'?)"},
        Mistake{"run missing", "  read: { run: [tool, copy, \"{uri}\", \"{into}\"], whole: yes }",
                "  read: ^{ whole: yes }", "'run' is missing"},
        Mistake{"run empty", "run: [tool, copy, \"{uri}\", \"{into}\"]", "run: ^[]", "at least one word"},
        Mistake{"send of a program", "whole: yes", "^send: hello", "'send' is not known here"},
        Mistake{"whole no boolean", "whole: yes", "whole: ^mostly", "yes or no is expected"},
        Mistake{"success no expression", "whole: yes", "success: ^'*'", "no regular expression"},
        Mistake{"failure no expression", "whole: yes", "failure: ^'(a'", "no regular expression"},
        Mistake{"pointer without slash", "size: /size", "size: ^size", "'size' is no JSON pointer"},
        Mistake{"field unknown", "json: { size: /size }", "json: { ^siez: /size }", "(did you mean 'size'?)"},
        Mistake{"flag of a result unknown", "flags: { read-only: /ro }", "flags: { ^readonly: /ro }",
                "(did you mean 'read-only'?)"},
        Mistake{"flag of an operation unknown", "whole: yes", "flags: { ^fau: -f }", "(did you mean 'fua'?)"},
        Mistake{"bit out of range", "read-only: /ro", "read-only: { at: /ro, bit: ^64 }", "bit"},
        Mistake{"field without a place", "read-only: /ro", "read-only: ^{ bit: 6 }", "'at' is missing"},
        Mistake{"key of a result misspelt", "result: { json", "result: { ^jsn", "(did you mean 'json'?)"},
        Mistake{"item incomplete", "result: { json: { size: /size }, flags: { read-only: /ro } }",
                "result: { items: /a, item: ^{ offset: /o, length: /l } }", "hole"},
        Mistake{"item without items", "result: { json: { size: /size }, flags: { read-only: /ro } }",
                "result: ^{ item: { name: /n } }", "items"},
        Mistake{"size expression without group",
                "result: { json: { size: /size }, flags: { read-only: /ro } }",
                "result: { size-match: ^'size [0-9]+' }", "group"},
        Mistake{"placeholder unknown", "\"{into}\"]", "^\"{intoo}\"]", "intoo"}),
    by_name);

INSTANTIATE_TEST_SUITE_P(
    Catalogue, ShellMistakes,
    ::testing::Values(
        Mistake{"prompt missing", "prompt: '> '\n", "", "'prompt' is missing"},
        Mistake{"prompt empty", "prompt: '> '", "prompt: ^''", "prompt"},
        Mistake{"start missing", "start: [prompter, \"{uri}\"]\n", "", "needs 'start'"},
        Mistake{"send missing",
                "{ send: \"read {offset} {length}\", success: '^done', failure: '^failed: (.*)$' }",
                "^{ success: '^done' }", "'send' is missing"},
        Mistake{"run of a shell", "flags: { fua: -f } }", "^run: [a] }", "'run' is not known here"},
        Mistake{"placeholder unknown", "\"read {offset} {length}\"", "^\"read {offset} {lenght}\"",
                "lenght"}),
    by_name);

INSTANTIATE_TEST_SUITE_P(
    Catalogue, ScenarioMistakes,
    ::testing::Values(
        Mistake{"no scenarios", "", "scenarios: ^[]\n", "scenario"},
        Mistake{"scenarios a map", "", "scenarios: ^{ a: b }\n", "a list is expected"},
        Mistake{"name missing", "- scenario: read-start\n  title", "- ^title", "'scenario' is missing"},
        Mistake{"title missing", "  title: Reading the start\n", "", "'title' is missing"},
        Mistake{"rule missing", "  rule: READ-DATA\n", "", "'rule' is missing"},
        Mistake{"steps missing", "  steps:\n  - connect: {}\n  - read: { offset: 0, length: 4KiB }\n", "",
                "'steps' is missing"},
        Mistake{"steps empty", "  steps:\n  - connect: {}\n  - read: { offset: 0, length: 4KiB }\n",
                "  steps: []\n", "at least one step"},
        Mistake{"key misspelt", "  group: data", "  group: data\n  ^timout: 5", "(did you mean 'timeout'?)"},
        Mistake{"rule unknown", "rule: READ-DATA", "rule: ^READ-DATE",
                "'READ-DATE' is not in the catalogue (did you mean 'READ-DATA'?)"},
        Mistake{"size wrong", "size: 1MiB", "size: ^1MB", "is not a size"},
        Mistake{"size of itself", "size: 1MiB", "size: ^size", "size"},
        Mistake{"size negative", "size: 1MiB", "size: ^1KiB-1MiB", "out of range"},
        Mistake{"export misspelt", "content: pattern", "^contents: pattern", "(did you mean 'content'?)"},
        Mistake{"content unknown", "content: pattern", "content: ^patern", "(did you mean 'pattern'?)"},
        Mistake{"content empty", "content: pattern", "content: ^[]", "zeroes, pattern, sparse"},
        Mistake{"content two", "content: pattern", "content: ^[pattern, sparse]", "zeroes, pattern, sparse"},
        Mistake{"read-only no boolean", "content: pattern", "read-only: ^sometimes", "yes or no is expected"},
        Mistake{"timeout zero", "  group: data", "  group: data\n  timeout: ^0",
                "more than 0 and at most 600"},
        Mistake{"timeout too long", "  group: data", "  group: data\n  timeout: ^601",
                "more than 0 and at most 600"},
        Mistake{"timeout no number", "  group: data", "  group: data\n  timeout: ^long",
                "a number is expected"},
        Mistake{"timeout not a number", "  group: data", "  group: data\n  timeout: ^.nan",
                "more than 0 and at most 600"},
        Mistake{"needs of nobody", "  group: data", "  group: data\n  needs: { ^servers: {} }",
                "(did you mean 'server'?)"},
        Mistake{"needs unknown fact", "  group: data",
                "  group: data\n  needs: { server: { ^trimm: \"yes\" } }", "(did you mean 'trim'?)"},
        Mistake{"needs unknown value", "  group: data",
                "  group: data\n  needs: { server: { trim: ^maybe } }",
                "'maybe' is no value of trim; its values are no, yes"},
        Mistake{"needs of the other side", "  group: data",
                "  group: data\n  needs: { client: { ^trim: \"yes\" } }", "'trim' is no fact about a client"},
        Mistake{"needs no value", "  group: data", "  group: data\n  needs: { server: { trim: ^[] } }",
                "trim"},
        Mistake{"name with a slash", "scenario: read-start", "scenario: ^read/start", "read/start"},
        Mistake{"name of a folder", "scenario: read-start", "scenario: ^..", ".."}),
    by_name);

// Each stands where the valid scenario reads.
INSTANTIATE_TEST_SUITE_P(
    Catalogue, StepMistakes,
    ::testing::Values(
        Mistake{"step unknown", "- read: { offset: 0, length: 4KiB }", "- ^reed: { offset: 0, length: 4KiB }",
                "(did you mean 'read'?)"},
        Mistake{"step does nothing", "- read: { offset: 0, length: 4KiB }", "- ^expect: ok",
                "a step needs one of connect,"},
        Mistake{"two in one step", "- read: { offset: 0, length: 4KiB }",
                "- read: { offset: 0, length: 4KiB }\n    flush: ^{}", "a step does one thing"},
        Mistake{"step a text", "- read: { offset: 0, length: 4KiB }", "- ^read", "a map is expected"},
        Mistake{"argument misspelt", "length: 4KiB }", "length: 4KiB, ^cuont: 3 }",
                "(did you mean 'count'?)"},
        Mistake{"offset missing", "read: { offset: 0, length", "read: ^{ length", "'offset' is missing"},
        Mistake{"offset wrong", "offset: 0", "offset: ^start", "is not a size"},
        Mistake{"offset before the start", "- read: { offset: 0,", "- ^read: { offset: size-2MiB,",
                "out of range"},
        Mistake{"offset besides whole", "{ offset: 0, length: 4KiB }", "{ whole: yes, ^offset: 0 }",
                "'offset' is not known here"},
        Mistake{"count zero", "length: 4KiB }", "length: 4KiB, count: ^0 }", "1 to 65536"},
        Mistake{"count too large", "length: 4KiB }", "length: 4KiB, count: ^65537 }", "1 to 65536"},
        Mistake{"flag unknown", "length: 4KiB }", "length: 4KiB, flags: [df, ^fau] }",
                "(did you mean 'fua'?)"},
        Mistake{"flag of a step without requests", "connect: {}", "connect: { ^flags: [fua] }",
                "'flags' is not known here"},
        Mistake{"count of a map", "read: { offset: 0, length: 4KiB }",
                "map: { offset: 0, length: 4KiB, ^count: 2 }", "'count' is not known here"},
        Mistake{"export of a read", "length: 4KiB }", "length: 4KiB, ^export: x }",
                "'export' is not known here"},
        Mistake{"argument of kill-server", "- connect: {}", "- kill-server: { ^hard: yes }",
                "'hard' is not known here"},
        Mistake{"arguments missing", "- connect: {}", "- connect: ^3", "a map is expected"},
        Mistake{"rule unknown", "length: 4KiB }\n", "length: 4KiB }\n    rule: ^READ-DOTA\n",
                "'READ-DOTA' is not in the catalogue"},
        Mistake{"rule-on-error unknown", "length: 4KiB }\n", "length: 4KiB }\n    rule-on-error: ^NONE\n",
                "'NONE' is not in the catalogue"},
        Mistake{"rule-on-success unknown", "length: 4KiB }\n", "length: 4KiB }\n    rule-on-success: ^NONE\n",
                "'NONE' is not in the catalogue"},
        Mistake{"outcome unknown", "length: 4KiB }\n", "length: 4KiB }\n    expect: ^okay\n",
                "'okay' is no outcome"},
        Mistake{"outcome in a list unknown", "length: 4KiB }\n", "length: 4KiB }\n    expect: [ok, ^EIO]\n",
                "'EIO' is no outcome"},
        Mistake{"outcomes none", "length: 4KiB }\n", "length: 4KiB }\n    expect: ^[]\n", "outcome"},
        Mistake{"error unknown", "length: 4KiB }\n", "length: 4KiB }\n    expect: { error: ^EINVALID }\n",
                "(did you mean 'EINVAL'?)"},
        Mistake{"errors none", "length: 4KiB }\n", "length: 4KiB }\n    expect: { error: ^[] }\n",
                "at least one of any, EPERM"},
        Mistake{"error and data", "length: 4KiB }\n",
                "length: 4KiB }\n    expect: { error: EIO, ^data: zeroes }\n", "'data' is not known here"},
        Mistake{"data unknown", "length: 4KiB }\n", "length: 4KiB }\n    expect: { data: ^zeros }\n",
                "(did you mean 'zeroes'?)"},
        Mistake{"data none", "length: 4KiB }\n", "length: 4KiB }\n    expect: { data: ^[] }\n",
                "model, zeroes, any"},
        Mistake{"data any unrecorded", "length: 4KiB }\n", "length: 4KiB }\n    expect: ^{ data: any }\n",
                "records"},
        Mistake{"transmission flag unknown", "- connect: {}\n",
                "- connect: {}\n    expect: { flags-set: [^fau] }\n", "(did you mean 'fua'?)"},
        Mistake{"extents unknown", "read: { offset: 0, length: 4KiB }\n",
                "map: { offset: 0, length: 4KiB }\n    expect: { extents: ^true }\n", "truthful, one"},
        Mistake{"data of a connect", "- connect: {}\n", "- connect: {}\n    expect: { ^data: zeroes }\n",
                "'data'"},
        Mistake{"list of a read", "length: 4KiB }\n", "length: 4KiB }\n    expect: { ^lists: export }\n",
                "'lists'"},
        Mistake{"expectation of the harness's own step", "- connect: {}",
                "- kill-server: {}\n    ^expect: ok", "expect"},
        Mistake{"both forms of expectation", "length: 4KiB }\n",
                "length: 4KiB }\n    expect: ok\n    expect-when: ^[{ when: { trim: \"yes\" }, then: ok }]\n",
                "either 'expect' or 'expect-when'"},
        Mistake{"table not total", "length: 4KiB }\n",
                "length: 4KiB }\n    expect-when: ^[{ when: { trim: \"yes\" }, then: ok }]\n",
                "not total: no row is for trim=no"},
        Mistake{"table not total over two facts", "length: 4KiB }\n",
                "length: 4KiB }\n    expect-when: ^[{ when: { trim: \"yes\" }, then: ok }, { when: { trim: "
                "\"no\", names: [any, none] }, then: ok }]\n",
                "no row is for names=strict, trim=no"},
        Mistake{"table ambiguous", "length: 4KiB }\n",
                "length: 4KiB }\n    expect-when: ^[{ when: { trim: \"yes\" }, then: ok }, { when: { trim: "
                "[\"no\", \"yes\"] }, then: { error: EIO } }]\n",
                "ambiguous: 2 rows are for trim=yes"},
        Mistake{"held before it is told", "- connect: {}\n", "- connect: {}\n    expect: ^{ size: held }\n",
                "needs a 'grow' or 'learn' before it"},
        Mistake{"way unknown", "read: { offset: 0, length: 4KiB }\n",
                "learn: {}\n    expect: { way: ^reconect }\n", "(did you mean 'reconnect'?)"},
        Mistake{"way of a read", "length: 4KiB }\n", "length: 4KiB }\n    expect: { ^way: plain }\n",
                "'way'"},
        Mistake{"size to grow to missing", "read: { offset: 0, length: 4KiB }", "grow: ^{}",
                "'to' is missing"},
        Mistake{"rule of a row unknown", "length: 4KiB }\n",
                "length: 4KiB }\n    expect-when: [{ when: { trim: [\"yes\", \"no\"] }, then: ok, rule: "
                "^NONE }]\n",
                "'NONE' is not in the catalogue"},
        Mistake{"provoked requirement unknown", "  rule: READ-DATA\n",
                "  rule: READ-DATA\n  provokes: [^READ-DOTA]\n", "(did you mean 'READ-DATA'?)"},
        Mistake{"table empty", "length: 4KiB }\n", "length: 4KiB }\n    expect-when: ^[]\n", "row"},
        Mistake{"row without when", "length: 4KiB }\n", "length: 4KiB }\n    expect-when: [^{ then: ok }]\n",
                "'when' is missing"},
        Mistake{"row without then", "length: 4KiB }\n",
                "length: 4KiB }\n    expect-when: [^{ when: { trim: \"no\" } }]\n", "'then' is missing"},
        Mistake{"row with an unknown fact", "length: 4KiB }\n",
                "length: 4KiB }\n    expect-when: [{ when: { ^trin: \"no\" }, then: ok }]\n",
                "(did you mean 'trim'?)"},
        Mistake{"row with no value", "length: 4KiB }\n",
                "length: 4KiB }\n    expect-when: [{ when: { trim: ^[] }, then: ok }]\n", "trim"},
        Mistake{"finish of no job", "- read: { offset: 0, length: 4KiB }", "- ^finish: { of: job }",
                "no job 'job' is under way"},
        Mistake{"finish without job", "- read: { offset: 0, length: 4KiB }", "- finish: ^{}",
                "'of' is missing"},
        Mistake{"job never finished", "length: 4KiB }\n", "length: 4KiB, background: job }\n",
                "the job 'job' is never finished"},
        Mistake{"job started twice", "length: 4KiB }\n",
                "length: 4KiB, background: job }\n  - ^read: { offset: 0, length: 1, background: job }\n",
                "already under way"},
        Mistake{"job finished twice", "length: 4KiB }\n",
                "length: 4KiB, background: job }\n  - finish: { of: job }\n  - ^finish: { of: job }\n",
                "no job 'job' is under way"},
        Mistake{"expectation of a job's beginning", "length: 4KiB }\n",
                "length: 4KiB, background: job }\n    expect: ^ok\n  - finish: { of: job }\n",
                "belongs to the 'finish'"},
        Mistake{"truncate without size", "- connect: {}", "- truncate-image: ^{}", "'to' is missing"}),
    by_name);

constexpr const char* deviation = "deviations:\n- { deviation: d, server: disk-server, versions: all, rule: "
                                  "READ-DATA, verdict: fail, scenarios: read-start, reason: r }\n";

TEST(ValidDeviation, IsTaken) {
    TempCatalogue files;
    files.write("deviations.yaml", deviation);
    EXPECT_EQ(files.load().deviations.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Catalogue, DeviationMistakes,
    ::testing::Values(
        Mistake{"nobody", "",
                "deviations:\n- ^{ deviation: d, versions: all, rule: READ-DATA, verdict: fail, scenarios: "
                "read-start, reason: r }\n",
                "of a 'server' or of a 'client'"},
        Mistake{"both", "",
                "deviations:\n- ^{ deviation: d, server: disk-server, client: tool, versions: all, rule: "
                "READ-DATA, verdict: fail, scenarios: read-start, reason: r }\n",
                "of a 'server' or of a 'client'"},
        Mistake{"versions wrong", "",
                "deviations:\n- { deviation: d, server: disk-server, versions: ^old, rule: READ-DATA, "
                "verdict: fail, scenarios: read-start, reason: r }\n",
                "no range of versions"},
        Mistake{"verdict unknown", "",
                "deviations:\n- { deviation: d, server: disk-server, versions: all, rule: READ-DATA, "
                "verdict: ^pass, scenarios: read-start, reason: r }\n",
                "fail, warn, crash or timeout, not 'pass'"},
        Mistake{"rule unknown", "",
                "deviations:\n- { deviation: d, server: disk-server, versions: all, rule: ^READ-DOTA, "
                "verdict: fail, scenarios: read-start, reason: r }\n",
                "'READ-DOTA' is not in the catalogue"},
        Mistake{"rule missing", "",
                "deviations:\n- ^{ deviation: d, server: disk-server, versions: all, verdict: fail, "
                "scenarios: read-start, reason: r }\n",
                "names the 'rule'"},
        Mistake{"reason missing", "",
                "deviations:\n- ^{ deviation: d, server: disk-server, versions: all, rule: READ-DATA, "
                "verdict: fail, scenarios: read-start }\n",
                "'reason' is missing"},
        Mistake{"scenarios missing", "",
                "deviations:\n- ^{ deviation: d, server: disk-server, versions: all, rule: READ-DATA, "
                "verdict: fail, reason: r }\n",
                "'scenarios' is missing"},
        Mistake{"key misspelt", "",
                "deviations:\n- { deviation: d, server: disk-server, versions: all, rule: READ-DATA, "
                "verdict: fail, scenarios: read-start, ^reasons: r, reason: r }\n",
                "'reasons' is not known here"},
        Mistake{"listed twice", "",
                "deviations:\n- { deviation: d, server: disk-server, versions: all, verdict: crash, "
                "scenarios: read-start, reason: r }\n- ^{ deviation: d, server: disk-server, versions: all, "
                "verdict: timeout, scenarios: read-start, reason: r }\n",
                "second time"},
        Mistake{"peer unknown", "",
                "deviations:\n- ^{ deviation: d, server: disk-sever, versions: all, rule: READ-DATA, "
                "verdict: fail, scenarios: read-start, reason: r }\n",
                "'disk-sever'"},
        Mistake{"a client as server", "",
                "deviations:\n- ^{ deviation: d, server: tool, versions: all, rule: READ-DATA, verdict: "
                "fail, scenarios: read-start, reason: r }\n",
                "'tool'"},
        Mistake{"other side unknown", "",
                "deviations:\n- ^{ deviation: d, server: disk-server, with: toll, versions: all, rule: "
                "READ-DATA, verdict: fail, scenarios: read-start, reason: r }\n",
                "'toll'"},
        Mistake{"scenario unknown", "",
                "deviations:\n- ^{ deviation: d, server: disk-server, versions: all, rule: READ-DATA, "
                "verdict: fail, scenarios: write-*, reason: r }\n",
                "'write-*'"}),
    by_name);

/// A mistake that lies between files.
TEST(CatalogueMistakes, MissingFilesAndFolders) {
    for (const char* part : {"facts.yaml", "requirements", "peers", "interop"}) {
        TempCatalogue files;
        files.remove(part);
        EXPECT_THAT(files.error(), StartsWith(std::string(part) + ": ")) << part;
    }
}

TEST(CatalogueMistakes, AFolderWithoutYaml) {
    TempCatalogue files;
    files.remove("interop/base.yaml");
    EXPECT_EQ(files.error(), "interop: no .yaml file is in this folder");
}

TEST(CatalogueMistakes, AFileWithAnotherEndingIsNotPassedOver) {
    TempCatalogue files;
    files.write("interop/more.yml", "scenarios: []\n");
    EXPECT_THAT(files.error(), StartsWith("interop/more.yml: "));
}

TEST(CatalogueMistakes, NoSuchCatalogue) {
    EXPECT_EQ(message_of<CatalogueError>([] { (void)load_catalogue("/no/such/folder"); }),
              "/no/such/folder: there is no such folder; --scenarios names a catalogue");
}

TEST(CatalogueMistakes, APeerTwice) {
    TempCatalogue files;
    const std::string text = read_file(files.path() / "peers/tool.yaml");
    files.write("peers/tool2.yaml", text);
    EXPECT_EQ(files.error(), "peers/tool2.yaml:1:1: the client 'tool' is defined a second time");
}

TEST(CatalogueMistakes, AScenarioTwiceNamesBothPlaces) {
    TempCatalogue files;
    files.write("interop/more.yaml", "# a second one\n" + read_file(files.path() / "interop/base.yaml"));
    EXPECT_EQ(files.error(),
              "interop/more.yaml:3:3: the scenario 'read-start' is already defined at interop/base.yaml:2:3");
}

TEST(CatalogueMistakes, ARequirementTwice) {
    TempCatalogue files;
    files.write(
        "requirements/more.yaml",
        "document: uri.md\nrequirements:\n  ^READ-DATA: { section: s, level: MUST, binds: both, text: t }\n");
    EXPECT_THAT(files.error(),
                StartsWith(files.marked() + ": the requirement 'READ-DATA' is defined a second time"));
}

} // namespace
} // namespace harness
