#include "drivers/common/error.hpp"
#include "drivers/common/files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace driver {
namespace {

class Files : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "driver-files-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string path(const char* name) const { return (folder_ / name).string(); }

    static std::vector<std::byte> bytes(const std::string& text) {
        std::vector<std::byte> data;
        for (const char character : text)
            data.push_back(static_cast<std::byte>(character));
        return data;
    }

    /// The error of read_from, or one with an empty name if there was none.
    static Error reading(const std::string& file, std::uint64_t size) {
        try {
            (void)read_from(file, size);
        } catch (const Failure& failure) {
            return failure.error();
        }
        return {};
    }

    std::filesystem::path folder_;
};

TEST_F(Files, GivesBackWhatWasWritten) {
    const auto data = bytes(std::string("a\0b\n\xff", 5));
    write_into(path("f"), data);
    EXPECT_EQ(std::filesystem::file_size(path("f")), 5U);
    EXPECT_EQ(read_from(path("f"), 5), data);
}

TEST_F(Files, ReadsOnlyTheBeginning) {
    write_into(path("f"), bytes("abcdef"));
    EXPECT_EQ(read_from(path("f"), 3), bytes("abc"));
    EXPECT_EQ(read_from(path("f"), 0), bytes(""));
}

TEST_F(Files, ReplacesTheOldContents) {
    write_into(path("f"), bytes("a longer text"));
    write_into(path("f"), bytes("short"));
    EXPECT_EQ(std::filesystem::file_size(path("f")), 5U);
}

TEST_F(Files, RefusesAFileThatIsTooShort) {
    write_into(path("f"), bytes("abc"));
    const Error error = reading(path("f"), 4);
    EXPECT_EQ(error.errno_name, "EINVAL");
    EXPECT_EQ(error.where, Where::driver);
    EXPECT_THAT(error.message, testing::AllOf(testing::HasSubstr("3 bytes"), testing::HasSubstr("needs 4")));
}

TEST_F(Files, SaysWhyAFileCannotBeRead) {
    EXPECT_EQ(reading(path("missing"), 1).errno_name, "ENOENT");
    EXPECT_EQ(reading(folder_.string(), 1).errno_name, "EISDIR");
    EXPECT_THAT(reading(path("missing"), 1).message, testing::HasSubstr(path("missing")));
}

TEST_F(Files, SaysWhyAFileCannotBeWritten) {
    for (const auto& [file, name] : {std::pair<std::string, std::string>{path("no/such/folder"), "ENOENT"},
                                     {folder_.string(), "EISDIR"},
                                     {"/dev/full", "ENOSPC"}}) {
        try {
            write_into(file, bytes("abc"));
            ADD_FAILURE() << file << " was written";
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.error().errno_name, name) << file;
            EXPECT_EQ(failure.error().where, Where::driver);
        }
    }
}

} // namespace
} // namespace driver
