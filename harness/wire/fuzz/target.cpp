#include "harness/wire/fuzz/target.hpp"

#include "harness/wire/judge.hpp"
#include "harness/wire/tests/conversation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace wire::fuzz {
namespace {

void require(bool holds, std::string_view what) {
    if (!holds) {
        throw Misconduct(std::string(what));
    }
}

/// Takes notes of what a judge tells.
class Notes final : public JudgeObserver {
  public:
    explicit Notes(bool words)
      : words_(words) {}

    [[nodiscard]] bool wants_messages() const override { return words_; }
    void message(const Message& message) override {
        require(message.text.find('\n') == std::string::npos, "a message of several lines");
    }
    void violation(const Violation& violation) override {
        require(!violation.what.empty(), "a violation without words");
        told += fmt::format("{} {} {}\n", violation.requirement, name(violation.by), violation.offset);
        require(violation.offset <= taken_[static_cast<int>(violation.by)], "a violation beyond what came");
    }
    void took(Side from, nbd::Bytes bytes, bool /*bulk*/) override {
        taken_[static_cast<int>(from)] += bytes.size();
    }
    void skipped(Side from, std::uint64_t bytes) { taken_[static_cast<int>(from)] += bytes; }

    std::string told;

  private:
    bool words_;
    std::uint64_t taken_[2] = {0, 0};
};

/// What the peers have said before the script begins.
class Prelude final : public Conversation {
  public:
    struct Part {
        Side from;
        nbd::Buffer bytes;
    };
    explicit Prelude(std::uint8_t chosen) {
        using nbd::InfoType;
        namespace has = nbd::transmission_flag;
        namespace can = nbd::resize_capability;
        ExportTraits traits;
        traits.flags = 0x1fff & ~has::read_only;
        traits.block = nbd::InfoBlockSize{InfoType::block_size, 512, 4096, 1U << 20};
        traits.contexts = {{1, "base:allocation"}, {2, "x-fuzz:two"}};
        traits.resize = nbd::InfoResize{InfoType::resize,
                                        can::explicit_ | can::shrink | can::automatic | can::query |
                                            can::notify | can::external,
                                        512, 0, 4U << 20};
        switch (chosen % 6) {
        case 1:
            hello();
            break;
        case 2:
            simple();
            break;
        case 3:
            structured(traits);
            break;
        case 4:
            extended(traits);
            break;
        case 5:
            structured(traits).request(nbd::Command::read, 4096, 8192);
            request(nbd::Command::block_status, 0, 65536);
            request(nbd::Command::resize, 0, 2, nbd::command_flag::notify);
            break;
        default:
            break;
        }
    }
    void took(Side from, nbd::Bytes bytes, bool /*bulk*/) override {
        parts.push_back({from, {bytes.begin(), bytes.end()}});
    }
    std::vector<Part> parts;
};

/// Gives a script to one judge as it stands, and to another one byte by byte.
class Stage {
  public:
    void feed(Side from, nbd::Bytes bytes) {
        whole_.feed(from, bytes);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            pieces_.feed(from, bytes.subspan(i, 1));
        }
        check();
    }
    void skip(Side from, std::uint64_t bytes) {
        whole_notes_.skipped(from, bytes);
        pieces_notes_.skipped(from, bytes);
        whole_.skip(from, bytes);
        pieces_.skip(from, bytes);
        check();
    }
    void end(Side by, End how) {
        whole_.end(by, how);
        pieces_.end(by, how);
        check();
    }
    void stop() {
        whole_.stop();
        pieces_.stop();
    }

  private:
    void check() {
        require(whole_.state().open.size() <= Judge::most_open, "more open requests than are allowed");
        require(whole_notes_.told == pieces_notes_.told, "fragments make a difference");
        require(whole_.lost() == pieces_.lost(), "fragments make a difference to how far it is judged");
    }

    Notes whole_notes_{true};
    Notes pieces_notes_{false};
    KnownSizes whole_sizes_;
    KnownSizes pieces_sizes_;
    Judge whole_{whole_notes_, whole_sizes_};
    Judge pieces_{pieces_notes_, pieces_sizes_};
};

} // namespace

void play(nbd::Bytes script) {
    if (script.empty()) {
        return;
    }
    Stage stage;
    for (const auto& part : Prelude(script[0]).parts) {
        stage.feed(part.from, part.bytes);
    }
    std::size_t at = 1;
    while (at + 2 <= script.size()) {
        const std::uint8_t head = script[at];
        const Side side = (head & 1) == 0 ? Side::client : Side::server;
        const std::size_t length = script[at + 1];
        at += 2;
        switch ((head >> 1) & 7) {
        case 5:
            stage.skip(side, length << ((head >> 4) & 7));
            break;
        case 6:
            stage.end(side, (head & 16) == 0 ? End::closed : End::reset);
            break;
        case 7:
            stage.stop();
            break;
        default: {
            const auto bytes = script.subspan(at, std::min(length, script.size() - at));
            stage.feed(side, bytes);
            at += bytes.size();
            break;
        }
        }
    }
}

} // namespace wire::fuzz
