#include "reference-server/gateway/qmp_resizer.hpp"

#include "reference-server/gateway/qmp_state.hpp"

#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace refserver {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

/// How long QEMU may take to note that the gateway has left, before others count as connected.
constexpr auto leave_limit = 2s;
constexpr auto pause = 10ms;
/// The node is exported under this name and identifier, beside its own, while what growth exposes is zeroed.
constexpr const char* aside = "nbd-resize-aside";

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

/// An export that is being deleted is told until it is gone.
void wait_until_gone(Qmp& qmp, std::string_view id, const Patience& patience) {
    for (json::array exports = exports_of(qmp); find_export(exports, id) != nullptr;
         exports = exports_of(qmp)) {
        if (std::chrono::steady_clock::now() >= patience.deadline || !patience.go_on()) {
            throw QmpError(fmt::format("the export {} does not go away", id));
        }
        std::this_thread::sleep_for(pause);
    }
}

void remove_export(Qmp& qmp, std::string_view id, bool hard, const Patience& patience) {
    const auto deadline = std::chrono::steady_clock::now() + leave_limit;
    for (;;) {
        try {
            qmp.execute("block-export-del", {{"id", id}, {"mode", hard ? "hard" : "safe"}});
            break;
        } catch (const QmpRefusal& refusal) {
            if (std::chrono::steady_clock::now() >= deadline || !patience.go_on()) {
                throw QmpRefusal(
                    fmt::format("{} (who else is connected? mode=hard disconnects them)", refusal.what()));
            }
        }
        std::this_thread::sleep_for(pause);
    }
    wait_until_gone(qmp, id, patience);
}

} // namespace

json::array exports_of(Qmp& qmp) {
    json::value exports = qmp.execute("query-block-exports");
    if (!exports.is_array()) {
        throw QmpError("query-block-exports returned no array");
    }
    return std::move(exports.as_array());
}

const json::object* find_export(const json::array& exports, std::string_view id) {
    for (const json::value& entry : exports) {
        if (entry.is_object() && text_of(entry.as_object(), "id") == id) {
            return &entry.as_object();
        }
    }
    return nullptr;
}

std::uint64_t node_size(Qmp& qmp, std::string_view node) {
    const json::value nodes = qmp.execute("query-named-block-nodes", {{"flat", true}});
    std::string known;
    for (const json::value& entry : nodes.is_array() ? nodes.as_array() : json::array()) {
        const std::string name = text_of(entry.as_object(), "node-name");
        if (name == node) {
            return json::value_to<std::uint64_t>(entry.at("image").at("virtual-size"));
        }
        known += (known.empty() ? "" : ", ") + name;
    }
    throw QmpError(fmt::format("there is no block node {}; there are {}", node, known));
}

QmpResizer::QmpResizer(QmpOptions options)
  : options_(std::move(options)) {}

std::string QmpResizer::describe() const {
    const std::string node = text_of(settings_, "node-name");
    return fmt::format("block_resize{} through {}", node.empty() ? "" : " of " + node, options_.socket);
}

json::object QmpResizer::choose(const json::array& exports, const QmpOptions& options) {
    std::string known;
    const json::object* chosen = nullptr;
    bool several = false;
    for (const json::value& entry : exports) {
        const json::object& candidate = entry.as_object();
        if (text_of(candidate, "type") != "nbd") {
            continue;
        }
        known += fmt::format("{}{} (node {})", known.empty() ? "" : ", ", text_of(candidate, "id"),
                             text_of(candidate, "node-name"));
        const bool fits = (options.export_id.empty() || text_of(candidate, "id") == options.export_id) &&
                          (options.node.empty() || text_of(candidate, "node-name") == options.node);
        several = several || (fits && chosen != nullptr);
        chosen = fits ? &candidate : chosen;
    }
    if (chosen == nullptr || several) {
        throw std::runtime_error(
            fmt::format("--resize-with: {}: say which one is meant by qmp:SOCKET,export=ID; there {}",
                        several ? "several NBD exports fit" : "no NBD export fits",
                        known.empty() ? "is none" : "are " + known));
    }
    return {{"id", text_of(*chosen, "id")}, {"node-name", text_of(*chosen, "node-name")}};
}

