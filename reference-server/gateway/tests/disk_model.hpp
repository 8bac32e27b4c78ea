#pragma once

#include "reference-server/gateway/tests/nbd_client.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace refserver {

/// Writes blocks of one area and knows what each may hold: what was last written before a flush that
/// succeeded, or anything that was sent after that.
class DiskModel {
  public:
    static constexpr std::uint64_t block = 4096; ///< bytes

    /// The area has `blocks` blocks and begins, as zeroes, at byte `begin`.
    DiskModel(std::uint64_t begin, std::size_t blocks, std::uint64_t seed);

    /// Writes some block, or reads one, or flushes. Errors are counted and teach nothing, except that a write
    /// that failed may have happened.
    void step(const NbdClient& client);
    /// Reads everything; what a block must not hold is told as text, empty if all is well.
    [[nodiscard]] std::string check(const NbdClient& client);

    [[nodiscard]] std::size_t errors() const { return errors_; }
    [[nodiscard]] std::size_t flushes() const { return flushes_; }
    [[nodiscard]] const std::string& wrong() const { return wrong_; }

  private:
    struct Block {
        std::vector<std::uint64_t> candidates{0}; ///< stamps; 0 is zeroes
        std::uint64_t acknowledged = 0;           ///< the last one that was answered with success
    };

    [[nodiscard]] std::vector<std::uint8_t> content(std::size_t index, std::uint64_t stamp) const;
    void expect(std::size_t index, const std::vector<std::uint8_t>& bytes);

    const std::uint64_t begin_;
    std::vector<Block> blocks_;
    std::mt19937_64 random_;
    std::uint64_t stamp_ = 0;
    std::size_t errors_ = 0;
    std::size_t flushes_ = 0;
    std::string wrong_;
};

} // namespace refserver
