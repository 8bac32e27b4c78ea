#include "drivers/common/files.hpp"

#include "drivers/common/error.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

namespace driver {

namespace {

struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

[[noreturn]] void fail(std::string_view what, const std::string& path) {
    const int number = errno;
    refuse_step(number, fmt::format("cannot {} {}: {}", what, path, std::strerror(number)));
}

File open(const std::string& path, const char* mode, std::string_view what) {
    File file(std::fopen(path.c_str(), mode));
    if (!file)
        fail(what, path);
    return file;
}

} // namespace

std::vector<std::byte> read_from(const std::string& path, std::uint64_t size) {
    const File file = open(path, "rb", "read");
    std::vector<std::byte> data(size);
    const std::size_t got = std::fread(data.data(), 1, data.size(), file.get());
    if (std::ferror(file.get()) != 0)
        fail("read", path);
    if (got < data.size())
        refuse_step(fmt::format("{} has {} bytes, the step needs {}", path, got, size));
    return data;
}

void write_into(const std::string& path, std::span<const std::byte> data) {
    File file = open(path, "wb", "write");
    if (std::fwrite(data.data(), 1, data.size(), file.get()) < data.size())
        fail("write", path);
    // Closing can be what finds the disk full, so it is not left to the destructor.
    if (std::fclose(file.release()) != 0)
        fail("write", path);
}

} // namespace driver
