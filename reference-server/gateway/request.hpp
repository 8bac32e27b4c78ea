#pragma once

#include "reference-server/backend/operation.hpp"

#include <chrono>
#include <cstdint>
#include <functional>

namespace refserver {

class Lane;

/// An operation on its way to the inner server, in one part or several, one after another.
struct Request {
    Operation* operation = nullptr;
    std::function<void()> done;
    Lane* lane = nullptr;
    std::uint64_t completed = 0; ///< bytes of the parts that were answered
    std::uint64_t part = 0;      ///< bytes of the part that was sent
    std::uint64_t moment = 0;    ///< flush: what it covers (Doubt)
    /// While it waits for a connection: when it fails.
    std::chrono::steady_clock::time_point give_up = std::chrono::steady_clock::time_point::max();

    /// As if it had never been sent.
    void start_over() {
        completed = 0;
        operation->extents.clear();
        operation->pieces.clear();
    }
};

} // namespace refserver
