#pragma once

// Messages that stand in for those of a server, in the style that was agreed.

#include "faults/twist.hpp"

#include <string>
#include <string_view>

namespace faults {

/// A reply to an option.
[[nodiscard]] OptionReply option_reply(nbd::Option option, nbd::OptionReplyType type,
                                       nbd::Buffer payload = {});
/// The same with a string as its data, such as an error with a message.
[[nodiscard]] OptionReply option_reply(nbd::Option option, nbd::OptionReplyType type, std::string_view text);

/// A chunk of the reply to a request; `last`: with the flag DONE.
[[nodiscard]] Chunk chunk(const Conversation& told, const Request& request, nbd::ChunkType type,
                          nbd::Buffer payload, bool last);
/// Data of a read, from this offset of the export.
[[nodiscard]] Chunk data_chunk(const Conversation& told, const Request& request, std::uint64_t offset,
                               const nbd::Buffer& data, bool last);
/// An error chunk.
[[nodiscard]] Chunk error_chunk(const Conversation& told, const Request& request, nbd::Error error, bool last,
                                std::string_view text = {});
/// A status chunk of one extent with status 0, for the first metadata context that was selected.
[[nodiscard]] Chunk status_chunk(const Conversation& told, const Request& request, std::uint64_t length,
                                 bool last);
/// Success of a request that has no data.
[[nodiscard]] Message success(const Conversation& told, const Request& request);
/// The whole reply to a request that fails.
[[nodiscard]] Message failure(const Conversation& told, const Request& request, nbd::Error error);
/// The whole reply to a read.
[[nodiscard]] Message content(const Conversation& told, const Request& request, nbd::Buffer data);
/// The whole reply to a read or another request that succeeds; a read gets this byte all over.
[[nodiscard]] Message any_success(const Conversation& told, const Request& request, std::uint8_t fill = 0);

/// The option with another name of an export, where it has one.
[[nodiscard]] OptionRequest renamed(const OptionRequest& option, const std::string& name);
/// The bytes from one index to another one.
[[nodiscard]] nbd::Buffer part(const nbd::Buffer& data, std::size_t from, std::size_t to);
/// True for a request that goes beyond the end of the export.
[[nodiscard]] bool past_end(const Conversation& told, const Request& request);
/// True for a flag that the specification has, but not for this command.
[[nodiscard]] bool flag_misplaced(const Request& request);
/// The command flags that the specification has, RESIZE included.
[[nodiscard]] std::uint16_t known_command_flags();
/// True for a request that a server with all features has no reason to refuse.
[[nodiscard]] bool is_sound(const Conversation& told, const Request& request);
/// True for the commands that write (Ordering of messages and writes).
[[nodiscard]] bool changes_disk(nbd::Command command);

} // namespace faults
