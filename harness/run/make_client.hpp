#pragma once

#include "harness/peers/client.hpp"
#include "harness/run/case_runner.hpp"

#include <memory>

namespace harness {

/// The client of a case, started where its kind has a process for the whole case. `logs` gets its output.
[[nodiscard]] std::unique_ptr<Client> make_client(const Peer& peer, const ClientVariant& variant,
                                                  const RunPlace& place, const std::filesystem::path& logs,
                                                  const std::string& uri, bool read_only, Deadline deadline);

} // namespace harness
