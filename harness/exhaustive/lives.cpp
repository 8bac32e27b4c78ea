#include "harness/exhaustive/lives.hpp"

#include "harness/catalogue/placeholders.hpp"
#include "harness/exhaustive/life_driver.hpp"
#include "harness/exhaustive/life_judge.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/socket.hpp"
#include "harness/process/workspace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

namespace harness {
namespace {

using Clock = std::chrono::steady_clock;

/// Lives that a driver is given ahead, so that it never waits for the next.
constexpr std::size_t orders_ahead = 8;
/// Longer than any wait inside of a life.
constexpr std::chrono::seconds patience{20};
constexpr std::chrono::seconds start_limit{10};
constexpr std::chrono::milliseconds stop_grace{2000};
/// How long connections may take to end after the last life.
constexpr std::chrono::milliseconds settle_limit{1000};
/// A thread tells how far it is after this many lives.
constexpr std::size_t lives_per_report = 32;
/// Peers that end again and again are given up.
constexpr unsigned most_restarts = 100;

/// A server that many lives share, started again if it ends.
class SharedServer {
  public:
    SharedServer(const LifePlace& place, const std::string& value, const std::filesystem::path& folder)
      : place_(place)
      , socket_(folder / ("s." + value))
      , control_(folder / ("c." + value))
      , log_(place.logs / fmt::format("server-{}.log", value)) {
        values_.texts = {{"bin", place.programs.string()},
                         {"socket", socket_.string()},
                         {"control", control_.string()},
                         {"value", value}};
        start();
        if (place.suite->judge_every > 0) {
            tap_ = std::make_unique<Tap>(UnixAddress{socket_}, folder / ("t." + value), judge_);
        }
    }
    ~SharedServer() { judge_.interfere(); }
    SharedServer(const SharedServer&) = delete;
    SharedServer& operator=(const SharedServer&) = delete;

    /// Where the client of a combination finds the server: some are judged on the way.
    [[nodiscard]] std::string socket(std::size_t combination) const {
        return tap_ && combination % place_.suite->judge_every == 0
                   ? std::get<UnixAddress>(tap_->address()).path.string()
                   : socket_.string();
    }
    [[nodiscard]] const std::filesystem::path& control() const { return control_; }

    /// Where the server has ended: how, once; and it runs again. Nothing if it runs.
    [[nodiscard]] std::optional<std::string> revive() {
        const std::lock_guard lock(mutex_);
        if (process_->running()) {
            return std::nullopt;
        }
        judge_.interfere();
        const Exit exit = process_->stop(stop_grace);
        std::string how = fmt::format("the server {}: {}", exit.describe(), process_->error_tail(500));
        if (++restarts_ > most_restarts) {
            throw PeerGone(how);
        }
        start();
        return how;
    }

    /// Adds what was judged on the way to it, when no life is led any more.
    void add_to(Lives& lives) {
        if (!tap_) {
            return;
        }
        tap_->wait_idle(Clock::now() + settle_limit);
        judge_.interfere();
        tap_->stop();
        lives.judged_connections += judge_.judged();
        for (WireFinding& finding : judge_.findings()) {
            const bool provoked = finding.by == wire::Side::client &&
                                  std::ranges::find(place_.suite->provokes, finding.requirement) !=
                                      place_.suite->provokes.end();
            if (provoked) {
                continue;
            }
            const auto known = std::ranges::find_if(lives.wire, [&](const WireFinding& other) {
                return other.requirement == finding.requirement && other.by == finding.by;
            });
            if (known != lives.wire.end()) {
                known->times += finding.times;
            } else {
                lives.wire.push_back(std::move(finding));
            }
        }
    }

  private:
    void start() {
        Launch launch;
        launch.argv = expand(place_.suite->server, values_);
        launch.log = log_;
        process_ = std::make_unique<Process>(Process::start(launch));
        for (const std::filesystem::path& path : {socket_, control_}) {
            if (wait_until_accepting(UnixAddress{path}, Clock::now() + start_limit, process_.get()) !=
                Readiness::ready) {
                throw PeerGone(fmt::format("{} does not take connections at {}: {}", process_->name(),
                                           path.string(), process_->error_tail(500)));
            }
        }
    }

