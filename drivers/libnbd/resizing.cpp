#include "drivers/libnbd/resizing.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

namespace driver {

namespace {

/// Writes that grow an export have at most this many bytes, unless a block of the server has more.
constexpr std::uint64_t growing_write = 4096;

std::uint64_t round_up(std::uint64_t value, std::uint64_t block) {
    return (value + block - 1) / block * block;
}

} // namespace

HeldSize grow(Connection& connection, const LibnbdOptions& options, std::uint64_t to) {
    if (to <= connection.held())
        return {connection.held(), "none"};
    if (options.grow == GrowBy::none)
        throw Failure({errno_name(ENOTSUP), Where::local, "libnbd has no way to make an export longer"});
    const std::optional<BlockSizes> sizes = connection.info().block;
    const std::uint64_t block = sizes ? sizes->minimum : 1;
    // What is held to be data is not overwritten: a block in which the export ends is left alone.
    const std::uint64_t least = round_up(connection.held(), block);
    const std::uint64_t end = std::max(round_up(to, block), least + block);
    const std::uint64_t longest = std::max(growing_write, block);
    Transfer write;
    write.command = Command::write;
    write.offset = std::max(least, end - std::min(end, longest));
    write.length = end - write.offset;
    const auto requests = std::make_shared<Requests>(1);
    requests->data.resize(write.length);
    connection.submit(write, requests);
    connection.wait_for(*requests);
    if (requests->errors.front())
        throw Failure(*requests->errors.front());
    connection.hold(end);
    return {end, "plain"};
}

HeldSize learn(Connection& connection, const LibnbdOptions& options) {
    if (options.learn == LearnBy::none)
        return {connection.held(), "none"};
    Handle second(options, connection.uri(), Until::transmission);
    const std::optional<std::uint64_t> size = second.info().size;
    leave(second);
    if (!size)
        throw Failure({errno_name(EOVERFLOW), Where::local, "libnbd does not tell this size"});
    connection.hold(*size);
    return {*size, "reconnect"};
}

} // namespace driver
