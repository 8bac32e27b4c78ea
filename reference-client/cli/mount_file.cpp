// `mount`: an export as a file. Experimental: RESIZE.

#include "reference-client/cli/settings.hpp"
#include "reference-client/cli/signals.hpp"
#include "reference-client/mount/mount.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <string_view>
#include <unistd.h>

namespace refclient::cli {
namespace {

void tell_ready(const MountArguments& arguments) {
    std::cout << "mounted " << arguments.path << '\n' << std::flush;
    constexpr std::string_view line = "mounted\n";
    if (arguments.ready_fd && ::write(*arguments.ready_fd, line.data(), line.size()) < 0) {
        fmt::print(stderr, "nbd-resize-client: cannot write to descriptor {}: {}\n", *arguments.ready_fd,
                   std::strerror(errno));
    }
}

} // namespace

void mount_file(const nbd::Uri& uri, const Settings& settings, const MountArguments& arguments) {
    mount::MountSettings how;
    how.path = arguments.path;
    how.allow_other = arguments.allow_other;
    how.file.reconnect = arguments.reconnect;
    how.file.hide_rest = arguments.hide_rest;
    how.file.size = {settings.grow, settings.learn.value_or(Learn::notify), settings.credits};
    // A terminal that goes away must not leave a mount without anything behind it, nor a reader of the log.
    const Interruption interruption({SIGHUP});
    ::signal(SIGPIPE, SIG_IGN);
    mount::serve_mount(
        uri, settings.options, how, interruption.descriptor(),
        [](std::string_view text) { fmt::print(stderr, "nbd-resize-client: {}\n", text); },
        [&] { tell_ready(arguments); });
}

} // namespace refclient::cli
