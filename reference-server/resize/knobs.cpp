#include "reference-server/resize/knobs.hpp"

#include "protocol/resize.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace refserver {
namespace {

constexpr std::uint64_t default_size = std::uint64_t{1} << 20;
constexpr std::uint64_t default_limit = std::uint64_t{1} << 30;
constexpr std::uint64_t granularity_of_round = 65536;

[[noreturn]] void reject(const std::string& message) {
    throw std::invalid_argument(message);
}

/// Where a knob does not apply, only "-" is right; where it does, only a value.
template <class Knob>
std::optional<std::string> misplaced(bool applies, Knob value, const char* name, const char* condition,
                                     const char* values) {
    const bool given = value != Knob::not_applicable;
    if (given && !applies) {
        return fmt::format("{} applies only where growth is {}: leave it out, or write {}=-", name, condition,
                           name);
    }
    if (!given && applies) {
        return fmt::format("{} applies where growth is {}: it is {}", name, condition, values);
    }
    return std::nullopt;
}

/// The value that was set, or the one to fall back to; a value that was only inherited and does not apply is
/// dropped.
template <class Knob>
Knob applicable(bool applies, const std::optional<Knob>& set, const std::optional<Knob>& inherited,
                Knob fallback) {
    if (set) {
        return *set;
    }
    if (!applies) {
        return Knob::not_applicable;
    }
    return inherited && *inherited != Knob::not_applicable ? *inherited : fallback;
}

template <class T>
std::optional<T> either(const std::optional<T>& set, const std::optional<T>& inherited) {
    return set ? set : inherited;
}

Configuration configure(const KnobSettings& set, const KnobSettings& inherited) {
    Configuration knobs;
    knobs.growth = either(set.growth, inherited.growth).value_or(Growth::none);
    knobs.replies = either(set.replies, inherited.replies).value_or(ReplyStyle::extended);
    const bool grows = knobs.growth != Growth::none;
    const auto learn = either(set.learn, inherited.learn);
    const bool informs = grows || learn.value_or(Learn::none) != Learn::none;
    knobs.advertise =
        either(set.advertise, inherited.advertise).value_or(informs ? Advertise::info : Advertise::silent);
    const bool can_learn = grows && knobs.advertise == Advertise::info && knobs.replies != ReplyStyle::simple;
    knobs.learn = learn.value_or(can_learn ? Learn::both : Learn::none);
    knobs.consent = applicable(knobs.grows_by_writes(), set.consent, inherited.consent,
                               knobs.advertise == Advertise::info ? Consent::opt_in : Consent::implicit);
    knobs.fill = applicable(grows, set.fill, inherited.fill, Fill::zero);
    knobs.sizing = applicable(grows, set.sizing, inherited.sizing, Sizing::exact);
    knobs.shrink = applicable(knobs.grows_on_request(), set.shrink, inherited.shrink, Shrink::deny);
    return knobs;
}

std::uint64_t granularity_for(const Configuration& knobs, std::optional<std::uint64_t> wanted,
                              std::uint32_t block) {
    const std::uint64_t usual = knobs.sizing == Sizing::round ? granularity_of_round : 1;
    const std::uint64_t granularity = wanted.value_or(std::max<std::uint64_t>(usual, block));
    if (granularity == 0 || granularity > std::numeric_limits<std::uint32_t>::max()) {
        reject("granularity is from 1 to 4294967295 bytes");
    }
    if (granularity % block != 0) {
        reject(
            fmt::format("granularity {} is no multiple of the minimum block size, {}", granularity, block));
    }
    return granularity;
}

/// A limit is a multiple of the granularity, and never below the size that the disk begins with.
std::optional<std::uint64_t> limit_for(const KnobSettings& set, const KnobSettings& inherited,
                                       std::uint64_t size, std::uint64_t granularity) {
    const std::uint64_t wanted = either(set.limit, inherited.limit).value_or(default_limit);
    if (wanted == KnobSettings::no_limit) {
        return std::nullopt;
    }
    if (set.limit && wanted < size) {
        reject(fmt::format("limit {} is below the size, {}", wanted, size));
    }
    const auto rounded_up = [granularity](std::uint64_t bytes) {
        return bytes / granularity * granularity + (bytes % granularity == 0 ? 0 : granularity);
    };
    const std::uint64_t limit = std::max(wanted / granularity * granularity, rounded_up(size));
    return std::min(limit, nbd::max_resize);
}

} // namespace

std::optional<std::string> broken_rule(const Configuration& k) {
    const bool grows = k.growth != Growth::none;
    const auto first = [](auto... rules) {
        std::optional<std::string> found;
        ((found = found ? found : rules), ...);
        return found;
    };
    const auto unless = [](bool holds, const char* rule) {
        return holds ? std::nullopt : std::optional<std::string>(rule);
    };
    return first(misplaced(k.grows_by_writes(), k.consent, "consent", "auto or both", "implicit or opt-in"),
                 unless(k.consent != Consent::opt_in || k.advertise == Advertise::info,
                        "consent=opt-in needs advertise=info"),
                 unless(!k.grows_on_request() || k.advertise != Advertise::silent,
                        "explicit growth (growth explicit or both) needs advertise=flag or advertise=info"),
                 unless(k.advertise != Advertise::flag || k.grows_on_request(),
                        "advertise=flag needs explicit growth: growth explicit or both"),
                 unless(grows || k.advertise != Advertise::info || k.learn != Learn::none,
                        "growth=none with advertise=info needs learn poll, notify or both"),
                 unless(k.learn == Learn::none || k.advertise == Advertise::info,
                        "learn other than none needs advertise=info"),
                 unless(k.learn == Learn::none || k.replies != ReplyStyle::simple,
                        "learn other than none needs replies structured or extended"),
                 misplaced(grows, k.fill, "fill", "not none", "zero or unspecified"),
                 misplaced(grows, k.sizing, "sizing", "not none", "exact, round or clamp"),
                 misplaced(k.grows_on_request(), k.shrink, "shrink", "explicit or both", "allow or deny"));
}

DiskPlan plan_disk(const KnobSettings& settings, const KnobSettings& defaults, std::uint32_t block,
                   std::optional<std::uint64_t> size) {
    DiskPlan plan;
    plan.rules.knobs = configure(settings, defaults);
    if (const auto rule = broken_rule(plan.rules.knobs)) {
        reject(*rule);
    }
    plan.size = size ? *size : either(settings.size, defaults.size).value_or(default_size);
    if (plan.size > nbd::max_resize) {
        reject(fmt::format("size {} is more than {}, the most that an export can have", plan.size,
                           nbd::max_resize));
    }
    plan.rules.granularity =
        granularity_for(plan.rules.knobs, either(settings.granularity, defaults.granularity), block);
    plan.rules.largest = limit_for(settings, defaults, plan.size, plan.rules.granularity);
    plan.rules.smallest = either(settings.smallest, defaults.smallest).value_or(0);
    if (plan.rules.smallest > plan.size) {
        reject(fmt::format("smallest {} is above the size, {}", plan.rules.smallest, plan.size));
    }
    plan.rules.faults = settings.faults | defaults.faults;
    plan.read_only = either(settings.read_only, defaults.read_only).value_or(false);
    plan.keep = either(settings.keep, defaults.keep).value_or(false);
    plan.backend = either(settings.backend, defaults.backend).value_or(DiskKind::memory);
    return plan;
}

} // namespace refserver
