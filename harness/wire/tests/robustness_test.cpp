// The judge on whatever comes: cut in any way, or no protocol at all.

#include "harness/wire/tests/rule_cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace wire {
namespace {

/// Bytes of one side, or its end.
struct Part {
    Side from = Side::client;
    nbd::Buffer bytes;
    std::optional<End> end;
};

/// Writes down what a conversation has said.
class Recorder : public Conversation {
  public:
    void took(Side from, nbd::Bytes bytes, bool /*bulk*/) override {
        if (!parts.empty() && parts.back().from == from) {
            parts.back().bytes.insert(parts.back().bytes.end(), bytes.begin(), bytes.end());
        } else {
            parts.push_back({from, {bytes.begin(), bytes.end()}, {}});
        }
    }
    std::vector<Part> parts;
};

/// Collects what is told, and counts what was taken in.
class Listener : public JudgeObserver {
  public:
    explicit Listener(bool words = false)
      : words_(words) {}
    [[nodiscard]] bool wants_messages() const override { return words_; }
    void message(const Message& message) override { text += message.text + "\n"; }
    void violation(const Violation& violation) override {
        text += std::string(violation.requirement) + " " + violation.what + "\n";
        offsets.push_back(violation.offset);
    }
    void took(Side /*from*/, nbd::Bytes bytes, bool /*bulk*/) override { taken += bytes.size(); }
    std::string text;
    std::vector<std::uint64_t> offsets;
    std::size_t taken = 0;

