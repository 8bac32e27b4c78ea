#include "drivers/libnbd/library.hpp"

#include "drivers/libnbd/connection.hpp"
#include "drivers/libnbd/resizing.hpp"

#include <fmt/format.h>
#include <libnbd.h>

#include <cerrno>
#include <chrono>
#include <unistd.h>
#include <utility>

namespace driver {

namespace {

/// A step's requests; keeps their connection, so that they can be waited for after a disconnect.
class LibnbdBatch : public Batch {
  public:
    LibnbdBatch(std::shared_ptr<Connection> connection, std::shared_ptr<Requests> requests)
      : connection_(std::move(connection))
      , requests_(std::move(requests)) {}

    std::vector<RequestError> wait() override {
        connection_->wait_for(*requests_);
        std::vector<RequestError> errors;
        for (std::size_t i = 0; i < requests_->errors.size(); ++i)
            if (requests_->errors[i])
                errors.push_back({i, *requests_->errors[i]});
        return errors;
    }

    [[nodiscard]] std::span<const std::byte> data() const override { return requests_->data; }

  private:
    std::shared_ptr<Connection> connection_;
    std::shared_ptr<Requests> requests_;
};

} // namespace

LibnbdLibrary::LibnbdLibrary(LibnbdOptions options)
  : options_(std::move(options)) {}

LibnbdLibrary::~LibnbdLibrary() {
    for (auto& [name, connection] : connections_) {
        try {
            connection->disconnect(farewell);
        } catch (const Failure&) {
            // Nobody is left to be told.
        }
    }
}

Hello LibnbdLibrary::hello() const {
    Hello hello{"libnbd",
                libnbd_version(),
                {"connect", "info", "list", "read", "write", "zero", "trim", "cache", "flush", "map", "grow",
                 "learn", "disconnect", "finish"},
                {}};
    for (const FlagName& flag : flag_names)
        hello.flags.emplace_back(flag.name);
    return hello;
}

ExportInfo LibnbdLibrary::connect(const Connect& step) {
    connections_.erase(step.connection);
    auto connection = std::make_shared<Connection>(options_, step.uri);
    ExportInfo info = connection->info();
    connections_.emplace(step.connection, std::move(connection));
    return info;
}

ExportInfo LibnbdLibrary::info(const Info& step) {
    Handle handle(options_, step.uri, Until::haggling, true);
    if (handle.haggling()) {
        try {
            handle.opt_info();
        } catch (const Failure& error) {
            const bool lacks_info = error.error().errno_name == errno_name(ENOTSUP);
            if (!handle.haggling() || !lacks_info) {
                leave(handle);
                throw;
            }
            handle.opt_go();
        }
    }
    ExportInfo info = handle.info();
    leave(handle);
    return info;
}

std::vector<ListedExport> LibnbdLibrary::list(const List& step) {
    Handle handle(options_, step.uri, Until::haggling);
    if (!handle.haggling()) {
        leave(handle);
        throw Failure(
            {errno_name(ENOTSUP), Where::local, "listing exports needs the fixed newstyle handshake"});
    }
    std::vector<ListedExport> exports;
    try {
        exports = handle.opt_list();
    } catch (const Failure&) {
        leave(handle);
        throw;
    }
    leave(handle);
    return exports;
}

std::shared_ptr<Connection> LibnbdLibrary::find(const std::string& name) const {
    const auto found = connections_.find(name);
    if (found == connections_.end())
        refuse_step(ENOTCONN, fmt::format("there is no connection \"{}\"", name));
    return found->second;
}

std::unique_ptr<Batch> LibnbdLibrary::submit(const Transfer& step, std::vector<std::byte> data) {
    std::shared_ptr<Connection> connection = find(step.connection);
    auto requests = std::make_shared<Requests>(step.count);
    requests->data = std::move(data);
    connection->submit(step, requests);
    return std::make_unique<LibnbdBatch>(std::move(connection), std::move(requests));
}

std::unique_ptr<Batch> LibnbdLibrary::read(const Transfer& step) {
    return submit(step, std::vector<std::byte>(step.count * step.length));
}

std::unique_ptr<Batch> LibnbdLibrary::write(const Transfer& step, std::vector<std::byte> data) {
    return submit(step, std::move(data));
}

std::unique_ptr<Batch> LibnbdLibrary::zero(const Transfer& step) {
    return submit(step, {});
}

std::unique_ptr<Batch> LibnbdLibrary::trim(const Transfer& step) {
    return submit(step, {});
}

std::unique_ptr<Batch> LibnbdLibrary::cache(const Transfer& step) {
    return submit(step, {});
}

void LibnbdLibrary::flush(const Flush& step) {
    find(step.connection)->flush(step.flags);
}

std::vector<Extent> LibnbdLibrary::map(const Map& step) {
    return find(step.connection)->map(step);
}

HeldSize LibnbdLibrary::grow(const Grow& step) {
    return driver::grow(*find(step.connection), options_, step.to);
}

HeldSize LibnbdLibrary::learn(const Learn& step) {
    return driver::learn(*find(step.connection), options_);
}

void LibnbdLibrary::disconnect(const Disconnect& step) {
    const std::shared_ptr<Connection> connection = find(step.connection);
    connections_.erase(step.connection);
    if (!step.abrupt) {
        connection->disconnect(options_.patience);
        return;
    }
    for (Handle* handle : connection->handles())
        handle->give_up(ENOTCONN, "the connection was closed by an abrupt disconnect");
}

void LibnbdLibrary::idle() {
    for (;;) {
        std::vector<Handle*> handles;
        for (const auto& [name, connection] : connections_)
            handles.insert(handles.end(), connection->handles().begin(), connection->handles().end());
        if (serve(handles, STDIN_FILENO, std::chrono::milliseconds(-1)) == Wake::input)
            return;
    }
}

std::string libnbd_version() {
    nbd_handle* handle = nbd_create();
    if (!handle)
        return "unknown";
    std::string version = nbd_get_version(handle);
    nbd_close(handle);
    return version;
}

} // namespace driver
