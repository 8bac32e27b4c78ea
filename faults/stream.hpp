#pragma once

// Cuts what one side sends into messages.

#include "faults/conversation.hpp"
#include "faults/message.hpp"

#include <cstdint>
#include <optional>

namespace faults {

/// The bytes of one direction. Memory is bounded by the longest message that is waited for.
class Stream {
  public:
    /// A longer payload is not waited for: its header comes alone, and its bytes as they are.
    static constexpr std::uint64_t longest_payload = std::uint64_t{80} << 20;
    /// The same for options, which have no reason to be long.
    static constexpr std::uint64_t longest_option = std::uint64_t{1} << 20;

    explicit Stream(Side from)
      : from_(from) {}

    void feed(nbd::Bytes bytes);
    /// The next message, once it is complete. What it is depends on what was said before.
    [[nodiscard]] std::optional<Message> next(const Conversation& told);
    /// What was given as raw bytes is to be understood as these ones.
    void restart(nbd::Bytes bytes);
    /// What is left at the end of the direction.
    [[nodiscard]] std::optional<Message> rest();
    /// Bytes that wait for the rest of their message.
    [[nodiscard]] std::size_t waiting() const { return bytes_.size() - begin_; }

  private:
    [[nodiscard]] std::optional<Message> client_message(const Conversation& told);
    [[nodiscard]] std::optional<Message> server_message(const Conversation& told);
    [[nodiscard]] std::optional<Message> greeting();
    [[nodiscard]] std::optional<Message> option();
    [[nodiscard]] std::optional<Message> option_reply();
    [[nodiscard]] std::optional<Message> export_reply(const Conversation& told);
    [[nodiscard]] std::optional<Message> request(nbd::HeaderStyle style);
    [[nodiscard]] std::optional<Message> simple_reply(const Conversation& told);
    [[nodiscard]] std::optional<Message> chunk(nbd::HeaderStyle style);
    /// All that is there, and what comes, as it is.
    [[nodiscard]] std::optional<Message> give_up();
    [[nodiscard]] Message raw(std::size_t bytes);
    [[nodiscard]] nbd::Buffer take(std::size_t bytes);
    template <class T>
    [[nodiscard]] T number(std::size_t at) const {
        return static_cast<T>(
            nbd::detail::load_big<decltype(nbd::detail::to_wire(T{}))>(bytes_.data() + begin_ + at));
    }

    const Side from_;
    nbd::Buffer bytes_;
    std::size_t begin_ = 0;   ///< of what is not cut yet
    std::uint64_t uncut_ = 0; ///< bytes of a payload that was not waited for
    bool begun_ = false;      ///< the greeting, or the client flags, are cut
    bool lost_ = false;       ///< nothing is understood any more
};

} // namespace faults
