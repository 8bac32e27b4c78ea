// The tables of the oracle against a second derivation from the text of the extension: a server and a client
// in miniature that live through every combination. The tables say what comes out, the model says what
// happens.

#include "harness/knobs/oracle.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace harness {
namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t limit = 4 * mib;
constexpr std::uint64_t block = 4 * kib;
constexpr std::uint64_t sector = 512;

std::uint64_t round_up(std::uint64_t size, std::uint64_t granularity) {
    return (size + granularity - 1) / granularity * granularity;
}

/// The words of one side of a combination.
class Settings {
  public:
    Settings(const Knobs& knobs, Side side, std::size_t configuration) {
        for (const Knob& knob : knobs.of(side)) {
            words_[knob.name] = knobs.value(side, configuration, knob.name);
        }
    }

    [[nodiscard]] bool is(const std::string& knob, const std::string& value) const {
        return words_.at(knob) == value;
    }
    /// One of the two; many knobs have a value `both`.
    [[nodiscard]] bool is(const std::string& knob, const std::string& value, const std::string& other) const {
        return is(knob, value) || is(knob, other);
    }
    /// 0 simple, 1 structured, 2 extended.
    [[nodiscard]] int replies() const {
        return is("replies", "simple") ? 0 : is("replies", "structured") ? 1 : 2;
    }

  private:
    std::map<std::string, std::string> words_;
};

struct Info {
    bool explicitly, shrink, automatic, implicit, zeroed, query, notify;
    std::uint64_t granularity;
};

struct Chunk {
    std::uint64_t size;
    std::string flags;
};

struct Reply {
    std::string error = "none";
    std::optional<Chunk> chunk;
};

/// A server with one connection. Statements of the extension are followed in the order of RZ-AUTO-11 and
/// RZ-CMD-2.
class Server {
  public:
    Server(const Settings& knobs, int replies, bool asked)
      : knobs_(knobs)
      , structured_(replies > 0)
      , informs_(asked && knobs.is("advertise", "info")) {}

    [[nodiscard]] std::optional<Info> info() const {
        if (!informs_) {
            return std::nullopt;
        }
        return Info{knobs_.is("growth", "explicit", "both"),
                    knobs_.is("shrink", "allow"),
                    automatic(),
                    automatic() && knobs_.is("consent", "implicit"),
                    knobs_.is("fill", "zero"),
                    structured_ && knobs_.is("learn", "poll", "both"),
                    structured_ && knobs_.is("learn", "notify", "both"),
                    granularity()};
    }
    [[nodiscard]] bool flag() const { // RZ-FLAG-1
        const auto sent = info();
        return knobs_.is("growth", "explicit", "both") || (sent && (sent->query || sent->notify));
    }

    Reply resize(std::uint64_t wanted) { // section 4.1
        const bool chunks = informs_ && structured_;
        if (!chunks && wanted != size && wanted % granularity() != 0) {
            return {"EINVAL", {}};
        }
        if (wanted < size && !knobs_.is("shrink", "allow")) {
            return {"EPERM", {}};
        }
        std::uint64_t chosen = wanted;
        if (chunks && wanted != size) {
            chosen = round_up(wanted, granularity());
            if (wanted < size && chosen > size) {
                chosen = size;
            }
        }
        if (chosen > limit && chosen > size) {
            if (!chunks || !knobs_.is("sizing", "clamp") || size >= limit) {
                return {"ENOSPC", {}};
            }
            chosen = limit;
        }
        const std::string flags = change(chosen);
        return chunks ? Reply{"none", Chunk{chosen, flags}} : Reply{};
    }

    Reply write(std::uint64_t offset, std::uint64_t length, bool extend) { // section 3
        const std::uint64_t end = offset + length;
        if (extend && !(informs_ && automatic())) {
            return {"EINVAL", {}};
        }
        if (end <= size) {
            return {};
        }
        const std::uint64_t grown = round_up(end, granularity());
        if (!automatic() || !(extend || knobs_.is("consent", "implicit")) || grown > limit) {
            return {"ENOSPC", {}};
        }
        const std::string flags = change(grown);
        return extend && structured_ ? Reply{"none", Chunk{grown, flags}} : Reply{};
    }

    [[nodiscard]] std::string read(std::uint64_t offset, std::uint64_t length) const {
        return offset + length <= size ? "ok" : "EINVAL";
    }

    /// Any change; the flags that a chunk about it has, EXTERNAL left out.
    std::string change(std::uint64_t to) {
        const bool exposes = to > size;
        size = to;
        cut = std::min(cut, to);
        return exposes && knobs_.is("fill", "zero") ? "ZEROED" : "0";
    }

    /// What a block reads as that was written when the export was new, or that was exposed since.
    [[nodiscard]] std::string content(std::uint64_t offset, bool was_written) const {
        if (was_written && offset + block <= cut) {
            return "written";
        }
        return knobs_.is("fill", "zero") ? "zero" : was_written ? "written" : "old";
    }

