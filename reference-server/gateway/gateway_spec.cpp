#include "reference-server/gateway/gateway_spec.hpp"

#include "reference-server/gateway/truncate_resizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace refserver {
namespace {

constexpr std::uint32_t largest_minimum_block = 65536;

QmpOptions parse_qmp(const std::string& text) {
    QmpOptions options;
    std::size_t comma = text.find(',');
    options.socket = text.substr(0, comma);
    if (options.socket.empty()) {
        throw std::invalid_argument("qmp: needs the path of the monitor's socket, as in qmp:/run/qmp.sock");
    }
    while (comma != std::string::npos) {
        const std::size_t from = comma + 1;
        comma = text.find(',', from);
        const std::string item = text.substr(from, comma == std::string::npos ? comma : comma - from);
        const std::size_t equals = item.find('=');
        const std::string key = item.substr(0, equals);
        const std::string value = equals == std::string::npos ? std::string() : item.substr(equals + 1);
        if (key == "mode" && (value == "safe" || value == "hard")) {
            options.hard = value == "hard";
            continue;
        }
        const std::array<std::pair<std::string_view, std::string*>, 4> known{
            {{"export", &options.export_id},
             {"node", &options.node},
             {"iothread", &options.iothread},
             {"state", &options.state_path}}};
        const auto* const found = std::find_if(known.begin(), known.end(),
                                               [&key](const auto& entry) { return entry.first == key; });
        if (found == known.end() || value.empty()) {
            throw std::invalid_argument(fmt::format(
                "'{}': after qmp:SOCKET come export=ID, node=NAME, mode=safe or mode=hard, iothread=NAME and "
                "state=FILE, with commas between them",
                item));
        }
        *found->second = value;
    }
    return options;
}

} // namespace

std::string parse_backend(const std::string& text) {
    constexpr std::array<std::string_view, 4> schemes{"nbd://", "nbds://", "nbd+unix:", "nbds+unix:"};
    const auto is_uri = [&schemes](std::string_view candidate) {
        return std::any_of(schemes.begin(), schemes.end(),
                           [candidate](std::string_view scheme) { return candidate.starts_with(scheme); });
    };
    const std::string rest = text.starts_with("nbd:") ? text.substr(4) : text;
    if (is_uri(text) || is_uri(rest)) {
        return is_uri(rest) ? rest : text;
    }
    throw std::invalid_argument(
        fmt::format("'{}' is not nbd:URI, for example nbd:nbd://localhost:10810/disk or "
                    "nbd:nbd+unix:///disk?socket=/run/inner.sock",
                    text));
}

ResizeWith parse_resize_with(const std::string& text) {
    constexpr std::string_view truncate = "truncate:";
    constexpr std::string_view qmp = "qmp:";
    if (text.empty()) {
        return {};
    }
    if (text.starts_with(truncate) && text.size() > truncate.size()) {
        return TruncateOptions{text.substr(truncate.size())};
    }
    if (text.starts_with(qmp)) {
        return parse_qmp(text.substr(qmp.size()));
    }
    throw std::invalid_argument(
        fmt::format("'{}' is neither truncate:FILE nor qmp:SOCKET[,export=ID][,node=NAME]...", text));
}

std::unique_ptr<Resizer> make_resizer(const ResizeWith& how) {
    if (const auto* truncate = std::get_if<TruncateOptions>(&how)) {
        return std::make_unique<TruncateResizer>(truncate->path);
    }
    if (const auto* qmp = std::get_if<QmpOptions>(&how)) {
        return std::make_unique<QmpResizer>(*qmp);
    }
    return nullptr;
}

ExportOptions offered(ExportOptions wanted, bool block_sizes_given, const InnerFacts& inner) {
    Features& features = wanted.features;
    features.flush = features.flush && inner.can.flush;
    features.fua = features.fua && inner.can.fua;
    features.rotational = inner.can.rotational;
    features.trim = features.trim && inner.can.trim;
    features.write_zeroes = features.write_zeroes && inner.can.write_zeroes;
    features.fast_zero = features.fast_zero && inner.can.fast_zero;
    features.cache = features.cache && inner.can.cache;
    features.block_status = features.block_status && inner.can.block_status;
    wanted.read_only = wanted.read_only || inner.read_only;
    if (!std::has_single_bit(inner.block.minimum) || inner.block.minimum > largest_minimum_block) {
        throw std::runtime_error(fmt::format(
            "--backend: the inner server has a minimum block size of {}, which no server may have",
            inner.block.minimum));
    }
    if (!block_sizes_given) {
        wanted.block.minimum = inner.block.minimum;
        wanted.block.preferred =
            std::max({std::bit_floor(inner.block.preferred), inner.block.minimum, nbd::default_min_block});
        wanted.block.maximum = std::max(wanted.block.maximum, wanted.block.preferred);
    } else if (wanted.block.minimum < inner.block.minimum) {
        throw std::runtime_error(
            fmt::format("--block-size: the minimum of {} is less than the inner server takes, {}",
                        wanted.block.minimum, inner.block.minimum));
    }
    return wanted;
}

} // namespace refserver
