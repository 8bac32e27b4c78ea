#include "harness/catalogue/yaml.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A file of YAML and what comes of reading it.
class Yaml : public ::testing::Test {
  protected:
    YamlNode load(std::string_view text) {
        write_file(file_, text);
        return YamlNode::load(file_);
    }

    /// The message of the CatalogueError of an action, without the file's name.
    template <class Action>
    std::string error_of(const Action& action) {
        const std::string message = message_of<CatalogueError>(action);
        const std::string prefix = file_.string() + ":";
        return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
    }

    TempFolder folder_;
    std::filesystem::path file_ = folder_ / "some.yaml";
};

TEST_F(Yaml, PositionsCountFromOne) {
    const YamlNode node = load("a: 1\nb:\n  - x\n  - { c: [p, q] }\n");
    EXPECT_EQ(node.position().describe(), file_.string() + ":1:1");
    const auto items = node.map().required("b").list();
    EXPECT_EQ(items.at(0).position().describe(), file_.string() + ":3:5");
    const auto inner = items.at(1).map().required("c");
    EXPECT_EQ(inner.position().describe(), file_.string() + ":4:10");
    EXPECT_EQ(inner.list().at(1).position().describe(), file_.string() + ":4:14");
}

TEST_F(Yaml, PositionWithoutALineIsTheFile) {
    EXPECT_EQ((Position{"dir/x.yaml", 0, 0}.describe()), "dir/x.yaml");
    EXPECT_EQ((Position{"dir/x.yaml", 3, 4}.describe()), "dir/x.yaml:3:4");
}

TEST_F(Yaml, FailSaysWhereAndWhat) {
    const YamlNode node = load("a:\n    b\n").map().required("a");
    EXPECT_EQ(error_of([&] { node.fail("no good"); }), "2:5: no good");
}

TEST_F(Yaml, ReadsWhatItIsAskedFor) {
    const YamlNode node =
        load("{ text: hello, number: 18446744073709551615, real: 2.5, yes: yes, off: false, "
             "one: x, many: [a, b], none: [] }");
    YamlMap map = node.map();
    EXPECT_EQ(map.required("text").text(), "hello");
    EXPECT_EQ(map.required("number").number(), 18446744073709551615U);
    EXPECT_EQ(map.required("real").real(), 2.5);
    EXPECT_TRUE(map.required("yes").boolean());
    EXPECT_FALSE(map.required("off").boolean());
    EXPECT_THAT(map.required("one").texts(), ElementsAre("x"));
    EXPECT_THAT(map.required("many").texts(), ElementsAre("a", "b"));
    EXPECT_TRUE(map.required("none").texts().empty());
    EXPECT_FALSE(map.optional("missing"));
    map.finish();
}

TEST_F(Yaml, EntriesKeepTheOrderOfTheFile) {
    std::vector<std::string> names;
    for (const auto& [name, value] : load("z: 1\na: 2\nm: 3\n").entries()) {
        names.push_back(name);
    }
    EXPECT_THAT(names, ElementsAre("z", "a", "m"));
}

TEST_F(Yaml, CopiesAreIndependentHandles) {
    const YamlNode node = load("a: 1\nb: 2\n");
    YamlNode a = node.map().required("a");
    const YamlNode b = node.map().required("b");
    a = b;
    EXPECT_EQ(a.text(), "2");
    EXPECT_EQ(node.map().required("a").text(), "1") << "assigning a handle changed the document";
}

struct WrongType {
    const char* name;
    const char* text; ///< the value of the key `k`
    std::function<void(const YamlNode&)> read;
    const char* message;
};

class YamlWrongType : public Yaml, public ::testing::WithParamInterface<WrongType> {};

TEST_P(YamlWrongType, IsRefusedAtTheValue) {
    const YamlNode value = load(std::string("first: 1\nk:   ") + GetParam().text + "\n").map().required("k");
    EXPECT_THAT(error_of([&] { GetParam().read(value); }), StartsWith("2:6: "));
    EXPECT_THAT(error_of([&] { GetParam().read(value); }), HasSubstr(GetParam().message));
}

const auto as_text = [](const YamlNode& node) { (void)node.text(); };
const auto as_number = [](const YamlNode& node) { (void)node.number(); };
const auto as_real = [](const YamlNode& node) { (void)node.real(); };
const auto as_boolean = [](const YamlNode& node) { (void)node.boolean(); };
const auto as_list = [](const YamlNode& node) { (void)node.list(); };
const auto as_map = [](const YamlNode& node) { (void)node.map(); };
const auto as_texts = [](const YamlNode& node) { (void)node.texts(); };

