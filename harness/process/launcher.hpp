#pragma once

#include <map>
#include <string>
#include <sys/resource.h>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace harness {

/// A child to start, in the terms of the kernel. Descriptors belong to the caller.
struct ChildSetup {
    std::string program; ///< an absolute path
    std::vector<std::string> argv;
    std::map<std::string, std::string> env;     ///< added to the inherited environment
    std::string cwd;                            ///< empty: inherited
    int in = -1, out = -1, err = -1;            ///< become 0, 1 and 2; -1: /dev/null
    int listen = -1;                            ///< becomes 3; -1: none
    std::vector<std::pair<int, rlimit>> limits; ///< RLIMIT_…
};

/// Starts the child and returns once its program runs: it is then the leader of a process group of its own,
/// carries the run's mark (marker.hpp), and dies with this program. The caller has to reap it. Thread safe.
///
/// All children are started by one thread, which lives as long as the program: the kernel ties "dies with its
/// parent" to the thread that started the child. Throws LaunchError.
pid_t launch_child(const ChildSetup& setup);

} // namespace harness
