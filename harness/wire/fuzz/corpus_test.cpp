// The corpus of the fuzzer, replayed.

#include "harness/wire/fuzz/target.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace wire::fuzz {
namespace {

TEST(JudgeCorpus, LeadsToNoMisconduct) {
    std::size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(NBD_SOURCE_DIR "/harness/wire/fuzz/corpus")) {
        std::ifstream in(file.path(), std::ios::binary);
        const nbd::Buffer bytes{std::istreambuf_iterator<char>(in), {}};
        EXPECT_NO_THROW(play(bytes)) << file.path();
        ++count;
    }
    EXPECT_GE(count, 100U);
}

} // namespace
} // namespace wire::fuzz
