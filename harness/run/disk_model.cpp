#include "harness/run/disk_model.hpp"

#include "harness/peers/image.hpp"
#include "harness/peers/pattern.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <vector>

namespace harness {
namespace {

constexpr std::size_t chunk_size = 256U * 1024;
/// How many bytes a message shows of each side.
constexpr std::size_t shown_bytes = 8;

/// Up to `wanted` bytes from the file's current place.
std::span<const std::uint8_t> read_some(std::ifstream& file, std::vector<std::uint8_t>& buffer,
                                        std::uint64_t wanted) {
    buffer.resize(std::min<std::uint64_t>(wanted, chunk_size));
    file.read(reinterpret_cast<char*>(buffer.data()), static_cast<std::streamsize>(buffer.size()));
    return std::span(buffer).first(static_cast<std::size_t>(file.gcount()));
}

} // namespace

DiskModel::DiskModel(const ExportSetup& setup) {
    segments_[0] = {setup.size, setup.filled ? Kind::pattern : Kind::zero, initial_seed};
    if (setup.sparse) {
        for (std::uint64_t at = sparse_stretch; at < setup.size; at += 2 * sparse_stretch) {
            zero(at, std::min(sparse_stretch, setup.size - at));
        }
    }
}

void DiskModel::write(std::uint64_t offset, std::uint64_t length, std::uint64_t seed) {
    set(offset, length, {offset + length, Kind::pattern, seed});
}

void DiskModel::zero(std::uint64_t offset, std::uint64_t length) {
    set(offset, length, {offset + length, Kind::zero, 0});
}

void DiskModel::forget(std::uint64_t offset, std::uint64_t length) {
    set(offset, length, {offset + length, Kind::unknown, 0});
}

void DiskModel::set(std::uint64_t offset, std::uint64_t length, Segment segment) {
    if (length == 0) {
        return;
    }
    const std::uint64_t end = offset + length;
    // Split what lies across the two edges, then replace what lies between them.
    for (const std::uint64_t edge : {offset, end}) {
        auto after = segments_.upper_bound(edge);
        if (after == segments_.begin()) {
            continue;
        }
        auto& [start, across] = *std::prev(after);
        if (start < edge && across.end > edge) {
            segments_[edge] = across;
            across.end = edge;
        }
    }
    segments_.erase(segments_.lower_bound(offset), segments_.lower_bound(end));
    segments_[offset] = segment;
}

template <class Use>
void DiskModel::for_each(std::uint64_t offset, std::uint64_t length, const Use& use) const {
    const std::uint64_t end = offset + length;
    std::uint64_t known = offset;
    auto at = segments_.upper_bound(offset);
    if (at != segments_.begin()) {
        --at;
    }
    for (; at != segments_.end() && at->first < end; ++at) {
        const std::uint64_t from = std::max(offset, at->first);
        const std::uint64_t to = std::min(end, at->second.end);
        if (from < to) {
            use(from, to - from, at->second);
            known = to;
        }
    }
    if (known < end) {
        use(known, end - known, Segment{end, Kind::unknown, 0});
    }
}

bool DiskModel::surely_zero(std::uint64_t offset, std::uint64_t length) const {
    bool result = true;
    for_each(offset, length, [&](std::uint64_t, std::uint64_t, const Segment& segment) {
        result = result && segment.kind == Kind::zero;
    });
    return result;
}

bool DiskModel::has_data(std::uint64_t offset, std::uint64_t length) const {
    bool result = false;
    for_each(offset, length, [&](std::uint64_t, std::uint64_t, const Segment& segment) {
        result = result || segment.kind == Kind::pattern;
    });
    return result;
}

std::optional<std::string> DiskModel::compare(const std::filesystem::path& file, std::uint64_t at,
                                              std::uint64_t offset, std::uint64_t length) const {
    std::ifstream in(file, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(at));
    if (!in) {
        return fmt::format("the data cannot be read from {}", file.string());
    }
    std::optional<std::string> difference;
    std::vector<std::uint8_t> buffer;
    std::vector<std::uint8_t> expected;
    for_each(offset, length, [&](std::uint64_t from, std::uint64_t size, const Segment& segment) {
        while (size > 0 && !difference) {
            const auto got = read_some(in, buffer, size);
            if (got.empty()) {
                difference = fmt::format("the data end at offset {}, {} bytes too early", from, size);
                return;
            }
            expected.assign(got.size(), 0);
            if (segment.kind == Kind::pattern) {
                fill_pattern(expected, from, segment.seed);
            }
            if (segment.kind != Kind::unknown) {
                const auto [left, right] = std::ranges::mismatch(got, expected);
                if (left != got.end()) {
                    const auto index = static_cast<std::size_t>(left - got.begin());
                    const std::size_t shown = std::min(shown_bytes, got.size() - index);
                    difference = fmt::format("at offset {} are {:02x} instead of {:02x}", from + index,
                                             fmt::join(got.subspan(index, shown), " "),
                                             fmt::join(std::span(expected).subspan(index, shown), " "));
                }
            }
            from += got.size();
            size -= got.size();
        }
    });
    return difference;
}

bool is_zeroes(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        return false;
    }
    std::vector<std::uint8_t> buffer;
    for (;;) {
        const auto got = read_some(in, buffer, chunk_size);
        if (got.empty()) {
            return true;
        }
        if (std::ranges::any_of(got, [](std::uint8_t byte) { return byte != 0; })) {
            return false;
        }
    }
}

} // namespace harness
