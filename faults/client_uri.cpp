// Faults of clients in reading URIs (the specification's doc/uri.md). Each makes of a URI the one that a
// sound client would have to be given to do what the faulty one does.

#include "faults/client_tables.hpp"
#include "faults/make.hpp"
#include "protocol/uri.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace faults {
namespace {

/// A URI cut into its components (RFC 3986, section 3), as they stand.
struct Parts {
    std::string scheme;    ///< without "://"
    std::string authority; ///< may be empty
    std::string path;      ///< with its leading slash, if any
    std::string query;     ///< with its question mark, if any
    std::string fragment;  ///< with its #, if any

    [[nodiscard]] bool tcp() const { return scheme == "nbd" || scheme == "nbds"; }
    [[nodiscard]] std::string text() const { return scheme + "://" + authority + path + query + fragment; }
};

/// Takes away and returns what stands from the first of these signs on.
std::string cut_off(std::string& text, std::string_view signs) {
    const auto at = std::min(text.find_first_of(signs), text.size());
    std::string rest = text.substr(at);
    text.erase(at);
    return rest;
}

Parts parts_of(std::string text) {
    Parts parts;
    const auto colon = text.find("://");
    if (colon == std::string::npos) {
        return {"", "", std::move(text), "", ""};
    }
    parts.scheme = text.substr(0, colon);
    text.erase(0, colon + 3);
    parts.fragment = cut_off(text, "#");
    parts.query = cut_off(text, "?");
    parts.path = cut_off(text, "/");
    parts.authority = std::move(text);
    return parts;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

/// What a client that cannot make anything of a URI takes it for: no URI of NBD.
std::string refused(const Parts& parts) {
    return "not-" + parts.text();
}

using Edit = std::string (*)(std::string text);

/// A fault that makes something else of the parts of a URI, and nothing of what goes over the wire.
template <void edit(Parts&)>
std::string edited(std::string text) {
    Parts parts = parts_of(std::move(text));
    edit(parts);
    return parts.text();
}

Recipe on_the_wire_nothing() {
    return twist([](Raw& /*raw*/) {});
}

Fault reading(std::string_view name, std::string_view requirement, std::string_view sentence, Edit edit) {
    return {name, requirement, sentence, on_the_wire_nothing(), edit};
}

// ---- scheme

void nbd_is_unix(Parts& parts) {
    if (parts.tcp()) {
        const std::string host = parts.authority.substr(0, parts.authority.find(':'));
        parts = {"nbd+unix", "", parts.path.empty() ? "/" : parts.path, "?socket=" + host, ""};
    }
}

std::string capitals_refused(std::string text) {
    const Parts parts = parts_of(std::move(text));
    const bool capitals =
        std::ranges::any_of(parts.scheme, [](char letter) { return letter >= 'A' && letter <= 'Z'; });
    return capitals ? refused(parts) : parts.text();
}

void tls_left_out(Parts& parts) {
    if (parts.scheme.starts_with("nbds")) {
        parts.scheme.erase(3, 1);
    }
}

void socket_in_path(Parts& parts) {
    if (parts.scheme == "nbd+unix" && parts.query.find("socket=") == std::string::npos) {
        parts.query = "?socket=" + parts.path;
        parts.path = "/";
    }
}

// ---- authority

std::string user_refused(std::string text) {
    const Parts parts = parts_of(std::move(text));
    return parts.authority.find('@') == std::string::npos ? parts.text() : refused(parts);
}

std::string names_refused(std::string text) {
    const Parts parts = parts_of(std::move(text));
    return parts.authority.find_first_not_of("0123456789.:[]") == std::string::npos ? parts.text()
                                                                                    : refused(parts);
}

void brackets_kept(Parts& parts) {
    replace_all(parts.authority, "[", "%5B");
    replace_all(parts.authority, "]", "%5D");
}

template <unsigned number>
void other_port(Parts& parts) {
    const auto host_end = parts.authority.rfind(']');
    const auto from = host_end == std::string::npos ? 0 : host_end;
    if (parts.tcp() && parts.authority.find(':', from) == std::string::npos) {
        parts.authority += fmt::format(":{}", number);
    }
}

// ---- export name

void slash_kept(Parts& parts) {
    parts.path = "/" + (parts.path.empty() ? "/" : parts.path);
}

void slashes_merged(Parts& parts) {
    const auto repeated = [](char before, char after) { return before == '/' && after == '/'; };
    const auto rest = std::ranges::unique(parts.path, repeated);
    parts.path.erase(rest.begin(), rest.end());
}

void last_slash_dropped(Parts& parts) {
    if (parts.path.size() > 1 && parts.path.ends_with('/')) {
        parts.path.pop_back();
    }
}

void path_dropped(Parts& parts) {
    parts.path = "/";
}

void default_name(Parts& parts) {
    if (parts.path.size() < 2) {
        parts.path = "/default";
    }
}

void ends_at_nul(Parts& parts) {
    parts.path.erase(std::min(parts.path.find("%00"), parts.path.size()));
}

// ---- quoting

void percent_kept(Parts& parts) {
    replace_all(parts.path, "%", "%25");
}

void decoded_twice(Parts& parts) {
    replace_all(parts.path, "%25", "%");
}

void small_digits_kept(Parts& parts) {
    constexpr std::string_view small = "abcdef";
    for (auto at = parts.path.find('%'); at != std::string::npos; at = parts.path.find('%', at + 1)) {
        if (parts.path.substr(at + 1, 2).find_first_of(small) != std::string::npos) {
            parts.path.insert(at + 1, "25");
        }
    }
}

void encoded_slash_separates(Parts& parts) {
    parts.path.erase(std::min({parts.path.find("%2F"), parts.path.find("%2f"), parts.path.size()}));
}

void plus_is_blank(Parts& parts) {
    replace_all(parts.path, "+", "%20");
}

void ends_at_ampersand(Parts& parts) {
    (void)cut_off(parts.path, "&");
}

/// Takes each byte for a character of its own, as Latin-1 has them.
void latin_1(Parts& parts) {
    std::string path;
    for (std::size_t at = 0; at < parts.path.size(); ++at) {
        const std::string digits = parts.path[at] == '%' ? parts.path.substr(at + 1, 2) : "";
        const bool beyond_ascii = digits.size() == 2 && digits[0] >= '8';
        if (!beyond_ascii) {
            path += parts.path[at];
            continue;
        }
        const unsigned long byte = std::stoul(digits, nullptr, 16);
        path += fmt::format("%{:02X}%{:02X}", 0xc0U | byte >> 6, 0x80U | (byte & 0x3fU));
        at += digits.size();
    }
    parts.path = path;
}

void socket_as_written(Parts& parts) {
    replace_all(parts.query, "%", "%25");
}

void query_in_name(Parts& parts) {
    if (parts.tcp() && parts.query.starts_with('?')) {
        parts.path += "%3F" + parts.query.substr(1);
        parts.query.clear();
    }
}

void fragment_in_name(Parts& parts) {
    if (parts.fragment.starts_with('#')) {
        parts.path += "%23" + parts.fragment.substr(1);
        parts.fragment.clear();
    }
}

// ---- parameters

std::string unknown_left_out(std::string text) {
    try {
        nbd::Uri uri = nbd::parse_uri(text);
        const std::vector<std::string> unknown = uri.unknown_parameters();
        std::erase_if(uri.parameters, [&](const nbd::UriParameter& parameter) {
            return std::ranges::find(unknown, parameter.key) != unknown.end();
        });
        return nbd::format_uri(uri);
    } catch (const nbd::UriError&) {
        return text; // which is refused for what is wrong with it
    }
}

} // namespace

Table client_uri_faults() {
    return {
        reading("uri-percent-kept", "URI-QUOTING", "leaves percent-encoding in the name of the export",
                edited<percent_kept>),
        reading("uri-decoded-twice", "URI-QUOTING", "decodes the name of the export a second time",
                edited<decoded_twice>),
        reading("uri-small-digits-kept", "URI-QUOTING",
                "leaves percent-encoding with small hexadecimal digits in the name of the export",
                edited<small_digits_kept>),
        reading("uri-encoded-slash-separates", "URI-QUOTING",
                "ends the name of the export at an encoded slash", edited<encoded_slash_separates>),
        reading("uri-plus-is-blank", "URI-QUOTING", "takes a plus sign in the name of the export for a blank",
                edited<plus_is_blank>),
        reading("uri-name-ends-at-ampersand", "URI-QUOTING", "ends the name of the export at an ampersand",
                edited<ends_at_ampersand>),
        reading("uri-latin-1", "URI-QUOTING", "takes the name of the export for Latin-1", edited<latin_1>),
        reading("uri-socket-as-written", "URI-QUOTING", "does not decode the path of the socket",
                edited<socket_as_written>),
        reading("uri-query-in-name", "URI-QUOTING", "takes a query for a part of the export's name",
                edited<query_in_name>),
        reading("uri-fragment-in-name", "URI-QUOTING", "takes a fragment for a part of the export's name",
                edited<fragment_in_name>),
        reading("uri-user-refused", "URI-VALID", "refuses URIs with a user", user_refused),
        reading("uri-host-name-refused", "URI-VALID", "refuses URIs with the name of a host", names_refused),
        reading("uri-capitals-refused", "URI-SCHEME-CASE", "refuses schemes in capitals", capitals_refused),
        reading("uri-nbd-is-unix", "URI-SCHEME-NBD", "takes the host of an nbd URI for a Unix socket",
                edited<nbd_is_unix>),
        reading("uri-tls-left-out", "URI-NO-TLS", "takes nbds for nbd, and nbds+unix for nbd+unix",
                edited<tls_left_out>),
        reading("uri-socket-in-path", "URI-SOCKET",
                "takes the path for that of the socket if that is missing", edited<socket_in_path>),
        reading("uri-brackets-kept", "URI-IPV6", "takes brackets for a part of the address",
                edited<brackets_kept>),
        reading("uri-port-10810", "URI-PORT", "takes port 10810 if the URI has none",
                edited<other_port<10810>>),
        reading("uri-port-2000", "NEWSTYLE-PORT", "takes port 2000 if the URI has none",
                edited<other_port<2000>>),
        reading("uri-slash-kept", "URI-EXPORT-NAME",
                "takes the leading slash for a part of the export's name", edited<slash_kept>),
        reading("uri-slashes-merged", "URI-EXPORT-NAME", "takes several slashes for one",
                edited<slashes_merged>),
        reading("uri-last-slash-dropped", "URI-EXPORT-NAME", "drops a slash at the end of the name",
                edited<last_slash_dropped>),
        reading("uri-path-dropped", "URI-EXPORT-NAME",
                "asks for the export without a name whatever the URI says", edited<path_dropped>),
        reading("uri-default-name", "URI-EXPORT-NAME", "asks for the export default if the URI names none",
                edited<default_name>),
        reading("uri-name-ends-at-nul", "URI-EXPORT-NAME", "ends the name of the export at a NUL",
                edited<ends_at_nul>),
        reading("uri-parameter-ignored", "URI-UNKNOWN-PARAMETER",
                "says nothing of parameters that it does not know", unknown_left_out),
    };
}

} // namespace faults
