#include "harness/stacks/stack_run.hpp"

#include "harness/peers/image.hpp"
#include "harness/peers/pattern.hpp"
#include "harness/peers/server_instance.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/workspace.hpp"
#include "harness/run/disk_model.hpp"
#include "harness/run/judge.hpp"
#include "harness/run/wire_record.hpp"
#include "harness/stacks/disk_process.hpp"
#include "harness/stacks/program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>

namespace harness {
namespace {

namespace fs = std::filesystem;
using reports::Finding;
using reports::Party;
using reports::Verdict;

constexpr std::chrono::seconds start_patience{10};
constexpr std::chrono::milliseconds close_patience{200};
/// How long a dying server may take to be gone after a client has complained.
constexpr std::chrono::milliseconds last_breath{200};

/// The rest of the steps makes no sense; the findings, or a step that was expected to fail, say why.
struct Ended {};

/// What came of a step: nothing, or the word for what else; and the answer that is written down.
struct Came {
    std::optional<ClientError> error;
    std::string answer;
    std::string wrong; ///< what is wrong with a success
};

Came came(const ClientOutcome& outcome) {
    return {outcome.error, outcome.error ? outcome.error->name : "success", ""};
}

/// One case under way.
class StackRun {
  public:
    StackRun(const StackCase& item, const StackPlace& place, fs::path logs, fs::path scratch,
             reports::CaseResult& result)
      : item_(item)
      , scenario_(*item.scenario)
      , place_(place)
      , facts_(item.facts())
      , logs_(std::move(logs))
      , scratch_(std::move(scratch))
      , result_(result)
      , size_(scenario_.disk)
      , disk_(setup(false))
      , server_(*item.server_peer, *item.server, false, ServerPlace{scratch_, place.programs})
      , wire_(logs_ / "wire.transcript", item.id()) {}

    void run() {
        ExportSetup container;
        container.size = item_.stack->image == Image::raw ? scenario_.container : scenario_.disk;
        server_.prepare(container);
        container_ = fs::file_size(server_.image());
        std::optional<CannotDo> cannot;
        try {
            std::uint64_t number = 0;
            for (const Action& action : scenario_.actions) {
                current_ = fmt::format("{}: {}", ++number, action.describe(scenario_.disk));
                perform(action, number);
            }
        } catch (const Ended&) {
            // Whatever led here is among the findings, or as it should be.
        } catch (const CannotDo& why) {
            cannot = why;
        }
        current_ = "end";
        process_.reset();
        stop_server();
        report_wire();
        if (cannot) {
            throw CannotDo(*cannot);
        }
    }

  private:
    [[nodiscard]] ExportSetup setup(bool filled) const {
        ExportSetup result;
        result.size = scenario_.disk;
        result.filled = filled;
        return result;
    }

    [[nodiscard]] Deadline deadline() const {
        return std::chrono::steady_clock::now() +
               std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                   std::chrono::duration<double>(scenario_.timeout));
    }

    void find(Finding finding) {
        finding.step = current_;
        result_.findings.push_back(std::move(finding));
    }

    [[noreturn]] void give_up(Verdict verdict, Party party, const std::string& message) {
        find({verdict, party, "", "", message, ""});
        throw Ended{};
    }

    // ---- the server ----

    void need_server() {
        if (server_.running()) {
            return;
        }
        try {
            server_.start(logs_, std::chrono::steady_clock::now() + start_patience);
        } catch (const ServerFailed& failure) {
            give_up(failure.how() == ServerFailed::How::hangs ? Verdict::timeout : Verdict::crash,
                    Party::server, failure.what());
        }
        if (tap_) {
            tap_->forward_to(server_.address());
        } else if (place_.judged) {
            tap_ = std::make_unique<Tap>(server_.address(), scratch_ / "t", wire_);
        }
    }

    void check_server(std::chrono::milliseconds patience) {
        if (const std::optional<Exit> exit = server_.ended(patience)) {
            const std::string words = server_.last_words();
            give_up(Verdict::crash, Party::server,
                    fmt::format("the server {}{}{}", exit->describe(), words.empty() ? "" : ": ", words));
        }
    }

