#include "faults/answers.hpp"
#include "faults/make.hpp"
#include "faults/tests/client_scenes.hpp"

namespace faults::testing {
namespace {

using nbd::Command;
using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;
using refclient::Replies;
namespace offered = nbd::transmission_flag;

using Broken = std::set<std::string>;

/// A server that does not have these transmission flags.
Recipe without(std::uint16_t flags) {
    return twist([flags](OptionReply& reply) {
        auto told = payload_as<nbd::InfoExport>(reply.payload);
        if (reply.type == OptionReplyType::info && told && told->type == InfoType::export_) {
            told->transmission_flags &= static_cast<std::uint16_t>(~flags);
            reply.payload = nbd::encode(*told);
        }
    });
}

/// A server that tells these block sizes.
Recipe with_blocks(std::uint32_t minimum, std::uint32_t maximum) {
    return twist([=](OptionReply& reply) {
        auto told = payload_as<nbd::InfoBlockSize>(reply.payload);
        if (reply.type == OptionReplyType::info && told && told->type == InfoType::block_size) {
            *told = {InfoType::block_size, minimum, nbd::default_preferred_block, maximum};
            reply.payload = nbd::encode(*told);
        }
    });
}

/// A server that tells no block sizes.
Recipe without_blocks() {
    return twist([](OptionReply& reply, Flow& flow) {
        const auto told = payload_as<nbd::InfoBlockSize>(reply.payload);
        if (reply.type == OptionReplyType::info && told && told->type == InfoType::block_size) {
            flow.drop();
        }
    });
}

Recipe without_handshake_flag(std::uint16_t flag) {
    return twist([flag](Greeting& greeting) { greeting.flags &= static_cast<std::uint16_t>(~flag); });
}

/// A server of the oldest kind.
Recipe oldstyle() {
    return twist(
        [](Greeting& greeting) {
            constexpr std::uint64_t size = 1048576;
            greeting = {nbd::init_magic,
                        nbd::oldstyle_magic,
                        0,
                        true,
                        size,
                        offered::has_flags,
                        nbd::Buffer(nbd::handshake_padding)};
        },
        [](Request& request, Flow& flow) {
            flow.drop();
            if (request.type == Command::disc) {
                return flow.hang_up();
            }
            flow.to_client(any_success(flow.told(), request));
        });
}

/// A server that agrees to TLS, tells that its handshake fails, and leaves when something comes nevertheless.
Recipe failing_tls() {
    return twist_with(
        false,
        [](bool& /*failed*/, OptionReply& reply) {
            reply.type = reply.option == Option::starttls ? OptionReplyType::ack : reply.type;
        },
        [](bool& failed, Raw& raw, Flow& flow) {
            if (raw.from == Side::client && std::exchange(failed, true)) {
                return flow.hang_up();
            }
            flow.drop();
            flow.to_client(Raw{Side::server, {0x15, 3, 3, 0, 2, 2, 40}});
        });
}

refclient::Options without_contexts() {
    refclient::Options options = usual();
    options.contexts.clear();
    return options;
}

std::vector<Scene> handshake() {
    return {
        {"client-flags-unknown"},
        {"client-flags-not-offered", talk::commands, without_handshake_flag(nbd::handshake_flag::no_zeroes)},
        {"client-flags-little-endian", talk::commands, sound(), usual(), Broken{"CLIENT-FLAGS-KNOWN"}},
        {"client-flags-not-fixed"},
        {"client-flags-not-fixed-options"},
        {"options-to-newstyle", talk::commands, without_handshake_flag(nbd::handshake_flag::fixed_newstyle)},
        {"option-magic"},
        {"option-byte-behind", talk::commands, sound(), usual(), Broken{"OPTION-MAGIC"}},
        {"option-length-beyond", talk::commands, sound(), impatient(), Broken{"HAGGLING-SOFT-END"}},
        {"option-not-awaited"},
        {"option-twice"},
        {"request-before-entry"},
        {"option-after-entry"},
        {"option-after-abort", talk::list},
        // Too short for the judge, which waits for as many bytes as a request has.
        {"abort-for-disc", talk::commands, sound(), usual(), Broken{"CLIENT-SOFT-END"}},
        {"disc-for-abort", talk::list},
        {"abort-for-go"},
        {"leave-without-abort", talk::list},
        {"insist-on-tls"},
        {"stay-after-shutdown", talk::commands, answering(Option::go, OptionReplyType::err_shutdown)},
        {"enter-by-name"},
        {"enter-by-name-extended"},
        {"enter-by-name-block-sizes"},
        {"name-with-nul"},
        {"name-not-utf8"},
        {"name-too-long"},
        {"name-long"},
        {"abort-with-data", talk::information},
        {"list-with-data", talk::list},
        {"structured-with-data", talk::commands, sound(), usual(Replies::structured)},
        {"extended-with-data"},
        {"starttls-with-data"},
        {"starttls-not-fixed"},
        {"starttls-late"},
        {"starttls-after-state", talk::commands, sound(), usual(),
         Broken{"STARTTLS-BEFORE-STATE", "STARTTLS-FIRST"}},
        {"starttls-after-refusal", talk::commands, sound(), usual(), Broken{"OPTION-MAGIC"}},
        {"starttls-clear", talk::commands, answering(Option::starttls, OptionReplyType::ack)},
        {"starttls-no-handshake", talk::commands, answering(Option::starttls, OptionReplyType::ack)},
        {"tls-failure-ignored", talk::commands, failing_tls(), impatient()},
        {"tls-failure-aborts", talk::commands, failing_tls(), impatient()},
        {"tls-enter-by-name"},
        {"fixed-newstyle-refused"},
        {"abort-unknown", talk::list, sound(), usual(), Broken{"HAGGLING-SOFT-END"}},
        {"read-made-up", talk::read},
        {"disc-unknown", talk::commands, sound(), usual(), Broken{"CLIENT-SOFT-END", "COMMAND-KNOWN"}},
        {"block-sizes-unknown"},
        {"go-leaves", talk::commands, sound(), usual(), Broken{"CLIENT-SOFT-END"}},
        {"go-counts-one-more"},
        {"go-byte-left-over"},
        {"go-name-beyond-data"},
        {"go-information-twice"},
        {"go-without-block-size"},
        {"meta-counts-one-more"},
        {"meta-byte-left-over"},
        {"meta-query-without-namespace"},
        {"list-meta-unstructured"},
        {"set-meta-unstructured"},
        {"contexts-forgotten", talk::commands, sound(), usual(), Broken{"STATUS-SELECTED"}},
        {"accept-structured-error", talk::write,
         answering(Option::structured_reply, OptionReplyType::err_unsup), usual(Replies::structured),
         Broken{"SET-META-STRUCTURED"}},
        {"accept-extended-error", talk::read, answering(Option::extended_headers, OptionReplyType::err_unsup),
         without_contexts(), Broken{"REQUEST-MAGIC"}},
        {"accept-contexts-of-error", talk::commands, twist([](OptionReply& reply) {
             if (reply.option == Option::set_meta_context && reply.type == OptionReplyType::ack) {
                 reply.type = OptionReplyType::err_too_big;
             }
         }),
         usual(), Broken{"STATUS-SELECTED"}},
        {"accept-go-error", talk::read, answering(Option::go, OptionReplyType::err_unknown)},
    };
}

std::vector<Scene> requests() {
    return {
        {"request-magic"},
        {"request-magic-historic", talk::commands, sound(), usual(), Broken{"REQUEST-MAGIC"}},
        {"request-compact", talk::write, sound(), usual(), Broken{"REQUEST-MAGIC"}},
        {"request-extended", talk::commands, sound(), usual(Replies::structured), Broken{"REQUEST-MAGIC"}},
        {"offset-little-endian", talk::commands, sound(), usual(), Broken{"REQUEST-IN-BOUNDS"}},
        {"cookie-reused"},
        {"command-flags-unknown"},
        {"fua-not-offered", talk::commands, without(offered::send_fua)},
        {"fua-on-read"},
        {"no-hole-on-write"},
        {"df-not-offered", talk::commands, without(offered::send_df)},
        {"df-on-write"},
        {"req-one-on-read"},
        {"fast-zero-not-offered", talk::commands, without(offered::send_fast_zero)},
        {"fast-zero-on-write"},
        {"payload-len-compact", talk::commands, sound(), usual(Replies::structured)},
        {"payload-len-missing"},
        {"payload-on-read"},
        {"payload-on-trim"},
        {"payload-len-empty", talk::commands, sound(), usual(), Broken{"REQUEST-NOT-EMPTY"}},
        {"status-payload-not-offered", talk::commands, without(offered::block_status_payload)},
        {"status-payload-layout"},
        {"read-past-end"},
        {"read-across-end"},
        {"write-past-end"},
        {"offset-wraps"},
        {"misaligned", talk::commands, with_blocks(4096, nbd::default_max_payload)},
        {"misaligned-default", talk::commands, without_blocks()},
        {"preferred-ignored"},
        {"payload-too-large", talk::commands, with_blocks(1, 65536)},
        {"payload-beyond-default", talk::commands, without_blocks()},
        {"read-length"},
        {"write-data-long", talk::commands, sound(), usual(), Broken{"REQUEST-MAGIC"}},
        {"write-data-short", talk::write, sound(), impatient(), Broken{"CLIENT-SOFT-END"}},
        {"flush-with-length"},
        {"flush-with-offset"},
        {"disc-with-length"},
        {"disc-with-offset"},
        {"command-unknown"},
        {"flush-not-offered", talk::commands, without(offered::send_flush)},
        {"trim-not-offered", talk::commands, without(offered::send_trim)},
        {"cache-not-offered", talk::commands, without(offered::send_cache)},
        {"write-zeroes-not-offered", talk::commands,
         without(offered::send_write_zeroes | offered::send_fast_zero)},
        {"status-without-context"},
        {"request-empty"},
        {"many-connections", talk::connections, without(offered::can_multi_conn)},
        {"flush-swallowed"},
        {"write-swallowed"},
        {"trim-reads-zero", talk::trim_and_read},
        {"use-oldstyle", talk::enter_named, oldstyle(), usual(), Broken{"DISC-SETTLED"}},
        {"disc-missing"},
        {"disc-missing-after-shutdown", talk::read, failing_reads(nbd::Error::shutdown)},
        {"disc-unsettled"},
        {"request-after-disc"},
        {"leave-on-error", talk::read, failing_reads(nbd::Error::io), usual(), Broken{"CLIENT-SOFT-END"}},
    };
}

} // namespace

Recipe sound() {
    return twist([](Raw& /*raw*/) {});
}

refclient::Options usual(refclient::Replies replies) {
    refclient::Options options;
    options.replies = replies;
    options.timeout = std::chrono::seconds(20);
    return options;
}

refclient::Options impatient() {
    refclient::Options options = usual();
    options.timeout = std::chrono::seconds(1);
    return options;
}

Recipe answering(Option option, OptionReplyType type) {
    return twist([=](OptionRequest& request, Flow& flow) {
        if (request.option == option) {
            flow.drop();
            flow.to_client(option_reply(option, type));
        }
    });
}

Recipe failing_reads(nbd::Error error) {
    return twist([error](Request& request, Flow& flow) {
        if (request.type == Command::read) {
            flow.drop();
            flow.to_client(failure(flow.told(), request, error));
        }
    });
}

std::vector<Scene> wrong_sent() {
    std::vector<Scene> all = handshake();
    for (Scene& scene : requests()) {
        all.push_back(std::move(scene));
    }
    return all;
}

} // namespace faults::testing
