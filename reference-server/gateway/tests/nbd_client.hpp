#pragma once

// Clients of the gateway: libnbd for data, the reference client for sizes.

#include "reference-server/tests/process.hpp"

#include <libnbd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace refserver {

/// A connection of libnbd. Calls return 0 or an error number.
class NbdClient {
  public:
    NbdClient() = default;
    [[nodiscard]] int connect(const std::string& uri);
    [[nodiscard]] int read(std::uint64_t offset, std::vector<std::uint8_t>& into) const;
    [[nodiscard]] int write(std::uint64_t offset, const std::vector<std::uint8_t>& from,
                            std::uint32_t flags = 0) const;
    [[nodiscard]] int flush() const;
    [[nodiscard]] nbd_handle* handle() const { return handle_.get(); }

  private:
    struct Close {
        void operator()(nbd_handle* handle) const { ::nbd_close(handle); }
    };
    std::unique_ptr<nbd_handle, Close> handle_;
};

/// Runs the reference client, "size", "grow", …; `options` come first.
[[nodiscard]] Result nbd_resize_client(const Folder& folder, const std::string& uri,
                                       const std::vector<std::string>& command,
                                       const std::vector<std::string>& options = {});
/// The size that a new connection is told, in bytes.
[[nodiscard]] std::uint64_t size_at(const std::string& uri);
/// True if all bytes of [from, to) are as given.
[[nodiscard]] bool all_bytes_are(const std::string& uri, std::uint64_t from, std::uint64_t to,
                                 std::uint8_t value);

} // namespace refserver
