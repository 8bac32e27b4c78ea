#include "reference-server/resize/decisions.hpp"

#include "protocol/resize.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace refserver {
namespace {

using nbd::Error;

template <class... Arguments>
SizeDecision refuse(Error error, fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    return {error, fmt::format(text, std::forward<Arguments>(arguments)...), 0};
}

SizeDecision grant(std::uint64_t size) {
    return {Error::none, {}, size};
}

/// Up to the granularity; sizes are below 2^63, so that nothing overflows.
std::uint64_t rounded_up(std::uint64_t size, std::uint64_t granularity) {
    const std::uint64_t rest = size % granularity;
    return rest == 0 ? size : size + (granularity - rest);
}

} // namespace

SizeDecision decide_resize(const ResizeRules& rules, std::uint64_t current, std::uint64_t wanted, bool exact,
                           bool permitted) {
    const bool may_shrink =
        permitted && (rules.knobs.shrink == Shrink::allow || rules.has(Fault::shrinks_uninvited));
    if (rules.has(Fault::permission_first) && !permitted) {
        return refuse(Error::perm, "this export does not change its size on request");
    }
    if (wanted > nbd::max_resize) {
        return refuse(Error::inval, "a size of {} bytes is more than {}", wanted, nbd::max_resize);
    }
    // An outside change may have made the export smaller than the rules allow requests to.
    const std::uint64_t smallest = std::min(rules.smallest, current);
    if (may_shrink && wanted < smallest && !rules.has(Fault::smallest_ignored)) {
        return refuse(Error::inval, "{} bytes are less than the smallest size, {}", wanted, smallest);
    }
    const bool same = permitted && wanted == current;
    if (rules.has(Fault::exact_rounds)) {
        exact = false;
    }
    if (same && rules.has(Fault::same_size_refused)) {
        return refuse(Error::inval, "the size is {} bytes already", current);
    }
    if (exact && wanted % rules.granularity != 0 && !same) {
        return refuse(Error::inval, "{} bytes are no multiple of the granularity, {}", wanted,
                      rules.granularity);
    }
    if (!permitted) {
        return refuse(rules.has(Fault::not_offered_inval) ? Error::inval : Error::perm,
                      "this export does not change its size on request");
    }
    if (wanted < current && !may_shrink) {
        return refuse(Error::perm, "this export does not shrink from {} to {} bytes", current, wanted);
    }
    const std::uint64_t odd = rules.has(Fault::chosen_size_odd) ? 1 : 0;
    const std::uint64_t rounded = exact || same ? wanted : rounded_up(wanted, rules.granularity) + odd;
    if (wanted <= current && rules.has(Fault::shrink_grows)) {
        return grant(rounded);
    }
    if (wanted <= current) {
        return grant(std::min(rounded, current));
    }
    const std::uint64_t largest = rules.largest.value_or(nbd::max_resize);
    if (rounded <= largest || (rules.has(Fault::limit_ignored) && rounded <= nbd::max_resize)) {
        return grant(rounded);
    }
    if (rules.knobs.sizing == Sizing::clamp && rules.largest && !exact && largest > current) {
        return grant(largest);
    }
    if (rules.has(Fault::clamp_when_full)) {
        return grant(current);
    }
    return refuse(Error::nospc, "{} bytes are more than the largest size, {}", wanted, largest);
}

SizeDecision decide_growth(const ResizeRules& rules, std::uint64_t current, std::uint64_t end) {
    const std::uint64_t largest = rules.largest.value_or(nbd::max_resize);
    const std::uint64_t rounded = rules.has(Fault::auto_unrounded) ? end : rounded_up(end, rules.granularity);
    if (rounded > largest && rules.has(Fault::auto_clamped) && largest > current) {
        return grant(largest);
    }
    if (rounded > largest || rules.has(Fault::auto_refused)) {
        return refuse(Error::nospc,
                      "a write up to {} does not fit: the export of {} bytes grows to {} at most", end,
                      current, largest);
    }
    return grant(rounded);
}

} // namespace refserver
