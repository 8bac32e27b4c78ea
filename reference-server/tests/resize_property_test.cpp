// Several connections that write, resize and subscribe at random, and somebody outside, against a model.

#include "protocol/resize.hpp"
#include "protocol/transmission.hpp"
#include "reference-server/catalogue.hpp"
#include "reference-server/session/session.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <rapidcheck.h>
#include <string>
#include <vector>

namespace refserver {
namespace {

using nbd::detail::load_big;
using nbd::detail::store_big;

constexpr std::uint64_t limit = 256 << 10;

/// The configuration that is drawn, and what it makes of a request.
struct Rules {
    bool explicit_growth = false;
    bool automatic = false;
    bool implicit = false;
    bool zero = false;
    bool shrinks = false;
    bool clamps = false;
    std::uint64_t granularity = 1;

    [[nodiscard]] std::string name(std::uint64_t size) const {
        const bool grows = explicit_growth || automatic;
        std::string text = fmt::format("advertise=info,learn=both,size={},limit={},granularity={},growth={}",
                                       size, limit, granularity,
                                       explicit_growth && automatic ? "both"
                                       : explicit_growth            ? "explicit"
                                       : automatic                  ? "auto"
                                                                    : "none");
        text += automatic ? (implicit ? ",consent=implicit" : ",consent=opt-in") : "";
        text += grows ? (zero ? ",fill=zero" : ",fill=unspecified") : "";
        text += grows ? (clamps ? ",sizing=clamp" : ",sizing=round") : "";
        text += explicit_growth ? (shrinks ? ",shrink=allow" : ",shrink=deny") : "";
        return text;
    }
    [[nodiscard]] std::uint64_t up(std::uint64_t size) const {
        return (size + granularity - 1) / granularity * granularity;
    }
};

/// The disk as clients must see it: its bytes, and nothing where they are not promised.
struct Model {
    std::vector<std::optional<std::uint8_t>> bytes;

    [[nodiscard]] std::uint64_t size() const { return bytes.size(); }
    void resize(std::uint64_t size, const Rules& rules) {
        const bool promised = (rules.explicit_growth || rules.automatic) && rules.zero;
        bytes.resize(size, promised ? std::optional<std::uint8_t>(0) : std::nullopt);
    }
};

struct Reply {
    bool done = false;
    nbd::ChunkType type = nbd::ChunkType::none;
    std::uint64_t cookie = 0;
    nbd::Buffer payload;
};

/// A connection with extended headers that asked for everything.
class Client {
  public:
    Client(ExportCatalogue& catalogue, const std::string& name)
      : session_(options_, catalogue, pool_, trace_) {
        session_.on_size_change([this] { woken_ = true; });
        nbd::Buffer handshake(4);
        handshake[3] = 3;
        const auto option = [&](std::uint32_t number, const nbd::Buffer& payload) {
            std::array<std::uint8_t, 16> header;
            store_big(header.data(), nbd::option_magic);
            store_big(header.data() + 8, number);
            store_big(header.data() + 12, static_cast<std::uint32_t>(payload.size()));
            handshake.insert(handshake.end(), header.begin(), header.end());
            handshake.insert(handshake.end(), payload.begin(), payload.end());
        };
        option(11, {});
        nbd::Buffer go(4);
        store_big(go.data(), static_cast<std::uint32_t>(name.size()));
        go.insert(go.end(), name.begin(), name.end());
        go.insert(go.end(), {0, 1, 0, 4});
        option(7, go);
        feed(handshake);
        take_all();
        received_.clear();
    }

    void send(std::uint16_t flags, nbd::Command type, std::uint64_t cookie, std::uint64_t offset,
              std::uint64_t length, const nbd::Buffer& payload = {}) {
        const auto with_payload =
            static_cast<std::uint16_t>(flags | (payload.empty() ? 0 : nbd::command_flag::payload_len));
        nbd::Buffer message = nbd::encode(nbd::ExtendedRequest{with_payload, type, cookie, offset, length});
        message.insert(message.end(), payload.begin(), payload.end());
        feed(message);
    }

    /// Reads everything that waits.
    std::vector<Reply> take_all() {
        work();
        while (!session_.output().empty()) {
            receive(~std::uint64_t{0});
            work();
        }
        std::vector<Reply> replies;
        while (received_.size() >= 32 &&
               load_big<std::uint32_t>(received_.data()) == nbd::extended_reply_magic) {
            const auto length = load_big<std::uint64_t>(received_.data() + 24);
            Reply reply;
            reply.done = (received_[5] & 1) != 0;
            reply.type = static_cast<nbd::ChunkType>(load_big<std::uint16_t>(received_.data() + 6));
            reply.cookie = load_big<std::uint64_t>(received_.data() + 8);
            const auto end = received_.begin() + 32 + static_cast<std::ptrdiff_t>(length);
            reply.payload.assign(received_.begin() + 32, end);
            received_.erase(received_.begin(), end);
            replies.push_back(std::move(reply));
        }
        return replies;
    }