  private:
    bool words_;
};

std::vector<RuleCase> all_cases() {
    std::vector<RuleCase> all;
    for (const auto& cases : {handshake_cases(), request_cases(), reply_cases(), resize_cases()}) {
        all.insert(all.end(), cases.begin(), cases.end());
    }
    return all;
}

TEST(Robustness, FragmentsMakeNoDifference) {
    std::mt19937 random(7);
    for (const RuleCase& item : all_cases()) {
        for (const auto talk : {item.good, item.bad}) {
            Recorder recorder;
            talk(recorder);
            Listener whole;
            Listener cut;
            KnownSizes sizes_whole;
            KnownSizes sizes_cut;
            Judge judge_whole(whole, sizes_whole);
            Judge judge_cut(cut, sizes_cut);
            for (const Part& part : recorder.parts) {
                judge_whole.feed(part.from, part.bytes);
                nbd::Bytes left = part.bytes;
                while (!left.empty()) {
                    const std::size_t most = random() % 4 == 0 ? 1 + part.bytes.size() / 8 : 7;
                    const auto piece = left.first(std::min(left.size(), 1 + random() % most));
                    judge_cut.feed(part.from, piece);
                    left = left.subspan(piece.size());
                }
            }
            EXPECT_EQ(whole.text, cut.text) << item.requirement;
            EXPECT_EQ(whole.offsets, cut.offsets) << item.requirement;
            EXPECT_EQ(whole.taken, cut.taken) << item.requirement;
        }
    }
}

TEST(Robustness, DataThatAreNotAtHandMakeNoDifference) {
    for (const RuleCase& item : all_cases()) {
        // Records which bytes were data, and feeds only the others to a second judge.
        class Splitter : public Conversation {
          public:
            explicit Splitter(Judge& judge)
              : second(judge) {}
            void took(Side from, nbd::Bytes bytes, bool bulk) override {
                bulk ? second.skip(from, bytes.size()) : second.feed(from, bytes);
            }
            Judge& second;
        };
        Listener listener;
        KnownSizes sizes;
        Judge judge(listener, sizes);
        Splitter splitter(judge);
        item.bad(splitter);
        std::string expected;
        for (const Violation& violation : splitter.violations()) {
            expected += std::string(violation.requirement) + " " + violation.what + "\n";
        }
        // Ends are not recorded, so that what they break is missing.
        EXPECT_EQ(expected.substr(0, listener.text.size()), listener.text) << item.requirement;
        EXPECT_EQ(judge.lost(), splitter.judge().lost()) << item.requirement;
    }
}

TEST(Robustness, ChangedBytesNeverHurt) {
    std::mt19937 random(11);
    const std::vector<RuleCase> cases = all_cases();
    for (int round = 0; round < 4'000; ++round) {
        const RuleCase& item = cases[random() % cases.size()];
        Recorder recorder;
        (random() % 2 == 0 ? item.good : item.bad)(recorder);
        Listener listener(true);
        KnownSizes sizes;
        Judge judge(listener, sizes);
        std::size_t fed = 0;
        for (Part& part : recorder.parts) {
            for (std::size_t changes = random() % 3; changes > 0 && !part.bytes.empty(); --changes) {
                part.bytes[random() % std::min<std::size_t>(part.bytes.size(), 200)] =
                    static_cast<std::uint8_t>(random());
            }
            judge.feed(part.from, part.bytes);
            fed += part.bytes.size();
        }
        judge.end(Side::client, End::closed);
        judge.end(Side::server, End::reset);
        // What a client says before the greeting may still be waiting.
        EXPECT_LE(listener.taken, fed);
        EXPECT_LE(judge.state().open.size(), Judge::most_open);
    }
}

TEST(Robustness, NothingIsSaidOnceTheHarnessStops) {
    Conversation conversation;
    conversation.simple();
    conversation.judge().stop();
    conversation.server({1, 2, 3, 4}).server_ends().client_ends();
    EXPECT_EQ(conversation.told(), "");
}

TEST(Robustness, TlsIsNotLookedInto) {
    Conversation conversation;
    conversation.hello().agree(nbd::Option::starttls).client({0x16, 3, 1}).server({0x16, 3, 3});
    EXPECT_EQ(conversation.told(), "(not judged further: TLS is in use)\n");
}

TEST(Robustness, AnAnswerMayComeBeforeAllDataOfTheOption) {
    Conversation conversation;
    conversation.hello().option_header(nbd::Option::list, 100);
    conversation.reply(nbd::Option::list, nbd::OptionReplyType::err_invalid);
    EXPECT_EQ(conversation.told(),
              "(not judged further: an option was answered before all of its data had come)\n");
}

TEST(Robustness, VeryManyOpenRequestsAreGivenUp) {
    Conversation conversation;
    conversation.simple();
    for (std::size_t i = 0; i <= Judge::most_open; ++i) {
        conversation.request(nbd::Command::read, 0, 512);
    }
    EXPECT_EQ(conversation.violations().size(), 0U);
    EXPECT_NE(conversation.judge().lost(), "");
    EXPECT_EQ(conversation.judge().state().open.size(), Judge::most_open);
}

TEST(Robustness, TheSizeOfOneConnectionCountsOnAnother) {
    Listener listener;
    KnownSizes sizes;
    Judge first(listener, sizes);
    Judge second(listener, sizes);
    Recorder one;
    one.simple().request(nbd::Command::read, 1U << 20, 512).done(nbd::Error::inval);
    Recorder two;
    two.simple({.size = 2U << 20});
    for (const Part& part : two.parts) {
        second.feed(part.from, part.bytes);
    }
    for (const Part& part : one.parts) {
        first.feed(part.from, part.bytes);
    }
    EXPECT_EQ(listener.text, "");
    EXPECT_NE(one.told(), "");
}

TEST(Robustness, WhatOneConnectionMadeLongerIsLongEnoughForAnother) {
    const nbd::InfoResize resize{nbd::InfoType::resize, nbd::resize_capability::automatic, 1, 0, 8U << 20};
    const auto growing = [&](Recorder& recorder, std::uint64_t offset) {
        recorder.structured({.resize = resize});
        recorder.request(nbd::Command::write, offset, 512, nbd::command_flag::extend);
    };
    Recorder first_talk;
    growing(first_talk, 2U << 20);
    first_talk.size((2U << 20) + 512);
    Recorder second_talk;
    growing(second_talk, 1U << 20); // inside by now: nothing changes, so that no size has to come
    second_talk.none();
    Listener listener;
    KnownSizes sizes;
    Judge first(listener, sizes);
    Judge second(listener, sizes);
    const auto begin = [](Judge& judge, const Recorder& recorder, std::size_t parts) {
        for (std::size_t i = 0; i < parts; ++i) {
            judge.feed(recorder.parts[i].from, recorder.parts[i].bytes);
        }
    };
    // The second is connected before the first makes the export longer.
    begin(second, second_talk, second_talk.parts.size() - 1);
    begin(first, first_talk, first_talk.parts.size());
    second.feed(Side::server, second_talk.parts.back().bytes);
    EXPECT_EQ(listener.text, "");
    EXPECT_NE(second_talk.told(), "") << "alone it would be a size that is missing";
}

} // namespace
} // namespace wire
