#include "drivers/life/life.hpp"

#include "drivers/life/control.hpp"
#include "protocol/numbers.hpp"
#include "protocol/resize.hpp"
#include "protocol/uri.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace driver {
namespace {

using refclient::Completion;
using refclient::Cookie;
using refclient::Grow;
using refclient::Learn;
using refclient::Operation;
using refclient::ResizeOutcome;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

// The stage, as life.yaml describes it. Sizes in bytes.
constexpr std::uint64_t initial_size = mib;
constexpr std::uint64_t grow_to = mib + 100001;
constexpr std::uint64_t over_limit = 4 * mib + 1;
constexpr std::uint64_t shrink_to = 512 * kib + 1;
constexpr std::uint64_t external_growth = 6 * mib + 5;
constexpr std::uint64_t external_shrink = 300000;
constexpr std::uint64_t past_end_by = mib;
constexpr std::size_t sector = 512;
constexpr std::size_t page = 4096;
constexpr std::uint64_t written_at = initial_size - page;

/// A notification is sent at once, so this is only reached if none comes.
constexpr std::chrono::milliseconds notification_limit{5000};

/// A cookie that the client has not used.
constexpr std::uint64_t no_subscription = ~std::uint64_t{0};

constexpr std::uint8_t inside_byte = 0x5a;
constexpr std::uint8_t end_byte = 0xa5;

bool all_are(std::span<const std::uint8_t> bytes, std::uint8_t value) {
    return std::ranges::all_of(bytes, [value](std::uint8_t byte) { return byte == value; });
}

/// "ENOSPC"; "none" for a success.
std::string error_word(const std::optional<refclient::Failure>& failure) {
    return failure ? failure->symbol() : "none";
}

/// "ZEROED+EXTERNAL", "0".
std::string flag_words(std::uint32_t flags) {
    std::string words = nbd::resize_flag_names(flags);
    std::ranges::replace(words, '|', '+');
    return words;
}

class Life {
  public:
    Life(const LifeSetup& setup, Control& control)
      : setup_(setup)
      , control_(control) {
        uri_.transport = nbd::Uri::Transport::unix_socket;
        uri_.socket = setup.socket;
        uri_.export_name = setup.export_name;
    }

    Answers lead() {
        doing_ = "connecting";
        connection_ = refclient::Connection::open(uri_, setup_.options);
        resizer_.emplace(*connection_, uri_, setup_.preferences);
        tell_handshake();
        doing_ = "reading and writing inside";
        use_inside();
        doing_ = "growing";
        grow();
        doing_ = "growing beyond the limit";
        grow_beyond();
        doing_ = "shrinking";
        shrink();
        doing_ = "learning";
        learn();
        doing_ = "reading at the end";
        read_at_the_end();
        doing_ = "asking what must be refused";
        ask_improperly();
        doing_ = "writing past the end";
        write_past_the_end();
        doing_ = "leaving";
        resizer_->end();
        connection_->disconnect();
        answer(Question::leave, "ok");
        return std::move(answers_);
    }

    [[nodiscard]] const char* doing() const { return doing_; }

  private:
    void answer(Question question, std::string text) {
        answers_[static_cast<std::size_t>(question)] = std::move(text);
    }
    void answer(Question question, std::uint64_t size) { answer(question, std::to_string(size)); }

    /// Asks the server's control socket, unless nothing was sent since that could have changed the size.
    [[nodiscard]] std::uint64_t true_size(bool changed) {
        if (changed) {
            true_size_ = control_.size(setup_.export_name);
        }
        return true_size_;
    }

    void tell_handshake() {
        namespace can = nbd::resize_capability;
        const refclient::ExportInfo& info = connection_->info();
        answer(Question::style, info.headers == nbd::HeaderStyle::extended ? "extended"
                                : info.structured                          ? "structured"
                                                                           : "simple");
        answer(Question::flag, info.has(nbd::transmission_flag::send_resize) ? "set" : "clear");
        const auto capability = [&](Question question, std::uint16_t bit) {
            answer(question, !info.resize ? "-" : info.can_resize(bit) ? "yes" : "no");
        };
        capability(Question::info_explicit, can::explicit_);
        capability(Question::info_shrink, can::shrink);
        capability(Question::info_auto, can::automatic);
        capability(Question::info_auto_implicit, can::automatic_implicit);
        capability(Question::info_zeroed, can::zeroed);
        capability(Question::info_query, can::query);
        capability(Question::info_notify, can::notify);
        capability(Question::info_external, can::external);
        const auto number = [&](Question question, bool told, std::uint64_t value) {
            answer(question, told ? std::to_string(value) : "none");
        };
        const nbd::InfoResize resize = info.resize.value_or(nbd::InfoResize{});
        number(Question::info_granularity, info.resize.has_value(), resize.granularity);
        number(Question::info_smallest, info.can_resize(can::shrink), resize.smallest);
        number(Question::info_largest, info.resize.has_value(), resize.largest);
        constexpr unsigned known = can::explicit_ | can::shrink | can::automatic | can::automatic_implicit |
                                   can::zeroed | can::query | can::notify | can::external;
        answer(Question::info_others, (resize.capabilities & ~known) == 0 ? "0" : "set");
    }

