#include "harness/check/server_case.hpp"

#include "harness/catalogue/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace harness::check {
namespace {

/// How long a pause may be; longer ones would make the suite slow.
constexpr std::uint64_t longest_pause = 1000;
/// How often messages may be sent by one step.
constexpr std::uint64_t most_times = 10000;

Outcome read_outcome(const YamlNode& node) {
    const std::string word = node.text();
    using Kind = Outcome::Kind;
    constexpr std::pair<std::string_view, Kind> words[] = {
        {"success", Kind::success}, {"error", Kind::error},           {"answer", Kind::answer},
        {"silence", Kind::silence}, {"disconnect", Kind::disconnect},
    };
    std::vector<std::string> known;
    for (const auto& [text, kind] : words) {
        if (word == text) {
            return {kind, 0};
        }
        known.emplace_back(text);
    }
    for (std::uint32_t i = 1; i <= 10; ++i) {
        const auto type = static_cast<nbd::OptionReplyType>(nbd::option_error_bit + i);
        known.push_back(nbd::name(type));
        if (word == known.back()) {
            return {Kind::option_is, nbd::option_error_bit + i};
        }
    }
    for (const nbd::Error error :
         {nbd::Error::perm, nbd::Error::io, nbd::Error::nomem, nbd::Error::inval, nbd::Error::nospc,
          nbd::Error::overflow, nbd::Error::notsup, nbd::Error::shutdown}) {
        known.push_back(nbd::name(error));
        if (word == known.back()) {
            return {Kind::error_is, static_cast<std::uint32_t>(error)};
        }
    }
    node.fail(fmt::format("'{}' is nothing that can come of a message{}", word, did_you_mean(word, known)));
}

ServerCase::Start read_start(const YamlNode& node) {
    constexpr std::pair<std::string_view, ServerCase::Start> words[] = {
        {"connected", ServerCase::Start::connected},
        {"greeted", ServerCase::Start::greeted},
        {"haggling", ServerCase::Start::haggling},
        {"transmission", ServerCase::Start::transmission},
    };
    const std::string word = node.text();
    const auto* const found =
        std::ranges::find(words, word, &std::pair<std::string_view, ServerCase::Start>::first);
    if (found == std::end(words)) {
        node.fail(fmt::format("'start' is connected, greeted, haggling or transmission, not '{}'", word));
    }
    return found->second;
}

/// Reads one case. Names that it saves and labels of its requests may be used by the steps behind.
class Reader {
  public:
    explicit Reader(const Requirements& requirements)
      : requirements_(requirements) {}

    ServerCase read(const YamlNode& node, const std::string& section);

  private:
    std::string requirement(const YamlNode& node, const std::string& id) const {
        if (!requirements_.contains(id)) {
            std::vector<std::string> ids;
            for (const auto& [known, ignored] : requirements_) {
                ids.push_back(known);
            }
            node.fail(fmt::format("there is no requirement '{}'{}", id, did_you_mean(id, ids)));
        }
        if (requirements_.at(id).bound == Bound::client) {
            node.fail(fmt::format("the requirement '{}' binds clients, not servers", id));
        }
        return id;
    }
    CheckStep read_step(const YamlNode& node);
    void read_send(const YamlNode& node, CheckStep& step);
    void read_labels(YamlMap& map, CheckStep& step) const;
    DataCheck read_data(const YamlNode& node) const;
    Comparison read_comparison(const YamlNode& node, bool of_option) const;
    void check_permissions(const ServerCase& made, const YamlNode& node) const;

