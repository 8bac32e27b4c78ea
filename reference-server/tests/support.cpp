#include "reference-server/tests/support.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <random>
#include <stdexcept>
#include <utility>

namespace refserver {
namespace {

/// Every message is put into words as well, so that a fault there is noticed.
Trace silent() {
    return [](std::string_view line) {
        if (line.empty()) {
            throw std::logic_error("an empty line in the trace");
        }
    };
}

} // namespace

nbd::Buffer bytes(std::string_view text) {
    nbd::Buffer result;
    while (!text.empty()) {
        if (text.front() == ' ') {
            text.remove_prefix(1);
        } else if (text.front() == '\'') {
            const auto end = text.find('\'', 1);
            const auto quoted = text.substr(1, end - 1);
            result.insert(result.end(), quoted.begin(), quoted.end());
            text.remove_prefix(end + 1);
        } else if (text.front() == '*') {
            std::size_t count = 0;
            const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), count);
            if (error != std::errc{} || result.empty()) {
                throw std::invalid_argument("no count behind *");
            }
            result.insert(result.end(), count - 1, result.back());
            text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        } else {
            std::uint8_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + 2, value, 16);
            if (error != std::errc{} || end != text.data() + 2) {
                throw std::invalid_argument(fmt::format("not hexadecimal: {}", text));
            }
            result.push_back(value);
            text.remove_prefix(2);
        }
    }
    return result;
}

std::string shown(nbd::Bytes bytes) {
    std::string text = fmt::format("{} bytes", bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        text += fmt::format("{}{:02x}", i % 16 == 0 ? "\n" : " ", bytes[i]);
    }
    return text;
}

Fragments whole() {
    return [](std::size_t left) { return left; };
}

Fragments single_bytes() {
    return [](std::size_t) { return std::size_t{1}; };
}

Fragments random_pieces(unsigned seed) {
    return [generator = std::mt19937(seed)](std::size_t left) mutable {
        return std::min(left, std::uniform_int_distribution<std::size_t>(1, 40)(generator));
    };
}

Disk::Disk(std::uint64_t size, ExportOptions options)
  : backend(std::make_shared<MemoryBackend>(size))
  , served([&] {
      options.name = "disk";
      return std::make_shared<Export>(std::move(options), backend);
  }())
  , catalogue(served) {
    constexpr std::string_view content = "0123456789abcdef";
    BufferPool pool;
    Operation write;
    write.kind = Operation::Kind::write;
    write.length = std::min<std::uint64_t>(size, content.size());
    write.buffer = pool.take(write.length);
    std::memcpy(write.buffer.data(), content.data(), write.length);
    backend->perform(write);
    write.buffer.reset();
}

Conversation::Conversation(ExportCatalogue& catalogue, SessionOptions options)
  : options_(options)
  , trace_(silent())
  , session_(options_, catalogue, pool_, trace_) {
    drive();
}

void Conversation::drive() {
    std::array<iovec, 7> vectors;
    do {
        while (Operation* operation = session_.next_operation()) {
            session_.served().perform(*operation);
            session_.complete(*operation);
        }
        const std::size_t count = session_.output().gather(vectors);
        std::uint64_t size = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const auto* from = static_cast<const std::uint8_t*>(vectors.at(i).iov_base);
            output_.insert(output_.end(), from, from + vectors.at(i).iov_len);
            size += vectors.at(i).iov_len;
        }
        session_.sent(size);
    } while (!session_.output().empty());
}

void Conversation::feed(nbd::Bytes input, const Fragments& fragments) {
    while (!input.empty() && session_.wants_input()) {
        std::size_t piece = fragments(input.size());
        std::size_t taken = 0;
        for (const iovec& space : session_.input_space()) {
            const std::size_t part = std::min(space.iov_len, piece);
            if (part != 0) {
                std::memcpy(space.iov_base, input.data(), part);
            }
            input = input.subspan(part);
            piece -= part;
            taken += part;
        }
        session_.received(taken);
        drive();
    }
}

void Conversation::end_of_input() {
    session_.end_of_input();
    drive();
}

nbd::Buffer Conversation::output() {
    return std::exchange(output_, {});
}

} // namespace refserver