    [[nodiscard]] const Settings& settings() const { return knobs_; }

    std::uint64_t size = mib;
    std::uint64_t cut = mib; ///< the smallest size that there has been

  private:
    [[nodiscard]] bool automatic() const { return knobs_.is("growth", "auto", "both"); }
    [[nodiscard]] std::uint64_t granularity() const { return knobs_.is("sizing", "round") ? 64 * kib : 1; }

    const Settings& knobs_;
    bool structured_;
    bool informs_;
};

/// A client that lives, and writes down what it sees.
class Client {
  public:
    Client(const Settings& knobs, Server& server, int replies)
      : knobs_(knobs)
      , server_(server)
      , info_(server.info())
      , structured_(replies > 0) {
        answers["style"] = std::array{"simple", "structured", "extended"}[static_cast<std::size_t>(replies)];
        answers["flag"] = server.flag() ? "set" : "clear";
        const auto capability = [&](const char* name, bool Info::*bit) {
            answers[std::string("info-") + name] = !info_ ? "-" : (*info_).*bit ? "yes" : "no";
        };
        capability("EXPLICIT", &Info::explicitly);
        capability("SHRINK", &Info::shrink);
        capability("AUTO", &Info::automatic);
        capability("AUTO_IMPLICIT", &Info::implicit);
        capability("ZEROED", &Info::zeroed);
        capability("QUERY", &Info::query);
        capability("NOTIFY", &Info::notify);
        answers["info-EXTERNAL"] = info_ ? "yes" : "-";
        answers["info-granularity"] = info_ ? std::to_string(info_->granularity) : "none";
        answers["info-smallest"] = info_ && info_->shrink ? std::to_string(64 * kib) : "none";
        answers["info-largest"] = info_ ? std::to_string(limit) : "none";
        answers["info-others"] = "0";
        answers["inside"] = server.read(0, block);
    }

    void grow(const std::string& step, std::uint64_t wanted) {
        const std::uint64_t before = believed_;
        std::string way = "none";
        Reply reply;
        if (knobs_.is("grow", "explicit") && server_.flag() && (!info_ || info_->explicitly)) {
            way = "explicit";
            reply = resize(wanted);
        } else if (knobs_.is("grow", "plain") && (!info_ || info_->implicit)) {
            way = "plain";
            reply = server_.write(wanted - sector, sector, false);
            adopt(reply, std::max(wanted, believed_));
        } else if (knobs_.is("grow", "flagged") && info_ && info_->automatic) {
            way = "flagged";
            reply = server_.write(wanted - sector, sector, true);
            adopt(reply, std::max(wanted, believed_));
        }
        answers[step + "-way"] = way;
        note(step, reply);
        if (step != "grow") {
            return;
        }
        const bool grew = believed_ > before;
        answers["new-end"] = !grew                                                              ? "none"
                             : server_.write(believed_ - sector, sector, false).error == "none" ? "ok"
                                                                                                : "error";
        const bool promised = (info_ && info_->zeroed) || (reply.chunk && reply.chunk->flags == "ZEROED");
        answers["promise"] = !grew ? "none" : promised ? "zero" : "nothing";
        answers["exposed"] = !grew ? "none" : server_.content(mib, false);
    }

    void shrink(std::uint64_t wanted) {
        Reply reply{"cannot", {}};
        if (knobs_.is("grow", "explicit") && server_.flag() && (!info_ || info_->shrink)) {
            reply = resize(wanted);
        }
        note("shrink", reply);
    }

    void learn(const std::string& external) {
        const bool notifies = knobs_.is("learn", "notify", "credits");
        const bool subscribes = notifies && info_ && info_->notify;
        const bool polls = (notifies || knobs_.is("learn", "poll")) && info_ && info_->query;
        answers["learn-way"] = knobs_.is("learn", "none") ? "none"
                               : subscribes               ? "notify"
                               : polls                    ? "poll"
                                                          : "reconnect";
        answers["subscribe-size"] = subscribes ? std::to_string(server_.size) : "none";
        open_ = subscribes;
        std::string flags = "none";
        if (external != "none") {
            const std::string exposed = server_.change(external == "grow" ? 6 * mib + 5 : 300000);
            notifications_ = subscribes ? 1 : 0;
            open_ = open_ && !knobs_.is("learn", "credits");
            flags = exposed == "0" ? "EXTERNAL" : exposed + "+EXTERNAL";
        }
        answers["external-size"] = std::to_string(server_.size);
        answers["learn-flags"] = subscribes ? flags : "none";
        if (answers["learn-way"] != "none") {
            believed_ = server_.size;
        }
        answers["learn-believed"] = std::to_string(believed_);

        const auto reads = [&](std::uint64_t end) { return server_.read(end - sector, sector); };
        answers["new-read"] = believed_ >= server_.size ? reads(server_.size) : "none";
        answers["stale-read"] = believed_ > server_.size ? reads(believed_) : "none";
        answers["kept"] =
            std::min(believed_, server_.size) >= mib ? server_.content(mib - block, true) : "none";
        ask_improperly();
        const std::string past = server_.write(server_.size + mib, sector, false).error;
        answers["past-end"] = past == "none" ? "grows" : past;
        answers["head"] = "written";
        const bool told = open_ && past == "none";
        answers["own-told"] = told ? server_.settings().is("fill", "zero") ? "ZEROED" : "0" : "none";
        notifications_ += told ? 1 : 0;
        open_ = open_ && !(told && knobs_.is("learn", "credits"));
        answers["notifications"] = subscribes ? std::to_string(notifications_) : "none";
        answers["subscription"] = !subscribes ? "none" : open_ ? "open" : "ended";
        answers["leave"] = "ok";
    }

