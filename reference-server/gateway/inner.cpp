#include "reference-server/gateway/inner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <span>
#include <string_view>
#include <system_error>

namespace refserver {
namespace {

constexpr int slice = 50; ///< milliseconds
/// How long the inner server may take to note that it was left.
constexpr std::chrono::milliseconds farewell{1000};
constexpr const char* allocation = "base:allocation";
constexpr std::uint64_t zero_block = std::uint64_t{1} << 20;

/// Moves bytes until `ready` holds.
void wait_until(nbd_handle* handle, const Patience& patience, const std::function<bool()>& ready) {
    while (!ready()) {
        if (::nbd_aio_is_dead(handle) == 1 || ::nbd_aio_is_closed(handle) == 1) {
            throw InnerError("it closed the connection");
        }
        if (!patience.go_on()) {
            throw InnerError("this server is being shut down");
        }
        if (std::chrono::steady_clock::now() >= patience.deadline) {
            throw InnerError("it does not answer in time");
        }
        if (::nbd_poll(handle, slice) == -1 && !ready()) {
            throw InnerError(inner_error());
        }
    }
}

/// The outcome of something that was begun; -1 until it is known, then 0 or an error number.
struct Outcome {
    int error = -1;

    nbd_completion_callback callback() {
        return {[](void* data, int* number) {
                    static_cast<Outcome*>(data)->error = *number;
                    return 1;
                },
                this, nullptr};
    }
};

template <class Begin>
void carry_out(nbd_handle* handle, const Patience& patience, const char* what, const Begin& begin) {
    Outcome outcome;
    if (begin(outcome.callback()) == -1) {
        throw InnerError(fmt::format("{}: {}", what, inner_error()));
    }
    wait_until(handle, patience, [&outcome] { return outcome.error >= 0; });
    if (outcome.error > 0) {
        throw InnerError(fmt::format("{}: {}", what, std::system_category().message(outcome.error)));
    }
}

void require(int outcome) {
    if (outcome == -1) {
        throw InnerError(inner_error());
    }
}

std::uint32_t size_constraint(nbd_handle* handle, int which, std::uint32_t otherwise) {
    const std::int64_t told = ::nbd_get_block_size(handle, which);
    if (told <= 0) {
        return otherwise;
    }
    return static_cast<std::uint32_t>(
        std::min<std::int64_t>(told, std::numeric_limits<std::uint32_t>::max()));
}

void zero_all(nbd_handle* handle, std::uint64_t from, std::uint64_t to, bool allocated,
              const Patience& patience) {
    static const std::vector<std::uint8_t> zeroes(zero_block);
    const bool can_zero = ::nbd_can_zero(handle) == 1;
    const std::uint32_t flags = can_zero && allocated ? LIBNBD_CMD_FLAG_NO_HOLE : 0;
    for (std::uint64_t at = from; at < to;) {
        const std::uint64_t length = std::min(to - at, can_zero ? longest_request : zero_block);
        carry_out(handle, patience, "zeroing what growth exposes", [&](nbd_completion_callback done) {
            return can_zero ? ::nbd_aio_zero(handle, length, at, done, flags)
                            : ::nbd_aio_pwrite(handle, zeroes.data(), length, at, done, 0);
        });
        at += length;
    }
}

} // namespace

std::string inner_error() {
    const char* text = ::nbd_get_error();
    return text != nullptr ? text : "libnbd does not say why";
}

nbd_extent_callback extents_into(std::vector<Extent>& extents) {
    return {[](void* data, const char* context, std::uint64_t /*offset*/, std::uint32_t* entries,
               std::size_t count, int* /*error*/) {
                if (std::string_view(context) == allocation) {
                    const std::span<std::uint32_t> pairs(entries, count);
                    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
                        static_cast<std::vector<Extent>*>(data)->push_back({pairs[i], pairs[i + 1]});
                    }
                }
                return 0;
            },
            &extents, nullptr};
}

InnerHandle connect_inner(const std::string& uri, const Patience& patience,
                          const std::optional<std::string>& export_name) {
    InnerHandle handle(::nbd_create());
    if (!handle) {
        throw InnerError(inner_error());
    }
    nbd_handle* const raw = handle.get();
    require(::nbd_add_meta_context(raw, allocation));
    require(::nbd_set_opt_mode(raw, export_name.has_value()));
    require(::nbd_aio_connect_uri(raw, uri.c_str()));
    if (export_name) {
        wait_until(raw, patience, [raw] { return ::nbd_aio_is_negotiating(raw) == 1; });
        require(::nbd_set_export_name(raw, export_name->c_str()));
        carry_out(raw, patience, "choosing the export",
                  [raw](nbd_completion_callback done) { return ::nbd_aio_opt_go(raw, done); });
    }
    wait_until(raw, patience, [raw] { return ::nbd_aio_is_ready(raw) == 1; });
    return handle;
}

