#pragma once

#include "reference-server/net/descriptor.hpp"

#include <boost/json/object.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace refserver {

/// What the monitor of a QEMU with one block node does, as far as a change of size needs it.
class FakeMonitor {
  public:
    struct Manners {
        std::map<std::string, std::string> refuse; ///< command, and the error that it is answered with
        std::string dies_before;                   ///< command that the connection ends with instead
        std::string dies_after;                    ///< likewise, but the command has been carried out
        bool talkative = false;                    ///< events and single bytes
        bool silent = false;                       ///< accepts, and says nothing
        std::string greeting = R"({"QMP": {"version": {}, "capabilities": []}})";
    };

    FakeMonitor(std::string path, std::uint64_t size, Manners manners);
    ~FakeMonitor();
    FakeMonitor(const FakeMonitor&) = delete;
    FakeMonitor& operator=(const FakeMonitor&) = delete;

    void behave(Manners manners);
    void add_export(const std::string& id, const std::string& node);
    [[nodiscard]] std::vector<std::string> commands() const; ///< without qmp_capabilities
    [[nodiscard]] std::map<std::string, boost::json::object> exports() const;
    [[nodiscard]] std::uint64_t size() const;

  private:
    void run();
    void converse(int socket);
    [[nodiscard]] std::string answer(const std::string& command, const boost::json::object& arguments);
    void send(int socket, const std::string& text) const;

    const std::string path_;
    Descriptor listener_;
    mutable std::mutex mutex_;
    Manners manners_;
    std::uint64_t size_;
    std::map<std::string, boost::json::object> exports_;
    std::vector<std::string> commands_;
    std::atomic<bool> ending_{false};
    std::thread thread_;
};

} // namespace refserver
