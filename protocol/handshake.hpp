#pragma once

// The messages of the handshake: greetings, client flags, option requests and option replies with their
// payloads.

#include "protocol/codec.hpp"
#include "protocol/numbers.hpp"

namespace nbd {

/// What both styles of greeting begin with; the second word tells which one it is.
struct GreetingStart {
    static constexpr std::string_view title = "greeting";

    std::uint64_t style = option_magic; ///< `option_magic` or `oldstyle_magic`

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("init_magic", init_magic);
        named(visitor, "style", self.style, greeting_style_name);
    }
    bool operator==(const GreetingStart&) const = default;
};

/// The newstyle greeting (Newstyle negotiation).
struct NewstyleGreeting {
    static constexpr std::string_view title = "newstyle greeting";

    std::uint16_t handshake_flags = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("init_magic", init_magic);
        visitor.magic("option_magic", option_magic);
        named(visitor, "handshake_flags", self.handshake_flags, handshake_flag_names);
    }
    bool operator==(const NewstyleGreeting&) const = default;
};

/// The oldstyle greeting up to its `handshake_padding` zero bytes, which follow it (Oldstyle negotiation).
struct OldstyleGreeting {
    static constexpr std::string_view title = "oldstyle greeting";

    std::uint64_t size = 0;            ///< of the export, in bytes
    std::uint16_t handshake_flags = 0; ///< the upper half of the 32-bit flags
    std::uint16_t transmission_flags = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("init_magic", init_magic);
        visitor.magic("oldstyle_magic", oldstyle_magic);
        visitor.field("size", self.size);
        named(visitor, "handshake_flags", self.handshake_flags, handshake_flag_names);
        named(visitor, "transmission_flags", self.transmission_flags, transmission_flag_names);
    }
    bool operator==(const OldstyleGreeting&) const = default;
};

/// The client's answer to a newstyle greeting.
struct ClientFlags {
    static constexpr std::string_view title = "client flags";

    std::uint32_t flags = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        named(visitor, "flags", self.flags, client_flag_names);
    }
    bool operator==(const ClientFlags&) const = default;
};

/// The header of an option request; `length` bytes of payload follow.
struct OptionRequest {
    static constexpr std::string_view title = "option request";

    Option option = Option::abort;
    std::uint32_t length = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("option_magic", option_magic);
        visitor.field("option", self.option);
        visitor.field("length", self.length);
    }
    bool operator==(const OptionRequest&) const = default;
};

/// The header of an option reply; `length` bytes of payload follow.
struct OptionReply {
    static constexpr std::string_view title = "option reply";

    Option option = Option::abort;
    OptionReplyType type = OptionReplyType::ack;
    std::uint32_t length = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("option_reply_magic", option_reply_magic);
        visitor.field("option", self.option);
        visitor.field("type", self.type);
        visitor.field("length", self.length);
    }
    bool operator==(const OptionReply&) const = default;
};

/// The reply to NBD_OPT_EXPORT_NAME; `handshake_padding` zero bytes follow unless NO_ZEROES was agreed.
struct ExportNameReply {
    static constexpr std::string_view title = "export name reply";

    std::uint64_t size = 0; ///< of the export, in bytes
    std::uint16_t transmission_flags = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("size", self.size);
        named(visitor, "transmission_flags", self.transmission_flags, transmission_flag_names);
    }
    bool operator==(const ExportNameReply&) const = default;
};

// ---- Payloads of option requests
// ----------------------------------------------------------------------------

/// The payload of NBD_OPT_EXPORT_NAME.
struct ExportNameRequest {
    static constexpr std::string_view title = "export name request";

    std::string export_name;

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.rest("export_name", self.export_name);
    }
    bool operator==(const ExportNameRequest&) const = default;
};

/// The payload of NBD_OPT_INFO and NBD_OPT_GO.
struct InfoRequest {
    static constexpr std::string_view title = "information request";

    std::string export_name;
    std::vector<InfoType> requests; ///< information types that the client would like to have

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.template text<std::uint32_t>("export_name", self.export_name);
        visitor.template list<std::uint16_t>("information_requests", self.requests);
    }
    bool operator==(const InfoRequest&) const = default;
};

/// One query of NBD_OPT_LIST_META_CONTEXT or NBD_OPT_SET_META_CONTEXT.
struct MetaContextQuery {
    static constexpr std::string_view title = "query";

    std::string query;

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.template text<std::uint32_t>("query", self.query);
    }
    bool operator==(const MetaContextQuery&) const = default;
};

/// The payload of NBD_OPT_LIST_META_CONTEXT and NBD_OPT_SET_META_CONTEXT.
struct MetaContextRequest {
    static constexpr std::string_view title = "metadata context request";

    std::string export_name;
    std::vector<MetaContextQuery> queries;

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.template text<std::uint32_t>("export_name", self.export_name);
        visitor.template list<std::uint32_t>("queries", self.queries);
    }
    bool operator==(const MetaContextRequest&) const = default;
};

// ---- Payloads of option replies
// -----------------------------------------------------------------------------

/// The payload of an option reply whose type `is_error`.
struct OptionErrorReply {
    static constexpr std::string_view title = "option error";

    std::string message; ///< for people; often empty

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.rest("message", self.message);
    }
    bool operator==(const OptionErrorReply&) const = default;
};

/// The payload of NBD_REP_SERVER.
struct ServerReply {
    static constexpr std::string_view title = "export";

    std::string export_name;
    std::string description; ///< whatever follows the name; for people

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.template text<std::uint32_t>("export_name", self.export_name);
        visitor.rest("description", self.description);
    }
    bool operator==(const ServerReply&) const = default;
};

/// What every NBD_REP_INFO begins with; the rest depends on the type.
struct InfoReplyStart {
    static constexpr std::string_view title = "information";

    InfoType type = InfoType::export_;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("type", self.type);
    }
    bool operator==(const InfoReplyStart&) const = default;
};

/// NBD_INFO_EXPORT, the type included.
struct InfoExport {
    static constexpr std::string_view title = "information";

    InfoType type = InfoType::export_;
    std::uint64_t size = 0; ///< of the export, in bytes
    std::uint16_t transmission_flags = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("type", self.type);
        visitor.field("size", self.size);
        named(visitor, "transmission_flags", self.transmission_flags, transmission_flag_names);
    }
    bool operator==(const InfoExport&) const = default;
};

/// NBD_INFO_NAME or NBD_INFO_DESCRIPTION, the type included.
struct InfoText {
    static constexpr std::string_view title = "information";

    InfoType type = InfoType::name;
    std::string text;

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.field("type", self.type);
        visitor.rest("text", self.text);
    }
    bool operator==(const InfoText&) const = default;
};

/// NBD_INFO_BLOCK_SIZE, the type included; sizes in bytes (Size constraints).
struct InfoBlockSize {
    static constexpr std::string_view title = "information";

    InfoType type = InfoType::block_size;
    std::uint32_t minimum = 1;
    std::uint32_t preferred = default_preferred_block;
    std::uint32_t maximum = default_max_payload; ///< payload; 0xffffffff for none

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("type", self.type);
        visitor.field("minimum", self.minimum);
        visitor.field("preferred", self.preferred);
        visitor.field("maximum", self.maximum);
    }
    bool operator==(const InfoBlockSize&) const = default;
};

/// The payload of NBD_REP_META_CONTEXT.
struct MetaContextReply {
    static constexpr std::string_view title = "metadata context";

    std::uint32_t id = 0;
    std::string context;

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.field("id", self.id);
        visitor.rest("context", self.context);
    }
    bool operator==(const MetaContextReply&) const = default;
};

} // namespace nbd
