#include "reference-client/json.hpp"

#include <boost/json/array.hpp>

#include <utility>

namespace refclient {
namespace {

namespace flag = nbd::transmission_flag;

constexpr std::pair<std::uint16_t, const char*> flag_names[] = {
    {flag::read_only, "read-only"},
    {flag::send_flush, "flush"},
    {flag::send_fua, "fua"},
    {flag::rotational, "rotational"},
    {flag::send_trim, "trim"},
    {flag::send_write_zeroes, "write-zeroes"},
    {flag::send_df, "df"},
    {flag::can_multi_conn, "multi-conn"},
    {flag::send_resize, "resize"},
    {flag::send_cache, "cache"},
    {flag::send_fast_zero, "fast-zero"},
    {flag::block_status_payload, "block-status-payload"},
};

namespace can = nbd::resize_capability;

constexpr std::pair<std::uint16_t, const char*> capability_names[] = {
    {can::explicit_, "explicit"}, {can::shrink, "shrink"},
    {can::automatic, "auto"},     {can::automatic_implicit, "auto-implicit"},
    {can::zeroed, "zeroed"},      {can::query, "query"},
    {can::notify, "notify"},      {can::external, "external"},
};

template <std::size_t Count>
std::vector<std::string> names_of(const std::pair<std::uint16_t, const char*> (&table)[Count],
                                  std::uint16_t bits) {
    std::vector<std::string> names;
    for (const auto& [bit, name] : table) {
        if ((bits & bit) != 0) {
            names.emplace_back(name);
        }
    }
    return names;
}

} // namespace

std::vector<std::string> flag_list(std::uint16_t transmission_flags) {
    return names_of(flag_names, transmission_flags);
}

std::vector<std::string> resize_capability_list(std::uint16_t capabilities) {
    return names_of(capability_names, capabilities);
}

boost::json::object to_json(const ExportInfo& info) {
    boost::json::object object;
    object["handshake"] = name(info.handshake);
    object["export"] = info.name;
    if (!info.canonical_name.empty()) {
        object["canonical-name"] = info.canonical_name;
    }
    if (info.description) {
        object["description"] = *info.description;
    }
    object["size"] = info.size;
    boost::json::array flags;
    for (const std::string& name : flag_list(info.flags)) {
        flags.emplace_back(name);
    }
    object["flags"] = std::move(flags);
    object["structured"] = info.structured;
    object["extended"] = info.extended();
    boost::json::array contexts;
    for (const MetaContext& context : info.contexts) {
        contexts.emplace_back(context.name);
    }
    object["contexts"] = std::move(contexts);
    if (!info.available_contexts.empty()) {
        boost::json::array available;
        for (const std::string& context : info.available_contexts) {
            available.emplace_back(context);
        }
        object["available-contexts"] = std::move(available);
    }
    if (info.block) {
        object["block"] = {{"minimum", info.block->minimum},
                           {"preferred", info.block->preferred},
                           {"maximum", info.block->maximum}};
    }
    if (info.resize) {
        boost::json::array capabilities;
        for (const std::string& name : resize_capability_list(info.resize->capabilities)) {
            capabilities.emplace_back(name);
        }
        boost::json::object resize{{"capabilities", std::move(capabilities)},
                                   {"granularity", info.resize->granularity},
                                   {"smallest", info.resize->smallest}};
        if (info.resize->largest != nbd::InfoResize::unknown_largest) {
            resize["largest"] = info.resize->largest;
        }
        object["resize"] = std::move(resize);
    }
    return object;
}

} // namespace refclient
