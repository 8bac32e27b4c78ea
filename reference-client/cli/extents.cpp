#include "reference-client/cli/extents.hpp"

#include <algorithm>

namespace refclient::cli {

void ExtentMerger::add(const MappedExtent& extent) {
    if (held_.length > 0 && held_.status == extent.status && held_.offset + held_.length == extent.offset) {
        held_.length += extent.length;
        return;
    }
    finish();
    held_ = extent;
}

void ExtentMerger::finish() {
    if (held_.length > 0) {
        each_(held_);
    }
    held_ = {};
}

void map_range(Connection& connection, std::string_view context, std::uint64_t offset, std::uint64_t length,
               const std::function<void(const MappedExtent&)>& each) {
    const ExportInfo& info = connection.info();
    // Kept well below 4 GiB, where servers have miscounted.
    constexpr std::uint64_t most = std::uint64_t{1} << 30;
    const auto id = info.context_id(context);
    ExtentMerger merger(each);
    while (length > 0) {
        const std::uint64_t asked = std::min(length, most);
        std::uint64_t told = 0;
        for (const ContextStatus& status : connection.block_status(offset, asked)) {
            if (status.context != id) {
                continue;
            }
            for (const Extent& extent : status.extents) {
                const std::uint64_t part = std::min(extent.length, length - told);
                if (part > 0) {
                    merger.add({offset + told, part, extent.status});
                }
                told += part;
            }
        }
        offset += told;
        length -= told;
    }
    merger.finish();
}

} // namespace refclient::cli
