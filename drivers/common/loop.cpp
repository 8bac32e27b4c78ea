#include "drivers/common/loop.hpp"

#include "drivers/common/files.hpp"
#include "drivers/common/library.hpp"
#include "drivers/common/result.hpp"
#include "drivers/common/step.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <istream>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

namespace json = boost::json;

namespace driver {

namespace {

struct Line {
    std::string text;
    bool too_long = false; ///< `text` is then only the line's beginning
};

/// The next line without its newline; nothing at the end of input. A last line need not end in a newline.
std::optional<Line> next_line(std::istream& in) {
    using Traits = std::istream::traits_type;
    Line line;
    bool any = false;
    std::streambuf* buffer = in.rdbuf();
    for (;;) {
        const auto character = buffer->sbumpc();
        if (Traits::eq_int_type(character, Traits::eof()))
            return any ? std::optional(std::move(line)) : std::nullopt;
        any = true;
        if (Traits::to_char_type(character) == '\n')
            return line;
        if (line.text.size() < max_line)
            line.text.push_back(Traits::to_char_type(character));
        else
            line.too_long = true;
    }
}

/// The step's id as it is repeated in the result: a whole number, else null.
json::value id_of(const json::object& object) {
    const json::value* id = object.if_contains("id");
    if (id && (id->is_uint64() || (id->is_int64() && id->get_int64() >= 0)))
        return *id;
    return nullptr;
}

/// A step that was answered with "pending".
struct Background {
    Transfer step;
    std::unique_ptr<Batch> batch;
};

class Conversation {
  public:
    explicit Conversation(Library& library)
      : library_(library) {}

    json::object answer(const Line& line) {
        json::value id = nullptr;
        try {
            if (line.too_long)
                refuse_step(fmt::format("the line is longer than {} bytes", max_line));
            const json::object step = parse_line(line.text);
            id = id_of(step);
            if (id.is_null())
                refuse_step("\"id\" has to be there and to be a whole number from 0");
            id_ = id.to_number<std::uint64_t>();
            return std::visit([&](const auto& parsed) { return carry_out(id, parsed); }, parse_step(step));
        } catch (const Failure& error) {
            return failure(id, error.error());
        } catch (const std::bad_alloc&) {
            return failure(id, {errno_name(ENOMEM), Where::driver, "out of memory"});
        } catch (const std::exception& error) {
            return failure(id, {errno_name(0), Where::driver, error.what()});
        }
    }

  private:
    static json::object parse_line(const std::string& text) {
        boost::system::error_code error;
        const json::value value = json::parse(text, error);
        if (error)
            refuse_step("the line is not JSON: " + error.message());
        if (!value.is_object())
            refuse_step("the line is not a JSON object");
        return value.get_object();
    }

    json::object carry_out(const json::value& id, const Connect& step) {
        return success(id, to_json(library_.connect(step)));
    }

    json::object carry_out(const json::value& id, const Info& step) {
        return success(id, to_json(library_.info(step)));
    }

    json::object carry_out(const json::value& id, const List& step) {
        return success(id, to_json(library_.list(step)));
    }

    json::object carry_out(const json::value& id, const Transfer& step) {
        if (step.background && background_.count(id_) > 0)
            refuse_step(
                fmt::format("the background step {} is not finished, its id cannot be used again", id_));
        std::unique_ptr<Batch> batch = submit(step);
        if (!step.background)
            return settle(id, step, *batch);
        background_.emplace(id_, Background{step, std::move(batch)});
        return success(id, {{"pending", true}});
    }

    json::object carry_out(const json::value& id, const Flush& step) {
        library_.flush(step);
        return success(id, {});
    }

    json::object carry_out(const json::value& id, const Map& step) {
        return success(id, to_json(library_.map(step)));
    }

    json::object carry_out(const json::value& id, const Grow& step) {
        return success(id, to_json(library_.grow(step)));
    }

    json::object carry_out(const json::value& id, const Learn& step) {
        return success(id, to_json(library_.learn(step)));
    }

    json::object carry_out(const json::value& id, const Disconnect& step) {
        library_.disconnect(step);
        return success(id, {});
    }

    json::object carry_out(const json::value& id, const Finish& step) {
        auto node = background_.extract(step.of);
        if (node.empty())
            refuse_step(fmt::format("there is no background step {} to finish", step.of));
        return settle(id, node.mapped().step, *node.mapped().batch);
    }

    std::unique_ptr<Batch> submit(const Transfer& step) {
        switch (step.command) {
        case Command::read:
            return library_.read(step);
        case Command::write:
            return library_.write(step, read_from(step.file, step.count * step.length));
        case Command::zero:
            return library_.zero(step);
        case Command::trim:
            return library_.trim(step);
        case Command::cache:
            break;
        }
        return library_.cache(step);
    }

    static json::object settle(const json::value& id, const Transfer& step, Batch& batch) {
        const std::vector<RequestError> errors = batch.wait();
        if (!errors.empty())
            return failure(id, errors.front().error, step.count > 1 ? errors : std::vector<RequestError>{});
        if (step.command == Command::read)
            write_into(step.file, batch.data());
        return success(id, {});
    }

    Library& library_;
    std::uint64_t id_ = 0; ///< of the step at hand
    std::map<std::uint64_t, Background> background_;
};

/// One line, flushed; false if the other side is gone.
bool put(std::ostream& out, const json::object& object) {
    out << json::serialize(object) << '\n' << std::flush;
    return out.good();
}

} // namespace

int run(Library& library, std::istream& in, std::ostream& out) {
    if (!put(out, to_json(library.hello())))
        return 1;
    Conversation conversation(library);
    for (;;) {
        if (in.rdbuf()->in_avail() <= 0)
            library.idle();
        const std::optional<Line> line = next_line(in);
        if (!line)
            return 0;
        if (!put(out, conversation.answer(*line)))
            return 1;
    }
}

} // namespace driver
