#include "reference-server/export.hpp"

#include "reference-server/backend/backend.hpp"

#include <utility>

namespace refserver {

Export::Export(ExportOptions options, std::shared_ptr<Backend> backend)
  : options_(std::move(options))
  , backend_(std::move(backend))
  , read_only_(options_.read_only || backend_->read_only()) {}

std::uint64_t Export::size() const {
    const std::uint64_t size = backend_->size();
    return size - size % options_.block.minimum;
}

std::uint16_t Export::transmission_flags() const {
    namespace flag = nbd::transmission_flag;
    const Features& features = options_.features;
    unsigned flags = flag::has_flags;
    const auto offer = [&flags](bool offered, std::uint16_t bit) { flags |= offered ? bit : 0U; };
    offer(read_only_, flag::read_only);
    offer(features.flush, flag::send_flush);
    offer(features.fua, flag::send_fua);
    offer(features.rotational, flag::rotational);
    offer(features.multi_conn, flag::can_multi_conn);
    offer(features.cache, flag::send_cache);
    offer(features.trim && !read_only_, flag::send_trim);
    offer(features.write_zeroes && !read_only_, flag::send_write_zeroes);
    offer(features.write_zeroes && features.fast_zero && !read_only_, flag::send_fast_zero);
    return static_cast<std::uint16_t>(flags);
}

SingleExport::SingleExport(std::shared_ptr<Export> the_export)
  : export_(std::move(the_export)) {}

std::shared_ptr<Export> SingleExport::find(std::string_view name) {
    return name.empty() || name == export_->name() ? export_ : nullptr;
}

std::vector<std::shared_ptr<Export>> SingleExport::list() {
    return {export_};
}

} // namespace refserver