    void use_inside() {
        const std::vector<std::uint8_t> written(page, inside_byte);
        std::vector<std::uint8_t> first(page, inside_byte);
        const Cookie read = connection_->queue(Operation::read(0, first));
        const Cookie write = connection_->submit(Operation::write(written_at, written));
        connection_->wait(read).check();
        connection_->wait(write).check();
        std::vector<std::uint8_t> back(page);
        const Cookie head = connection_->queue(Operation::write(0, nbd::Bytes(written).first(sector)));
        connection_->read(written_at, back);
        connection_->wait(head).check();
        answer(Question::inside, !all_are(first, 0) ? "no zeroes at the start"
                                 : back != written  ? "not what was written"
                                                    : "ok");
    }

    /// Answers what every change of the size is asked about.
    void tell(const ResizeOutcome& outcome, Question way, Question error, Question size, Question told,
              Question believed) {
        answer(way, std::string(name(outcome.way)));
        // Without a way nothing was sent, and the failure is the client's own.
        answer(error, outcome.way == Grow::none ? "none" : error_word(outcome.error));
        answer(size, true_size(outcome.way != Grow::none));
        answer(told, outcome.told ? flag_words(*outcome.told) : "none");
        answer(believed, connection_->size());
    }

    void grow() {
        const ResizeOutcome outcome = resizer_->grow_to(grow_to);
        tell(outcome, Question::grow_way, Question::grow_error, Question::grow_size, Question::grow_told,
             Question::grow_believed);
        const std::uint64_t end = connection_->size();
        if (end <= initial_size) {
            answer(Question::new_end, "none");
            answer(Question::promise, "none");
            answer(Question::exposed, "none");
            return;
        }
        answer(Question::promise, outcome.promised_zero ? "zero" : "nothing");
        const std::vector<std::uint8_t> written(sector, end_byte);
        std::vector<std::uint8_t> exposed(page);
        const Cookie read = connection_->queue(Operation::read(initial_size, exposed));
        const Cookie write = connection_->submit(Operation::write(end - sector, written));
        connection_->wait(read).check();
        connection_->wait(write).check();
        std::vector<std::uint8_t> back(sector);
        connection_->read(end - sector, back);
        answer(Question::new_end, back == written ? "ok" : "not what was written");
        answer(Question::exposed, all_are(exposed, 0) ? "zero" : "old");
    }

    void grow_beyond() {
        tell(resizer_->grow_to(over_limit), Question::over_way, Question::over_error, Question::over_size,
             Question::over_told, Question::over_believed);
    }

    void shrink() {
        // Shrinking is the business of those who change the size by the command.
        const ResizeOutcome outcome =
            setup_.preferences.grow == Grow::explicit_ ? resizer_->shrink_to(shrink_to) : ResizeOutcome{};
        answer(Question::shrink_error, outcome.way == Grow::none ? "cannot" : error_word(outcome.error));
        answer(Question::shrink_size, true_size(outcome.way != Grow::none));
        answer(Question::shrink_told, outcome.told ? flag_words(*outcome.told) : "none");
        answer(Question::shrink_believed, connection_->size());
    }

    void learn() {
        Learn way = resizer_->learning();
        way = way == Learn::credits ? Learn::notify : way;
        answer(Question::learn_way, std::string(name(way)));
        resizer_->begin();
        const bool subscribed = connection_->subscribed();
        answer(Question::subscribe_size,
               subscribed ? std::to_string(connection_->subscription()->latest.size) : "none");
        if (setup_.external != External::none) {
            true_size_ = control_.resize(
                setup_.export_name, setup_.external == External::grow ? external_growth : external_shrink);
        }
        answer(Question::external_size, true_size_);
        if (!subscribed) {
            if (const refclient::LearnOutcome outcome = resizer_->learn(); outcome.error) {
                throw *outcome.error;
            }
        } else if (setup_.external != External::none) {
            connection_->await_notification(refclient::Clock::now() + notification_limit);
        } else {
            // A notification that must not come would come with this reply at the latest.
            connection_->flush();
        }
        const bool notified = subscribed && connection_->subscription()->notifications > 0;
        answer(Question::learn_flags,
               notified ? flag_words(connection_->subscription()->latest.flags) : "none");
        answer(Question::learn_believed, connection_->size());
    }

