#include "harness/check/listed_faults.hpp"

#include "harness/process/launch.hpp"
#include "harness/process/process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <stdexcept>

namespace harness::check {
namespace {

constexpr std::chrono::seconds patience{20};

} // namespace

std::vector<ListedFault> list_faults(const std::filesystem::path& program, const std::string& list) {
    Launch launch;
    launch.argv = {program.string(), list};
    launch.capture_stdout = true;
    Process process = Process::start(launch);
    const auto ended = process.wait_for(patience);
    if (!ended || !ended->success()) {
        throw std::runtime_error(
            fmt::format("'{}' {}", launch.command_line(), ended ? ended->describe() : "does not end"));
    }
    std::vector<ListedFault> faults;
    std::istringstream lines(process.take_output());
    for (std::string line; std::getline(lines, line);) {
        const auto first = line.find('\t');
        const auto second = line.find('\t', first + 1);
        if (second == std::string::npos) {
            throw std::runtime_error(
                fmt::format("'{}' prints a line that is no fault: {:.80}", launch.command_line(), line));
        }
        faults.push_back(
            {line.substr(0, first), line.substr(first + 1, second - first - 1), line.substr(second + 1)});
    }
    return faults;
}

const ListedFault* find(const std::vector<ListedFault>& faults, std::string_view name) {
    const auto found = std::ranges::find(faults, name, &ListedFault::name);
    return found == faults.end() ? nullptr : &*found;
}

} // namespace harness::check