    std::map<std::string, std::string> answers;

  private:
    /// A plain NBD_CMD_RESIZE; the client rounds itself where it knows the granularity and nothing will tell.
    Reply resize(std::uint64_t wanted) {
        const std::uint64_t sent = info_ && !structured_ ? round_up(wanted, info_->granularity) : wanted;
        Reply reply = server_.resize(sent);
        adopt(reply, sent);
        return reply;
    }
    /// What must be refused or changes nothing; the size stays, so that the order is of no concern.
    void ask_improperly() {
        for (const char* question : {"odd-length", "odd-size", "odd-hole", "odd-forms", "odd-query",
                                     "odd-notify", "odd-cancel", "odd-flag", "odd-read", "huge-write"}) {
            answers[question] = "EINVAL";
        }
        const std::string inside = server_.write(0, sector, true).error;
        answers["extend-inside"] = inside == "none" ? "ok" : inside;
        answers["read-past"] = server_.read(server_.size + mib, sector);
        answers["trim-past"] = server_.read(server_.size, sector);
        answers["same-size"] = !server_.flag()                                       ? "EINVAL"
                               : server_.settings().is("growth", "explicit", "both") ? "ok"
                                                                                     : "EPERM";
        answers["query"] = info_ && info_->query ? "truth" : "EINVAL";
        const bool unaligned = !(info_ && structured_) && server_.settings().is("sizing", "round");
        answers["below-smallest"] = !server_.flag()                                         ? "EINVAL"
                                    : server_.settings().is("growth", "none", "auto")       ? "EPERM"
                                    : server_.settings().is("shrink", "allow") || unaligned ? "EINVAL"
                                                                                            : "EPERM";
        answers["second-notify"] = open_ ? "EINVAL" : "none";
        answers["odd-size-after"] = std::to_string(server_.size);
    }
    void adopt(const Reply& reply, std::uint64_t otherwise) {
        if (reply.error == "none") {
            believed_ = reply.chunk ? reply.chunk->size : otherwise;
        }
    }
    void note(const std::string& step, const Reply& reply) {
        answers[step + "-error"] = reply.error;
        answers[step + "-told"] = reply.chunk ? reply.chunk->flags : "none";
        answers[step + "-size"] = std::to_string(server_.size);
        answers[step + "-believed"] = std::to_string(believed_);
    }

    const Settings& knobs_;
    Server& server_;
    std::optional<Info> info_;
    bool structured_;
    bool open_ = false; ///< the subscription
    unsigned notifications_ = 0;
    std::uint64_t believed_ = mib;
};

TEST(OracleAndModel, AgreeOnEveryCombination) {
    const Knobs knobs = Knobs::load(NBD_SOURCE_DIR "/scenarios/knobs.yaml");
    const Oracle oracle = Oracle::load(NBD_SOURCE_DIR "/scenarios/resize/life.yaml", knobs);
    std::size_t differences = 0;
    for (std::size_t index = 0; index < knobs.count() && differences < 10; ++index) {
        const Combination combination = knobs.combination(index);
        const Settings server_knobs(knobs, Side::server, combination.server);
        const Settings client_knobs(knobs, Side::client, combination.client);
        const int replies = std::min(server_knobs.replies(), client_knobs.replies());
        Server server(server_knobs, replies, client_knobs.is("ask", "info"));
        Client client(client_knobs, server, replies);
        client.grow("grow", mib + 100001);
        client.grow("over", limit + 1);
        client.shrink(512 * kib + 1);
        client.learn(knobs.value(Side::environment, combination.environment, "external"));

        ASSERT_EQ(client.answers.size(), oracle.questions().size());
        for (std::size_t question = 0; question < oracle.questions().size(); ++question) {
            const std::string& name = oracle.questions()[question].name;
            if (client.answers.at(name) != oracle.answer(index, question).plain()) {
                ++differences;
                ADD_FAILURE() << name << ": the model has " << client.answers.at(name) << ", the table "
                              << oracle.answer(index, question).plain() << " in line "
                              << oracle.row(index, question).position.line << "; " << knobs.text(combination);
            }
        }
    }
}

} // namespace
} // namespace harness
