#pragma once

#include "harness/catalogue/catalogue.hpp"
#include "harness/tests/support.hpp"

#include <string>

namespace harness::testing_support {

/// A small valid catalogue in a temporary folder, to which a test does one thing:
///
///     facts.yaml  requirements/base.yaml  interop/base.yaml (the scenario "read-start")
///     peers/server.yaml (disk-server; variant slow)   peers/prober.yaml (prober, a driver)
///     peers/tool.yaml (tool, a program)               peers/shell.yaml (prompter, a shell)
class TempCatalogue {
  public:
    TempCatalogue();

    [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }

    /// Adds or replaces a file. A '^' in the text is taken out; its place is where a mistake has to be
    /// reported.
    void write(const std::string& file, std::string text);
    /// Replaces the one place in a file where `from` stands; '^' in `to` as in `write`.
    void replace(const std::string& file, const std::string& from, const std::string& to);
    void remove(const std::string& file);

    [[nodiscard]] Catalogue load() const { return load_catalogue(path()); }
    /// What the CatalogueError of loading says; the folder's own path is left out.
    [[nodiscard]] std::string error() const;

    /// "peers/server.yaml:3:7": the place that was marked, as messages name it; empty if none was.
    [[nodiscard]] const std::string& marked() const { return marked_; }

  private:
    TempFolder folder_;
    std::string marked_;
};

} // namespace harness::testing_support
