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
    stage.say(option(Option{0x03000000}));
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

Request with_payload(Request request, nbd::Buffer payload) {
    request.flags |= ask::payload_len;
    request.length = payload.size();
    request.payload = std::move(payload);
    return request;
}

/// An effect length, and ids of metadata contexts.
nbd::Buffer list_of_contexts(std::uint64_t effect, std::initializer_list<std::uint32_t> ids) {
    nbd::Buffer list(sizeof effect);
    nbd::detail::store_big(list.data(), effect);
    for (const std::uint32_t id : ids) {
        list.resize(list.size() + sizeof id);
        nbd::detail::store_big(list.data() + list.size() - sizeof id, id);
    }
    return list;
}

/// Payloads where none is due, and wrong ones.
void odd_payloads(Stage& stage) {
    agree(stage, Option::extended_headers);
    Asking asking(stage, nbd::HeaderStyle::extended);
    constexpr std::uint32_t unknown_id = 4711;
    for (const Command type : {Command::read, Command::flush}) {
        stage.say(with_payload(asking.make(type, 0, 0), nbd::Buffer(64)));
        asking.all({{Command::read, 0, 512}});
    }
    stage.say(with_payload(asking.make(Command::block_status, 0, 0), list_of_contexts(65536, {})));
    stage.say(with_payload(asking.make(Command::block_status, 0, 0), list_of_contexts(65536, {unknown_id})));
    asking.all({{Command::block_status, 0, size + 512}, {Command::write, size - 512, 1024}});
    asking.all({{Command::read, 0, 512}});
    asking.leave();
}

void long_payload(Stage& stage) {
    agree(stage, Option::extended_headers);
    Asking asking(stage, nbd::HeaderStyle::extended);
    Request request = asking.make(Command::flush, 0, std::uint64_t{1} << 40, ask::payload_len);
    stage.say(request).leave();
}

/// What does not fit the export, or the command.
void odd_lengths(Stage& stage) {
    hello(stage);
    stage.say(info(Option::go));
    Asking asking(stage);
    asking.all({{Command::trim, 0, std::uint64_t{64} << 20}, {Command::read, 0, std::uint64_t{64} << 20}});
    asking.all({{Command::flush, 0, 64}, {Command::read, 0, 512}, {Command::read, 512, 512}});
    stage.say(joined({asking.make(Command::resize, size, 0), asking.make(Command::read, size, 512)}));
    asking.all({{Command::resize, 0, 0, ask::query | ask::fua}});
    asking.leave();
}

void asks_for_resize(Stage& stage) {
    hello(stage);
    stage.say(info(Option::go, "disk", {InfoType::block_size, InfoType::resize, InfoType::name}));
    Asking asking(stage);
    asking.all({{Command::read, 0, 512}});
    asking.leave();
}

/// Wants to know nothing but what every server tells.
void incurious(Stage& stage) {
    hello(stage);
    stage.say(info(Option::go, "disk", {}));
    Asking asking(stage);
    asking.all({{Command::read, 0, 512}});
    asking.leave();
}

void both_styles(Stage& stage) {
    hello(stage);
    stage.say(option(Option::extended_headers)).say(option(Option::structured_reply)).say(info(Option::go));
    Asking asking(stage, nbd::HeaderStyle::extended);
    asking.all({{Command::read, 0, 512}});
    asking.leave();
}

