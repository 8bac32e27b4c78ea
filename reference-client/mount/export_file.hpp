#pragma once

// An export as a file: what a file system is asked to do with one file, carried out by requests to a server.

#include "reference-client/mount/allocation_search.hpp"
#include "reference-client/mount/durability.hpp"
#include "reference-client/mount/link.hpp"
#include "reference-client/mount/sizing.hpp"

#include <functional>
#include <memory>
#include <span>

namespace refclient::mount {

/// How an export becomes a file.
struct FilePreferences {
    SizePreferences size;
    bool reconnect = true;
    /// Where the server does not make the export shorter, let the file be shorter than the export as long as
    /// it is mounted: what was cut off is zeroed and hidden.
    bool hide_rest = false;
};

/// What is to be written.
struct FileWrite {
    std::uint64_t offset = 0;
    nbd::Bytes data;      ///< valid until the write is done
    bool append = false;  ///< at the end of the file instead of the offset
    bool durable = false; ///< on stable storage before it is done (O_DSYNC)
};

/// What fallocate(2) is to do.
enum class Allocate {
    reserve,    ///< make the file reach so far; nothing is reserved below its present end
    zero_range, ///< keep the space and let it read as zero
    punch_hole, ///< give the space back and let it read as zero
};

/// The longest that a file can be, in bytes.
inline constexpr std::uint64_t length_limit = nbd::max_resize;

/// The file. Its length is the size of the export, in whole blocks of the server. Functions report by a call
/// with an errno value, 0 for success, at once or out of `move`. What changes the size waits for the server;
/// the rest does not. For one thread.
class ExportFile {
  public:
    using Done = std::function<void(int error)>;
    using ReadDone = std::function<void(int error, std::span<const std::uint8_t> data)>;
    using CountDone = std::function<void(int error, std::uint64_t count)>;
    using Witness = Durability::Witness;

    ExportFile(nbd::Uri uri, Options options, FilePreferences preferences, Log log);

    /// Connects. Throws Failure.
    void open() { link_.open(); }
    [[nodiscard]] const ExportInfo& info() const { return link_.info(); }
    /// In bytes, as far as it is known.
    [[nodiscard]] std::uint64_t length() const;
    /// How long it can get, in bytes, as far as the server has told; else its length.
    [[nodiscard]] std::uint64_t capacity() const;

    /// Brings the length up to date, as well as the server lets it. Cannot fail: what was known last stays.
    void refresh(const std::function<void()>& done);
    /// Fewer bytes come at the end of the file.
    void read(std::uint64_t offset, std::size_t length, ReadDone done);
    /// Makes the file longer where it has to. Fewer bytes are written where there is room for no more.
    void write(const FileWrite& what, CountDone done);
    /// The file has this length afterwards, or as many bytes more as the server rounds up; what was cut off
    /// and what was added reads as zero.
    void set_length(std::uint64_t length, const Done& done);
    void allocate(Allocate how, bool keep_length, std::uint64_t offset, std::uint64_t length, Done done);
    /// Puts on stable storage what was done before. Fails once for each `witness` after a connection took
    /// acknowledged changes with it that were not flushed.
    void flush(Witness& witness, Done done);
    /// Finds data or a hole (lseek(2)).
    void seek(std::uint64_t offset, Seek kind, CountDone done);

    /// For `flush`: somebody opens the file.
    [[nodiscard]] Witness open_witness() const { return durability_.open(); }
    /// The connection, for the loop that drives it.
    [[nodiscard]] Link& link() { return link_; }

    /// Waits for everything in flight and flushes. Throws Failure where something that was acknowledged is
    /// not known to be on stable storage and nobody was told.
    void finish();

  private:
    [[nodiscard]] std::uint64_t export_size() const;
    [[nodiscard]] Limits limits() const { return limits_of(link_.info()); }
    [[nodiscard]] bool offers(std::uint16_t flag) const { return link_.info().has(flag); }
    void read_now(std::uint64_t offset, std::size_t length, const ReadDone& done);
    void submit_write(const FileWrite& what, std::uint16_t flags, CountDone done);
    void write_at_once(const FileWrite& what, const CountDone& done);
    void zero(Range range, std::uint16_t flags, Done done);
    [[nodiscard]] std::uint64_t make_room(Connection& connection, Range write, bool allocate = false);
    void give_back(Connection& connection, std::uint64_t size);
    void grow_to(Connection& connection, std::uint64_t length);
    void shrink_to(Connection& connection, std::uint64_t length);
    void continue_search(const std::shared_ptr<AllocationSearch>& search, const CountDone& done);
    void send_flush(Done done);
    void reaches(std::uint64_t end);

    FilePreferences preferences_;
    Log log_;
    Link link_;
    Sizing sizing_;
    Durability durability_;
    std::uint64_t hidden_from_ = UINT64_MAX; ///< the file ends here at the latest
};

} // namespace refclient::mount
