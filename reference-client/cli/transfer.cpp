// The commands that move or change the bytes of one range.

#include "reference-client/cli/files.hpp"
#include "reference-client/cli/format.hpp"
#include "reference-client/cli/settings.hpp"
#include "reference-client/connection.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <unistd.h>

namespace refclient::cli {
namespace {

/// Data of one request: all that the server takes, but no more than any server takes.
std::uint64_t piece_size(const ExportInfo& info) {
    const std::uint64_t most = std::min<std::uint64_t>(info.maximum_payload(), nbd::default_max_payload);
    return std::max<std::uint64_t>(most - most % info.minimum_block(), info.minimum_block());
}

/// Effect length of one request: what the header can say.
std::uint64_t effect_size(const ExportInfo& info) {
    const std::uint64_t most = info.extended() ? UINT64_MAX : UINT32_MAX;
    return most - most % info.minimum_block();
}

/// Sends a write that may extend the export, if the settings say how, and waits for it.
void carry_out(Connection& connection, const Settings& settings, Operation operation) {
    const Grow grow = settings.grow.value_or(Grow::none);
    if (writes_data(operation) && end_of(operation) > connection.size()) {
        operation.past_end = grow == Grow::plain;
        operation.flags |= grow == Grow::flagged ? nbd::command_flag::extend : std::uint16_t{0};
    }
    connection.wait(connection.submit(std::move(operation))).check();
}

template <class Work>
void for_each_piece(std::uint64_t offset, std::uint64_t length, std::uint64_t piece, Work work) {
    do {
        const std::uint64_t part = std::min(piece, length);
        work(offset, part);
        offset += part;
        length -= part;
    } while (length > 0);
}

} // namespace

void read(const nbd::Uri& uri, const Settings& settings, const ReadArguments& arguments) {
    const auto connection = Connection::open(uri, settings.options);
    const bool to_standard = arguments.output.empty() || arguments.output == "-";
    const bool hex = arguments.hex || (to_standard && ::isatty(STDOUT_FILENO) == 1);
    File output = to_standard ? File::standard_output() : File::create(arguments.output);
    HexDump dump(arguments.offset);
    nbd::Buffer buffer;
    for_each_piece(arguments.offset, arguments.length, piece_size(connection->info()),
                   [&](std::uint64_t offset, std::uint64_t length) {
                       buffer.resize(static_cast<std::size_t>(length));
                       connection->read(offset, buffer, arguments.df ? nbd::command_flag::df : 0);
                       if (hex) {
                           output.append(dump.add(buffer));
                       } else {
                           output.append(buffer);
                       }
                   });
    if (hex) {
        output.append(dump.finish());
    }
    output.close();
    connection->disconnect();
}

void write(const nbd::Uri& uri, const Settings& settings, const WriteArguments& arguments) {
    const auto connection = Connection::open(uri, settings.options);
    const std::uint16_t flags = arguments.fua ? nbd::command_flag::fua : 0;
    const std::uint64_t piece = piece_size(connection->info());
    if (arguments.pattern) {
        const std::uint64_t length = arguments.length.value_or(0);
        const nbd::Buffer bytes(static_cast<std::size_t>(std::min(piece, length)), *arguments.pattern);
        for_each_piece(arguments.offset, length, piece, [&](std::uint64_t offset, std::uint64_t part) {
            const nbd::Bytes data = nbd::Bytes(bytes).first(static_cast<std::size_t>(part));
            carry_out(*connection, settings, Operation::write(offset, data, flags));
        });
    } else {
        File input = arguments.input == "-" ? File::standard_input() : File::open(arguments.input);
        std::uint64_t left = arguments.length.value_or(UINT64_MAX);
        std::uint64_t offset = arguments.offset;
        nbd::Buffer buffer(static_cast<std::size_t>(std::min(piece, left)));
        while (left > 0) {
            const std::span<std::uint8_t> room = std::span(buffer).first(
                static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left)));
            const std::size_t count = input.read(room);
            if (count == 0) {
                break;
            }
            carry_out(*connection, settings, Operation::write(offset, room.first(count), flags));
            offset += count;
            left -= count;
        }
        if (arguments.length && left > 0) {
            throw Failure(FailureKind::local, EINVAL, fmt::format("the input ended {} bytes early", left));
        }
    }
    connection->disconnect();
}

void range(const nbd::Uri& uri, const Settings& settings, const RangeArguments& arguments) {
    const auto connection = Connection::open(uri, settings.options);
    for_each_piece(arguments.offset, arguments.length, effect_size(connection->info()),
                   [&](std::uint64_t offset, std::uint64_t length) {
                       carry_out(*connection, settings,
                                 Operation::range(arguments.command, offset, length, arguments.flags));
                   });
    connection->disconnect();
}

void flush(const nbd::Uri& uri, const Settings& settings) {
    const auto connection = Connection::open(uri, settings.options);
    connection->flush();
    connection->disconnect();
}

} // namespace refclient::cli
