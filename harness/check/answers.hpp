#pragma once

// The whole answer to an option or a request, gathered from the messages that make it up.

#include "harness/check/incoming.hpp"
#include "protocol/resize.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace harness::check {

/// Numbers that an answer holds, by the names that cases use.
using Fields = std::map<std::string, std::uint64_t>;

/// The replies to an option up to the final one.
struct OptionOutcome {
    nbd::Option option = nbd::Option::abort;
    std::vector<OptionAnswer> replies;
    std::optional<nbd::ExportNameReply> entered; ///< of NBD_OPT_EXPORT_NAME
    bool complete = false;

    /// Takes the next reply; the outcome is complete with the final one.
    void take(OptionAnswer reply);
    /// The type of the final reply; only if it is complete and no export was entered.
    [[nodiscard]] nbd::OptionReplyType final_type() const { return replies.back().header.type; }
    [[nodiscard]] bool success() const {
        return complete && (entered || final_type() == nbd::OptionReplyType::ack);
    }
    /// The information of a type, its type included; null if it did not come.
    [[nodiscard]] const nbd::Buffer* info(nbd::InfoType type) const;
    /// What NBD_REP_SERVER told.
    [[nodiscard]] std::vector<nbd::ServerReply> listed() const;
    /// The metadata contexts that came, ids by name.
    [[nodiscard]] std::map<std::string, std::uint32_t> contexts() const;
    /// Of the names that `field_names(true)` lists those that this answer has. `export_name` is the one
    /// looked for, `list` what the server has listed before.
    [[nodiscard]] Fields fields(const std::string& export_name,
                                const std::vector<nbd::ServerReply>& list) const;
    /// "NBD_REP_INFO, NBD_REP_INFO, NBD_REP_ACK"
    [[nodiscard]] std::string describe() const;
};

/// The reply to a request, in whichever style it came.
struct RequestOutcome {
    nbd::Request request;
    bool complete = false;
    std::optional<nbd::Error> error; ///< the first that came
    nbd::Buffer data;                ///< of a read: all that was asked for, as far as it came
    std::uint64_t covered = 0;       ///< bytes of the request that content came for
    Fields counts;                   ///< "chunks", "holes", …
    std::optional<nbd::ResizeChunk> size;
    bool subscription = false; ///< complete with each chunk, although more may follow

    void take(const SimpleAnswer& answer);
    void take(const ChunkAnswer& answer);
    [[nodiscard]] bool success() const { return complete && !error; }
    [[nodiscard]] Fields fields() const;
    [[nodiscard]] std::string describe() const;

  private:
    /// Where content came for, and how many errors were told to be in it.
    struct Placed {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        std::uint64_t errors = 0;
    };

    void content(std::uint64_t offset, nbd::Bytes data, std::uint64_t length);
    void place(std::uint64_t offset, std::uint64_t length);
    void fail_at(std::uint64_t offset);

    std::vector<Placed> placed_;
};

/// The names that `holds` may use of an answer to an option, or to a request.
[[nodiscard]] const std::vector<std::string_view>& field_names(bool of_option);

} // namespace harness::check
