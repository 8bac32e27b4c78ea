#include "drivers/reference/library.hpp"

#include "drivers/reference/batch.hpp"
#include "reference-client/handshake.hpp"
#include "reference-client/json.hpp"
#include "reference-client/read_uri.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace driver {
namespace {

nbd::Uri uri_of(const std::string& text, const refclient::Options& options) {
    try {
        return refclient::read_uri(text, options);
    } catch (const nbd::UriError& error) {
        refuse_step(fmt::format("the URI is malformed: {}", error.what()));
    }
}

ExportInfo told(const refclient::ExportInfo& info) {
    ExportInfo result;
    result.size = info.size;
    result.export_name = info.name;
    result.flags = refclient::flag_list(info.flags);
    result.structured = info.structured;
    result.extended = info.extended();
    result.contexts.emplace();
    for (const refclient::MetaContext& context : info.contexts) {
        result.contexts->push_back(context.name);
    }
    if (info.block) {
        result.block = BlockSizes{info.block->minimum, info.block->preferred, info.block->maximum};
    }
    return result;
}

std::vector<std::byte> room(const Transfer& step) {
    return std::vector<std::byte>(static_cast<std::size_t>(step.count * step.length));
}

} // namespace

ReferenceLibrary::ReferenceLibrary(refclient::Options options, refclient::ResizePreferences resizing,
                                   std::string version, int input)
  : options_(std::move(options))
  , resizing_(resizing)
  , version_(std::move(version))
  , input_(input) {}

ReferenceLibrary::~ReferenceLibrary() = default;

Hello ReferenceLibrary::hello() const {
    Hello hello;
    hello.driver = "reference";
    hello.version = version_;
    hello.operations = {"connect", "info",  "list", "read", "write", "zero",       "trim",
                        "cache",   "flush", "map",  "grow", "learn", "disconnect", "finish"};
    for (const FlagName& flag : flag_names) {
        hello.flags.emplace_back(flag.name);
    }
    return hello;
}

const std::shared_ptr<OpenSession>& ReferenceLibrary::find(const std::string& name) const {
    const auto found = sessions_.find(name);
    if (found == sessions_.end()) {
        refuse_step(ENOTCONN, fmt::format("there is no connection \"{}\"", name));
    }
    return found->second;
}

ExportInfo ReferenceLibrary::connect(const Connect& step) {
    const nbd::Uri uri = uri_of(step.uri, options_);
    if (const auto old = sessions_.find(step.connection); old != sessions_.end()) {
        old->second->session.drop();
        sessions_.erase(old);
    }
    return guarded([&] {
        auto open = std::make_shared<OpenSession>(OpenSession{{}, refclient::Session::open(uri, options_)});
        open->resizer.emplace(open->session.connection(0), uri, resizing_);
        ExportInfo info = told(open->session.info());
        sessions_.emplace(step.connection, std::move(open));
        return info;
    });
}

ExportInfo ReferenceLibrary::info(const Info& step) {
    const nbd::Uri uri = uri_of(step.uri, options_);
    return guarded([&] { return told(refclient::query_info(uri, options_)); });
}

std::vector<ListedExport> ReferenceLibrary::list(const List& step) {
    const nbd::Uri uri = uri_of(step.uri, options_);
    std::vector<ListedExport> result;
    for (const refclient::ListedExport& entry :
         guarded([&] { return refclient::query_list(uri, options_); })) {
        result.push_back({entry.name, entry.description});
    }
    return result;
}

std::unique_ptr<Batch> ReferenceLibrary::read(const Transfer& step) {
    return std::make_unique<ReferenceBatch>(find(step.connection), step, room(step));
}

std::unique_ptr<Batch> ReferenceLibrary::write(const Transfer& step, std::vector<std::byte> data) {
    return std::make_unique<ReferenceBatch>(find(step.connection), step, std::move(data));
}

std::unique_ptr<Batch> ReferenceLibrary::zero(const Transfer& step) {
    return std::make_unique<ReferenceBatch>(find(step.connection), step, std::vector<std::byte>());
}

std::unique_ptr<Batch> ReferenceLibrary::trim(const Transfer& step) {
    return zero(step);
}

std::unique_ptr<Batch> ReferenceLibrary::cache(const Transfer& step) {
    return zero(step);
}

void ReferenceLibrary::flush(const Flush& step) {
    refclient::Session& session = find(step.connection)->session;
    guarded([&] {
        session.wait(session.submit(refclient::Operation::flush(to_command_flags(step.flags)))).check();
    });
}

std::vector<Extent> ReferenceLibrary::map(const Map& step) {
    refclient::Session& session = find(step.connection)->session;
    return guarded([&] {
        const refclient::Completion completion = session.wait(session.submit(refclient::Operation::range(
            nbd::Command::block_status, step.offset, step.length, to_command_flags(step.flags))));
        completion.check();
        const auto id = session.info().context_id(nbd::base_allocation);
        std::vector<Extent> extents;
        for (const refclient::ContextStatus& status : completion.status) {
            std::uint64_t offset = step.offset;
            for (const refclient::Extent& extent : status.extents) {
                if (status.context == id) {
                    extents.push_back({offset, extent.length,
                                       (extent.status & nbd::allocation_flag::hole) != 0,
                                       (extent.status & nbd::allocation_flag::zero) != 0});
                }
                offset += extent.length;
            }
        }
        return extents;
    });
}

HeldSize ReferenceLibrary::grow(const Grow& step) {
    const refclient::ResizeOutcome outcome = find(step.connection)->resizer->grow_to(step.to);
    if (outcome.error) {
        throw Failure(to_error(*outcome.error));
    }
    return {outcome.size, std::string(refclient::name(outcome.way))};
}

HeldSize ReferenceLibrary::learn(const Learn& step) {
    const refclient::LearnOutcome outcome = find(step.connection)->resizer->learn();
    if (outcome.error) {
        throw Failure(to_error(*outcome.error));
    }
    return {outcome.size, std::string(refclient::name(outcome.way))};
}

void ReferenceLibrary::disconnect(const Disconnect& step) {
    const std::shared_ptr<OpenSession> open = find(step.connection);
    // Ended or not, the name is free again.
    sessions_.erase(step.connection);
    if (step.abrupt) {
        open->session.drop();
    } else {
        guarded([&] { open->session.disconnect(); });
    }
}

void ReferenceLibrary::idle() {
    std::vector<refclient::Connection*> busy;
    for (const auto& [name, open] : sessions_) {
        for (std::size_t i = 0; i < open->session.connection_count(); ++i) {
            busy.push_back(&open->session.connection(i));
        }
    }
    refclient::Connection::serve(busy, input_);
}

} // namespace driver
