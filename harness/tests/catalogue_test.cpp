// What the loader makes of a catalogue without mistakes.

#include "harness/catalogue/yaml.hpp"
#include "harness/tests/temp_catalogue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(CatalogueLoad, ReadsAllFolders) {
    const TempCatalogue files;
    const Catalogue catalogue = files.load();
    EXPECT_EQ(catalogue.directory, files.path());
    EXPECT_EQ(catalogue.prober->name, "prober");
    EXPECT_EQ(catalogue.peers.size(), 4U);
    EXPECT_EQ(catalogue.requirements.size(), 4U);
    EXPECT_EQ(catalogue.scenarios.size(), 1U);
    EXPECT_THAT(catalogue.deviations, IsEmpty()) << "deviations.yaml may be missing";
    ASSERT_NE(catalogue.peer("tool", "client"), nullptr);
    EXPECT_EQ(catalogue.peer("tool", "client")->file, files.path() / "peers/tool.yaml");
    EXPECT_EQ(catalogue.peer("tool", "server"), nullptr);
    EXPECT_EQ(catalogue.peer("spoon", "client"), nullptr);
}

TEST(CatalogueLoad, AServerAndAClientMayShareAName) {
    TempCatalogue files;
    files.replace("peers/tool.yaml", "peer: tool", "peer: disk-server");
    const Catalogue catalogue = files.load();
    EXPECT_NE(catalogue.peer("disk-server", "server"), nullptr);
    EXPECT_NE(catalogue.peer("disk-server", "client"), nullptr);
}

TEST(CatalogueLoad, Requirements) {
    const Requirements requirements = TempCatalogue().load().requirements;
    const Requirement& read = requirements.at("READ-DATA");
    EXPECT_EQ(read.id, "READ-DATA");
    EXPECT_EQ(read.section, "NBD_CMD_READ");
    EXPECT_EQ(read.text, "A read returns what was written.");
    EXPECT_EQ(read.level, Level::must);
    EXPECT_EQ(read.bound, Bound::server);
    EXPECT_EQ(requirements.at("READ-PAST-END").level, Level::should);
    EXPECT_EQ(requirements.at("CLIENT-DUTY").level, Level::must);
    EXPECT_EQ(requirements.at("CLIENT-DUTY").bound, Bound::client);
    EXPECT_EQ(requirements.at("SHARED-DUTY").level, Level::should);
    EXPECT_EQ(requirements.at("SHARED-DUTY").bound, Bound::both);
}

TEST(CatalogueLoad, RequirementsSayWhereTheyStandAndWhatHindersATest) {
    TempCatalogue files;
    files.write("requirements/more.yaml", R"(document: uri.md
requirements:
  INTENTION: { section: s, level: MUST, binds: client, text: t, untestable: It is an intention. }
  DOUBTFUL: { section: s, level: MUST, binds: client, text: t, ambiguous: This or that. }
)");
    const Requirements requirements = files.load().requirements;
    EXPECT_EQ(requirements.at("READ-DATA").document, "proto.md");
    EXPECT_EQ(requirements.at("READ-DATA").untestable, "");
    EXPECT_EQ(requirements.at("READ-DATA").ambiguous, "");
    EXPECT_EQ(requirements.at("INTENTION").document, "uri.md");
    EXPECT_EQ(requirements.at("INTENTION").untestable, "It is an intention.");
    EXPECT_EQ(requirements.at("INTENTION").ambiguous, "");
    EXPECT_EQ(requirements.at("DOUBTFUL").untestable, "");
    EXPECT_EQ(requirements.at("DOUBTFUL").ambiguous, "This or that.");
}

