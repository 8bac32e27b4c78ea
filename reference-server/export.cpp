#include "reference-server/export.hpp"

#include "reference-server/backend/backend.hpp"
#include "reference-server/resize/decisions.hpp"
#include "reference-server/resize/subscription.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace refserver {

Export::Export(ExportOptions options, std::shared_ptr<Backend> backend, ResizeRules rules)
  : options_(std::move(options))
  , backend_(std::move(backend))
  , rules_(std::move(rules))
  , read_only_(options_.read_only || backend_->read_only())
  , size_(served_part(backend_->size()))
  , first_size_(size()) {}

std::uint64_t Export::served_part(std::uint64_t backend_size) const {
    return backend_size - backend_size % options_.block.minimum;
}

bool Export::grows_on_request() const {
    return rules_.knobs.grows_on_request() && !read_only_;
}

bool Export::grows_by_writes() const {
    return rules_.knobs.grows_by_writes() && !read_only_;
}

bool Export::promises_zeroes() const {
    return rules_.knobs.fill == Fill::zero;
}

std::optional<nbd::InfoResize> Export::resize_info(ReplyStyle style, std::uint64_t told_size) const {
    namespace can = nbd::resize_capability;
    const Configuration& knobs = rules_.knobs;
    if (knobs.advertise != Advertise::info && !has(Fault::info_though_silent)) {
        return std::nullopt;
    }
    unsigned capabilities = can::external;
    const auto offer = [&capabilities](bool offered, std::uint16_t bit) {
        capabilities |= offered ? bit : 0U;
    };
    const bool structured = style != ReplyStyle::simple || has(Fault::learn_with_simple);
    offer(grows_on_request(), can::explicit_);
    offer(grows_on_request() && knobs.shrink == Shrink::allow, can::shrink);
    offer(grows_by_writes(), can::automatic);
    offer(grows_by_writes() && knobs.consent == Consent::implicit, can::automatic_implicit);
    if (has(Fault::implicit_without_auto) && (capabilities & can::automatic_implicit) != 0) {
        capabilities &= ~unsigned{can::automatic};
    }
    offer(has(Fault::shrink_without_explicit) && !grows_on_request(), can::shrink);
    offer(has(Fault::unknown_capability), 1U << 8);
    offer(promises_zeroes(), can::zeroed);
    offer(structured && (knobs.learn == Learn::poll || knobs.learn == Learn::both), can::query);
    offer(structured && (knobs.learn == Learn::notify || knobs.learn == Learn::both), can::notify);
    nbd::InfoResize info;
    info.capabilities = static_cast<std::uint16_t>(capabilities);
    info.granularity = static_cast<std::uint32_t>(rules_.granularity);
    // A size that was moved out of the range from outside widens what is reported (RZ-INFO-6).
    info.smallest = std::min(rules_.smallest, told_size);
    info.largest = rules_.largest ? std::max(*rules_.largest, told_size) : nbd::InfoResize::unknown_largest;
    if (has(Fault::range_not_widened)) {
        info.smallest = rules_.smallest;
        info.largest = rules_.largest.value_or(info.largest);
    }
    if (has(Fault::largest_too_large) && rules_.largest) {
        info.largest *= 2;
    }
    if (has(Fault::granularity_zero)) {
        info.granularity = 0;
    }
    return info;
}

std::uint16_t Export::transmission_flags() const {
    namespace flag = nbd::transmission_flag;
    const Features& features = options_.features;
    unsigned flags = flag::has_flags;
    const auto offer = [&flags](bool offered, std::uint16_t bit) { flags |= offered ? bit : 0U; };
    offer(read_only_, flag::read_only);
    offer(features.flush, flag::send_flush);
    offer(features.fua, flag::send_fua);
    offer(features.rotational, flag::rotational);
    offer(features.multi_conn, flag::can_multi_conn);
    offer(features.cache, flag::send_cache);
    offer(features.trim && !read_only_, flag::send_trim);
    offer(features.write_zeroes && !read_only_, flag::send_write_zeroes);
    offer(features.write_zeroes && features.fast_zero && !read_only_, flag::send_fast_zero);
    return static_cast<std::uint16_t>(flags);
}

bool Export::may_change_size(const Operation& operation) const {
    return operation.kind == Operation::Kind::resize || (operation.may_extend && operation.end() > size());
}

bool Export::try_now(Operation& operation) {
    constexpr std::uint64_t largest_inline = std::uint64_t{4} << 20;
    if (!may_change_size(operation)) {
        return backend_->try_now(operation);
    }
    if (backend_->is_file() || operation.no_hole || operation.length > largest_inline) {
        return false;
    }
    perform(operation);
    return true;
}

void Export::perform(Operation& operation) {
    if (operation.kind == Operation::Kind::resize) {
        return resize(operation);
    }
    if (may_change_size(operation)) {
        return extend(operation);
    }
    backend_->perform(operation);
}

bool Export::start(Operation& operation, const std::function<void()>& done) {
    return !may_change_size(operation) && backend_->start(operation, done);
}

SizeChange Export::change_to(std::uint64_t size) const {
    SizeChange change;
    change.from = this->size();
    change.to = size;
    change.leave_old_bytes = rules_.knobs.fill == Fill::unspecified;
    if (has(Fault::cut_bytes_return) && size < change.from) {
        change.leave_old_bytes = true;
    }
    return change;
}

