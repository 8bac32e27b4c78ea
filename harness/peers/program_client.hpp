#pragma once

#include "harness/catalogue/peer.hpp"
#include "harness/catalogue/placeholders.hpp"
#include "harness/peers/client.hpp"

#include <map>

namespace harness {

/// A client that is a program: one process for every operation, with a connection of its own.
class ProgramClient final : public Client {
  public:
    /// `folder` gets the output of every process. `values` holds what stays the same for the whole case.
    ProgramClient(const Peer& peer, const ClientVariant& variant, Placeholders values,
                  std::filesystem::path folder);

    ClientOutcome perform(const ClientStep& step, Deadline deadline) override;
    void finish(Deadline deadline) override;

  private:
    const Peer& peer_;
    const ClientVariant& variant_;
    Placeholders values_;
    std::filesystem::path folder_;
};

/// The placeholders of one step: {offset}, {length}, {from}, {into}, {uri} and the list {flags}.
void add_step(const ClientStep& step, const OperationTemplate& operation, Placeholders& values);

/// What a program's words say about a failure.
[[nodiscard]] ClientError error_from_words(const std::string& words);

} // namespace harness