void QmpResizer::attach(const std::string& uri, const InnerFacts& facts, const Patience& patience) {
    uri_ = uri;
    try {
        Qmp qmp(options_.socket, patience);
        settings_ = choose(exports_of(qmp), options_);
        const std::string node = text_of(settings_, "node-name");
        if (const std::uint64_t size = node_size(qmp, node); size != facts.size) {
            throw std::runtime_error(fmt::format(
                "--resize-with: the node {} has {} bytes, but {} serves {}; is it the node that the "
                "export shows?",
                node, size, uri, facts.size));
        }
    } catch (const QmpError& error) {
        throw std::runtime_error(fmt::format("--resize-with: {}", error.what()));
    }
    const InnerDetails details = details_of(uri, patience);
    settings_["type"] = "nbd";
    settings_["name"] = details.name;
    settings_["writable"] = !facts.read_only;
    if (!details.description.empty()) {
        settings_["description"] = details.description;
    }
    if (!options_.iothread.empty()) {
        settings_["iothread"] = options_.iothread;
    }
    constexpr std::string_view bitmap = "qemu:dirty-bitmap:";
    json::array bitmaps;
    for (const std::string& context : details.contexts) {
        if (context == "qemu:allocation-depth") {
            settings_["allocation-depth"] = true;
        } else if (context.starts_with(bitmap)) {
            bitmaps.emplace_back(context.substr(bitmap.size()));
        }
    }
    if (!bitmaps.empty()) {
        settings_["bitmaps"] = std::move(bitmaps);
    }
}

void QmpResizer::repair(const Patience& patience) {
    const auto note = read_note(options_.state());
    if (!note) {
        return;
    }
    const std::string id = text_of(note->settings, "id");
    const std::string node = text_of(note->settings, "node-name");
    std::string done;
    try {
        Qmp qmp(options_.socket, patience);
        const json::array exports = exports_of(qmp);
        if (find_export(exports, aside) != nullptr) {
            remove_export(qmp, aside, true, patience);
        }
        if (find_export(exports, id) != nullptr) {
            done = "the export is there";
        } else {
            // A growth that nobody was told of may expose old bytes; a shrink cannot be undone.
            if (note->to > note->from && node_size(qmp, node) > note->from) {
                qmp.execute("block_resize", {{"node-name", node}, {"size", note->from}});
            }
            qmp.execute("block-export-add", note->settings);
            done = "the export was added again";
        }
        fmt::print(stderr,
                   "nbd-resize-server: a change of node {} from {} to {} bytes was not finished: {}, with {} "
                   "bytes\n",
                   node, note->from, note->to, done, node_size(qmp, node));
    } catch (const QmpError& error) {
        throw std::runtime_error(fmt::format(
            "a change of node {} from {} to {} bytes was not finished ({}), and the export cannot be "
            "put back: {}; once it is there again, by block-export-add with {}, all is well",
            node, note->from, note->to, options_.state(), error.what(), json::serialize(note->settings)));
    }
    remove_note(options_.state());
}

Failure QmpResizer::change(const SizeChange& change, const Patience& patience) {
    Failure failure;
    try {
        Qmp qmp(options_.socket, patience);
        const std::string id = text_of(settings_, "id");
        if (find_export(exports_of(qmp), id) == nullptr) {
            return {nbd::Error::io, fmt::format("the monitor knows no export {} any more", id)};
        }
        write_note(options_.state(), {settings_, change.from, change.to});
        remove_export(qmp, id, options_.hard, patience);
        failure = resize(qmp, change, patience);
        if (failure.error == nbd::Error::none) {
            qmp.execute("block-export-add", settings_);
            remove_note(options_.state());
        }
    } catch (const std::runtime_error& error) {
        failure = {nbd::Error::io, error.what()};
    }
    // What is left undone is undone, or else found by the next attempt to connect.
    try {
        repair(patience);
    } catch (const std::runtime_error& error) {
        failure.message += fmt::format("; {}", error.what());
    }
    return failure;
}

Failure QmpResizer::resize(Qmp& qmp, const SizeChange& change, const Patience& patience) const {
    const bool grows = change.to > change.from;
    try {
        qmp.execute("block_resize", {{"node-name", text_of(settings_, "node-name")}, {"size", change.to}});
    } catch (const QmpRefusal& refusal) {
        return {grows ? nbd::Error::nospc : nbd::Error::perm, refusal.what()};
    }
    // QEMU leaves in place what an earlier shrink has cut off within a cluster.
    if (!grows || (change.leave_old_bytes && !change.allocate)) {
        return {};
    }
    qmp.execute("block-export-add", {{"type", "nbd"},
                                     {"id", aside},
                                     {"name", aside},
                                     {"node-name", text_of(settings_, "node-name")},
                                     {"writable", true}});
    {
        const InnerHandle handle = connect_inner(uri_, patience, aside);
        make_zero(handle.get(), change.from, change.to, change.allocate, patience);
        leave_inner(handle.get());
    }
    remove_export(qmp, aside, true, patience);
    return {};
}

} // namespace refserver
