#include "reference-server/gateway/tests/fake_monitor.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>

#include <array>
#include <cstring>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace refserver {
namespace {

namespace json = boost::json;

std::string refusal(const std::string& text) {
    return json::serialize(json::object{{"error", {{"class", "GenericError"}, {"desc", text}}}});
}

std::string result(json::value value) {
    return json::serialize(json::object{{"return", std::move(value)}});
}

} // namespace

FakeMonitor::FakeMonitor(std::string path, std::uint64_t size, Manners manners)
  : path_(std::move(path))
  , listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))
  , manners_(std::move(manners))
  , size_(size) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(static_cast<char*>(address.sun_path), path_.data(), path_.size());
    ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::listen(listener_.get(), 4);
    thread_ = std::thread([this] { run(); });
}

FakeMonitor::~FakeMonitor() {
    ending_ = true;
    thread_.join();
    ::unlink(path_.c_str());
}

void FakeMonitor::behave(Manners manners) {
    const std::lock_guard lock(mutex_);
    manners_ = std::move(manners);
    commands_.clear();
}

void FakeMonitor::add_export(const std::string& id, const std::string& node) {
    const std::lock_guard lock(mutex_);
    exports_[id] = {{"id", id}, {"node-name", node}, {"type", "nbd"}};
}

std::vector<std::string> FakeMonitor::commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
}

std::map<std::string, json::object> FakeMonitor::exports() const {
    const std::lock_guard lock(mutex_);
    return exports_;
}

std::uint64_t FakeMonitor::size() const {
    const std::lock_guard lock(mutex_);
    return size_;
}

void FakeMonitor::run() {
    while (!ending_) {
        pollfd waiting{listener_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, 20) > 0) {
            const Descriptor socket(::accept(listener_.get(), nullptr, nullptr));
            converse(socket.get());
        }
    }
}

void FakeMonitor::send(int socket, const std::string& text) const {
    bool talkative = false;
    {
        const std::lock_guard lock(mutex_);
        talkative = manners_.talkative;
    }
    if (!talkative) {
        (void)::send(socket, (text + "\r\n").data(), text.size() + 2, MSG_NOSIGNAL);
        return;
    }
    for (const char byte : R"({"event": "NOISE", "data": {}})"
                           "\r\n"
                           R"({"return": {}, "id": "of somebody before"})"
                           "\r\n" +
                               text + "\r\n") {
        (void)::send(socket, &byte, 1, MSG_NOSIGNAL);
    }
}

void FakeMonitor::converse(int socket) {
    std::string greeting;
    {
        const std::lock_guard lock(mutex_);
        greeting = manners_.silent ? "" : manners_.greeting;
    }
    if (!greeting.empty()) {
        greeting += "\r\n";
        (void)::send(socket, greeting.data(), greeting.size(), MSG_NOSIGNAL);
    }
    std::string input;
    while (!ending_) {
        pollfd waiting{socket, POLLIN, 0};
        if (::poll(&waiting, 1, 20) <= 0) {
            continue;
        }
        std::array<char, 4096> part;
        const ssize_t got = ::recv(socket, part.data(), part.size(), 0);
        if (got <= 0) {
            return;
        }
        input.append(part.data(), static_cast<std::size_t>(got));
        for (auto end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
            const json::object message = json::parse(std::string_view(input).substr(0, end)).as_object();
            input.erase(0, end + 1);
            const std::string command(message.at("execute").as_string());
            Manners manners;
            {
                const std::lock_guard lock(mutex_);
                manners = manners_;
            }
            if (command == manners.dies_before) {
                return;
            }
            const json::value* arguments = message.if_contains("arguments");
            const std::string text =
                answer(command, arguments != nullptr ? arguments->as_object() : json::object());
            json::object identified = json::parse(text).as_object();
            if (const json::value* id = message.if_contains("id")) {
                identified["id"] = *id;
            }
            if (command == manners.dies_after) {
                return;
            }
            send(socket, json::serialize(identified));
        }
    }
}

std::string FakeMonitor::answer(const std::string& command, const json::object& arguments) {
    const std::lock_guard lock(mutex_);
    if (command == "qmp_capabilities") {
        return result(json::object());
    }
    commands_.push_back(command);
    if (const auto refused = manners_.refuse.find(command); refused != manners_.refuse.end()) {
        return refusal(refused->second);
    }
    if (command == "query-block-exports") {
        json::array all;
        for (const auto& entry : exports_) {
            all.push_back(json::object{{"id", entry.first},
                                       {"node-name", entry.second.at("node-name")},
                                       {"type", "nbd"},
                                       {"shutting-down", false}});
        }
        return result(std::move(all));
    }
    if (command == "query-named-block-nodes") {
        return result(json::array{json::object{{"node-name", "f0"}, {"image", {{"virtual-size", 1}}}},
                                  json::object{{"node-name", "n0"}, {"image", {{"virtual-size", size_}}}}});
    }
    if (command == "block-export-del") {
        return exports_.erase(std::string(arguments.at("id").as_string())) == 0 ? refusal("not found")
                                                                                : result(json::object());
    }
    if (command == "block-export-add") {
        exports_[std::string(arguments.at("id").as_string())] = arguments;
        return result(json::object());
    }
    if (command == "block_resize") {
        if (!exports_.empty()) {
            return refusal("Permission conflict");
        }
        size_ = json::value_to<std::uint64_t>(arguments.at("size"));
        return result(json::object());
    }
    return refusal("unknown command");
}

} // namespace refserver
