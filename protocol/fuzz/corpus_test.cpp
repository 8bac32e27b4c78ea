// The inputs that fuzzing found worth keeping, tried again with every run of the tests.

#include "protocol/fuzz/targets.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace nbd::fuzz {
namespace {

void replay(const std::string& name, void (*target)(Bytes)) {
    int inputs = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(NBD_SOURCE_DIR) + "/protocol/fuzz/corpus/" + name)) {
        std::ifstream file(entry.path(), std::ios::binary);
        std::ostringstream content;
        content << file.rdbuf();
        ASSERT_TRUE(file) << entry.path();
        const std::string text = content.str();
        const Buffer bytes(text.begin(), text.end());
        EXPECT_NO_THROW(target(bytes)) << entry.path();
        ++inputs;
    }
    EXPECT_GT(inputs, 10) << "where is the corpus?";
}

TEST(Corpus, Message) {
    replay("message", message);
}

TEST(Corpus, Uri) {
    replay("uri", uri);
}

} // namespace
} // namespace nbd::fuzz
