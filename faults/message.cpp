#include "faults/message.hpp"

#include <type_traits>

namespace faults {
namespace {

/// Appends numbers and bytes.
class Writer {
  public:
    template <nbd::WireInteger T>
    Writer& number(T value) {
        const auto wire = nbd::detail::to_wire(value);
        out_.resize(out_.size() + sizeof wire);
        nbd::detail::store_big(out_.data() + out_.size() - sizeof wire, wire);
        return *this;
    }
    Writer& bytes(const nbd::Buffer& from) {
        out_.insert(out_.end(), from.begin(), from.end());
        return *this;
    }
    nbd::Buffer take() { return std::move(out_); }

  private:
    nbd::Buffer out_;
};

nbd::Buffer bytes_of(const Greeting& greeting) {
    Writer out;
    out.number(greeting.magic).number(greeting.style);
    if (!greeting.oldstyle) {
        return out.number(greeting.flags).take();
    }
    return out.number(greeting.size)
        .number(greeting.flags)
        .number(greeting.transmission_flags)
        .bytes(greeting.padding)
        .take();
}

nbd::Buffer bytes_of(const ClientFlags& flags) {
    return Writer().number(flags.flags).take();
}

nbd::Buffer bytes_of(const OptionRequest& option) {
    return Writer()
        .number(option.magic)
        .number(option.option)
        .number(option.length.value_or(static_cast<std::uint32_t>(option.payload.size())))
        .bytes(option.payload)
        .take();
}

nbd::Buffer bytes_of(const OptionReply& reply) {
    return Writer()
        .number(reply.magic)
        .number(reply.option)
        .number(reply.type)
        .number(reply.length.value_or(static_cast<std::uint32_t>(reply.payload.size())))
        .bytes(reply.payload)
        .take();
}

nbd::Buffer bytes_of(const ExportReply& reply) {
    return Writer().number(reply.size).number(reply.flags).bytes(reply.padding).take();
}

nbd::Buffer bytes_of(const Request& request) {
    Writer out;
    out.number(request.magic).number(request.flags).number(request.type);
    out.number(request.cookie).number(request.offset);
    if (request.style == nbd::HeaderStyle::compact) {
        out.number(static_cast<std::uint32_t>(request.length));
    } else {
        out.number(request.length);
    }
    return out.bytes(request.payload).take();
}

nbd::Buffer bytes_of(const Reply& reply) {
    return Writer().number(reply.magic).number(reply.error).number(reply.cookie).bytes(reply.data).take();
}

nbd::Buffer bytes_of(const Chunk& chunk) {
    Writer out;
    out.number(chunk.magic).number(chunk.flags).number(chunk.type).number(chunk.cookie);
    const std::uint64_t length = chunk.length.value_or(chunk.payload.size());
    if (chunk.style == nbd::HeaderStyle::compact) {
        out.number(static_cast<std::uint32_t>(length));
    } else {
        out.number(chunk.offset).number(length);
    }
    return out.bytes(chunk.payload).take();
}

nbd::Buffer bytes_of(const Raw& raw) {
    return raw.bytes;
}

} // namespace

nbd::Buffer encode(const Message& message) {
    return std::visit([](const auto& one) { return bytes_of(one); }, message);
}

} // namespace faults
