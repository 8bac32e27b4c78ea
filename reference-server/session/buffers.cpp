#include "reference-server/session/buffers.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace refserver {
namespace {

constexpr std::size_t smallest = 4096;
constexpr std::align_val_t alignment{4096};

/// Capacities are powers of two; this is the exponent.
std::size_t class_of(std::size_t size) {
    return static_cast<std::size_t>(std::bit_width(std::max(size, smallest) - 1));
}

} // namespace

PooledBuffer::PooledBuffer(PooledBuffer&& other) noexcept
  : pool_(std::exchange(other.pool_, nullptr))
  , data_(std::exchange(other.data_, nullptr))
  , size_(std::exchange(other.size_, 0)) {}

PooledBuffer& PooledBuffer::operator=(PooledBuffer&& other) noexcept {
    if (this != &other) {
        reset();
        pool_ = std::exchange(other.pool_, nullptr);
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

PooledBuffer::~PooledBuffer() {
    reset();
}

void PooledBuffer::reset() {
    if (data_ != nullptr) {
        pool_->give_back(data_, size_);
    }
    pool_ = nullptr;
    data_ = nullptr;
    size_ = 0;
}

BufferPool::~BufferPool() {
    for (const auto& list : free_) {
        for (std::uint8_t* data : list) {
            ::operator delete(data, alignment);
        }
    }
}

PooledBuffer BufferPool::take(std::size_t size) {
    if (size == 0) {
        return {};
    }
    const std::size_t index = class_of(size);
    auto& list = free_.at(index);
    if (!list.empty()) {
        std::uint8_t* data = list.back();
        list.pop_back();
        free_bytes_ -= std::size_t{1} << index;
        return {this, data, size};
    }
    return {this, static_cast<std::uint8_t*>(::operator new (std::size_t{1} << index, alignment)), size};
}

void BufferPool::give_back(std::uint8_t* data, std::size_t size) {
    const std::size_t index = class_of(size);
    const std::size_t capacity = std::size_t{1} << index;
    if (free_bytes_ + capacity > kept_bytes) {
        ::operator delete(data, alignment);
        return;
    }
    free_.at(index).push_back(data);
    free_bytes_ += capacity;
}

} // namespace refserver
