#include "reference-client/mount/link.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <poll.h>
#include <utility>

namespace refclient::mount {

Link::Link(nbd::Uri uri, Options options, bool reconnect, Log log)
  : uri_(std::move(uri))
  , options_(std::move(options))
  , reconnect_(reconnect)
  , log_(std::move(log)) {}

void Link::open() {
    auto connection = Connection::open(uri_, options_);
    if (connected_) {
        connected_(*connection);
    }
    connection_ = std::move(connection);
    info_ = connection_->info();
    last_moved_ = Clock::now();
}

bool Link::ready() {
    return connection_ != nullptr || (reconnect_ && reopen());
}

bool Link::reopen() {
    const Clock::time_point begin = Clock::now();
    if (begin < retry_at_) {
        return false;
    }
    try {
        open();
    } catch (const Failure& failure) {
        // Those who ask meanwhile are not made to wait as long again, one after the other.
        retry_at_ = Clock::now() + (Clock::now() - begin);
        if (trouble_ != failure.what()) {
            trouble_ = failure.what();
            log_(fmt::format("cannot connect again: {}", trouble_));
        }
        return false;
    }
    log_(fmt::format("connected again, the export has {} bytes", size()));
    trouble_.clear();
    return true;
}

Failure Link::not_connected() const {
    return {FailureKind::connection, ENOTCONN, "there is no connection to the server"};
}

void Link::submit(std::vector<Operation> operations, Done done) {
    const auto job = std::make_shared<Job>();
    job->open = operations.size();
    job->done = std::move(done);
    if (operations.empty()) {
        return job->done(job->result);
    }
    static_cast<void>(ready());
    for (Operation& operation : operations) {
        queue(std::move(operation), job);
    }
}

void Link::queue(Operation operation, const std::shared_ptr<Job>& job) {
    if (!connection_) {
        return answer(*job, not_connected());
    }
    if (waiting_.empty()) {
        last_moved_ = Clock::now();
    }
    try {
        waiting_.emplace(connection_->queue(std::move(operation)), job);
    } catch (const Failure& failure) {
        if (ends_connection(failure)) {
            lose(failure);
        }
        answer(*job, failure);
    }
}

void Link::answer(Job& job, std::optional<Failure> error) {
    if (error && !job.result.error) {
        job.result.error = std::move(error);
    }
    if (--job.open == 0) {
        job.done(job.result);
    }
}

std::optional<Failure> Link::run(const std::function<void(Connection&)>& work) {
    if (!ready()) {
        return not_connected();
    }
    try {
        work(*connection_);
        last_moved_ = Clock::now();
        return std::nullopt;
    } catch (const Failure& failure) {
        if (ends_connection(failure)) {
            lose(failure);
        }
        return failure;
    }
}

void Link::take() {
    while (connection_) {
        std::optional<Completion> completion = connection_->take_any();
        if (!completion) {
            break;
        }
        const auto found = waiting_.find(completion->cookie);
        if (found == waiting_.end()) {
            continue;
        }
        const std::shared_ptr<Job> job = std::move(found->second);
        waiting_.erase(found);
        std::optional<Failure> error;
        try {
            completion->check();
            job->result.status = std::move(completion->status);
        } catch (const Failure& failure) {
            error = failure;
        }
        answer(*job, std::move(error));
    }
    if (connection_ && connection_->ended()) {
        lose(Failure(*connection_->ended()));
    }
}

void Link::send() {
    if (connection_ && !waiting_.empty()) {
        connection_->move(POLLOUT);
    }
}

void Link::move(short events) {
    if (connection_ && events != 0) {
        last_moved_ = Clock::now();
        connection_->move(events);
    }
    take();
}

Clock::time_point Link::deadline() const {
    return waiting_.empty() ? Clock::time_point::max() : last_moved_ + options_.timeout;
}

void Link::expire() {
    if (connection_ && Clock::now() >= deadline()) {
        lose(Failure(FailureKind::connection, ETIMEDOUT,
                     fmt::format("timed out while waiting for the reply to {} request(s)", waiting_.size())));
    }
}

void Link::lose(const Failure& why) {
    last_size_ = connection_->size();
    connection_->drop();
    connection_.reset();
    log_(fmt::format("the connection has broken, with {} request(s) unanswered: {}{}", waiting_.size(),
                     why.what(),
                     reconnect_ ? "; the next operation connects again"
                                : "; the file stays mounted, without anything behind it"));
    if (lost_) {
        lost_();
    }
    for (const auto& [cookie, job] : std::exchange(waiting_, {})) {
        answer(*job, why);
    }
}

void Link::disconnect() {
    if (!connection_) {
        return;
    }
    last_size_ = connection_->size();
    connection_->disconnect();
    connection_.reset();
}

} // namespace refclient::mount
