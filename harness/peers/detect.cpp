#include "harness/peers/detect.hpp"

#include "harness/catalogue/placeholders.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/launch.hpp"
#include "harness/process/process.hpp"

#include <fmt/format.h>

#include <regex>

namespace harness {
namespace {

constexpr std::chrono::seconds patience{10};

} // namespace

Detected detect(const Peer& peer, const std::filesystem::path& programs) {
    Placeholders values;
    values.texts["bin"] = programs.string();
    Launch launch;
    // Some programs tell their version on standard output, some on standard error.
    launch.argv = {"/bin/sh", "-c", "exec \"$@\" 2>&1", "version"};
    const std::vector<std::string> command = expand(peer.version.run, values);
    launch.argv.insert(launch.argv.end(), command.begin(), command.end());
    launch.capture_stdout = true;
    try {
        find_program(command.front());
        Process process = Process::start(launch);
        if (!process.wait_for(patience)) {
            return {std::nullopt,
                    fmt::format("'{}' did not end within {} s", command.front(), patience.count())};
        }
        const std::string output = process.take_output();
        std::smatch match;
        if (!std::regex_search(output, match, std::regex(peer.version.match)) || match.size() < 2) {
            return {std::nullopt, fmt::format("'{}' does not tell a version that matches '{}': {}",
                                              command.front(), peer.version.match, output.substr(0, 200))};
        }
        for (std::size_t group = 1; group < match.size(); ++group) {
            if (match[group].matched) {
                return {match[group].str(), ""};
            }
        }
        return {std::nullopt, fmt::format("no group of '{}' matched", peer.version.match)};
    } catch (const LaunchError& error) {
        return {std::nullopt, fmt::format("{} is not installed: {}", peer.name, error.what())};
    }
}

} // namespace harness
