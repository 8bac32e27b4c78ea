#include "harness/catalogue/facts.hpp"

#include "harness/catalogue/words.hpp"
#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace harness {
namespace {

Fact read_fact(const std::string& name, const YamlNode& node) {
    Fact fact;
    fact.name = name;
    YamlMap map = node.map();
    const YamlNode role = map.required("role");
    fact.role = role.text();
    if (fact.role != "server" && fact.role != "client") {
        role.fail(fmt::format("the role of a fact is 'server' or 'client', not '{}'", fact.role));
    }
    fact.meaning = map.required("meaning").text();
    if (const auto values = map.optional("values")) {
        fact.values = values->texts();
        if (fact.values.size() < 2) {
            values->fail("a fact needs at least two values");
        }
        if (std::set<std::string>(fact.values.begin(), fact.values.end()).size() != fact.values.size()) {
            values->fail(fmt::format("a value stands twice among {}", fmt::join(fact.values, ", ")));
        }
    } else {
        fact.values = {"no", "yes"};
    }
    map.optional("flag", [&](const YamlNode& value) {
        fact.flag = value.text();
        const auto& known = transmission_flag_words();
        if (std::ranges::find(known, *fact.flag) == known.end()) {
            value.fail(
                fmt::format("'{}' is no transmission flag{}", *fact.flag, did_you_mean(*fact.flag, known)));
        }
    });
    map.optional("field", [&](const YamlNode& value) { fact.field = value.text(); });
    map.optional("granularity", [&](const YamlNode& value) { fact.granularity = value.number(); });
    map.finish();
    const int told = static_cast<int>(fact.flag.has_value()) + static_cast<int>(fact.field.has_value()) +
                     static_cast<int>(fact.granularity.has_value());
    if (told > 1) {
        node.fail("only one of 'flag', 'field' and 'granularity' can tell a fact");
    }
    if (told == 1) {
        if (fact.role != "server" || fact.values != std::vector<std::string>{"no", "yes"}) {
            node.fail("a fact of the handshake is a server's, and its values are no and yes");
        }
        fact.source = FactSource::handshake;
    }
    return fact;
}

} // namespace

FactVocabulary FactVocabulary::load(const YamlNode& node) {
    FactVocabulary vocabulary;
    for (const auto& [name, value] : node.entries()) {
        vocabulary.facts_.push_back(read_fact(name, value));
    }
    return vocabulary;
}

const Fact* FactVocabulary::find(const std::string& name) const {
    const auto found = std::ranges::find(facts_, name, &Fact::name);
    return found == facts_.end() ? nullptr : &*found;
}

std::vector<std::string> FactVocabulary::names(const std::string& role) const {
    std::vector<std::string> result;
    for (const Fact& fact : facts_) {
        if (role.empty() || fact.role == role) {
            result.push_back(fact.name);
        }
    }
    return result;
}

Facts FactVocabulary::default_traits(const std::string& role) const {
    Facts result;
    for (const Fact& fact : facts_) {
        if (fact.role == role && fact.source == FactSource::peer_file) {
            result[fact.name] = fact.values.front();
        }
    }
    return result;
}

Conditions FactVocabulary::conditions(const YamlNode& node, const std::string& role) const {
    Conditions result;
    for (const auto& [name, value] : node.entries()) {
        const Fact* fact = find(name);
        if (fact == nullptr || (!role.empty() && fact->role != role)) {
            value.fail_at_key(fmt::format("'{}' is no fact about a {}{}", name, role.empty() ? "peer" : role,
                                          did_you_mean(name, names(role))));
        }
        if (value.texts().empty()) {
            value.fail(fmt::format("no value of {} is here; its values are {}", name,
                                   fmt::join(fact->values, ", ")));
        }
        for (const std::string& wanted : value.texts()) {
            if (std::ranges::find(fact->values, wanted) == fact->values.end()) {
                value.fail(fmt::format("'{}' is no value of {}; its values are {}", wanted, name,
                                       fmt::join(fact->values, ", ")));
            }
            result[name].push_back(wanted);
        }
    }
    return result;
}

void FactVocabulary::read_traits(const YamlNode& node, const std::string& role, Facts& traits) const {
    const Conditions wanted = conditions(node, role);
    for (const auto& [name, value] : node.entries()) {
        const Fact* fact = find(name);
        if (fact == nullptr || fact->source != FactSource::peer_file) {
            value.fail_at_key(
                fmt::format("'{}' is learnt from the handshake and cannot be set as a trait", name));
        }
        if (wanted.at(name).size() != 1) {
            value.fail(fmt::format("the trait '{}' has one value", name));
        }
        traits[name] = wanted.at(name).front();
    }
}

bool satisfied(const Conditions& conditions, const Facts& facts) {
    return unmet(conditions, facts).empty();
}

std::string unmet(const Conditions& conditions, const Facts& facts) {
    for (const auto& [name, wanted] : conditions) {
        const auto found = facts.find(name);
        if (found == facts.end()) {
            return fmt::format("{} is not known, '{}' is needed", name, fmt::join(wanted, "' or '"));
        }
        if (std::ranges::find(wanted, found->second) == wanted.end()) {
            return fmt::format("{} is '{}', '{}' is needed", name, found->second,
                               fmt::join(wanted, "' or '"));
        }
    }
    return {};
}

} // namespace harness
