#include "harness/stacks/disk_process.hpp"

#include "harness/peers/error_words.hpp"
#include "harness/peers/program_client.hpp"
#include "harness/process/errors.hpp"
#include "harness/run/case_end.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <variant>

namespace harness {
namespace {

namespace json = boost::json;

/// How long a daemon that has crashed may take to be gone after its clients know.
constexpr std::chrono::milliseconds last_breath{500};

/// A server's address as QMP has it.
std::string qmp_address(const Address& address) {
    if (const auto* tcp = std::get_if<TcpAddress>(&address)) {
        return json::serialize(
            json::object{{"type", "inet"}, {"host", "127.0.0.1"}, {"port", std::to_string(tcp->port)}});
    }
    return json::serialize(
        json::object{{"type", "unix"}, {"path", std::get<UnixAddress>(address).path.string()}});
}

} // namespace

DiskProcess::DiskProcess(const StackClient& client, DiskPlace place)
  : client_(client)
  , place_(std::move(place)) {
    values_.texts["bin"] = place_.programs.string();
    values_.texts["server"] = qmp_address(place_.server);
    values_.texts["export"] = place_.export_name;
    values_.texts["format"] = place_.format;
    values_.texts["file"] = place_.file.string();
    values_.texts["socket"] = place_.socket.string();
    if (client_.daemon) {
        values_.texts["node"] = expand(
            std::string_view(place_.file.empty() ? client_.daemon->network : client_.daemon->file), values_);
    }
}

DiskProcess::~DiskProcess() = default;

void DiskProcess::note(const std::string& line) const {
    std::ofstream(place_.logs / "client-commands.txt", std::ios::app) << line << '\n';
}

ClientOutcome DiskProcess::connect(Deadline deadline) {
    Placeholders values;
    values.texts["bin"] = place_.programs.string();
    values.lists["args"] = {client_.daemon ? "raw" : place_.format};
    values.lists["read-only"] = {};
    io_ = std::make_unique<ShellClient>(client_.io, client_.io.clients.front(), values, place_.logs);
    ClientStep step;
    step.kind = StepKind::connect;
    step.uri =
        client_.daemon ? fmt::format("nbd+unix:///disk?socket={}", place_.socket.string()) : place_.place;
    return io_->perform(step, deadline);
}

ClientOutcome DiskProcess::open(Deadline deadline) {
    if (!client_.daemon) {
        return connect(deadline);
    }
    Launch launch;
    launch.argv = expand(client_.daemon->start, values_);
    launch.log = place_.logs / "daemon.log";
    launch.capture_stdout = true;
    launch.pipe_stdin = true;
    note(launch.command_line());
    daemon_.emplace(Process::start(launch));
    if (next_line(deadline).find("\"QMP\"") == std::string::npos) {
        throw std::runtime_error(fmt::format("{} does not speak QMP", client_.peer.name));
    }
    ClientOutcome outcome = send_all(client_.daemon->commands.at(ActionKind::open), values_, deadline);
    return outcome.error ? outcome : connect(deadline);
}

ClientOutcome DiskProcess::perform(const ClientStep& step, Deadline deadline) {
    ClientOutcome outcome = io_->perform(step, deadline);
    // What a daemon answers it names; whoever hears nothing any more is told of an I/O error.
    if (outcome.error && (outcome.error->name == "EIO" || outcome.error->name == "EUNKNOWN" ||
                          is_connection_error(outcome.error->name))) {
        look_after_daemon();
    }
    return outcome;
}

void DiskProcess::look_after_daemon() {
    if (!daemon_) {
        return;
    }
    if (const std::optional<Exit> exit = daemon_->wait_for(last_breath)) {
        throw ClientDied(
            fmt::format("{} was {}: {}", client_.peer.name, exit->describe(), daemon_->error_tail(500)),
            exit->signal != 0);
    }
}

ClientOutcome DiskProcess::command(ActionKind kind, Placeholders values, Deadline deadline) {
    if (!client_.daemon) {
        throw CannotDo(
            fmt::format("{} has no '{}' for an image that it has open", client_.peer.name, name(kind)));
    }
    // The export changes with the disk, so that whoever stands on it leaves and comes again.
    io_->finish(deadline);
    values.texts.insert(values_.texts.begin(), values_.texts.end());
    ClientOutcome outcome = send_all(client_.daemon->commands.at(kind), values, deadline);
    if (ClientOutcome again = connect(deadline); again.error && !outcome.error) {
        look_after_daemon();
        return again;
    }
    return outcome;
}

ClientOutcome DiskProcess::close(Deadline deadline) {
    io_->finish(deadline);
    if (!daemon_) {
        return {};
    }
    ClientOutcome outcome = send_all(client_.daemon->commands.at(ActionKind::close), values_, deadline);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const std::optional<Exit> exit = daemon_->wait_for(std::max(left, std::chrono::milliseconds(0)));
    if (!exit) {
        throw TimedOut(fmt::format("{} does not end although it was told to", client_.peer.name));
    }
    if (exit->signal != 0) {
        look_after_daemon();
    }
    return outcome;
}

ClientOutcome DiskProcess::send_all(const std::vector<std::string>& commands, const Placeholders& values,
                                    Deadline deadline) {
    ClientOutcome outcome;
    for (const std::string& command : commands) {
        if (!command.starts_with('{')) {
            if (!outcome.error) {
                wait_for_event(command, deadline);
            }
            continue;
        }
        events_.clear();
        const std::optional<ClientError> error = send(expand(std::string_view(command), values), deadline);
        if (error && !outcome.error) {
            outcome.error = error;
        }
    }
    return outcome;
}

std::string DiskProcess::next_line(Deadline deadline) {
    std::optional<std::string> line = daemon_->read_line(deadline);
    if (!line) {
        look_after_daemon();
        throw ClientDied(fmt::format("{} closed its monitor", client_.peer.name), false);
    }
    note(line->substr(0, 500));
    return *line;
}

std::optional<ClientError> DiskProcess::send(const std::string& line, Deadline deadline) {
    note(line);
    try {
        daemon_->write_line(line);
    } catch (const PeerGone&) {
        look_after_daemon();
        throw ClientDied(fmt::format("{} does not listen any more", client_.peer.name), false);
    }
    for (;;) {
        const json::value answer = json::parse(next_line(deadline));
        const json::object& object = answer.as_object();
        if (object.contains("return")) {
            return std::nullopt;
        }
        if (const json::value* event = object.if_contains("event")) {
            events_.insert(std::string(event->as_string()));
        }
        if (const json::value* error = object.if_contains("error")) {
            return error_from_words(std::string(error->as_object().at("desc").as_string()));
        }
    }
}

void DiskProcess::wait_for_event(const std::string& event, Deadline deadline) {
    // It may have come before the answer to the last command.
    while (!events_.contains(event)) {
        const json::value line = json::parse(next_line(deadline));
        const json::value* word = line.as_object().if_contains("event");
        if (word != nullptr) {
            events_.insert(std::string(word->as_string()));
        }
    }
}

} // namespace harness
