#include "harness/check/performer.hpp"
#include "harness/peers/pattern.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace harness::check {
namespace {

/// What the test whether a connection is usable reads at most, in bytes.
constexpr std::uint64_t usable_read = 512;
constexpr auto unknown_command = static_cast<nbd::Command>(0x7ffe);

bool allows(const Demand& demand, const Outcome& came) {
    using Kind = Outcome::Kind;
    return std::ranges::any_of(demand.allowed, [&](const Outcome& allowed) {
        switch (allowed.kind) {
        case Kind::error:
            return came.kind == Kind::error_is || came.kind == Kind::option_is;
        case Kind::answer:
            return came.kind == Kind::success || came.kind == Kind::error_is || came.kind == Kind::option_is;
        case Kind::option_is:
        case Kind::error_is:
            return came.kind == allowed.kind && came.value == allowed.value;
        default:
            return came.kind == allowed.kind;
        }
    });
}

} // namespace

void Performer::judge_outcome(const CheckStep& step, Line& line, const Outcome& came,
                              const std::string& description) {
    using Kind = Outcome::Kind;
    for (const Demand& demand : step.demands) {
        if (allows(demand, came)) {
            continue;
        }
        std::vector<std::string> wanted;
        for (const Outcome& allowed : demand.allowed) {
            wanted.push_back(allowed.describe());
        }
        result_.broke_off = result_.broke_off || came.kind == Kind::disconnect;
        derailed_ = derailed_ || requirements_.at(demand.requirement).level == Level::must;
        find(demand.requirement, &step,
             fmt::format("expected {}, but {}", fmt::join(wanted, " or "), description));
        break; // what is demanded besides is about finer points
    }
    line.over = line.over || came.kind == Kind::disconnect;
}

bool Performer::may_refuse_length(const nbd::Request& request) const {
    const ExportFacts* facts = exported();
    const bool carries = request.type == nbd::Command::read || request.type == nbd::Command::write;
    return carries && facts != nullptr && facts->block && request.length > facts->block->maximum;
}

void Performer::expect(const CheckStep& step, Line& line) {
    using Kind = Outcome::Kind;
    Exchange& exchange = *line.exchange;
    const bool silence_allowed = std::ranges::any_of(step.demands, [](const Demand& demand) {
        return std::ranges::any_of(demand.allowed, [](const Outcome& o) { return o.kind == Kind::silence; });
    });
    const std::string& requirement = step.demands.front().requirement;
    Outcome came;
    std::string description;
    bool complete = false;
    bool refusable = false;
    if (on_option(step, line)) {
        if (exchange.options_open() == 0) {
            throw DoesNotApply{"no option awaits an answer"};
        }
        line.option = exchange.await_option();
        complete = line.option->complete;
        if (complete) {
            if (line.option->option == nbd::Option::list) {
                listed_ = line.option->listed();
            }
            last_fields_ = line.option->fields(server_.uri.export_name, listed_);
            description = line.option->describe() + " came";
            came = line.option->success()
                       ? Outcome{Kind::success, 0}
                       : Outcome{Kind::option_is, static_cast<std::uint32_t>(line.option->final_type())};
        }
    } else {
        const std::uint64_t cookie = cookie_of(step, line);
        if (silence_allowed) {
            // Whatever the server says to the request comes before the answer to a later one, or never.
            std::string trouble;
            (void)probe(line, trouble);
        }
        const RequestOutcome& outcome =
            silence_allowed ? exchange.take_request(cookie) : exchange.await_request(cookie);
        complete = outcome.complete;
        last_fields_ = outcome.fields();
        if (complete) {
            const std::string& label = step.of.empty() ? line.last_label : step.of;
            reads_[label] = outcome;
            description = outcome.describe() + " came";
            came = outcome.success() ? Outcome{Kind::success, 0}
                                     : Outcome{Kind::error_is, static_cast<std::uint32_t>(*outcome.error)};
            refusable = !outcome.success() && may_refuse_length(outcome.request);
        } else if (silence_allowed && exchange.silence() == Silence::none && exchange.garbage().empty()) {
            return judge_outcome(step, line, {Kind::silence, 0}, "no answer came");
        }
    }
    if (complete) {
        if (refusable &&
            !std::ranges::all_of(step.demands, [&](const Demand& demand) { return allows(demand, came); })) {
            throw DoesNotApply{"it sends more than the advertised maximum payload in a request"};
        }
        return judge_outcome(step, line, came, description);
    }
    const Silence silence = exchange.silence();
    if (exchange.garbage().empty() && (silence == Silence::closed || silence == Silence::reset)) {
        return judge_outcome(step, line, {Kind::disconnect, 0}, describe(silence, patience_));
    }
    find_silence(requirement, step, line, "an answer");
}

