#pragma once

// The wire judge: follows a connection from its first byte and says which requirements of the specification
// the peers break. It is fed bytes and asks nothing of anybody: no sockets, no clock.

#include "harness/wire/events.hpp"
#include "harness/wire/rule.hpp"
#include "harness/wire/stream.hpp"
#include "harness/wire/tls.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wire {

/// A requirement that was broken.
struct Violation {
    std::string_view requirement; ///< its identifier in scenarios/requirements
    Side by = Side::server;
    bool mandatory = true;    ///< a MUST
    std::string what;         ///< for people
    std::uint64_t offset = 0; ///< where the message begins among the bytes of that side
    std::uint64_t length = 0; ///< bytes of the message that had come by then
    bool by_ending = false;   ///< it is the end of the connection that breaks it
};

/// A message, in words.
struct Message {
    Side from = Side::client;
    std::uint64_t offset = 0; ///< where it begins among the bytes of that side
    std::uint64_t length = 0; ///< bytes that had come by then; data that follow are not counted
    std::string text;
};

/// Who is told what the judge sees, in the order in which it sees it.
class JudgeObserver {
  public:
    virtual ~JudgeObserver() = default;
    /// True if `message` is to be called; putting messages into words takes time.
    [[nodiscard]] virtual bool wants_messages() const { return false; }
    /// A message is complete, but for data that nobody looks into. Violations by it come after it.
    virtual void message(const Message& /*message*/) {}
    virtual void violation(const Violation& violation) = 0;
    /// The client has sent an option or a request.
    virtual void asked(nbd::Option /*option*/) {}
    virtual void asked(nbd::Command /*command*/) {}
    /// Bytes were taken in. `bulk`: they are data, which the judge does not look into.
    virtual void took(Side /*from*/, nbd::Bytes /*bytes*/, bool /*bulk*/) {}
};

/// Judges one connection. Its memory is bounded whatever the peers send.
class Judge {
  public:
    /// Requests that may be open at the same time; a connection with more is not judged any further.
    static constexpr std::size_t most_open = 65536;
    /// Bytes of a message that are kept to look into them; longer ones are judged by their header.
    static constexpr std::size_t longest_kept = 128 * 1024;

    /// Pieces of replies that are under way at the same time; likewise.
    static constexpr std::size_t most_pieces = 1U << 18;

    /// Both have to live as long as the judge; `sizes` is shared by the connections to a server.
    Judge(JudgeObserver& observer, KnownSizes& sizes);

    /// Bytes that a side sent. They are to come in the order in which the other side can have seen them: what
    /// answers something comes after it.
    void feed(Side from, nbd::Bytes bytes);

    /// As many bytes of data, which are not at hand. Where something else is due, the connection is not
    /// judged any further.
    void skip(Side from, std::uint64_t bytes);

    /// A side has ended its direction.
    void end(Side by, End how);

    /// What comes from now on is somebody else's doing, such as that of a harness that stops the peers: it is
    /// not judged.
    void stop() { stopped_ = true; }

    /// Why the connection is not judged any further; empty if it is.
    [[nodiscard]] const std::string& lost() const { return lost_; }

    [[nodiscard]] const State& state() const { return state_; }

  private:
    template <class Event>
    void apply(std::span<const Rule<Event>> rules, const Event& event, Side by);
    void report(std::string_view requirement, Side by, bool mandatory, std::string what);
    template <class Describe>
    void say(Side from, const Describe& describe);
    void lose(std::string why);
    void stray(Side from, StrayEvent::Kind kind, std::uint64_t found, std::string why);
    void take(Side from, nbd::Bytes bytes, bool bulk);
    void piece(Side from, nbd::Bytes bytes);
    void over_tls(Side from, nbd::Bytes bytes);

    // ---- the client's messages (client_side.cpp)
    void resolve_client();
    void client_piece(nbd::Bytes bytes);
    void on_client_flags(nbd::Bytes bytes);
    void on_option_header(nbd::Bytes bytes);
    void on_option(nbd::Bytes data);
    void on_request_header(nbd::Bytes bytes);
    void on_request(nbd::Bytes payload);

    // ---- the server's messages (server_side.cpp, server_replies.cpp)
    void resolve_server();
    void server_piece(nbd::Bytes bytes);
    void on_greeting(nbd::Bytes bytes);
    void on_newstyle(nbd::Bytes bytes);
    void on_oldstyle(nbd::Bytes bytes);
    void on_option_reply_header(nbd::Bytes bytes);
    void on_option_reply(nbd::Bytes data);
    void after_option_reply(const OptionReplyEvent& event);
    void finish_option(const OptionReplyEvent& event);
    void on_export_name_reply(nbd::Bytes bytes);
    void told(const ExportEvent& event);
    void enter(EnteredExport entered);
    void on_reply_magic(nbd::Bytes bytes);
    void on_simple_reply(nbd::Bytes bytes);
    void on_chunk_header(nbd::Bytes bytes, bool extended);
    void begin_payload();
    void on_content(nbd::Bytes bytes);
    void on_error(nbd::Bytes bytes);
    void on_status_start(nbd::Bytes bytes);
    void await_extents();
    void on_extents(nbd::Bytes bytes);
    void on_size(nbd::Bytes bytes);
    void finish_chunk(const ChunkEvent& event);
    void learn(OpenRequest& open, const ChunkEvent& event);
    [[nodiscard]] OpenRequest close(std::uint64_t cookie);
    void finish_reply(const OpenRequest& open, bool simple);
    void size_told(std::uint64_t size);
    void hear_sizes(); ///< those that other connections were told
    [[nodiscard]] OpenRequest* find(std::uint64_t cookie);

    [[nodiscard]] Stream& stream(Side side) { return streams_[static_cast<int>(side)]; }

    JudgeObserver& observer_;
    KnownSizes& sizes_;
    State state_;
    Stream streams_[2];
    nbd::Buffer early_; ///< what a client sent before the greeting was complete
    std::string lost_;
    std::optional<Tls> tls_; ///< what comes once it was agreed
    bool stopped_ = false;
    bool ending_ = false;    ///< the end of a direction is being judged
    std::size_t pieces_ = 0; ///< of the replies to the open requests

    // ---- messages whose second part is awaited
    nbd::OptionRequest option_header_;
    OpenRequest request_;
    nbd::OptionReply reply_header_;
    nbd::Chunk chunk_;
    bool chunk_extended_ = false;
    std::uint64_t chunk_left_ = 0; ///< bytes of the payload that have not come yet
    StatusContent status_;
};

} // namespace wire
