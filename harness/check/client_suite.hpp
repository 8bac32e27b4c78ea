#pragma once

// The conformance of a client: its command against every case.

#include "harness/check/client_bench.hpp"
#include "harness/check/client_case.hpp"
#include "harness/check/client_verdict.hpp"
#include "harness/check/listed_faults.hpp"
#include "reports/result.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace harness::check {

/// The client fails on a server that behaves, so that nothing can be said about it. what() is for people and
/// shows what the client printed.
struct NothingTested : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Runs cases with one command.
struct ClientSuite {
    ClientCommand command;
    std::string client;             ///< its name in results: "nbdinfo"
    std::filesystem::path programs; ///< where nbd-resize-server is
    Workspace* workspace = nullptr;
    const Requirements* requirements = nullptr;
    std::vector<ListedFault> faults;   ///< of the reference server
    std::vector<ListedFault> oddities; ///< likewise
    unsigned jobs = 0;                 ///< cases at a time; 0: as many as there are processors
    /// Where the logs of cases that did not pass stay, as cases/ID below it; empty: nowhere.
    std::filesystem::path out;
};

/// Called after every case, from one thread at a time: how many are done, and the last one's result.
using OnClientCase = std::function<void(std::size_t done, const reports::CaseResult& result)>;

/// The results, that of the ordinary use of the client, "check/baseline", first. Their `seconds`, `cases` are
/// filled in, not what a report wants to know besides. Throws NothingTested, Interrupted, std::system_error;
/// what goes wrong in a case becomes its verdict `error`.
[[nodiscard]] reports::RunResult
run_client_suite(const ClientSuite& suite, const std::vector<ClientCase>& cases, const OnClientCase& on_case);

/// Throws CatalogueError if a case names a fault or an oddity that the reference server does not have.
void check_faults(const std::vector<ClientCase>& cases, const std::vector<ListedFault>& faults,
                  const std::vector<ListedFault>& oddities);

/// A well-behaved server with which a client's behaviour in the case is compared.
[[nodiscard]] ClientServer usual_server(const ClientCase& item);

/// What a client does on each kind of well-behaved server, found out once for each. Thread safe.
class UsualBook {
  public:
    UsualBook(const ClientBench& bench, std::filesystem::path logs);
    ~UsualBook();
    UsualBook(const UsualBook&) = delete;
    UsualBook& operator=(const UsualBook&) = delete;

    /// Meets the server, for the first time or, with `twice`, also for a second one, unless that is known
    /// already. Throws BenchError, Interrupted.
    const Usual& look_up(const ClientServer& server, bool twice);

    /// All that was looked up so far.
    [[nodiscard]] std::vector<std::pair<const ClientServer*, const Usual*>> all() const;

  private:
    struct Entry;
    const ClientBench& bench_;
    std::filesystem::path logs_;
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Entry>> entries_;
};

/// Carries out one case. Never throws but Interrupted.
[[nodiscard]] reports::CaseResult run_client_case(const ClientSuite& suite, const ClientBench& bench,
                                                  UsualBook& usual, const ClientCase& item,
                                                  const std::filesystem::path& logs);

} // namespace harness::check