void Performer::hold(const CheckStep& step, Line& line) {
    for (const Holding& holding : step.holdings) {
        for (const Comparison& comparison : holding.comparisons) {
            std::string numbers;
            bool holds = false;
            try {
                const std::uint64_t left = value(comparison.left, line);
                const std::uint64_t right = value(comparison.right, line);
                holds = (comparison.op == "==" && left == right) ||
                        (comparison.op == "!=" && left != right) || (comparison.op == "<" && left < right) ||
                        (comparison.op == "<=" && left <= right) || (comparison.op == ">" && left > right) ||
                        (comparison.op == ">=" && left >= right);
                numbers = fmt::format("{} and {}", left, right);
            } catch (const std::invalid_argument& error) {
                numbers = error.what();
            }
            if (!holds) {
                find(holding.requirement, &step,
                     fmt::format("{} does not hold: {}", comparison.text, numbers));
                break;
            }
        }
    }
}

void Performer::look_at_data(const CheckStep& step, Line& line) {
    const DataCheck& check = *step.check;
    const auto found = reads_.find(step.of.empty() ? line.last_label : step.of);
    if (found == reads_.end() || !found->second.success()) {
        return; // the step that awaited it has accepted or reported that
    }
    const RequestOutcome& outcome = found->second;
    const std::uint64_t skip = check.skip ? value(*check.skip, line) : 0;
    const std::uint64_t length = check.length ? value(*check.length, line) : outcome.request.length - skip;
    if (outcome.data.size() != outcome.request.length || skip + length > outcome.data.size()) {
        return find(check.requirement, &step, "the data did not come completely");
    }
    const nbd::Bytes data =
        nbd::Bytes(outcome.data).subspan(static_cast<std::size_t>(skip), static_cast<std::size_t>(length));
    nbd::Buffer wanted(data.size());
    std::string what = "zeroes";
    if (check.pattern) {
        what = "what was written";
        fill_pattern(wanted, outcome.request.offset + skip, *check.pattern);
    } else if (!check.same_as.empty()) {
        what = fmt::format("what the read '{}' gave", check.same_as);
        const auto other = reads_.find(check.same_as);
        const std::uint64_t from = value(check.from, line);
        if (other == reads_.end() || !other->second.success()) {
            return;
        }
        if (from + data.size() > other->second.data.size()) {
            return find(check.requirement, &step,
                        fmt::format("the read '{}' gave too little", check.same_as));
        }
        std::copy_n(other->second.data.begin() + static_cast<std::ptrdiff_t>(from), wanted.size(),
                    wanted.begin());
    }
    const auto [mine, theirs] = std::ranges::mismatch(data, wanted);
    if (mine != data.end()) {
        const auto at = static_cast<std::uint64_t>(mine - data.begin());
        find(check.requirement, &step,
             fmt::format("the data are not {}: byte {} of the export is {:#04x}, not {:#04x}", what,
                         outcome.request.offset + skip + at, *mine, *theirs));
    }
}

void Performer::save(const CheckStep& step, Line& line) {
    for (const auto& [name, number] : step.saved) {
        saved_[name] = value(number, line);
    }
}

bool Performer::probe(Line& line, std::string& trouble) {
    Exchange& exchange = *line.exchange;
    if (!exchange.in_transmission()) {
        exchange.send_option(nbd::Option::list);
        // Answers to options come in their order.
        while (exchange.options_open() > 0) {
            const OptionOutcome outcome = exchange.await_option();
            if (!outcome.complete) {
                trouble = "the answer to NBD_OPT_LIST";
                return false;
            }
        }
        return true;
    }
    nbd::Request request;
    request.cookie = exchange.new_cookie();
    const std::uint64_t size = variable(line, "size");
    const std::uint64_t length = std::max(variable(line, "min"), std::min(usable_read, size));
    const bool reads = size > 0 && length <= size;
    request.type = reads ? nbd::Command::read : unknown_command;
    request.length = reads ? length : 0;
    exchange.send_request(request);
    const RequestOutcome& outcome = exchange.await_request(request.cookie);
    if (!outcome.complete) {
        trouble = reads ? "the answer to a read" : "the answer to an unknown command";
        return false;
    }
    if (reads && outcome.error) {
        trouble =
            fmt::format("a read of the first {} bytes is answered by {}", length, nbd::name(*outcome.error));
        return false;
    }
    return true;
}

void Performer::usable(const CheckStep& step, Line& line) {
    std::string trouble = "the answers to all requests";
    if (step.kind == CheckStep::Kind::settled ? line.exchange->await_all() : probe(line, trouble)) {
        return;
    }
    const Exchange& exchange = *line.exchange;
    if (exchange.garbage().empty()) {
        const Silence silence = exchange.silence();
        if (silence == Silence::none) {
            return find(step.requirement, &step, trouble);
        }
        const bool left = silence == Silence::closed || silence == Silence::reset;
        if (left && step.kind != CheckStep::Kind::usable) {
            line.over = true;
            return;
        }
    }
    find_silence(step.requirement, step, line, trouble);
}

void Performer::greeted(const CheckStep& step, Line& line) {
    if (!line.exchange->greet().empty()) {
        find_silence(step.requirement, step, line, "a greeting");
    }
}

void Performer::ends(const CheckStep& step, Line& line) {
    const Silence silence = line.exchange->await_end();
    if (silence != Silence::closed && silence != Silence::reset) {
        find_silence(step.requirement, step, line, "the end of the connection");
    }
    line.over = true;
}

} // namespace harness::check
