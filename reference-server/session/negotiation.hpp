#pragma once

#include "protocol/handshake.hpp"
#include "reference-server/session/agreement.hpp"
#include "reference-server/session/output.hpp"
#include "reference-server/session/trace.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace refserver {

/// The server's side of the handshake: fed with bytes, answers into the output queue, and ends with an
/// agreement or with the wish to close the connection.
class Negotiation {
  public:
    enum class State { going_on, agreed, closed };

    /// The longest message that has to be in the input at once, in bytes.
    static constexpr std::size_t max_message = nbd::wire_size<nbd::OptionRequest> + max_option_payload;

    Negotiation(const SessionOptions& options, ExportCatalogue& catalogue, OutputQueue& output,
                const Trace& trace);

    /// Sends the greeting. An oldstyle handshake is over with it.
    void greet();
    /// Takes what it can from the start of `input` and returns how many bytes that was; 0 if more are needed.
    [[nodiscard]] std::size_t consume(nbd::Bytes input);
    /// From now on options are answered with NBD_REP_ERR_SHUTDOWN.
    void shut_down() { shutting_down_ = true; }

    [[nodiscard]] State state() const { return state_; }
    /// What was agreed, once the state says so.
    [[nodiscard]] const Agreement& agreement() const { return agreement_; }
    /// Why the connection is to be closed, for the log.
    [[nodiscard]] const std::string& reason() const { return reason_; }

  private:
    /// Contexts count only if the export is chosen under the name that they were selected for.
    struct SelectedContexts {
        std::string export_name;
        std::vector<ActiveContext> contexts;
    };
    struct LateError {
        nbd::OptionReplyType type = nbd::OptionReplyType::err_unsup;
        std::string message;
    };

    [[nodiscard]] std::uint16_t handshake_flags() const;
    [[nodiscard]] std::size_t consume_client_flags(nbd::Bytes input);
    [[nodiscard]] std::size_t consume_option(nbd::Bytes input);
    [[nodiscard]] std::size_t consume_skipped(nbd::Bytes input);
    /// The error for an option that is refused whatever its payload says.
    [[nodiscard]] std::optional<LateError> refuse_unseen(const nbd::OptionRequest& request) const;
    void answer(const nbd::OptionRequest& request, nbd::Bytes payload);

    void answer_export_name(nbd::Bytes payload);
    void answer_list(const nbd::OptionRequest& request);
    void answer_info(const nbd::OptionRequest& request, nbd::Bytes payload);
    void answer_meta_context(const nbd::OptionRequest& request, nbd::Bytes payload);

    [[nodiscard]] Found find(std::string_view name) const;
    /// `info` is the NBD_INFO_RESIZE of the same reply, if there is one.
    [[nodiscard]] std::uint16_t transmission_flags(const Export& served, std::string_view name,
                                                   const std::optional<nbd::InfoResize>& info) const;
    [[nodiscard]] bool contexts_selected_for(std::string_view name) const;
    void agree(std::shared_ptr<Export> served, std::string_view name, std::optional<nbd::InfoResize> info);
    void close(std::string reason);

    template <class Payload>
    void reply(nbd::Option option, nbd::OptionReplyType type, const Payload& payload);
    void reply_long_info(nbd::Option option, const nbd::InfoResize& info); ///< only where a fault asks for it
    void acknowledge(nbd::Option option);
    void reply_error(nbd::Option option, nbd::OptionReplyType type, std::string_view message);

    const SessionOptions& options_;
    ExportCatalogue& catalogue_;
    OutputQueue& output_;
    const Trace& trace_;

    State state_ = State::going_on;
    std::string reason_;
    std::optional<std::uint32_t> client_flags_;
    bool shutting_down_ = false;
    ReplyStyle style_ = ReplyStyle::simple;
    /// The most that may be negotiated: less than the options say once the client asked for such an export.
    ReplyStyle most_;
    std::optional<nbd::InfoResize> told_info_; ///< only where a fault asks for it
    std::optional<SelectedContexts> selected_;
    Agreement agreement_;

    nbd::OptionRequest skipped_;
    std::uint64_t to_skip_ = 0;
    std::optional<LateError> late_error_; ///< what `skipped_` is answered with once its payload has passed
};

} // namespace refserver
