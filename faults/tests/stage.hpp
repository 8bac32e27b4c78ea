#pragma once

// A client, the reference server and, between them, a twist; without sockets. The wire judge looks on.

#include "faults/exchange.hpp"
#include "harness/wire/judge.hpp"
#include "reference-server/export.hpp"
#include "reference-server/session/session.hpp"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace faults::testing {

/// How the server is set up. Its export is called "disk" and is the default export; 2 MiB: a first half in
/// which every other sector is full of bytes, and a hole.
struct Setting {
    bool read_only = false;
    bool tell_block_sizes = true;
    refserver::ReplyStyle most = refserver::ReplyStyle::extended;
};

inline constexpr std::uint64_t disk_size = std::uint64_t{2} << 20;

class Stage : public wire::JudgeObserver {
  public:
    Stage(const Recipe& recipe, const Setting& setting);
    ~Stage() override;

    /// The client sends this, and both sides do what they have to do.
    Stage& say(const nbd::Buffer& bytes);
    Stage& say(const Message& message) { return say(encode(message)); }
    /// The client closes the connection.
    void leave();

    /// What reached the client, and in what way; and what reached the server.
    [[nodiscard]] const std::string& seen_by_client() const { return seen_by_client_; }
    [[nodiscard]] const std::string& seen_by_server() const { return seen_by_server_; }
    /// What the judge holds against the server.
    [[nodiscard]] const std::set<std::string>& broken() const { return broken_; }
    [[nodiscard]] const std::vector<std::string>& explained() const { return explained_; }
    /// The handshake flags of the greeting, as the client got it.
    [[nodiscard]] std::uint16_t offered() const { return offered_; }

    void violation(const wire::Violation& violation) override;

  private:
    void settle();
    void serve();
    bool to_server();
    bool to_client();
    void look_for_greeting(const nbd::Buffer& bytes);

    refserver::BufferPool pool_;
    std::shared_ptr<refserver::Export> export_;
    refserver::SingleExport catalogue_;
    refserver::SessionOptions options_;
    refserver::Trace trace_;
    std::unique_ptr<refserver::Session> session_;
    Exchange exchange_;
    wire::KnownSizes sizes_;
    wire::Judge judge_;
    std::string seen_by_client_;
    std::string seen_by_server_;
    std::set<std::string> broken_;
    std::vector<std::string> explained_;
    nbd::Buffer greeting_;
    std::uint16_t offered_ = 3; ///< what a client takes for granted while there is no greeting
    bool server_ended_ = false;
    bool over_ = false; ///< the client can neither send nor receive
};

} // namespace faults::testing
