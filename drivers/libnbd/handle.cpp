#include "drivers/libnbd/handle.hpp"

#include <fmt/format.h>
#include <libnbd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <string_view>
#include <utility>

namespace driver {

namespace {

using Clock = std::chrono::steady_clock;

std::string last_message() {
    const char* message = nbd_get_error();
    return message ? message : "libnbd gave no reason";
}

/// The errors that the wire can carry: libnbd gives these to a request only because the server answered so.
bool is_protocol_error(int number) {
    constexpr std::array known{EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN};
    return std::find(known.begin(), known.end(), number) != known.end();
}

/// Whether a failed handshake failed by the server's answer to an option. Only libnbd's words tell: it closes
/// the connection after such an answer as after any other trouble.
bool refused_by_server(std::string_view message) {
    constexpr std::array<std::string_view, 7> refusals{
        "server has no export",      "server policy prevents",  "server rejected NBD_OPT",
        "server requires TLS",       "server is shutting down", "server requires specific block sizes",
        "unknown reply from NBD_OPT"};
    return std::any_of(refusals.begin(), refusals.end(),
                       [&](std::string_view text) { return message.find(text) != std::string_view::npos; });
}

[[noreturn]] void fail_handshake(nbd_handle* handle) {
    const int number = nbd_get_errno();
    const std::string message = last_message();
    Where where = Where::connection;
    // Without a socket libnbd stays in its first state, be it that the URI is wrong or connect(2) failed.
    if (nbd_aio_is_created(handle) == 1 && message.find("connect: ") == std::string::npos)
        where = Where::local;
    else if (refused_by_server(message))
        where = Where::server;
    throw Failure({errno_name(number), where, message});
}

/// Every check off; not a check is that the library sets NBD_CMD_FLAG_PAYLOAD_LEN where it is due.
#ifdef LIBNBD_STRICT_AUTO_FLAG
constexpr std::uint32_t lenient = LIBNBD_STRICT_AUTO_FLAG;
#else
constexpr std::uint32_t lenient = 0;
#endif

/// For calls that can fail only for want of memory or because this driver misuses libnbd.
void expect_success(int result) {
    if (result == -1)
        throw Failure({errno_name(nbd_get_errno()), Where::local, last_message()});
}

/// Takes a string that libnbd allocated.
std::optional<std::string> take(char* text) {
    if (!text)
        return std::nullopt;
    std::string copy(text);
    std::free(text);
    return copy;
}

int remaining_ms(Clock::time_point deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, 1'000'000'000));
}

int remember_option_error(void* user_data, int* error) {
    *static_cast<int*>(user_data) = *error;
    return 1;
}

int remember_export(void* user_data, const char* name, const char* description) {
    static_cast<std::vector<ListedExport>*>(user_data)->push_back({name, description});
    return 0;
}

std::vector<std::string> transmission_flags(nbd_handle* handle) {
    struct Flag {
        const char* name;
        int (*get)(nbd_handle*);
    };
    constexpr std::array<Flag, 10> known{{{"read-only", nbd_is_read_only},
                                          {"flush", nbd_can_flush},
                                          {"fua", nbd_can_fua},
                                          {"rotational", nbd_is_rotational},
                                          {"trim", nbd_can_trim},
                                          {"write-zeroes", nbd_can_zero},
                                          {"df", nbd_can_df},
                                          {"multi-conn", nbd_can_multi_conn},
                                          {"cache", nbd_can_cache},
                                          {"fast-zero", nbd_can_fast_zero}}};
    std::vector<std::string> flags;
    for (const Flag& flag : known)
        if (flag.get(handle) == 1)
            flags.emplace_back(flag.name);
    return flags;
}

std::optional<BlockSizes> block_sizes(nbd_handle* handle) {
    const std::int64_t minimum = nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM);
    const std::int64_t preferred = nbd_get_block_size(handle, LIBNBD_SIZE_PREFERRED);
    const std::int64_t maximum = nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM);
    if (minimum <= 0 || preferred <= 0 || maximum <= 0)
        return std::nullopt;
    return BlockSizes{static_cast<std::uint64_t>(minimum), static_cast<std::uint64_t>(preferred),
                      static_cast<std::uint64_t>(maximum)};
}

} // namespace

void Handle::Close::operator()(nbd_handle* handle) const {
    // nbd_close waits for the program of LibnbdOptions::through, which may itself be waiting for a server
    // that keeps silent. After a proper end of the connection it is left to clean up.
    if (nbd_aio_is_closed(handle) != 1)
        nbd_kill_subprocess(handle, SIGKILL);
    nbd_close(handle);
}

