#include "harness/transcript/capture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tins/packet.h>
#include <tins/sniffer.h>
#include <tins/tcp_ip/stream_follower.h>

namespace wire {
namespace {

using Kind = TranscriptRecord::Kind;
using Tins::TCPIP::Stream;

/// Makes records of what goes on in the streams of a capture.
class Collector {
  public:
    Collector(Capture& capture, const std::set<std::uint16_t>& ports)
      : capture_(capture)
      , ports_(ports) {}

    void begins(Stream& stream) {
        if (!ports_.contains(stream.server_port())) {
            stream.ignore_client_data();
            stream.ignore_server_data();
            return;
        }
        if (stream.is_partial_stream()) {
            ++capture_.without_beginning;
            stream.ignore_client_data();
            stream.ignore_server_data();
            return;
        }
        const std::uint32_t number = ++count_;
        add(Kind::opened, number);
        // What has been taken out of the stream's buffers must not come again.
        stream.auto_cleanup_payloads(true);
        stream.client_data_callback(
            [this, number](Stream& s) { data(number, Side::client, s.client_payload()); });
        stream.server_data_callback(
            [this, number](Stream& s) { data(number, Side::server, s.server_payload()); });
        stream.client_out_of_order_callback([](Stream&, std::uint32_t, const Stream::payload_type&) {});
        stream.stream_closed_callback([this, number](Stream& s) { closed(number, s); });
    }

    /// A packet is about to be looked at, by time of the capture.
    void now(std::chrono::microseconds at) {
        if (!first_) {
            first_ = at;
        }
        at_ = std::max(at - *first_, at_);
    }

  private:
    TranscriptRecord& add(Kind kind, std::uint32_t connection) {
        TranscriptRecord record;
        record.kind = kind;
        record.connection = connection;
        record.at = at_;
        capture_.transcript.records.push_back(std::move(record));
        return capture_.transcript.records.back();
    }

    void data(std::uint32_t connection, Side side, const Stream::payload_type& bytes) {
        TranscriptRecord& record = add(Kind::bytes, connection);
        record.side = side;
        record.bytes.assign(bytes.begin(), bytes.end());
    }

    void closed(std::uint32_t connection, const Stream& stream) {
        const auto end = [&](Side side, const Tins::TCPIP::Flow& flow) {
            const bool reset = flow.state() == Tins::TCPIP::Flow::RST_SENT;
            if (reset || flow.state() == Tins::TCPIP::Flow::FIN_SENT) {
                TranscriptRecord& record = add(Kind::ended, connection);
                record.side = side;
                record.how = reset ? End::reset : End::closed;
            }
        };
        end(Side::client, stream.client_flow());
        end(Side::server, stream.server_flow());
    }

    Capture& capture_;
    const std::set<std::uint16_t>& ports_;
    std::uint32_t count_ = 0;
    std::chrono::microseconds at_{0};
    std::optional<std::chrono::microseconds> first_;
};

} // namespace

Capture read_capture(const std::filesystem::path& file, const std::set<std::uint16_t>& ports) {
    Capture capture;
    capture.transcript.title = file.filename().string();
    Collector collector(capture, ports);
    Tins::TCPIP::StreamFollower follower;
    follower.new_stream_callback([&](Stream& stream) { collector.begins(stream); });
    follower.stream_termination_callback(
        [&](Stream& stream, Tins::TCPIP::StreamFollower::TerminationReason reason) {
            const bool lacks = reason != Tins::TCPIP::StreamFollower::TIMEOUT;
            capture.with_gaps += lacks && ports.contains(stream.server_port()) ? 1U : 0U;
        });
    follower.follow_partial_streams(true);
    try {
        Tins::FileSniffer sniffer(file.string());
        for (Tins::Packet packet = sniffer.next_packet(); packet; packet = sniffer.next_packet()) {
            collector.now(std::chrono::microseconds(static_cast<std::int64_t>(packet.timestamp().seconds()) *
                                                        1'000'000 +
                                                    packet.timestamp().microseconds()));
            follower.process_packet(packet);
        }
    } catch (const Tins::exception_base& error) {
        throw TranscriptError(fmt::format("it is no capture that can be read: {}", error.what()));
    }
    return capture;
}

} // namespace wire
