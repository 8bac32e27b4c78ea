#pragma once

// Strict reading of JSON objects, with messages that say where. Internal to this room.

#include "reports/results_json.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reports {

class JsonReader;

/// A value in a JSON document, with the path that leads to it.
class JsonField {
  public:
    JsonField(const boost::json::value& value, std::string source, std::string path)
      : value_(&value)
      , source_(std::move(source))
      , path_(std::move(path)) {}

    [[nodiscard]] bool is_null() const { return value_->is_null(); }

    [[nodiscard]] std::string string() const {
        if (const auto* text = value_->if_string()) {
            return {text->data(), text->size()};
        }
        wrong_type("a string");
    }

    [[nodiscard]] double number() const {
        boost::system::error_code error;
        const auto number = value_->to_number<double>(error);
        if (error || !std::isfinite(number)) {
            wrong_type("a number");
        }
        return number;
    }

    [[nodiscard]] std::map<std::string, std::string> string_map() const {
        std::map<std::string, std::string> out;
        for (const auto& [key, value] : as_object()) {
            out.emplace(
                key, JsonField(value, source_, fmt::format("{}.{}", path_, std::string_view(key))).string());
        }
        return out;
    }

    /// What `read` makes of each item.
    template <typename Read>
    [[nodiscard]] auto list(Read read) const {
        const auto* array = value_->if_array();
        if (array == nullptr) {
            wrong_type("a list");
        }
        std::vector<decltype(read(*this))> out;
        out.reserve(array->size());
        for (std::size_t i = 0; i < array->size(); ++i) {
            out.push_back(read(JsonField((*array)[i], source_, fmt::format("{}[{}]", path_, i))));
        }
        return out;
    }

    [[nodiscard]] JsonReader object() const;

  private:
    [[nodiscard]] const boost::json::object& as_object() const {
        if (const auto* object = value_->if_object()) {
            return *object;
        }
        wrong_type("an object");
    }

    [[noreturn]] void wrong_type(std::string_view wanted) const {
        const auto text = boost::json::serialize(*value_);
        throw ResultsError(fmt::format("{}: {}: expected {}, found {}", source_,
                                       path_.empty() ? "the whole document" : path_, wanted,
                                       text.size() > 40 ? text.substr(0, 40) + "…" : text));
    }

    const boost::json::value* value_;
    std::string source_;
    std::string path_;
};

/// An object of a JSON document whose fields are taken one by one; `finish` then finds those that nobody
/// asked for.
class JsonReader {
  public:
    JsonReader(const boost::json::object& object, std::string source, std::string path)
      : object_(&object)
      , source_(std::move(source))
      , path_(std::move(path)) {}

    [[nodiscard]] std::optional<JsonField> optional(std::string_view key) {
        asked_.insert(key);
        const auto* value = object_->if_contains(key);
        return value == nullptr ? std::nullopt
                                : std::optional<JsonField>(JsonField(*value, source_, path_to(key)));
    }

    [[nodiscard]] JsonField required(std::string_view key) {
        auto field = optional(key);
        if (!field) {
            fail(key, "the field is missing");
        }
        return *std::move(field);
    }

    /// Throws if the object has a field that was neither required nor optional.
    void finish() const {
        for (const auto& [key, value] : *object_) {
            if (!asked_.contains(std::string_view(key))) {
                fail(std::string_view(key), "no such field is known here");
            }
        }
    }

    [[noreturn]] void fail(std::string_view key, std::string_view what) const {
        throw ResultsError(fmt::format("{}: {}: {}", source_, path_to(key), what));
    }

  private:
    [[nodiscard]] std::string path_to(std::string_view key) const {
        return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
    }

    const boost::json::object* object_;
    std::string source_;
    std::string path_;
    std::set<std::string_view> asked_;
};

inline JsonReader JsonField::object() const {
    return {as_object(), source_, path_};
}

} // namespace reports
