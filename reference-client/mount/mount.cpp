#include "reference-client/mount/mount.hpp"

#include "reference-client/mount/fuse_session.hpp"

#include <fmt/format.h>

namespace refclient::mount {
namespace {

void serve(ExportFile& file, const MountPoint& point, const MountSettings& settings, int until_readable,
           const Log& log, const std::function<void()>& ready) {
    FuseSession session(file, point, nbd::format_uri(file.link().uri()), settings.allow_other);
    ready();
    session.serve(until_readable);
    if (!session.unmounted() && session.in_use()) {
        log(fmt::format("unmounting {}, although it is in use", point.path()));
    }
    // Before unmounting: nobody is to find the mount gone and the writes not yet there.
    file.finish();
}

} // namespace

void serve_mount(const nbd::Uri& uri, const Options& options, const MountSettings& settings,
                 int until_readable, const Log& log, const std::function<void()>& ready) {
    const MountPoint point(settings.path);
    ExportFile file(uri, options, settings.file, log);
    file.open();
    serve(file, point, settings, until_readable, log, ready);
    file.link().disconnect();
}

} // namespace refclient::mount