void Export::resize(Operation& operation) {
    const std::lock_guard lock(change_mutex_);
    take_over_backend_size();
    const std::uint64_t before = size();
    const SizeDecision decision =
        decide_resize(rules_, before, operation.offset, operation.exact_size, grows_on_request());
    if (decision.error != nbd::Error::none) {
        if (has(Fault::error_changes_size) && decision.error == nbd::Error::nospc) {
            grow_to_limit(operation.cause);
        }
        return operation.fail(decision.error, decision.message);
    }
    SizeChange change = change_to(decision.size);
    change.allocate = operation.no_hole;
    change.leave_old_bytes = change.leave_old_bytes || has(Fault::old_bytes_exposed);
    Failure failure = change.to == before ? Failure{} : backend_->set_size(change);
    if (failure.error == nbd::Error::none && operation.fua) {
        failure = backend_->make_durable();
        if (failure.error != nbd::Error::none && change.to != before) {
            std::swap(change.from, change.to);
            (void)backend_->set_size(change);
        }
    }
    if (failure.error != nbd::Error::none) {
        return operation.fail(failure.error, std::move(failure.message));
    }
    operation.new_size = decision.size;
    operation.size_changed = decision.size != before;
    operation.exposed_zeroes = decision.size > before && promises_zeroes();
    if (has(Fault::resize_scribbles) && operation.size_changed) {
        scribble();
    }
    if (operation.size_changed || has(Fault::note_without_change)) {
        publish(operation.new_size, operation.exposed_zeroes, operation.cause);
    }
}

void Export::extend(Operation& operation) {
    const std::lock_guard lock(change_mutex_);
    take_over_backend_size();
    const std::uint64_t before = size();
    if (operation.end() <= before) {
        return backend_->perform(operation);
    }
    const SizeDecision decision = decide_growth(rules_, before, operation.end());
    if (decision.error != nbd::Error::none) {
        if (has(Fault::auto_grows_on_error)) {
            grow_to_limit(operation.cause);
        }
        return operation.fail(decision.error, decision.message);
    }
    SizeChange change = change_to(decision.size);
    change.leave_old_bytes = change.leave_old_bytes || has(Fault::gap_not_zero);
    if (has(Fault::auto_clamped) && operation.offset < change.to) {
        operation.length = std::min(operation.length, change.to - operation.offset);
    }
    Failure failure = backend_->set_size(change);
    if (failure.error != nbd::Error::none) {
        return operation.fail(failure.error, std::move(failure.message));
    }
    backend_->perform(operation);
    if (operation.error != nbd::Error::none) {
        // Nobody has seen the new size so far (RZ-AUTO-2).
        std::swap(change.from, change.to);
        (void)backend_->set_size(change);
        return;
    }
    operation.new_size = decision.size;
    operation.size_changed = true;
    // What the request itself writes is not exposed (RZ-AUTO-7).
    const bool exposed = operation.offset > before || decision.size > operation.end();
    operation.exposed_zeroes = exposed && promises_zeroes();
    publish(operation.new_size, operation.exposed_zeroes, operation.cause);
}

void Export::grow_to_limit(const void* cause) {
    const std::uint64_t limit = rules_.largest.value_or(0);
    if (limit > size() && backend_->set_size(change_to(limit)).error == nbd::Error::none) {
        publish(limit, promises_zeroes(), cause);
    }
}

void Export::scribble() {
    Operation zero;
    zero.kind = Operation::Kind::zero;
    zero.length = std::min<std::uint64_t>(options_.block.preferred, backend_->size());
    backend_->perform(zero);
}

std::optional<std::string> Export::resize_from_outside(std::uint64_t size) {
    if (size > nbd::max_resize) {
        return fmt::format("{} bytes are more than an export can have, {}", size, nbd::max_resize);
    }
    const std::lock_guard lock(change_mutex_);
    take_over_backend_size();
    const std::uint64_t before = this->size();
    const std::uint64_t after = served_part(size);
    if (backend_->size() == size) {
        return std::nullopt;
    }
    const Failure failure = backend_->set_size(change_to(size));
    if (failure.error != nbd::Error::none) {
        return failure.message;
    }
    if (after != before) {
        publish(after, after > before && promises_zeroes(), nullptr);
    }
    return std::nullopt;
}

void Export::refresh() {
    if (!backend_->is_file()) {
        return;
    }
    const std::unique_lock lock(change_mutex_, std::try_to_lock);
    if (lock.owns_lock()) {
        take_over_backend_size();
    }
}

void Export::take_over_backend_size() {
    if (!backend_->is_file()) {
        return;
    }
    const std::uint64_t now = served_part(backend_->size());
    if (now != size()) {
        // Whether what somebody else added is zero is not known.
        publish(now, false, nullptr);
    }
}

void Export::publish(std::uint64_t size, bool exposed_zeroes, const void* cause) {
    const std::lock_guard lock(state_mutex_);
    size_.store(size, std::memory_order_release);
    for (Subscription* subscription : subscriptions_) {
        subscription->note(cause, {size, exposed_zeroes, false, false});
    }
}

std::uint64_t Export::subscribe(Subscription& subscription) {
    const std::lock_guard lock(state_mutex_);
    subscriptions_.push_back(&subscription);
    return size();
}

void Export::unsubscribe(Subscription& subscription) {
    const std::lock_guard lock(state_mutex_);
    std::erase(subscriptions_, &subscription);
}

SingleExport::SingleExport(std::shared_ptr<Export> the_export)
  : export_(std::move(the_export)) {}

Found SingleExport::find(std::string_view name) {
    if (name.empty() || name == export_->name()) {
        return {export_, {}};
    }
    return {nullptr, "it is not the one that is served"};
}

std::vector<std::shared_ptr<Export>> SingleExport::list() {
    return {export_};
}

} // namespace refserver
