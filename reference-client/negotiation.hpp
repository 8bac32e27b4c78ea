#pragma once

// The client's side of the handshake as a state machine over bytes: no sockets, no clock.

#include "reference-client/export_info.hpp"
#include "reference-client/failure.hpp"
#include "reference-client/option_exchange.hpp"
#include "reference-client/options.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace refclient {

/// What a handshake is for.
enum class Goal {
    transmission, ///< enter the transmission phase
    info,         ///< learn about an export by NBD_OPT_INFO, then leave by NBD_OPT_ABORT
    list,         ///< learn which exports there are by NBD_OPT_LIST, then leave
};

/// An export as NBD_OPT_LIST tells it.
struct ListedExport {
    std::string name;
    std::string description; ///< may be empty

    bool operator==(const ListedExport&) const = default;
};

/// Feed it what the server sends, send what it yields, until it is finished.
class Negotiation {
  public:
    /// `export_name` is ignored by Goal::list. Throws Failure (local) for a name that the protocol cannot
    /// carry and for options that exclude each other.
    Negotiation(const Options& options, Goal goal, std::string export_name);

    /// Takes bytes from the server and returns how many; fewer than given only when it is finished. The rest
    /// belongs to the transmission phase.
    std::size_t feed(nbd::Bytes bytes);
    /// The server closed the connection.
    void feed_end();

    /// The bytes to send to the server that have not been taken yet.
    [[nodiscard]] nbd::Buffer take_output() { return std::exchange(output_, {}); }

    /// True when nothing more is to be received. Output may still have to be sent.
    [[nodiscard]] bool finished() const { return state_ == State::finished; }
    /// Why it did not succeed, when it is finished.
    [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }
    /// The transmission phase has been entered. Happens with Goal::info as well, if the server has no
    /// NBD_OPT_INFO: the connection is then to be ended by NBD_CMD_DISC.
    [[nodiscard]] bool in_transmission() const { return in_transmission_; }
    /// What was learnt about the export.
    [[nodiscard]] const ExportInfo& info() const { return info_; }
    [[nodiscard]] const std::vector<ListedExport>& exports() const { return exports_; }
    /// The outcome is certain and NBD_OPT_ABORT was sent; only the answer to that is missing.
    [[nodiscard]] bool leaving() const { return exchange_ && exchange_->option() == nbd::Option::abort; }
    /// What is being waited for, for messages about a timeout: "the server's greeting".
    [[nodiscard]] std::string awaited() const;

  private:
    enum class State {
        greeting_start,
        newstyle_greeting,
        oldstyle_greeting,
        option_reply,
        option_payload,
        skipped_type,
        export_name_reply,
        padding,
        finished,
    };

    void step(const nbd::Buffer& message);
    void take_newstyle(const nbd::Buffer& message);
    void take_oldstyle(const nbd::Buffer& message);
    void take_reply_header(const nbd::Buffer& message);
    void take_reply_payload(const nbd::Buffer& message);
    void take_export_name_reply(const nbd::Buffer& message);

    void next_option();
    void send_option(nbd::Option option, nbd::Bytes payload);
    void send_info(nbd::Option option);
    void send_contexts(nbd::Option option);
    void send_export_name();
    void option_done();
    void refused();
    void abort();
    void await(State state, std::size_t bytes);
    void enter_transmission();
    void fail(Failure failure);
    template <class M>
    void trace(Direction direction, const M& message) const;

    Options options_;
    Goal goal_;
    State state_ = State::greeting_start;
    std::size_t needed_;
    std::uint64_t skip_ = 0;
    nbd::Buffer received_;
    nbd::Buffer output_;
    std::uint64_t position_ = 0;

    std::deque<nbd::Option> plan_;
    std::optional<OptionExchange> exchange_;
    bool no_zeroes_ = false;
    bool in_transmission_ = false;
    ExportInfo info_;
    std::vector<ListedExport> exports_;
    std::optional<Failure> failure_;
};

} // namespace refclient
