#pragma once

#include "harness/peers/server_instance.hpp"
#include "harness/run/wire_record.hpp"
#include "reports/result.hpp"

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace harness {

/// A server did not start, or ended by itself.
class ServerTrouble : public std::runtime_error {
  public:
    ServerTrouble(reports::Verdict verdict, const std::string& what)
      : std::runtime_error(what)
      , verdict_(verdict) {}
    [[nodiscard]] reports::Verdict verdict() const { return verdict_; }

  private:
    reports::Verdict verdict_;
};

/// The server of a case with the wire judge before it. It starts when it is first needed, and again after it
/// was stopped.
class JudgedServer {
  public:
    /// `title` is the case's. Not `judged`: clients connect to the server itself.
    JudgedServer(const Peer& peer, const ServerVariant& variant, const ServerPlace& place,
                 std::filesystem::path logs, const std::string& title, bool judged);

    /// Makes the server's image, of a raw one with zeroes of `size` bytes.
    void prepare(std::uint64_t size);
    /// Throws ServerTrouble.
    void need();
    /// Throws ServerTrouble if it has ended by itself, or does so within `patience`.
    void check(std::chrono::milliseconds patience);
    /// Ends it; nothing happens if it does not run. Throws ServerTrouble if it dies of that.
    void stop();

    [[nodiscard]] Address address() const;
    [[nodiscard]] std::string uri() const;
    [[nodiscard]] const std::string& export_name() const { return server_.export_name(); }
    [[nodiscard]] const std::filesystem::path& image() const { return server_.image(); }

    /// What the judge has found, and why it could not judge everything. Only after `stop`.
    [[nodiscard]] std::vector<WireFinding> findings();
    [[nodiscard]] std::vector<std::string> not_judged() const { return wire_.not_judged(); }

  private:
    std::filesystem::path scratch_;
    std::filesystem::path logs_;
    bool judged_;
    ServerInstance server_;
    WireRecord wire_;
    std::unique_ptr<Tap> tap_;
};

} // namespace harness