    const Requirements& requirements_;
    std::vector<std::string> names_;  ///< saved so far
    std::vector<std::string> labels_; ///< of requests so far
    bool last_is_option_ = false;
    bool sends_write_ = false;
    bool sends_resize_ = false;
    bool shuts_down_ = false;
    bool resizes_outside_ = false;
};

Comparison Reader::read_comparison(const YamlNode& node, bool of_option) const {
    const std::string text = node.text();
    std::vector<std::string> names = names_;
    for (const std::string_view field : field_names(of_option)) {
        names.emplace_back(field);
    }
    for (const std::string_view op : {"==", "!=", "<=", ">=", "<", ">"}) {
        const auto at = text.find(op);
        if (at == std::string::npos) {
            continue;
        }
        const auto part = [&](std::string_view piece) {
            while (piece.starts_with(' ')) {
                piece.remove_prefix(1);
            }
            while (piece.ends_with(' ')) {
                piece.remove_suffix(1);
            }
            std::vector<std::string_view> variables = case_variables();
            variables.insert(variables.end(), names.begin(), names.end());
            try {
                return Number{SizeExpression::parse(piece, variables)};
            } catch (const std::invalid_argument& error) {
                node.fail(error.what());
            }
        };
        return {text, part(std::string_view(text).substr(0, at)), std::string(op),
                part(std::string_view(text).substr(at + op.size()))};
    }
    node.fail(fmt::format("'{}' compares nothing: NUMBER == NUMBER, or !=, <, <=, >, >=", text));
}

DataCheck Reader::read_data(const YamlNode& node) const {
    YamlMap map = node.map();
    DataCheck check;
    const YamlNode rule = map.required("rule");
    check.requirement = requirement(rule, rule.text());
    map.optional("pattern", [&](const YamlNode& value) { check.pattern = value.number(); });
    map.optional("zeroes", [&](const YamlNode& value) { check.zeroes = value.boolean(); });
    map.optional("same-as", [&](const YamlNode& value) {
        check.same_as = value.text();
        if (std::ranges::find(labels_, check.same_as) == labels_.end()) {
            value.fail(fmt::format("no request is called '{}'", check.same_as));
        }
    });
    check.from = Number{SizeExpression(0)};
    map.optional("from", [&](const YamlNode& value) { check.from = Number::read(value, names_); });
    map.optional("skip", [&](const YamlNode& value) { check.skip = Number::read(value, names_); });
    map.optional("length", [&](const YamlNode& value) { check.length = Number::read(value, names_); });
    map.finish();
    const int ways = (check.pattern ? 1 : 0) + (check.zeroes ? 1 : 0) + (check.same_as.empty() ? 0 : 1);
    if (ways != 1) {
        node.fail("'data' says one of pattern, zeroes and same-as");
    }
    return check;
}

void Reader::read_send(const YamlNode& node, CheckStep& step) {
    std::vector<YamlNode> nodes = node.is_list() ? node.list() : std::vector<YamlNode>{node};
    for (const YamlNode& message : nodes) {
        step.messages.push_back(Outgoing::read(message, names_));
        const Outgoing& made = step.messages.back();
        std::string what = "bytes";
        if (made.kind == Outgoing::Kind::option) {
            what = nbd::name(static_cast<nbd::Option>(made.option));
            last_is_option_ = true;
        } else if (made.kind == Outgoing::Kind::client_flags) {
            what = "client flags";
        } else if (made.kind == Outgoing::Kind::request) {
            const auto command = static_cast<nbd::Command>(made.command);
            what = nbd::name(command);
            last_is_option_ = false;
            sends_write_ = sends_write_ || command == nbd::Command::write || command == nbd::Command::trim ||
                           command == nbd::Command::write_zeroes;
            sends_resize_ = sends_resize_ || command == nbd::Command::resize;
            if (!made.label.empty()) {
                labels_.push_back(made.label);
            }
        }
        step.text += (step.text.empty() ? "send " : ", ") + what;
    }
}

void Reader::read_labels(YamlMap& map, CheckStep& step) const {
    const auto label = [&](const char* key, std::string& into) {
        map.optional(key, [&](const YamlNode& value) {
            into = value.text();
            if (std::ranges::find(labels_, into) == labels_.end()) {
                value.fail(fmt::format("no request is called '{}'{}", into, did_you_mean(into, labels_)));
            }
        });
    };
    label("of", step.of);
    label("if-success", step.given);
    if (step.given.empty()) {
        label("if-error", step.given);
        step.given_success = step.given.empty();
    }
}

CheckStep Reader::read_step(const YamlNode& node) {
    using Kind = CheckStep::Kind;
    YamlMap map = node.map();
    CheckStep step;
    step.position = node.position();
    read_labels(map, step);
    const bool of_option = step.of.empty() && last_is_option_;
    map.optional(
        "on", [&](const YamlNode& value) { step.connection = static_cast<std::uint32_t>(value.number()); });
    if (const auto messages = map.optional("send")) {
        read_send(*messages, step);
        map.optional("segment",
                     [&](const YamlNode& value) { step.segment = static_cast<std::size_t>(value.number()); });
        map.optional("times", [&](const YamlNode& value) {
            step.times = value.number();
            if (step.times < 1 || step.times > most_times) {
                value.fail(fmt::format("messages are sent 1 to {} times", most_times));
            }
        });
        map.optional("cut", [&](const YamlNode& value) { step.cut = Number::read(value, names_); });
    } else if (const auto demands = map.optional("expect")) {
        step.kind = Kind::expect;
        step.text = "expect";
        for (const auto& [id, allowed] : demands->entries()) {
            Demand demand{requirement(allowed, id), {}};
            for (const YamlNode& outcome :
                 allowed.is_list() ? allowed.list() : std::vector<YamlNode>{allowed}) {
                demand.allowed.push_back(read_outcome(outcome));
            }
            step.demands.push_back(std::move(demand));
        }
        if (step.demands.empty()) {
            demands->fail("'expect' names no requirement");
        }
    } else if (const auto holdings = map.optional("holds")) {
        step.kind = Kind::holds;
        step.text = "holds";
        for (const auto& [id, comparisons] : holdings->entries()) {
            Holding holding{requirement(comparisons, id), {}};
            for (const YamlNode& text :
                 comparisons.is_list() ? comparisons.list() : std::vector<YamlNode>{comparisons}) {
                holding.comparisons.push_back(read_comparison(text, of_option));
            }
            step.holdings.push_back(std::move(holding));
        }
    } else if (const auto data = map.optional("data")) {
        step.kind = Kind::data;
        step.text = "data";
        step.check = read_data(*data);
    } else if (const auto saved = map.optional("save")) {
        step.kind = Kind::save;
        step.text = "save";
        std::vector<std::string> names = names_;
        for (const std::string_view field : field_names(of_option)) {
            names.emplace_back(field);
        }
        for (const auto& [name, value] : saved->entries()) {
            step.saved.emplace_back(name, Number::read(value, names));
            names_.push_back(name);
        }
    } else if (const auto usable = map.optional("usable")) {
        step.kind = Kind::usable;
        step.text = "is the connection usable";
        step.requirement = requirement(*usable, usable->text());
    } else if (const auto greeted = map.optional("greeted")) {
        step.kind = Kind::greeted;
        step.text = "the greeting";
        step.requirement = requirement(*greeted, greeted->text());
    } else if (const auto in_step = map.optional("in-step")) {
        step.kind = Kind::in_step;
        step.text = "is the connection in step";
        step.requirement = requirement(*in_step, in_step->text());
    } else if (const auto settled = map.optional("settled")) {
        step.kind = Kind::settled;
        step.text = "are all requests answered";
        step.requirement = requirement(*settled, settled->text());
    } else if (const auto ends = map.optional("ends")) {
        step.kind = Kind::ends;
        step.text = "the server closes the connection";
        step.requirement = requirement(*ends, ends->text());
    } else if (const auto half = map.optional("half-close")) {
        step.kind = Kind::half_close;
        step.text = "half-close";
        (void)half->boolean();
    } else if (const auto reset = map.optional("reset")) {
        step.kind = Kind::reset;
        step.text = "reset";
        (void)reset->boolean();
    } else if (const auto shut_down = map.optional("shut-down")) {
        step.kind = Kind::shut_down;
        step.text = "shut the server down";
        shuts_down_ = shut_down->boolean();
    } else if (const auto outside = map.optional("resize-outside")) {
        step.kind = Kind::outside;
        step.text = "resize the export from outside";
        step.size = Number::read(*outside, names_);
        resizes_outside_ = true;
    } else if (const auto pause = map.optional("pause")) {
        step.kind = Kind::pause;
        step.text = "pause";
        const std::uint64_t time = pause->number();
        if (time > longest_pause) {
            pause->fail(fmt::format("a pause has at most {} ms", longest_pause));
        }
        step.time = std::chrono::milliseconds(time);
    } else if (const auto connect = map.optional("connect")) {
        step.kind = Kind::connect;
        step.connection = static_cast<std::uint32_t>(connect->number());
        step.text = fmt::format("connection {}", step.connection);
        if (step.connection < 2 || step.connection > 16) {
            connect->fail("further connections have the numbers 2 to 16");
        }
        map.optional("start", [&](const YamlNode& value) { step.start = read_start(value); });
    } else {
        map.finish();
        node.fail(
            "a step is one of send, expect, holds, data, save, greeted, usable, in-step, settled, ends, "
            "half-close, reset, shut-down, resize-outside, pause, connect");
    }
    map.finish();
    return step;
}

void Reader::check_permissions(const ServerCase& made, const YamlNode& node) const {
    const auto needs = [&](std::initializer_list<std::string_view> words) {
        return std::ranges::any_of(words, [&](std::string_view word) {
            return std::ranges::find(made.needs, word) != made.needs.end();
        });
    };
    if (sends_write_ && !needs({"writable", "resizable", "read-only"})) {
        node.fail("a case that sends writes needs one of writable, resizable, read-only, or it would damage "
                  "an export");
    }
    if (shuts_down_ && !needs({"started"})) {
        node.fail("a case that shuts the server down needs started");
    }
    if (resizes_outside_ && !needs({"outside"})) {
        node.fail("a case that changes the size from outside needs outside");
    }
    if (sends_resize_ && !needs({"resizable", "no-resize", "read-only"})) {
        node.fail("a case that sends NBD_CMD_RESIZE needs one of resizable, no-resize, read-only, or it "
                  "would change a size");
    }
}

ServerCase Reader::read(const YamlNode& node, const std::string& section) {
    YamlMap map = node.map();
    ServerCase made;
    made.position = node.position();
    made.section = section;
    const YamlNode name_node = map.required("case");
    made.name = name_node.text();
    check_name(made.name, name_node, false);
    made.title = map.required("title").text();
    if (const auto start = map.optional("start")) {
        made.start = read_start(*start);
    }
    last_is_option_ = made.start != ServerCase::Start::transmission;
    made.styles.assign(all_styles.begin(), all_styles.end());
    if (const auto styles = map.optional("styles")) {
        if (made.start != ServerCase::Start::transmission) {
            styles->fail("styles are for cases that start in the transmission phase");
        }
        made.styles.clear();
        for (const std::string& word : styles->texts()) {
            const auto found =
                std::ranges::find_if(all_styles, [&](Style style) { return word == check::name(style); });
            if (found == all_styles.end()) {
                styles->fail(fmt::format("a style is simple, structured or extended, not '{}'", word));
            }
            made.styles.push_back(*found);
        }
    }
    map.optional("contexts", [&](const YamlNode& value) { made.contexts = value.texts(); });
    map.optional("needs", [&](const YamlNode& value) {
        for (const std::string& word : value.texts()) {
            std::vector<std::string> known;
            for (const NeedWord& need : need_words()) {
                known.emplace_back(need.word);
            }
            if (std::ranges::find(known, word) == known.end()) {
                value.fail(fmt::format("nothing is known of '{}'{}", word, did_you_mean(word, known)));
            }
            made.needs.push_back(word);
        }
    });
    map.optional("also", [&](const YamlNode& value) {
        for (const std::string& id : value.texts()) {
            made.also.push_back(requirement(value, id));
        }
    });
    map.optional("at-least", [&](const YamlNode& value) { made.at_least = Number::read(value, {}); });
    map.optional("room", [&](const YamlNode& value) { made.room = Number::read(value, {}); });
    map.optional("ambiguous", [&](const YamlNode& value) { made.ambiguous = value.text(); });
    map.optional("crasher", [&](const YamlNode& value) { made.crasher = value.boolean(); });
    for (const YamlNode& step : map.required("steps").list()) {
        made.steps.push_back(read_step(step));
    }
    map.finish();
    if (made.requirements().empty()) {
        node.fail("the case tests no requirement");
    }
    check_permissions(made, node);
    return made;
}

} // namespace

