#include "reference-client/mount/tests/support/driven_file.hpp"

#include <cerrno>
#include <poll.h>
#include <stdexcept>

namespace refclient::mount::testing {
namespace {

Options options_with(Replies replies) {
    Options options;
    options.replies = replies;
    options.ask_resize = true;
    options.timeout = std::chrono::seconds(20);
    return options;
}

} // namespace

DrivenFile::DrivenFile(const nbd::Uri& uri, FilePreferences preferences, Replies replies)
  : file_(uri, options_with(replies), preferences,
          [this](std::string_view text) { log_.emplace_back(text); }) {
    file_.open();
    witness_ = file_.open_witness();
}

bool DrivenFile::drive(const std::function<bool()>& enough) {
    const Clock::time_point limit = Clock::now() + std::chrono::seconds(30);
    Link& link = file_.link();
    while (!enough()) {
        if (Clock::now() > limit) {
            return false;
        }
        pollfd waiting{link.descriptor(), link.events(), 0};
        link.move(::poll(&waiting, 1, 10) > 0 ? waiting.revents : short{0});
        link.expire();
    }
    return true;
}

std::uint64_t DrivenFile::length() {
    bool done = false;
    file_.refresh([&] { done = true; });
    static_cast<void>(drive([&] { return done; }));
    return file_.length();
}

std::pair<int, std::string> DrivenFile::read(std::uint64_t offset, std::size_t length) {
    std::optional<std::pair<int, std::string>> result;
    file_.read(offset, length, [&](int error, std::span<const std::uint8_t> data) {
        result.emplace(error, std::string(data.begin(), data.end()));
    });
    static_cast<void>(drive([&] { return result.has_value(); }));
    return result.value();
}

std::int64_t DrivenFile::write(std::uint64_t offset, const std::string& data, bool append, bool durable) {
    std::optional<std::int64_t> result;
    const nbd::Bytes bytes(reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
    file_.write({offset, bytes, append, durable}, [&](int error, std::uint64_t count) {
        result = error != 0 ? -error : static_cast<std::int64_t>(count);
    });
    static_cast<void>(drive([&] { return result.has_value(); }));
    return result.value();
}

int DrivenFile::set_length(std::uint64_t length) {
    std::optional<int> result;
    file_.set_length(length, [&](int error) { result = error; });
    static_cast<void>(drive([&] { return result.has_value(); }));
    return result.value();
}

int DrivenFile::allocate(Allocate how, bool keep_length, std::uint64_t offset, std::uint64_t length) {
    std::optional<int> result;
    file_.allocate(how, keep_length, offset, length, [&](int error) { result = error; });
    static_cast<void>(drive([&] { return result.has_value(); }));
    return result.value();
}

int DrivenFile::flush() {
    std::optional<int> result;
    file_.flush(witness_, [&](int error) { result = error; });
    static_cast<void>(drive([&] { return result.has_value(); }));
    return result.value();
}

std::int64_t DrivenFile::seek(std::uint64_t offset, Seek kind) {
    std::optional<std::int64_t> result;
    file_.seek(offset, kind, [&](int error, std::uint64_t found) {
        result = error != 0 ? -error : static_cast<std::int64_t>(found);
    });
    static_cast<void>(drive([&] { return result.has_value(); }));
    return result.value();
}

} // namespace refclient::mount::testing
