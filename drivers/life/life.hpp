#pragma once

// The life of a combination of knobs: what a client goes through with an export, as answers to questions. The
// questions, and what the answers must be, are in scenarios/resize/life.yaml.

#include "reference-client/options.hpp"
#include "reference-client/resizer.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace driver {

class Control;

/// What happens to the storage behind the server's back.
enum class External { none, grow, shrink };

/// One life to lead.
struct LifeSetup {
    std::string export_name;
    std::string socket; ///< the server's
    refclient::Options options;
    refclient::ResizePreferences preferences;
    External external = External::none;
};

/// The questions, in the order of the answers.
enum class Question : std::size_t {
    style,
    flag,
    info_explicit,
    info_shrink,
    info_auto,
    info_auto_implicit,
    info_zeroed,
    info_query,
    info_notify,
    info_external,
    info_granularity,
    info_smallest,
    info_largest,
    info_others,
    inside,
    grow_way,
    grow_error,
    grow_size,
    grow_told,
    grow_believed,
    new_end,
    promise,
    exposed,
    over_way,
    over_error,
    over_size,
    over_told,
    over_believed,
    shrink_error,
    shrink_size,
    shrink_told,
    shrink_believed,
    learn_way,
    subscribe_size,
    external_size,
    learn_flags,
    learn_believed,
    head,
    new_read,
    stale_read,
    kept,
    odd_length,
    odd_size,
    odd_hole,
    odd_forms,
    odd_query,
    odd_notify,
    odd_cancel,
    odd_flag,
    odd_read,
    extend_inside,
    huge_write,
    below_smallest,
    read_past,
    trim_past,
    same_size,
    query,
    second_notify,
    odd_size_after,
    past_end,
    own_told,
    notifications,
    subscription,
    leave,
};

inline constexpr std::size_t question_count = static_cast<std::size_t>(Question::leave) + 1;

/// The questions as scenarios/resize/life.yaml names them.
[[nodiscard]] const std::array<std::string_view, question_count>& question_names();

/// The answers: words, and sizes as decimal digits.
using Answers = std::array<std::string, question_count>;

/// Leads a life from connecting to leaving. Throws refclient::Failure and std::runtime_error where it cannot
/// be led to its end; the message says what was being done.
[[nodiscard]] Answers lead_life(const LifeSetup& setup, Control& control);

} // namespace driver
