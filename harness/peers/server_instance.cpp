#include "harness/peers/server_instance.hpp"

#include "harness/catalogue/placeholders.hpp"
#include "harness/peers/image.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/marker.hpp"
#include "harness/process/process.hpp"
#include "harness/process/socket.hpp"

#include <fmt/format.h>

#include <csignal>
#include <fstream>

namespace harness {
namespace {

/// How long a server may take to end after SIGTERM.
constexpr std::chrono::seconds stop_grace{3};
constexpr std::chrono::seconds kill_patience{5};

/// Every process of a server carries its scratch folder in this environment variable.
constexpr const char* mark_variable = "NBD_INTEROP_SERVER";

/// Bytes that a URI's path can hold as they are (RFC 3986, unreserved).
bool is_unreserved(unsigned char byte) {
    return std::isalnum(byte) != 0 || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

std::string percent_encode(const std::string& text) {
    std::string result;
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (is_unreserved(byte)) {
            result += character;
        } else {
            result += fmt::format("%{:02X}", byte);
        }
    }
    return result;
}

} // namespace

ServerInstance::ServerInstance(const Peer& peer, const ServerVariant& variant, bool read_only,
                               ServerPlace place)
  : peer_(peer)
  , variant_(variant)
  , read_only_(read_only)
  , place_(std::move(place))
  , socket_(place_.scratch / "s")
  , behind_socket_(place_.scratch / "b")
  , mark_(place_.scratch.string()) {}

ServerInstance::~ServerInstance() {
    kill();
}

void ServerInstance::prepare(const ExportSetup& setup) {
    size_ = setup.size;
    if (variant_.image != Image::none) {
        image_ = place_.scratch / (variant_.image == Image::qcow2 ? "disk.qcow2" : "disk.img");
        std::filesystem::remove(image_); // somebody may still have the last one open
        make_image(image_, variant_.image, setup, place_.scratch);
    }
}

void ServerInstance::start(const std::filesystem::path& logs,
                           std::chrono::steady_clock::time_point deadline) {
    Placeholders values;
    values.texts["bin"] = place_.programs.string();
    values.texts["socket"] = socket_.string();
    values.texts["behind"] = behind_socket_.string();
    values.texts["image"] = image_.string();
    values.texts["format"] = variant_.image == Image::qcow2 ? "qcow2" : "raw";
    values.texts["size"] = std::to_string(size_);
    values.texts["export"] = variant_.export_name;
    values.texts["folder"] = place_.scratch.string();
    values.lists["args"] = variant_.args;
    values.lists["parameters"] = variant_.parameters;
    values.lists["read-only"] =
        read_only_ ? variant_.read_only.value_or(std::vector<std::string>{}) : variant_.writable;
    values.texts["read-only-text"] = read_only_ ? "true" : "false";

    Launch launch;
    launch.env = variant_.env;
    launch.env[mark_variable] = mark_;
    launch.log = logs / "server.log";
    Listener listener;
    std::optional<ReservedPort> port;
    Address address = UnixAddress{socket_};
    switch (variant_.listen) {
    case Listen::socket_activation:
        std::filesystem::remove(socket_);
        listener = listen_unix(socket_);
        launch.listen_fd = listener.fd.get();
        break;
    case Listen::unix_socket:
        std::filesystem::remove(socket_);
        break;
    case Listen::tcp:
        port.emplace();
        port_ = port->number();
        values.texts["port"] = std::to_string(port_);
        address = TcpAddress{port_};
        break;
    }
    for (const auto& [name, contents] : variant_.files) {
        const std::filesystem::path file = place_.scratch / name;
        std::ofstream(file) << expand(std::string_view(contents), values);
        values.texts["file:" + name] = file.string();
    }
    if (!variant_.behind.empty()) {
        std::filesystem::remove(behind_socket_);
        Launch first = launch;
        first.listen_fd = -1;
        first.log = logs / "behind.log";
        first.argv = expand(variant_.behind, values);
        std::ofstream(logs / "server-command.txt", std::ios::app) << first.command_line() << '\n';
        behind_ = std::make_unique<Process>(Process::start(first));
        wait_until_ready(UnixAddress{behind_socket_}, deadline, *behind_, "what is behind " + peer_.name);
    }
    launch.argv = expand(variant_.start, values);
    std::ofstream(logs / "server-command.txt", std::ios::app) << launch.command_line() << '\n';
    process_ = std::make_unique<Process>(Process::start(launch));
    if (variant_.listen == Listen::socket_activation) {
        return; // the socket takes connections already; whether the server does, the first of them will show
    }
    wait_until_ready(address, deadline, *process_, peer_.name);
}

void ServerInstance::wait_until_ready(const Address& address, std::chrono::steady_clock::time_point deadline,
                                      Process& process, const std::string& name) const {
    switch (wait_until_accepting(address, deadline, &process)) {
    case Readiness::ready:
        return;
    case Readiness::exited: {
        const Exit exit = process.stop(stop_grace);
        throw ServerFailed(exit.signal != 0 ? ServerFailed::How::crashed : ServerFailed::How::no_start,
                           fmt::format("{} {} before it took connections: {}", name, exit.describe(),
                                       process.error_tail(500)));
    }
    case Readiness::timed_out:
        throw ServerFailed(ServerFailed::How::hangs,
                           fmt::format("{} runs, but takes no connections at {}", name, describe(address)));
    }
}

Address ServerInstance::address() const {
    return variant_.listen == Listen::tcp ? Address(TcpAddress{port_}) : Address(UnixAddress{socket_});
}

std::string ServerInstance::uri(const std::optional<std::string>& export_name) const {
    return uri(export_name, address());
}

std::string ServerInstance::uri(const std::optional<std::string>& export_name, const Address& through) const {
    const std::string path = percent_encode(export_name.value_or(variant_.export_name));
    if (const auto* tcp = std::get_if<TcpAddress>(&through)) {
        return fmt::format("nbd://127.0.0.1:{}/{}", tcp->port, path);
    }
    return fmt::format("nbd+unix:///{}?socket={}", path, std::get<UnixAddress>(through).path.string());
}

void ServerInstance::kill() {
    if (process_) {
        process_->kill_group(SIGKILL);
        process_->stop(stop_grace);
        process_.reset();
        if (variant_.daemon) {
            kill_marked(mark_variable, mark_, kill_patience);
        }
    }
    if (behind_) {
        behind_->kill_group(SIGKILL);
        behind_->stop(stop_grace);
        behind_.reset();
    }
}

bool ServerInstance::running() {
    return process_ && process_->running();
}

std::optional<Exit> ServerInstance::ended(std::chrono::milliseconds patience) {
    return process_ ? process_->wait_for(patience) : std::nullopt;
}

Exit ServerInstance::stop() {
    if (!process_) {
        return {};
    }
    const Exit exit = process_->stop(stop_grace);
    process_.reset();
    if (variant_.daemon) {
        kill_marked(mark_variable, mark_, kill_patience);
    }
    if (behind_) {
        behind_->stop(stop_grace);
        behind_.reset();
    }
    return exit;
}

std::string ServerInstance::last_words() const {
    return process_ ? process_->error_tail(500) : "";
}

} // namespace harness
