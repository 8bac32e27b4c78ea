#pragma once

// Conversations between a client and a server, written down message by message for the judge.

#include "harness/wire/judge.hpp"

#include <string>
#include <utility>
#include <vector>

namespace wire {

/// What a server has besides the ordinary.
struct ExportTraits {
    std::uint64_t size = 1U << 20; ///< bytes
    std::uint16_t flags = 0;       ///< `nbd::transmission_flag`; HAS_FLAGS is added
    std::optional<nbd::InfoBlockSize> block = {};
    std::optional<nbd::InfoResize> resize = {};
    bool ask_block = true; ///< the client lists NBD_INFO_BLOCK_SIZE where `block` is told
    std::vector<std::pair<std::uint32_t, std::string>> contexts = {}; ///< selected before NBD_OPT_GO
};

/// Messages in the order in which they are seen. Every function adds one, or a usual exchange.
class Conversation : public JudgeObserver {
  public:
    Conversation()
      : judge_(*this, sizes_) {}

    // ---- bytes
    Conversation& client(const nbd::Buffer& bytes);
    Conversation& server(const nbd::Buffer& bytes);
    template <class M>
    Conversation& from_client(const M& message) {
        return client(nbd::encode(message));
    }
    template <class M>
    Conversation& from_server(const M& message) {
        return server(nbd::encode(message));
    }
    Conversation& client_ends(End how = End::closed);
    Conversation& server_ends(End how = End::closed);

    // ---- the handshake
    Conversation& greeting(std::uint16_t flags = 3);
    Conversation& client_flags(std::uint32_t flags = 3);
    /// Greeting and client flags with all that is usual.
    Conversation& hello() { return greeting().client_flags(); }
    Conversation& option(nbd::Option option, const nbd::Buffer& data = {});
    /// An option of this many bytes, of which none come yet.
    Conversation& option_header(nbd::Option option, std::uint32_t length);
    Conversation& reply(nbd::Option option, nbd::OptionReplyType type, const nbd::Buffer& data = {});
    Conversation& ack(nbd::Option option) { return reply(option, nbd::OptionReplyType::ack); }
    /// An option without data, and its success.
    Conversation& agree(nbd::Option option) { return this->option(option).ack(option); }
    /// The data of NBD_OPT_INFO and NBD_OPT_GO.
    static nbd::Buffer ask(std::vector<nbd::InfoType> types = {}, const std::string& name = "disk");
    /// The data of the options for metadata contexts.
    static nbd::Buffer queries(const std::vector<std::string>& texts, const std::string& name = "disk");
    template <class M>
    Conversation& info(nbd::Option option, const M& message) {
        return reply(option, nbd::OptionReplyType::info, nbd::encode(message));
    }
    Conversation& context(nbd::Option option, std::uint32_t id, const std::string& name);
    /// NBD_OPT_GO with all that `traits` says, contexts included.
    Conversation& go(const ExportTraits& traits = {});

    // ---- ways into the transmission phase
    Conversation& simple(const ExportTraits& traits = {}) { return hello().go(traits); }
    Conversation& structured(const ExportTraits& traits = {}) {
        return hello().agree(nbd::Option::structured_reply).go(traits);
    }
    Conversation& extended(const ExportTraits& traits = {}) {
        return hello().agree(nbd::Option::extended_headers).go(traits);
    }

    // ---- the transmission phase; requests have the cookies 1, 2, …
    /// A request, and the data of a write.
    Conversation& request(nbd::Command command, std::uint64_t offset, std::uint64_t length,
                          std::uint16_t flags = 0);
    Conversation& request_as(std::uint64_t cookie, nbd::Command command, std::uint64_t offset,
                             std::uint64_t length, std::uint16_t flags = 0);
    /// A simple reply to the last request, with as many bytes of data.
    Conversation& done(nbd::Error error = nbd::Error::none, std::size_t data = 0);
    /// A chunk of the reply to the last request. `offset` is that of an extended header.
    Conversation& chunk(nbd::ChunkType type, bool last, const nbd::Buffer& payload = {});
    Conversation& data(std::uint64_t offset, std::size_t length, bool last = true);
    Conversation& hole(std::uint64_t offset, std::uint32_t length, bool last = true);
    Conversation& none() { return chunk(nbd::ChunkType::none, true); }
    Conversation& error(nbd::Error error, bool last = true, const std::string& message = "");
    Conversation& error_at(nbd::Error error, std::uint64_t offset, bool last = true);
    Conversation& status(std::uint32_t context, std::vector<nbd::StatusDescriptor> extents, bool last = true);
    Conversation& status_ext(std::uint32_t context, std::vector<nbd::StatusDescriptorExt> extents,
                             bool last = true);
    Conversation& size(std::uint64_t bytes, std::uint32_t flags = 0, bool last = true);
    /// NBD_CMD_DISC, and both sides leave.
    Conversation& leave();

    [[nodiscard]] const std::vector<Violation>& violations() const { return violations_; }
    [[nodiscard]] Judge& judge() { return judge_; }
    /// What was broken, for messages of tests.
    [[nodiscard]] std::string told() const;

    void violation(const Violation& violation) override { violations_.push_back(violation); }

  private:
    std::vector<Violation> violations_;
    KnownSizes sizes_;
    Judge judge_;
    std::uint64_t cookie_ = 0;
    std::uint64_t offset_ = 0; ///< of the last request
    nbd::HeaderStyle style_ = nbd::HeaderStyle::compact;
};

} // namespace wire
