#pragma once

// The reference server on an image file, as something that can die.

#include "protocol/uri.hpp"
#include "reference-client/tests/support/process.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace refclient::mount::testing {

/// A server of a raw image that is full of dots at first.
class FileServer {
  public:
    /// `options` are those of the command line; the image has `size` bytes.
    FileServer(std::vector<std::string> options, std::uint64_t size);

    /// Starts it and waits until it takes connections.
    void start();
    /// Kills it at once.
    void kill() { process_->kill(); }
    [[nodiscard]] const nbd::Uri& uri() const { return uri_; }
    [[nodiscard]] std::string image() const { return folder_.file("image"); }

  private:
    refclient::testing::TemporaryFolder folder_;
    std::vector<std::string> options_;
    nbd::Uri uri_;
    std::optional<refclient::testing::Process> process_;
};

} // namespace refclient::mount::testing
