#include "faults/tests/scripts.hpp"

#include <utility>

namespace faults::testing {
namespace {

using nbd::Command;
using nbd::InfoType;
using nbd::Option;

namespace ask = nbd::command_flag;

constexpr std::uint64_t size = disk_size;

nbd::Buffer joined(std::initializer_list<Message> messages) {
    nbd::Buffer all;
    for (const Message& message : messages) {
        const nbd::Buffer one = encode(message);
        all.insert(all.end(), one.begin(), one.end());
    }
    return all;
}

OptionRequest option(Option type, nbd::Buffer payload = {}) {
    OptionRequest request;
    request.option = type;
    request.payload = std::move(payload);
    return request;
}

OptionRequest info(Option type, std::string name = "disk",
                   std::vector<InfoType> types = {InfoType::block_size, InfoType::name,
                                                  InfoType::description}) {
    return option(type, nbd::encode(nbd::InfoRequest{std::move(name), std::move(types)}));
}

OptionRequest contexts(Option type, const std::vector<std::string>& queries, std::string name = "disk") {
    nbd::MetaContextRequest request{std::move(name), {}};
    for (const std::string& query : queries) {
        request.queries.push_back({query});
    }
    return option(type, nbd::encode(request));
}

OptionRequest by_name(const std::string& name) {
    return option(Option::export_name, nbd::Buffer(name.begin(), name.end()));
}

/// The client flags that the server has offered, of these.
void hello(Stage& stage, std::uint32_t flags = 3) {
    stage.say(ClientFlags{flags & stage.offered()});
}

/// What is asked for.
struct Ask {
    Command type = Command::read;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint16_t flags = 0;
};

/// Requests with a cookie of their own each.
class Asking {
  public:
    explicit Asking(Stage& stage, nbd::HeaderStyle style = nbd::HeaderStyle::compact)
      : stage_(stage)
      , style_(style) {}

    [[nodiscard]] Request make(Command type, std::uint64_t offset, std::uint64_t length,
                               std::uint16_t flags = 0) {
        Request request;
        request.style = style_;
        request.magic =
            style_ == nbd::HeaderStyle::compact ? nbd::request_magic : nbd::extended_request_magic;
        request.type = type;
        request.flags = flags;
        request.cookie = 0x1122334400000000 + ++cookie_;
        request.offset = offset;
        request.length = length;
        if (type == Command::write) {
            request.payload.assign(static_cast<std::size_t>(length),
                                   static_cast<std::uint8_t>(cookie_ + 100));
            request.flags |= style_ == nbd::HeaderStyle::compact ? std::uint16_t{0} : ask::payload_len;
        }
        return request;
    }
    /// One after the other: each is answered before the next one is sent.
    void all(std::initializer_list<Ask> requests) {
        for (const Ask& ask : requests) {
            stage_.say(make(ask.type, ask.offset, ask.length, ask.flags));
        }
    }
    [[nodiscard]] bool chunks() const { return chunks_; }
    Asking& with_chunks() {
        chunks_ = true;
        return *this;
    }
    void leave() {
        // The last reads and the farewell come in one piece, before any of them is answered.
        stage_.say(joined({make(Command::read, 0, 512), make(Command::read, 512, 1024),
                           make(Command::read, 9216, 512), make(Command::disc, 0, 0)}));
        stage_.leave();
    }

