#pragma once

#include "harness/catalogue/peer.hpp"
#include "harness/catalogue/placeholders.hpp"
#include "harness/peers/client.hpp"
#include "harness/process/process.hpp"

#include <map>

namespace harness {

/// A client that takes commands on its standard input, such as qemu-io: one process for every connection.
class ShellClient final : public Client {
  public:
    ShellClient(const Peer& peer, const ClientVariant& variant, Placeholders values,
                std::filesystem::path folder);

    ClientOutcome perform(const ClientStep& step, Deadline deadline) override;
    void finish(Deadline deadline) override;

  private:
    ClientOutcome connect(const ClientStep& step, Deadline deadline);
    ClientOutcome disconnect(const ClientStep& step, Deadline deadline);
    ClientOutcome command(const ClientStep& step, Deadline deadline);
    [[noreturn]] void died(Process& process, Deadline deadline);
    void end(Process& process, Deadline deadline);

    const Peer& peer_;
    const ClientVariant& variant_;
    Placeholders values_;
    std::filesystem::path folder_;
    std::map<std::string, Process> connections_;
};

} // namespace harness
