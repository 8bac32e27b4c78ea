#include "reference-server/backend/sparse_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

namespace refserver {
namespace {

/// Larger copies are left to a worker, so that the other connections of the thread go on.
constexpr std::uint64_t largest_inline = std::uint64_t{4} << 20;
/// How many extents one status request tells.
constexpr std::size_t status_extents = std::size_t{1} << 16;
/// What a page costs, with what keeps it.
constexpr std::uint64_t page_cost = SparseMemory::page + 64;
/// Once there are this many stretches of junk, zeroes among it take pages, which count as memory.
constexpr std::size_t most_stretches = 1024;

/// What every page of junk looks like.
const std::array<std::uint8_t, SparseMemory::page>& junk_page() {
    static const auto bytes = [] {
        constexpr std::string_view text = "old bytes here! ";
        std::array<std::uint8_t, SparseMemory::page> all{};
        for (std::size_t i = 0; i < all.size(); ++i) {
            all.at(i) = static_cast<std::uint8_t>(text[i % text.size()]);
        }
        return all;
    }();
    return bytes;
}

std::uint64_t page_of(std::uint64_t offset) {
    return offset / SparseMemory::page;
}

/// The page behind the last byte of [0, end).
std::uint64_t page_behind(std::uint64_t end) {
    return end / SparseMemory::page + (end % SparseMemory::page == 0 ? 0 : 1);
}

} // namespace

bool MemoryBudget::take(std::uint64_t bytes) {
    std::int64_t left = left_.load(std::memory_order_relaxed);
    do {
        if (left < 0 || static_cast<std::uint64_t>(left) < bytes) {
            return false;
        }
    } while (!left_.compare_exchange_weak(left, left - static_cast<std::int64_t>(bytes)));
    return true;
}

SparseMemory::SparseMemory(std::uint64_t size, std::shared_ptr<MemoryBudget> budget)
  : size_(size)
  , largest_so_far_(size)
  , budget_(std::move(budget)) {}

SparseMemory::~SparseMemory() {
    budget_->give_back(pages_.size() * page_cost);
}

std::uint8_t SparseMemory::junk(std::uint64_t offset) {
    return junk_page().at(offset % page);
}

std::string SparseMemory::describe() const {
    return fmt::format("resizable memory of {} bytes", size());
}

bool SparseMemory::try_now(Operation& operation) {
    if ((operation.kind == Operation::Kind::read || operation.kind == Operation::Kind::write ||
         operation.no_hole) &&
        operation.length > largest_inline) {
        return false;
    }
    perform(operation);
    return true;
}

bool SparseMemory::within(Operation& operation) const {
    const std::uint64_t now = size();
    if (operation.end() <= now) {
        return true;
    }
    operation.fail(nbd::Error::io, fmt::format("the export has become shorter and ends at offset {}", now));
    return false;
}

void SparseMemory::perform(Operation& operation) {
    switch (operation.kind) {
    case Operation::Kind::read:
        return read(operation);
    case Operation::Kind::write:
        return write(operation);
    case Operation::Kind::trim:
    case Operation::Kind::zero:
        // Never slower than a write of the same size, which has to carry the zeroes: `fast` always succeeds.
        return zero(operation);
    case Operation::Kind::status:
        return status(operation);
    case Operation::Kind::flush:
    case Operation::Kind::cache:
    case Operation::Kind::resize:
        break;
    }
}

bool SparseMemory::is_hole(std::uint64_t index) const {
    return find(index, index + 1, true) == index;
}

std::uint64_t SparseMemory::find(std::uint64_t from, std::uint64_t limit, bool hole) const {
    while (from < limit) {
        const auto next_page = pages_.lower_bound(from);
        std::uint64_t next = next_page == pages_.end() ? limit : std::min(limit, next_page->first);
        bool is_hole_here = next != from;
        if (is_hole_here && !junk_.empty()) {
            const auto stretch = junk_.lower_bound(Bytes::right_open(from * page, from * page + 1));
            if (stretch != junk_.end()) {
                const std::uint64_t begin = std::max(from, page_of(stretch->lower()));
                is_hole_here = begin != from;
                next = std::min(next, is_hole_here ? begin : page_behind(stretch->upper()));
            }
        } else if (!is_hole_here) {
            next = from + 1;
        }
        if (is_hole_here == hole) {
            return from;
        }
        from = next;
    }
    return limit;
}

void SparseMemory::copy_out(std::uint64_t begin, std::uint64_t end, std::uint8_t* to) const {
    const auto found = pages_.find(page_of(begin));
    if (found != pages_.end()) {
        std::memcpy(to, found->second->data() + begin % page, end - begin);
        return;
    }
    std::memset(to, 0, end - begin);
    if (junk_.empty()) {
        return;
    }
    const auto stretches = junk_.equal_range(Bytes::right_open(begin, end));
    for (auto stretch = stretches.first; stretch != stretches.second; ++stretch) {
        const std::uint64_t from = std::max(begin, stretch->lower());
        const std::uint64_t until = std::min(end, stretch->upper());
        std::memcpy(to + (from - begin), junk_page().data() + from % page, until - from);
    }
}

void SparseMemory::read(Operation& operation) const {
    const std::shared_lock lock(mutex_);
    if (!within(operation)) {
        return;
    }
    const std::uint64_t end = operation.end();
    std::uint64_t at = operation.offset;
    bool hole = is_hole(page_of(at));
    while (at < end) {
        const std::uint64_t next = std::min(end, find(page_of(at), page_behind(end), !hole) * page);
        std::uint8_t* const to = operation.buffer.data() + (at - operation.offset);
        operation.pieces.push_back({next - at, hole ? nullptr : to});
        for (std::uint64_t from = at; from < next && !hole;) {
            const std::uint64_t until = std::min(next, (page_of(from) + 1) * page);
            copy_out(from, until, to + (from - at));
            from = until;
        }
        at = next;
        hole = !hole;
    }
}

bool SparseMemory::provide(std::uint64_t begin, std::uint64_t end) {
    const std::uint64_t first = page_of(begin);
    const std::uint64_t last = page_behind(end);
    const auto present =
        static_cast<std::uint64_t>(std::distance(pages_.lower_bound(first), pages_.lower_bound(last)));
    const std::uint64_t missing = last - first - present;
    if (missing > ~std::uint64_t{0} / page_cost || !budget_->take(missing * page_cost)) {
        return false;
    }
    auto at = pages_.lower_bound(first);
    std::uint64_t provided = 0;
    try {
        for (std::uint64_t index = first; index < last; ++index) {
            if (at == pages_.end() || at->first != index) {
                auto fresh = std::make_unique_for_overwrite<Page>();
                copy_out(index * page, (index + 1) * page, fresh->data());
                at = pages_.emplace_hint(at, index, std::move(fresh));
                ++provided;
            }
            ++at;
        }
    } catch (const std::bad_alloc&) {
        budget_->give_back((missing - provided) * page_cost);
        return false;
    }
    if (!junk_.empty()) {
        junk_.subtract(Bytes::right_open(first * page, last * page));
    }
    return true;
}

void SparseMemory::write(Operation& operation) {
    const std::unique_lock lock(mutex_);
    if (!within(operation)) {
        return;
    }
    const std::uint64_t end = operation.end();
    if (!provide(operation.offset, end)) {
        return operation.fail(nbd::Error::nospc, "no memory is left");
    }
    auto at = pages_.lower_bound(page_of(operation.offset));
    for (std::uint64_t from = operation.offset; from < end; ++at) {
        const std::uint64_t until = std::min(end, (page_of(from) + 1) * page);
        std::memcpy(at->second->data() + from % page, operation.buffer.data() + (from - operation.offset),
                    until - from);
        from = until;
    }
}

void SparseMemory::forget(std::uint64_t begin, std::uint64_t end) {
    if (begin >= end) {
        return;
    }
    const auto clear = [this](std::uint64_t from, std::uint64_t until) {
        const auto found = from < until ? pages_.find(page_of(from)) : pages_.end();
        if (found != pages_.end()) {
            std::memset(found->second->data() + from % page, 0, until - from);
        }
    };
    const std::uint64_t first = page_behind(begin);
    const std::uint64_t last = page_of(end);
    if (first <= last) {
        clear(begin, first * page);
        clear(last * page, end);
        const auto from = pages_.lower_bound(first);
        const auto until = pages_.lower_bound(last);
        budget_->give_back(static_cast<std::uint64_t>(std::distance(from, until)) * page_cost);
        pages_.erase(from, until);
    } else {
        clear(begin, end);
    }
    if (!junk_.empty()) {
        junk_.subtract(Bytes::right_open(begin, end));
    }
}

void SparseMemory::zero(Operation& operation) {
    const std::unique_lock lock(mutex_);
    if (!within(operation)) {
        return;
    }
    if (!operation.no_hole) {
        // A hole in the middle of junk makes two stretches of one.
        const bool crowded = junk_.iterative_size() >= most_stretches;
        if (!crowded || operation.length >= most_stretches * page) {
            return forget(operation.offset, operation.end());
        }
    }
    if (!provide(operation.offset, operation.end())) {
        return operation.fail(nbd::Error::nospc, "no memory is left");
    }
    auto at = pages_.lower_bound(page_of(operation.offset));
    for (std::uint64_t from = operation.offset; from < operation.end(); ++at) {
        const std::uint64_t until = std::min(operation.end(), (page_of(from) + 1) * page);
        std::memset(at->second->data() + from % page, 0, until - from);
        from = until;
    }
}

void SparseMemory::status(Operation& operation) const {
    const std::shared_lock lock(mutex_);
    if (!within(operation)) {
        return;
    }
    const std::uint64_t end = operation.end();
    std::uint64_t at = operation.offset;
    bool hole = is_hole(page_of(at));
    do {
        const std::uint64_t next = std::min(end, find(page_of(at), page_behind(end), !hole) * page);
        operation.extents.push_back(
            {next - at, hole ? nbd::allocation_flag::hole | nbd::allocation_flag::zero : 0});
        at = next;
        hole = !hole;
    } while (at < end && !operation.one_extent && operation.extents.size() < status_extents);
}

void SparseMemory::expose_old_bytes(std::uint64_t begin, std::uint64_t end) {
    // Only what never was part of the disk is junk; the rest comes back as it was.
    begin = std::max(begin, largest_so_far_);
    if (begin >= end) {
        return;
    }
    junk_.add(Bytes::right_open(begin, end));
    const auto straddling = pages_.find(page_of(begin));
    if (straddling != pages_.end()) {
        const std::uint64_t until = std::min(end, (page_of(begin) + 1) * page);
        for (std::uint64_t at = begin; at < until; ++at) {
            (*straddling->second)[at % page] = junk(at);
        }
        junk_.subtract(Bytes::right_open(begin, until));
    }
}

Failure SparseMemory::set_size(const SizeChange& change) {
    const std::unique_lock lock(mutex_);
    if (change.to > change.from) {
        if (change.leave_old_bytes) {
            expose_old_bytes(change.from, change.to);
        }
        if (change.allocate && !provide(change.from, change.to)) {
            return {nbd::Error::nospc,
                    fmt::format("no memory is left for {} bytes", change.to - change.from)};
        }
        largest_so_far_ = std::max(largest_so_far_, change.to);
    } else if (!change.leave_old_bytes) {
        forget(change.to, page_behind(change.from) * page);
    }
    size_.store(change.to, std::memory_order_relaxed);
    return {};
}

} // namespace refserver
