#include "harness/exhaustive/life_driver.hpp"

#include "harness/process/errors.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <stdexcept>

namespace harness {
namespace {

namespace json = boost::json;

constexpr std::size_t tail_of_log = 500;

[[noreturn]] void misbehaved(const std::string& line, const std::string& what) {
    throw PeerGone(
        fmt::format("the driver wrote a line that is no report ({}): {}", what, line.substr(0, tail_of_log)));
}

} // namespace

LifeDriver::LifeDriver(const Launch& launch, std::chrono::milliseconds patience)
  : process_(Process::start(launch))
  , patience_(patience) {
    const std::string line = read_line();
    try {
        const json::value hello = json::parse(line);
        for (const json::value& question : hello.as_object().at("life").as_array()) {
            questions_.emplace_back(question.as_string());
        }
    } catch (const std::exception& error) {
        misbehaved(line, error.what());
    }
}

void LifeDriver::send(const LifeOrder& order) {
    process_.write_line(json::serialize(json::object{{"id", order.id},
                                                     {"socket", order.socket},
                                                     {"control", order.control},
                                                     {"export", order.export_name},
                                                     {"client", order.client},
                                                     {"external", order.external}}),
                        patience_);
}

LifeReport LifeDriver::receive() {
    const std::string line = read_line();
    LifeReport report;
    try {
        const json::value value = json::parse(line);
        const json::object& object = value.as_object();
        report.id = object.at("id").to_number<std::size_t>();
        if (const json::value* error = object.if_contains("error")) {
            report.error = error->as_string();
        } else {
            const json::array& answers = object.at("answers").as_array();
            report.answers.reserve(answers.size());
            for (const json::value& answer : answers) {
                report.answers.emplace_back(answer.as_string());
            }
            if (report.answers.size() != questions_.size()) {
                misbehaved(line,
                           fmt::format("{} answers to {} questions", answers.size(), questions_.size()));
            }
        }
    } catch (const PeerGone&) {
        throw;
    } catch (const std::exception& error) {
        misbehaved(line, error.what());
    }
    return report;
}

std::string LifeDriver::read_line() {
    std::optional<std::string> line = process_.read_line(Process::Clock::now() + patience_);
    if (!line) {
        throw PeerGone(how_it_ended());
    }
    return *std::move(line);
}

std::string LifeDriver::how_it_ended() {
    const std::optional<Exit> exit = process_.wait_for(std::chrono::seconds(1));
    return fmt::format("{} {}: {}", process_.name(), exit ? exit->describe() : "closed its output",
                       process_.error_tail(tail_of_log));
}

} // namespace harness
