#include "harness/check/perform.hpp"

#include "harness/peers/pattern.hpp"
#include "harness/process/interrupt.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <variant>

namespace harness::check {
namespace {

/// The whole of a case takes no longer than so many answers.
constexpr int answers_in_a_case = 4;
/// What the test whether a connection is usable reads at most, in bytes.
constexpr std::uint64_t usable_read = 512;
/// Sizes are changed by at least so many bytes, so that a whole block of every size is in between.
constexpr std::uint64_t least_step = 65536;
constexpr auto unknown_command = static_cast<nbd::Command>(0x7ffe);

/// The case cannot go on; it is not an error of anybody.
struct Ended {};
/// The case does not apply after all: an expression has no value for this server.
struct DoesNotApply {
    std::string why;
};

/// One connection of the case.
struct Line {
    std::unique_ptr<Exchange> exchange;
    /// What was sent last, and what came of it.
    bool last_is_option = false;
    std::uint64_t last_cookie = 0;
    std::string last_label;
    std::optional<OptionOutcome> option;
    bool over = false; ///< it has ended, or nothing more can be understood on it
};

class Performer {
  public:
    Performer(const ServerCase& made, Style style, const ServerFacts& server,
              const Requirements& requirements, std::chrono::milliseconds patience)
      : case_(made)
      , style_(style)
      , server_(server)
      , requirements_(requirements)
      , patience_(patience)
      , deadline_(Clock::now() + answers_in_a_case * patience) {}

    Performance run();

  private:
    [[nodiscard]] const ExportFacts* exported() const;
    [[nodiscard]] std::uint64_t variable(const Line& line, const std::string& name) const;
    [[nodiscard]] Surroundings surroundings(const Line& line) const;
    [[nodiscard]] std::uint64_t value(const Number& number, const Line& line) const;

    void begin(std::uint32_t number, Start start);
    void step(const CheckStep& step);
    void send(const CheckStep& step, Line& line);
    void expect(const CheckStep& step, Line& line);
    void judge_outcome(const CheckStep& step, Line& line, const Outcome& came,
                       const std::string& description);
    /// The reads and writes that a case sends to any server may be too long for this one.
    [[nodiscard]] bool may_refuse_length(const nbd::Request& request) const;
    void hold(const CheckStep& step, Line& line);
    void look_at_data(const CheckStep& step, Line& line);
    void save(const CheckStep& step, Line& line);
    void usable(const CheckStep& step, Line& line);
    void greeted(const CheckStep& step, Line& line);
    void ends(const CheckStep& step, Line& line);
    [[nodiscard]] std::uint64_t cookie_of(const CheckStep& step, const Line& line) const;
    [[nodiscard]] bool on_option(const CheckStep& step, const Line& line) const {
        return step.of.empty() && line.last_is_option;
    }
    void find(const std::string& requirement, const CheckStep* step, const std::string& message,
              std::optional<reports::Verdict> verdict = {});
    /// Says what is wrong where no answer came; `requirement` is held against the server.
    void find_silence(const std::string& requirement, const CheckStep& step, Line& line,
                      const std::string& awaited);
    [[nodiscard]] bool probe(Line& line, std::string& trouble);

