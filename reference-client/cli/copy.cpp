// The command that copies between an export and a file, or between two exports.

#include "reference-client/cli/copy_plan.hpp"
#include "reference-client/cli/files.hpp"
#include "reference-client/cli/format.hpp"
#include "reference-client/cli/given_uri.hpp"
#include "reference-client/cli/progress.hpp"
#include "reference-client/cli/settings.hpp"
#include "reference-client/session.hpp"

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <map>
#include <optional>

namespace refclient::cli {
namespace {

bool is_uri(const std::string& text) {
    return text.find("://") != std::string::npos;
}

/// A side of the copy: an export or a file.
struct Side {
    std::optional<Session> session;
    std::optional<File> file;
    std::uint64_t size = 0;
    bool reads_zero = false; ///< all of it, before anything was written

    [[nodiscard]] std::uint32_t block() const { return session ? session->info().minimum_block() : 1; }
    [[nodiscard]] std::uint64_t payload() const {
        return session ? session->info().maximum_payload() : nbd::default_max_payload;
    }
};

Side open_source(const std::string& where, const Options& options) {
    Side side;
    if (is_uri(where)) {
        side.session = Session::open(given_uri(where, options), options);
        side.size = side.session->info().size;
    } else {
        side.file.emplace(File::open(where));
        side.size = side.file->size();
    }
    return side;
}

Side open_destination(const std::string& where, Options options, std::uint64_t size) {
    Side side;
    if (is_uri(where)) {
        options.contexts.clear();
        side.session = Session::open(given_uri(where, options), options);
        side.size = side.session->info().size;
        if (side.session->info().has(nbd::transmission_flag::read_only)) {
            throw Failure(FailureKind::local, EPERM, fmt::format("{} is read-only", where));
        }
    } else {
        side.file.emplace(File::create(where));
        if (side.file->is_regular()) {
            side.file->resize(size);
            side.reads_zero = true;
        }
        side.size = side.file->size();
    }
    if (side.size < size) {
        throw Failure(FailureKind::local, ENOSPC,
                      fmt::format("the destination has {} bytes, but the source has {}", side.size, size));
    }
    return side;
}

/// Keeps a number of pieces on their way from one side to the other.
class Copier {
  public:
    Copier(Side& source, Side& destination, CopyPlan& plan, const CopyArguments& arguments,
           Progress& progress)
      : source_(source)
      , destination_(destination)
      , plan_(plan)
      , arguments_(arguments)
      , progress_(progress)
      , slots_(arguments.requests) {
        for (Side* side : {&source_, &destination_}) {
            for (std::size_t i = 0; side->session && i < side->session->connection_count(); ++i) {
                connections_.push_back(&side->session->connection(i));
            }
        }
    }

    void run() {
        for (;;) {
            const bool more = fill();
            if (waiting_.empty()) {
                if (!more) {
                    return;
                }
                continue;
            }
            const auto deadline = connections_.front()->deadline();
            if (!Connection::progress(connections_, deadline)) {
                throw Failure(FailureKind::connection, ETIMEDOUT, "timed out while waiting for replies");
            }
            collect();
        }
    }

    [[nodiscard]] std::uint64_t data_bytes() const { return data_; }
    [[nodiscard]] std::uint64_t zero_bytes() const { return zeroes_; }

  private:
    struct Slot {
        bool busy = false;
        bool reading = false;
        Piece piece;
        nbd::Buffer buffer;
    };

    /// Starts pieces on all free slots; false if there are no more pieces.
    bool fill() {
        for (std::size_t i = 0; i < slots_.size(); ++i) {
            while (!slots_[i].busy) {
                const std::optional<Piece> piece = plan_.next();
                if (!piece) {
                    return false;
                }
                slots_[i].piece = *piece;
                start(i);
            }
        }
        return true;
    }

    void start(std::size_t index) {
        Slot& slot = slots_[index];
        slot.busy = true;
        if (slot.piece.zero) {
            return zero(index);
        }
        slot.buffer.resize(static_cast<std::size_t>(slot.piece.length));
        if (source_.file) {
            source_.file->read_at(slot.piece.offset, slot.buffer);
            return write(index);
        }
        slot.reading = true;
        await(index, *source_.session, Operation::read(slot.piece.offset, slot.buffer));
    }

    void zero(std::size_t index) {
        Slot& slot = slots_[index];
        if (destination_.file) {
            if (!destination_.reads_zero || arguments_.allocated) {
                destination_.file->zero_at(slot.piece.offset, slot.piece.length, arguments_.allocated);
            }
            return done(index);
        }
        if (!destination_.session->info().has(nbd::transmission_flag::send_write_zeroes)) {
            slot.buffer.assign(static_cast<std::size_t>(slot.piece.length), 0);
            return write(index);
        }
        const std::uint16_t flags = arguments_.allocated ? nbd::command_flag::no_hole : 0;
        await(index, *destination_.session,
              Operation::range(nbd::Command::write_zeroes, slot.piece.offset, slot.piece.length, flags));
    }

