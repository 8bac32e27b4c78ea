#pragma once

// YAML with positions: every mistake is reported with file, line and column, and no key goes unread.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace YAML {
class Node;
}

namespace harness {

/// A place in a YAML file; line and column count from 1.
struct Position {
    std::filesystem::path file;
    int line = 0;
    int column = 0;

    /// "scenarios/peers/nbdkit.yaml:12:3"
    [[nodiscard]] std::string describe() const;
};

/// A mistake in a catalogue. `what()` is "file:line:column: message".
class CatalogueError : public std::runtime_error {
  public:
    CatalogueError(const Position& where, const std::string& message)
      : std::runtime_error(where.describe() + ": " + message) {}
};

class YamlMap;

/// A node of a YAML document, together with its position.
class YamlNode {
  public:
    /// Reads a file that holds one document. Throws CatalogueError if it cannot be read or is no YAML.
    static YamlNode load(const std::filesystem::path& file);

    YamlNode(const YamlNode&);
    YamlNode& operator=(const YamlNode&);
    YamlNode(YamlNode&&) noexcept;
    YamlNode& operator=(YamlNode&&) noexcept;
    ~YamlNode();

    [[nodiscard]] Position position() const;
    [[nodiscard]] bool is_map() const;
    [[nodiscard]] bool is_list() const;
    [[nodiscard]] bool is_scalar() const;

    // The value as what it must be; anything else throws CatalogueError.

    [[nodiscard]] std::string text() const;
    [[nodiscard]] std::uint64_t number() const;
    [[nodiscard]] double real() const;
    [[nodiscard]] bool boolean() const;
    [[nodiscard]] std::vector<YamlNode> list() const;
    /// The entries of a map in the order of the file; a key that stands twice is an error.
    [[nodiscard]] std::vector<std::pair<std::string, YamlNode>> entries() const;
    /// A list of texts; a single text counts as a list of one.
    [[nodiscard]] std::vector<std::string> texts() const;
    /// A map for reading key by key.
    [[nodiscard]] YamlMap map() const;

    /// Throws a CatalogueError at this node.
    [[noreturn]] void fail(const std::string& message) const;
    /// The same at the key that stands before this value; at the value itself if it came from no map.
    [[noreturn]] void fail_at_key(const std::string& message) const;

  private:
    YamlNode(const YAML::Node& node, std::filesystem::path file);

    std::unique_ptr<YAML::Node> node_;
    std::filesystem::path file_;
    std::optional<Position> key_; ///< of the key, for a value of a map
};

/// Reads a map key by key and, in `finish`, refuses the keys that nobody asked for.
class YamlMap {
  public:
    explicit YamlMap(const YamlNode& node);

    /// The value of a key that must be there.
    [[nodiscard]] YamlNode required(std::string_view key);
    /// The value of a key that may be there.
    [[nodiscard]] std::optional<YamlNode> optional(std::string_view key);
    /// Calls `use` with the value of a key, if it is there.
    void optional(std::string_view key, const std::function<void(const YamlNode&)>& use);
    /// Throws if a key was not asked for; names the closest one that was.
    void finish() const;

    [[nodiscard]] const YamlNode& node() const { return node_; }

  private:
    YamlNode node_;
    std::vector<std::pair<std::string, YamlNode>> entries_;
    std::set<std::string, std::less<>> known_;
};

/// The YAML files of a folder, by name. The folder must be there and hold some; else CatalogueError.
[[nodiscard]] std::vector<std::filesystem::path> yaml_files(const std::filesystem::path& folder);

/// The candidate that differs least from `word`, for "did you mean"; empty if none is close.
[[nodiscard]] std::string closest(std::string_view word, const std::vector<std::string>& candidates);

/// " (did you mean 'x'?)" or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

} // namespace harness
