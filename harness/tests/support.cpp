#include "harness/tests/support.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace harness::testing_support {

namespace fs = std::filesystem;

Deadline generous_deadline() {
    return std::chrono::steady_clock::now() + generous;
}

TempFolder::TempFolder() {
    std::string name = "/tmp/harness-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) {
        throw std::runtime_error("no temporary folder can be made");
    }
    path_ = name;
}

TempFolder::~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

void write_file(const fs::path& file, std::string_view text) {
    fs::create_directories(file.parent_path());
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << text;
    if (!out.flush()) {
        throw std::runtime_error("cannot write " + file.string());
    }
}

std::string read_file(const fs::path& file) {
    const std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::vector<std::uint8_t> read_bytes(const fs::path& file) {
    const std::string text = read_file(file);
    return {text.begin(), text.end()};
}

bool eventually(const std::function<bool()>& condition) {
    const Deadline deadline = generous_deadline();
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

} // namespace harness::testing_support
