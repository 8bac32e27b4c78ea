#pragma once

// The server's knobs (docs/resize-extension.md, The knobs): what can be set, what fits together, and what
// follows from what is left out.

#include "faults/catalogue.hpp"
#include "reference-server/resize/faults.hpp"
#include "reference-server/session/reply_style.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace refserver {

enum class Growth { none, explicit_, automatic, both };
enum class Consent { not_applicable, implicit, opt_in };
enum class Advertise { silent, flag, info };
enum class Learn { none, poll, notify, both };
enum class Fill { not_applicable, zero, unspecified };
enum class Sizing { not_applicable, exact, round, clamp };
enum class Shrink { not_applicable, allow, deny };

/// One value for each knob.
struct Configuration {
    Growth growth = Growth::none;
    Consent consent = Consent::not_applicable;
    Advertise advertise = Advertise::silent;
    ReplyStyle replies = ReplyStyle::extended;
    Learn learn = Learn::none;
    Fill fill = Fill::not_applicable;
    Sizing sizing = Sizing::not_applicable;
    Shrink shrink = Shrink::not_applicable;

    [[nodiscard]] bool grows_on_request() const {
        return growth == Growth::explicit_ || growth == Growth::both;
    }
    [[nodiscard]] bool grows_by_writes() const {
        return growth == Growth::automatic || growth == Growth::both;
    }
    bool operator==(const Configuration&) const = default;
};

/// The rule that a configuration breaks, for people; nothing if it is valid.
[[nodiscard]] std::optional<std::string> broken_rule(const Configuration& configuration);

/// How sizes change on an export: what its configuration says, in numbers.
struct ResizeRules {
    Configuration knobs;
    std::uint64_t granularity = 1; ///< bytes, at least 1, less than 2^32
    std::uint64_t smallest = 0;    ///< bytes
    /// The largest size that can be asked for, in bytes; nothing if only what there is room for limits it.
    std::optional<std::uint64_t> largest;
    FaultSet faults;

    [[nodiscard]] bool has(Fault fault) const { return faults.test(static_cast<std::size_t>(fault)); }
};

enum class DiskKind { memory, file };

/// Knobs as far as they are set, by a command line or by an export name. Sizes in bytes.
struct KnobSettings {
    std::optional<Growth> growth;
    std::optional<Consent> consent;
    std::optional<Advertise> advertise;
    std::optional<ReplyStyle> replies;
    std::optional<Learn> learn;
    std::optional<Fill> fill;
    std::optional<Sizing> sizing;
    std::optional<Shrink> shrink;
    std::optional<std::uint64_t> size;
    std::optional<std::uint64_t> limit; ///< `no_limit` for one that is not known
    std::optional<std::uint64_t> granularity;
    std::optional<std::uint64_t> smallest;
    std::optional<bool> read_only;
    std::optional<DiskKind> backend;
    std::optional<bool> keep;
    FaultSet faults;
    const ::faults::Fault* on_the_wire = nullptr; ///< a fault or an oddity of the room faults/

    static constexpr std::uint64_t no_limit = ~std::uint64_t{0};
};

/// What a disk is to be.
struct DiskPlan {
    ResizeRules rules;
    std::uint64_t size = 0; ///< bytes
    bool read_only = false;
    bool keep = false; ///< stays after its last connection
    DiskKind backend = DiskKind::memory;
};

/// Fills in what is left out in `settings` from `defaults`, then by what the draft's knobs suggest.
/// `block` is the minimum block size, of which granularities are multiples. `size`, if given, is that of a
/// disk that exists already. Throws std::invalid_argument with a message that says what does not fit
/// together.
[[nodiscard]] DiskPlan plan_disk(const KnobSettings& settings, const KnobSettings& defaults,
                                 std::uint32_t block, std::optional<std::uint64_t> size = {});

} // namespace refserver
