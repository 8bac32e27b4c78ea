#include "harness/check/client_disk.hpp"

#include "harness/peers/pattern.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <vector>

namespace harness::check {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t piece = std::uint64_t{64} << 10;
constexpr std::uint64_t largest_input = std::uint64_t{64} << 20;
constexpr std::uint64_t disk_seed = 1;
constexpr std::uint64_t input_seed = 2;

/// Writes the pattern of `seed`, with holes in the place of every second piece if `sparse`.
void fill(const fs::path& file, std::uint64_t size, std::uint64_t seed, bool sparse) {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    std::vector<std::uint8_t> bytes(piece);
    for (std::uint64_t at = 0; at < size; at += piece) {
        const std::uint64_t length = std::min(piece, size - at);
        if (sparse && at / piece % 2 == 1) {
            continue;
        }
        fill_pattern(bytes, at, seed);
        out.seekp(static_cast<std::streamoff>(at));
        out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(length));
    }
    out.close();
    if (!out) {
        throw fs::filesystem_error("cannot write", file, std::make_error_code(std::errc::io_error));
    }
    fs::resize_file(file, size);
}

} // namespace

void make_disk(const ClientServer& server, const fs::path& file) {
    fill(file, server.size, disk_seed, server.content == ClientServer::Content::sparse);
}

void make_input(std::uint64_t size, const fs::path& file) {
    fill(file, std::min(size, largest_input), input_seed, false);
}

std::string digest_of(const fs::path& file) {
    // FNV-1a over words would not see swapped ones; over bytes it sees what can go wrong here.
    constexpr std::uint64_t basis = 0xcbf29ce484222325;
    constexpr std::uint64_t prime = 0x100000001b3;
    std::ifstream in(file, std::ios::binary);
    std::vector<char> bytes(piece);
    std::uint64_t hash = basis;
    std::uint64_t size = 0;
    while (in.read(bytes.data(), static_cast<std::streamsize>(bytes.size())), in.gcount() > 0) {
        for (std::streamsize i = 0; i < in.gcount(); ++i) {
            hash = (hash ^ static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)])) * prime;
        }
        size += static_cast<std::uint64_t>(in.gcount());
    }
    return fmt::format("{} bytes, {:016x}", size, hash);
}

} // namespace harness::check
