#include "reference-server/backend/memory.hpp"

#include "reference-server/backend/client_race.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <mutex>
#include <sys/mman.h>
#include <system_error>

namespace refserver {
namespace {

constexpr std::uint64_t bits = 64;
/// Larger copies are left to a worker, so that the other connections of the thread go on.
constexpr std::uint64_t largest_inline_copy = std::uint64_t{4} << 20;
/// Larger zeroing likewise: releasing memory costs about as much as writing it.
constexpr std::uint64_t largest_inline_zero = std::uint64_t{1} << 20;
/// From this many pages on it is cheaper to ask for all of them than to let each cause a fault.
constexpr std::uint64_t smallest_populated = 4;
/// How far one status request looks, in pages.
constexpr std::uint64_t status_pages = std::uint64_t{1} << 24;
/// How many extents one status request tells.
constexpr std::size_t status_extents = std::size_t{1} << 16;

void* reserve(std::size_t size) {
    void* at =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        throw std::system_error(errno, std::system_category(),
                                fmt::format("cannot reserve {} bytes of address space", size));
    }
    return at;
}

/// The bits [from, to) of a word.
std::uint64_t mask(std::uint64_t from, std::uint64_t to) {
    const std::uint64_t upper = to == bits ? ~std::uint64_t{0} : (std::uint64_t{1} << to) - 1;
    return upper & ~((std::uint64_t{1} << from) - 1);
}

} // namespace

MemoryBackend::MemoryBackend(std::uint64_t size)
  : size_(size)
  , pages_(size / page + (size % page != 0 ? 1 : 0)) {
    if (pages_ > std::numeric_limits<std::size_t>::max() / page) {
        throw std::system_error(ENOMEM, std::system_category(), "the size exceeds the address space");
    }
    mapped_bytes_ = std::max<std::size_t>(1, pages_) * page;
    bytes_ = static_cast<std::uint8_t*>(reserve(mapped_bytes_));
    mapped_bitmap_ = (pages_ / bits + 1) * sizeof(std::uint64_t);
    try {
        allocated_ = static_cast<std::atomic<std::uint64_t>*>(reserve(mapped_bitmap_));
    } catch (...) {
        ::munmap(bytes_, mapped_bytes_);
        throw;
    }
}

MemoryBackend::~MemoryBackend() {
    ::munmap(bytes_, mapped_bytes_);
    ::munmap(static_cast<void*>(allocated_), mapped_bitmap_);
}

std::string MemoryBackend::describe() const {
    return fmt::format("memory of {} bytes", size_);
}

bool MemoryBackend::try_now(Operation& operation) {
    switch (operation.kind) {
    case Operation::Kind::write:
        if (operation.length > largest_inline_copy) {
            return false;
        }
        break;
    case Operation::Kind::zero:
    case Operation::Kind::trim:
        if (operation.length > largest_inline_zero) {
            return false;
        }
        break;
    default:
        break;
    }
    perform(operation);
    return true;
}

void MemoryBackend::perform(Operation& operation) {
    switch (operation.kind) {
    case Operation::Kind::read:
        read(operation);
        break;
    case Operation::Kind::write:
        write(operation);
        break;
    case Operation::Kind::trim:
        zero(operation, false);
        break;
    case Operation::Kind::zero:
        // Never slower than a write of the same size, which has to carry the zeroes: `fast` always succeeds.
        zero(operation, operation.no_hole);
        break;
    case Operation::Kind::status:
        status(operation);
        break;
    case Operation::Kind::flush:
    case Operation::Kind::cache:
    case Operation::Kind::resize:
        break;
    }
}

void MemoryBackend::read(Operation& operation) const {
    published_.load(std::memory_order_acquire);
    const std::uint64_t end = operation.end();
    std::uint64_t at = operation.offset;
    bool allocated = operation.length != 0 && find_page(at / page, at / page + 1, true) == at / page;
    while (at < end) {
        const std::uint64_t limit = (end + page - 1) / page;
        const std::uint64_t next = std::min(end, find_page(at / page, limit, !allocated) * page);
        operation.pieces.push_back({next - at, allocated ? bytes_ + at : nullptr});
        at = next;
        allocated = !allocated;
    }
}

void MemoryBackend::write(Operation& operation) {
    for_each_stripe(operation.offset, operation.end(),
                    [&](std::uint64_t begin, std::uint64_t end, std::shared_mutex& mutex) {
                        const std::shared_lock lock(mutex);
                        if (!provide_memory(begin / page, (end + page - 1) / page)) {
                            operation.fail(nbd::Error::nospc, "no memory is left");
                            return;
                        }
                        allocate_pages(begin / page, (end + page - 1) / page);
                        const ClientRace race;
                        std::memcpy(bytes_ + begin, operation.buffer.data() + (begin - operation.offset),
                                    end - begin);
                    });
    published_.fetch_add(1, std::memory_order_release);
}

