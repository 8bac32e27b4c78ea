#include "drivers/common/files.hpp"
#include "drivers/common/library.hpp"
#include "drivers/common/loop.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace json = boost::json;
using testing::_;
using testing::ByMove;
using testing::Field;
using testing::HasSubstr;
using testing::NiceMock;
using testing::Return;
using testing::Throw;

namespace driver {
namespace {

class MockLibrary : public Library {
  public:
    MOCK_METHOD(Hello, hello, (), (const, override));
    MOCK_METHOD(ExportInfo, connect, (const Connect&), (override));
    MOCK_METHOD(ExportInfo, info, (const Info&), (override));
    MOCK_METHOD(std::vector<ListedExport>, list, (const List&), (override));
    MOCK_METHOD(std::unique_ptr<Batch>, read, (const Transfer&), (override));
    MOCK_METHOD(std::unique_ptr<Batch>, write, (const Transfer&, std::vector<std::byte>), (override));
    MOCK_METHOD(std::unique_ptr<Batch>, zero, (const Transfer&), (override));
    MOCK_METHOD(std::unique_ptr<Batch>, trim, (const Transfer&), (override));
    MOCK_METHOD(std::unique_ptr<Batch>, cache, (const Transfer&), (override));
    MOCK_METHOD(void, flush, (const Flush&), (override));
    MOCK_METHOD(std::vector<Extent>, map, (const Map&), (override));
    MOCK_METHOD(void, disconnect, (const Disconnect&), (override));
};

/// Requests with an outcome that is known beforehand.
class FakeBatch : public Batch {
  public:
    explicit FakeBatch(std::vector<RequestError> errors = {}, std::vector<std::byte> data = {})
      : errors_(std::move(errors))
      , data_(std::move(data)) {}
    std::vector<RequestError> wait() override { return errors_; }
    [[nodiscard]] std::span<const std::byte> data() const override { return data_; }

  private:
    std::vector<RequestError> errors_;
    std::vector<std::byte> data_;
};

std::vector<std::byte> bytes(std::string_view text) {
    std::vector<std::byte> data;
    for (const char character : text)
        data.push_back(static_cast<std::byte>(character));
    return data;
}

class Loop : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "driver-loop-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
        ON_CALL(library_, hello()).WillByDefault(Return(Hello{"fake", "1.0", {"read", "write"}, {"fua"}}));
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    /// Runs the loop on `input`; the results without the hello line.
    std::vector<json::object> answers(const std::string& input) {
        std::istringstream in(input);
        std::ostringstream out;
        EXPECT_EQ(run(library_, in, out), 0);
        std::vector<json::object> lines;
        std::istringstream results(out.str());
        for (std::string line; std::getline(results, line);)
            lines.push_back(json::parse(line).as_object());
        EXPECT_FALSE(lines.empty());
        lines.erase(lines.begin());
        return lines;
    }

    json::object answer(const std::string& input) {
        const auto lines = answers(input + "\n");
        EXPECT_EQ(lines.size(), 1U) << input;
        return lines.empty() ? json::object{} : lines.front();
    }

    [[nodiscard]] std::string path(const char* name) const { return (folder_ / name).string(); }

