#include "reference-client/faults.hpp"

#include "reference-client/operation.hpp"

#include <algorithm>

namespace refclient {
namespace {

namespace asked = nbd::command_flag;

constexpr FaultText texts[] = {
    {Fault::resize_without_flag, "resize-without-flag", "RZ-FLAG-2",
     "grows by NBD_CMD_RESIZE although NBD_FLAG_SEND_RESIZE is clear"},
    {Fault::query_without_information, "query-without-information", "RZ-FLAG-3",
     "polls by NBD_CMD_FLAG_QUERY although it knows only the transmission flag"},
    {Fault::information_of_any_length, "information-of-any-length", "RZ-INFO-3",
     "takes NBD_INFO_RESIZE of any length"},
    {Fault::trust_opt_info, "trust-opt-info", "RZ-INFO-4",
     "goes by what NBD_OPT_INFO said at first, not by what NBD_OPT_GO says"},
    {Fault::refuse_unknown_capabilities, "refuse-unknown-capabilities", "RZ-INFO-5",
     "leaves a server that sets a capability it does not know"},
    {Fault::extend_unadvertised, "extend-unadvertised", "RZ-INFO-7",
     "grows by NBD_CMD_FLAG_EXTEND although AUTO was not advertised"},
    {Fault::extend_on_read, "extend-on-read", "RZ-AUTO-4", "sets NBD_CMD_FLAG_EXTEND on reads"},
    {Fault::forget_growth, "forget-growth", "RZ-AUTO-12",
     "does not know after a successful write past the end that the export is longer"},
    {Fault::two_forms, "two-forms", "RZ-CMD-1", "sets NBD_CMD_FLAG_NOTIFY when it polls"},
    {Fault::payload_flag, "payload-flag", "RZ-CMD-1",
     "sets NBD_CMD_FLAG_PAYLOAD_LEN on NBD_CMD_RESIZE with extended headers"},
    {Fault::length_with_size, "length-with-size", "RZ-PLAIN-1", "asks for a size with a length of 512"},
    {Fault::misaligned_size, "misaligned-size", "RZ-PLAIN-5",
     "asks for sizes that are no multiple of the granularity where the server cannot choose another"},
    {Fault::shrink_grows, "shrink-grows", "RZ-PLAIN-6",
     "rounds a smaller size up beyond the size that the export has"},
    {Fault::promise_zeroes, "promise-zeroes", "RZ-PLAIN-9",
     "takes exposed bytes for zeroes although nothing was promised"},
    {Fault::touch_changing_area, "touch-changing-area", "RZ-PLAIN-10",
     "reads between the old and the new size before its resize is answered"},
    {Fault::query_with_offset, "query-with-offset", "RZ-QUERY-1", "polls with the offset 512"},
    {Fault::notify_with_offset, "notify-with-offset", "RZ-NOTE-1", "subscribes with the offset 512"},
    {Fault::two_subscriptions, "two-subscriptions", "RZ-NOTE-1",
     "subscribes a second time while a subscription is open"},
    {Fault::accept_beyond_credit, "accept-beyond-credit", "RZ-NOTE-6",
     "takes more notifications than it allowed"},
    {Fault::bear_floods, "bear-floods", "RZ-NOTE-7", "takes notifications at any rate"},
    {Fault::cancel_wrong_cookie, "cancel-wrong-cookie", "RZ-NOTE-8",
     "cancels another cookie than that of its subscription"},
    {Fault::cancel_with_length, "cancel-with-length", "RZ-NOTE-8", "cancels with a length of 1"},
    {Fault::size_of_any_length, "size-of-any-length", "RZ-CHUNK-1",
     "takes NBD_REPLY_TYPE_RESIZE with more than 12 bytes"},
    {Fault::refuse_unknown_size_flags, "refuse-unknown-size-flags", "RZ-CHUNK-1",
     "leaves a server that sets a flag of NBD_REPLY_TYPE_RESIZE that it does not know"},
    {Fault::ignore_chosen_size, "ignore-chosen-size", "RZ-CHUNK-3",
     "believes that its own request was granted exactly, whatever the reply says"},
    {Fault::ignore_polled_size, "ignore-polled-size", "RZ-CHUNK-3",
     "does not adopt the size that it asked for"},
    {Fault::ignore_notified_size, "ignore-notified-size", "RZ-CHUNK-3",
     "does not adopt the sizes of notifications"},
    {Fault::never_smaller, "never-smaller", "RZ-CHUNK-3", "adopts a reported size only if it is larger"},
    {Fault::ignore_size_of_reconnect, "ignore-size-of-reconnect", "RZ-SIZE-1",
     "does not adopt the size of the handshake when it connects again"},
};

} // namespace

std::span<const FaultText> all_faults() {
    return texts;
}

std::optional<Fault> find_fault(std::string_view name) {
    const auto found = std::ranges::find(texts, name, &FaultText::name);
    return found == std::end(texts) ? std::nullopt : std::optional(found->fault);
}

void distort(Operation& operation, Faults faults) {
    constexpr std::uint64_t wrong = 512;
    if (operation.type == nbd::Command::read && faults.has(Fault::extend_on_read)) {
        operation.flags |= asked::extend;
    }
    if (operation.type != nbd::Command::resize) {
        return;
    }
    switch (resize_form(operation)) {
    case ResizeForm::plain:
        operation.length = faults.has(Fault::length_with_size) ? wrong : operation.length;
        break;
    case ResizeForm::query:
        operation.offset = faults.has(Fault::query_with_offset) ? wrong : operation.offset;
        operation.flags |= faults.has(Fault::two_forms) ? asked::notify : std::uint16_t{0};
        break;
    case ResizeForm::notify:
        operation.offset = faults.has(Fault::notify_with_offset) ? wrong : operation.offset;
        break;
    case ResizeForm::cancel:
        operation.offset += faults.has(Fault::cancel_wrong_cookie) ? wrong : 0;
        operation.length = faults.has(Fault::cancel_with_length) ? 1 : operation.length;
        break;
    }
}

bool sends_unchecked(const Operation& operation, Faults faults) {
    if (operation.type == nbd::Command::resize) {
        switch (resize_form(operation)) {
        case ResizeForm::plain:
            return faults.has(Fault::resize_without_flag);
        case ResizeForm::query:
            return faults.has(Fault::query_without_information);
        case ResizeForm::notify:
            return faults.has(Fault::two_subscriptions);
        case ResizeForm::cancel:
            return false;
        }
    }
    if (operation.type == nbd::Command::read) {
        return operation.past_end && faults.has(Fault::touch_changing_area);
    }
    return writes_data(operation) && (operation.flags & asked::extend) != 0 &&
           faults.has(Fault::extend_unadvertised);
}

} // namespace refclient
