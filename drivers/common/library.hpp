#pragma once

// What a concrete driver implements: one function for each operation of the driver protocol.

#include "drivers/common/error.hpp"
#include "drivers/common/step.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace driver {

/// The driver's first line.
struct Hello {
    std::string driver;  ///< "libnbd"
    std::string version; ///< of the library under test
    std::vector<std::string> operations;
    std::vector<std::string> flags;
};

/// Block size constraints that a server advertised, in bytes.
struct BlockSizes {
    std::uint64_t minimum = 0;
    std::uint64_t preferred = 0;
    std::uint64_t maximum = 0;
};

/// What the handshake told; what the library cannot tell has no value.
struct ExportInfo {
    std::optional<std::uint64_t> size; ///< bytes
    std::optional<std::string> export_name;
    std::optional<std::vector<std::string>> flags; ///< names of the transmission flags that are set
    std::optional<bool> structured;
    std::optional<bool> extended;
    std::optional<std::vector<std::string>> contexts;
    std::optional<BlockSizes> block;
};

/// One entry of the server's list of exports.
struct ListedExport {
    std::string name;
    std::string description; ///< empty if the server gave none
};

/// One extent of `base:allocation`.
struct Extent {
    std::uint64_t offset = 0; ///< bytes
    std::uint64_t length = 0; ///< bytes
    bool hole = false;
    bool zero = false;

    bool operator==(const Extent&) const = default;
};

/// What is held of an export's size after an attempt to change it or to learn it (RESIZE).
struct HeldSize {
    std::uint64_t size = 0; ///< bytes
    std::string way;        ///< by which way: "plain", "reconnect"; "none" if nothing was done
};

/// The error of the `index`-th request of a step.
struct RequestError {
    std::uint64_t index = 0;
    Error error;
};

/// The requests of one step, all submitted. Destroying it does not cancel them.
class Batch {
  public:
    virtual ~Batch();
    /// Waits for every reply; the errors by ascending index, none if all succeeded. Called once.
    virtual std::vector<RequestError> wait() = 0;
    /// After wait(): what was read, `count * length` bytes.
    [[nodiscard]] virtual std::span<const std::byte> data() const;
};

/// A client library. Functions report errors by throwing Failure. A transfer's errors are those of its
/// requests and come from Batch::wait(), also if the library refuses a request without sending it; only what
/// concerns the step as a whole (no connection of that name) is thrown at once.
class Library {
  public:
    virtual ~Library();

    [[nodiscard]] virtual Hello hello() const = 0;

    /// Opens the connection `step.connection`; one of that name that is still open is closed first, abruptly.
    virtual ExportInfo connect(const Connect& step) = 0;
    virtual ExportInfo info(const Info& step) = 0;
    virtual std::vector<ListedExport> list(const List& step) = 0;

    virtual std::unique_ptr<Batch> read(const Transfer& step) = 0;
    /// `data` has `count * length` bytes.
    virtual std::unique_ptr<Batch> write(const Transfer& step, std::vector<std::byte> data) = 0;
    virtual std::unique_ptr<Batch> zero(const Transfer& step) = 0;
    virtual std::unique_ptr<Batch> trim(const Transfer& step) = 0;
    virtual std::unique_ptr<Batch> cache(const Transfer& step) = 0;

    virtual void flush(const Flush& step) = 0;
    virtual std::vector<Extent> map(const Map& step) = 0;
    virtual void disconnect(const Disconnect& step) = 0;

    // What a library that knows nothing of live resize need not have: these refuse the step.
    virtual HeldSize grow(const Grow& step);
    virtual HeldSize learn(const Learn& step);

    /// Called before the loop waits for the next step. A library that makes progress only while it is called
    /// serves its connections here until standard input becomes readable.
    virtual void idle();
};

} // namespace driver
