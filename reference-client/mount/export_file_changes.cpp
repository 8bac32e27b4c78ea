// Writing, zeroing, and changing the length.

#include "reference-client/mount/block_writes.hpp"
#include "reference-client/mount/export_file.hpp"

#include <algorithm>
#include <cerrno>

namespace refclient::mount {

namespace offered = nbd::transmission_flag;

void ExportFile::write(const FileWrite& what, CountDone done) {
    if (!link_.ready()) {
        return done(EIO, 0);
    }
    FileWrite placed = what;
    if (what.append) {
        // What another client has appended is not to be written over.
        const std::optional<Failure> failure =
            link_.run([this](Connection& connection) { sizing_.learn(connection); });
        if (failure) {
            return done(file_error(FileAction::write, *failure), 0);
        }
        placed.offset = length();
        placed.append = false;
    }
    const Range range{placed.offset, placed.data.size()};
    if (range.offset > length_limit || range.length > length_limit - range.offset) {
        return done(EFBIG, 0);
    }
    if (!is_aligned(range, limits().block)) {
        return write_at_once(placed, done);
    }
    if (range.end() <= export_size()) {
        return submit_write(placed, 0, std::move(done));
    }
    if (const std::optional<std::uint16_t> flags = sizing_.extending_flags(*link_.connection(), range)) {
        return submit_write(placed, *flags, std::move(done));
    }
    write_at_once(placed, done);
}

void ExportFile::submit_write(const FileWrite& what, std::uint16_t flags, CountDone done) {
    const bool flush_after = what.durable && !offers(offered::send_fua);
    if (what.durable && !flush_after) {
        flags |= nbd::command_flag::fua;
    }
    std::vector<Operation> operations;
    const Range range{what.offset, what.data.size()};
    for (const Range& piece : cut(range, limits().payload)) {
        operations.push_back(Operation::write(
            piece.offset, what.data.subspan(piece.offset - range.offset, piece.length), flags));
        operations.back().past_end = piece.end() > link_.size();
    }
    const bool durable = what.durable && !flush_after;
    link_.submit(std::move(operations), [=, this, done = std::move(done)](const Result& result) {
        if (result.error) {
            return done(file_error(FileAction::write, *result.error), 0);
        }
        if (!durable) {
            durability_.changed();
        }
        reaches(range.end());
        if (flush_after) {
            return send_flush([range, done](int error) { done(error, range.length); });
        }
        done(0, range.length);
    });
}

void ExportFile::write_at_once(const FileWrite& what, const CountDone& done) {
    std::uint64_t count = what.data.size();
    FileAction action = FileAction::grow;
    const std::optional<Failure> failure = link_.run([&](Connection& connection) {
        const Range blocks = whole_blocks({what.offset, count}, limits().block);
        const std::uint64_t old_size = export_size();
        const std::uint64_t end = make_room(connection, blocks);
        if (end <= what.offset) {
            give_back(connection, old_size);
            throw Failure(FailureKind::server, ENOSPC, "the server has no room for any of it");
        }
        count = std::min(count, end - what.offset);
        action = FileAction::write;
        overwrite(connection, what.offset, what.data.first(count));
        durability_.changed();
        reaches(what.offset + count);
        if (what.durable && offers(offered::send_flush)) {
            const std::uint64_t mark = durability_.mark();
            connection.flush();
            durability_.flushed(mark);
        }
    });
    done(failure ? file_error(action, *failure) : 0, failure ? 0 : count);
}

/// Makes the export long enough for a write of whole blocks, as far as the server lets it, and returns the
/// end of what can be written. Where it got longer, everything but the write itself reads as zero afterwards.
std::uint64_t ExportFile::make_room(Connection& connection, Range write, bool allocate) {
    if (write.end() > export_size()) {
        // Another client may have made it longer, and what it wrote there is not to be cut off or written
        // over.
        sizing_.learn(connection);
    }
    if (write.end() <= export_size()) {
        return write.end();
    }
    const Growth growth = sizing_.grow(connection, write.end(), allocate);
    durability_.changed();
    if (!growth.zero) {
        const Range exposed = inner_blocks(growth.exposed, limits().block);
        overwrite_with_zeroes(connection, before(exposed, write.offset));
        overwrite_with_zeroes(connection, between(std::max(exposed.offset, write.end()), exposed.end()));
        // A block that is written in part is read first.
        if (limits().block > 1) {
            overwrite_with_zeroes(
                connection,
                before(between(std::max(exposed.offset, write.offset), exposed.end()), write.end()));
        }
    }
    return std::min(write.end(), export_size());
}

void ExportFile::set_length(std::uint64_t length, const Done& done) {
    if (length > length_limit) {
        return done(EFBIG);
    }
    FileAction action = FileAction::grow;
    const std::optional<Failure> failure = link_.run([&](Connection& connection) {
        sizing_.learn(connection);
        if (length >= this->length()) {
            return grow_to(connection, length);
        }
        action = FileAction::shrink;
        shrink_to(connection, length);
    });
    done(failure ? file_error(action, *failure) : 0);
}

/// Undoes a growth that turned out to be too small. Where the server does not take it back, the file stays
/// that long.
void ExportFile::give_back(Connection& connection, std::uint64_t size) {
    try {
        if (export_size() > size) {
            sizing_.shrink(connection, size);
        }
    } catch (const Failure& refusal) {
        if (ends_connection(refusal)) {
            throw;
        }
    }
}

void ExportFile::grow_to(Connection& connection, std::uint64_t length) {
    const std::uint64_t old_size = export_size();
    const std::uint64_t wanted = round_up(length, limits().block);
    const std::uint64_t end = make_room(connection, {wanted, 0});
    if (end < wanted) {
        give_back(connection, old_size);
        throw Failure(FailureKind::server, ENOSPC, "the server granted less than was asked for");
    }
    reaches(length);
}

void ExportFile::shrink_to(Connection& connection, std::uint64_t length) {
    const std::uint64_t old_length = this->length();
    const std::uint64_t wanted = round_up(length, limits().block);
    bool refused = false;
    if (wanted < export_size()) {
        try {
            sizing_.shrink(connection, wanted);
            durability_.changed();
        } catch (const Failure& refusal) {
            if (ends_connection(refusal) || !preferences_.hide_rest) {
                throw;
            }
            refused = true;
        }
    }
    // What was cut off must not come back, neither where the server rounds up nor when the file grows again.
    overwrite_with_zeroes(connection, between(length, std::min(old_length, export_size())));
    durability_.changed();
    hidden_from_ = refused ? length : UINT64_MAX;
}

void ExportFile::zero(Range range, std::uint16_t flags, Done done) {
    if (range.empty()) {
        return done(0);
    }
    const auto finish = [this, range, done = std::move(done)](const std::optional<Failure>& error) {
        if (error) {
            return done(file_error(FileAction::zero, *error));
        }
        durability_.changed();
        reaches(range.end());
        done(0);
    };
    if (!is_aligned(range, limits().block)) {
        return finish(
            link_.run([&](Connection& connection) { overwrite_with_zeroes(connection, range, flags); }));
    }
    std::vector<Operation> operations;
    for (const Range& piece : cut(range, limits().length)) {
        operations.push_back(Operation::range(nbd::Command::write_zeroes, piece.offset, piece.length, flags));
    }
    link_.submit(std::move(operations), [finish](const Result& result) { finish(result.error); });
}

void ExportFile::allocate(Allocate how, bool keep_length, std::uint64_t offset, std::uint64_t length,
                          Done done) {
    if (offset > length_limit || length > length_limit - offset) {
        return done(EFBIG);
    }
    if (!link_.ready()) {
        return done(EIO);
    }
    const bool zeroes = how != Allocate::reserve;
    if ((zeroes && !offers(offered::send_write_zeroes)) || (!zeroes && keep_length)) {
        return done(EOPNOTSUPP);
    }
    Range range{offset, length};
    if (keep_length) {
        range = before(range, this->length());
    } else if (range.end() > this->length()) {
        const std::uint64_t wanted = round_up(range.end(), limits().block);
        const std::optional<Failure> failure = link_.run([&](Connection& connection) {
            const std::uint64_t old_size = export_size();
            if (make_room(connection, {wanted, 0}, true) < wanted) {
                give_back(connection, old_size);
                throw Failure(FailureKind::server, ENOSPC, "the server granted less than was asked for");
            }
            reaches(range.end());
        });
        if (failure) {
            return done(file_error(FileAction::grow, *failure));
        }
    }
    if (!zeroes) {
        return done(0);
    }
    zero(range, how == Allocate::zero_range ? nbd::command_flag::no_hole : std::uint16_t{0}, std::move(done));
}

} // namespace refclient::mount
