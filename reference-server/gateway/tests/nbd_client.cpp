#include "reference-server/gateway/tests/nbd_client.hpp"

#include <algorithm>
#include <cerrno>

namespace refserver {
namespace {

int outcome(int returned) {
    const int number = ::nbd_get_errno();
    return returned == 0 ? 0 : number != 0 ? number : EIO;
}

} // namespace

int NbdClient::connect(const std::string& uri) {
    handle_.reset(::nbd_create());
    ::nbd_add_meta_context(handle_.get(), "base:allocation");
    return outcome(::nbd_connect_uri(handle_.get(), uri.c_str()));
}

int NbdClient::read(std::uint64_t offset, std::vector<std::uint8_t>& into) const {
    return outcome(::nbd_pread(handle_.get(), into.data(), into.size(), offset, 0));
}

int NbdClient::write(std::uint64_t offset, const std::vector<std::uint8_t>& from, std::uint32_t flags) const {
    return outcome(::nbd_pwrite(handle_.get(), from.data(), from.size(), offset, flags));
}

int NbdClient::flush() const {
    return outcome(::nbd_flush(handle_.get(), 0));
}

Result nbd_resize_client(const Folder& folder, const std::string& uri,
                         const std::vector<std::string>& command, const std::vector<std::string>& options) {
    std::vector<std::string> words{std::string(NBD_BIN_DIR) + "/nbd-resize-client"};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(command.front());
    words.push_back(uri);
    words.insert(words.end(), command.begin() + 1, command.end());
    return run(words, folder);
}

std::uint64_t size_at(const std::string& uri) {
    NbdClient client;
    return client.connect(uri) == 0 ? static_cast<std::uint64_t>(::nbd_get_size(client.handle())) : 0;
}

bool all_bytes_are(const std::string& uri, std::uint64_t from, std::uint64_t to, std::uint8_t value) {
    constexpr std::uint64_t part = 1 << 20;
    NbdClient client;
    if (client.connect(uri) != 0) {
        return false;
    }
    for (std::uint64_t at = from; at < to; at += part) {
        std::vector<std::uint8_t> bytes(std::min(part, to - at));
        if (client.read(at, bytes) != 0 ||
            std::any_of(bytes.begin(), bytes.end(), [value](std::uint8_t byte) { return byte != value; })) {
            return false;
        }
    }
    return true;
}

} // namespace refserver
