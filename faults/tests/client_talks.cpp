// What clients do in the tests.

#include "faults/tests/client_stage.hpp"
#include "reference-client/handshake.hpp"
#include "reference-client/session.hpp"

#include <fmt/format.h>

namespace faults::testing::talk {
namespace {

using refclient::Connection;
using refclient::Failure;
using refclient::Operation;
namespace asked = nbd::command_flag;
namespace offered = nbd::transmission_flag;

constexpr std::size_t length = 8192;
constexpr std::uint64_t area = 65536;

/// What came of doing something.
template <class Do>
std::string line(std::string_view what, Do what_to_do) {
    try {
        return fmt::format("{}: {}\n", what, what_to_do());
    } catch (const Failure& failure) {
        return fmt::format("failed to {}: {}\n", what, failure.what());
    }
}

/// The same on a connection, which is ended by the rules afterwards.
template <class Do>
std::string connected(const nbd::Uri& uri, const refclient::Options& options, Do what_to_do) {
    std::string outcome;
    std::unique_ptr<Connection> connection;
    outcome += line("enter", [&] {
        connection = Connection::open(uri, options);
        return fmt::format("{} bytes, flags {}", connection->size(), connection->info().flags);
    });
    if (connection) {
        what_to_do(*connection, outcome);
        try {
            connection->disconnect();
        } catch (const Failure&) {
            // It has ended already, for a reason that was seen before.
            connection->drop();
        }
    }
    return outcome;
}

std::string digest(const nbd::Buffer& bytes) {
    // FNV-1a.
    std::uint32_t sum = 2166136261;
    for (const std::uint8_t byte : bytes) {
        sum = (sum ^ byte) * 16777619;
    }
    return fmt::format("{} bytes, {:08x}", bytes.size(), sum);
}

/// Bytes that say where they are.
nbd::Buffer pattern(std::uint64_t offset) {
    nbd::Buffer bytes(length);
    for (std::size_t i = 0; i < length; ++i) {
        bytes[i] = static_cast<std::uint8_t>((offset + i) / 256 + i * 3 + 1);
    }
    return bytes;
}

void do_write(Connection& connection, std::string& outcome, std::uint16_t flags = 0) {
    outcome += line("write", [&] {
        connection.write(area, pattern(area), flags);
        return "done";
    });
}

void do_read(Connection& connection, std::string& outcome, std::uint16_t flags = 0) {
    outcome += line("read", [&] {
        nbd::Buffer bytes(length);
        connection.read(area, bytes, flags);
        return digest(bytes);
    });
}

void do_status(Connection& connection, std::string& outcome) {
    if (connection.info().contexts.empty()) {
        return;
    }
    outcome += line("ask for status", [&] {
        std::string text;
        for (const refclient::ContextStatus& status : connection.block_status(0, 4 * area)) {
            text += fmt::format("context {}:", status.context);
            for (const refclient::Extent& extent : status.extents) {
                text += fmt::format(" {}+{}", extent.status, extent.length);
            }
        }
        return text;
    });
}

void do_range(Connection& connection, std::string& outcome, std::string_view what, nbd::Command command,
              std::uint16_t offer, std::uint16_t flags = 0) {
    if (!connection.info().has(offer)) {
        return;
    }
    outcome += line(what, [&] {
        connection.wait(connection.submit(Operation::range(command, 2 * area, length, flags))).check();
        return "done";
    });
}

} // namespace

std::string enter(const nbd::Uri& uri, const refclient::Options& options) {
    return connected(uri, options, [](Connection& /*connection*/, std::string& /*outcome*/) {});
}

std::string enter_named(const nbd::Uri& uri, const refclient::Options& options) {
    nbd::Uri named = uri;
    named.export_name = "x";
    return enter(named, options);
}

std::string commands(const nbd::Uri& uri, const refclient::Options& options) {
    return connected(uri, options, [](Connection& connection, std::string& outcome) {
        const refclient::ExportInfo& info = connection.info();
        do_write(connection, outcome);
        do_read(connection, outcome);
        if (info.structured && info.has(offered::send_df)) {
            do_read(connection, outcome, asked::df);
        }
        do_status(connection, outcome);
        do_range(connection, outcome, "trim", nbd::Command::trim, offered::send_trim);
        do_range(connection, outcome, "zero", nbd::Command::write_zeroes, offered::send_write_zeroes,
                 asked::no_hole);
        do_range(connection, outcome, "cache", nbd::Command::cache, offered::send_cache);
        if (info.has(offered::send_flush)) {
            outcome += line("flush", [&] {
                connection.flush();
                return "done";
            });
        }
    });
}

std::string two_reads(const nbd::Uri& uri, const refclient::Options& options) {
    return connected(uri, options, [](Connection& connection, std::string& outcome) {
        outcome += line("read twice", [&] {
            connection.write(area, pattern(area));
            connection.zero(2 * area, length);
            nbd::Buffer first(length);
            nbd::Buffer second(length);
            const refclient::Cookie one = connection.queue(Operation::read(area, first));
            const refclient::Cookie two = connection.queue(Operation::read(2 * area, second));
            connection.wait(one).check();
            connection.wait(two).check();
            return digest(first) + "; " + digest(second);
        });
    });
}

std::string read(const nbd::Uri& uri, const refclient::Options& options) {
    return connected(uri, options,
                     [](Connection& connection, std::string& outcome) { do_read(connection, outcome); });
}

std::string large_read(const nbd::Uri& uri, const refclient::Options& options) {
    return connected(uri, options, [](Connection& connection, std::string& outcome) {
        outcome += line("read much", [&] {
            nbd::Buffer bytes(std::size_t{2} << 20);
            connection.read(0, bytes);
            return digest(bytes);
        });
    });
}

std::string status(const nbd::Uri& uri, const refclient::Options& options) {
    return connected(uri, options,
                     [](Connection& connection, std::string& outcome) { do_status(connection, outcome); });
}

std::string write(const nbd::Uri& uri, const refclient::Options& options) {
    return connected(uri, options,
                     [](Connection& connection, std::string& outcome) { do_write(connection, outcome); });
}

std::string trim_and_read(const nbd::Uri& uri, const refclient::Options& options) {
    return connected(uri, options, [](Connection& connection, std::string& outcome) {
        do_range(connection, outcome, "trim", nbd::Command::trim, offered::send_trim);
        outcome += line("read", [&] {
            nbd::Buffer bytes(length);
            connection.read(2 * area, bytes);
            return digest(bytes);
        });
    });
}

std::string information(const nbd::Uri& uri, const refclient::Options& options) {
    return line("ask", [&] { return fmt::format("{} bytes", refclient::query_info(uri, options).size); });
}

std::string list(const nbd::Uri& uri, const refclient::Options& options) {
    return line("list", [&] {
        std::string text;
        for (const refclient::ListedExport& one : refclient::query_list(uri, options)) {
            text += fmt::format("{} ({}) ", one.name, one.description);
        }
        return text;
    });
}

std::string connections(const nbd::Uri& uri, const refclient::Options& options) {
    return line("open", [&] {
        refclient::Options four = options;
        four.connections = 4;
        refclient::Session session = refclient::Session::open(uri, four);
        const std::size_t count = session.connection_count();
        session.disconnect();
        return fmt::format("{} connections", count);
    });
}

} // namespace faults::testing::talk
