// Faults of what a server does with requests that it has to refuse, and with those that it may not: bounds,
// alignment, length, read-only exports (Error values, Size constraints).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

namespace faults {

using nbd::Command;
using nbd::Error;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

/// Requests of this command that go beyond the end of the export.
auto beyond(Command command) {
    return [command](const Request& request, const Conversation& told) {
        return request.type == command && past_end(told, request);
    };
}

bool writes_read_only(const Request& request, const Conversation& told) {
    return changes_disk(request.type) && (told.flags & nbd::transmission_flag::read_only) != 0;
}

bool is_empty(const Request& request) {
    return request.length == 0 && request.type != Command::flush && request.type != Command::disc;
}

Table beyond_the_end() {
    return {
        {"read-past-end-served", "READ-PAST-END", "reads zeroes beyond the end",
         pretend(beyond(Command::read))},
        {"read-past-end-error", "READ-PAST-END", "answers NBD_EIO to a read beyond the end",
         refuse(Error::io, beyond(Command::read))},
        {"write-past-end-served", "WRITE-PAST-END", "answers a write beyond the end with success",
         pretend(beyond(Command::write))},
        {"write-past-end-error", "WRITE-PAST-END", "answers NBD_EINVAL to a write beyond the end",
         refuse(Error::inval, beyond(Command::write))},
        {"write-past-end-cut", "WRITE-PAST-END",
         "writes what fits of a write beyond the end and reports success",
         on_request(Command::write,
                    [](Request& request, Flow& flow) {
                        if (past_end(flow.told(), request) && request.offset < flow.told().size) {
                            request.length = flow.told().size - request.offset;
                            request.payload.resize(static_cast<std::size_t>(request.length));
                        }
                    })},
        {"trim-past-end-served", "TRIM-PAST-END", "answers a trim beyond the end with success",
         pretend(beyond(Command::trim))},
        {"trim-past-end-error", "TRIM-PAST-END", "answers NBD_ENOSPC to a trim beyond the end",
         refuse(Error::nospc, beyond(Command::trim))},
        {"zeroes-past-end-served", "ZEROES-PAST-END", "answers a write of zeroes beyond the end with success",
         pretend(beyond(Command::write_zeroes))},
        {"zeroes-past-end-error", "ZEROES-PAST-END", "answers NBD_EINVAL to a write of zeroes beyond the end",
         refuse(Error::inval, beyond(Command::write_zeroes))},
        {"cache-past-end-served", "REQUEST-PAST-END", "answers a cache request beyond the end with success",
         pretend(beyond(Command::cache))},
        {"status-past-end-error", "STATUS-PAST-END",
         "answers NBD_EIO to a block status request beyond the end",
         refuse(Error::io,
                [](const Request& request, const Conversation& told) {
                    return beyond(Command::block_status)(request, told) && !told.contexts.empty();
                })},
        {"bounds-wrap", "TRIM-PAST-END",
         "takes a trim for one within bounds if offset and length add up to more than 2^64",
         pretend([](const Request& request, const Conversation& /*told*/) {
             return request.type == Command::trim && request.offset + request.length < request.offset;
         })},
    };
}

Table refusals() {
    return {
        {"read-only-written", "READ-ONLY-REFUSED", "answers writes on a read-only export with success",
         pretend(writes_read_only)},
        {"read-only-error", "READ-ONLY-EPERM", "answers NBD_EINVAL to writes on a read-only export",
         refuse(Error::inval, writes_read_only)},
        {"empty-hangs-up", "ZERO-LENGTH", "closes the connection on a request of length 0",
         twist([](Request& request, Flow& flow) {
             if (is_empty(request)) {
                 flow.hang_up();
             }
         })},
        {"unaligned-refused", "BLOCK-SIZE-DEFAULT",
         "refuses requests that are not aligned to 512 bytes though it advertises no such block size",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& told) {
                          return !told.block && (request.offset % 512 != 0 || request.length % 512 != 0);
                      })},
        {"large-refused", "PAYLOAD-DEFAULT",
         "refuses reads and writes of more than 1 MiB though it advertises no maximum",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& told) {
                          return !told.block && request.length > mib &&
                                 (request.type == Command::read || request.type == Command::write);
                      })},
        {"large-hangs-up", "PAYLOAD-NO-DENIAL", "closes the connection on a write of more than 1 MiB",
         twist([](Request& request, Flow& flow) {
             if (request.type == Command::write && request.length > mib) {
                 flow.hang_up();
             }
         })},
    };
}

} // namespace

Table bounds_faults() {
    return joined({beyond_the_end, refusals});
}

} // namespace faults