  private:
    Stage& stage_;
    nbd::HeaderStyle style_;
    bool chunks_ = false;
    std::uint64_t cookie_ = 0;
};

/// What any client may ask for.
void work(Asking& asking) {
    asking.all({{Command::read, 0, 1024}, {Command::read, 4096, 4096}, {Command::read, 512, 512}});
    asking.all({{Command::write, 8192, 4096, ask::fua}, {Command::read, 8192, 4096}});
    asking.all({{Command::write, 20000, 100}, {Command::read, 19990, 120}, {Command::read, 1000, 100}});
    asking.all({{Command::flush, 0, 0}, {Command::flush, 0, 0, ask::fua}});
    asking.all({{Command::cache, 0, 65536}, {Command::read, 0, 1024}});
    asking.all({{Command::write, 65536, 200000},
                {Command::write_zeroes, 65536, 131072},
                {Command::read, 65536, 200000}});
    asking.all({{Command::write, 40960, 8192},
                {Command::write_zeroes, 41000, 100, ask::no_hole},
                {Command::read, 40960, 8192}});
    asking.all({{Command::trim, 45200, 100}, {Command::read, 40960, 8192}});
    asking.all({{Command::write, 40960, 8192},
                {Command::write_zeroes, 40960, 4096, ask::fast_zero},
                {Command::read, 40960, 8192}});
    asking.all({{Command::trim, 300, 100}, {Command::read, 0, 4096}});
    asking.all({{Command::read, size - 512, 512}, {Command::read, 4096, 512}});
    asking.all({{Command::read, 0, 1024}, {Command::read, 0, 1024}});
    if (asking.chunks()) {
        asking.all({{Command::read, 0, 4096, ask::df}, {Command::read, 0, 131072, ask::df}});
        asking.all({{Command::block_status, 0, 65536}, {Command::block_status, 0, 262144, ask::req_one}});
        asking.all({{Command::block_status, 0, size}, {Command::block_status, 512, 1000}});
    }
}

/// What is more than 1 MiB long.
void work_hard(Asking& asking) {
    asking.all(
        {{Command::read, 0, 1536 * 1024}, {Command::write, 0, 1280 * 1024}, {Command::read, 0, 1280 * 1024}});
}

/// What a server has to refuse, one way or another.
void provoke(Asking& asking) {
    asking.all({{Command{77}, 0, 512}, {Command::read, 0, 512}});
    asking.all({{Command::read, 0, 512, 1U << 14},
                {Command::write, 0, 512, ask::no_hole},
                {Command::read, 0, 512, ask::fast_zero}});
    asking.all({{Command::cache, 0, 512, 1U << 13}});
    asking.all({{Command::read, size - 512, 1024},
                {Command::write, size - 512, 1024},
                {Command::read, size - 512, 512}});
    asking.all({{Command::trim, size, 512},
                {Command::write_zeroes, size - 1, 2},
                {Command::cache, size + 512, 512}});
    asking.all({{Command::trim, ~std::uint64_t{0} - 511, 1024}});
    asking.all({{Command::block_status, size, 512}});
    asking.all({{Command::read, 0, 512}, {Command::read, 512, 0}});
}

void simple(Stage& stage) {
    hello(stage);
    stage.say(option(Option::list));
    stage.say(info(Option::info)).say(info(Option::go));
    Asking asking(stage);
    work(asking);
    asking.leave();
}

void simple_and_hard(Stage& stage) {
    hello(stage);
    stage.say(info(Option::go));
    Asking asking(stage);
    asking.all({{Command::read, 0, 512}, {Command::read, 19990, 120}});
    work_hard(asking);
    asking.leave();
}

void agree(Stage& stage, Option style, bool select = true) {
    hello(stage);
    stage.say(option(Option::list)).say(option(style));
    if (select) {
        stage.say(contexts(Option::list_meta_context, {}))
            .say(contexts(Option::list_meta_context, {"base:"}));
        stage.say(
            contexts(Option::set_meta_context, {std::string(nbd::base_allocation), "x-nbd-interop:other"}));
    }
    stage.say(info(Option::info)).say(info(Option::go));
}

void structured(Stage& stage) {
    agree(stage, Option::structured_reply);
    Asking asking(stage);
    work(asking.with_chunks());
    work_hard(asking);
    asking.leave();
}

void extended(Stage& stage) {
    agree(stage, Option::extended_headers);
    Asking asking(stage, nbd::HeaderStyle::extended);
    work(asking.with_chunks());
    asking.leave();
}

void extended_plain(Stage& stage) {
    agree(stage, Option::extended_headers, false);
    Asking asking(stage, nbd::HeaderStyle::extended);
    asking.all({{Command::read, 0, 512}});
    asking.leave();
}

/// By NBD_OPT_EXPORT_NAME, with these client flags.
void by_export_name(Stage& stage, std::uint32_t flags, const std::string& name) {
    hello(stage, flags);
    stage.say(by_name(name));
    Asking asking(stage);
    asking.all({{Command::read, 0, 512}, {Command::read, 512, 512}});
    asking.leave();
}

void default_export(Stage& stage) {
    hello(stage);
    stage.say(info(Option::info, "")).say(info(Option::go, ""));
    Asking asking(stage);
    asking.all({{Command::read, 0, 512}});
    asking.leave();
}

/// A client that does not ask for block sizes.
void carefree(Stage& stage) {
    hello(stage);
    stage.say(info(Option::go, "disk", {}));
    Asking asking(stage);
    asking.all({{Command::read, 0, 512}, {Command::read, 100, 50}});
    asking.leave();
}

void provoke_simple(Stage& stage) {
    hello(stage);
    stage.say(info(Option::go));
    Asking asking(stage);
    provoke(asking);
    asking.leave();
}

void provoke_structured(Stage& stage) {
    agree(stage, Option::structured_reply);
    Asking asking(stage);
    provoke(asking);
    asking.leave();
}

void status_unselected(Stage& stage) {
    agree(stage, Option::structured_reply, false);
    Asking asking(stage);
    asking.all({{Command::block_status, 0, 512}, {Command::read, 0, 512}});
    asking.leave();
}

void contexts_replaced(Stage& stage) {
    hello(stage);
    stage.say(option(Option::structured_reply));
    stage.say(contexts(Option::set_meta_context, {std::string(nbd::base_allocation)}));
    stage.say(contexts(Option::set_meta_context, {}));
    stage.say(info(Option::go));
    Asking asking(stage);
    asking.all({{Command::block_status, 0, 512}});
    asking.leave();
}

void read_only(Stage& stage) {
    agree(stage, Option::structured_reply);
    Asking asking(stage);
    asking.all({{Command::read, 0, 512},
                {Command::write, 0, 512},
                {Command::trim, 0, 512},
                {Command::write_zeroes, 0, 512}});
    asking.all({{Command::read, 0, 512}});
    asking.leave();
}

/// Options that a server does not know, or that are not as they should be.
void odd_options(Stage& stage) {
    hello(stage);
    stage.say(option(Option{1234})).say(option(Option{4321}, nbd::Buffer(100, 'x')));
    stage.say(option(Option::list, {'a', 'b', 'c', 'd'}));
    stage.say(option(Option::list)).say(option(Option::abort, {'b', 'y', 'e'}));
    stage.leave();
}

void odd_data(Stage& stage, Option type) {
    hello(stage);
    stage.say(option(type, {1, 2, 3, 4})).say(option(Option::list)).say(option(Option::abort));
    stage.leave();
}

void odd_names(Stage& stage) {
    hello(stage);
    stage.say(info(Option::info, "nosuch")).say(info(Option::info, std::string("disk\0zz", 7)));
    stage.say(info(Option::info, "disk", {InfoType::block_size, InfoType{999}}));
    stage.say(option(Option::info, {0, 0, 1, 0, 'd', 0, 0}));
    stage.say(info(Option::go, "nosuch"));
    stage.say(option(Option::abort));
    stage.leave();
}

void by_oldstyle(Stage& stage) {
    Asking asking(stage);
    asking.all({{Command::read, 0, 512}, {Command::read, 512, 512}});
    asking.leave();
}

void long_name(Stage& stage) {
    hello(stage);
    stage.say(info(Option::info, std::string(300, 'n'))).say(option(Option::abort));
    stage.leave();
}

void odd_contexts(Stage& stage) {
    hello(stage);
    stage.say(contexts(Option::set_meta_context, {std::string(nbd::base_allocation)}));
    stage.say(option(Option::structured_reply));
    for (const std::vector<std::string>& queries :
         {std::vector<std::string>{}, {"base:"}, {"base:nosuch"}, {"x-other:thing"}}) {
        stage.say(contexts(Option::set_meta_context, queries));
    }
    stage.say(contexts(Option::list_meta_context, {"base:nosuch"}));
    stage.say(option(Option::set_meta_context, {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 'b'}));
    stage.say(option(Option::abort));
    stage.leave();
}

void many_options(Stage& stage) {
    hello(stage);
    for (int i = 0; i < 40; ++i) {
        stage.say(option(Option::list));
    }
    stage.say(option(Option::abort)).leave();
}

void starttls(Stage& stage) {
    hello(stage);
    stage.say(option(Option::starttls)).say(option(Option::list)).say(option(Option::abort));
    stage.leave();
}

} // namespace

const std::vector<Script>& scripts() {
    const Setting usual;
    const Setting only_reading{.read_only = true};
    const Setting no_sizes{.tell_block_sizes = false};
    const Setting oldstyle{.handshake = refserver::Handshake::oldstyle};
    static const std::vector<Script> all{
        {"simple", usual, simple},
        {"structured", usual, structured},
        {"extended", usual, extended},
        {"extended without contexts", usual, extended_plain},
        {"by name", usual, [](Stage& stage) { by_export_name(stage, 1, "disk"); }},
        {"by name without zeroes", usual, [](Stage& stage) { by_export_name(stage, 3, "disk"); }},
        {"by an unknown name", usual, [](Stage& stage) { by_export_name(stage, 3, "nosuch"); }},
        {"by the empty name", usual, [](Stage& stage) { by_export_name(stage, 3, ""); }},
        {"default export", usual, default_export},
        {"carefree", usual, carefree},
        {"no block sizes", no_sizes, simple_and_hard},
        {"provoke simple", usual, provoke_simple},
        {"provoke structured", usual, provoke_structured},
        {"status unselected", usual, status_unselected},
        {"contexts replaced", usual, contexts_replaced},
        {"read-only", only_reading, read_only},
        {"odd options", usual, odd_options},
        {"odd names", usual, odd_names},
        {"odd contexts", usual, odd_contexts},
        {"structured with data", usual, [](Stage& stage) { odd_data(stage, Option::structured_reply); }},
        {"extended with data", usual, [](Stage& stage) { odd_data(stage, Option::extended_headers); }},
        {"starttls with data", usual, [](Stage& stage) { odd_data(stage, Option::starttls); }},
        {"starttls", usual, starttls},
        {"many options", usual, many_options},
        {"long name", usual, long_name},
        {"oldstyle", oldstyle, by_oldstyle},
        {"flags whatever is offered", usual,
         [](Stage& stage) { stage.say(ClientFlags{3}).say(option(Option::list)); }},
        {"unknown client flag", usual,
         [](Stage& stage) {
             stage.say(ClientFlags{0x83}).say(option(Option::list));
             stage.leave();
         }},
    };
    return all;
}

} // namespace faults::testing