    const ServerCase& case_;
    Style style_;
    const ServerFacts& server_;
    const Requirements& requirements_;
    std::chrono::milliseconds patience_;
    Clock::time_point deadline_;
    WireLog log_;
    std::map<std::uint32_t, Line> lines_;
    std::map<std::string, std::uint64_t> cookies_; ///< by label
    Fields saved_;
    Fields last_fields_;
    std::vector<nbd::ServerReply> listed_;        ///< what the server has listed last
    std::map<std::string, RequestOutcome> reads_; ///< by label: what came of requests
    Performance result_;
    std::size_t number_ = 0; ///< of the step
    bool derailed_ = false;  ///< an answer broke a MUST, so that what was to come of it is not there
};

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

const ExportFacts* Performer::exported() const {
    if (case_.start == ServerCase::Start::transmission) {
        const auto& facts = server_.in(style_);
        return facts ? &*facts : nullptr;
    }
    return server_.any_export();
}

std::uint64_t Performer::variable(const Line& line, const std::string& name) const {
    if (const auto found = saved_.find(name); found != saved_.end()) {
        return found->second;
    }
    if (const auto found = last_fields_.find(name); found != last_fields_.end()) {
        return found->second;
    }
    if (name == "context" && line.exchange->context()) {
        return *line.exchange->context();
    }
    // The size may have changed since the server was probed.
    if (name == "size" && line.exchange->entered_size()) {
        return *line.exchange->entered_size();
    }
    const ExportFacts* facts = exported();
    if (facts == nullptr) {
        throw DoesNotApply{"the server lets nobody into the export"};
    }
    if (name == "size") {
        return facts->size;
    }
    const nbd::InfoBlockSize none{nbd::InfoType::block_size, 1, nbd::default_preferred_block,
                                  nbd::default_max_payload};
    const nbd::InfoBlockSize block = facts->block.value_or(none);
    if (name == "min") {
        return block.minimum;
    }
    if (name == "preferred") {
        return block.preferred;
    }
    if (name == "max") {
        return std::min<std::uint64_t>(block.maximum, nbd::default_max_payload);
    }
    if (name == "top" || name == "step") {
        // What is not told does not bind anybody to more than bytes.
        const std::uint64_t unit = std::max<std::uint64_t>(facts->resize ? facts->resize->granularity : 1, 1);
        const std::uint64_t number = name == "top" ? variable(line, "size") : least_step;
        return number + (unit - number % unit) % unit;
    }
    if (facts->resize && name == "smallest") {
        return facts->resize->smallest;
    }
    if (facts->resize && name == "largest") {
        return facts->resize->largest;
    }
    if (facts->resize && name == "granularity") {
        return facts->resize->granularity;
    }
    throw std::invalid_argument(fmt::format("the answer has no {}", name));
}

Surroundings Performer::surroundings(const Line& line) const {
    Surroundings with{[this, &line](const std::string& name) { return variable(line, name); },
                      server_.uri.export_name,
                      line.exchange->style(),
                      {},
                      {}};
    if (!listed_.empty()) {
        with.listed_name = listed_.front().export_name;
    }
    const auto other = std::ranges::find_if(listed_, [&](const nbd::ServerReply& one) {
        return one.export_name != server_.uri.export_name && !one.export_name.empty();
    });
    if (other != listed_.end()) {
        with.other_name = other->export_name;
    }
    return with;
}

std::uint64_t Performer::value(const Number& number, const Line& line) const {
    return number.in(surroundings(line));
}

void Performer::find(const std::string& requirement, const CheckStep* step, const std::string& message,
                     std::optional<reports::Verdict> verdict) {
    const Requirement& broken = requirements_.at(requirement);
    reports::Finding finding;
    finding.verdict =
        verdict.value_or(broken.level == Level::must ? reports::Verdict::fail : reports::Verdict::warn);
    finding.party = reports::Party::server;
    finding.requirement = requirement;
    finding.step = step == nullptr ? "start" : fmt::format("{}: {}", number_, step->text);
    finding.message = message;
    result_.findings.push_back(std::move(finding));
}

void Performer::find_silence(const std::string& requirement, const CheckStep& step, Line& line,
                             const std::string& awaited) {
    Exchange& exchange = *line.exchange;
    line.over = true;
    if (!exchange.garbage().empty()) {
        return find(requirement, &step, fmt::format("{} is due, but {}", awaited, exchange.garbage()));
    }
    const Silence silence = exchange.silence();
    const bool late = silence == Silence::late || silence == Silence::none;
    result_.late = result_.late || late;
    result_.broke_off = result_.broke_off || !late;
    find(requirement, &step,
         fmt::format("{} is due, but {}", awaited, describe(late ? Silence::late : silence, patience_)),
         late ? std::optional(reports::Verdict::timeout) : std::nullopt);
}

void Performer::begin(std::uint32_t number, Start start) {
    Line& line = lines_[number];
    line.exchange = std::make_unique<Exchange>(server_.uri, number, log_, patience_, deadline_);
    Exchange& exchange = *line.exchange;
    std::string why = exchange.problem();
    if (why.empty()) {
        switch (start) {
        case Start::connected:
            break;
        case Start::greeted:
            why = exchange.greet();
            break;
        case Start::haggling:
            why = exchange.haggle();
            line.last_is_option = true;
            break;
        case Start::transmission:
            why = exchange.enter(
                {style_, server_.uri.export_name, case_.contexts, !server_.takes(nbd::Option::go)});
            break;
        }
    }
    if (!why.empty()) {
        // It worked when the server was probed.
        result_.unreachable = true;
        result_.late = exchange.silence() == Silence::late;
        find("HANDSHAKE-COMPLETES", nullptr, why,
             result_.late ? std::optional(reports::Verdict::timeout) : std::nullopt);
        throw Ended{};
    }
}

void Performer::send(const CheckStep& step, Line& line) {
    Exchange& exchange = *line.exchange;
    nbd::Buffer bytes;
    for (std::size_t i = 0; i < step.messages.size() * step.times; ++i) {
        const Outgoing& message = step.messages[i % step.messages.size()];
        const std::uint64_t cookie = exchange.new_cookie();
        const Surroundings with = surroundings(line);
        const nbd::Buffer encoded = message.encode(with, cookie);
        bytes.insert(bytes.end(), encoded.begin(), encoded.end());
        if (message.kind == Outgoing::Kind::client_flags) {
            exchange.client_flags_sent(message.client_flags);
        } else if (message.kind == Outgoing::Kind::option) {
            exchange.option_sent(static_cast<nbd::Option>(message.option));
            line.last_is_option = true;
        } else if (message.kind == Outgoing::Kind::request) {
            const nbd::Request request = message.request(with, cookie);
            if (request.type != nbd::Command::disc) {
                exchange.request_sent(request);
            }
            line.last_is_option = false;
            line.last_cookie = request.cookie;
            line.last_label = message.label;
            if (!message.label.empty()) {
                cookies_[message.label] = request.cookie;
            }
        }
    }
    if (step.cut) {
        bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(value(*step.cut, line), bytes.size())));
    }
    // Where the server has hung up already, the step that awaits an answer notices.
    exchange.send(bytes, step.segment);
}

