#pragma once

// What two peers have settled on a connection so far, as the judge has seen it.

#include "harness/wire/side.hpp"
#include "protocol/handshake.hpp"
#include "protocol/resize.hpp"
#include "protocol/transmission.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace wire {

/// Where a connection is.
enum class Phase {
    greeting,     ///< the server's greeting is not complete
    client_flags, ///< the client's answer to a newstyle greeting is awaited
    haggling,     ///< options
    transmission, ///< requests and replies
};

/// By which message a server told the size and the transmission flags of an export.
enum class Telling { oldstyle, export_name, info, go };

/// An option that awaits its final reply, with what came of it so far.
struct OpenOption {
    nbd::Option option = nbd::Option::abort;
    std::uint32_t length = 0; ///< of its data, in bytes
    /// The data of NBD_OPT_INFO and NBD_OPT_GO, of the options for metadata contexts, and the name of
    /// NBD_OPT_EXPORT_NAME, where they could be decoded.
    std::optional<nbd::InfoRequest> info;
    std::optional<nbd::MetaContextRequest> meta;
    std::optional<std::string> export_name;

    std::vector<nbd::InfoType> told;               ///< information that came, in its order
    std::optional<nbd::InfoExport> export_info;    ///< NBD_INFO_EXPORT, if it came
    std::optional<nbd::InfoBlockSize> block;       ///< NBD_INFO_BLOCK_SIZE, if it came
    std::optional<nbd::InfoResize> resize;         ///< NBD_INFO_RESIZE, if it came
    std::map<std::uint32_t, std::string> contexts; ///< metadata contexts that came, by id
    std::size_t context_replies = 0;               ///< how many such replies came

    /// True if the client listed this type of information.
    [[nodiscard]] bool asked(nbd::InfoType type) const;
    /// True for NBD_OPT_INFO and NBD_OPT_GO.
    [[nodiscard]] bool is_info() const { return option == nbd::Option::info || option == nbd::Option::go; }
    /// True for the two options for metadata contexts.
    [[nodiscard]] bool is_meta() const {
        return option == nbd::Option::list_meta_context || option == nbd::Option::set_meta_context;
    }
    bool operator==(const OpenOption&) const = default;
};

/// The export that a connection has entered, as the handshake described it.
struct EnteredExport {
    std::string name;
    Telling telling = Telling::go;
    std::uint64_t size = 0; ///< as told by the handshake, in bytes
    std::uint16_t flags = 0;
    std::optional<nbd::InfoBlockSize> block; ///< if it was told
    bool asked_block = false;                ///< the client listed NBD_INFO_BLOCK_SIZE
    std::optional<nbd::InfoResize> resize;   ///< if it was told
    /// Metadata contexts that were selected for this export, by id.
    std::map<std::uint32_t, std::string> contexts;
};

/// Bytes of a request that content chunks have covered. Bounded: `full()` says that there are too many
/// pieces to go on.
class Coverage {
  public:
    static constexpr std::size_t most_pieces = 4096;

    /// Adds a piece; true if it overlaps one that is there already.
    bool add(std::uint64_t begin, std::uint64_t end);
    /// True if all of [begin, end) is covered.
    [[nodiscard]] bool covers(std::uint64_t begin, std::uint64_t end) const;
    [[nodiscard]] bool contains(std::uint64_t at) const;
    [[nodiscard]] bool full() const { return pieces_.size() >= most_pieces; }

  private:
    std::map<std::uint64_t, std::uint64_t> pieces_; ///< end by begin; neighbours are one piece
};

/// A request that awaits the end of its reply, with what came of it so far.
struct OpenRequest {
    nbd::Request request;
    std::uint64_t number = 0; ///< of the request on its connection, from 1
    std::uint64_t effect = 0; ///< bytes of the export that it is about

    std::size_t chunks = 0; ///< how many came
    std::size_t pieces = 0; ///< how many of them left something to remember
    Coverage content;
    std::size_t content_chunks = 0;
    bool content_unknown = false;    ///< there were too many pieces to keep them all
    std::optional<nbd::Error> error; ///< the first that came
    std::size_t plain_errors = 0;    ///< NBD_REPLY_TYPE_ERROR
    std::set<std::uint64_t> error_offsets;
    std::set<std::uint32_t> contexts; ///< metadata contexts whose status came
    std::size_t sizes = 0;            ///< NBD_REPLY_TYPE_RESIZE
    std::optional<nbd::ResizeChunk> size;
    /// The contexts that NBD_CMD_BLOCK_STATUS asks for by its payload; else all are asked for.
    std::optional<std::vector<std::uint32_t>> wanted_contexts;
    /// The request was against a rule, so that the reply to it is not held against the server where the
    /// specification leaves it open.
    bool against_rules = false;
    bool size_had_moved = false; ///< `State::size_moved` when the request came