Handle::Handle(const LibnbdOptions& options, const std::string& uri, Until until, bool full_info)
  : options_(options)
  , handle_(nbd_create()) {
    if (!handle_)
        throw Failure({errno_name(nbd_get_errno()), Where::local, last_message()});
    configure(full_info);
    if (until == Until::haggling || options_.opt_mode)
        expect_success(nbd_set_opt_mode(get(), true));
    start_connecting(uri);
    wait_for_handshake();
    if (until == Until::haggling || !haggling())
        return;
    try {
        opt_info();
    } catch (const Failure&) {
        // A server may lack NBD_OPT_INFO; if it is the export that is wrong, NBD_OPT_GO says so again.
        if (!haggling())
            throw;
    }
    try {
        opt_go();
    } catch (const Failure&) {
        leave(*this);
        throw;
    }
}

Handle::~Handle() = default;

void Handle::configure(bool full_info) {
    expect_success(nbd_set_request_structured_replies(get(), options_.structured_replies));
#ifdef LIBNBD_HAVE_NBD_SET_REQUEST_EXTENDED_HEADERS
    expect_success(nbd_set_request_extended_headers(get(), options_.extended_headers));
#endif
    if (options_.handshake_flags)
        expect_success(nbd_set_handshake_flags(get(), *options_.handshake_flags));
    if (options_.meta_context)
        expect_success(nbd_add_meta_context(get(), LIBNBD_CONTEXT_BASE_ALLOCATION));
    if (!options_.strict)
        expect_success(nbd_set_strict_mode(get(), lenient));
    else if (options_.grow == GrowBy::plain)
        expect_success(nbd_set_strict_mode(get(), nbd_get_strict_mode(get()) & ~LIBNBD_STRICT_BOUNDS));
    if (full_info)
        expect_success(nbd_set_full_info(get(), true));
}

void Handle::start_connecting(const std::string& uri) {
    if (options_.through.empty()) {
        if (nbd_aio_connect_uri(get(), uri.c_str()) == -1)
            fail_handshake(get());
        return;
    }
    std::vector<std::string> words = options_.through;
    std::vector<char*> argv;
    for (std::string& word : words) {
        constexpr std::string_view placeholder = "{uri}";
        if (const auto at = word.find(placeholder); at != std::string::npos)
            word.replace(at, placeholder.size(), uri);
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    if (nbd_aio_connect_systemd_socket_activation(get(), argv.data()) == -1)
        fail_handshake(get());
}

void Handle::wait_for_handshake() {
    const auto deadline = Clock::now() + options_.patience;
    while (nbd_aio_is_connecting(get()) == 1) {
        const int result = nbd_poll(get(), remaining_ms(deadline));
        if (result == -1)
            fail_handshake(get());
        if (result == 0)
            throw Failure({errno_name(ETIMEDOUT), Where::connection,
                           fmt::format("the server kept silent in the handshake, in libnbd's state {}",
                                       nbd_connection_state(get()))});
    }
    if (nbd_aio_is_ready(get()) != 1 && !haggling())
        fail_handshake(get());
}

bool Handle::haggling() const {
    return handle_ && nbd_aio_is_negotiating(get()) == 1;
}

void Handle::option(const char* name, const std::function<int(nbd_handle*, int*)>& start) {
    int error = 0;
    if (start(get(), &error) == -1)
        throw Failure({errno_name(nbd_get_errno()), Where::local, last_message()});
    try {
        wait_for_handshake();
    } catch (...) {
        // libnbd still knows where `error` is and would write to it when the handle is closed.
        handle_.reset();
        throw;
    }
    if (error != 0)
        throw Failure({errno_name(error), Where::server,
                       fmt::format("the server answered {} with an error: {}", name, std::strerror(error))});
}

void Handle::opt_info() {
    option("NBD_OPT_INFO", [](nbd_handle* handle, int* error) {
        return nbd_aio_opt_info(handle, {remember_option_error, error, nullptr});
    });
}

void Handle::opt_go() {
    option("NBD_OPT_GO", [](nbd_handle* handle, int* error) {
        return nbd_aio_opt_go(handle, {remember_option_error, error, nullptr});
    });
}

std::vector<ListedExport> Handle::opt_list() {
    std::vector<ListedExport> exports;
    option("NBD_OPT_LIST", [&](nbd_handle* handle, int* error) {
        return nbd_aio_opt_list(handle, {remember_export, &exports, nullptr},
                                {remember_option_error, error, nullptr});
    });
    return exports;
}

ExportInfo Handle::info() const {
    ExportInfo info;
    if (const std::int64_t size = nbd_get_size(get()); size >= 0)
        info.size = static_cast<std::uint64_t>(size);
    // Behind a program in between, the export's name is the one that this program was asked for.
    if (options_.through.empty())
        info.export_name = take(nbd_get_canonical_export_name(get()));
    info.flags = transmission_flags(get());
    info.structured = nbd_get_structured_replies_negotiated(get()) == 1;
#ifdef LIBNBD_HAVE_NBD_GET_EXTENDED_HEADERS_NEGOTIATED
    info.extended = nbd_get_extended_headers_negotiated(get()) == 1;
#else
    info.extended = false;
#endif
    info.contexts.emplace();
    if (nbd_can_meta_context(get(), LIBNBD_CONTEXT_BASE_ALLOCATION) == 1)
        info.contexts->emplace_back(LIBNBD_CONTEXT_BASE_ALLOCATION);
    info.block = block_sizes(get());
    return info;
}

bool Handle::promises_multi_conn() const {
    return nbd_can_multi_conn(get()) == 1;
}

void Handle::submit(const std::shared_ptr<Requests>& requests, std::uint64_t index,
                    const std::function<std::int64_t(nbd_handle*)>& issue) {
    if (!alive()) {
        requests->errors[index] = Error{errno_name(ENOTCONN), Where::connection, "the connection is closed"};
        return;
    }
    const std::int64_t cookie = issue(get());
    if (cookie == -1) {
        requests->errors[index] = Error{errno_name(nbd_get_errno()), Where::local, last_message()};
        return;
    }
    ++requests->unanswered;
    tickets_.emplace(cookie, Ticket{requests, index});
    // Sending starts at once, so this may have been what showed that the connection is broken.
    settle_if_dead();
}

bool Handle::alive() const {
    return handle_ && nbd_aio_is_dead(get()) == 0 && nbd_aio_is_closed(get()) == 0;
}

bool Handle::awaits_reply_of(const Requests& requests) const {
    return std::any_of(tickets_.begin(), tickets_.end(),
                       [&](const auto& ticket) { return ticket.second.requests.get() == &requests; });
}

void Handle::collect() {
    for (;;) {
        const std::int64_t cookie = nbd_aio_peek_command_completed(get());
        if (cookie <= 0)
            break;
        const int result = nbd_aio_command_completed(get(), static_cast<std::uint64_t>(cookie));
        auto ticket = tickets_.extract(cookie);
        if (ticket.empty())
            continue;
        auto& [requests, index] = ticket.mapped();
        --requests->unanswered;
        if (result != -1)
            continue;
        const int number = nbd_get_errno();
        const Where where = is_protocol_error(number) || alive() ? Where::server : Where::connection;
        requests->errors[index] = Error{errno_name(number), where, last_message()};
    }
    if (!alive())
        give_up(ENOTCONN, "the connection was closed before the reply came");
}

void Handle::settle_if_dead() {
    if (handle_ && !alive())
        collect();
}

void Handle::give_up(int number, const std::string& reason) {
    for (auto& [cookie, ticket] : tickets_) {
        --ticket.requests->unanswered;
        ticket.requests->errors[ticket.index] = Error{errno_name(number), Where::connection, reason};
    }
    // After this libnbd does not touch the buffers of the requests any more.
    handle_.reset();
    tickets_.clear();
}

bool Handle::say_goodbye() {
    if (!alive())
        return false;
    const bool sent = (haggling() ? nbd_aio_opt_abort(get()) : nbd_aio_disconnect(get(), 0)) == 0;
    settle_if_dead();
    return sent;
}

std::optional<Handle::Interest> Handle::interest() const {
    if (!alive())
        return std::nullopt;
    const unsigned direction = nbd_aio_get_direction(get());
    const int descriptor = nbd_aio_get_fd(get());
    if (direction == 0 || descriptor == -1)
        return std::nullopt;
    short events = 0;
    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0)
        events = POLLIN;
    if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0)
        events = static_cast<short>(events | POLLOUT);
    return Interest{descriptor, events};
}

