// Opening, reading, seeking, flushing and ending. What changes the file is in export_file_changes.cpp.

#include "reference-client/mount/export_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace refclient::mount {

ExportFile::ExportFile(nbd::Uri uri, Options options, FilePreferences preferences, Log log)
  : preferences_(preferences)
  , log_(log)
  , link_(uri, std::move(options), preferences.reconnect, std::move(log))
  , sizing_(std::move(uri), preferences.size) {
    link_.on_connected([this](Connection& connection) { sizing_.begin(connection); });
    link_.on_lost([this] {
        if (durability_.connection_lost()) {
            log_("writes that were not flushed may be lost; the next fsync says so");
        }
    });
}

std::uint64_t ExportFile::export_size() const {
    // A last block that is not whole cannot be used (Size constraints).
    return round_down(link_.size(), limits().block);
}

std::uint64_t ExportFile::length() const {
    return std::min(hidden_from_, export_size());
}

std::uint64_t ExportFile::capacity() const {
    namespace can = nbd::resize_capability;
    const ExportInfo& info = link_.info();
    const bool grows = info.can_resize(can::explicit_) || info.can_resize(can::automatic);
    return std::max(export_size(), grows ? std::min(info.resize->largest, length_limit) : 0);
}

void ExportFile::reaches(std::uint64_t end) {
    if (end > hidden_from_) {
        hidden_from_ = end < export_size() ? end : UINT64_MAX;
    }
}

void ExportFile::refresh(const std::function<void()>& done) {
    static_cast<void>(link_.run([this](Connection& connection) { sizing_.learn(connection); }));
    done();
}

void ExportFile::read(std::uint64_t offset, std::size_t length, ReadDone done) {
    if (offset > length_limit || length > length_limit - offset) {
        return done(EINVAL, {});
    }
    if (offset + length > this->length()) {
        // There may be more by now.
        return refresh([this, offset, length, &done] { read_now(offset, length, done); });
    }
    read_now(offset, length, done);
}

void ExportFile::read_now(std::uint64_t offset, std::size_t length, const ReadDone& done) {
    if (!link_.ready()) {
        return done(EIO, {});
    }
    const Range wanted = before({offset, length}, this->length());
    if (wanted.empty()) {
        return done(0, {});
    }
    const Range blocks = whole_blocks(wanted, limits().block);
    const std::shared_ptr<std::uint8_t[]> memory =
        std::make_shared_for_overwrite<std::uint8_t[]>(blocks.length);
    std::vector<Operation> operations;
    for (const Range& piece : cut(blocks, limits().payload)) {
        operations.push_back(
            Operation::read(piece.offset, {memory.get() + (piece.offset - blocks.offset), piece.length}));
    }
    link_.submit(std::move(operations), [memory, wanted, blocks, done](const Result& result) {
        if (result.error) {
            return done(file_error(FileAction::read, *result.error), {});
        }
        done(0, {memory.get() + (wanted.offset - blocks.offset), wanted.length});
    });
}

void ExportFile::flush(Witness& witness, Done done) {
    static_cast<void>(link_.ready());
    if (durability_.tell(witness)) {
        return done(EIO);
    }
    send_flush(std::move(done));
}

void ExportFile::send_flush(Done done) {
    if (!link_.ready()) {
        return done(EIO);
    }
    if (!offers(nbd::transmission_flag::send_flush)) {
        // Such a server has nothing to flush.
        durability_.flushed(durability_.mark());
        return done(0);
    }
    const std::uint64_t mark = durability_.mark();
    link_.submit({Operation::flush()}, [this, mark, done = std::move(done)](const Result& result) {
        if (result.error) {
            return done(file_error(FileAction::flush, *result.error));
        }
        durability_.flushed(mark);
        done(0);
    });
}

void ExportFile::seek(std::uint64_t offset, Seek kind, CountDone done) {
    if (!link_.ready()) {
        return done(EIO, 0);
    }
    if (offset >= length()) {
        return done(ENXIO, 0);
    }
    if (!link_.info().context_id(nbd::base_allocation)) {
        // Who cannot tell says that everything is data.
        return done(0, kind == Seek::data ? offset : length());
    }
    continue_search(std::make_shared<AllocationSearch>(kind, offset, length(), limits()), done);
}

void ExportFile::continue_search(const std::shared_ptr<AllocationSearch>& search, const CountDone& done) {
    const std::optional<Range> next = search->next();
    if (!next) {
        const std::optional<std::uint64_t> found = search->found();
        return done(found ? 0 : ENXIO, found.value_or(0));
    }
    const Operation ask = Operation::range(nbd::Command::block_status, next->offset, next->length);
    link_.submit({ask}, [this, search, done](const Result& result) {
        if (result.error && ends_connection(*result.error)) {
            return done(EIO, 0);
        }
        // What the server does not want to tell is data.
        const auto context =
            std::ranges::find(result.status, link_.info().context_id(nbd::base_allocation),
                              [](const ContextStatus& status) { return std::optional(status.context); });
        search->take(context == result.status.end() ? std::span<const Extent>() : context->extents);
        continue_search(search, done);
    });
}

void ExportFile::finish() {
    std::optional<Failure> failure;
    while (link_.in_flight() > 0 && !failure) {
        failure = link_.run([](Connection& connection) { connection.settle(); });
        link_.take();
    }
    if (link_.connected() && !failure && !durability_.clean()) {
        const std::uint64_t mark = durability_.mark();
        failure = link_.run([this](Connection& connection) {
            if (offers(nbd::transmission_flag::send_flush)) {
                connection.flush();
            }
        });
        if (!failure) {
            durability_.flushed(mark);
        }
    }
    if (failure && !ends_connection(*failure)) {
        throw Failure(*failure);
    }
    if (durability_.loss_untold()) {
        throw Failure(
            FailureKind::connection, EIO,
            "writes that the server had acknowledged may be lost: they were not flushed when the connection "
            "broke");
    }
}

} // namespace refclient::mount