    [[nodiscard]] bool is(nbd::Command command) const { return request.type == command; }
    [[nodiscard]] bool has(std::uint16_t command_flag) const { return (request.flags & command_flag) != 0; }
    /// Where the request ends in the export; 2^64-1 if that does not fit 64 bits.
    [[nodiscard]] std::uint64_t end() const;
    /// True for a subscription of the RESIZE extension.
    [[nodiscard]] bool is_subscription() const {
        return is(nbd::Command::resize) && has(nbd::command_flag::notify);
    }
};

/// What is known of a connection at a moment.
struct State {
    Phase phase = Phase::greeting;

    // ---- what was settled by greeting and client flags
    bool newstyle = false;
    std::uint16_t handshake_flags = 0;
    std::uint32_t client_flags = 0;

    // ---- what was settled by options
    bool structured = false;
    bool extended = false;
    /// The last NBD_OPT_SET_META_CONTEXT that was not answered with an error.
    std::optional<OpenOption> selected;
    std::optional<OpenOption> option; ///< the one that is under way
    /// The last NBD_OPT_INFO that succeeded, if no other option came after it.
    std::optional<OpenOption> last_info;
    bool info_with_block_size = false; ///< an NBD_OPT_INFO that listed NBD_INFO_BLOCK_SIZE has succeeded
    bool asked = false;                ///< the client has sent an option
    bool asked_for_state = false;      ///< and one that changes what holds for what follows
    bool tls_demanded = false;         ///< NBD_REP_ERR_TLS_REQD came
    bool tls_refused = false;          ///< NBD_OPT_STARTTLS was answered by UNSUP or POLICY
    bool told_to_stop = false;         ///< NBD_REP_ERR_SHUTDOWN came
    bool aborted = false;              ///< the client sent NBD_OPT_ABORT

    // ---- transmission
    std::optional<EnteredExport> entered;
    std::map<std::uint64_t, OpenRequest> open; ///< by cookie
    std::size_t subscriptions = 0;             ///< how many of them are subscriptions
    std::uint64_t requests = 0;                ///< how many came
    std::uint64_t replies = 0;                 ///< how many simple replies and chunks came
    bool disconnecting = false;                ///< the client sent NBD_CMD_DISC
    bool shut_down = false;                    ///< NBD_ESHUTDOWN came
    bool read_failed = false; ///< a simple reply has told the error of a read; the server may leave
    /// A payload was asked for or sent that is longer than what works everywhere; a server may take it for an
    /// attack.
    bool huge_payload = false;
    /// The largest size that this export was ever told to have, on any connection; bytes.
    std::uint64_t largest_size = 0;
    /// The size may have become another one than was told: something granted or notified it, or a write past
    /// the end succeeded.
    bool size_moved = false;

    bool broke[2] = {false, false}; ///< by side: a MUST was broken
    bool ended[2] = {false, false}; ///< by side: its direction has ended

    [[nodiscard]] bool broken_by(Side side) const { return broke[static_cast<int>(side)]; }
    [[nodiscard]] bool ended_by(Side side) const { return ended[static_cast<int>(side)]; }
    /// Both sides have agreed to fixed newstyle negotiation.
    [[nodiscard]] bool fixed() const;
    /// No padding follows the reply to NBD_OPT_EXPORT_NAME.
    [[nodiscard]] bool no_zeroes() const;
    /// Replies have chunks.
    [[nodiscard]] bool chunks() const { return structured || extended; }
    [[nodiscard]] nbd::HeaderStyle style() const {
        return extended ? nbd::HeaderStyle::extended : nbd::HeaderStyle::compact;
    }
    /// True if the entered export has this transmission flag.
    [[nodiscard]] bool has(std::uint16_t transmission_flag) const {
        return entered && (entered->flags & transmission_flag) != 0;
    }
    /// True if NBD_INFO_RESIZE of the entered export promised this (`nbd::resize_capability`).
    [[nodiscard]] bool can_resize(std::uint16_t capability) const {
        return entered && entered->resize && (entered->resize->capabilities & capability) != 0;
    }
    /// How many requests await a reply; subscriptions, which may stay open for ever, are left out.
    [[nodiscard]] std::size_t unanswered() const { return open.size() - subscriptions; }
    /// The largest payload that the server has advertised, or the default, in bytes.
    [[nodiscard]] std::uint64_t max_payload() const;
    /// The minimum block size that the server has advertised; 1 if none.
    [[nodiscard]] std::uint32_t min_block() const;
};

/// The largest size that each export was told to have on any connection of a case, by its name; shared by the
/// judges of these connections. Only so can it be known what a client that learnt a size elsewhere may use.
class KnownSizes {
  public:
    /// Notes a size and gives the largest one so far; bytes.
    std::uint64_t tell(const std::string& export_name, std::uint64_t size);

  private:
    std::map<std::string, std::uint64_t> largest_;
};

} // namespace wire
