#include "faults/edit.hpp"

#include <memory>

namespace faults {
namespace {

class Both : public Twist {
  public:
    Both(std::unique_ptr<Twist> first, std::unique_ptr<Twist> second)
      : first_(std::move(first))
      , second_(std::move(second)) {}

    void on(Message& message, Flow& flow) override {
        first_->on(message, flow);
        if (flow.current() != nullptr) {
            second_->on(message, flow);
        }
    }
    void on_end(Ended ended, Flow& flow) override {
        first_->on_end(ended, flow);
        second_->on_end(ended, flow);
    }

  private:
    std::unique_ptr<Twist> first_;
    std::unique_ptr<Twist> second_;
};

} // namespace

Recipe unoffered(std::uint16_t handshake_flag, std::uint32_t client_flag) {
    return twist([handshake_flag](
                     Greeting& greeting) { greeting.flags &= static_cast<std::uint16_t>(~handshake_flag); },
                 [client_flag](ClientFlags& flags, Flow& flow) {
                     if ((flags.flags & client_flag) != 0) {
                         flow.hang_up();
                     }
                 });
}

Recipe both(Recipe first, Recipe second) {
    const bool before_name = first.before_name || second.before_name;
    return {[first = std::move(first), second = std::move(second)] {
                return std::make_unique<Both>(first.make(), second.make());
            },
            before_name};
}

Recipe chunks_of_at_most(std::size_t bytes) {
    return on_chunked_read([bytes](const Request& request, nbd::Buffer& data, Flow& flow) {
        if (data.size() <= bytes) {
            flow.to_client(content(flow.told(), request, data));
            return;
        }
        if ((request.flags & nbd::command_flag::df) != 0) {
            flow.to_client(failure(flow.told(), request, nbd::Error::overflow));
            return;
        }
        for (std::size_t from = 0; from < data.size(); from += bytes) {
            const std::size_t to = std::min(from + bytes, data.size());
            flow.to_client(data_chunk(flow.told(), request, request.offset + from, part(data, from, to),
                                      to == data.size()));
        }
    });
}

} // namespace faults
