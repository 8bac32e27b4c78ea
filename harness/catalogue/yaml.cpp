#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

namespace harness {

std::string Position::describe() const {
    return line == 0 ? file.string() : fmt::format("{}:{}:{}", file.string(), line, column);
}

YamlNode::YamlNode(const YAML::Node& node, std::filesystem::path file)
  : node_(std::make_unique<YAML::Node>(node))
  , file_(std::move(file)) {}

YamlNode::YamlNode(const YamlNode& other)
  : node_(std::make_unique<YAML::Node>(*other.node_))
  , file_(other.file_)
  , key_(other.key_) {}

YamlNode& YamlNode::operator=(const YamlNode& other) {
    // Assigning to a YAML::Node would write through to the document, so the handle is replaced.
    node_ = std::make_unique<YAML::Node>(*other.node_);
    file_ = other.file_;
    key_ = other.key_;
    return *this;
}

YamlNode::YamlNode(YamlNode&&) noexcept = default;
YamlNode& YamlNode::operator=(YamlNode&&) noexcept = default;
YamlNode::~YamlNode() = default;

YamlNode YamlNode::load(const std::filesystem::path& file) {
    try {
        // Not LoadAllFromFile, which leaks where reading fails, as it does with a folder.
        std::ifstream stream(file, std::ios::binary);
        const std::string text{std::istreambuf_iterator(stream), {}};
        if (!stream.is_open()) {
            throw CatalogueError({file, 0, 0}, "the file cannot be read");
        }
        const std::vector<YAML::Node> documents = YAML::LoadAll(text);
        if (documents.size() != 1) {
            throw CatalogueError({file, 0, 0},
                                 fmt::format("one YAML document is expected, {} are here", documents.size()));
        }
        return {documents.front(), file};
    } catch (const std::ios_base::failure&) {
        throw CatalogueError({file, 0, 0}, "the file cannot be read"); // a folder, for one
    } catch (const YAML::Exception& error) {
        throw CatalogueError({file, error.mark.line + 1, error.mark.column + 1}, error.msg);
    }
}

Position YamlNode::position() const {
    const YAML::Mark mark = node_->Mark();
    return {file_, mark.line + 1, mark.column + 1};
}

bool YamlNode::is_map() const {
    return node_->IsMap();
}
bool YamlNode::is_list() const {
    return node_->IsSequence();
}
bool YamlNode::is_scalar() const {
    return node_->IsScalar();
}

void YamlNode::fail(const std::string& message) const {
    throw CatalogueError(position(), message);
}

void YamlNode::fail_at_key(const std::string& message) const {
    throw CatalogueError(key_.value_or(position()), message);
}

std::string YamlNode::text() const {
    if (!node_->IsScalar()) {
        fail("a text is expected here");
    }
    return node_->Scalar();
}

std::uint64_t YamlNode::number() const {
    const std::string digits = text();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
        fail(fmt::format("a whole number is expected here, not '{}'", digits));
    }
    return value;
}

double YamlNode::real() const {
    try {
        return node_->as<double>();
    } catch (const YAML::Exception&) {
        fail("a number is expected here");
    }
}

bool YamlNode::boolean() const {
    const std::string word = text();
    if (word == "true" || word == "yes") {
        return true;
    }
    if (word == "false" || word == "no") {
        return false;
    }
    fail(fmt::format("yes or no is expected here, not '{}'", word));
}

std::vector<YamlNode> YamlNode::list() const {
    if (!node_->IsSequence()) {
        fail("a list is expected here");
    }
    std::vector<YamlNode> result;
    for (const YAML::Node& item : *node_) {
        result.push_back(YamlNode(item, file_));
    }
    return result;
}

std::vector<std::pair<std::string, YamlNode>> YamlNode::entries() const {
    if (!node_->IsMap()) {
        fail("a map is expected here");
    }
    std::vector<std::pair<std::string, YamlNode>> result;
    std::set<std::string> seen;
    for (const auto& entry : *node_) {
        const YamlNode key(entry.first, file_);
        std::string name = key.text();
        if (!seen.insert(name).second) {
            key.fail(fmt::format("'{}' stands here a second time", name));
        }
        YamlNode value(entry.second, file_);
        value.key_ = key.position();
        result.emplace_back(std::move(name), std::move(value));
    }
    return result;
}

std::vector<std::string> YamlNode::texts() const {
    if (is_scalar()) {
        return {text()};
    }
    std::vector<std::string> result;
    for (const YamlNode& item : list()) {
        result.push_back(item.text());
    }
    return result;
}

YamlMap YamlNode::map() const {
    return YamlMap(*this);
}

YamlMap::YamlMap(const YamlNode& node)
  : node_(node)
  , entries_(node.entries()) {}

std::optional<YamlNode> YamlMap::optional(std::string_view key) {
    known_.emplace(key);
    for (const auto& [name, value] : entries_) {
        if (name == key) {
            return value;
        }
    }
    return std::nullopt;
}

void YamlMap::optional(std::string_view key, const std::function<void(const YamlNode&)>& use) {
    if (const auto value = optional(key)) {
        use(*value);
    }
}

YamlNode YamlMap::required(std::string_view key) {
    if (auto value = optional(key)) {
        return *value;
    }
    node_.fail(fmt::format("'{}' is missing here", key));
}

void YamlMap::finish() const {
    for (const auto& [name, value] : entries_) {
        if (!known_.contains(name)) {
            const std::vector<std::string> known(known_.begin(), known_.end());
            const std::string hint = did_you_mean(name, known);
            value.fail_at_key(
                fmt::format("'{}' is not known here{}", name,
                            hint.empty() ? fmt::format("; known are: {}", fmt::join(known, ", ")) : hint));
        }
    }
}

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
        }
    }
    return row[b.size()];
}

} // namespace

std::string closest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string best;
    std::size_t best_distance = word.size() / 3 + 2;
    for (const std::string& candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
    const std::string best = closest(word, candidates);
    return best.empty() ? "" : fmt::format(" (did you mean '{}'?)", best);
}

std::vector<std::filesystem::path> yaml_files(const std::filesystem::path& folder) {
    std::error_code error;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        if (entry.path().extension() == ".yaml") {
            files.push_back(entry.path());
        }
        if (entry.path().extension() == ".yml") {
            throw CatalogueError({entry.path(), 0, 0},
                                 "files of a catalogue end in .yaml; this one is not read");
        }
    }
    if (error) {
        throw CatalogueError({folder, 0, 0}, fmt::format("the folder cannot be read: {}", error.message()));
    }
    if (files.empty()) {
        throw CatalogueError({folder, 0, 0}, "no .yaml file is in this folder");
    }
    std::ranges::sort(files);
    return files;
}

} // namespace harness