/// No farewell.
void goes(Stage& stage) {
    hello(stage);
    stage.say(info(Option::go));
    Asking asking(stage);
    asking.all({{Command::read, 0, 512}});
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
    stage.say(contexts(Option::set_meta_context, {"x-other:"}));
    stage.say(contexts(Option::set_meta_context, {"base:", std::string(nbd::base_allocation)}));
    stage.say(contexts(Option::set_meta_context, {std::string(nbd::base_allocation) + std::string(1, '\0')}));
    for (const char* query : {"base:nosuch", "base:allocation", "x-other:thing"}) {
        stage.say(contexts(Option::list_meta_context, {query}));
    }
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

/// A client that would like TLS and can do without it.
void starttls_late(Stage& stage) {
    hello(stage);
    stage.say(option(Option::list)).say(option(Option::starttls)).say(option(Option::starttls));
    stage.say(info(Option::go));
    Asking asking(stage);
    asking.all({{Command::read, 0, 512}});
    asking.leave();
}

void starttls_unfixed(Stage& stage) {
    stage.say(ClientFlags{0}).say(option(Option::starttls));
    stage.leave();
}

/// Of the export that servers with TLS for those who want it have with TLS only.
void secret(Stage& stage, const OptionRequest& way_in) {
    hello(stage);
    stage.say(info(Option::info, "secret")).say(way_in);
    stage.leave();
}

void extended_then_structured(Stage& stage) {
    hello(stage);
    stage.say(option(Option::extended_headers)).say(option(Option::structured_reply)).say(info(Option::go));
    Asking asking(stage, nbd::HeaderStyle::extended);
    asking.all({{Command::read, 0, 512}});
    asking.leave();
}

/// A client that sends an option once it has been let in.
void option_behind_go(Stage& stage) {
    hello(stage);
    stage.say(info(Option::go)).say(option(Option::peek_export));
    stage.leave();
}

/// A client that selects contexts for another export than it enters.
void contexts_of_another(Stage& stage) {
    hello(stage);
    stage.say(option(Option::structured_reply));
    stage.say(contexts(Option::set_meta_context, {std::string(nbd::base_allocation)}, "half"));
    stage.say(info(Option::info, "half")).say(info(Option::go));
    Asking asking(stage);
    asking.all({{Command::block_status, 0, 512}});
    asking.leave();
}

/// A client that takes what is listed for selected.
void contexts_listed(Stage& stage) {
    hello(stage);
    stage.say(option(Option::structured_reply));
    stage.say(contexts(Option::list_meta_context, {std::string(nbd::base_allocation)})).say(info(Option::go));
    Asking asking(stage);
    asking.all({{Command::block_status, 0, 512}});
    asking.leave();
}

void leave_at_once(Stage& stage) {
    hello(stage);
    stage.say(option(Option::abort)).leave();
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
        {"structured behind extended", usual, extended_then_structured},
        {"option behind NBD_OPT_GO", usual, option_behind_go},
        {"contexts of another export", usual, contexts_of_another},
        {"contexts listed", usual, contexts_listed},
        {"leaves at once", usual, leave_at_once},
        {"by name", usual, [](Stage& stage) { by_export_name(stage, 1, "disk"); }},
        {"by name without zeroes", usual, [](Stage& stage) { by_export_name(stage, 3, "disk"); }},
        {"by an unknown name", usual, [](Stage& stage) { by_export_name(stage, 3, "nosuch"); }},
        {"by the empty name", usual, [](Stage& stage) { by_export_name(stage, 3, ""); }},
        {"default export", usual, default_export},
        {"carefree", usual, carefree},
        {"no block sizes", no_sizes, simple_and_hard},
        {"no block sizes asked for", no_sizes, incurious},
        {"provoke simple", usual, provoke_simple},
        {"provoke structured", usual, provoke_structured},
        {"status unselected", usual, status_unselected},
        {"contexts replaced", usual, contexts_replaced},
        {"read-only", only_reading, read_only},
        {"odd payloads", usual, odd_payloads},
        {"long payload", usual, long_payload},
        {"odd lengths", usual, odd_lengths},
        {"asks for resize", usual, asks_for_resize},
        {"both styles", usual, both_styles},
        {"goes without farewell", usual, goes},
        {"comes after that", usual, carefree},
        {"odd options", usual, odd_options},
        {"odd names", usual, odd_names},
        {"odd contexts", usual, odd_contexts},
        {"structured with data", usual, [](Stage& stage) { odd_data(stage, Option::structured_reply); }},
        {"extended with data", usual, [](Stage& stage) { odd_data(stage, Option::extended_headers); }},
        {"starttls with data", usual, [](Stage& stage) { odd_data(stage, Option::starttls); }},
        {"starttls", usual, starttls},
        {"starttls behind other options", usual, starttls_late},
        {"starttls without fixed newstyle", usual, starttls_unfixed},
        {"secret", usual, [](Stage& stage) { secret(stage, info(Option::go, "secret")); }},
        {"secret by name", usual, [](Stage& stage) { secret(stage, by_name("secret")); }},
        {"many options", usual, many_options},
        {"long name", usual, long_name},
        {"oldstyle", oldstyle, by_oldstyle},
        {"flags whatever is offered", usual,
         [](Stage& stage) { stage.say(ClientFlags{3}).say(option(Option::list)); }},
        {"swapped client flags", usual,
         [](Stage& stage) {
             stage.say(ClientFlags{0x03000000}).say(option(Option::list));
             stage.leave();
         }},
        {"unknown client flag", usual,
         [](Stage& stage) {
             stage.say(ClientFlags{0x83}).say(option(Option::list));
             stage.leave();
         }},
    };
    return all;
}

} // namespace faults::testing
