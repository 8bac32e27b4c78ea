#include "reference-client/cli/copy_plan.hpp"

#include <algorithm>

namespace refclient::cli {
namespace {

/// What is looked ahead for zeroes at a time.
constexpr std::uint64_t window = std::uint64_t{128} * 1024 * 1024;

} // namespace

ZeroRuns extents_of(const File& file) {
    return [&file](std::uint64_t offset, std::uint64_t length) {
        std::vector<Piece> runs;
        const std::uint64_t end = offset + length;
        while (offset < end) {
            const std::uint64_t data = file.next(offset, end, true);
            if (data > offset) {
                runs.push_back({offset, data - offset, true});
            }
            offset = data < end ? file.next(data, end, false) : end;
        }
        return runs;
    };
}

ZeroRuns extents_of(Connection& connection) {
    return [&connection](std::uint64_t offset, std::uint64_t length) {
        std::vector<Piece> runs;
        const auto note = [&](const MappedExtent& extent) {
            if ((extent.status & nbd::allocation_flag::zero) != 0) {
                runs.push_back({extent.offset, extent.length, true});
            }
        };
        if (!connection.info().context_id(nbd::base_allocation)) {
            return runs;
        }
        try {
            map_range(connection, nbd::base_allocation, offset, length, note);
        } catch (const Failure& failure) {
            // What the server does not tell is copied as data.
            if (failure.kind() != FailureKind::server) {
                throw;
            }
            runs.clear();
        }
        return runs;
    };
}

std::optional<Piece> CopyPlan::next() {
    while (pieces_.empty()) {
        if (seen_ == sizes_.total) {
            return std::nullopt;
        }
        look_ahead();
    }
    const Piece piece = pieces_.front();
    pieces_.pop_front();
    return piece;
}

void CopyPlan::look_ahead() {
    const std::uint64_t step = std::max(window - window % sizes_.block, sizes_.block);
    const std::uint64_t end = seen_ + std::min(step, sizes_.total - seen_);
    const std::uint64_t block = sizes_.block;
    std::uint64_t from = seen_;
    for (const Piece& run : zero_runs_(seen_, end - seen_)) {
        // Zeroes that share a block with data are copied along with them.
        const std::uint64_t over = run.offset % block;
        const std::uint64_t start = over == 0 ? run.offset : run.offset + (block - over);
        const std::uint64_t run_end = run.offset + run.length;
        const std::uint64_t stop = run_end == end ? end : run_end - run_end % block;
        if (start < stop) {
            cut(from, start, false);
            cut(start, stop, true);
            from = stop;
        }
    }
    cut(from, end, false);
    seen_ = end;
}

void CopyPlan::cut(std::uint64_t from, std::uint64_t to, bool zero) {
    const std::uint64_t most = zero ? sizes_.zeroes : sizes_.data;
    while (from < to) {
        // Boundaries at multiples of the piece size suit servers that work in blocks.
        const std::uint64_t length = std::min(most - from % most, to - from);
        pieces_.push_back({from, length, zero});
        from += length;
    }
}

} // namespace refclient::cli
