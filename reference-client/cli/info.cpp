// The commands that tell what a server and an export are.

#include "protocol/describe.hpp"
#include "reference-client/cli/format.hpp"
#include "reference-client/cli/settings.hpp"
#include "reference-client/connection.hpp"
#include "reference-client/handshake.hpp"
#include "reference-client/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>

namespace refclient::cli {
namespace {

std::string replies_text(const ExportInfo& info) {
    if (info.extended()) {
        return "extended headers";
    }
    return info.structured ? "structured replies" : "simple replies";
}

std::string contexts_text(const ExportInfo& info) {
    std::vector<std::string> names = info.available_contexts;
    for (const MetaContext& context : info.contexts) {
        if (std::ranges::find(names, context.name) == names.end()) {
            names.push_back(context.name);
        }
    }
    return names.empty() ? "none" : fmt::format("{}", fmt::join(names, " "));
}

std::string resize_text(const nbd::InfoResize& resize) {
    const std::vector<std::string> names = resize_capability_list(resize.capabilities);
    const std::string largest =
        resize.largest == nbd::InfoResize::unknown_largest ? "not known" : fmt::format("{}", resize.largest);
    return fmt::format("{}; granularity {}, smallest {}, largest {}", fmt::join(names, " "),
                       resize.granularity, resize.smallest, largest);
}

ExportInfo enter_and_leave(const nbd::Uri& uri, const Options& options) {
    const auto connection = Connection::open(uri, options);
    ExportInfo info = connection->info();
    connection->disconnect();
    return info;
}

} // namespace

void info(const nbd::Uri& uri, const Settings& settings, const InfoArguments& arguments) {
    Options options = settings.options;
    options.list_contexts = true;
    // Some servers know an export only when it is entered, and tell other sizes before.
    const ExportInfo info = arguments.by_option ? query_info(uri, options) : enter_and_leave(uri, options);
    if (settings.json) {
        std::cout << boost::json::serialize(to_json(info)) << '\n';
        return;
    }
    const std::string flags = fmt::format("{}", fmt::join(flag_list(info.flags), " "));
    std::cout << fmt::format("protocol: {}, {}\n", name(info.handshake), replies_text(info))
              << fmt::format("export: {}\n", nbd::quoted(info.name));
    if (!info.canonical_name.empty() && info.canonical_name != info.name) {
        std::cout << fmt::format("  canonical name: {}\n", nbd::quoted(info.canonical_name));
    }
    if (info.description) {
        std::cout << fmt::format("  description: {}\n", nbd::quoted(*info.description));
    }
    std::cout << fmt::format("  size: {} ({})\n", info.size, human_size(info.size))
              << fmt::format("  flags: {}\n", flags.empty() ? "none" : flags);
    if (info.block) {
        std::cout << fmt::format("  block sizes: minimum {}, preferred {}, maximum payload {}\n",
                                 info.block->minimum, info.block->preferred, info.block->maximum);
    } else {
        std::cout << "  block sizes: not advertised\n";
    }
    if (info.resize) {
        std::cout << fmt::format("  resize: {}\n", resize_text(*info.resize));
    }
    std::cout << fmt::format("  contexts: {}\n", contexts_text(info));
}

void list(const nbd::Uri& uri, const Settings& settings) {
    const std::vector<ListedExport> exports = query_list(uri, settings.options);
    if (settings.json) {
        boost::json::array array;
        for (const ListedExport& entry : exports) {
            boost::json::object object{{"name", entry.name}};
            if (!entry.description.empty()) {
                object["description"] = entry.description;
            }
            array.emplace_back(std::move(object));
        }
        std::cout << boost::json::serialize(boost::json::object{{"exports", std::move(array)}}) << '\n';
        return;
    }
    for (const ListedExport& entry : exports) {
        std::cout << nbd::quoted(entry.name);
        if (!entry.description.empty()) {
            std::cout << "  " << nbd::quoted(entry.description);
        }
        std::cout << '\n';
    }
}

} // namespace refclient::cli
