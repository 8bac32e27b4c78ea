#include "reference-server/gateway/truncate_resizer.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace refserver {

TruncateResizer::TruncateResizer(std::string path)
  : path_(std::move(path))
  , file_(path_, false) {}

void TruncateResizer::attach(const std::string& uri, const InnerFacts& facts, const Patience& /*patience*/) {
    if (const std::uint64_t length = file_.size(); length != facts.size) {
        throw std::runtime_error(fmt::format("--resize-with: {} has {} bytes, but {} serves {}; is it the "
                                             "file that the inner server serves, as "
                                             "it is and as a whole?",
                                             path_, length, uri, facts.size));
    }
}

Failure TruncateResizer::change(const SizeChange& change, const Patience& /*patience*/) {
    return file_.set_size(change);
}

Failure TruncateResizer::make_durable() {
    return file_.make_durable();
}

} // namespace refserver