void Handle::serve(short events) {
    const std::optional<Interest> wanted = interest();
    if (!wanted || events == 0)
        return;
    const bool reading = (wanted->events & POLLIN) != 0;
    // Only one of the two: acting on one changes what libnbd waits for. Replies first, they belong to older
    // requests. Trouble shows as readable, so that the reason for it is found.
    if (reading && (events & (POLLIN | POLLHUP | POLLERR)) != 0)
        nbd_aio_notify_read(get());
    else if (!reading || (events & POLLOUT) != 0)
        nbd_aio_notify_write(get());
    collect();
}

Wake serve(std::span<Handle* const> handles, int input, std::chrono::milliseconds patience) {
    std::vector<pollfd> waiting;
    std::vector<Handle*> served;
    for (Handle* handle : handles) {
        if (const auto interest = handle->interest()) {
            waiting.push_back({interest->descriptor, interest->events, 0});
            served.push_back(handle);
        }
    }
    if (input >= 0)
        waiting.push_back({input, POLLIN, 0});
    const int limit = patience.count() < 0 ? -1 : remaining_ms(Clock::now() + patience);
    const int ready = poll(waiting.data(), waiting.size(), limit);
    if (ready == 0)
        return Wake::silence;
    if (ready == -1)
        return Wake::progress; // interrupted: the caller looks again
    for (std::size_t i = 0; i < served.size(); ++i)
        served[i]->serve(waiting[i].revents);
    return input >= 0 && waiting.back().revents != 0 ? Wake::input : Wake::progress;
}

void leave(Handle& handle) {
    handle.say_goodbye();
    const auto deadline = std::chrono::steady_clock::now() + farewell;
    Handle* const only = &handle;
    while (handle.alive()) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0 || serve({&only, 1}, -1, left) == Wake::silence)
            return;
    }
}

} // namespace driver
