#include "reference-client/export_info.hpp"

namespace refclient {

std::string_view name(HandshakeStyle style) {
    switch (style) {
    case HandshakeStyle::oldstyle:
        return "oldstyle";
    case HandshakeStyle::newstyle:
        return "newstyle";
    case HandshakeStyle::fixed_newstyle:
        return "newstyle-fixed";
    }
    return {};
}

std::optional<std::uint32_t> ExportInfo::context_id(std::string_view context) const {
    for (const MetaContext& selected : contexts) {
        if (selected.name == context) {
            return selected.id;
        }
    }
    return std::nullopt;
}

} // namespace refclient
