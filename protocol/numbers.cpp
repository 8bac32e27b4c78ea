#include "protocol/numbers.hpp"

#include <fmt/format.h>

#include <span>

namespace nbd {
namespace {

struct Named {
    std::uint32_t value;
    std::string_view name;
};

constexpr Named options[] = {
    {1, "EXPORT_NAME"},
    {2, "ABORT"},
    {3, "LIST"},
    {4, "PEEK_EXPORT"},
    {5, "STARTTLS"},
    {6, "INFO"},
    {7, "GO"},
    {8, "STRUCTURED_REPLY"},
    {9, "LIST_META_CONTEXT"},
    {10, "SET_META_CONTEXT"},
    {11, "EXTENDED_HEADERS"},
};

constexpr Named option_replies[] = {
    {1, "ACK"},
    {2, "SERVER"},
    {3, "INFO"},
    {4, "META_CONTEXT"},
    {option_error_bit + 1, "ERR_UNSUP"},
    {option_error_bit + 2, "ERR_POLICY"},
    {option_error_bit + 3, "ERR_INVALID"},
    {option_error_bit + 4, "ERR_PLATFORM"},
    {option_error_bit + 5, "ERR_TLS_REQD"},
    {option_error_bit + 6, "ERR_UNKNOWN"},
    {option_error_bit + 7, "ERR_SHUTDOWN"},
    {option_error_bit + 8, "ERR_BLOCK_SIZE_REQD"},
    {option_error_bit + 9, "ERR_TOO_BIG"},
    {option_error_bit + 10, "ERR_EXT_HEADER_REQD"},
};

constexpr Named infos[] = {{0, "EXPORT"}, {1, "NAME"}, {2, "DESCRIPTION"}, {3, "BLOCK_SIZE"}, {4, "RESIZE"}};

constexpr Named commands[] = {
    {0, "READ"},  {1, "WRITE"},        {2, "DISC"},         {3, "FLUSH"},  {4, "TRIM"},
    {5, "CACHE"}, {6, "WRITE_ZEROES"}, {7, "BLOCK_STATUS"}, {8, "RESIZE"},
};

constexpr Named chunks[] = {
    {0, "NONE"},
    {1, "OFFSET_DATA"},
    {2, "OFFSET_HOLE"},
    {5, "BLOCK_STATUS"},
    {6, "BLOCK_STATUS_EXT"},
    {7, "RESIZE"},
    {chunk_error_bit + 1, "ERROR"},
    {chunk_error_bit + 2, "ERROR_OFFSET"},
};

constexpr Named errors[] = {
    {0, "SUCCESS"}, {1, "EPERM"},      {5, "EIO"},      {12, "ENOMEM"},     {22, "EINVAL"},
    {28, "ENOSPC"}, {75, "EOVERFLOW"}, {95, "ENOTSUP"}, {108, "ESHUTDOWN"},
};

constexpr Named handshake_flags[] = {{0, "FIXED_NEWSTYLE"}, {1, "NO_ZEROES"}};

constexpr Named transmission_flags[] = {
    {0, "HAS_FLAGS"},
    {1, "READ_ONLY"},
    {2, "SEND_FLUSH"},
    {3, "SEND_FUA"},
    {4, "ROTATIONAL"},
    {5, "SEND_TRIM"},
    {6, "SEND_WRITE_ZEROES"},
    {7, "SEND_DF"},
    {8, "CAN_MULTI_CONN"},
    {9, "SEND_RESIZE"},
    {10, "SEND_CACHE"},
    {11, "SEND_FAST_ZERO"},
    {12, "BLOCK_STATUS_PAYLOAD"},
};

constexpr Named command_flags[] = {
    {0, "FUA"},         {1, "NO_HOLE"}, {2, "DF"},    {3, "REQ_ONE"}, {4, "FAST_ZERO"},
    {5, "PAYLOAD_LEN"}, {6, "EXTEND"},  {7, "QUERY"}, {8, "NOTIFY"},  {9, "CANCEL"},
};

constexpr Named reply_flags[] = {{0, "DONE"}};

constexpr Named allocation_flags[] = {{0, "HOLE"}, {1, "ZERO"}};

constexpr Named resize_capabilities[] = {
    {0, "EXPLICIT"}, {1, "SHRINK"}, {2, "AUTO"},   {3, "AUTO_IMPLICIT"},
    {4, "ZEROED"},   {5, "QUERY"},  {6, "NOTIFY"}, {7, "EXTERNAL"},
};

constexpr Named resize_flags[] = {{0, "ZEROED"}, {1, "EXTERNAL"}, {2, "COALESCED"}};

std::string look_up(std::span<const Named> table, std::string_view prefix, std::uint32_t value) {
    for (const Named& entry : table) {
        if (entry.value == value) {
            return fmt::format("{}{}", prefix, entry.name);
        }
    }
    return fmt::format("{}{:#x}", prefix, value);
}

std::string flag_names(std::span<const Named> table, std::string_view prefix, std::uint32_t flags) {
    std::string result;
    for (std::uint32_t bit = 0; bit < 32; ++bit) {
        if ((flags & (1U << bit)) == 0) {
            continue;
        }
        std::string_view known;
        for (const Named& entry : table) {
            if (entry.value == bit) {
                known = entry.name;
            }
        }
        const std::string name =
            known.empty() ? fmt::format("{}bit{}", prefix, bit) : fmt::format("{}{}", prefix, known);
        result += (result.empty() ? "" : "|") + name;
    }
    return result.empty() ? "0" : result;
}

} // namespace

std::string name(Option option) {
    return look_up(options, "NBD_OPT_", static_cast<std::uint32_t>(option));
}

std::string name(OptionReplyType type) {
    return look_up(option_replies, "NBD_REP_", static_cast<std::uint32_t>(type));
}

std::string name(InfoType type) {
    return look_up(infos, "NBD_INFO_", static_cast<std::uint32_t>(type));
}

std::string name(Command command) {
    return look_up(commands, "NBD_CMD_", static_cast<std::uint32_t>(command));
}

std::string name(ChunkType type) {
    return look_up(chunks, "NBD_REPLY_TYPE_", static_cast<std::uint32_t>(type));
}

std::string name(Error error) {
    return look_up(errors, "NBD_", static_cast<std::uint32_t>(error));
}

std::string greeting_style_name(std::uint64_t style) {
    if (style == option_magic) {
        return "newstyle";
    }
    if (style == oldstyle_magic) {
        return "oldstyle";
    }
    return fmt::format("{:#x}", style);
}

std::string handshake_flag_names(std::uint16_t flags) {
    return flag_names(handshake_flags, "NBD_FLAG_", flags);
}

std::string client_flag_names(std::uint32_t flags) {
    return flag_names(handshake_flags, "NBD_FLAG_C_", flags);
}

std::string transmission_flag_names(std::uint16_t flags) {
    return flag_names(transmission_flags, "NBD_FLAG_", flags);
}

std::string command_flag_names(std::uint16_t flags) {
    return flag_names(command_flags, "NBD_CMD_FLAG_", flags);
}

std::string reply_flag_names(std::uint16_t flags) {
    return flag_names(reply_flags, "NBD_REPLY_FLAG_", flags);
}

std::string allocation_flag_names(std::uint32_t flags) {
    return flag_names(allocation_flags, "NBD_STATE_", flags);
}

std::string resize_capability_names(std::uint16_t capabilities) {
    return flag_names(resize_capabilities, "", capabilities);
}

std::string resize_flag_names(std::uint32_t flags) {
    return flag_names(resize_flags, "", flags);
}

} // namespace nbd
