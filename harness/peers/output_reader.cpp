#include "harness/peers/output_reader.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <regex>

namespace harness {
namespace {

namespace json = boost::json;

const json::value* find(const json::value& root, const JsonField& field) {
    boost::system::error_code error;
    return root.find_pointer(field.pointer, error);
}

bool as_flag(const json::value& value, const JsonField& field) {
    bool set = value.is_bool() ? value.as_bool() : false;
    if (field.bit) {
        set = ((value.to_number<std::uint64_t>() >> *field.bit) & 1U) != 0;
    }
    return set != field.negate;
}

std::uint64_t as_number(const json::value& value) {
    return value.to_number<std::uint64_t>();
}

void read_fields(const ResultTemplate& form, const json::value& root, ClientResult& into) {
    BlockSizes block;
    int block_fields = 0;
    for (const auto& [name, field] : form.fields) {
        const json::value* value = find(root, field);
        if (value == nullptr || value->is_null()) {
            continue;
        }
        if (name == "size") {
            into.size = as_number(*value);
        } else if (name == "structured") {
            into.structured = as_flag(*value, field);
        } else if (name == "extended") {
            into.extended = as_flag(*value, field);
        } else if (name == "block.minimum") {
            block.minimum = as_number(*value);
            ++block_fields;
        } else if (name == "block.preferred") {
            block.preferred = as_number(*value);
            ++block_fields;
        } else if (name == "block.maximum") {
            block.maximum = as_number(*value);
            ++block_fields;
        }
    }
    if (block_fields == 3) {
        into.block = block;
    }
    if (!form.flags.empty()) {
        into.flags.emplace();
        for (const auto& [name, field] : form.flags) {
            const json::value* value = find(root, field);
            if (value != nullptr && as_flag(*value, field)) {
                into.flags->insert(name);
            }
        }
    }
}

void read_items(const ResultTemplate& form, const json::value& root, ClientResult& into) {
    const json::value* items = find(root, JsonField{*form.items, std::nullopt, false});
    if (items == nullptr || !items->is_array()) {
        throw std::runtime_error(fmt::format("there is no array at '{}' in the output", *form.items));
    }
    const bool are_exports = form.item.contains("name");
    if (are_exports) {
        into.exports.emplace();
    } else {
        into.extents.emplace();
    }
    for (const json::value& item : items->as_array()) {
        const auto field = [&](const char* name) -> const json::value& {
            const json::value* value = find(item, form.item.at(name));
            if (value == nullptr) {
                throw std::runtime_error(fmt::format("an element of '{}' in the output has no '{}'",
                                                     *form.items, form.item.at(name).pointer));
            }
            return *value;
        };
        if (are_exports) {
            into.exports->emplace_back(field("name").as_string());
        } else {
            into.extents->push_back({as_number(field("offset")), as_number(field("length")),
                                     as_flag(field("hole"), form.item.at("hole")),
                                     as_flag(field("zero"), form.item.at("zero"))});
        }
    }
}

void read_hexdump(const std::string& line_form, std::string_view output, const std::filesystem::path& into) {
    const std::regex form(line_form, std::regex::multiline);
    std::ofstream file(into, std::ios::binary);
    const std::string text(output);
    for (std::sregex_iterator match(text.begin(), text.end(), form), end; match != end; ++match) {
        const std::string digits = (*match)[1].str();
        for (std::size_t at = 0; at + 1 < digits.size(); at += 3) {
            unsigned value = 0;
            std::from_chars(digits.data() + at, digits.data() + at + 2, value, 16);
            file.put(static_cast<char>(value));
        }
    }
}

} // namespace

ClientResult read_output(const ResultTemplate& form, std::string_view output,
                         const std::filesystem::path& into) {
    ClientResult result;
    if (!form.size_match.empty()) {
        std::cmatch match;
        const std::regex size(form.size_match);
        if (!std::regex_search(output.data(), output.data() + output.size(), match, size)) {
            throw std::runtime_error("the output does not tell the size");
        }
        const std::string digits = match[1].str();
        std::uint64_t size_in_bytes = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), size_in_bytes);
        if (error != std::errc{} || end != digits.data() + digits.size()) {
            throw std::runtime_error(fmt::format("'{}' in the output is no size", digits));
        }
        result.size = size_in_bytes;
    }
    if (!form.fields.empty() || !form.flags.empty() || form.items) {
        boost::system::error_code error;
        const json::value root = json::parse(output, error);
        if (error) {
            throw std::runtime_error(fmt::format("the output is no JSON: {}", error.message()));
        }
        try {
            read_fields(form, root, result);
            if (form.items) {
                read_items(form, root, result);
            }
        } catch (const std::invalid_argument& mismatch) {
            throw std::runtime_error(
                fmt::format("the output is not of the form that the peer file says: {}", mismatch.what()));
        }
    }
    if (!form.hexdump.empty()) {
        read_hexdump(form.hexdump, output, into);
    }
    return result;
}

} // namespace harness
