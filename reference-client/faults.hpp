#pragma once

// Ways in which the client can be told to break the RESIZE draft, so that a suite can show that it notices.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace refclient {

/// Each breaks one statement of docs/resize-extension.md that binds a client.
enum class Fault : std::uint8_t {
    resize_without_flag,
    query_without_information,
    information_of_any_length,
    refuse_unknown_capabilities,
    trust_opt_info,
    extend_unadvertised,
    extend_on_read,
    forget_growth,
    two_forms,
    payload_flag,
    length_with_size,
    misaligned_size,
    shrink_grows,
    touch_changing_area,
    promise_zeroes,
    query_with_offset,
    notify_with_offset,
    two_subscriptions,
    accept_beyond_credit,
    bear_floods,
    cancel_wrong_cookie,
    cancel_with_length,
    size_of_any_length,
    refuse_unknown_size_flags,
    ignore_chosen_size,
    ignore_polled_size,
    ignore_notified_size,
    never_smaller,
    ignore_size_of_reconnect,
};

/// What is said of a fault.
struct FaultText {
    Fault fault;
    std::string_view name;        ///< for command lines
    std::string_view requirement; ///< of the draft, "RZ-FLAG-2"
    std::string_view sentence;    ///< what the client does
};

/// All faults, in the order of the draft.
[[nodiscard]] std::span<const FaultText> all_faults();

/// The fault of this name, if there is one.
[[nodiscard]] std::optional<Fault> find_fault(std::string_view name);

/// A set of faults.
class Faults {
  public:
    void add(Fault fault) { bits_ |= bit(fault); }
    [[nodiscard]] bool has(Fault fault) const { return (bits_ & bit(fault)) != 0; }

  private:
    [[nodiscard]] static std::uint64_t bit(Fault fault) {
        return std::uint64_t{1} << static_cast<unsigned>(fault);
    }

    std::uint64_t bits_ = 0;
};

struct Operation;

/// Makes of a request what the faults make of it.
void distort(Operation& operation, Faults faults);

/// True if a fault is that requests of this kind are sent although the client must not send them.
[[nodiscard]] bool sends_unchecked(const Operation& operation, Faults faults);

} // namespace refclient
