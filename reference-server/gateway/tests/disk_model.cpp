#include "reference-server/gateway/tests/disk_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace refserver {

DiskModel::DiskModel(std::uint64_t begin, std::size_t blocks, std::uint64_t seed)
  : begin_(begin)
  , blocks_(blocks)
  , random_(seed) {}

std::vector<std::uint8_t> DiskModel::content(std::size_t index, std::uint64_t stamp) const {
    std::vector<std::uint8_t> bytes(block);
    if (stamp == 0) {
        return bytes;
    }
    const std::uint64_t words[] = {stamp, begin_ + index * block};
    for (std::size_t at = 0; at < block; at += sizeof words) {
        std::memcpy(bytes.data() + at, words, sizeof words);
    }
    return bytes;
}

void DiskModel::expect(std::size_t index, const std::vector<std::uint8_t>& bytes) {
    const std::vector<std::uint64_t>& allowed = blocks_[index].candidates;
    const bool right = std::any_of(allowed.begin(), allowed.end(),
                                   [&](std::uint64_t stamp) { return bytes == content(index, stamp); });
    if (!right && wrong_.empty()) {
        std::uint64_t found = 0;
        std::memcpy(&found, bytes.data(), sizeof found);
        wrong_ = fmt::format("the block at {} begins with stamp {}; allowed are {}", begin_ + index * block,
                             found, fmt::join(allowed, ", "));
    }
}

void DiskModel::step(const NbdClient& client) {
    const std::size_t index = random_() % blocks_.size();
    Block& chosen = blocks_[index];
    const auto what = random_() % 16;
    if (what < 10) {
        const std::uint64_t stamp = ++stamp_;
        chosen.candidates.push_back(stamp);
        if (client.write(begin_ + index * block, content(index, stamp)) == 0) {
            chosen.acknowledged = stamp;
        } else {
            ++errors_;
        }
    } else if (what < 15) {
        std::vector<std::uint8_t> bytes(block);
        if (client.read(begin_ + index * block, bytes) == 0) {
            expect(index, bytes);
        } else {
            ++errors_;
        }
    } else if (client.flush() == 0) {
        ++flushes_;
        for (Block& flushed : blocks_) {
            // A write that failed may have happened after the last one that succeeded.
            const auto last =
                std::find(flushed.candidates.begin(), flushed.candidates.end(), flushed.acknowledged);
            flushed.candidates.erase(flushed.candidates.begin(), last);
        }
    } else {
        ++errors_;
        // What it should have covered may be gone, and no later flush covers it.
        for (Block& doubtful : blocks_) {
            doubtful.acknowledged = doubtful.candidates.front();
        }
    }
}

std::string DiskModel::check(const NbdClient& client) {
    for (std::size_t index = 0; index < blocks_.size(); ++index) {
        std::vector<std::uint8_t> bytes(block);
        if (client.read(begin_ + index * block, bytes) != 0) {
            return fmt::format("the block at {} cannot be read", begin_ + index * block);
        }
        expect(index, bytes);
    }
    return wrong_;
}

} // namespace refserver
