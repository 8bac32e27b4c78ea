#pragma once

#include "reference-server/backend/backend.hpp"
#include "reference-server/gateway/doubt.hpp"
#include "reference-server/gateway/inner.hpp"
#include "reference-server/gateway/lane.hpp"
#include "reference-server/gateway/resizer.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace refserver {

/// How a gateway treats its inner server.
struct GatewayOptions {
    std::string uri;
    unsigned connections = 4;               ///< at most, and one if the inner server does not allow several
    std::chrono::milliseconds reconnect{0}; ///< how long requests wait for an inner server that was lost
    std::chrono::milliseconds poll{0};      ///< how often the size is looked at; 0 for never
    std::chrono::milliseconds connect_limit{5000}; ///< for one attempt to connect
    std::chrono::milliseconds change_limit{20000}; ///< for a change of size, and for what it waits for
};

/// What another NBD server serves. The size changes through a resizer, if there is one; the inner server
/// shows its new size on new connections only, so that the gateway connects again while requests wait.
class Gateway : public Backend, private Lane::Owner {
  public:
    /// Connects. `resizer` may be null. Throws std::runtime_error with a message that says what to do.
    Gateway(GatewayOptions options, std::unique_ptr<Resizer> resizer);
    ~Gateway() override;

    /// What the inner server said when the gateway started; it has to keep to that.
    [[nodiscard]] const InnerFacts& facts() const { return promised_; }
    /// Sizes are multiples of this, in bytes.
    [[nodiscard]] std::uint32_t size_unit() const { return resizer_ ? resizer_->unit() : 1; }

    [[nodiscard]] std::uint64_t size() const override { return size_.load(std::memory_order_acquire); }
    [[nodiscard]] bool read_only() const override { return promised_.read_only; }
    [[nodiscard]] bool lends_memory() const override { return false; }
    [[nodiscard]] bool is_file() const override { return true; }
    [[nodiscard]] std::string describe() const override;
    [[nodiscard]] bool try_now(Operation& /*operation*/) override { return false; }
    void perform(Operation& operation) override;
    [[nodiscard]] bool start(Operation& operation, const std::function<void()>& done) override;
    [[nodiscard]] Failure set_size(const SizeChange& change) override;
    [[nodiscard]] Failure make_durable() override;
    void look_again() override;
    void shut_down(Clock::time_point deadline) override;

  private:
    /// Up: requests are sent. Changing: they wait, and what was sent is awaited. Down: there is no
    /// connection.
    enum class State { up, changing, down };
    struct Connected {
        InnerFacts facts;
        std::vector<std::unique_ptr<Lane>> lanes;
    };

    void answered(Request& request) override;
    void gone(Lane& lane, const std::vector<Request*>& unanswered, bool orderly,
              const std::string& why) override;

    void send_or_park(Request& request, std::vector<Request*>& failed);
    [[nodiscard]] bool refuse(Request& request);
    void park(Request& request, std::vector<Request*>& failed);
    static void finish(const std::vector<Request*>& requests);
    void lost(const std::string& why);
    void send_flush(const std::shared_ptr<Operation>& flush);
    [[nodiscard]] bool wait_until_up();
    [[nodiscard]] Failure begin_change();
    void end_change(std::unique_ptr<Connected> connected, const std::string& why_not);
    void drop_lanes();
    [[nodiscard]] std::unique_ptr<Connected> connect(const Patience& patience);
    [[nodiscard]] std::unique_ptr<Connected> connect_repeatedly(std::string& why_not);
    [[nodiscard]] Failure verify(const SizeChange& change, Failure failure);
    [[nodiscard]] Patience patience_for(std::chrono::milliseconds limit) const;
    void keep();
    void keep_once(std::unique_lock<std::mutex>& lock);
    void try_to_reconnect();
    void expire(Clock::time_point now, std::vector<Request*>& failed);
    void watch();

    const GatewayOptions options_;
    const std::unique_ptr<Resizer> resizer_;
    InnerFacts promised_;
    std::atomic<std::uint64_t> size_{0};
    std::atomic<bool> aborting_{false};

    /// Held for a whole change of size and while connecting; taken before the other one.
    std::mutex change_mutex_;
    /// Held while the fields below are touched, which is short.
    std::mutex mutex_;
    std::condition_variable changed_;
    State state_ = State::down;
    bool broken_ = false; ///< the inner server was lost while a change waited for requests
    std::string why_down_;
    std::uint64_t generation_ = 0;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::size_t next_lane_ = 0;
    std::size_t in_flight_ = 0;
    std::deque<Request*> parked_;
    Doubt doubt_;
    Clock::time_point next_try_;
    std::chrono::milliseconds pause_{0};
    Clock::time_point abort_at_ = Clock::time_point::max();

    std::thread keeper_;
    std::thread watcher_;
};

} // namespace refserver
