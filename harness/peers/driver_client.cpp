#include "harness/peers/driver_client.hpp"

#include "harness/process/errors.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <fstream>

namespace harness {
namespace {

namespace json = boost::json;

/// The version of docs/driver-protocol.md.
constexpr std::uint64_t protocol_version = 1;

/// How long a driver that is given up may take to end by itself.
constexpr std::chrono::milliseconds last_chance{500};

json::object encode(const ClientStep& step) {
    json::object line{{"id", step.id}, {"op", name(step.kind)}};
    const auto set_flags = [&] {
        if (!step.flags.empty()) {
            line["flags"] = json::array(step.flags.begin(), step.flags.end());
        }
    };
    switch (step.kind) {
    case StepKind::connect:
        line["connection"] = step.connection;
        line["uri"] = step.uri;
        break;
    case StepKind::info:
    case StepKind::list:
        line["uri"] = step.uri;
        break;
    case StepKind::read:
    case StepKind::write:
    case StepKind::zero:
    case StepKind::trim:
    case StepKind::cache:
        line["connection"] = step.connection;
        line["offset"] = step.offset;
        line["length"] = step.length;
        set_flags();
        if (step.count > 1) {
            line["count"] = step.count;
            line["stride"] = step.stride;
        }
        if (step.background) {
            line["background"] = true;
        }
        if (step.kind == StepKind::read) {
            line["into"] = step.into.string();
        }
        if (step.kind == StepKind::write) {
            line["from"] = step.from.string();
        }
        break;
    case StepKind::map:
        line["connection"] = step.connection;
        line["offset"] = step.offset;
        line["length"] = step.length;
        set_flags();
        break;
    case StepKind::flush:
        line["connection"] = step.connection;
        set_flags();
        break;
    case StepKind::grow:
        line["connection"] = step.connection;
        line["to"] = step.length;
        break;
    case StepKind::learn:
        line["connection"] = step.connection;
        break;
    case StepKind::disconnect:
        line["connection"] = step.connection;
        line["abrupt"] = step.abrupt;
        break;
    case StepKind::finish:
        line["of"] = step.of;
        break;
    default:
        throw std::logic_error(fmt::format("'{}' is no step for a client", name(step.kind)));
    }
    return line;
}

ErrorPlace place(std::string_view word) {
    if (word == "server") {
        return ErrorPlace::server;
    }
    if (word == "local") {
        return ErrorPlace::local;
    }
    if (word == "connection") {
        return ErrorPlace::connection;
    }
    if (word == "driver") {
        return ErrorPlace::driver;
    }
    throw std::runtime_error(fmt::format("'{}' is no place of an error", word));
}

ClientResult decode_result(const json::object& object) {
    ClientResult result;
    const auto boolean = [&](const char* key) -> std::optional<bool> {
        const json::value* value = object.if_contains(key);
        return value == nullptr ? std::nullopt : std::optional(value->as_bool());
    };
    if (const json::value* size = object.if_contains("size")) {
        result.size = size->to_number<std::uint64_t>();
    }
    if (const json::value* way = object.if_contains("way")) {
        result.way = way->as_string();
    }
    if (const json::value* flags = object.if_contains("flags")) {
        result.flags.emplace();
        for (const json::value& flag : flags->as_array()) {
            result.flags->emplace(flag.as_string());
        }
    }
    result.structured = boolean("structured");
    result.extended = boolean("extended");
    if (const json::value* block = object.if_contains("block")) {
        result.block = BlockSizes{block->at("minimum").to_number<std::uint64_t>(),
                                  block->at("preferred").to_number<std::uint64_t>(),
                                  block->at("maximum").to_number<std::uint64_t>()};
    }
    if (const json::value* contexts = object.if_contains("contexts")) {
        for (const json::value& context : contexts->as_array()) {
            result.contexts.emplace(context.as_string());
        }
    }
    if (const json::value* exports = object.if_contains("exports")) {
        result.exports.emplace();
        for (const json::value& item : exports->as_array()) {
            result.exports->emplace_back(item.at("name").as_string());
        }
    }
    if (const json::value* extents = object.if_contains("extents")) {
        result.extents.emplace();
        for (const json::value& item : extents->as_array()) {
            result.extents->push_back({item.at("offset").to_number<std::uint64_t>(),
                                       item.at("length").to_number<std::uint64_t>(),
                                       item.at("hole").as_bool(), item.at("zero").as_bool()});
        }
    }
    return result;
}

ClientOutcome decode(const json::object& line) {
    ClientOutcome outcome;
    if (line.at("ok").as_bool()) {
        outcome.result = decode_result(line.at("result").as_object());
        return outcome;
    }
    const json::object& error = line.at("error").as_object();
    outcome.error =
        ClientError{std::string(error.at("errno").as_string()), place(error.at("where").as_string()),
                    std::string(error.at("message").as_string())};
    return outcome;
}

Launch as_driver(Launch launch) {
    launch.capture_stdout = true;
    launch.pipe_stdin = true;
    return launch;
}

} // namespace

DriverClient::DriverClient(const Launch& launch, const std::set<std::string>& operations,
                           std::filesystem::path transcript, Deadline deadline)
  : process_(Process::start(as_driver(launch)))
  , transcript_(std::move(transcript)) {
    const std::string hello = read_line(deadline);
    std::set<std::string> offered;
    try {
        const json::value value = json::parse(hello);
        if (const auto version = value.at("protocol").to_number<std::uint64_t>();
            version != protocol_version) {
            throw std::runtime_error(fmt::format("it speaks version {} of the driver protocol, {} is needed",
                                                 version, protocol_version));
        }
        for (const json::value& operation : value.at("operations").as_array()) {
            offered.emplace(operation.as_string());
        }
    } catch (const std::exception& error) {
        throw std::runtime_error(
            fmt::format("the driver's first line is no hello ({}): {}", error.what(), hello.substr(0, 300)));
    }
    for (const std::string& operation : operations) {
        if (!offered.contains(operation)) {
            throw std::runtime_error(
                fmt::format("the driver has no '{}', which its peer file promises", operation));
        }
    }
}

DriverClient::~DriverClient() {
    // A library may have things to put away, such as the folder of a socket.
    try {
        process_.close_stdin();
        static_cast<void>(process_.wait_for(last_chance));
    } catch (const std::exception&) {
        // It is killed in any case.
    }
}

void DriverClient::note(char direction, std::string_view line) const {
    std::ofstream(transcript_, std::ios::app) << direction << ' ' << line << '\n';
}

std::string DriverClient::read_line(Deadline deadline) {
    const std::optional<std::string> line = process_.read_line(deadline);
    if (!line) {
        died(deadline);
    }
    note('<', *line);
    return *line;
}

void DriverClient::died(Deadline deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const std::optional<Exit> exit = process_.wait_for(std::max(left, std::chrono::milliseconds(0)));
    throw ClientDied(fmt::format("the driver {}{}", exit ? exit->describe() : "closed its output",
                                 [&] {
                                     const std::string tail = process_.error_tail(500);
                                     return tail.empty() ? tail : ": " + tail;
                                 }()),
                     exit && exit->signal != 0);
}

ClientOutcome DriverClient::perform(const ClientStep& step, Deadline deadline) {
    const std::string line = json::serialize(encode(step));
    note('>', line);
    try {
        process_.write_line(line);
    } catch (const PeerGone&) {
        died(deadline);
    }
    const std::string answer = read_line(deadline);
    try {
        const json::value value = json::parse(answer);
        if (value.at("id").to_number<std::uint64_t>() != step.id) {
            throw std::runtime_error("the answer is to another step");
        }
        return decode(value.as_object());
    } catch (const std::exception& error) {
        throw std::runtime_error(fmt::format("the driver broke the driver protocol ({}): {}", error.what(),
                                             answer.substr(0, 300)));
    }
}

void DriverClient::finish(Deadline deadline) {
    process_.close_stdin();
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const std::optional<Exit> exit = process_.wait_for(std::max(left, std::chrono::milliseconds(0)));
    if (!exit) {
        throw TimedOut("the driver does not end although its input was closed");
    }
    if (!exit->success()) {
        throw ClientDied(fmt::format("the driver {} when its input was closed", exit->describe()),
                         exit->signal != 0);
    }
}

} // namespace harness
