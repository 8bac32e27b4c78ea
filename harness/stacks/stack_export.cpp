#include "harness/stacks/stack_export.hpp"

#include "harness/run/case_end.hpp"

namespace harness {

StackExport::StackExport(const StackCase& item, const StackSuite& suite, const StackFolders& folders,
                         bool judged)
  : server_(*item.server_peer, *item.server, false, ServerPlace{folders.scratch, folders.programs})
  , judged_(server_, folders.scratch, folders.logs, item.id(), judged) {
    if (item.stack->as_file) {
        mount_.emplace(suite.bridge, folders.scratch / "mounted", folders.logs, folders.programs);
    }
}

void StackExport::prepare(std::uint64_t size) {
    ExportSetup setup;
    setup.size = size;
    server_.prepare(setup);
}

void StackExport::need() {
    judged_.need();
    if (mount_) {
        mount_->need(judged_.uri());
    }
}

void StackExport::check(std::chrono::milliseconds patience) {
    judged_.check(patience);
    if (mount_) {
        mount_->check(patience);
    }
}

void StackExport::stop() {
    std::optional<PeerTrouble> trouble;
    try {
        if (mount_) {
            mount_->stop();
        }
    } catch (const PeerTrouble& bridge) {
        trouble = bridge;
    }
    judged_.wait_idle();
    judged_.stop();
    if (trouble) {
        throw PeerTrouble(*trouble);
    }
}

std::string StackExport::place() const {
    return mount_ ? mount_->file().string() : judged_.uri();
}

std::filesystem::path StackExport::file() const {
    return mount_ ? mount_->file() : std::filesystem::path();
}

} // namespace harness