    /// Reads that many bytes at most, so that something is left half sent.
    void take_some(std::uint64_t size) { receive(size); }
    [[nodiscard]] std::uint64_t waiting() const { return session_.output().size(); }

    void work() {
        if (std::exchange(woken_, false)) {
            session_.tell_size();
        }
        while (Operation* operation = session_.next_operation()) {
            session_.served().perform(*operation);
            session_.complete(*operation);
        }
    }

    /// What is known of the open subscription.
    struct Subscribed {
        std::uint64_t cookie = 0;
        std::uint64_t credit = 0; ///< 0 for no limit
        std::uint64_t told = 0;   ///< the size that was reported last
        std::uint64_t notes = 0;
        std::uint64_t changes = 0; ///< how many there have been
    };
    std::optional<Subscribed> subscribed;

  private:
    void feed(nbd::Bytes input) {
        while (!input.empty()) {
            RC_ASSERT(session_.wants_input());
            std::size_t taken = 0;
            for (const iovec& space : session_.input_space()) {
                const std::size_t part = std::min(space.iov_len, input.size());
                if (part != 0) {
                    std::memcpy(space.iov_base, input.data(), part);
                }
                input = input.subspan(part);
                taken += part;
            }
            session_.received(taken);
            work();
        }
    }

    void receive(std::uint64_t most) {
        std::array<iovec, 5> vectors;
        std::uint64_t got = 0;
        const std::size_t count = session_.output().gather(vectors);
        for (std::size_t i = 0; i < count && most != 0; ++i) {
            const auto part = std::min<std::uint64_t>(vectors.at(i).iov_len, most);
            const auto* from = static_cast<const std::uint8_t*>(vectors.at(i).iov_base);
            received_.insert(received_.end(), from, from + part);
            got += part;
            most -= part;
        }
        session_.sent(got);
    }

    const SessionOptions options_;
    BufferPool pool_;
    const Trace trace_;
    bool woken_ = false;
    Session session_;
    nbd::Buffer received_;
};

/// One story: a disk, its clients, and the model beside them.
class Story {
  public:
    Story()
      : rules_(draw_rules())
      , name_(rules_.name(first_size))
      , outside_(catalogue_.find(name_).served) {
        RC_ASSERT(outside_ != nullptr);
        model_.bytes.assign(first_size, std::uint8_t{0});
        for (int i = 0; i < 3; ++i) {
            clients_.push_back(std::make_unique<Client>(catalogue_, name_));
        }
    }

    void step() {
        Client& client = *clients_.at(*rc::gen::inRange<std::size_t>(0, clients_.size()));
        switch (*rc::gen::weightedElement<int>(
            {{4, 0}, {3, 1}, {3, 2}, {2, 3}, {2, 4}, {1, 5}, {2, 6}, {1, 7}})) {
        case 0:
            return write(client, false);
        case 1:
            return write(client, true);
        case 2:
            return resize(client);
        case 3:
            return from_outside();
        case 4:
            return read(client);
        case 5:
            return cancel(client);
        case 6:
            return subscribe(client);
        default:
            for (const auto& each : clients_) {
                each->work();
            }
            client.take_some(*rc::gen::inRange<std::uint64_t>(1, 60));
        }
    }

    void finish() {
        for (const auto& client : clients_) {
            (void)answers(*client, 0);
            // The last size that was told is the present one (RZ-NOTE-4).
            RC_ASSERT(!client->subscribed || client->subscribed->told == model_.size());
            read_all(*client);
        }
        RC_ASSERT(outside_->size() == model_.size());
    }

  private:
    static constexpr std::uint64_t first_size = 100000;

    static Rules draw_rules() {
        Rules rules;
        rules.explicit_growth = *rc::gen::arbitrary<bool>();
        rules.automatic = *rc::gen::arbitrary<bool>();
        rules.implicit = *rc::gen::arbitrary<bool>();
        rules.zero = *rc::gen::arbitrary<bool>();
        rules.shrinks = *rc::gen::arbitrary<bool>();
        rules.clamps = *rc::gen::arbitrary<bool>();
        rules.granularity = *rc::gen::element<std::uint64_t>(1, 512, 65536);
        return rules;
    }