    /// "ok" or the error of a read.
    [[nodiscard]] std::string outcome_of(std::optional<Cookie> read) {
        if (!read) {
            return "none";
        }
        const Completion completion = connection_->wait(*read);
        return completion.ok() ? "ok" : refclient::Failure::symbol(refclient::to_errno(completion.error));
    }

    void read_at_the_end() {
        const std::uint64_t believed = connection_->size();
        std::vector<std::uint8_t> last(sector);
        std::vector<std::uint8_t> stale(sector);
        std::vector<std::uint8_t> kept(page);
        std::vector<std::uint8_t> head(sector);
        const auto read = [&](bool tried, std::uint64_t offset, std::vector<std::uint8_t>& into) {
            return tried ? std::optional(connection_->queue(Operation::read(offset, into))) : std::nullopt;
        };
        const auto new_read = read(believed >= true_size_, true_size_ - sector, last);
        const auto stale_read = read(believed > true_size_, believed - sector, stale);
        const auto kept_read = read(std::min(believed, true_size_) >= initial_size, written_at, kept);
        connection_->read(0, head);
        answer(Question::head, all_are(head, inside_byte) ? "written" : "something else");
        answer(Question::new_read, outcome_of(new_read));
        answer(Question::stale_read, outcome_of(stale_read));
        const std::string outcome = outcome_of(kept_read);
        answer(Question::kept, outcome != "ok"              ? outcome
                               : all_are(kept, inside_byte) ? "written"
                               : all_are(kept, 0)           ? "zero"
                                                            : "something else");
    }

    /// Requests that must be refused, or that must change nothing, all in flight at a time.
    void ask_improperly() {
        namespace flag = nbd::command_flag;
        const std::vector<std::uint8_t> data(sector, end_byte);
        std::vector<std::uint8_t> into(sector);
        std::vector<std::pair<Question, Cookie>> asked;
        const auto ask = [&](Question question, Operation operation) {
            asked.emplace_back(question, connection_->queue(std::move(operation)));
        };
        const auto resize = [](std::uint64_t offset, std::uint64_t length, std::uint16_t flags) {
            return Operation::range(nbd::Command::resize, offset, length, flags);
        };
        const auto write = [&](std::uint64_t offset, std::uint16_t flags) {
            Operation operation = Operation::write(offset, data, flags);
            operation.past_end = offset >= true_size_;
            return operation;
        };
        ask(Question::odd_length, resize(true_size_, 1, 0));
        ask(Question::odd_size, resize(nbd::max_resize + 1, 0, 0));
        ask(Question::odd_hole, resize(0, 0, flag::query | flag::no_hole));
        ask(Question::odd_forms, resize(0, 0, flag::query | flag::cancel));
        ask(Question::odd_query, resize(1, 0, flag::query));
        ask(Question::odd_notify, resize(1, 0, flag::notify));
        ask(Question::odd_cancel, resize(no_subscription, 0, flag::cancel));
        ask(Question::odd_flag, resize(true_size_, 0, flag::extend));
        ask(Question::odd_read, Operation::read(0, into, flag::extend));
        ask(Question::extend_inside, write(0, flag::extend));
        ask(Question::huge_write, write(nbd::max_resize - 1, flag::extend));
        ask(Question::below_smallest, resize(page, 0, 0));
        const Cookie empty =
            connection_->queue(Operation::range(nbd::Command::write_zeroes, true_size_ + past_end_by, 0, 0));
        ask(Question::read_past, Operation::read(true_size_ + past_end_by, into));
        ask(Question::trim_past, Operation::range(nbd::Command::trim, true_size_, sector));
        ask(Question::same_size, resize(true_size_, 0, flag::fua | flag::no_hole));
        ask(Question::query, resize(0, 0, flag::query | flag::fua));
        answer(Question::second_notify, "none");
        if (connection_->subscribed()) {
            ask(Question::second_notify, Operation::notify(0));
        }
        for (const auto& [question, cookie] : asked) {
            const Completion completion = connection_->wait(cookie);
            answer(question, completion.ok()
                                 ? "ok"
                                 : refclient::Failure::symbol(refclient::to_errno(completion.error)));
            if (question == Question::extend_inside && completion.resize) {
                answer(question, "a size chunk though nothing changed");
            }
            if (question == Question::query && completion.resize) {
                answer(question, completion.resize->size == true_size_ && completion.resize->flags == 0
                                     ? "truth"
                                     : "not the truth");
            }
        }
        static_cast<void>(connection_->wait(empty)); // the base protocol leaves open what it is answered with
        answer(Question::odd_size_after, true_size(true));
    }

