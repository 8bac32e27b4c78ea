#include "drivers/libnbd/tests/driver_process.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/process/v2/stdio.hpp>

#include <stdexcept>
#include <utility>

namespace asio = boost::asio;
namespace json = boost::json;
namespace process = boost::process::v2;

namespace driver::test {

struct DriverProcess::Process {
    explicit Process(const std::vector<std::string>& arguments)
      : child(context, NBD_BIN_DIR "/nbd-driver-libnbd", arguments,
              process::process_stdio{input, output, {}}) {}

    asio::io_context context;
    asio::writable_pipe input{context};
    asio::readable_pipe output{context};
    process::process child;
    std::string received;
};

DriverProcess::DriverProcess(std::vector<std::string> arguments)
  : process_(std::make_unique<Process>(arguments))
  , hello_(next_line()) {}

DriverProcess::~DriverProcess() {
    boost::system::error_code ignored;
    if (process_->child.running(ignored))
        end();
}

json::object DriverProcess::next_line() {
    const std::size_t length =
        asio::read_until(process_->output, asio::dynamic_buffer(process_->received), '\n');
    const std::string line = process_->received.substr(0, length);
    process_->received.erase(0, length);
    return json::parse(line).as_object();
}

json::object DriverProcess::operator()(json::object step) {
    step["id"] = ++id_;
    asio::write(process_->input, asio::buffer(json::serialize(step) + "\n"));
    json::object answer = next_line();
    if (answer.at("id").to_number<std::uint64_t>() != id_)
        throw std::runtime_error("the result is not that of the step: " + json::serialize(answer));
    return answer;
}

json::object DriverProcess::result_of(json::object step) {
    const json::object answer = (*this)(std::move(step));
    if (!answer.at("ok").as_bool())
        throw std::runtime_error("the step failed: " + json::serialize(answer));
    return answer.at("result").as_object();
}

std::string DriverProcess::error_of(json::object step) {
    const json::object answer = (*this)(std::move(step));
    if (answer.at("ok").as_bool())
        return "no error";
    const json::object& error = answer.at("error").as_object();
    return std::string(error.at("errno").as_string()) + " " + std::string(error.at("where").as_string());
}

int DriverProcess::end() {
    process_->input.close();
    return process_->child.wait();
}

} // namespace driver::test