    std::uint64_t draw_size() const {
        return *rc::gen::oneOf(
            rc::gen::inRange<std::uint64_t>(0, limit + 5000),
            rc::gen::element<std::uint64_t>(0, 4096, 65536, limit, limit + 1, model_.size()));
    }

    void change(std::uint64_t size) {
        if (size == model_.size()) {
            return;
        }
        model_.resize(size, rules_);
        for (const auto& client : clients_) {
            if (client->subscribed) {
                ++client->subscribed->changes;
            }
        }
    }

    /// Takes what came; notifications are checked, the answer to `cookie` is returned.
    std::vector<Reply> answers(Client& client, std::uint64_t cookie) {
        std::vector<Reply> wanted;
        for (Reply& reply : client.take_all()) {
            auto& subscribed = client.subscribed;
            if (!subscribed || reply.cookie != subscribed->cookie) {
                RC_ASSERT(reply.cookie == cookie);
                wanted.push_back(std::move(reply));
                continue;
            }
            RC_ASSERT(reply.type == nbd::ChunkType::resize);
            RC_ASSERT(reply.payload.size() == 12U);
            subscribed->told = load_big<std::uint64_t>(reply.payload.data());
            ++subscribed->notes;
            // The first chunk is none of them, and costs nothing (RZ-NOTE-2, RZ-NOTE-6).
            RC_ASSERT(subscribed->notes <= subscribed->changes + 1);
            RC_ASSERT(subscribed->credit == 0 || subscribed->notes <= subscribed->credit + 1);
            RC_ASSERT(reply.done == (subscribed->credit != 0 && subscribed->notes == subscribed->credit + 1));
            if (reply.done) {
                subscribed.reset();
            }
        }
        return wanted;
    }

    Reply answer(Client& client, std::uint64_t cookie) {
        auto replies = answers(client, cookie);
        RC_ASSERT(replies.size() == 1U);
        RC_ASSERT(replies.front().done);
        return replies.front();
    }

    static void expect_error(const Reply& reply, nbd::Error error) {
        RC_ASSERT(reply.type == nbd::ChunkType::error);
        RC_ASSERT(load_big<std::uint32_t>(reply.payload.data()) == static_cast<std::uint32_t>(error));
    }

    static void expect_size(const Reply& reply, std::uint64_t size, std::uint32_t flags) {
        RC_ASSERT(reply.type == nbd::ChunkType::resize);
        RC_ASSERT(load_big<std::uint64_t>(reply.payload.data()) == size);
        RC_ASSERT(load_big<std::uint32_t>(reply.payload.data() + 8) == flags);
    }

    void write(Client& client, bool zeroes) {
        const std::uint64_t offset = draw_size();
        const auto length = *rc::gen::inRange<std::uint64_t>(0, 9000);
        const bool extend = rules_.automatic && *rc::gen::arbitrary<bool>();
        const auto value = static_cast<std::uint8_t>(zeroes ? 0 : *rc::gen::inRange(1, 255));
        const std::uint16_t flags = extend ? nbd::command_flag::extend : std::uint16_t{0};
        const std::uint64_t cookie = ++last_cookie_;
        client.send(flags, zeroes ? nbd::Command::write_zeroes : nbd::Command::write, cookie, offset, length,
                    zeroes ? nbd::Buffer{} : nbd::Buffer(length, value));
        const std::uint64_t before = model_.size();
        const bool beyond = offset + length > before;
        const bool extends = beyond && length != 0 && rules_.automatic && (extend || rules_.implicit);
        const std::uint64_t after = extends ? rules_.up(offset + length) : before;
        if ((beyond && !extends) || (extends && after > limit)) {
            return expect_error(answer(client, cookie), nbd::Error::nospc);
        }
        change(after);
        std::fill_n(model_.bytes.begin() + static_cast<std::ptrdiff_t>(offset), length, value);
        const Reply reply = answer(client, cookie);
        if (extends && extend) {
            const bool exposes = offset > before || after > offset + length;
            return expect_size(reply, after,
                               exposes && rules_.zero ? nbd::resize_flag::zeroed : std::uint32_t{0});
        }
        RC_ASSERT(reply.type == nbd::ChunkType::none);
    }

