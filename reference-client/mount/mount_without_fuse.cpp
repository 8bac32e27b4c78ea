// What is left of mounting where libfuse3 was absent when this was built.

#include "reference-client/mount/mount.hpp"

#include <cerrno>

namespace refclient::mount {

void serve_mount(const nbd::Uri&, const Options&, const MountSettings&, int, const Log&,
                 const std::function<void()>&) {
    throw CannotMount(MountFault::no_fuse, ENOTSUP,
                      "this nbd-resize-client was built without libfuse3, which mounting needs");
}

} // namespace refclient::mount