bool MemoryBackend::provide_memory(std::uint64_t first, std::uint64_t last) {
    if (last - first < smallest_populated || find_page(first, last, false) == last) {
        return true;
    }
    // Kernels before 5.14 do not know this; there every page costs a fault of its own.
    return ::madvise(bytes_ + first * page, (last - first) * page, MADV_POPULATE_WRITE) == 0 ||
           errno != ENOMEM;
}

void MemoryBackend::zero(const Operation& operation, bool keep_allocated) {
    for_each_stripe(operation.offset, operation.end(),
                    [&](std::uint64_t begin, std::uint64_t end, std::shared_mutex& mutex) {
                        if (!keep_allocated && find_page(begin / page, (end + page - 1) / page, true) ==
                                                   (end + page - 1) / page) {
                            return;
                        }
                        const std::unique_lock lock(mutex);
                        zero_stripe(begin, end, keep_allocated);
                    });
    published_.fetch_add(1, std::memory_order_release);
}

void MemoryBackend::zero_stripe(std::uint64_t begin, std::uint64_t end, bool keep_allocated) {
    if (keep_allocated) {
        allocate_pages(begin / page, (end + page - 1) / page);
        std::memset(bytes_ + begin, 0, end - begin);
        return;
    }
    // The last page may be cut short by the end of the disk, and then belongs to nobody else.
    const std::uint64_t first = (begin + page - 1) / page;
    const std::uint64_t last = end == size_ ? pages_ : end / page;
    if (first >= last) {
        const std::uint64_t middle = std::min(end, first * page);
        clear_within_page(begin, middle);
        clear_within_page(middle, end);
        return;
    }
    clear_within_page(begin, first * page);
    clear_within_page(last * page, end);
    if (release_pages(first, last)) {
        ::madvise(bytes_ + first * page, (last - first) * page, MADV_DONTNEED);
    }
}

void MemoryBackend::clear_within_page(std::uint64_t begin, std::uint64_t end) {
    if (begin < end && find_page(begin / page, begin / page + 1, true) == begin / page) {
        std::memset(bytes_ + begin, 0, end - begin);
    }
}

void MemoryBackend::status(Operation& operation) const {
    published_.load(std::memory_order_acquire);
    const std::uint64_t first = operation.offset / page;
    const std::uint64_t limit =
        std::min(pages_, first + std::min(status_pages, (operation.end() - 1) / page - first + 1));
    std::uint64_t at = operation.offset;
    bool allocated = find_page(first, first + 1, true) == first;
    do {
        // The last extent may go on behind the range; looking there costs nothing as long as it is short.
        const std::uint64_t next = std::min(size_, find_page(at / page, limit, !allocated) * page);
        operation.extents.push_back(
            {next - at, allocated ? 0 : nbd::allocation_flag::hole | nbd::allocation_flag::zero});
        at = next;
        allocated = !allocated;
    } while (at < std::min(size_, limit * page) && !operation.one_extent &&
             operation.extents.size() < status_extents);
}

void MemoryBackend::allocate_pages(std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t at = first; at < last;) {
        const std::uint64_t end = std::min(last, (at / bits + 1) * bits);
        const std::uint64_t wanted = mask(at % bits, end - at / bits * bits);
        std::atomic<std::uint64_t>& word = allocated_[at / bits];
        if ((word.load(std::memory_order_relaxed) & wanted) != wanted) {
            word.fetch_or(wanted, std::memory_order_relaxed);
        }
        at = end;
    }
}

bool MemoryBackend::release_pages(std::uint64_t first, std::uint64_t last) {
    bool any = false;
    for (std::uint64_t at = first; at < last;) {
        const std::uint64_t end = std::min(last, (at / bits + 1) * bits);
        const std::uint64_t wanted = mask(at % bits, end - at / bits * bits);
        any = (allocated_[at / bits].fetch_and(~wanted, std::memory_order_relaxed) & wanted) != 0 || any;
        at = end;
    }
    return any;
}

std::uint64_t MemoryBackend::find_page(std::uint64_t from, std::uint64_t limit, bool allocated) const {
    while (from < limit) {
        std::uint64_t word = allocated_[from / bits].load(std::memory_order_relaxed);
        word = (allocated ? word : ~word) & mask(from % bits, bits);
        if (word != 0) {
            return std::min(limit, from / bits * bits + static_cast<std::uint64_t>(std::countr_zero(word)));
        }
        from = (from / bits + 1) * bits;
    }
    return limit;
}

void MemoryBackend::for_each_stripe(
    std::uint64_t begin, std::uint64_t end,
    const std::function<void(std::uint64_t, std::uint64_t, std::shared_mutex&)>& body) {
    while (begin < end) {
        const std::uint64_t stripe = begin / stripe_bytes;
        const std::uint64_t next = std::min(end, (stripe + 1) * stripe_bytes);
        body(begin, next, locks_.at(stripe % stripes));
        begin = next;
    }
}

} // namespace refserver