INSTANTIATE_TEST_SUITE_P(
    Values, YamlWrongType,
    ::testing::Values(
        WrongType{"map as text", "{ a: 1 }", as_text, "a text is expected"},
        WrongType{"list as text", "[a]", as_text, "a text is expected"},
        WrongType{"word as number", "many", as_number, "a whole number is expected here, not 'many'"},
        WrongType{"negative number", "-1", as_number, "not '-1'"},
        WrongType{"fraction as number", "1.5", as_number, "not '1.5'"},
        WrongType{"number with a tail", "1x", as_number, "not '1x'"},
        WrongType{"number too large", "18446744073709551616", as_number, "a whole number"},
        WrongType{"empty number", "''", as_number, "a whole number"},
        WrongType{"word as real", "soon", as_real, "a number is expected"},
        WrongType{"list as real", "[1]", as_real, "a number is expected"},
        WrongType{"word as boolean", "maybe", as_boolean, "yes or no is expected here, not 'maybe'"},
        WrongType{"list as boolean", "[yes]", as_boolean, "expected"},
        WrongType{"text as list", "a", as_list, "a list is expected"},
        WrongType{"map as list", "{ a: 1 }", as_list, "a list is expected"},
        WrongType{"text as map", "a", as_map, "a map is expected"},
        WrongType{"list as map", "[a]", as_map, "a map is expected"},
        WrongType{"map as texts", "{ a: 1 }", as_texts, "expected"}),
    by_name);

TEST_F(Yaml, WrongTypeInsideOfTextsIsReportedAtTheItem) {
    const YamlNode value = load("k: [a, [b]]\n").map().required("k");
    EXPECT_EQ(error_of([&] { (void)value.texts(); }), "1:8: a text is expected here");
}

TEST_F(Yaml, DuplicateKeyIsRefusedWhereItStandsAgain) {
    const YamlNode node = load("a: 1\nb: 2\na: 3\n");
    EXPECT_EQ(error_of([&] { (void)node.entries(); }), "3:1: 'a' stands here a second time");
    EXPECT_EQ(error_of([&] { (void)node.map(); }), "3:1: 'a' stands here a second time");
}

TEST_F(Yaml, UnknownKeyIsReportedAtTheKeyWithTheClosestOne) {
    YamlMap map = load("listen: tcp\n  \nimagge:\n    deep: 1\n").map();
    (void)map.optional("listen");
    (void)map.optional("image");
    EXPECT_EQ(error_of([&] { map.finish(); }), "3:1: 'imagge' is not known here (did you mean 'image'?)");
}

TEST_F(Yaml, UnknownKeyThatResemblesNothingIsAnsweredWithAllThatAreKnown) {
    YamlMap map = load("{ zebra: 1 }").map();
    (void)map.optional("listen");
    (void)map.optional("image");
    EXPECT_THAT(error_of([&] { map.finish(); }),
                EndsWith("'zebra' is not known here; known are: image, listen"));
}

TEST_F(Yaml, MissingKeyIsReportedAtTheMap) {
    YamlMap map = load("a: 1\nb:\n  c: 1\n").map();
    YamlMap inner = map.required("b").map();
    EXPECT_EQ(error_of([&] { (void)inner.required("d"); }), "3:3: 'd' is missing here");
}

TEST_F(Yaml, OptionalCallsOnlyForWhatIsThere) {
    YamlMap map = load("a: 1\n").map();
    std::vector<std::string> seen;
    map.optional("a", [&](const YamlNode& node) { seen.push_back(node.text()); });
    map.optional("b", [&](const YamlNode& node) { seen.push_back(node.text()); });
    EXPECT_THAT(seen, ElementsAre("1"));
    map.finish();
}

TEST_F(Yaml, FilesThatAreNoOneDocument) {
    const auto error = [&](std::string_view text) { return error_of([&] { (void)load(text); }); };
    EXPECT_THAT(error(""), HasSubstr("one YAML document is expected"));
    EXPECT_THAT(error("a: 1\n---\nb: 2\n"), HasSubstr("one YAML document is expected, 2 are here"));
    EXPECT_THAT(error("a: [1, 2\nb: 3\n"), StartsWith("2:"));
    EXPECT_THAT(error("a: 1\n\tb: 2\n"), ::testing::MatchesRegex("[0-9]+:[0-9]+: .+"));
}

TEST_F(Yaml, AFileOfCommentsOnlyIsNoMap) {
    EXPECT_THAT(error_of([&] { (void)load("# nothing\n").map(); }), HasSubstr("expected"));
}

TEST_F(Yaml, MissingFileIsNamed) {
    const std::string message =
        message_of<CatalogueError>([&] { (void)YamlNode::load(folder_ / "none.yaml"); });
    EXPECT_EQ(message, (folder_ / "none.yaml").string() + ": the file cannot be read");
}

TEST_F(Yaml, AFolderIsNoFile) {
    EXPECT_THAT(message_of<CatalogueError>([&] { (void)YamlNode::load(folder_.path()); }),
                StartsWith(folder_.path().string()));
}

TEST(DidYouMean, NamesTheClosestOrNothing) {
    const std::vector<std::string> words{"read", "write", "connect", "disconnect", "list"};
    EXPECT_EQ(closest("raed", words), "read");
    EXPECT_EQ(closest("conect", words), "connect");
    EXPECT_EQ(closest("lst", words), "list");
    EXPECT_EQ(closest("transmogrify", words), "");
    EXPECT_EQ(closest("read", {}), "");
    EXPECT_EQ(did_you_mean("wirte", words), " (did you mean 'write'?)");
    EXPECT_EQ(did_you_mean("transmogrify", words), "");
}

} // namespace
} // namespace harness
