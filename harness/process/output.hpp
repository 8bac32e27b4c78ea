#pragma once

#include "harness/process/fd.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace harness {

/// Where a child's output goes. Called by one thread at a time.
class OutputSink {
  public:
    OutputSink() = default;
    OutputSink(const OutputSink&) = delete;
    OutputSink& operator=(const OutputSink&) = delete;
    virtual ~OutputSink() = default;
    /// Takes what was read, whatever becomes of it: a child must never wait because of a full log.
    virtual void take(std::string_view bytes) = 0;
};

/// A log file with a limit. Output beyond it is dropped, and one line in the log says so.
class LogFile : public OutputSink {
  public:
    /// Opens `path` for appending. Throws LaunchError.
    LogFile(const std::filesystem::path& path, std::uint64_t limit);
    void take(std::string_view bytes) override;
    /// The last `max` bytes of what was written here through this object.
    [[nodiscard]] std::string tail(std::size_t max) const;

  private:
    void write(std::string_view bytes);

    UniqueFd file_;
    std::uint64_t limit_;
    std::uint64_t begin_ = 0;    // the size of the file when it was opened
    std::uint64_t received_ = 0; // bytes taken, dropped ones included
    int error_ = 0;              // errno of the first write that failed; nothing is written after it
};

/// Captured output, kept until it is taken; beyond the limit it is dropped and overflowed() tells.
class Capture : public OutputSink {
  public:
    explicit Capture(std::uint64_t limit)
      : limit_(limit) {}
    void take(std::string_view bytes) override;
    [[nodiscard]] bool overflowed() const { return overflowed_; }
    [[nodiscard]] std::uint64_t limit() const { return limit_; }
    /// The next line, without its newline; nothing if none is complete yet.
    std::optional<std::string> next_line();
    /// Everything up to and including the next `marker`; nothing if it is not there yet.
    std::optional<std::string> next_until(std::string_view marker);
    /// Everything not yet taken.
    std::string rest();

  private:
    std::string cut(std::size_t length, std::size_t also_skip);

    std::uint64_t limit_;
    bool overflowed_ = false;
    std::string bytes_;
    std::size_t begin_ = 0;   // bytes_ before it were taken
    std::size_t scanned_ = 0; // no newline between begin_ and here
};

/// Reads the other end of a child's output pipe, in the background: one thread does so for all children, such
/// that a child that nobody waits for just now does not stop because a pipe is full.
class OutputReader : public std::enable_shared_from_this<OutputReader> {
  public:
    /// `sink` has to outlive the reader's close().
    static std::shared_ptr<OutputReader> start(UniqueFd pipe, OutputSink& sink);
    virtual ~OutputReader() = default;
    OutputReader(const OutputReader&) = delete;
    OutputReader& operator=(const OutputReader&) = delete;

    /// Held while somebody uses the sink.
    [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

    /// While it lives, only its owner reads the pipe; the background thread keeps off.
    class Hold {
      public:
        explicit Hold(OutputReader& reader);
        ~Hold();
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;

      private:
        OutputReader& reader_;
    };

    /// Reads what is there now, without waiting, and a bounded amount of it. With lock() held.
    virtual void drain() = 0;
    /// The child and its descendants have closed the pipe, and all was read. With lock() held.
    [[nodiscard]] virtual bool at_end() const = 0;
    /// For poll(); -1 at the end. With lock() held.
    [[nodiscard]] virtual int descriptor() = 0;
    /// Reads what is there and stops reading for good. Takes the lock.
    virtual void close() = 0;

  protected:
    OutputReader() = default;
    virtual void resume() = 0; // with the lock held

    std::mutex mutex_;
    bool held_ = false;
};

} // namespace harness