TEST(CatalogueLoad, Facts) {
    const FactVocabulary facts = TempCatalogue().load().facts;
    ASSERT_NE(facts.find("names"), nullptr);
    EXPECT_EQ(facts.find("names")->source, FactSource::peer_file);
    EXPECT_THAT(facts.find("names")->values, ElementsAre("strict", "any", "none"));
    EXPECT_EQ(facts.find("trim")->source, FactSource::handshake);
    EXPECT_EQ(facts.find("trim")->flag, "trim");
    EXPECT_EQ(facts.find("structured")->field, "structured");
    EXPECT_EQ(facts.find("byte-requests")->granularity, 1U);
    EXPECT_THAT(facts.find("session")->values, ElementsAre("no", "yes")) << "the values if none are given";
    EXPECT_EQ(facts.find("nothing"), nullptr);
    EXPECT_THAT(facts.default_traits("server"), ElementsAre(Pair("names", "strict")));
    EXPECT_THAT(facts.default_traits("client"), ElementsAre(Pair("session", "no")));
}

TEST(CatalogueLoad, ServersVariantsChangeTheirDefaults) {
    TempCatalogue files;
    files.replace("peers/server.yaml", "  slow: { about: slowly, args: [--slow], versions: \">= 2\" }",
                  R"(  other:
    about: all of it
    versions: ">= 2, < 3"
    start: [other-server, "{image}"]
    args: [-a, -b]
    parameters: [c=d]
    read-only: []
    writable: [-w]
    env: { HOME: /nowhere }
    files: { config: "path={image}" }
    listen: tcp
    reuse: yes
    daemon: yes
    image: qcow2
    export: elsewhere
    traits: { names: none })");
    const Catalogue catalogue = files.load();
    const Peer& peer = *catalogue.peer("disk-server", "server");
    EXPECT_EQ(peer.title, "a server");
    EXPECT_THAT(peer.version.run, ElementsAre("disk-server", "--version"));
    EXPECT_EQ(peer.version.match, "disk-server ([0-9.]+)");
    EXPECT_THAT(peer.variant_names(), ElementsAre("default", "other"));

    const ServerVariant& plain = peer.servers.at(0);
    EXPECT_EQ(plain.about, "as it comes");
    EXPECT_THAT(plain.start,
                ElementsAre("disk-server", "{args}", "{read-only}", "--socket", "{socket}", "{image}"));
    EXPECT_THAT(plain.args, IsEmpty());
    EXPECT_THAT(plain.read_only.value(), ElementsAre("-r"));
    EXPECT_EQ(plain.listen, Listen::unix_socket);
    EXPECT_EQ(plain.image, Image::raw);
    EXPECT_FALSE(plain.reuse);
    EXPECT_FALSE(plain.daemon);
    EXPECT_EQ(plain.export_name, "disk");
    EXPECT_THAT(plain.traits, ElementsAre(Pair("names", "any")));
    EXPECT_TRUE(plain.versions.contains("1"));

    const ServerVariant& other = peer.servers.at(1);
    EXPECT_EQ(other.about, "all of it");
    EXPECT_FALSE(other.versions.contains("1"));
    EXPECT_THAT(other.start, ElementsAre("other-server", "{image}"));
    EXPECT_THAT(other.args, ElementsAre("-a", "-b"));
    EXPECT_THAT(other.parameters, ElementsAre("c=d"));
    EXPECT_THAT(other.read_only.value(), IsEmpty()) << "an empty list is not the same as none";
    EXPECT_THAT(other.writable, ElementsAre("-w"));
    EXPECT_THAT(other.env, ElementsAre(Pair("HOME", "/nowhere")));
    EXPECT_THAT(other.files, ElementsAre(Pair("config", "path={image}")));
    EXPECT_EQ(other.listen, Listen::tcp);
    EXPECT_TRUE(other.reuse);
    EXPECT_TRUE(other.daemon);
    EXPECT_EQ(other.image, Image::qcow2);
    EXPECT_EQ(other.export_name, "elsewhere");
    EXPECT_THAT(other.traits, ElementsAre(Pair("names", "none")));
}

TEST(CatalogueLoad, WithoutVariantsThereIsTheDefault) {
    const Catalogue catalogue = TempCatalogue().load();
    EXPECT_THAT(catalogue.peer("tool", "client")->variant_names(), ElementsAre("default"));
}