    void write(std::size_t index) {
        Slot& slot = slots_[index];
        slot.reading = false;
        if (destination_.file) {
            destination_.file->write_at(slot.piece.offset, slot.buffer);
            return done(index);
        }
        await(index, *destination_.session, Operation::write(slot.piece.offset, slot.buffer));
    }

    void await(std::size_t index, Session& session, Operation operation) {
        const Ticket ticket = session.post(std::move(operation));
        waiting_.emplace(std::pair(&session.connection(ticket.connection), ticket.cookie), index);
    }

    void collect() {
        for (Connection* connection : connections_) {
            while (std::optional<Completion> completion = connection->take_any()) {
                completion->check();
                const auto found = waiting_.find({connection, completion->cookie});
                const std::size_t index = found->second;
                waiting_.erase(found);
                if (slots_[index].reading) {
                    write(index);
                } else {
                    done(index);
                }
            }
            connection->check_alive();
        }
    }

    void done(std::size_t index) {
        Slot& slot = slots_[index];
        slot.busy = false;
        (slot.piece.zero ? zeroes_ : data_) += slot.piece.length;
        progress_.update(data_ + zeroes_);
    }

    Side& source_;
    Side& destination_;
    CopyPlan& plan_;
    const CopyArguments& arguments_;
    Progress& progress_;
    std::vector<Slot> slots_;
    std::vector<Connection*> connections_;
    std::map<std::pair<Connection*, Cookie>, std::size_t> waiting_;
    std::uint64_t data_ = 0;
    std::uint64_t zeroes_ = 0;
};

PlanSizes plan_sizes(const Side& source, const Side& destination, const CopyArguments& arguments) {
    PlanSizes sizes;
    sizes.total = source.size;
    sizes.block = std::max(source.block(), destination.block());
    const std::uint64_t most = std::min({arguments.request_size, source.payload(), destination.payload(),
                                         std::uint64_t{nbd::default_max_payload}});
    sizes.data = std::max<std::uint64_t>(most - most % sizes.block, sizes.block);
    const bool writes_zeroes =
        destination.session && !destination.session->info().has(nbd::transmission_flag::send_write_zeroes);
    constexpr std::uint64_t most_zeroes = std::uint64_t{64} * 1024 * 1024;
    sizes.zeroes = writes_zeroes ? sizes.data : most_zeroes;
    return sizes;
}

void finish(Side& side, bool flush) {
    if (side.file) {
        if (flush) {
            side.file->sync();
        }
        return side.file->close();
    }
    if (flush && side.session->info().has(nbd::transmission_flag::send_flush)) {
        side.session->wait(side.session->submit(Operation::flush())).check();
    }
    side.session->disconnect();
}

/// Leaves a side that goes on although a request has failed: once all others are answered.
void leave(Side& side) {
    if (!side.session) {
        return;
    }
    try {
        side.session->disconnect();
    } catch (const Failure&) {
        // What has failed first is what people are told.
        side.session->drop();
    }
}

} // namespace

void copy(const Settings& settings, const CopyArguments& arguments) {
    if (!is_uri(arguments.source) && !is_uri(arguments.destination)) {
        throw Failure(FailureKind::local, EINVAL, "neither side is an NBD URI; use cp(1) for two files");
    }
    if (arguments.source == "-" || arguments.destination == "-") {
        throw Failure(FailureKind::local, ESPIPE,
                      "copy needs a file that it can move about in; `read` writes to standard output, and "
                      "`write` reads from standard input");
    }
    const auto start = Clock::now();
    Side source = open_source(arguments.source, settings.options);
    Side destination = open_destination(arguments.destination, settings.options, source.size);
    CopyPlan plan(plan_sizes(source, destination, arguments),
                  source.file ? extents_of(*source.file) : extents_of(source.session->connection(0)));
    Progress progress(source.size, !settings.quiet);
    Copier copier(source, destination, plan, arguments, progress);
    try {
        copier.run();
    } catch (const Failure& failure) {
        if (failure.kind() == FailureKind::server) {
            leave(destination);
            leave(source);
        }
        throw;
    }
    finish(destination, arguments.flush);
    finish(source, false);
    progress.clear();
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    if (settings.json) {
        std::cout << boost::json::serialize(boost::json::object{{"size", source.size},
                                                                {"data", copier.data_bytes()},
                                                                {"zeroes", copier.zero_bytes()},
                                                                {"seconds", elapsed.count()}})
                  << '\n';
    }
}

} // namespace refclient::cli
