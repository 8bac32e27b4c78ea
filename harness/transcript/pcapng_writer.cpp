#include "harness/transcript/capture.hpp"
#include "protocol/numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tins/ip.h>
#include <tins/rawpdu.h>
#include <tins/tcp.h>

namespace wire {
namespace {

using Kind = TranscriptRecord::Kind;

constexpr std::uint16_t first_client_port = 40000;
/// Payload of a packet: what fits an IP packet with room to spare, in bytes.
constexpr std::size_t segment = 60'000;
/// Left-out data that are made up, in bytes; more would make an unwieldy file.
constexpr std::uint64_t most_made_up = 256U << 20;

// Block types and constants of pcapng (draft-ietf-opsawg-pcapng).
constexpr std::uint32_t section_header = 0x0a0d0d0a;
constexpr std::uint32_t byte_order = 0x1a2b3c4d;
constexpr std::uint32_t interface_description = 1;
constexpr std::uint32_t enhanced_packet = 6;
constexpr std::uint16_t link_type_raw_ip = 101;

/// Writes blocks, in the byte order of this machine, as the format allows.
class Blocks {
  public:
    explicit Blocks(const std::filesystem::path& file)
      : file_(file, std::ios::binary | std::ios::trunc) {
        if (!file_) {
            throw TranscriptError("it cannot be written");
        }
        put(byte_order);
        put(std::uint16_t{1}); // version 1.0
        put(std::uint16_t{0});
        put(~std::uint64_t{0}); // the length of the section is not told
        write(section_header);
        put(link_type_raw_ip);
        put(std::uint16_t{0});
        put(std::uint32_t{0}); // packets are whole
        write(interface_description);
    }

    void packet(std::chrono::microseconds at, const std::vector<std::uint8_t>& bytes) {
        const auto time = static_cast<std::uint64_t>(at.count());
        put(std::uint32_t{0}); // the interface
        put(static_cast<std::uint32_t>(time >> 32));
        put(static_cast<std::uint32_t>(time));
        put(static_cast<std::uint32_t>(bytes.size()));
        put(static_cast<std::uint32_t>(bytes.size()));
        body_.insert(body_.end(), bytes.begin(), bytes.end());
        body_.resize((body_.size() + 3) / 4 * 4);
        write(enhanced_packet);
    }

    void finish() {
        file_.flush();
        if (!file_) {
            throw TranscriptError("it cannot be written to its end");
        }
    }

  private:
    template <class T>
    void put(T value) {
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
        body_.insert(body_.end(), bytes, bytes + sizeof value);
    }

    void write(std::uint32_t type) {
        const auto length = static_cast<std::uint32_t>(body_.size() + 3 * sizeof(std::uint32_t));
        file_.write(reinterpret_cast<const char*>(&type), sizeof type);
        file_.write(reinterpret_cast<const char*>(&length), sizeof length);
        file_.write(reinterpret_cast<const char*>(body_.data()), static_cast<std::streamsize>(body_.size()));
        file_.write(reinterpret_cast<const char*>(&length), sizeof length);
        body_.clear();
    }

    std::ofstream file_;
    nbd::Buffer body_;
};

/// A TCP connection that is made up around the bytes of one.
class Connection {
  public:
    Connection(Blocks& blocks, std::uint32_t number)
      : blocks_(blocks)
      , port_(static_cast<std::uint16_t>(first_client_port + number % 20'000)) {}

    void open(std::chrono::microseconds at) {
        send(at, Side::client, Tins::TCP::SYN, {});
        send(at, Side::server, Tins::TCP::SYN | Tins::TCP::ACK, {});
        send(at, Side::client, Tins::TCP::ACK, {});
    }

    /// What a side sends in one go, header by header in a transcript, is sent together.
    void bytes(std::chrono::microseconds at, Side from, nbd::Bytes bytes) {
        if (from != from_) {
            flush();
        }
        if (pending_.empty()) {
            at_ = at;
            from_ = from;
        }
        pending_.insert(pending_.end(), bytes.begin(), bytes.end());
        if (pending_.size() >= segment) {
            flush();
        }
    }

    void end(std::chrono::microseconds at, Side by, End how) {
        flush();
        send(at, by, how == End::closed ? Tins::TCP::FIN | Tins::TCP::ACK : Tins::TCP::RST | Tins::TCP::ACK,
             {});
        send(at, other(by), Tins::TCP::ACK, {});
    }

    void flush() {
        nbd::Bytes left = pending_;
        while (!left.empty()) {
            const auto part = left.first(std::min(left.size(), segment));
            send(at_, from_, Tins::TCP::PSH | Tins::TCP::ACK, part);
            left = left.subspan(part.size());
        }
        pending_.clear();
    }

  private:
    void send(std::chrono::microseconds at, Side from, int flags, nbd::Bytes payload) {
        std::uint32_t& sequence = sequence_[static_cast<int>(from)];
        const bool client = from == Side::client;
        Tins::TCP tcp(client ? nbd::default_port : port_, client ? port_ : nbd::default_port);
        tcp.seq(sequence);
        tcp.ack_seq((flags & Tins::TCP::ACK) != 0 ? sequence_[static_cast<int>(other(from))] : 0);
        tcp.flags(static_cast<Tins::small_uint<12>>(static_cast<std::uint16_t>(flags)));
        tcp.window(65535);
        Tins::IP ip("127.0.0.1", "127.0.0.1");
        ip /= tcp;
        if (!payload.empty()) {
            ip /= Tins::RawPDU(payload.data(), static_cast<std::uint32_t>(payload.size()));
        }
        const auto bytes = ip.serialize();
        blocks_.packet(at, {bytes.begin(), bytes.end()});
        sequence += static_cast<std::uint32_t>(payload.size());
        sequence += (flags & (Tins::TCP::SYN | Tins::TCP::FIN)) != 0 ? 1U : 0U;
    }

    Blocks& blocks_;
    std::uint16_t port_;
    std::uint32_t sequence_[2] = {1000, 2000};
    std::chrono::microseconds at_{0};
    Side from_ = Side::client;
    nbd::Buffer pending_;
};

} // namespace

void write_pcapng(const std::filesystem::path& file, const Transcript& transcript) {
    Blocks blocks(file);
    std::map<std::uint32_t, Connection> connections;
    std::uint64_t made_up = 0;
    for (const TranscriptRecord& record : transcript.records) {
        if (record.kind == Kind::stopped) {
            continue;
        }
        const auto [found, is_new] = connections.try_emplace(record.connection, blocks, record.connection);
        Connection& connection = found->second;
        switch (record.kind) {
        case Kind::opened:
            connection.open(record.at);
            break;
        case Kind::bytes:
        case Kind::data:
            connection.bytes(record.at, record.side, record.bytes);
            break;
        case Kind::left_out:
            made_up += record.left_out;
            if (made_up > most_made_up) {
                throw TranscriptError(fmt::format(
                    "more than {} MiB of data were left out, which a capture would have to make up",
                    most_made_up >> 20));
            }
            connection.bytes(record.at, record.side, nbd::Buffer(static_cast<std::size_t>(record.left_out)));
            break;
        case Kind::ended:
            connection.end(record.at, record.side, record.how);
            break;
        case Kind::stopped:
            break;
        }
    }
    for (auto& [number, connection] : connections) {
        connection.flush();
    }
    blocks.finish();
}

} // namespace wire