std::uint64_t Performer::cookie_of(const CheckStep& step, const Line& line) const {
    return step.of.empty() ? line.last_cookie : cookies_.at(step.of);
}

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

void Performer::step(const CheckStep& step) {
    using Kind = CheckStep::Kind;
    if (step.kind == Kind::connect) {
        return begin(step.connection, step.start.value_or(case_.start));
    }
    const auto found = lines_.find(step.connection);
    if (found == lines_.end()) {
        throw DoesNotApply{fmt::format("connection {} was not opened", step.connection)};
    }
    Line& line = found->second;
    if (line.over && step.kind != Kind::data && step.kind != Kind::holds) {
        return; // what has ended needs no further steps; the step that saw the end has judged it
    }
    if (derailed_ && (step.kind == Kind::data || step.kind == Kind::holds)) {
        return; // it would say the same once more, and blame another requirement
    }
    if (!step.given.empty()) {
        const auto given = reads_.find(step.given);
        if (given == reads_.end() || given->second.success() != step.given_success) {
            return;
        }
    }
    switch (step.kind) {
    case Kind::connect:
        return;
    case Kind::send:
        return send(step, line);
    case Kind::expect:
        return expect(step, line);
    case Kind::holds:
        return line.over ? void() : hold(step, line);
    case Kind::data:
        return look_at_data(step, line);
    case Kind::save:
        return save(step, line);
    case Kind::usable:
    case Kind::in_step:
    case Kind::settled:
        return usable(step, line);
    case Kind::greeted:
        return greeted(step, line);
    case Kind::ends:
        return ends(step, line);
    case Kind::half_close:
        return line.exchange->dialogue().finish_sending();
    case Kind::reset:
        line.exchange->dialogue().reset();
        line.over = true;
        return;
    case Kind::pause:
        (void)line.exchange->listen(step.time);
        return;
    }
}

Performance Performer::run() {
    result_.unsupported = not_applicable(case_, style_, server_);
    if (!result_.unsupported.empty()) {
        return std::move(result_);
    }
    try {
        if (case_.at_least && exported() != nullptr) {
            const std::uint64_t least = case_.at_least->in(
                {[](const std::string&) { return std::uint64_t{0}; }, {}, nbd::HeaderStyle::compact});
            if (exported()->size < least) {
                result_.unsupported =
                    fmt::format("the export has {} bytes, and {} are needed", exported()->size, least);
                return std::move(result_);
            }
        }
        begin(1, case_.start);
        if (case_.room && exported() != nullptr && exported()->resize) {
            const Line& line = lines_.at(1);
            if (variable(line, "largest") - variable(line, "size") < value(*case_.room, line)) {
                throw DoesNotApply{"the export has no room to grow any more"};
            }
        }
        for (const CheckStep& next : case_.steps) {
            ++number_;
            step(next);
        }
    } catch (const Ended&) {
        // The findings say why.
    } catch (const DoesNotApply& reason) {
        result_.unsupported = result_.findings.empty() ? reason.why : "";
    } catch (const std::invalid_argument& error) {
        result_.unsupported = result_.findings.empty() ? error.what() : "";
    }
    for (auto& [number, line] : lines_) {
        if (line.exchange && !line.over) {
            line.exchange->leave();
        }
    }
    lines_.clear();
    result_.violations = std::move(log_.violations);
    result_.transcript = std::move(log_.transcript);
    return std::move(result_);
}

} // namespace

std::string not_applicable(const ServerCase& made, Style style, const ServerFacts& server) {
    const ExportFacts* exported = server.any_export();
    if (made.start != ServerCase::Start::connected && !server.no_greeting.empty()) {
        return server.no_greeting;
    }
    if (made.start == ServerCase::Start::transmission) {
        const auto& facts = server.in(style);
        if (!facts) {
            return server.no_export[static_cast<std::size_t>(style)];
        }
        exported = &*facts;
    }
    if (made.start == ServerCase::Start::haggling && !server.fixed()) {
        return server.newstyle() ? "the server does not speak fixed newstyle" : "the server speaks oldstyle";
    }
    if (made.start == ServerCase::Start::greeted && !server.newstyle()) {
        return "the server speaks oldstyle";
    }
    for (const std::string& word : made.needs) {
        const auto need = std::ranges::find(need_words(), word, &NeedWord::word);
        if (!need->holds(server, exported)) {
            return fmt::format("it needs that {}", need->meaning);
        }
    }
    if (!made.contexts.empty() && (exported == nullptr || !exported->allocation)) {
        return "base:allocation cannot be selected";
    }
    return {};
}

Performance perform(const ServerCase& made, Style style, const ServerFacts& server,
                    const Requirements& requirements, std::chrono::milliseconds patience) {
    return Performer(made, style, server, requirements, patience).run();
}

} // namespace harness::check
