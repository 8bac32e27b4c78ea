#include "drivers/common/step.hpp"

#include "drivers/common/error.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <vector>

namespace json = boost::json;

namespace driver {

namespace {

/// The fields of one step. Every field that is asked for is one that the operation has; `finish` refuses the
/// others.
class Fields {
  public:
    explicit Fields(const json::object& object)
      : object_(object) {}

    std::string text(std::string_view name) {
        const json::value* value = find(name);
        if (!value)
            refuse_step(fmt::format("the field \"{}\" is missing", name));
        return as_text(name, *value);
    }

    std::string text(std::string_view name, std::string_view otherwise) {
        const json::value* value = find(name);
        return value ? as_text(name, *value) : std::string(otherwise);
    }

    std::uint64_t number(std::string_view name) {
        const json::value* value = find(name);
        if (!value)
            refuse_step(fmt::format("the field \"{}\" is missing", name));
        return as_number(name, *value);
    }

    std::uint64_t number(std::string_view name, std::uint64_t otherwise) {
        const json::value* value = find(name);
        return value ? as_number(name, *value) : otherwise;
    }

    bool boolean(std::string_view name) {
        const json::value* value = find(name);
        if (value && !value->is_bool())
            refuse_step(fmt::format("the field \"{}\" has to be true or false", name));
        return value && value->get_bool();
    }

    Flags flags() {
        const json::value* value = find("flags");
        if (!value)
            return {};
        if (!value->is_array())
            refuse_step("the field \"flags\" has to be an array of names");
        Flags flags;
        for (const json::value& item : value->get_array()) {
            const std::string wanted = as_text("flags", item);
            const auto* known = std::find_if(flag_names.begin(), flag_names.end(),
                                             [&](const FlagName& flag) { return flag.name == wanted; });
            if (known == flag_names.end())
                refuse_step(fmt::format("\"flags\" has the unknown name \"{}\"", wanted));
            flags.*known->member = true;
        }
        return flags;
    }

    std::string connection() { return text("connection", "a"); }

    void finish() const {
        for (const auto& field : object_)
            if (std::find(known_.begin(), known_.end(), std::string_view(field.key())) == known_.end())
                refuse_step(fmt::format("the operation has no field \"{}\"", std::string_view(field.key())));
    }

  private:
    const json::value* find(std::string_view name) {
        known_.push_back(name);
        return object_.if_contains(name);
    }

    static std::string as_text(std::string_view name, const json::value& value) {
        if (!value.is_string())
            refuse_step(fmt::format("the field \"{}\" has to be text", name));
        const std::string_view text = value.get_string();
        // Neither a path, a URI nor a connection's name can carry it to where it is used.
        if (text.find('\0') != std::string_view::npos)
            refuse_step(fmt::format("the field \"{}\" contains a NUL character", name));
        return std::string(text);
    }

    static std::uint64_t as_number(std::string_view name, const json::value& value) {
        if (value.is_uint64())
            return value.get_uint64();
        if (value.is_int64() && value.get_int64() >= 0)
            return static_cast<std::uint64_t>(value.get_int64());
        refuse_step(fmt::format("the field \"{}\" has to be a whole number from 0 to 2^64-1", name));
    }

    const json::object& object_;
    std::vector<std::string_view> known_{"id", "op"};
};

void check_range(const Transfer& transfer) {
    if (transfer.count == 0 || transfer.count > max_step_requests)
        refuse_step(
            fmt::format("\"count\" is {}; it has to be from 1 to {}", transfer.count, max_step_requests));
    const std::uint64_t last = transfer.count - 1;
    const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - transfer.offset;
    if (last > 0 && transfer.stride > room / last)
        refuse_step("the offset of the last request, offset + (count - 1) * stride, does not fit 64 bits");
    const bool moves_bytes = transfer.command == Command::read || transfer.command == Command::write;
    if (moves_bytes && transfer.length > max_step_bytes / transfer.count)
        refuse_step(
            fmt::format("count * length is more than the {} bytes that one step may move", max_step_bytes));
}

Transfer parse_transfer(Command command, Fields& fields) {
    Transfer transfer;
    transfer.command = command;
    transfer.connection = fields.connection();
    transfer.offset = fields.number("offset");
    transfer.length = fields.number("length");
    transfer.flags = fields.flags();
    if (command == Command::read)
        transfer.file = fields.text("into");
    if (command == Command::write)
        transfer.file = fields.text("from");
    transfer.count = fields.number("count", 1);
    transfer.stride = fields.number("stride", transfer.length);
    transfer.background = fields.boolean("background");
    check_range(transfer);
    return transfer;
}

Map parse_map(Fields& fields) {
    Map map;
    map.connection = fields.connection();
    map.offset = fields.number("offset");
    map.length = fields.number("length");
    map.flags = fields.flags();
    return map;
}

std::optional<Step> parse_operation(std::string_view op, Fields& fields) {
    if (op == "connect")
        return Connect{fields.text("uri"), fields.connection()};
    if (op == "info")
        return Info{fields.text("uri")};
    if (op == "list")
        return List{fields.text("uri")};
    if (op == "read")
        return parse_transfer(Command::read, fields);
    if (op == "write")
        return parse_transfer(Command::write, fields);
    if (op == "zero")
        return parse_transfer(Command::zero, fields);
    if (op == "trim")
        return parse_transfer(Command::trim, fields);
    if (op == "cache")
        return parse_transfer(Command::cache, fields);
    if (op == "flush")
        return Flush{fields.connection(), fields.flags()};
    if (op == "map")
        return parse_map(fields);
    if (op == "grow")
        return Grow{fields.connection(), fields.number("to")};
    if (op == "learn")
        return Learn{fields.connection()};
    if (op == "disconnect")
        return Disconnect{fields.connection(), fields.boolean("abrupt")};
    if (op == "finish")
        return Finish{fields.number("of")};
    return std::nullopt;
}

} // namespace

Step parse_step(const json::object& object) {
    Fields fields(object);
    const std::string op = fields.text("op");
    std::optional<Step> step = parse_operation(op, fields);
    if (!step)
        refuse_step(ENOTSUP, fmt::format("the operation \"{}\" is unknown", op));
    fields.finish();
    return std::move(*step);
}

} // namespace driver