TEST(CatalogueLoad, ClientsOfAllKinds) {
    TempCatalogue files;
    files.replace("peers/tool.yaml", "flags: { read-only: /ro }",
                  "flags: { read-only: { at: /ro, bit: 3, not: yes } }");
    const Catalogue catalogue = files.load();

    const Peer& driver = *catalogue.peer("prober", "client");
    EXPECT_EQ(driver.kind, ClientKind::driver);
    EXPECT_THAT(driver.operations,
                UnorderedElementsAre("connect", "info", "list", "read", "write", "disconnect", "finish"));
    EXPECT_THAT(driver.flags, UnorderedElementsAre("fua", "df"));
    EXPECT_THAT(driver.clients.at(1).args, ElementsAre("--careful"));
    EXPECT_THAT(driver.clients.at(1).start, ElementsAre("prober", "{args}"));
    EXPECT_THAT(driver.clients.at(1).traits, ElementsAre(Pair("session", "yes")));

    const Peer& program = *catalogue.peer("tool", "client");
    EXPECT_EQ(program.kind, ClientKind::program);
    EXPECT_THAT(program.operations, UnorderedElementsAre("info", "read"));
    EXPECT_TRUE(program.templates.at("read").whole);
    EXPECT_THAT(program.templates.at("read").run, ElementsAre("tool", "copy", "{uri}", "{into}"));
    const ResultTemplate& result = program.templates.at("info").result;
    EXPECT_EQ(result.fields.at("size").pointer, "/size");
    EXPECT_EQ(result.flags.at("read-only").bit, 3U);
    EXPECT_TRUE(result.flags.at("read-only").negate);
    EXPECT_THAT(program.clients.at(0).traits, ElementsAre(Pair("session", "no")))
        << "the default of the trait";

    const Peer& shell = *catalogue.peer("prompter", "client");
    EXPECT_EQ(shell.kind, ClientKind::shell);
    EXPECT_EQ(shell.prompt, "> ");
    EXPECT_EQ(shell.templates.at("read").send, "read {offset} {length}");
    EXPECT_EQ(shell.templates.at("read").output.failure, "^failed: (.*)$");
    EXPECT_THAT(shell.templates.at("write").flags, ElementsAre(Pair("fua", "-f")));
}

