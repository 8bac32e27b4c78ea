#include "harness/stacks/mounted_export.hpp"

#include "harness/catalogue/placeholders.hpp"
#include "harness/process/mounts.hpp"
#include "harness/run/case_end.hpp"

#include <fmt/format.h>

#include <csignal>
#include <fstream>
#include <utility>

namespace harness {
namespace {

namespace fs = std::filesystem;
using reports::Party;
using reports::Verdict;

constexpr std::chrono::seconds start_patience{10};
/// How long it may take to flush what the server has acknowledged.
constexpr std::chrono::seconds stop_patience{10};
constexpr std::size_t quoted = 500;

} // namespace

MountedExport::MountedExport(const Bridge& bridge, fs::path file, fs::path logs, fs::path programs)
  : bridge_(bridge)
  , file_(std::move(file))
  , logs_(std::move(logs))
  , programs_(std::move(programs)) {}

MountedExport::~MountedExport() {
    if (process_) {
        process_->kill_group(SIGKILL);
        process_->stop(std::chrono::milliseconds(0));
    }
    unmount_below(file_.parent_path());
}

void MountedExport::need(const std::string& uri) {
    if (process_) {
        check(std::chrono::milliseconds(0));
        return;
    }
    Placeholders values;
    values.texts["bin"] = programs_.string();
    values.texts["uri"] = uri;
    values.texts["file"] = file_.string();
    Launch launch;
    launch.argv = expand(bridge_.start, values);
    launch.log = logs_ / "bridge.log";
    launch.capture_stdout = true;
    std::ofstream(logs_ / "client-commands.txt", std::ios::app) << launch.command_line() << '\n';
    process_.emplace(Process::start(launch));
    const auto deadline = std::chrono::steady_clock::now() + start_patience;
    std::optional<std::string> line;
    try {
        do {
            line = process_->read_line(deadline);
        } while (line && !line->starts_with(bridge_.ready));
    } catch (const TimedOut&) {
        throw PeerTrouble(Verdict::timeout, Party::client, "the export was not mounted in time");
    }
    if (line) {
        return;
    }
    const Exit exit = process_->stop(stop_patience);
    if (exit.signal == 0 && exit.code == bridge_.not_here) {
        std::string words = process_->error_tail(quoted);
        process_.reset();
        // The same in every case.
        for (auto at = words.find(file_.string()); at != std::string::npos; at = words.find(file_.string())) {
            words.replace(at, file_.string().size(), "the file");
        }
        throw CannotDo(words.substr(0, words.find_last_not_of('\n') + 1));
    }
    fail(exit, "instead of mounting the export");
}

void MountedExport::check(std::chrono::milliseconds patience) {
    if (!process_) {
        return;
    }
    if (const std::optional<Exit> exit = process_->wait_for(patience)) {
        fail(*exit, "while the export was mounted");
    }
}

void MountedExport::stop() {
    if (!process_) {
        return;
    }
    check(std::chrono::milliseconds(0));
    const Exit exit = process_->stop(stop_patience);
    if (!exit.success()) {
        fail(exit, "when it was to unmount the export");
    }
    process_.reset();
    if (mounted()) {
        throw PeerTrouble(Verdict::fail, Party::client,
                          "the mount is still there after its program has ended");
    }
}

bool MountedExport::mounted() const {
    std::error_code gone;
    return fs::exists(file_, gone) || gone;
}

void MountedExport::fail(const Exit& exit, const std::string& when) {
    const std::string words = process_->error_tail(quoted);
    process_.reset();
    throw PeerTrouble(exit.signal != 0 ? Verdict::crash : Verdict::fail, Party::client,
                      fmt::format("what mounts the export {} {}{}{}", exit.describe(), when,
                                  words.empty() ? "" : ": ", words));
}

} // namespace harness
