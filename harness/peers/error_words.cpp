#include "harness/peers/error_words.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace harness {
namespace {

struct ErrorWord {
    std::string name;
    std::string words;
};

/// The errors of the protocol and those of sockets, in the words of this machine's C library.
const std::vector<ErrorWord>& table() {
    static const std::vector<ErrorWord> words = [] {
        constexpr std::array numbers{EPERM,        EIO,       ENOMEM,       EINVAL,     ENOSPC,
                                     EOVERFLOW,    ENOTSUP,   ESHUTDOWN,    ENOENT,     EACCES,
                                     EPIPE,        ERANGE,    ECONNREFUSED, ECONNRESET, ENOTCONN,
                                     ECONNABORTED, ETIMEDOUT, EROFS,        EPROTO,     EBADMSG};
        std::vector<ErrorWord> result;
        for (const int number : numbers) {
            result.push_back({strerrorname_np(number), strerrordesc_np(number)});
            result.push_back({strerrorname_np(number), strerrorname_np(number)});
        }
        for (ErrorWord& word : result) {
            if (word.name == "EOPNOTSUPP") {
                word.name = "ENOTSUP"; // one number on Linux; NBD's name is the other one
            }
        }
        return result;
    }();
    return words;
}

} // namespace

std::string error_in(std::string_view message) {
    std::string best = "EUNKNOWN";
    std::size_t best_at = 0;
    bool found = false;
    for (const ErrorWord& word : table()) {
        const std::size_t at = message.rfind(word.words);
        if (at != std::string_view::npos && (!found || at > best_at)) {
            found = true;
            best_at = at;
            best = word.name;
        }
    }
    return best;
}

bool is_connection_error(std::string_view name) {
    return name == "ECONNREFUSED" || name == "ECONNRESET" || name == "ENOTCONN" || name == "EPIPE" ||
           name == "ECONNABORTED";
}

} // namespace harness
