#include "harness/peers/error_words.hpp"

#include <array>
#include <cctype>
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
        result.push_back({"ENOTSUP", "ENOTSUP"});
        return result;
    }();
    return words;
}

bool is_letter(char character) {
    return std::isalnum(static_cast<unsigned char>(character)) != 0;
}

/// Where `words` stand last in the message, not as a part of a longer word; npos if nowhere.
std::size_t last_word(std::string_view message, std::string_view words) {
    std::size_t at = message.rfind(words);
    while (at != std::string_view::npos) {
        const std::size_t end = at + words.size();
        if ((at == 0 || !is_letter(message[at - 1])) && (end == message.size() || !is_letter(message[end]))) {
            return at;
        }
        at = at == 0 ? std::string_view::npos : message.rfind(words, at - 1);
    }
    return at;
}

} // namespace

std::string error_in(std::string_view message) {
    std::string best = "EUNKNOWN";
    std::size_t best_at = 0;
    bool found = false;
    for (const ErrorWord& word : table()) {
        const std::size_t at = last_word(message, word.words);
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
