#pragma once

// Options and requests with their answers on one connection, and the usual ways into the transmission phase.

#include "harness/check/answers.hpp"
#include "harness/check/dialogue.hpp"
#include "protocol/uri.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace harness::check {

/// What a client can negotiate for replies.
enum class Style { simple, structured, extended };

inline constexpr std::array all_styles{Style::simple, Style::structured, Style::extended};

/// "simple", "structured", "extended".
[[nodiscard]] const char* name(Style style);

/// How a client gets into the transmission phase.
struct Entrance {
    Style style = Style::simple;
    std::string export_name;
    std::vector<std::string> contexts; ///< metadata contexts to select before
    bool by_export_name = false;       ///< by NBD_OPT_EXPORT_NAME where the server has no NBD_OPT_GO
};

/// A connection to a server. Functions throw Interrupted.
class Exchange {
  public:
    /// Replies to one option, or chunks of one reply; more are a flood.
    static constexpr std::size_t most_messages = 100000;

    /// `patience` is for each answer, `deadline` for everything together. `log` outlives the exchange.
    Exchange(const nbd::Uri& uri, std::uint32_t number, WireLog& log, std::chrono::milliseconds patience,
             Clock::time_point deadline);

    /// Why there is no connection; empty if there is one.
    [[nodiscard]] const std::string& problem() const { return problem_; }

    // ---- going in; each returns why it did not succeed, empty if it did
    [[nodiscard]] std::string greet();
    /// The greeting, and the client flags that answer all that the server offers.
    [[nodiscard]] std::string haggle();
    [[nodiscard]] std::string enter(const Entrance& entrance);

    // ---- sending; false if the server does not take the bytes
    bool send(nbd::Bytes bytes, std::size_t segment = 0);
    bool send_client_flags(std::uint32_t flags);
    bool send_option(nbd::Option option, nbd::Bytes data = {});
    /// `data` follows the request as its payload.
    bool send_request(const nbd::Request& request, nbd::Bytes data = {});

    // ---- what is sent by hand with `send` and is awaited nevertheless
    void client_flags_sent(std::uint32_t flags);
    void option_sent(nbd::Option option);
    void request_sent(const nbd::Request& request);

    // ---- waiting; `silence()` tells why it ended early
    /// The answer to the option that was sent first of those not awaited yet; it is complete unless the
    /// server fell silent.
    OptionOutcome await_option();
    /// The reply to the request of this cookie; of a subscription its next chunk.
    const RequestOutcome& await_request(std::uint64_t cookie);
    /// As above, with what has come already: of a subscription its next chunk if there is one.
    const RequestOutcome& take_request(std::uint64_t cookie);
    /// The replies to all requests that have none yet, subscriptions apart; false if one does not come.
    bool await_all();
    /// Waits for the end of the connection; takes note of replies that come before.
    Silence await_end();
    /// Waits as long as this for anything; the replies that come are taken note of. False if nothing came.
    bool listen(std::chrono::milliseconds time);

    [[nodiscard]] Silence silence() const { return silence_; }
    /// Why bytes were no message; empty if all were.
    [[nodiscard]] const std::string& garbage() const { return garbage_; }
    [[nodiscard]] const Greeting& greeting() const { return greeting_; }
    [[nodiscard]] nbd::HeaderStyle style() const { return style_; }
    [[nodiscard]] bool in_transmission() const {
        return dialogue_ && dialogue_->reading().phase == Reading::Phase::transmission;
    }
    /// The size that the server told when it let this connection in, in bytes; nothing before.
    [[nodiscard]] std::optional<std::uint64_t> entered_size() const { return entered_size_; }
    /// The id of the first metadata context that was selected on the way in; nothing without one.
    [[nodiscard]] std::optional<std::uint32_t> context() const { return context_; }
    [[nodiscard]] Dialogue& dialogue() { return *dialogue_; }
    /// Options whose answers were not awaited yet.
    [[nodiscard]] std::size_t options_open() const { return options_.size(); }
    /// A cookie that no request has had.
    [[nodiscard]] std::uint64_t new_cookie() { return ++last_cookie_; }
    /// How long the server has been given for the last answer.
    [[nodiscard]] std::chrono::milliseconds patience() const { return patience_; }
    void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }

    /// Takes leave as a client should, without waiting for anything.
    void leave();

  private:
    /// The next message, or false: `silence_` and `garbage_` say why there is none.
    bool next(Incoming& message);
    /// Takes note of a reply of the transmission phase; false for another message.
    bool note(const Incoming& message);
    /// Makes the next chunk of a subscription that has come, if any, its outcome.
    static void take_next(RequestOutcome& outcome, std::deque<ChunkAnswer>& chunks);
    [[nodiscard]] Clock::time_point until() const;
    [[nodiscard]] std::string trouble(const std::string& awaited) const;

    std::chrono::milliseconds patience_;
    Clock::time_point deadline_;
    std::string problem_;
    std::unique_ptr<Dialogue> dialogue_;
    Greeting greeting_;
    std::uint32_t client_flags_ = 0;
    nbd::HeaderStyle style_ = nbd::HeaderStyle::compact;
    std::vector<nbd::Option> options_; ///< sent and not awaited
    std::map<std::uint64_t, RequestOutcome> requests_;
    /// Of subscriptions: chunks that nobody has awaited yet.
    std::map<std::uint64_t, std::deque<ChunkAnswer>> notifications_;
    std::optional<std::uint64_t> entered_size_;
    std::optional<std::uint32_t> context_;
    std::uint64_t last_cookie_ = 0x1000;
    Silence silence_ = Silence::none;
    std::string garbage_;
};

/// "the server closed the connection", "nothing came for 2.0 s", …
[[nodiscard]] std::string describe(Silence silence, std::chrono::milliseconds patience);

/// The data of NBD_OPT_INFO and NBD_OPT_GO.
[[nodiscard]] nbd::Buffer info_request(const std::string& export_name, std::vector<nbd::InfoType> types);
/// The data of the options for metadata contexts.
[[nodiscard]] nbd::Buffer context_request(const std::string& export_name,
                                          const std::vector<std::string>& queries);

} // namespace harness::check
