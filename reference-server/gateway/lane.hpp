#pragma once

#include "reference-server/gateway/inner.hpp"
#include "reference-server/gateway/request.hpp"
#include "reference-server/net/descriptor.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

namespace refserver {

/// One connection to the inner server with a thread of its own; many requests are in flight on it.
class Lane {
  public:
    /// Is told what becomes of requests, in the lane's thread.
    class Owner {
      public:
        Owner() = default;
        Owner(const Owner&) = delete;
        Owner& operator=(const Owner&) = delete;
        virtual ~Owner() = default;
        /// The request was answered, with success or an error.
        virtual void answered(Request& request) = 0;
        /// The connection is over, and these were not answered; `orderly` if that was asked for.
        virtual void gone(Lane& lane, const std::vector<Request*>& unanswered, bool orderly,
                          const std::string& why) = 0;
    };

    /// The owner outlives the lane. Throws std::system_error.
    Lane(InnerHandle handle, const InnerFacts& facts, std::uint64_t generation, Owner& owner);
    /// Like `stop`.
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    /// Sends the request; false if the connection is over, and the request stays the caller's.
    [[nodiscard]] bool submit(Request& request);
    /// Begins what `stop` waits for.
    void begin_stop();
    /// Leaves the inner server, gives back what it has not answered, and waits for all of that. Not to be
    /// called in the lane's thread.
    void stop();
    /// Counts the times that the gateway connected.
    [[nodiscard]] std::uint64_t generation() const { return generation_; }

  private:
    void run();
    void wake() const;
    void issue(Request& request);
    std::int64_t send_part(Request& request, nbd_completion_callback done) const;
    void settle();
    void settle(Request& request, int error);
    void wait_for_events();
    void end(bool orderly);

    InnerHandle handle_;
    const InnerFacts facts_;
    const std::uint64_t generation_;
    const std::uint64_t largest_payload_;
    Owner& owner_;
    const Descriptor wake_;
    std::mutex mutex_;
    std::vector<Request*> inbox_; ///< under the mutex, like the two below
    bool stopping_ = false;
    bool over_ = false;
    std::unordered_set<Request*> outstanding_;      ///< only the lane's thread, like what follows
    std::vector<std::pair<Request*, int>> answers_; ///< with the error number
    std::string why_;
    std::thread thread_;
};

/// The protocol's error for an error number of libnbd.
[[nodiscard]] nbd::Error from_inner_errno(int number);

} // namespace refserver
