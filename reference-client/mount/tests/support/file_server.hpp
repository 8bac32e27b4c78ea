#pragma once

// Servers of an image file, as something that can die.

#include "protocol/uri.hpp"
#include "reference-client/tests/support/process.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace refclient::mount::testing {

/// A server of a raw image.
class FileServer {
  public:
    /// The reference server. `options` are those of the command line; the image has `size` bytes, all dots.
    FileServer(const std::vector<std::string>& options, std::uint64_t size);
    /// A server that forgets everything that was not flushed when it dies, on an image that is empty but
    /// long: nbdkit with a cache in front of the file.
    [[nodiscard]] static FileServer forgetful(std::uint64_t size);

    /// Starts it and waits until it takes connections.
    void start();
    /// Kills it at once.
    void kill() { process_->kill(); }
    [[nodiscard]] const nbd::Uri& uri() const { return uri_; }
    [[nodiscard]] std::string image() const { return folder_->file("image"); }

  private:
    FileServer();

    std::unique_ptr<refclient::testing::TemporaryFolder> folder_;
    nbd::Uri uri_;
    std::vector<std::string> command_;
    std::optional<refclient::testing::Process> process_;
};

} // namespace refclient::mount::testing
