#include "reports/results_json.hpp"
#include "reports/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace reports {
namespace {

std::string shard_name(const RunResult& shard, std::size_t index) {
    return shard.source.empty() ? fmt::format("shard {} (started {})", index + 1, shard.started)
                                : shard.source;
}

/// Values that differ are all kept, "a; b".
void unite(std::string& into, const std::string& value) {
    const bool there = ("; " + into + "; ").find("; " + value + "; ") != std::string::npos;
    if (!there) {
        into += "; " + value;
    }
}

/// Takes over the items whose identifiers are not there yet.
template <typename Item>
void unite_by_id(std::vector<Item>& into, std::vector<Item> items) {
    for (auto& item : items) {
        if (std::ranges::find(into, item.id, &Item::id) == into.end()) {
            into.push_back(std::move(item));
        }
    }
}

/// Moves all items behind those that are there. Counts of two shards stay two tables: what they have in
/// common cannot be told from counts.
template <typename Item>
void append(std::vector<Item>& into, std::vector<Item> items) {
    std::ranges::move(items, std::back_inserter(into));
}

/// Collects the peers of all shards; a version found by one shard has to be that of the others.
class PeerUnion {
  public:
    void add(std::vector<PeerInfo> peers, const std::string& shard) {
        for (auto& peer : peers) {
            const auto key = std::pair(peer.role, peer.name);
            const auto [at, is_new] = index_.emplace(key, united_.size());
            if (is_new) {
                if (peer.version) {
                    found_by_[key] = shard;
                }
                united_.push_back(std::move(peer));
            } else {
                combine(united_[at->second], peer, shard, found_by_[key]);
            }
        }
    }

    [[nodiscard]] std::vector<PeerInfo> take() { return std::move(united_); }

  private:
    static void combine(PeerInfo& into, const PeerInfo& peer, const std::string& shard,
                        std::string& found_by) {
        if (into.version && peer.version && *into.version != *peer.version) {
            throw ResultsError(
                fmt::format("{} {} is version {} in {} and version {} in {}: run all shards with the same "
                            "versions, or report on them separately",
                            peer.role, peer.name, *into.version, found_by, *peer.version, shard));
        }
        if (!into.version && peer.version) {
            into.version = peer.version;
            found_by = shard;
        }
        for (const auto& variant : peer.variants) {
            if (std::ranges::find(into.variants, variant) == into.variants.end()) {
                into.variants.push_back(variant);
            }
        }
    }

    using Key = std::pair<std::string, std::string>;
    std::vector<PeerInfo> united_;
    std::map<Key, std::size_t> index_;
    std::map<Key, std::string> found_by_; ///< the shard that the version is from
};

void drop_what_was_seen(RunResult& run) {
    std::set<std::string_view> seen;
    for (const auto& result : run.cases) {
        for (const auto& finding : result.findings) {
            seen.insert(finding.deviation);
        }
    }
    std::erase_if(run.stale, [&seen](const StaleDeviation& stale) { return seen.contains(stale.id); });
}

} // namespace

RunResult merge(std::vector<RunResult> shards) {
    if (shards.empty()) {
        throw ResultsError("there are no results to merge: name at least one results file");
    }
    RunResult out;
    PeerUnion peers;
    std::map<std::string, std::string> shard_of_case;
    for (std::size_t i = 0; i < shards.size(); ++i) {
        auto& shard = shards[i];
        const auto this_shard = shard_name(shard, i);
        for (auto& result : shard.cases) {
            const auto [at, is_new] = shard_of_case.emplace(result.id, this_shard);
            if (!is_new) {
                throw ResultsError(
                    fmt::format("case \"{}\" is both in {} and in {}: every case belongs to one shard only",
                                one_line(result.id, 200), at->second, this_shard));
            }
            out.cases.push_back(std::move(result));
        }
        if (i == 0) {
            out.suite = shard.suite;
            out.started = shard.started;
        } else {
            unite(out.suite, shard.suite);
            out.started = std::min(out.started, shard.started);
        }
        out.seconds = std::max(out.seconds, shard.seconds);
        for (const auto& [key, value] : shard.properties) {
            const auto [at, is_new] = out.properties.emplace(key, value);
            if (!is_new) {
                unite(at->second, value);
            }
        }
        peers.add(std::move(shard.peers), this_shard);
        unite_by_id(out.stale, std::move(shard.stale));
        unite_by_id(out.deviations, std::move(shard.deviations));
        unite_by_id(out.requirements, std::move(shard.requirements));
        append(out.tables, std::move(shard.tables));
        for (EvidenceQuestion& question : shard.questions) {
            add_question(out, std::move(question));
        }
    }
    out.peers = peers.take();
    drop_what_was_seen(out);
    return out;
}

void rebase_folders(RunResult& run, const std::filesystem::path& from, const std::filesystem::path& to) {
    // The directory of a file that is named without one is the empty path, which has no absolute form.
    const auto absolute = [](const std::filesystem::path& directory) {
        return std::filesystem::absolute(directory.empty() ? "." : directory).lexically_normal();
    };
    const auto base = absolute(from);
    const auto target = absolute(to);
    for (auto& result : run.cases) {
        if (!result.folder.empty()) {
            result.folder = (base / result.folder).lexically_normal().lexically_relative(target);
        }
    }
}

} // namespace reports
