#include "reference-server/gateway/qmp_state.hpp"

#include "reference-server/net/descriptor.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

namespace refserver {
namespace json = boost::json;

void write_note(const std::string& path, const UnfinishedChange& change) {
    const std::string fresh = path + ".new";
    const std::string text =
        json::serialize(json::object{{"export", change.settings}, {"from", change.from}, {"to", change.to}}) +
        "\n";
    const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!file.valid() || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fdatasync(file.get()) != 0 || std::rename(fresh.c_str(), path.c_str()) != 0) {
        throw std::system_error(
            errno, std::system_category(),
            fmt::format("cannot write {}, which has to tell of an unfinished change", path));
    }
}

std::optional<UnfinishedChange> read_note(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        return std::nullopt;
    }
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    try {
        const json::value note = json::parse(text);
        return UnfinishedChange{note.at("export").as_object(), json::value_to<std::uint64_t>(note.at("from")),
                                json::value_to<std::uint64_t>(note.at("to"))};
    } catch (const std::exception& error) {
        throw std::runtime_error(fmt::format("{} should tell of an unfinished change of size, but cannot be "
                                             "read ({}); look at it, and remove it",
                                             path, error.what()));
    }
}

void remove_note(const std::string& path) {
    ::unlink(path.c_str());
}

} // namespace refserver
