// nbd-driver-life: leads the reference client through lives, one line of input each.

#include "drivers/life/control.hpp"
#include "drivers/life/life.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace json = boost::json;
using namespace driver;

template <class T>
using Words = std::map<std::string_view, T>;

template <class T>
T one_of(const Words<T>& words, std::string_view knob, std::string_view word) {
    const auto found = words.find(word);
    if (found == words.end()) {
        throw std::invalid_argument(fmt::format("{} has no value '{}'", knob, word));
    }
    return found->second;
}

/// "ask=info,replies=simple,grow=plain,learn=poll"
void read_client(std::string_view text, LifeSetup& setup) {
    static const Words<bool> ask{{"none", false}, {"info", true}};
    static const Words<refclient::Replies> replies{{"simple", refclient::Replies::simple},
                                                   {"structured", refclient::Replies::structured},
                                                   {"extended", refclient::Replies::extended}};
    static const Words<refclient::Grow> grow{{"none", refclient::Grow::none},
                                             {"explicit", refclient::Grow::explicit_},
                                             {"plain", refclient::Grow::plain},
                                             {"flagged", refclient::Grow::flagged}};
    static const Words<refclient::Learn> learn{{"none", refclient::Learn::none},
                                               {"reconnect", refclient::Learn::reconnect},
                                               {"poll", refclient::Learn::poll},
                                               {"notify", refclient::Learn::notify},
                                               {"credits", refclient::Learn::credits}};
    while (!text.empty()) {
        const std::string_view item = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), item.size() + 1));
        const auto equals = std::min(item.find('='), item.size());
        const std::string_view knob = item.substr(0, equals);
        const std::string_view value = item.substr(std::min(item.size(), equals + 1));
        if (knob == "ask") {
            setup.options.ask_resize = one_of(ask, knob, value);
        } else if (knob == "replies") {
            setup.options.replies = one_of(replies, knob, value);
        } else if (knob == "grow") {
            setup.preferences.grow = one_of(grow, knob, value);
        } else if (knob == "learn") {
            setup.preferences.learn = one_of(learn, knob, value);
        } else {
            throw std::invalid_argument(fmt::format("a client has no knob '{}'", knob));
        }
    }
}

LifeSetup read_order(const json::object& order, const LifeSetup& defaults) {
    static const Words<External> external{
        {"none", External::none}, {"grow", External::grow}, {"shrink", External::shrink}};
    LifeSetup setup = defaults;
    setup.socket = order.at("socket").as_string();
    setup.export_name = order.at("export").as_string();
    read_client(order.at("client").as_string(), setup);
    setup.external = one_of(external, "external", order.at("external").as_string());
    return setup;
}

/// The control sockets that were used before stay open.
using Controls = std::map<std::string, Control>;

/// The report for one line; `id` is null as long as it is not known.
json::object answer(const std::string& line, const LifeSetup& defaults, Controls& controls) {
    json::object report{{"id", nullptr}};
    try {
        const json::value value = json::parse(line);
        const json::object& order = value.as_object();
        report["id"] = order.at("id");
        const std::string path(order.at("control").as_string());
        Control& control = controls.try_emplace(path, path).first->second;
        const Answers answers = lead_life(read_order(order, defaults), control);
        report["answers"] = json::array(answers.begin(), answers.end());
    } catch (const std::exception& error) {
        report["error"] = error.what();
    }
    return report;
}

int run(refclient::Faults faults) {
    LifeSetup defaults;
    defaults.options.faults = faults;
    defaults.options.contexts.clear();
    defaults.options.strict = false; // what a client believes wrongly is to show at the server
    defaults.options.timeout = std::chrono::seconds(10);
    defaults.preferences.credits = 1; // so that a single change uses it up
    Controls controls;
    const auto& names = question_names();
    std::cout << json::serialize(
                     json::object{{"driver", "reference"}, {"life", json::array(names.begin(), names.end())}})
              << '\n'
              << std::flush;
    for (std::string line; std::getline(std::cin, line);) {
        std::cout << json::serialize(answer(line, defaults, controls)) << '\n' << std::flush;
    }
    return std::cout ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Leads the reference client through lives: reads orders from standard input and writes what came "
        "of them to standard output, one JSON object a line, as docs/driver-protocol.md says.",
        "nbd-driver-life");
    app.set_version_flag("-V,--version", std::string("nbd-driver-life ") + NBD_PROJECT_VERSION);
    refclient::Faults faults;
    app.add_option_function<std::vector<std::string>>(
           "--fault",
           [&faults](const std::vector<std::string>& names) {
               for (const std::string& name : names) {
                   const auto fault = refclient::find_fault(name);
                   if (!fault) {
                       throw CLI::ValidationError("--fault", fmt::format("there is no fault '{}'", name));
                   }
                   faults.add(*fault);
               }
           },
           "A rule of the RESIZE draft to break; nbd-resize-client --list-faults names them. May be "
           "repeated.")
        ->type_name("FAULT");
    app.footer(
        "Exit status: 0 when standard input ended, 1 when results could not be written, 2 for wrong usage.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    std::ios::sync_with_stdio(false);
    return run(faults);
}
