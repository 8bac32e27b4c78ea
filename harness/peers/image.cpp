#include "harness/peers/image.hpp"

#include "harness/peers/pattern.hpp"
#include "harness/process/launch.hpp"
#include "harness/process/process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <vector>

namespace harness {
namespace {

constexpr std::chrono::seconds converter_time{60};

void make_raw(const std::filesystem::path& file, const ExportSetup& setup) {
    std::ofstream out(file, std::ios::binary);
    out.exceptions(std::ios::failbit | std::ios::badbit);
    if (setup.filled) {
        std::vector<std::uint8_t> block(sparse_stretch);
        for (std::uint64_t at = 0; at < setup.size; at += sparse_stretch) {
            if (setup.sparse && (at / sparse_stretch) % 2 == 1) {
                continue;
            }
            const std::size_t length = std::min<std::uint64_t>(sparse_stretch, setup.size - at);
            fill_pattern(std::span(block).first(length), at, initial_seed);
            out.seekp(static_cast<std::streamoff>(at));
            out.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(length));
        }
    }
    out.close();
    std::filesystem::resize_file(file, setup.size);
}

} // namespace

void make_image(const std::filesystem::path& file, Image format, const ExportSetup& setup,
                const std::filesystem::path& scratch) {
    if (format == Image::none) {
        return;
    }
    if (format == Image::raw) {
        make_raw(file, setup);
        return;
    }
    Launch launch;
    launch.log = scratch / "qemu-img.log";
    if (setup.filled) {
        const std::filesystem::path raw = scratch / "raw";
        make_raw(raw, setup);
        launch.argv = {"qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, file};
    } else {
        launch.argv = {"qemu-img", "create", "-q", "-f", "qcow2", file, std::to_string(setup.size)};
    }
    Process converter = Process::start(launch);
    const std::optional<Exit> exit = converter.wait_for(converter_time);
    if (!exit || !exit->success()) {
        throw std::runtime_error(fmt::format("the image could not be made: {} {}: {}", launch.command_line(),
                                             exit ? exit->describe() : "did not end",
                                             converter.error_tail(500)));
    }
}

} // namespace harness