TEST(CatalogueLoad, ScenarioWithAllItsParts) {
    TempCatalogue files;
    files.write("interop/base.yaml", R"(scenarios:
- scenario: everything
  title: All of it
  group: data
  why: Because.
  rule: READ-DATA
  needs: { server: { trim: "yes", names: [any, none] }, client: { session: "yes" } }
  export: { size: 2MiB+1, read-only: yes, content: sparse }
  timeout: 2.5
  steps:
  - connect: { connection: b, export: "" }
    expect: { size: size-1, flags-set: fua, flags-clear: [trim, df], block-sizes: valid }
  - write: { offset: 1, length: 2, stride: 3, count: 4, flags: [fua], background: job, connection: b }
  - map: { offset: 0, length: size }
    expect: { extents: one }
  - finish: { of: job }
    expect: [ok, { error: [EIO, ENOSPC] }]
    rule-on-error: READ-PAST-END
    rule-on-success: SHARED-DUTY
  - read: { offset: size/2, length: 4KiB }
    record: what is read
    rule: CLIENT-DUTY
    expect-when:
    - { when: { trim: "yes" }, then: [{ data: any }, { error: any }] }
    - { when: { trim: "no", names: any }, then: { data: zeroes } }
    - { when: { trim: "no", names: [strict, none] }, then: ok }
  - disconnect: { abrupt: yes }
  - truncate-image: { to: size-1MiB }
  - kill-server: {}
  - restart-server: {}
  - list: {}
    expect: { lists: export }
  - write: { whole: yes }
  - check-image: {}
)");
    const Catalogue catalogue = files.load();
    const Scenario& scenario = catalogue.scenarios.at(0);
    EXPECT_EQ(scenario.name, "everything");
    EXPECT_EQ(scenario.group, "data");
    EXPECT_EQ(scenario.why, "Because.");
    EXPECT_EQ(scenario.timeout, 2.5);
    EXPECT_EQ(scenario.setup.size, (2U << 20) + 1);
    EXPECT_TRUE(scenario.setup.read_only);
    EXPECT_TRUE(scenario.setup.filled);
    EXPECT_TRUE(scenario.setup.sparse);
    EXPECT_THAT(scenario.server_needs, UnorderedElementsAre(Pair("trim", ElementsAre("yes")),
                                                            Pair("names", ElementsAre("any", "none"))));
    EXPECT_THAT(scenario.client_needs, ElementsAre(Pair("session", ElementsAre("yes"))));
    EXPECT_THAT(scenario.operations(),
                UnorderedElementsAre("connect", "write", "map", "finish", "read", "disconnect", "list"));
    ASSERT_EQ(scenario.steps.size(), 12U);

    const Step& connect = scenario.steps[0];
    EXPECT_EQ(connect.connection, "b");
    EXPECT_EQ(connect.export_name, "");
    EXPECT_EQ(connect.rule, "READ-DATA") << "the scenario's";
    const Expectation& told = connect.rows.at(0).then;
    EXPECT_TRUE(told.ok);
    EXPECT_EQ(told.size->evaluate(100), 99U);
    EXPECT_THAT(told.flags_set, ElementsAre("fua"));
    EXPECT_THAT(told.flags_clear, ElementsAre("trim", "df"));
    EXPECT_TRUE(told.block_sizes_valid);

    const Step& write = scenario.steps[1];
    EXPECT_EQ(write.offset.evaluate(9), 1U);
    EXPECT_EQ(write.length.evaluate(9), 2U);
    EXPECT_EQ(write.stride->evaluate(9), 3U);
    EXPECT_EQ(write.count, 4U);
    EXPECT_THAT(write.flags, ElementsAre("fua"));
    EXPECT_EQ(write.background, "job");
    ASSERT_EQ(write.rows.size(), 1U);
    EXPECT_TRUE(write.rows[0].then.ok) << "success is what is expected if nothing is said";
    EXPECT_FALSE(write.rows[0].then.any_error);

    EXPECT_TRUE(scenario.steps[2].rows.at(0).then.one_extent);
    EXPECT_TRUE(scenario.steps[2].rows.at(0).then.extents_truthful);

    const Step& finish = scenario.steps[3];
    EXPECT_EQ(finish.of, "job");
    EXPECT_TRUE(finish.rows.at(0).then.ok);
    EXPECT_THAT(finish.rows.at(0).then.errors, UnorderedElementsAre("EIO", "ENOSPC"));
    EXPECT_EQ(finish.rows.at(0).then.describe(), "success or EIO or ENOSPC");
    EXPECT_EQ(finish.rule_on_error, "READ-PAST-END");
    EXPECT_EQ(finish.rule_on_success, "SHARED-DUTY");

    const Step& read = scenario.steps[4];
    EXPECT_EQ(read.record, "what is read");
    EXPECT_EQ(read.rule, "CLIENT-DUTY");
    ASSERT_EQ(read.rows.size(), 3U);
    EXPECT_EQ(read.rows[0].then.data, DataRule::any);
    EXPECT_TRUE(read.rows[0].then.any_error);
    EXPECT_EQ(read.rows[1].then.data, DataRule::zeroes);
    EXPECT_FALSE(read.rows[1].then.any_error);
    EXPECT_EQ(read.rows[2].then.data, DataRule::model);

    EXPECT_TRUE(scenario.steps[5].abrupt);
    EXPECT_EQ(scenario.steps[6].length.evaluate(2U << 20), 1U << 20);
    EXPECT_EQ(scenario.steps[7].kind, StepKind::kill_server);
    EXPECT_EQ(scenario.steps[8].kind, StepKind::restart_server);
    EXPECT_TRUE(scenario.steps[9].rows.at(0).then.lists_export);
    EXPECT_TRUE(scenario.steps[10].whole);
    EXPECT_EQ(scenario.steps[11].kind, StepKind::check_image);
}

