#pragma once

// `nbd-resize-client mount` in a process of its own.

#include "reference-client/tests/support/process.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace refclient::mount::testing {

/// Why tests that mount are skipped here; empty where they can run. What they mount is in a mount namespace
/// of the test's own where it may have one, so that nothing stays even if the test dies.
[[nodiscard]] std::string why_no_mount();

/// An export that is mounted over a file until this is destroyed.
class Mounted {
  public:
    /// Waits until the file is there. Throws std::runtime_error with what the program said where it ends
    /// before.
    explicit Mounted(const std::string& uri, const std::vector<std::string>& options = {});
    ~Mounted();
    Mounted(const Mounted&) = delete;
    Mounted& operator=(const Mounted&) = delete;

    [[nodiscard]] std::string path() const { return folder_.file("disk"); }
    [[nodiscard]] bool mounted() const;
    /// What it said on standard error.
    [[nodiscard]] std::string log() const;
    [[nodiscard]] refclient::testing::Process& process() { return process_; }
    /// Unmounts, and waits for the program: its exit status.
    [[nodiscard]] int unmount();

  private:
    refclient::testing::TemporaryFolder folder_;
    refclient::testing::Process process_;
};

/// Tests that need FUSE.
class Mounting : public ::testing::Test {
  protected:
    void SetUp() override {
        if (const std::string why = why_no_mount(); !why.empty()) {
            GTEST_SKIP() << why;
        }
    }
};

} // namespace refclient::mount::testing
