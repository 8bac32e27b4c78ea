#pragma once

#include <string>
#include <vector>

namespace harness {

class YamlNode;

/// A range of versions as in ">= 2.12, < 9.0"; by default it takes every version.
class VersionRange {
  public:
    /// Throws std::invalid_argument.
    static VersionRange parse(const std::string& text);

    [[nodiscard]] bool contains(const std::string& version) const;
    [[nodiscard]] const std::string& text() const { return text_; }

  private:
    struct Bound {
        std::string relation; ///< "<", "<=", ">", ">=", "="
        std::vector<unsigned> version;
    };
    std::vector<Bound> bounds_;
    std::string text_;
};

/// Reads a range; a mistake is a CatalogueError.
[[nodiscard]] VersionRange read_versions(const YamlNode& node);

} // namespace harness
