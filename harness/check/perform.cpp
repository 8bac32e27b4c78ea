#include "harness/check/performer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace harness::check {
namespace {

/// Sizes are changed by at least so many bytes, so that a whole block of every size is in between.
constexpr std::uint64_t least_step = 65536;

} // namespace

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
    case Kind::shut_down:
        result_.shut_down = true;
        return server_.shut_down();
    case Kind::outside:
        if (const std::string why = server_.resize_outside(value(*step.size, line)); !why.empty()) {
            throw DoesNotApply{why};
        }
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
