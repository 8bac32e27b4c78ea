#pragma once

// Rules of the RESIZE extension that an export can be told to break, so that a suite can be shown to notice.

#include <bitset>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace refserver {

/// Each breaks one statement of docs/resize-extension.md.
enum class Fault : std::size_t {
    flag_always,
    flag_never,
    unannounced_drops,
    info_unasked,
    info_though_silent,
    info_too_long,
    info_counts_without_go,
    shrink_without_explicit,
    implicit_without_auto,
    learn_with_simple,
    unknown_capability,
    granularity_zero,
    largest_too_large,
    range_not_widened,
    chosen_size_odd,
    flag_without_capability,
    handshake_size_stale,
    resize_ends_flush,
    auto_refused,
    auto_unrounded,
    auto_grows_on_error,
    extends_uninvited,
    extend_flag_ignored,
    trim_extends,
    chunk_without_flag,
    chunk_without_change,
    chunk_missing,
    gap_not_zero,
    huge_write_nospc,
    empty_write_extends,
    room_before_read_only,
    auto_clamped,
    two_forms,
    no_hole_on_query,
    permission_first,
    offset_not_echoed,
    length_ignored,
    oversize_nospc,
    not_offered_inval,
    shrinks_uninvited,
    smallest_ignored,
    exact_rounds,
    exact_gets_chunk,
    limit_ignored,
    plain_without_chunk,
    clamp_when_full,
    shrink_grows,
    error_changes_size,
    same_size_refused,
    stale_end,
    old_bytes_exposed,
    cut_bytes_return,
    resize_scribbles,
    query_offset_ignored,
    query_stale,
    query_sets_flags,
    second_notify,
    notify_offset_ignored,
    notify_not_answered,
    first_size_costs,
    own_change_untold,
    first_size_kept,
    merge_untold,
    merge_adds_flags,
    credit_without_done,
    credit_exceeded,
    note_without_change,
    cancel_without_done,
    cancel_answered_first,
    cancel_of_nothing,
    shutdown_untold,
    subscription_blocks,
    disconnect_answered,
    chunk_too_long,
    chunk_unknown_flag,
    chunk_beside_error,
    count
};

using FaultSet = std::bitset<static_cast<std::size_t>(Fault::count)>;

/// What people see of a fault.
struct FaultEntry {
    Fault fault;
    std::string_view name;        ///< as in `fault=NAME`
    std::string_view requirement; ///< the statement that it breaks, "RZ-INFO-3"
    std::string_view sentence;    ///< what the server does instead
};

[[nodiscard]] std::span<const FaultEntry> all_faults();
[[nodiscard]] std::optional<Fault> find_fault(std::string_view name);

} // namespace refserver