    const LifePlace& place_;
    Placeholders values_;
    const std::filesystem::path socket_;
    const std::filesystem::path control_;
    const std::filesystem::path log_;
    std::mutex mutex_;
    std::unique_ptr<Process> process_;
    unsigned restarts_ = 0;
    LifeJudge judge_;
    std::unique_ptr<Tap> tap_;
};

/// Maps the tables' questions to the positions of the driver's answers.
std::vector<std::size_t> match_questions(const std::vector<std::string>& driver, const Oracle& oracle) {
    std::vector<std::size_t> positions;
    for (const Question& question : oracle.questions()) {
        const auto found = std::ranges::find(driver, question.name);
        if (found == driver.end()) {
            throw CatalogueError(question.position,
                                 fmt::format("the driver has no answer to '{}'", question.name));
        }
        positions.push_back(static_cast<std::size_t>(found - driver.begin()));
    }
    return positions;
}

/// The servers of a run, one for each value of a knob.
class Servers {
  public:
    Servers(const LifePlace& place, const std::vector<std::size_t>& combinations)
      : knobs_(*place.knobs)
      , knob_(column(place)) {
        const std::filesystem::path folder = place.workspace->make_folder("lives");
        servers_.resize(knobs_.all()[knob_].values.size());
        for (const std::size_t index : combinations) {
            std::unique_ptr<SharedServer>& server = servers_[value(index)];
            if (!server) {
                server =
                    std::make_unique<SharedServer>(place, knobs_.all()[knob_].values[value(index)], folder);
            }
        }
    }

    /// The one for this combination.
    [[nodiscard]] SharedServer& of(std::size_t combination) { return *servers_[value(combination)]; }

    /// Adds what was judged on the wire.
    void add_to(Lives& lives) {
        for (const auto& server : servers_) {
            if (server) {
                server->add_to(lives);
            }
        }
    }

  private:
    static std::size_t column(const LifePlace& place) {
        const auto& columns = place.knobs->columns();
        const auto found = std::ranges::find(columns, place.suite->server_per, &Column::name);
        const auto number = static_cast<std::size_t>(found - columns.begin());
        if (found == columns.end() || place.knobs->all()[number].side != Side::server) {
            throw std::invalid_argument(
                fmt::format("server-per: the server has no knob '{}'", place.suite->server_per));
        }
        return number;
    }
    [[nodiscard]] std::size_t value(std::size_t combination) const {
        // The server's knobs are the first.
        return knobs_.configurations(Side::server)[knobs_.combination(combination).server][knob_];
    }

    const Knobs& knobs_;
    const std::size_t knob_;
    std::vector<std::unique_ptr<SharedServer>> servers_;
};

/// The result of a run that has not begun.
Lives nothing_yet(const Knobs& knobs) {
    Lives lives;
    lives.as_expected.resize(knobs.count());
    return lives;
}

/// The work that the threads share.
struct Work {
    const LifePlace& place;
    const std::vector<std::size_t>& combinations;
    Servers& servers;
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> done{0};
    std::atomic<bool> stop{false};
    std::mutex reporting;
    const std::function<void(std::size_t)>& on_progress;
};

/// One driver and its part of the lives.
class Worker {
  public:
    Worker(Work& work, unsigned number)
      : work_(work)
      , number_(number)
      , lives_(nothing_yet(*work.place.knobs)) {}

    void run() {
        try {
            start_driver();
            while (!work_.stop) {
                fill();
                if (under_way_.empty()) {
                    break;
                }
                take_one();
            }
            driver_->process().close_stdin();
        } catch (...) {
            failure_ = std::current_exception();
            work_.stop = true;
        }
        report();
    }

    void rethrow() const {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }
    [[nodiscard]] Lives& lives() { return lives_; }

  private:
    void start_driver() {
        Launch launch;
        Placeholders values;
        values.texts = {{"bin", work_.place.programs.string()}};
        launch.argv = expand(work_.place.suite->client, values);
        for (const std::string& fault : work_.place.client_faults) {
            launch.argv.insert(launch.argv.end(), {"--fault", fault});
        }
        launch.log = work_.place.logs / fmt::format("client-{}.log", number_);
        launch.capture_stdout = true;
        launch.pipe_stdin = true;
        driver_ = std::make_unique<LifeDriver>(launch, patience);
        positions_ = match_questions(driver_->questions(), *work_.place.oracle);
    }

    void fill() {
        while (under_way_.size() < orders_ahead) {
            const std::size_t index = work_.next++;
            if (index >= work_.combinations.size()) {
                return;
            }
            under_way_.push_back(work_.combinations[index]);
            send(under_way_.back());
        }
    }

    [[nodiscard]] std::string export_name(std::size_t index) const {
        const Knobs& knobs = *work_.place.knobs;
        std::string name =
            fmt::format("{},{},id={}.{}", knobs.text(Side::server, knobs.combination(index).server),
                        work_.place.suite->export_keys, index, attempt_);
        for (const std::string& fault : work_.place.server_faults) {
            name += ",fault=" + fault;
        }
        return name;
    }

    void send(std::size_t index) {
        const Knobs& knobs = *work_.place.knobs;
        const Combination combination = knobs.combination(index);
        SharedServer& server = work_.servers.of(index);
        const LifeOrder order{index,
                              server.socket(index),
                              server.control().string(),
                              export_name(index),
                              knobs.text(Side::client, combination.client),
                              knobs.value(Side::environment, combination.environment, "external")};
        try {
            driver_->send(order);
        } catch (const PeerGone&) {
            // What became of it shows when its report is waited for.
        }
    }

