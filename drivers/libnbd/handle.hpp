#pragma once

// One libnbd handle: one connection to a server.

#include "drivers/common/library.hpp"
#include "drivers/libnbd/options.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

struct nbd_handle;

namespace driver {

/// The requests of one step, which may be spread over several handles. It lives until the step is settled and
/// no handle can write into it any more.
struct Requests {
    explicit Requests(std::uint64_t count)
      : errors(count)
      , unanswered(0) {}

    std::vector<std::byte> data;              ///< what is written, or room for what is read
    std::vector<Extent> extents;              ///< of a block status request
    std::vector<std::optional<Error>> errors; ///< by index
    std::uint64_t unanswered;                 ///< requests that were queued and have no outcome yet
};

/// How far the handshake goes.
enum class Until {
    transmission, ///< as the switches say, up to the transmission phase
    haggling      ///< stop in option haggling, if the server knows fixed newstyle
};

/// Owns an nbd_handle. All waiting is bounded by LibnbdOptions::patience.
class Handle {
  public:
    /// Connects. `full_info` asks for the export's name and description, too. Throws Failure.
    Handle(const LibnbdOptions& options, const std::string& uri, Until until, bool full_info = false);
    ~Handle();
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    /// True in option haggling, where the three functions below may be called; they throw Failure.
    [[nodiscard]] bool haggling() const;
    void opt_info();
    void opt_go();
    [[nodiscard]] std::vector<ListedExport> opt_list();

    /// What the handshake told.
    [[nodiscard]] ExportInfo info() const;
    [[nodiscard]] bool promises_multi_conn() const;

    /// Queues a request by calling `issue`, a function nbd_aio_*, which gives a cookie or -1. A refusal
    /// becomes the outcome of the `index`-th request at once.
    void submit(const std::shared_ptr<Requests>& requests, std::uint64_t index,
                const std::function<std::int64_t(nbd_handle*)>& issue);

    /// False once the connection is closed, broken or given up.
    [[nodiscard]] bool alive() const;
    [[nodiscard]] bool awaits_reply_of(const Requests& requests) const;

    /// Closes the connection for the reason given, which becomes the outcome of all unanswered requests.
    void give_up(int number, const std::string& reason);

    /// Sends NBD_OPT_ABORT or NBD_CMD_DISC; the server is to close the connection then. False if it is gone.
    bool say_goodbye();

    [[nodiscard]] nbd_handle* get() const { return handle_.get(); }

    /// What poll(2) has to wait for on this connection: file descriptor and events; nothing if it is dead.
    struct Interest {
        int descriptor;
        short events;
    };
    [[nodiscard]] std::optional<Interest> interest() const;
    /// Lets libnbd act on what poll(2) returned, and settles the requests that are answered.
    void serve(short events);

  private:
    struct Close {
        void operator()(nbd_handle* handle) const;
    };
    struct Ticket {
        std::shared_ptr<Requests> requests;
        std::uint64_t index;
    };

    void configure(bool full_info);
    void start_connecting(const std::string& uri);
    void wait_for_handshake();
    void option(const char* name, const std::function<int(nbd_handle*, int*)>& start);
    /// Gives the requests that libnbd has an outcome for that outcome.
    void collect();
    void settle_if_dead();

    const LibnbdOptions& options_;
    std::unordered_map<std::int64_t, Ticket> tickets_; ///< by cookie
    // Declared last, so that it is closed before the buffers of its unanswered requests go.
    std::unique_ptr<nbd_handle, Close> handle_;
};

/// What serve() ended with.
enum class Wake { progress, input, silence };

/// Waits until at least one of `handles` can make progress and lets it, or until `input` (a file descriptor,
/// -1 for none) is readable, or until `patience` is over (negative for no end).
Wake serve(std::span<Handle* const> handles, int input, std::chrono::milliseconds patience);

/// How long servers get to close their connections when they are left.
inline constexpr std::chrono::milliseconds farewell{1000};

/// Says goodbye, and waits a moment for the server to close the connection.
void leave(Handle& handle);

} // namespace driver