    void stop_server() {
        if (!server_.running()) {
            return;
        }
        if (tap_) {
            tap_->wait_idle(std::chrono::steady_clock::now() + close_patience);
        }
        wire_.interfere();
        const Exit exit = server_.stop();
        if (exit.signal != 0 && exit.signal != SIGTERM && exit.signal != SIGKILL) {
            find({Verdict::crash, Party::server, "", "",
                  fmt::format("the server {} when it was asked to end", exit.describe()), ""});
        }
    }

    [[nodiscard]] Address address() const { return tap_ ? tap_->address() : server_.address(); }
    [[nodiscard]] std::string uri() const { return server_.uri(std::nullopt, address()); }

    void report_wire() {
        tap_.reset();
        current_ = "wire";
        for (const std::string& why : wire_.not_judged()) {
            result_.observations.push_back({"not judged to its end on the wire", why});
        }
        for (const WireFinding& found : wire_.findings()) {
            const bool known = std::ranges::any_of(result_.findings, [&](const Finding& finding) {
                // Whoever crashes ends the connection as well.
                return finding.requirement == found.requirement ||
                       (finding.verdict == Verdict::crash && found.by_ending);
            });
            if (known) {
                continue;
            }
            find({found.mandatory ? Verdict::fail : Verdict::warn,
                  found.by == wire::Side::server ? Party::server : Party::client, found.requirement, "",
                  fmt::format("{} ({}{})", found.what, found.place,
                              found.times > 1 ? fmt::format(", {} times", found.times) : ""),
                  ""});
        }
    }

    // ---- the steps ----

    [[nodiscard]] const ExpectationRow& row(const Action& action) const {
        for (const ExpectationRow& candidate : action.rows) {
            if (satisfied(candidate.when, facts_)) {
                return candidate;
            }
        }
        throw std::runtime_error(fmt::format("no row of the decision table at {} is for this case",
                                             action.rows.front().position.describe()));
    }

    void perform(const Action& action, std::uint64_t number) {
        if (dead_) {
            // The rest of the life of a process that has died, or could not open the disk.
            if (action.kind == ActionKind::close) {
                process_.reset();
                dead_ = false;
            }
            return;
        }
        Came came;
        try {
            came = carry_out(action, number);
        } catch (const ClientDied& death) {
            check_server(last_breath);
            find({death.crashed() ? Verdict::crash : Verdict::fail, Party::client, "", "", death.what(), ""});
            if (!action.record.empty()) {
                result_.observations.push_back({action.record, "the client dies"});
            }
            after_death(action);
            return;
        } catch (const TimedOut& error) {
            check_server(std::chrono::milliseconds(0));
            give_up(Verdict::timeout, Party::undecided, error.what());
        } catch (const LaunchError& error) {
            give_up(Verdict::error, Party::none, error.what());
        }
        if (came.error) {
            check_server(std::chrono::milliseconds(0));
        }
        judge(action, came);
        if (came.error && action.kind == ActionKind::create) {
            throw Ended{};
        }
        dead_ = came.error && action.kind == ActionKind::open;
    }

    void judge(const Action& action, const Came& came) {
        const ExpectationRow& applies = row(action);
        if (!action.record.empty()) {
            result_.observations.push_back({action.record, came.answer});
        }
        const Expectation& expected = applies.then;
        std::string message;
        if (!came.error && !expected.ok) {
            message = fmt::format("{} was expected, it succeeded", expected.describe());
        } else if (came.error && !expected.any_error && !expected.errors.contains(came.error->name)) {
            message = fmt::format("{} was expected, {}", expected.describe(), came.error->describe());
        } else {
            message = came.wrong;
        }
        if (!message.empty()) {
            find(broken(place_.suite->catalogue.requirements,
                        applies.rule.empty() ? action.rule : applies.rule,
                        came.error ? came.error->where : ErrorPlace::unknown, message));
        }
    }