    void resize(Client& client) {
        const std::uint64_t wanted = draw_size();
        const std::uint64_t cookie = ++last_cookie_;
        const std::uint64_t before = model_.size();
        client.send(0, nbd::Command::resize, cookie, wanted, 0);
        if (!rules_.explicit_growth || (wanted < before && !rules_.shrinks)) {
            return expect_error(answer(client, cookie), nbd::Error::perm);
        }
        std::uint64_t after = wanted == before ? before : rules_.up(wanted);
        if (wanted < before) {
            after = std::min(after, before);
        } else if (after > before && after > limit) {
            if (!rules_.clamps || limit <= before) {
                return expect_error(answer(client, cookie), nbd::Error::nospc);
            }
            after = limit;
        }
        change(after);
        expect_size(answer(client, cookie), after,
                    after > before && rules_.zero ? nbd::resize_flag::zeroed : std::uint32_t{0});
    }

    void from_outside() {
        const std::uint64_t size = draw_size();
        RC_ASSERT(outside_->resize_from_outside(size) == std::nullopt);
        change(size);
    }

    void read(Client& client, std::uint64_t offset, std::uint64_t length) {
        const std::uint64_t cookie = ++last_cookie_;
        client.send(0, nbd::Command::read, cookie, offset, length);
        const auto replies = answers(client, cookie);
        if (offset + length > model_.size()) {
            RC_ASSERT(replies.size() == 1U);
            return expect_error(replies.front(), nbd::Error::inval);
        }
        std::uint64_t at = offset;
        for (const Reply& reply : replies) {
            RC_ASSERT(reply.done == (&reply == &replies.back()));
            if (reply.type == nbd::ChunkType::offset_hole) {
                const auto hole = load_big<std::uint32_t>(reply.payload.data() + 8);
                for (const std::uint64_t end = at + hole; at < end; ++at) {
                    RC_ASSERT(model_.bytes[at].value_or(0) == 0);
                }
            } else if (reply.type == nbd::ChunkType::offset_data) {
                for (auto byte = reply.payload.begin() + 8; byte != reply.payload.end(); ++byte, ++at) {
                    RC_ASSERT(model_.bytes[at].value_or(*byte) == *byte);
                }
            }
        }
        RC_ASSERT(at == offset + length);
    }

    void read(Client& client) { read(client, draw_size(), *rc::gen::inRange<std::uint64_t>(0, 20000)); }
    void read_all(Client& client) { read(client, 0, model_.size()); }

    void subscribe(Client& client) {
        (void)answers(client, 0);
        const std::uint64_t cookie = ++last_cookie_;
        const auto credit = *rc::gen::inRange<std::uint64_t>(0, 4);
        const bool open = client.subscribed.has_value();
        client.send(nbd::command_flag::notify, nbd::Command::resize, cookie, 0, credit);
        if (open) {
            return expect_error(answer(client, cookie), nbd::Error::inval);
        }
        client.subscribed = Client::Subscribed{cookie, credit, 0, 0, 0};
        RC_ASSERT(answers(client, 0).empty());
        RC_ASSERT(client.subscribed->notes == 1U);
        RC_ASSERT(client.subscribed->told == model_.size());
    }

    void cancel(Client& client) {
        (void)answers(client, 0);
        const std::uint64_t cookie = ++last_cookie_;
        const std::uint64_t subscription =
            client.subscribed ? client.subscribed->cookie : *rc::gen::inRange<std::uint64_t>(0, cookie);
        client.send(nbd::command_flag::cancel, nbd::Command::resize, cookie, subscription, 0);
        const auto replies = client.take_all();
        if (!client.subscribed) {
            RC_ASSERT(replies.size() == 1U);
            return expect_error(replies.front(), nbd::Error::inval);
        }
        RC_ASSERT(replies.size() == 2U);
        RC_ASSERT(replies[0].cookie == subscription);
        RC_ASSERT(replies[1].cookie == cookie);
        for (const Reply& reply : replies) {
            RC_ASSERT(reply.done);
            RC_ASSERT(reply.type == nbd::ChunkType::none);
        }
        client.subscribed.reset();
    }

    KnobCatalogue catalogue_{DiskOptions{}};
    const Rules rules_;
    const std::string name_;
    const std::shared_ptr<Export> outside_;
    std::vector<std::unique_ptr<Client>> clients_;
    Model model_;
    std::uint64_t last_cookie_ = 0;
};

TEST(ResizeProperty, connections_see_what_the_model_sees) {
    EXPECT_TRUE(rc::check("random requests of several connections", [] {
        Story run;
        const auto steps = *rc::gen::inRange(1, 60);
        for (int i = 0; i < steps; ++i) {
            run.step();
        }
        run.finish();
    }));
}

} // namespace
} // namespace refserver