    NiceMock<MockLibrary> library_;
    std::filesystem::path folder_;
};

json::value expected(const char* text) {
    return json::parse(text);
}

TEST_F(Loop, SaysHelloBeforeAnything) {
    std::istringstream in;
    std::ostringstream out;
    EXPECT_EQ(run(library_, in, out), 0);
    EXPECT_EQ(out.str(), R"({"driver":"fake","version":"1.0","protocol":1,"operations":["read","write"],)"
                         R"("flags":["fua"]})"
                         "\n");
}

TEST_F(Loop, EndsWithStatusOneIfNobodyReadsTheResults) {
    std::istringstream in("{}\n{}\n");
    std::ostringstream out;
    out.setstate(std::ios::badbit);
    EXPECT_EQ(run(library_, in, out), 1);
}

TEST_F(Loop, TellsWhatTheHandshakeTold) {
    ExportInfo info;
    info.size = 1048576;
    info.export_name = "disk";
    info.flags = std::vector<std::string>{"flush", "fua"};
    info.structured = true;
    info.extended = false;
    info.contexts = std::vector<std::string>{"base:allocation"};
    info.block = BlockSizes{1, 4096, 33554432};
    EXPECT_CALL(library_, connect(Field(&Connect::uri, "nbd://h"))).WillOnce(Return(info));
    EXPECT_EQ(answer(R"({"id": 3, "op": "connect", "uri": "nbd://h"})"),
              expected(R"({"id": 3, "ok": true, "result": {"size": 1048576, "export": "disk",
                           "flags": ["flush", "fua"], "structured": true, "extended": false,
                           "contexts": ["base:allocation"],
                           "block": {"minimum": 1, "preferred": 4096, "maximum": 33554432}}})"));
}

TEST_F(Loop, LeavesOutWhatTheLibraryCannotTell) {
    EXPECT_CALL(library_, info(_)).WillOnce(Return(ExportInfo{}));
    EXPECT_EQ(answer(R"({"id": 3, "op": "info", "uri": "nbd://h"})"),
              expected(R"({"id": 3, "ok": true, "result": {}})"));
}

TEST_F(Loop, ListsExportsWithAnyBytesInTheirNames) {
    EXPECT_CALL(library_, list(_))
        .WillOnce(Return(std::vector<ListedExport>{{"disk", "the disk"}, {"\xff\"", ""}}));
    EXPECT_EQ(answer(R"({"id": 3, "op": "list", "uri": "nbd://h"})"),
              expected(R"({"id": 3, "ok": true, "result": {"exports": [
                           {"name": "disk", "description": "the disk"},
                           {"name": "\ufffd\"", "description": ""}]}})"));
}

TEST_F(Loop, TellsExtents) {
    EXPECT_CALL(library_, map(_))
        .WillOnce(Return(std::vector<Extent>{{0, 4096, false, false}, {4096, 512, true, true}}));
    EXPECT_EQ(answer(R"({"id": 3, "op": "map", "offset": 0, "length": 4608})"),
              expected(R"({"id": 3, "ok": true, "result": {"extents": [
                           {"offset": 0, "length": 4096, "hole": false, "zero": false},
                           {"offset": 4096, "length": 512, "hole": true, "zero": true}]}})"));
}

TEST_F(Loop, AnswersWhatHasNoResult) {
    EXPECT_CALL(library_, flush(_));
    EXPECT_CALL(library_, disconnect(Field(&Disconnect::abrupt, true)));
    EXPECT_CALL(library_, zero(_)).WillOnce(Return(ByMove(std::make_unique<FakeBatch>())));
    EXPECT_CALL(library_, trim(_)).WillOnce(Return(ByMove(std::make_unique<FakeBatch>())));
    EXPECT_CALL(library_, cache(_)).WillOnce(Return(ByMove(std::make_unique<FakeBatch>())));
    const auto lines = answers(R"({"id": 0, "op": "flush"}
{"id": 1, "op": "zero", "offset": 0, "length": 512}
{"id": 2, "op": "trim", "offset": 0, "length": 512}
{"id": 3, "op": "cache", "offset": 0, "length": 512}
{"id": 4, "op": "disconnect", "abrupt": true})");
    ASSERT_EQ(lines.size(), 5U);
    for (std::size_t i = 0; i < lines.size(); ++i)
        EXPECT_EQ(lines[i], (json::object{{"id", i}, {"ok", true}, {"result", json::object{}}}));
}

TEST_F(Loop, WritesWhatWasReadIntoTheFile) {
    EXPECT_CALL(library_, read(_))
        .WillOnce(Return(ByMove(std::make_unique<FakeBatch>(std::vector<RequestError>{}, bytes("abcdef")))));
    const auto result = answer(fmt::format(
        R"({{"id": 3, "op": "read", "offset": 0, "length": 3, "count": 2, "into": "{}"}})", path("r")));
    EXPECT_EQ(result, expected(R"({"id": 3, "ok": true, "result": {}})"));
    EXPECT_EQ(read_from(path("r"), 6), bytes("abcdef"));
}

TEST_F(Loop, TakesTheBytesOfAllRequestsFromTheFile) {
    write_into(path("w"), bytes("abcdefgh"));
    EXPECT_CALL(library_, write(_, bytes("abcdef"))).WillOnce(Return(ByMove(std::make_unique<FakeBatch>())));
    const auto result = answer(fmt::format(
        R"({{"id": 3, "op": "write", "offset": 0, "length": 2, "count": 3, "stride": 4096, "from": "{}"}})",
        path("w")));
    EXPECT_EQ(result, expected(R"({"id": 3, "ok": true, "result": {}})"));
}