    /// A process that dies takes with it what it was not told to make durable, and what it was at.
    void after_death(const Action& action) {
        if (action.kind == ActionKind::create) {
            throw Ended{};
        }
        if (action.kind == ActionKind::convert) {
            disk_.forget(0, size_);
        }
        if (process_) {
            for (const auto& [offset, length] : not_durable_) {
                disk_.forget(offset, length);
            }
            not_durable_.clear();
            dead_ = action.kind != ActionKind::close;
            if (!dead_) {
                process_.reset();
            }
        }
    }

    Came carry_out(const Action& action, std::uint64_t number) {
        switch (action.kind) {
        case ActionKind::create:
            return create(action, number);
        case ActionKind::open:
            need_server();
            process_ = std::make_unique<DiskProcess>(
                *item_.client, DiskPlace{uri(), address(), server_.export_name(), item_.stack->format,
                                         scratch_ / "q", logs_, place_.programs});
            return came(process_->open(deadline()));
        case ActionKind::close: {
            const Came result = came(process_->close(deadline()));
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
            stop_server();
            return came(tool(action, number, values(action)));
        }
        return {};
    }

    [[nodiscard]] std::uint64_t bytes(const SizeExpression& expression) const {
        return expression.evaluate(scenario_.disk);
    }

    /// What programs are told: where the image is, as far as they are concerned.
    [[nodiscard]] Placeholders values(const Action& action) {
        Placeholders result;
        const bool file = action.kind == ActionKind::check ||
                          (action.kind == ActionKind::create && item_.stack->format == "raw");
        if (!file) {
            need_server();
        }
        result.texts["bin"] = place_.programs.string();
        result.texts["image"] = file ? server_.image().string() : uri();
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

    ClientOutcome tool(const Action& action, std::uint64_t number, const Placeholders& values) {
        return run_tool(place_.suite->tools.at(action.kind), values,
                        logs_ / fmt::format("client-{:02}-{}.log", number, name(action.kind)), deadline());
    }

    Came create(const Action& action, std::uint64_t number) {
        Placeholders told = values(action);
        if (action.backing) {
            const fs::path base = scratch_ / "base.img";
            make_image(base, Image::raw, setup(true), scratch_);
            told.lists["backing"] = {"-b", base.string(), "-F", "raw"};
            disk_ = DiskModel(setup(true));
        }
        const Came result = came(tool(action, number, told));
        container_ = fs::file_size(server_.image());
        return result;
    }

    Came request(ActionKind kind, std::uint64_t offset, std::uint64_t length, std::uint64_t number) {
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
        step.into = scratch_ / "read";
        step.from = scratch_ / "write";
        const bool changes =
            kind == ActionKind::write || kind == ActionKind::zero || kind == ActionKind::trim;
        if (kind == ActionKind::write) {
            std::vector<std::uint8_t> data(length);
            fill_pattern(data, offset, first_seed + number);
            std::ofstream(step.from, std::ios::binary)
                .write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(length));
        }
        if (changes) {
            // Until it is answered it may or may not have been done.
            disk_.forget(offset, length);
        }
        Came result = came(process_->perform(step, deadline()));
        if (changes) {
            not_durable_.emplace_back(offset, length);
        }
        if (result.error) {
            return result;
        }
        if (kind == ActionKind::write) {
            disk_.write(offset, length, first_seed + number);
        } else if (kind == ActionKind::zero) {
            disk_.zero(offset, length);
        } else if (kind == ActionKind::flush) {
            not_durable_.clear();
        } else if (kind == ActionKind::read) {
            if (const auto difference = disk_.compare(step.into, 0, offset, length)) {
                result.wrong = *difference;
                result.answer = is_zeroes(step.into) ? "zeroes instead of the data" : "wrong data";
            }
        }
        return result;
    }

    Came fill(const Action& action, std::uint64_t number) {
        const std::uint64_t end = bytes(action.offset) + bytes(action.length);
        for (std::uint64_t at = bytes(action.offset); at < end; at += action.piece) {
            Came result = request(ActionKind::write, at, std::min(action.piece, end - at), number);
            if (result.error) {
                result.answer = fmt::format("{} at {}", result.error->name, at);
                return result;
            }
        }
        return {std::nullopt, fmt::format("success up to {}", end), ""};
    }

    Came change(const Action& action, std::uint64_t number) {
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

    Came convert(const Action& action, std::uint64_t number) {
        Placeholders told = values(action);
        const fs::path from = scratch_ / "from.img";
        ExportSetup source;
        source.size = bytes(action.length);
        source.filled = true;
        make_image(from, Image::raw, source, scratch_);
        told.texts["from"] = from.string();
        const Came result = came(tool(action, number, told));
        copied_.emplace(setup(true));
        disk_.forget(0, size_);
        if (!result.error) {
            disk_ = *copied_;
        }
        return result;
    }

    Came contents(const Action& action, std::uint64_t number) {
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
        const fs::path file = scratch_ / "contents.img";
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

    Came container() {
        const std::uint64_t now = fs::file_size(server_.image());
        const std::string word = now > container_ ? "grown" : now < container_ ? "shrunk" : "unchanged";
        return {ClientError{word, ErrorPlace::unknown, fmt::format("{} bytes", now)},
                now == container_ ? fmt::format("unchanged, {} bytes", now)
                                  : fmt::format("from {} to {} bytes", container_, now),
                ""};
    }

    /// Every step that writes has a pattern of its own.
    static constexpr std::uint64_t first_seed = 1000;

    const StackCase& item_;
    const StackScenario& scenario_;
    const StackPlace& place_;
    const Facts facts_;
    const fs::path logs_;
    const fs::path scratch_;
    reports::CaseResult& result_;
    std::uint64_t size_; ///< of the disk, in bytes
    DiskModel disk_;
    ServerInstance server_;
    WireRecord wire_;
    std::unique_ptr<Tap> tap_;
    std::unique_ptr<DiskProcess> process_;
    bool dead_ = false;
    std::uint64_t container_ = 0; ///< size of the server's file once the image was made, in bytes
    std::vector<std::pair<std::uint64_t, std::uint64_t>> not_durable_; ///< offset and length
    std::map<std::string, std::pair<std::uint64_t, DiskModel>> snapshots_;
    std::optional<DiskModel> copied_; ///< what a copy was to put there
    std::string current_;
};

/// Why the case cannot be carried out here, whatever came; empty if it can.
std::string not_here(const StackCase& item) {
    if (item.stack->absent) {
        return *item.stack->absent;
    }
    if (item.server == nullptr) {
        return fmt::format("{} serves no {} image", item.server_peer->name,
                           item.stack->image == Image::qcow2 ? "qcow2" : "raw");
    }
    return unmet(item.scenario->needs, item.facts());
}

} // namespace

reports::CaseResult run_stack(const StackCase& item, const StackPlace& place) {
    reports::CaseResult result;
    result.id = item.id();
    result.scenario = item.scenario_name();
    result.title = item.scenario->title;
    result.group = fmt::format("stack {}", item.stack->name);
    result.server = {item.server_peer->name, item.server == nullptr ? "default" : item.server->name};
    result.client = {item.client->peer.name, "default"};
    const auto begin = std::chrono::steady_clock::now();
    fs::path scratch;
    try {
        if (const std::string why = not_here(item); !why.empty()) {
            throw CannotDo(why);
        }
        result.folder = (fs::path("cases") / result.id).string();
        const fs::path logs = place.out / result.folder;
        fs::create_directories(logs);
        scratch = place.workspace->make_folder("k");
        StackRun(item, place, logs, scratch, result).run();
        std::tie(result.verdict, result.party) = worst(result.findings);
    } catch (const CannotDo& why) {
        std::tie(result.verdict, result.party) = worst(result.findings);
        if (result.findings.empty()) {
            result.verdict = Verdict::unsupported;
            result.reason = why.what();
            result.observations.clear();
        }
    } catch (const Interrupted&) {
        throw;
    } catch (const std::exception& error) {
        result.verdict = Verdict::error;
        result.party = Party::none;
        result.reason = error.what();
    }
    if (!scratch.empty()) {
        place.workspace->remove_folder(scratch);
    }
    for (const Finding& finding : result.findings) {
        if (finding.verdict == result.verdict) {
            result.reason = finding.message;
            break;
        }
    }
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
}

} // namespace harness
