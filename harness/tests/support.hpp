#pragma once

#include "harness/peers/client.hpp"

#include <cctype>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// What the tests of the harness share.
namespace harness::testing_support {

/// Long enough for a loaded machine and a sanitizer; no test's outcome depends on its being shorter.
inline constexpr std::chrono::seconds generous{60};

Deadline generous_deadline();

/// A folder with a short name (sockets have to fit below it) that is gone with the object.
class TempFolder {
  public:
    TempFolder();
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

/// Writes a file, its folder included.
void write_file(const std::filesystem::path& file, std::string_view text);
std::string read_file(const std::filesystem::path& file);
std::vector<std::uint8_t> read_bytes(const std::filesystem::path& file);

/// Waits until `condition` holds; false if it never does.
bool eventually(const std::function<bool()>& condition);

/// What an exception of type Error says that `action` throws; "(nothing was thrown)" if it throws none.
template <class Error, class Action>
std::string message_of(const Action& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "(nothing was thrown)";
}

/// For INSTANTIATE_TEST_SUITE_P: the field `name` of a table's row as the test's name.
inline constexpr auto by_name = [](const auto& row) {
    std::string name;
    for (const char character : std::string_view(row.param.name)) {
        name += std::isalnum(static_cast<unsigned char>(character)) != 0 ? character : '_';
    }
    return name;
};

} // namespace harness::testing_support
