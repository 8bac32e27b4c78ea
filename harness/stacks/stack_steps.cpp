#include "harness/stacks/stack_steps.hpp"

#include "harness/peers/image.hpp"
#include "harness/peers/pattern.hpp"
#include "harness/stacks/program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace harness {
namespace {

namespace fs = std::filesystem;

/// Every step that writes has a pattern of its own.
constexpr std::uint64_t first_seed = 1000;

Came came(const ClientOutcome& outcome) {
    return {outcome.error, outcome.error ? outcome.error->name : "success", ""};
}

} // namespace

StackSteps::StackSteps(const StackCase& item, const StackSuite& suite, StackExport& served,
                       StackFolders folders)
  : item_(item)
  , scenario_(*item.scenario)
  , suite_(suite)
  , export_(served)
  , folders_(std::move(folders))
  , size_(scenario_.disk)
  , disk_(setup(false)) {}

void StackSteps::prepare() {
    export_.prepare(item_.stack->image == Image::raw ? scenario_.container : scenario_.disk);
    container_ = fs::file_size(export_.image());
}

ExportSetup StackSteps::setup(bool filled) const {
    ExportSetup result;
    result.size = scenario_.disk;
    result.filled = filled;
    return result;
}

Deadline StackSteps::deadline() const {
    return std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                                  std::chrono::duration<double>(scenario_.timeout));
}

void StackSteps::client_died(const Action& action) {
    if (action.kind == ActionKind::convert) {
        disk_.forget(0, size_);
    }
    if (process_) {
        for (const auto& [offset, length] : not_durable_) {
            disk_.forget(offset, length);
        }
        not_durable_.clear();
    }
}

Came StackSteps::carry_out(const Action& action, std::uint64_t number) {
    switch (action.kind) {
    case ActionKind::create:
        return create(action, number);
    case ActionKind::open:
        export_.need();
        process_ = std::make_unique<DiskProcess>(
            *item_.client,
            DiskPlace{export_.place(), export_.file(), export_.address(), export_.export_name(),
                      item_.stack->format, folders_.scratch / "q", folders_.logs, folders_.programs});
        return came(process_->open(deadline()));
    case ActionKind::close: {
        Came result = came(process_->close(deadline()));
        process_.reset();
        not_durable_.clear();
        return result;
    }
    case ActionKind::fill:
        return fill(action, number);
    case ActionKind::write:
    case ActionKind::read:
    case ActionKind::zero:
    case ActionKind::trim:
    case ActionKind::flush:
        return request(action.kind, bytes(action.offset), bytes(action.length), number);
    case ActionKind::snapshot:
    case ActionKind::bitmap:
    case ActionKind::resize:
        return change(action, number);
    case ActionKind::convert:
        return convert(action, number);
    case ActionKind::contents:
        return contents(action, number);
    case ActionKind::bitmap_kept:
        return came(tool(action, number, values(action)));
    case ActionKind::container:
        return container();
    case ActionKind::check:
        export_.stop();
        return came(tool(action, number, values(action)));
    }
    return {};
}

std::uint64_t StackSteps::bytes(const SizeExpression& expression) const {
    return expression.evaluate(scenario_.disk);
}

Placeholders StackSteps::values(const Action& action) {
    Placeholders result;
    const bool file = action.kind == ActionKind::check ||
                      (action.kind == ActionKind::create && item_.stack->format == "raw");
    if (!file) {
        export_.need();
    }
    result.texts["bin"] = folders_.programs.string();
    result.texts["image"] = file ? export_.image().string() : export_.place();
    result.texts["format"] = item_.stack->format;
    result.texts["disk"] = std::to_string(scenario_.disk);
    result.texts["name"] = action.of;
    result.texts["to"] = std::to_string(bytes(action.length));
    result.lists["options"] = action.options;
    result.lists["into"] = item_.stack->into;
    result.lists["backing"] = {};
    result.lists["of"] = {};
    return result;
}

ClientOutcome StackSteps::tool(const Action& action, std::uint64_t number, const Placeholders& values) {
    return run_tool(suite_.tools.at(action.kind), values,
                    folders_.logs / fmt::format("client-{:02}-{}.log", number, name(action.kind)),
                    deadline());
}

Came StackSteps::create(const Action& action, std::uint64_t number) {
    Placeholders told = values(action);
    if (action.backing) {
        const fs::path base = folders_.scratch / "base.img";
        make_image(base, Image::raw, setup(true), folders_.scratch);
        told.lists["backing"] = {"-b", base.string(), "-F", "raw"};
        disk_ = DiskModel(setup(true));
    }
    Came result = came(tool(action, number, told));
    container_ = fs::file_size(export_.image());
    return result;
}