std::string Outcome::describe() const {
    switch (kind) {
    case Kind::success:
        return "success";
    case Kind::error:
        return "an error";
    case Kind::answer:
        return "any answer";
    case Kind::option_is:
        return nbd::name(static_cast<nbd::OptionReplyType>(value));
    case Kind::error_is:
        return nbd::name(static_cast<nbd::Error>(value));
    case Kind::disconnect:
        return "a disconnect";
    case Kind::silence:
        break;
    }
    return "no answer";
}

std::set<std::string> ServerCase::requirements() const {
    std::set<std::string> ids(also.begin(), also.end());
    for (const CheckStep& step : steps) {
        for (const Demand& demand : step.demands) {
            ids.insert(demand.requirement);
        }
        for (const Holding& holding : step.holdings) {
            ids.insert(holding.requirement);
        }
        if (step.check) {
            ids.insert(step.check->requirement);
        }
        if (!step.requirement.empty()) {
            ids.insert(step.requirement);
        }
    }
    return ids;
}

void load_server_cases(const YamlNode& document, const Requirements& requirements,
                       std::vector<ServerCase>& into) {
    YamlMap top = document.map();
    const std::string section = top.required("section").text();
    for (const YamlNode& node : top.required("cases").list()) {
        ServerCase made = Reader(requirements).read(node, section);
        if (std::ranges::find(into, made.name, &ServerCase::name) != into.end()) {
            node.fail(fmt::format("there is a second case '{}'", made.name));
        }
        into.push_back(std::move(made));
    }
    top.finish();
}

} // namespace harness::check