TEST_F(Loop, DoesNotAskTheLibraryToWriteWhatIsNotThere) {
    EXPECT_CALL(library_, write(_, _)).Times(0);
    const auto result = answer(
        fmt::format(R"({{"id": 3, "op": "write", "offset": 0, "length": 2, "from": "{}"}})", path("w")));
    EXPECT_EQ(result.at("error").at("errno"), "ENOENT");
    EXPECT_EQ(result.at("error").at("where"), "driver");
}

TEST_F(Loop, TellsTheLibrarysError) {
    EXPECT_CALL(library_, flush(_)).WillOnce(Throw(Failure({"EIO", Where::server, "the disk \xff is full"})));
    EXPECT_EQ(answer(R"({"id": 3, "op": "flush"})"),
              expected(R"({"id": 3, "ok": false, "error": {"errno": "EIO", "where": "server",
                           "message": "the disk \ufffd is full"}})"));
}

TEST_F(Loop, OutlivesWhatALibraryShouldNotThrow) {
    EXPECT_CALL(library_, flush(_))
        .WillOnce(Throw(std::runtime_error("surprise")))
        .WillOnce(Throw(std::bad_alloc()))
        .WillOnce(Return());
    const auto lines =
        answers("{\"id\":1,\"op\":\"flush\"}\n{\"id\":2,\"op\":\"flush\"}\n{\"id\":3,\"op\":\"flush\"}\n");
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0].at("error").at("errno"), "EUNKNOWN");
    EXPECT_EQ(lines[0].at("error").at("message"), "surprise");
    EXPECT_EQ(lines[1].at("error").at("errno"), "ENOMEM");
    EXPECT_EQ(lines[2].at("ok"), true);
}

TEST_F(Loop, TellsTheLowestFailureAndListsAll) {
    EXPECT_CALL(library_, trim(_))
        .WillOnce(Return(ByMove(std::make_unique<FakeBatch>(std::vector<RequestError>{
            {1, {"ENOSPC", Where::server, "first"}}, {3, {"EIO", Where::connection, "second"}}}))));
    EXPECT_EQ(answer(R"({"id": 3, "op": "trim", "offset": 0, "length": 512, "count": 4})"),
              expected(R"({"id": 3, "ok": false,
                           "error": {"errno": "ENOSPC", "where": "server", "message": "first"},
                           "errors": [{"index": 1, "errno": "ENOSPC"}, {"index": 3, "errno": "EIO"}]})"));
}

TEST_F(Loop, ListsNothingForASingleRequestAndWritesNoFile) {
    EXPECT_CALL(library_, read(_))
        .WillOnce(Return(ByMove(std::make_unique<FakeBatch>(
            std::vector<RequestError>{{0, {"EINVAL", Where::server, "past the end"}}}, bytes("abc")))));
    EXPECT_EQ(answer(fmt::format(R"({{"id": 3, "op": "read", "offset": 0, "length": 3, "into": "{}"}})",
                                 path("r"))),
              expected(R"({"id": 3, "ok": false,
                           "error": {"errno": "EINVAL", "where": "server", "message": "past the end"}})"));
    EXPECT_FALSE(std::filesystem::exists(path("r")));
}

TEST_F(Loop, FinishesBackgroundSteps) {
    EXPECT_CALL(library_, read(_))
        .WillOnce(Return(ByMove(std::make_unique<FakeBatch>(std::vector<RequestError>{}, bytes("abc")))));
    EXPECT_CALL(library_, trim(_))
        .WillOnce(Return(ByMove(std::make_unique<FakeBatch>(
            std::vector<RequestError>{{0, {"ENOTCONN", Where::connection, "closed"}}}))));
    const auto lines = answers(
        fmt::format(
            R"({{"id": 1, "op": "read", "offset": 0, "length": 3, "into": "{}", "background": true}})",
            path("r")) +
        "\n"
        R"({"id": 2, "op": "trim", "offset": 0, "length": 3, "background": true})"
        "\n"
        R"({"id": 2, "op": "trim", "offset": 0, "length": 3, "background": true})"
        "\n"
        R"({"id": 3, "op": "finish", "of": 2})"
        "\n"
        R"({"id": 4, "op": "finish", "of": 1})"
        "\n"
        R"({"id": 5, "op": "finish", "of": 1})");
    ASSERT_EQ(lines.size(), 6U);
    EXPECT_EQ(lines[0], expected(R"({"id": 1, "ok": true, "result": {"pending": true}})"));
    EXPECT_EQ(lines[1], expected(R"({"id": 2, "ok": true, "result": {"pending": true}})"));
    EXPECT_EQ(lines[2].at("error").at("where"), "driver") << "the id is in use";
    EXPECT_EQ(lines[3],
              expected(R"({"id": 3, "ok": false, "error": {"errno": "ENOTCONN", "where": "connection",
                                     "message": "closed"}})"));
    EXPECT_EQ(lines[4], expected(R"({"id": 4, "ok": true, "result": {}})"));
    EXPECT_EQ(read_from(path("r"), 3), bytes("abc"));
    EXPECT_EQ(lines[5].at("error").at("where"), "driver") << "it was finished before";
}

