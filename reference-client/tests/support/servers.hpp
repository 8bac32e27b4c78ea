#pragma once

// NBD servers for tests: installed ones, and scripted ones inside the test.

#include "protocol/codec.hpp"
#include "protocol/uri.hpp"
#include "reference-client/tests/support/process.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace refclient::testing {

/// A server that serves one raw image.
class RunningServer {
  public:
    [[nodiscard]] const std::string& uri() const { return uri_; }
    [[nodiscard]] Process& process() { return process_; }

  private:
    friend class ServerKind;
    RunningServer(std::unique_ptr<TemporaryFolder> folder, Process process, std::string uri)
      : folder_(std::move(folder))
      , process_(std::move(process))
      , uri_(std::move(uri)) {}
    std::unique_ptr<TemporaryFolder> folder_;
    Process process_;
    std::string uri_;
};

/// How to start one of the servers.
class ServerKind {
  public:
    using Command = std::function<std::vector<std::string>(const TemporaryFolder&, const std::string& image,
                                                           const std::string& socket)>;
    ServerKind(std::string name, std::string program, std::string export_name, Command command)
      : name_(std::move(name))
      , program_(std::move(program))
      , export_name_(std::move(export_name))
      , command_(std::move(command)) {}

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] bool installed() const { return !find_program(program_).empty(); }
    /// Starts it on an image file and waits until it accepts connections.
    [[nodiscard]] RunningServer start(const std::string& image) const;

  private:
    std::string name_;
    std::string program_;
    std::string export_name_;
    Command command_;
};

/// For messages of the test framework.
inline void PrintTo(const ServerKind& kind, std::ostream* out) {
    *out << kind.name();
}

/// nbdkit (also without structured replies, and oldstyle), qemu-nbd, nbd-server, nbd-resize-server.
[[nodiscard]] const std::vector<ServerKind>& server_kinds();
[[nodiscard]] const ServerKind& server_kind(std::string_view name);

/// A server of one connection that does what a function says, in a thread of its own.
class ScriptedServer {
  public:
    /// What the function has to talk with. Ends of the connection are reported, never raised.
    class Peer {
      public:
        explicit Peer(int descriptor)
          : descriptor_(descriptor) {}
        void send(nbd::Bytes bytes) const;
        /// So many bytes, or fewer if the connection ends.
        [[nodiscard]] nbd::Buffer receive(std::size_t count) const;
        /// Everything up to the end.
        [[nodiscard]] nbd::Buffer receive_all() const;
        /// Greets and answers NBD_OPT_GO (asked for with simple replies and the empty name): an export of
        /// this size with these transmission flags.
        void shake_hands(std::uint64_t size, std::uint16_t flags) const;

        /// What a server offers in a handshake.
        struct Offer {
            std::uint64_t size = 1048576; ///< in bytes
            std::uint16_t flags = 1;      ///< transmission flags
            bool structured = true;       ///< structured replies, but no extended headers
            std::string resize{}; ///< NBD_INFO_RESIZE in hexadecimal, the type left out; empty: not sent
            std::string block{};  ///< NBD_INFO_BLOCK_SIZE likewise
            std::string resize_before{}; ///< `resize` in the answer to NBD_OPT_INFO
        };
        /// Greets and answers options, whichever they are, until NBD_OPT_GO is answered.
        void shake_hands(const Offer& offer) const;

      private:
        int descriptor_;
    };

    explicit ScriptedServer(std::function<void(const Peer&)> script);
    ~ScriptedServer();
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    [[nodiscard]] nbd::Uri uri() const;
    /// Waits for the script to end.
    void join();

  private:
    TemporaryFolder folder_;
    int listening_ = -1;
    std::thread thread_;
};

} // namespace refclient::testing
