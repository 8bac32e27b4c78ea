#include "reference-server/resize/knob_names.hpp"

#include "protocol/describe.hpp"
#include "reference-server/sizes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <vector>

namespace refserver {
namespace {

/// More of a hostile name is not told back.
constexpr std::size_t longest_quote = 64;

[[noreturn]] void reject(const std::string& message) {
    throw std::invalid_argument(message);
}

std::string quoted(std::string_view text) {
    return text.size() <= longest_quote ? nbd::quoted(text)
                                        : nbd::quoted(text.substr(0, longest_quote)) + "…";
}

/// Takes a value; false if it is none of the knob's.
using Setter = bool (*)(KnobSettings&, std::string_view);

struct Knob {
    std::string_view key;
    std::string_view values; ///< for people
    Setter set;
    bool repeatable = false;
};

template <class Value>
struct Choice {
    std::string_view text;
    Value value;
};

template <class Value, std::size_t n>
bool choose(std::optional<Value>& into, std::string_view text, const std::array<Choice<Value>, n>& choices) {
    const auto found = std::find_if(choices.begin(), choices.end(),
                                    [&](const Choice<Value>& choice) { return choice.text == text; });
    if (found == choices.end()) {
        return false;
    }
    into = found->value;
    return true;
}

/// Takes a fault or an oddity of the wire; false if there is none of this name.
bool put_on_the_wire(KnobSettings& settings, std::span<const faults::Fault> all, std::string_view name) {
    const faults::Fault* const found = faults::find(all, name);
    if (found != nullptr && settings.on_the_wire != nullptr) {
        reject(fmt::format("{} and {}: a connection has only one fault or oddity on the wire",
                           settings.on_the_wire->name, name));
    }
    settings.on_the_wire = found != nullptr ? found : settings.on_the_wire;
    return found != nullptr;
}

constexpr std::array growths{Choice<Growth>{"none", Growth::none},
                             Choice<Growth>{"explicit", Growth::explicit_},
                             Choice<Growth>{"auto", Growth::automatic}, Choice<Growth>{"both", Growth::both}};
constexpr std::array consents{Choice<Consent>{"implicit", Consent::implicit},
                              Choice<Consent>{"opt-in", Consent::opt_in},
                              Choice<Consent>{"-", Consent::not_applicable}};
constexpr std::array advertisements{Choice<Advertise>{"silent", Advertise::silent},
                                    Choice<Advertise>{"flag", Advertise::flag},
                                    Choice<Advertise>{"info", Advertise::info}};
constexpr std::array styles{Choice<ReplyStyle>{"simple", ReplyStyle::simple},
                            Choice<ReplyStyle>{"structured", ReplyStyle::structured},
                            Choice<ReplyStyle>{"extended", ReplyStyle::extended}};
constexpr std::array learnings{Choice<Learn>{"none", Learn::none}, Choice<Learn>{"poll", Learn::poll},
                               Choice<Learn>{"notify", Learn::notify}, Choice<Learn>{"both", Learn::both}};
constexpr std::array fills{Choice<Fill>{"zero", Fill::zero}, Choice<Fill>{"unspecified", Fill::unspecified},
                           Choice<Fill>{"-", Fill::not_applicable}};
constexpr std::array sizings{Choice<Sizing>{"exact", Sizing::exact}, Choice<Sizing>{"round", Sizing::round},
                             Choice<Sizing>{"clamp", Sizing::clamp},
                             Choice<Sizing>{"-", Sizing::not_applicable}};
constexpr std::array shrinks{Choice<Shrink>{"allow", Shrink::allow}, Choice<Shrink>{"deny", Shrink::deny},
                             Choice<Shrink>{"-", Shrink::not_applicable}};
constexpr std::array kinds{Choice<DiskKind>{"memory", DiskKind::memory},
                           Choice<DiskKind>{"file", DiskKind::file}};
constexpr std::array truths{Choice<bool>{"yes", true}, Choice<bool>{"no", false}};

constexpr std::array knobs{
    Knob{"growth", "none, explicit, auto or both",
         [](KnobSettings& s, std::string_view v) { return choose(s.growth, v, growths); }},
    Knob{"consent", "implicit or opt-in, or - where it does not apply",
         [](KnobSettings& s, std::string_view v) { return choose(s.consent, v, consents); }},
    Knob{"advertise", "silent, flag or info",
         [](KnobSettings& s, std::string_view v) { return choose(s.advertise, v, advertisements); }},
    Knob{"replies", "simple, structured or extended",
         [](KnobSettings& s, std::string_view v) { return choose(s.replies, v, styles); }},
    Knob{"learn", "none, poll, notify or both",
         [](KnobSettings& s, std::string_view v) { return choose(s.learn, v, learnings); }},
    Knob{"fill", "zero or unspecified, or - where it does not apply",
         [](KnobSettings& s, std::string_view v) { return choose(s.fill, v, fills); }},
    Knob{"sizing", "exact, round or clamp, or - where it does not apply",
         [](KnobSettings& s, std::string_view v) { return choose(s.sizing, v, sizings); }},
    Knob{"shrink", "allow or deny, or - where it does not apply",
         [](KnobSettings& s, std::string_view v) { return choose(s.shrink, v, shrinks); }},
    Knob{"size", "a size", [](KnobSettings& s, std::string_view v) { return s.size = parse_size(v), true; }},
    Knob{"limit", "a size, or none",
         [](KnobSettings& s, std::string_view v) {
             return s.limit = v == "none" ? KnobSettings::no_limit : parse_size(v), true;
         }},
    Knob{"granularity", "a size",
         [](KnobSettings& s, std::string_view v) { return s.granularity = parse_size(v), true; }},
    Knob{"smallest", "a size",
         [](KnobSettings& s, std::string_view v) { return s.smallest = parse_size(v), true; }},
    Knob{"read-only", "yes or no",
         [](KnobSettings& s, std::string_view v) { return choose(s.read_only, v, truths); }},
    Knob{"backend", "memory or file",
         [](KnobSettings& s, std::string_view v) { return choose(s.backend, v, kinds); }},
    Knob{"keep", "yes or no", [](KnobSettings& s, std::string_view v) { return choose(s.keep, v, truths); }},
    Knob{"id", "anything", [](KnobSettings& /*s*/, std::string_view /*v*/) { return true; }},
    Knob{"fault", "a name that --list-faults tells",
         [](KnobSettings& s, std::string_view v) {
             const auto fault = find_fault(v);
             if (fault) {
                 s.faults.set(static_cast<std::size_t>(*fault));
             }
             return fault.has_value() || put_on_the_wire(s, faults::server_faults(), v);
         },
         true},
    Knob{
        "oddity", "a name that --list-oddities tells",
        [](KnobSettings& s, std::string_view v) { return put_on_the_wire(s, faults::server_oddities(), v); }},
};

const Knob& find(std::string_view key) {
    const auto* const found =
        std::find_if(knobs.begin(), knobs.end(), [&](const Knob& knob) { return knob.key == key; });
    if (found == knobs.end()) {
        std::string all;
        for (const Knob& knob : knobs) {
            all += (all.empty() ? "" : ", ") + std::string(knob.key);
        }
        reject(fmt::format("there is no knob {}; there are {}", quoted(key), all));
    }
    return *found;
}

void apply(const Knob& knob, KnobSettings& settings, std::string_view value) {
    bool taken = false;
    try {
        taken = value.size() <= longest_quote && knob.set(settings, value);
    } catch (const std::invalid_argument& error) {
        reject(fmt::format("{}: {}", knob.key, error.what()));
    }
    if (!taken && knob.key != "id") {
        reject(fmt::format("{} is {}, not {}", knob.key, knob.values, quoted(value)));
    }
}

} // namespace

void set_knob(KnobSettings& settings, std::string_view key, std::string_view value) {
    apply(find(key), settings, value);
}

KnobSettings parse_knob_name(std::string_view name) {
    KnobSettings settings;
    std::array<bool, knobs.size()> seen{};
    while (!name.empty()) {
        const auto comma = name.find(',');
        const std::string_view part = name.substr(0, comma);
        const bool last = comma == std::string_view::npos;
        name.remove_prefix(last ? name.size() : comma + 1);
        const auto equals = part.find('=');
        if (equals == std::string_view::npos) {
            reject(fmt::format("{} is no KNOB=VALUE; export names look like growth=both,size=1MiB",
                               quoted(part)));
        }
        if (!last && name.empty()) {
            reject("nothing follows the last comma");
        }
        const Knob& knob = find(part.substr(0, equals));
        if (std::exchange(seen.at(static_cast<std::size_t>(&knob - knobs.data())), true) &&
            !knob.repeatable) {
            reject(fmt::format("{} is set twice", knob.key));
        }
        apply(knob, settings, part.substr(equals + 1));
    }
    return settings;
}

std::string knob_values(std::string_view key) {
    return std::string(find(key).values);
}

} // namespace refserver