    void write_past_the_end() {
        const bool subscribed = connection_->subscribed();
        const std::vector<std::uint8_t> data(sector, end_byte);
        Operation operation = Operation::write(true_size_ + past_end_by, data);
        operation.past_end = true;
        const std::string outcome = outcome_of(connection_->submit(std::move(operation)));
        answer(Question::past_end, outcome == "ok" ? "grows" : outcome);
        const auto& subscription = connection_->subscription();
        if (subscribed && outcome == "ok") {
            // No order is promised between the reply and the notification (RZ-NOTE-3).
            const std::uint64_t before = setup_.external == External::none ? 0 : 1;
            if (subscription->notifications == before) {
                connection_->await_notification(refclient::Clock::now() + notification_limit);
            }
            answer(Question::own_told, flag_words(subscription->latest.flags));
        } else {
            answer(Question::own_told, "none");
        }
        answer(Question::notifications, subscription ? std::to_string(subscription->notifications) : "none");
        answer(Question::subscription, !subscription ? "none" : subscription->open ? "open" : "ended");
    }

    const LifeSetup& setup_;
    Control& control_;
    nbd::Uri uri_;
    std::unique_ptr<refclient::Connection> connection_;
    std::optional<refclient::Resizer> resizer_;
    Answers answers_;
    std::uint64_t true_size_ = initial_size;
    const char* doing_ = "";
};

} // namespace

const std::array<std::string_view, question_count>& question_names() {
    static constexpr std::array<std::string_view, question_count> names{"style",
                                                                        "flag",
                                                                        "info-EXPLICIT",
                                                                        "info-SHRINK",
                                                                        "info-AUTO",
                                                                        "info-AUTO_IMPLICIT",
                                                                        "info-ZEROED",
                                                                        "info-QUERY",
                                                                        "info-NOTIFY",
                                                                        "info-EXTERNAL",
                                                                        "info-granularity",
                                                                        "info-smallest",
                                                                        "info-largest",
                                                                        "info-others",
                                                                        "inside",
                                                                        "grow-way",
                                                                        "grow-error",
                                                                        "grow-size",
                                                                        "grow-told",
                                                                        "grow-believed",
                                                                        "new-end",
                                                                        "promise",
                                                                        "exposed",
                                                                        "over-way",
                                                                        "over-error",
                                                                        "over-size",
                                                                        "over-told",
                                                                        "over-believed",
                                                                        "shrink-error",
                                                                        "shrink-size",
                                                                        "shrink-told",
                                                                        "shrink-believed",
                                                                        "learn-way",
                                                                        "subscribe-size",
                                                                        "external-size",
                                                                        "learn-flags",
                                                                        "learn-believed",
                                                                        "head",
                                                                        "new-read",
                                                                        "stale-read",
                                                                        "kept",
                                                                        "odd-length",
                                                                        "odd-size",
                                                                        "odd-hole",
                                                                        "odd-forms",
                                                                        "odd-query",
                                                                        "odd-notify",
                                                                        "odd-cancel",
                                                                        "odd-flag",
                                                                        "odd-read",
                                                                        "extend-inside",
                                                                        "huge-write",
                                                                        "below-smallest",
                                                                        "read-past",
                                                                        "trim-past",
                                                                        "same-size",
                                                                        "query",
                                                                        "second-notify",
                                                                        "odd-size-after",
                                                                        "past-end",
                                                                        "own-told",
                                                                        "notifications",
                                                                        "subscription",
                                                                        "leave"};
    return names;
}

Answers lead_life(const LifeSetup& setup, Control& control) {
    Life life(setup, control);
    try {
        return life.lead();
    } catch (const std::exception& error) {
        throw std::runtime_error(fmt::format("{}: {}", life.doing(), error.what()));
    }
}

} // namespace driver
