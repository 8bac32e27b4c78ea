// The command that tells holes and zeroes, or another metadata context.

#include "reference-client/cli/extents.hpp"
#include "reference-client/cli/format.hpp"
#include "reference-client/cli/settings.hpp"
#include "reference-client/connection.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iostream>

namespace refclient::cli {
namespace {

std::string status_text(const std::string& context, std::uint64_t status) {
    if (context != nbd::base_allocation) {
        return fmt::format("{:#x}", status);
    }
    const bool hole = (status & nbd::allocation_flag::hole) != 0;
    const bool zero = (status & nbd::allocation_flag::zero) != 0;
    return hole ? (zero ? "hole,zero" : "hole") : (zero ? "zero" : "data");
}

} // namespace

void map(const nbd::Uri& uri, const Settings& settings, const MapArguments& arguments) {
    Options options = settings.options;
    options.contexts = {arguments.context};
    options.contexts.insert(options.contexts.end(), arguments.also.begin(), arguments.also.end());
    const auto connection = Connection::open(uri, options);
    const ExportInfo& info = connection->info();
    if (!info.context_id(arguments.context)) {
        throw Failure(FailureKind::local, ENOTSUP,
                      fmt::format("the server does not offer the metadata context {} for this export; `info` "
                                  "shows which it offers",
                                  arguments.context));
    }
    if (arguments.offset > info.size) {
        throw Failure(FailureKind::local, EINVAL, fmt::format("the export ends at {}", info.size));
    }
    const std::uint64_t rest = info.size - arguments.offset;
    const std::uint64_t length = arguments.length.value_or(rest - rest % info.minimum_block());
    boost::json::array array;
    map_range(*connection, arguments.context, arguments.offset, length, [&](const MappedExtent& extent) {
        const std::string text = status_text(arguments.context, extent.status);
        if (settings.json) {
            array.emplace_back(boost::json::object{{"offset", extent.offset},
                                                   {"length", extent.length},
                                                   {"type", extent.status},
                                                   {"description", text}});
        } else {
            std::cout << fmt::format("{:>16} {:>16}  {:<10} {:>10}\n", extent.offset, extent.length, text,
                                     human_size(extent.length));
        }
    });
    connection->disconnect();
    if (settings.json) {
        std::cout << boost::json::serialize(array) << '\n';
    }
}

} // namespace refclient::cli