Came StackSteps::request(ActionKind kind, std::uint64_t offset, std::uint64_t length, std::uint64_t number) {
    static const std::map<ActionKind, StepKind> kinds{{ActionKind::write, StepKind::write},
                                                      {ActionKind::read, StepKind::read},
                                                      {ActionKind::zero, StepKind::zero},
                                                      {ActionKind::trim, StepKind::trim},
                                                      {ActionKind::flush, StepKind::flush}};
    ClientStep step;
    step.kind = kinds.at(kind);
    step.id = number;
    step.offset = offset;
    step.length = length;
    step.into = folders_.scratch / "read";
    step.from = folders_.scratch / "write";
    if (kind == ActionKind::write) {
        std::vector<std::uint8_t> data(length);
        fill_pattern(data, offset, first_seed + number);
        std::ofstream(step.from, std::ios::binary)
            .write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(length));
    }
    if (kind != ActionKind::read && kind != ActionKind::flush) {
        // Until it is answered it may or may not have been done, and until it is flushed it may be lost.
        disk_.forget(offset, length);
        not_durable_.emplace_back(offset, length);
    }
    Came result = came(process_->perform(step, deadline()));
    if (!result.error) {
        update(step, result);
    }
    return result;
}

void StackSteps::update(const ClientStep& step, Came& came) {
    switch (step.kind) {
    case StepKind::write:
        disk_.write(step.offset, step.length, first_seed + step.id);
        break;
    case StepKind::zero:
        disk_.zero(step.offset, step.length);
        break;
    case StepKind::flush:
        not_durable_.clear();
        break;
    case StepKind::read:
        if (const auto difference = disk_.compare(step.into, 0, step.offset, step.length)) {
            came.wrong = *difference;
            came.answer = is_zeroes(step.into) ? "zeroes instead of the data" : "wrong data";
        }
        break;
    default:
        break;
    }
}

Came StackSteps::fill(const Action& action, std::uint64_t number) {
    const std::uint64_t end = bytes(action.offset) + bytes(action.length);
    for (std::uint64_t at = bytes(action.offset); at < end; at += action.stride) {
        Came result = request(ActionKind::write, at, std::min(action.piece, end - at), number);
        if (result.error) {
            result.answer = fmt::format("{} at {}", result.error->name, at);
            return result;
        }
    }
    return {std::nullopt, fmt::format("success up to {}", end), ""};
}

Came StackSteps::change(const Action& action, std::uint64_t number) {
    const Placeholders told = values(action);
    const Came result =
        came(process_ ? process_->command(action.kind, told, deadline()) : tool(action, number, told));
    if (result.error) {
        return result;
    }
    if (action.kind == ActionKind::snapshot) {
        snapshots_.insert_or_assign(action.of, std::pair(size_, disk_));
    } else if (action.kind == ActionKind::resize) {
        const std::uint64_t to = bytes(action.length);
        if (to > size_) {
            disk_.zero(size_, to - size_);
        }
        size_ = to;
    }
    return result;
}

Came StackSteps::convert(const Action& action, std::uint64_t number) {
    Placeholders told = values(action);
    const fs::path from = folders_.scratch / "from.img";
    ExportSetup source;
    source.size = bytes(action.length);
    source.filled = true;
    make_image(from, Image::raw, source, folders_.scratch);
    told.texts["from"] = from.string();
    Came result = came(tool(action, number, told));
    copied_.emplace(setup(true));
    disk_.forget(0, size_);
    if (!result.error) {
        disk_ = *copied_;
    }
    return result;
}

Came StackSteps::contents(const Action& action, std::uint64_t number) {
    std::pair<std::uint64_t, DiskModel> expected(size_, disk_);
    Placeholders told = values(action);
    if (!action.of.empty()) {
        const auto snapshot = snapshots_.find(action.of);
        if (snapshot == snapshots_.end()) {
            return {std::nullopt, "there is no snapshot", ""}; // it could not be made, which was judged
        }
        expected = snapshot->second;
        told.lists["of"] = {"-l", "snapshot.name=" + action.of};
    }
    const fs::path file = folders_.scratch / "contents.img";
    told.texts["to"] = file.string();
    Came result = came(tool(action, number, told));
    if (result.error) {
        return result;
    }
    if (fs::file_size(file) != expected.first) {
        result.wrong =
            fmt::format("the disk has {} bytes instead of {}", fs::file_size(file), expected.first);
    } else if (const auto difference = expected.second.compare(file, 0, 0, expected.first)) {
        result.wrong = *difference;
    }
    result.answer = result.wrong.empty() ? "as written" : "wrong data";
    if (copied_ && !disk_.has_data(0, size_)) {
        // Of a copy that has failed nothing is certain.
        result.answer = copied_->compare(file, 0, 0, size_) ? "a part of the copy" : "all of the copy";
    }
    fs::remove(file);
    return result;
}

Came StackSteps::container() {
    const std::uint64_t now = fs::file_size(export_.image());
    const std::string word = now > container_ ? "grown" : now < container_ ? "shrunk" : "unchanged";
    return {ClientError{word, ErrorPlace::unknown, fmt::format("{} bytes", now)},
            now == container_ ? fmt::format("unchanged, {} bytes", now)
                              : fmt::format("from {} to {} bytes", container_, now),
            ""};
}

} // namespace harness
