#include "reference-client/resizer.hpp"

#include "protocol/describe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>

namespace refclient {
namespace {

namespace can = nbd::resize_capability;
namespace offered = nbd::transmission_flag;

/// What a write that is to extend an export writes, if blocks may be smaller. Servers that know no smaller
/// blocks are common.
constexpr std::uint64_t growing_write = 512;

/// The next multiple, or the value itself where that would be too large.
std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
    const std::uint64_t rest = value % step;
    return rest == 0 || value > UINT64_MAX - (step - rest) ? value : value + (step - rest);
}

Failure cannot(int code, const std::string& why) {
    return {FailureKind::local, code, why};
}

/// Calls a function with every size that is reported, as long as it lives.
class Observation {
  public:
    Observation(BelievedSize& size, std::function<void(std::uint64_t)> observer)
      : size_(size) {
        size_.observe(std::move(observer));
    }
    ~Observation() { size_.observe(nullptr); }
    Observation(const Observation&) = delete;
    Observation& operator=(const Observation&) = delete;

  private:
    BelievedSize& size_;
};

/// True if the descriptor becomes readable in this time.
bool becomes_readable(int descriptor, std::chrono::milliseconds interval) {
    const Clock::time_point until = Clock::now() + interval;
    pollfd waiting{descriptor, POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&waiting, 1, poll_timeout(until));
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

} // namespace

std::string_view name(Grow way) {
    switch (way) {
    case Grow::none:
        return "none";
    case Grow::explicit_:
        return "explicit";
    case Grow::plain:
        return "plain";
    case Grow::flagged:
        return "flagged";
    }
    return {};
}

std::string_view name(Learn way) {
    switch (way) {
    case Learn::none:
        return "none";
    case Learn::reconnect:
        return "reconnect";
    case Learn::poll:
        return "poll";
    case Learn::notify:
        return "notify";
    case Learn::credits:
        return "credits";
    }
    return {};
}

Resizer::Resizer(Connection& connection, nbd::Uri uri, ResizePreferences preferences)
  : connection_(connection)
  , uri_(std::move(uri))
  , preferences_(preferences) {}

// ---- Changing the size
// ---------------------------------------------------------------------------------------

std::optional<Failure> Resizer::why_not_explicit() const {
    const ExportInfo& info = connection_.info();
    if (!info.has(offered::send_resize) && !has(Fault::resize_without_flag)) {
        return cannot(ENOTSUP, "the server does not offer NBD_CMD_RESIZE (NBD_FLAG_SEND_RESIZE is not set)");
    }
    if (info.resize && !info.can_resize(can::explicit_)) {
        return cannot(ENOTSUP,
                      "the server does not let its clients choose the size (NBD_INFO_RESIZE was sent "
                      "without EXPLICIT)");
    }
    return std::nullopt;
}

std::optional<Failure> Resizer::why_not_plain() const {
    const ExportInfo& info = connection_.info();
    if (info.resize && !info.can_resize(can::automatic_implicit)) {
        return cannot(ENOTSUP, "the server does not extend the export for an ordinary write past its end "
                               "(NBD_INFO_RESIZE was sent without AUTO_IMPLICIT)");
    }
    return std::nullopt;
}

std::optional<Failure> Resizer::why_not_flagged() const {
    const ExportInfo& info = connection_.info();
    if (has(Fault::extend_unadvertised)) {
        return std::nullopt;
    }
    if (!info.resize) {
        return cannot(ENOTSUP,
                      "NBD_CMD_FLAG_EXTEND needs NBD_INFO_RESIZE, which the server did not send or was not "
                      "asked for");
    }
    if (!info.can_resize(can::automatic)) {
        return cannot(ENOTSUP, "the server does not know NBD_CMD_FLAG_EXTEND here (NBD_INFO_RESIZE was sent "
                               "without AUTO)");
    }
    return std::nullopt;
}

std::optional<Failure> Resizer::why_not_grow() const {
    if (preferences_.grow == Grow::none) {
        return cannot(ENOTSUP, "no way to grow was chosen");
    }
    if (connection_.info().has(offered::read_only)) {
        return cannot(EPERM, "the export is read-only");
    }
    switch (preferences_.grow) {
    case Grow::explicit_:
        return why_not_explicit();
    case Grow::plain:
        return why_not_plain();
    default:
        return why_not_flagged();
    }
}

ResizeOutcome Resizer::refused(Failure why) const {
    ResizeOutcome outcome;
    outcome.error = std::move(why);
    outcome.size = connection_.size();
    return outcome;
}

ResizeOutcome Resizer::grow_to(std::uint64_t size, std::uint16_t flags) {
    if (size <= connection_.size()) {
        ResizeOutcome outcome;
        outcome.size = connection_.size();
        return outcome;
    }
    if (size > nbd::max_resize) {
        return refused(cannot(EINVAL, fmt::format("{} bytes are the most that an export can be asked to have",
                                                  nbd::max_resize)));
    }
    if (std::optional<Failure> why = why_not_grow()) {
        return refused(std::move(*why));
    }
    return preferences_.grow == Grow::explicit_ ? command(to_request(size), flags) : write_up_to(size, flags);
}

ResizeOutcome Resizer::shrink_to(std::uint64_t size, std::uint16_t flags) {
    const ExportInfo& info = connection_.info();
    if (size > connection_.size()) {
        return refused(cannot(EINVAL, fmt::format("the export has only {} bytes", connection_.size())));
    }
    if (info.has(offered::read_only)) {
        return refused(cannot(EPERM, "the export is read-only"));
    }
    if (std::optional<Failure> why = why_not_explicit()) {
        return refused(std::move(*why));
    }
    if (info.resize && !info.can_resize(can::shrink)) {
        return refused(
            cannot(ENOTSUP,
                   "the server does not make the export smaller (NBD_INFO_RESIZE was sent without SHRINK)"));
    }
    const std::uint64_t request = to_request(size);
    // Rounding must not turn a shrink into growth (RZ-PLAIN-6).
    if (request >= connection_.size() && !has(Fault::shrink_grows)) {
        ResizeOutcome outcome;
        outcome.size = connection_.size();
        return outcome;
    }
    return command(request, flags);
}

std::uint64_t Resizer::to_request(std::uint64_t size) const {
    const ExportInfo& info = connection_.info();
    // Without a chunk that tells what the server chose, it may choose nothing (RZ-PLAIN-5).
    if (has(Fault::misaligned_size)) {
        return size;
    }
    return info.resize && !info.structured ? round_up(size, info.resize->granularity) : size;
}

ResizeOutcome Resizer::command(std::uint64_t size, std::uint16_t flags) {
    return carry_out(Operation::resize(size, flags), Grow::explicit_);
}

ResizeOutcome Resizer::write_up_to(std::uint64_t size, std::uint16_t flags) {
    const std::uint64_t block = connection_.info().minimum_block();
    const std::uint64_t write = std::max(block, growing_write);
    // What the client holds to be data is not to be overwritten, so that a block in which the export ends is
    // left alone.
    const std::uint64_t least = round_up(connection_.size(), block);
    const std::uint64_t end = std::max(round_up(size, block), least + block);
    const std::uint64_t offset = std::max(least, end - std::min(end, write));
    const nbd::Buffer zeroes(static_cast<std::size_t>(end - offset));
    const bool flagged = preferences_.grow == Grow::flagged;
    Operation operation = Operation::write(offset, zeroes, flags);
    operation.past_end = true;
    if (flagged) {
        operation.flags |= nbd::command_flag::extend;
    }
    return carry_out(std::move(operation), preferences_.grow);
}

void Resizer::touch(std::uint64_t offset) {
    std::array<std::uint8_t, 1> byte{};
    Operation read = Operation::read(offset, byte);
    read.past_end = true;
    static_cast<void>(connection_.wait(connection_.submit(std::move(read))));
}

ResizeOutcome Resizer::carry_out(Operation operation, Grow way) {
    const std::uint64_t before = connection_.size();
    ResizeOutcome outcome;
    try {
        const bool command = operation.type == nbd::Command::resize;
        const std::uint64_t after = operation.offset;
        const Cookie cookie = connection_.submit(std::move(operation));
        outcome.way = way;
        if (command && has(Fault::touch_changing_area)) {
            touch(std::min(before, after));
        }
        const Completion completion = connection_.wait(cookie);
        completion.check();
        if (completion.resize) {
            outcome.told = completion.resize->flags;
        }
    } catch (const Failure& failure) {
        outcome.error = failure;
    }
    outcome.size = connection_.size();
    const bool exposed = !outcome.error && outcome.size > before;
    outcome.promised_zero =
        exposed && (has(Fault::promise_zeroes) || connection_.info().can_resize(can::zeroed) ||
                    (outcome.told.value_or(0) & nbd::resize_flag::zeroed) != 0);
    return outcome;
}

// ---- Learning of changes
// -------------------------------------------------------------------------------------

Learn Resizer::learning() const {
    const ExportInfo& info = connection_.info();
    const bool command = info.has(offered::send_resize);
    switch (preferences_.learn) {
    case Learn::notify:
    case Learn::credits:
        if (command && info.can_resize(can::notify)) {
            return preferences_.learn;
        }
        [[fallthrough]];
    case Learn::poll:
        if (!info.resize && has(Fault::query_without_information)) {
            return command ? Learn::poll : Learn::reconnect;
        }
        return command && info.can_resize(can::query) ? Learn::poll : Learn::reconnect;
    default:
        return preferences_.learn;
    }
}

void Resizer::subscribe() {
    seen_foreign_ = 0;
    connection_.subscribe(preferences_.learn == Learn::credits ? preferences_.credits : 0);
}

void Resizer::begin() {
    const Learn way = learning();
    if ((way == Learn::notify || way == Learn::credits) && !connection_.subscribed()) {
        subscribe();
    }
}

bool Resizer::take_notifications(Clock::time_point until) {
    // What has arrived is taken in any case.
    connection_.await_notification(Clock::now());
    for (;;) {
        const Subscription& subscription = *connection_.subscription();
        if (subscription.foreign > seen_foreign_) {
            seen_foreign_ = subscription.foreign;
            return true;
        }
        if (!connection_.await_notification(until)) {
            return false;
        }
    }
}

bool Resizer::learn_by_subscription(std::chrono::milliseconds patience) {
    if (connection_.subscribed()) {
        const bool news = take_notifications(Clock::now() + patience);
        if (news || connection_.subscribed()) {
            return news;
        }
    }
    // A new one begins with the size.
    subscribe();
    return true;
}

void Resizer::reconnect() {
    Options options = connection_.options();
    options.connections = 1;
    const auto another = Connection::open(uri_, options);
    if (!has(Fault::ignore_size_of_reconnect)) {
        connection_.adopt_size(another->info().size);
    }
    another->disconnect();
}

LearnOutcome Resizer::learn(std::chrono::milliseconds patience) {
    LearnOutcome outcome;
    outcome.way = learning();
    const std::uint64_t before = connection_.size();
    try {
        switch (outcome.way) {
        case Learn::none:
            break;
        case Learn::reconnect:
            reconnect();
            break;
        case Learn::poll:
            connection_.query_size();
            break;
        case Learn::notify:
        case Learn::credits:
            outcome.news = learn_by_subscription(patience);
            break;
        }
    } catch (const Failure& failure) {
        outcome.error = failure;
    }
    outcome.size = connection_.size();
    outcome.news = outcome.news || outcome.size != before;
    return outcome;
}

void Resizer::watch(const std::function<void(std::uint64_t)>& changed, int until_readable,
                    std::chrono::milliseconds interval) {
    const Learn way = learning();
    if (way == Learn::none) {
        throw cannot(EINVAL, "no way to learn of changes was chosen");
    }
    std::uint64_t last = connection_.size();
    const auto tell = [&](std::uint64_t size) {
        if (size != last) {
            last = size;
            changed(size);
        }
    };
    changed(last);
    const Observation observation(*connection_.shared_size(), tell);
    begin();
    if (way == Learn::notify || way == Learn::credits) {
        watch_subscription(until_readable);
        return end();
    }
    while (!becomes_readable(until_readable, interval)) {
        if (way == Learn::poll) {
            connection_.query_size();
        } else {
            reconnect();
        }
    }
}

void Resizer::watch_subscription(int until_readable) {
    while (connection_.await_notification(Clock::time_point::max(), until_readable)) {
        if (connection_.subscribed()) {
            continue;
        }
        const Subscription& ended = *connection_.subscription();
        if (ended.error != nbd::Error::none) {
            throw Failure(ended.error,
                          fmt::format("the server ended the subscription with {}{}", nbd::name(ended.error),
                                      ended.message.empty() ? "" : ": " + nbd::quoted(ended.message)));
        }
        if (ended.credit == 0 || ended.notifications < ended.credit) {
            throw Failure(FailureKind::connection, ECANCELED,
                          "the server ended the subscription, although it might have told of more changes");
        }
        subscribe();
    }
}

void Resizer::end() {
    if (connection_.subscribed()) {
        connection_.unsubscribe();
    }
}

} // namespace refclient
