#pragma once

// A session with a disk, talked to in bytes.

#include "protocol/codec.hpp"
#include "reference-server/backend/memory.hpp"
#include "reference-server/export.hpp"
#include "reference-server/session/session.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace refserver {

/// Bytes as they are written by hand: hexadecimal digits, spaces to group them, 'text' for ASCII, and *N
/// after a byte to repeat it N times: "49 'HAVEOPT' 00*124".
[[nodiscard]] nbd::Buffer bytes(std::string_view text);

/// The bytes in hexadecimal, in lines of 16, so that a difference can be read.
[[nodiscard]] std::string shown(nbd::Bytes bytes);

/// Cuts input into the pieces in which it arrives: `next` tells the size of the next one.
using Fragments = std::function<std::size_t(std::size_t left)>;

[[nodiscard]] Fragments whole();
[[nodiscard]] Fragments single_bytes();
[[nodiscard]] Fragments random_pieces(unsigned seed);

/// An export called "disk" of `size` bytes in memory, whose first 16 bytes are "0123456789abcdef"
/// as far as they fit.
struct Disk {
    explicit Disk(std::uint64_t size, ExportOptions options = {});

    std::shared_ptr<Backend> backend;
    std::shared_ptr<Export> served;
    SingleExport catalogue;
};

/// A session that is fed, carries out all operations at once, and whose output is collected.
class Conversation {
  public:
    explicit Conversation(ExportCatalogue& catalogue, SessionOptions options = {});

    /// Feeds the bytes as far as the session takes any.
    void feed(nbd::Bytes input, const Fragments& fragments = whole());
    void feed(std::string_view text) { feed(bytes(text)); }
    void end_of_input();
    /// What was sent since the last call.
    [[nodiscard]] nbd::Buffer output();
    /// True if the server is to close the connection.
    [[nodiscard]] bool ended() const { return session_.finished(); }
    [[nodiscard]] Session& session() { return session_; }

  private:
    void drive();

    const SessionOptions options_;
    BufferPool pool_;
    const Trace trace_;
    Session session_;
    nbd::Buffer output_;
};

} // namespace refserver