InnerFacts facts_of(nbd_handle* handle) {
    const auto yes = [](int answer) { return answer == 1; };
    InnerFacts facts;
    const std::int64_t size = ::nbd_get_size(handle);
    if (size < 0) {
        throw InnerError(inner_error());
    }
    facts.size = static_cast<std::uint64_t>(size);
    facts.read_only = yes(::nbd_is_read_only(handle));
    facts.can.flush = yes(::nbd_can_flush(handle));
    facts.can.fua = yes(::nbd_can_fua(handle));
    facts.can.rotational = yes(::nbd_is_rotational(handle));
    facts.can.trim = yes(::nbd_can_trim(handle));
    facts.can.write_zeroes = yes(::nbd_can_zero(handle));
    facts.can.fast_zero = yes(::nbd_can_fast_zero(handle));
    facts.can.df = yes(::nbd_can_df(handle));
    facts.can.multi_conn = yes(::nbd_can_multi_conn(handle));
    facts.can.cache = yes(::nbd_can_cache(handle));
    facts.can.block_status = yes(::nbd_can_meta_context(handle, allocation));
    facts.block.minimum = size_constraint(handle, LIBNBD_SIZE_MINIMUM, 1);
    facts.block.preferred = size_constraint(handle, LIBNBD_SIZE_PREFERRED, nbd::default_preferred_block);
    facts.block.maximum = size_constraint(handle, LIBNBD_SIZE_MAXIMUM, nbd::default_max_payload);
    return facts;
}

void leave_inner(nbd_handle* handle) {
    if (::nbd_aio_disconnect(handle, 0) == -1) {
        return;
    }
    const auto deadline = std::chrono::steady_clock::now() + farewell;
    while (::nbd_aio_is_closed(handle) != 1 && ::nbd_aio_is_dead(handle) != 1 &&
           std::chrono::steady_clock::now() < deadline) {
        if (::nbd_poll(handle, slice) == -1) {
            break;
        }
    }
}

std::optional<std::string> InnerFacts::missing(const InnerFacts& promised) const {
    const Features& had = promised.can;
    std::string names;
    const auto look = [&names](bool before, bool now, const char* name) {
        if (before && !now) {
            names += (names.empty() ? "" : ", ") + std::string(name);
        }
    };
    look(!promised.read_only, !read_only, "writing");
    look(had.flush, can.flush, "NBD_CMD_FLUSH");
    look(had.fua, can.fua, "NBD_CMD_FLAG_FUA");
    look(had.trim, can.trim, "NBD_CMD_TRIM");
    look(had.write_zeroes, can.write_zeroes, "NBD_CMD_WRITE_ZEROES");
    look(had.fast_zero, can.fast_zero, "NBD_CMD_FLAG_FAST_ZERO");
    look(had.cache, can.cache, "NBD_CMD_CACHE");
    look(had.block_status, can.block_status, allocation);
    look(true, block.minimum <= promised.block.minimum, "requests as small as before");
    return names.empty() ? std::nullopt : std::optional(names);
}

InnerDetails details_of(const std::string& uri, const Patience& patience) {
    InnerHandle handle(::nbd_create());
    if (!handle) {
        throw InnerError(inner_error());
    }
    nbd_handle* const raw = handle.get();
    require(::nbd_set_opt_mode(raw, true));
    require(::nbd_set_full_info(raw, true));
    require(::nbd_aio_connect_uri(raw, uri.c_str()));
    wait_until(raw, patience, [raw] { return ::nbd_aio_is_negotiating(raw) == 1; });
    InnerDetails details;
    const auto text = [](char* owned) {
        const std::unique_ptr<char, decltype(&std::free)> keeper(owned, &std::free);
        return std::string(owned != nullptr ? owned : "");
    };
    details.name = text(::nbd_get_export_name(raw));
    carry_out(raw, patience, "asking for the export",
              [raw](nbd_completion_callback done) { return ::nbd_aio_opt_info(raw, done); });
    details.description = text(::nbd_get_export_description(raw));
    require(::nbd_add_meta_context(raw, "qemu:"));
    const nbd_context_callback note{[](void* data, const char* name) {
                                        if (std::string_view(name).starts_with("qemu:")) {
                                            static_cast<InnerDetails*>(data)->contexts.emplace_back(name);
                                        }
                                        return 0;
                                    },
                                    &details, nullptr};
    carry_out(raw, patience, "asking for metadata contexts", [raw, note](nbd_completion_callback done) {
        return ::nbd_aio_opt_list_meta_context(raw, note, done);
    });
    ::nbd_aio_opt_abort(raw);
    return details;
}

void make_zero(nbd_handle* handle, std::uint64_t from, std::uint64_t to, bool allocated,
               const Patience& patience) {
    if (allocated || ::nbd_can_meta_context(handle, allocation) != 1) {
        return zero_all(handle, from, to, allocated, patience);
    }
    for (std::uint64_t at = from; at < to;) {
        std::vector<Extent> extents;
        carry_out(handle, patience, "asking what growth exposes", [&](nbd_completion_callback done) {
            return ::nbd_aio_block_status(handle, std::min(to - at, longest_request), at,
                                          extents_into(extents), done, 0);
        });
        const std::uint64_t before = at;
        for (const Extent& extent : extents) {
            const std::uint64_t end = std::min(to, at + extent.length);
            if ((extent.status & nbd::allocation_flag::zero) == 0) {
                zero_all(handle, at, end, false, patience);
            }
            at = end;
        }
        if (at == before) {
            return zero_all(handle, at, to, false, patience);
        }
    }
}

} // namespace refserver
