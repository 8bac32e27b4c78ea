#include "drivers/common/result.hpp"

#include "drivers/common/text.hpp"

#include <boost/json/array.hpp>

#include <string>
#include <utility>

namespace json = boost::json;

namespace driver {

namespace {

/// The driver protocol's version.
constexpr int protocol_version = 1;

json::array texts(const std::vector<std::string>& items) {
    json::array array;
    for (const std::string& item : items)
        array.emplace_back(to_utf8(item));
    return array;
}

} // namespace

json::object to_json(const Hello& hello) {
    json::object object;
    object["driver"] = hello.driver;
    object["version"] = hello.version;
    object["protocol"] = protocol_version;
    object["operations"] = texts(hello.operations);
    object["flags"] = texts(hello.flags);
    return object;
}

json::object to_json(const ExportInfo& info) {
    json::object object;
    if (info.size)
        object["size"] = *info.size;
    if (info.export_name)
        object["export"] = to_utf8(*info.export_name);
    if (info.flags)
        object["flags"] = texts(*info.flags);
    if (info.structured)
        object["structured"] = *info.structured;
    if (info.extended)
        object["extended"] = *info.extended;
    if (info.contexts)
        object["contexts"] = texts(*info.contexts);
    if (info.block)
        object["block"] = json::object{{"minimum", info.block->minimum},
                                       {"preferred", info.block->preferred},
                                       {"maximum", info.block->maximum}};
    return object;
}

json::object to_json(const std::vector<ListedExport>& exports) {
    json::array array;
    for (const ListedExport& entry : exports)
        array.emplace_back(
            json::object{{"name", to_utf8(entry.name)}, {"description", to_utf8(entry.description)}});
    return {{"exports", std::move(array)}};
}

json::object to_json(const std::vector<Extent>& extents) {
    json::array array;
    for (const Extent& extent : extents)
        array.emplace_back(json::object{{"offset", extent.offset},
                                        {"length", extent.length},
                                        {"hole", extent.hole},
                                        {"zero", extent.zero}});
    return {{"extents", std::move(array)}};
}

json::object to_json(const HeldSize& held) {
    return {{"size", held.size}, {"way", held.way}};
}

json::object success(const json::value& id, json::object result) {
    return {{"id", id}, {"ok", true}, {"result", std::move(result)}};
}

json::object failure(const json::value& id, const Error& error, const std::vector<RequestError>& requests) {
    json::object object{{"id", id},
                        {"ok", false},
                        {"error", json::object{{"errno", error.errno_name},
                                               {"where", name(error.where)},
                                               {"message", to_utf8(error.message)}}}};
    if (!requests.empty()) {
        json::array errors;
        for (const RequestError& request : requests)
            errors.emplace_back(json::object{{"index", request.index}, {"errno", request.error.errno_name}});
        object["errors"] = std::move(errors);
    }
    return object;
}

} // namespace driver