TEST(CatalogueLoad, StepsDescribeThemselves) {
    TempCatalogue files;
    files.write("interop/base.yaml", R"(scenarios:
- { scenario: s, title: t, group: g, rule: READ-DATA, steps: [
    { read: { offset: size-1KiB, length: 1KiB } },
    { write: { offset: 0, length: 16, count: 3, flags: fua, connection: b } },
    { connect: { export: x } }, { truncate-image: { to: size/2 } }, { kill-server: {} } ] }
)");
    const Catalogue catalogue = files.load();
    std::vector<std::string> texts;
    for (const Step& step : catalogue.scenarios.at(0).steps) {
        texts.push_back(step.describe(1U << 20));
    }
    EXPECT_THAT(texts, ElementsAre("read 1047552+1024", "write 0+16 x3 fua on b", "connect export 'x'",
                                   "truncate-image to 524288", "kill-server"));
}

TEST(CatalogueLoad, Deviations) {
    TempCatalogue files;
    files.write("deviations.yaml", R"(deviations:
- deviation: old-reads
  server: [disk-server, "disk-server+slow"]
  versions: "< 9.0"
  rule: READ-PAST-END
  verdict: warn
  scenarios: "read-*"
  with: [tool]
  reason: It was ever thus.
- { deviation: falls-over, client: tool, versions: all, verdict: crash, scenarios: [read-start], reason: Known. }
)");
    const auto deviations = files.load().deviations;
    ASSERT_EQ(deviations.size(), 2U);
    EXPECT_EQ(deviations[0].id, "old-reads");
    EXPECT_EQ(deviations[0].role, "server");
    EXPECT_THAT(deviations[0].peers, ElementsAre("disk-server", "disk-server+slow"));
    EXPECT_FALSE(deviations[0].versions.contains("9.0"));
    EXPECT_EQ(deviations[0].rule, "READ-PAST-END");
    EXPECT_EQ(deviations[0].verdict, "warn");
    EXPECT_THAT(deviations[0].scenarios, ElementsAre("read-*"));
    EXPECT_THAT(deviations[0].others, ElementsAre("tool"));
    EXPECT_EQ(deviations[0].reason, "It was ever thus.");
    EXPECT_EQ(deviations[1].role, "client");
    EXPECT_EQ(deviations[1].rule, "");
    EXPECT_THAT(deviations[1].others, IsEmpty());
}

TEST(Conditions, AFactThatIsNotKnownSatisfiesNone) {
    const Conditions conditions{{"names", {"any", "none"}}, {"trim", {"yes"}}};
    EXPECT_TRUE(satisfied(conditions, {{"names", "none"}, {"trim", "yes"}, {"session", "no"}}));
    EXPECT_FALSE(satisfied(conditions, {{"names", "strict"}, {"trim", "yes"}}));
    EXPECT_FALSE(satisfied(conditions, {{"names", "any"}}));
    EXPECT_TRUE(satisfied({}, {}));
}

TEST(Conditions, TheFirstThatDoesNotHoldIsNamed) {
    const Conditions conditions{{"names", {"any", "none"}}, {"trim", {"yes"}}};
    EXPECT_EQ(unmet(conditions, {{"names", "any"}, {"trim", "yes"}}), "");
    EXPECT_EQ(unmet({{"trim", {"yes"}}}, {{"trim", "no"}}), "trim is 'no', 'yes' is needed");
    EXPECT_EQ(unmet(conditions, {{"names", "strict"}, {"trim", "yes"}}),
              "names is 'strict', 'any' or 'none' is needed");
    EXPECT_THAT(unmet({{"trim", {"yes"}}}, {}), HasSubstr("trim is not known"));
}

TEST(CatalogueTest, NobodyIsExcusedFromWhatIsNoRequirement) {
    TempCatalogue files;
    const std::string before = "role: client\n";
    const std::string text = read_file(files.path() / "peers/prober.yaml");
    files.write("peers/prober.yaml",
                std::string(text).replace(text.find(before), before.size(),
                                          before + "excused: { CLIENT-DUTY: it is told to }\n"));
    EXPECT_EQ(files.load().peer("prober", "client")->excused.at("CLIENT-DUTY"), "it is told to");
    files.replace("peers/prober.yaml", "CLIENT-DUTY: it", "CLIENT-DUTIES: it");
    EXPECT_THAT(files.error(), ::testing::HasSubstr("'CLIENT-DUTIES', which is not in the catalogue"));
}

} // namespace
} // namespace harness
