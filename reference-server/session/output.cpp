#include "reference-server/session/output.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace refserver {
namespace {

/// What zero bytes are sent from. Never written to, so it takes no memory.
constexpr std::size_t zeroes_size = std::size_t{256} << 10;

std::uint8_t* zeroes() {
    alignas(4096) static std::array<std::uint8_t, zeroes_size> bytes;
    return bytes.data();
}

} // namespace

OutputQueue::Segment& OutputQueue::with_free_body() {
    if (segments_.empty() || segments_.back().body_size != 0 || !segments_.back().owned.empty()) {
        segments_.emplace_back();
    }
    return segments_.back();
}

std::uint8_t* OutputQueue::add_header(std::size_t size) {
    assert(size <= max_header);
    if (segments_.empty() || segments_.back().body_size != 0 || !segments_.back().owned.empty() ||
        segments_.back().header_size + size > max_header) {
        segments_.emplace_back();
    }
    Segment& segment = segments_.back();
    std::uint8_t* at = segment.header.data() + segment.header_size;
    segment.header_size += size;
    size_ += size;
    return at;
}

void OutputQueue::add_copy(nbd::Bytes bytes) {
    if (bytes.empty()) {
        return;
    }
    if (bytes.size() <= max_header) {
        std::memcpy(add_header(bytes.size()), bytes.data(), bytes.size());
        return;
    }
    PooledBuffer copy = pool_.take(bytes.size());
    std::memcpy(copy.data(), bytes.data(), bytes.size());
    add_borrowed(copy.bytes());
    keep(std::move(copy));
}

void OutputQueue::add_borrowed(nbd::Bytes bytes) {
    if (bytes.empty()) {
        return;
    }
    Segment& segment = with_free_body();
    segment.body = bytes.data();
    segment.body_size = bytes.size();
    size_ += bytes.size();
}

void OutputQueue::add_zeroes(std::uint64_t size) {
    if (size == 0) {
        return;
    }
    Segment& segment = with_free_body();
    segment.body = nullptr;
    segment.body_size = size;
    size_ += size;
}

void OutputQueue::keep(PooledBuffer buffer) {
    if (buffer.empty() || segments_.empty()) {
        return;
    }
    held_ += buffer.size();
    segments_.back().owned = std::move(buffer);
}

std::size_t OutputQueue::gather(std::span<iovec> vectors) const {
    std::size_t count = 0;
    std::uint64_t skip = sent_of_first_;
    for (const Segment& segment : segments_) {
        if (count == vectors.size()) {
            break;
        }
        if (skip < segment.header_size) {
            vectors[count++] = {const_cast<std::uint8_t*>(segment.header.data()) + skip,
                                segment.header_size - skip};
            skip = 0;
        } else {
            skip -= segment.header_size;
        }
        std::uint64_t left = segment.body_size - skip;
        if (segment.body != nullptr) {
            if (left != 0 && count < vectors.size()) {
                vectors[count++] = {const_cast<std::uint8_t*>(segment.body) + skip, left};
            } else if (left != 0) {
                break;
            }
        } else {
            while (left != 0 && count < vectors.size()) {
                const std::uint64_t part = std::min<std::uint64_t>(left, zeroes_size);
                vectors[count++] = {zeroes(), part};
                left -= part;
            }
            if (left != 0) {
                break;
            }
        }
        skip = 0;
    }
    return count;
}

void OutputQueue::consume(std::uint64_t size) {
    size_ -= size;
    total_sent_ += size;
    sent_of_first_ += size;
    while (!segments_.empty() && sent_of_first_ >= segments_.front().size()) {
        sent_of_first_ -= segments_.front().size();
        held_ -= segments_.front().owned.size();
        segments_.pop_front();
    }
}

void OutputQueue::clear() {
    segments_.clear();
    sent_of_first_ = 0;
    size_ = 0;
    held_ = 0;
}

} // namespace refserver
