// The format: the line "NBD transcript 1", the line of the title, then records. A record is the letter of its
// kind, the connection, the microseconds since the record before, and, by kind, the side, the number of bytes
// and the bytes. Numbers are base 128, low digits first.

#include "harness/transcript/transcript.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace wire {
namespace {

constexpr std::string_view magic = "NBD transcript 1\n";
constexpr std::size_t write_at_once = 256 * 1024;

using Kind = TranscriptRecord::Kind;

/// Takes a file's contents apart.
class Reader {
  public:
    explicit Reader(nbd::Bytes bytes)
      : bytes_(bytes) {}

    [[nodiscard]] bool done() const { return at_ == bytes_.size(); }

    std::uint8_t byte() {
        need(1);
        return bytes_[at_++];
    }

    std::uint64_t number() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t digit = byte();
            value |= static_cast<std::uint64_t>(digit & 0x7f) << shift;
            if ((digit & 0x80) == 0) {
                return value;
            }
        }
        fail("a number is too long");
    }

    nbd::Buffer take(std::uint64_t size) {
        need(size);
        const auto part = bytes_.subspan(at_, static_cast<std::size_t>(size));
        at_ += part.size();
        return {part.begin(), part.end()};
    }

    std::string line() {
        const auto end = std::find(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), bytes_.end(), '\n');
        if (end == bytes_.end()) {
            fail("a line has no end");
        }
        std::string text(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), end);
        at_ += text.size() + 1;
        return text;
    }

    [[noreturn]] void fail(std::string_view why) const {
        throw TranscriptError(fmt::format("byte {}: {}", at_, why));
    }

  private:
    void need(std::uint64_t size) const {
        if (bytes_.size() - at_ < size) {
            fail("the file ends in the middle of a record");
        }
    }

    nbd::Bytes bytes_;
    std::size_t at_ = 0;
};

Side read_side(Reader& reader) {
    const std::uint8_t side = reader.byte();
    if (side > 1) {
        reader.fail("a side is 0 or 1");
    }
    return side == 0 ? Side::client : Side::server;
}

TranscriptRecord read_record(Reader& reader, std::chrono::microseconds before) {
    TranscriptRecord record;
    record.kind = static_cast<Kind>(reader.byte());
    record.connection = static_cast<std::uint32_t>(reader.number());
    record.at = before + std::chrono::microseconds(reader.number() & INT32_MAX);
    switch (record.kind) {
    case Kind::opened:
    case Kind::stopped:
        return record;
    case Kind::bytes:
    case Kind::data:
        record.side = read_side(reader);
        record.bytes = reader.take(reader.number());
        return record;
    case Kind::left_out:
        record.side = read_side(reader);
        record.left_out = reader.number();
        return record;
    case Kind::ended:
        record.side = read_side(reader);
        record.how = reader.byte() == 0 ? End::closed : End::reset;
        return record;
    }
    reader.fail("there is no such record");
}

nbd::Buffer contents(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        throw TranscriptError("it cannot be read");
    }
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

TranscriptWriter::TranscriptWriter(const std::filesystem::path& file, const std::string& title)
  : file_(file, std::ios::binary | std::ios::trunc) {
    pending_.assign(magic.begin(), magic.end());
    pending_.insert(pending_.end(), title.begin(), title.end());
    pending_.push_back('\n');
}

TranscriptWriter::~TranscriptWriter() {
    for (const auto& [key, run] : runs_) {
        settle(key.first, key.second);
    }
    write_out();
}

void TranscriptWriter::write_out() {
    file_.write(reinterpret_cast<const char*>(pending_.data()),
                static_cast<std::streamsize>(pending_.size()));
    written_ += pending_.size();
    pending_.clear();
}

void TranscriptWriter::number(std::uint64_t value) {
    while (value >= 0x80) {
        pending_.push_back(static_cast<std::uint8_t>(value | 0x80));
        value >>= 7;
    }
    pending_.push_back(static_cast<std::uint8_t>(value));
}

bool TranscriptWriter::begin(Kind kind, std::uint32_t connection, std::size_t bytes) {
    full_ = full_ || written_ + pending_.size() + bytes > longest;
    if (full_) {
        return false;
    }
    if (pending_.size() >= write_at_once) {
        write_out();
    }
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_);
    pending_.push_back(static_cast<std::uint8_t>(kind));
    number(connection);
    number(static_cast<std::uint64_t>((now - last_).count()));
    last_ = now;
    return true;
}

void TranscriptWriter::put(Kind kind, std::uint32_t connection, Side side, nbd::Bytes bytes) {
    if (begin(kind, connection, bytes.size())) {
        pending_.push_back(static_cast<std::uint8_t>(side));
        number(bytes.size());
        pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    }
}

void TranscriptWriter::settle(std::uint32_t connection, Side side) {
    const auto found = runs_.find({connection, side});
    if (found == runs_.end()) {
        return;
    }
    Run& run = found->second;
    if (run.left_out > 0 && begin(Kind::left_out, connection)) {
        pending_.push_back(static_cast<std::uint8_t>(side));
        number(run.left_out);
    }
    run = {};
}

void TranscriptWriter::opened(std::uint32_t connection) {
    begin(Kind::opened, connection);
}

void TranscriptWriter::bytes(std::uint32_t connection, Side side, nbd::Bytes bytes) {
    settle(connection, side);
    put(Kind::bytes, connection, side, bytes);
}

void TranscriptWriter::data(std::uint32_t connection, Side side, nbd::Bytes bytes) {
    Run& run = runs_[{connection, side}];
    const auto kept = bytes.first(std::min(bytes.size(), kept_data - run.kept));
    if (!kept.empty()) {
        run.kept += kept.size();
        put(Kind::data, connection, side, kept);
    }
    run.left_out += bytes.size() - kept.size();
}

void TranscriptWriter::ended(std::uint32_t connection, Side side, End how) {
    settle(connection, side);
    if (begin(Kind::ended, connection)) {
        pending_.push_back(static_cast<std::uint8_t>(side));
        pending_.push_back(how == End::closed ? 0 : 1);
    }
}

void TranscriptWriter::stopped() {
    begin(Kind::stopped, 0);
}

Transcript read_transcript(const std::filesystem::path& file) {
    const nbd::Buffer bytes = contents(file);
    Reader reader(bytes);
    if (reader.line() + "\n" != magic) {
        throw TranscriptError("it does not begin as a transcript does");
    }
    Transcript transcript;
    transcript.title = reader.line();
    std::chrono::microseconds at{0};
    while (!reader.done()) {
        transcript.records.push_back(read_record(reader, at));
        at = transcript.records.back().at;
    }
    return transcript;
}

bool is_transcript(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::string start(magic.size(), '\0');
    in.read(start.data(), static_cast<std::streamsize>(start.size()));
    return in && start == magic;
}

} // namespace wire
