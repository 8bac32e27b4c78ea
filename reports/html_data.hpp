#pragma once

// Pieces of the web page as data for its template. Internal to this room.

#include "reports/aggregate.hpp"
#include "reports/text.hpp"

#include <kainjow/mustache.hpp>

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace reports::html {

using Data = kainjow::mustache::data;

/// An object of the template. Keys that a template asks for have to be there in every object, since a
/// template engine looks for missing ones in the objects around.
inline Data object(std::initializer_list<std::pair<const char*, Data>> fields) {
    Data out(Data::type::object);
    for (const auto& [key, value] : fields) {
        out.set(key, value);
    }
    return out;
}

inline Data list() {
    return Data(Data::type::list);
}

/// Text for the page, of any bytes. The template escapes it.
inline Data text(std::string_view bytes, std::size_t max_characters = std::string_view::npos) {
    return Data(one_line(bytes, max_characters));
}

/// As `text`; false, so that a section of the template is left out, if there is none.
inline Data maybe(std::string_view bytes, std::size_t max_characters = std::string_view::npos) {
    return bytes.empty() ? Data(false) : text(bytes, max_characters);
}

inline Data number(std::size_t count) {
    return Data(grouped(count));
}

/// The class by which the style sheet knows a verdict: "v-fail".
inline std::string css_class(Verdict verdict) {
    return std::string("v-") + name(verdict);
}

/// The counts of the verdicts that occur, most severe first, unsupported last: each with `symbol`, `count`,
/// `word`, `class` and `percent`.
[[nodiscard]] Data counts(const Tally& tally);

/// The counts as a sentence, for titles and screen readers: "3 failed, 25 passed".
[[nodiscard]] std::string spoken(const Tally& tally);

/// The identifier of the place on the page where the cases of a pair are listed.
[[nodiscard]] std::string pair_anchor(std::size_t server, std::size_t client);

/// The list of all cases: by server, by client, by verdict.
[[nodiscard]] Data case_list(const Matrix& matrix);

/// How much is not listed as a deviation in a cell, as a class: "c-fail", "c-warn", "c-known", "c-pass",
/// "c-none".
[[nodiscard]] std::string cell_class(const Matrix::Cell& cell);

} // namespace reports::html
