#pragma once

#include "reference-server/backend/file.hpp"
#include "reference-server/gateway/resizer.hpp"

#include <memory>
#include <string>

namespace refserver {

/// Changes the length of the file that the inner server serves.
class TruncateResizer : public Resizer {
  public:
    /// Throws std::system_error if the file cannot be opened for writing.
    explicit TruncateResizer(std::string path);

    [[nodiscard]] std::string describe() const override { return "truncating " + path_; }
    [[nodiscard]] std::uint32_t unit() const override { return 1; }
    /// A file is as long as it is: nothing can be unfinished.
    void repair(const Patience& /*patience*/) override {}
    void attach(const std::string& uri, const InnerFacts& facts, const Patience& patience) override;
    [[nodiscard]] Failure change(const SizeChange& change, const Patience& patience) override;
    [[nodiscard]] Failure make_durable() override;

  private:
    const std::string path_;
    FileBackend file_;
};

} // namespace refserver
