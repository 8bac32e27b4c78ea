#pragma once

#include "reference-server/gateway/inner.hpp"
#include "reference-server/net/descriptor.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace refserver {

/// The conversation failed: nobody there, no answer, an end in the middle, or no QMP.
class QmpError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// A command was answered with an error; the text is the monitor's.
class QmpRefusal : public QmpError {
  public:
    using QmpError::QmpError;
};

/// A connection to a QEMU monitor (QMP), one command at a time; events are passed over.
class Qmp {
  public:
    /// Connects to a Unix socket and takes part in the greeting. Throws QmpError.
    Qmp(const std::string& path, Patience patience);

    /// Returns what the command returns. Throws QmpError, QmpRefusal.
    boost::json::value execute(std::string_view command, boost::json::object arguments = {});

  private:
    [[nodiscard]] boost::json::object read_message();
    void send(const std::string& text) const;
    void wait_for(short events) const;

    const std::string path_;
    const Patience patience_;
    Descriptor socket_;
    std::string input_;
};

} // namespace refserver