    void take_one() {
        const std::size_t index = under_way_.front();
        try {
            const LifeReport report = driver_->receive();
            under_way_.pop_front();
            if (report.id != index) {
                throw PeerGone(fmt::format("the driver reports life {} where {} was due", report.id, index));
            }
            judge(report);
        } catch (const TimedOut& error) {
            give_up(index, reports::Verdict::timeout, error.what());
        } catch (const PeerGone& error) {
            give_up(index, reports::Verdict::crash, error.what());
        }
        if (++unreported_ == lives_per_report) {
            report();
        }
    }

    void judge(const LifeReport& report) {
        ++lives_.executed;
        if (!report.error.empty()) {
            const auto how = work_.servers.of(report.id).revive();
            return add({report.id,
                        how ? reports::Verdict::crash : reports::Verdict::fail,
                        how ? reports::Party::server : reports::Party::undecided,
                        how ? fmt::format("{}; {}", report.error, *how) : report.error,
                        {}});
        }
        const Oracle& oracle = *work_.place.oracle;
        const auto expected = oracle.answers(report.id);
        UnexpectedLife life{report.id, reports::Verdict::fail, reports::Party::undecided, "", {}};
        for (std::size_t i = 0; i < oracle.questions().size(); ++i) {
            const Question& question = oracle.questions()[i];
            const std::string& came = report.answers[positions_[i]];
            if (question.find(came) != expected[i]) {
                life.wrong.push_back({i, oracle.answer(report.id, i).text, came,
                                      oracle.row(report.id, i).position.describe()});
            }
        }
        if (life.wrong.empty()) {
            lives_.as_expected.set(report.id);
        } else {
            add(std::move(life));
        }
    }

    /// The driver or the server is at its end with this life: both are made to run again, and the lives that
    /// the driver had taken along are led anew.
    void give_up(std::size_t index, reports::Verdict verdict, std::string reason) {
        ++lives_.executed;
        auto party = verdict == reports::Verdict::crash ? reports::Party::client : reports::Party::undecided;
        if (const auto how = work_.servers.of(index).revive()) {
            party = reports::Party::server;
            reason = *how;
        }
        add({index, verdict, party, std::move(reason), {}});
        if (++restarts_ > most_restarts) {
            throw PeerGone(lives_.unexpected.back().reason);
        }
        if (!under_way_.empty() && under_way_.front() == index) {
            under_way_.pop_front();
        }
        ++attempt_;
        start_driver();
        for (const std::size_t again : under_way_) {
            send(again);
        }
    }

    void add(UnexpectedLife life) {
        ++lives_.unexpected_count;
        work_.stop = work_.stop || work_.place.fail_fast;
        if (lives_.unexpected.size() < most_unexpected) {
            lives_.unexpected.push_back(std::move(life));
        }
    }

    void report() {
        const std::lock_guard lock(work_.reporting);
        work_.on_progress(work_.done += unreported_);
        unreported_ = 0;
    }

    Work& work_;
    const unsigned number_;
    Lives lives_;
    std::unique_ptr<LifeDriver> driver_;
    std::vector<std::size_t> positions_;
    std::deque<std::size_t> under_way_;
    std::size_t unreported_ = 0;
    unsigned restarts_ = 0;
    unsigned attempt_ = 0; ///< part of the export's name, so that a life begins on a new disk
    std::exception_ptr failure_;
};

} // namespace

Lives lead_lives(const LifePlace& place, const std::vector<std::size_t>& combinations, unsigned clients,
                 const std::function<void(std::size_t done)>& on_progress) {
    const auto begin = Clock::now();
    Servers servers(place, combinations);
    Work work{place, combinations, servers, {}, {}, {}, {}, on_progress};
    std::vector<std::unique_ptr<Worker>> workers;
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < clients; ++i) {
            workers.push_back(std::make_unique<Worker>(work, i));
            threads.emplace_back([worker = workers.back().get()] { worker->run(); });
        }
    }
    Lives all = nothing_yet(*place.knobs);
    for (const auto& worker : workers) {
        worker->rethrow();
        Lives& part = worker->lives();
        all.executed += part.executed;
        all.unexpected_count += part.unexpected_count;
        std::ranges::move(part.unexpected, std::back_inserter(all.unexpected));
        all.as_expected |= part.as_expected;
    }
    servers.add_to(all);
    std::ranges::sort(all.unexpected, {}, &UnexpectedLife::combination);
    if (all.unexpected.size() > most_unexpected) {
        all.unexpected.resize(most_unexpected);
    }
    all.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return all;
}

} // namespace harness