struct BadLine {
    const char* line;
    const char* id; ///< as JSON
    const char* errno_name;
};

class LoopOnBadLine : public Loop, public testing::WithParamInterface<BadLine> {};

TEST_P(LoopOnBadLine, AnswersAndGoesOn) {
    EXPECT_CALL(library_, flush(_));
    const auto lines = answers(std::string(GetParam().line) + "\n{\"id\":9,\"op\":\"flush\"}\n");
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].at("id"), expected(GetParam().id));
    EXPECT_EQ(lines[0].at("ok"), false);
    EXPECT_EQ(lines[0].at("error").at("errno"), GetParam().errno_name);
    EXPECT_EQ(lines[0].at("error").at("where"), "driver");
    EXPECT_EQ(lines[1], expected(R"({"id": 9, "ok": true, "result": {}})"));
}

INSTANTIATE_TEST_SUITE_P(Table, LoopOnBadLine,
                         testing::Values(BadLine{"", "null", "EINVAL"}, BadLine{"hello", "null", "EINVAL"},
                                         BadLine{"[1]", "null", "EINVAL"}, BadLine{"null", "null", "EINVAL"},
                                         BadLine{"{\"id\":1,\"op\":\"flush\"", "null", "EINVAL"},
                                         BadLine{"{\"id\":1,\"op\":\"flush\"} {}", "null", "EINVAL"},
                                         BadLine{"{\"id\":1,\"op\":\"\xff\"}", "null", "EINVAL"},
                                         BadLine{"{\"op\":\"flush\"}", "null", "EINVAL"},
                                         BadLine{"{\"id\":\"1\",\"op\":\"flush\"}", "null", "EINVAL"},
                                         BadLine{"{\"id\":-1,\"op\":\"flush\"}", "null", "EINVAL"},
                                         BadLine{"{\"id\":1.5,\"op\":\"flush\"}", "null", "EINVAL"},
                                         BadLine{"{\"id\":7}", "7", "EINVAL"},
                                         BadLine{"{\"id\":7,\"op\":\"shrink\"}", "7", "ENOTSUP"},
                                         BadLine{"{\"id\":18446744073709551615,\"op\":1}",
                                                 "18446744073709551615", "EINVAL"},
                                         BadLine{"{\"id\":7,\"op\":\"flush\",\"x\":1}", "7", "EINVAL"},
                                         BadLine{"{\"id\":7,\"op\":\"finish\",\"of\":1}", "7", "EINVAL"}));

TEST_F(Loop, SkipsALineThatIsTooLong) {
    EXPECT_CALL(library_, flush(_)).Times(2);
    const std::string step = R"({"id": 9, "op": "flush"})";
    const std::string longest = step + std::string(max_line - step.size(), ' ');
    const auto lines = answers(longest + "\n" + longest + " \n" + step + "\n");
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0].at("ok"), true);
    EXPECT_EQ(lines[1].at("ok"), false);
    EXPECT_TRUE(lines[1].at("id").is_null());
    EXPECT_EQ(lines[1].at("error").at("errno"), "EINVAL");
    EXPECT_EQ(lines[2].at("ok"), true);
}

TEST_F(Loop, SurvivesDeepNesting) {
    const auto result = answer(std::string(100000, '['));
    EXPECT_EQ(result.at("error").at("errno"), "EINVAL");
}

TEST_F(Loop, AnswersALastLineWithoutANewline) {
    EXPECT_CALL(library_, flush(_));
    const auto lines = answers(R"({"id": 1, "op": "flush"})");
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0].at("ok"), true);
}

/// Counts how often what it holds is flushed.
class CountingBuffer : public std::stringbuf {
  public:
    int flushes = 0;

  protected:
    int sync() override {
        ++flushes;
        return std::stringbuf::sync();
    }
};

TEST_F(Loop, FlushesEveryLine) {
    std::istringstream in("1\n2\n");
    CountingBuffer buffer;
    std::ostream out(&buffer);
    EXPECT_EQ(run(library_, in, out), 0);
    EXPECT_EQ(buffer.flushes, 3);
}

} // namespace
} // namespace driver
