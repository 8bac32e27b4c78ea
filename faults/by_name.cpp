#include "faults/by_name.hpp"

#include <memory>
#include <string>

namespace faults {
namespace {

class ByName : public Twist {
  public:
    void on(Message& message, Flow& flow) override {
        if (const auto* const option = std::get_if<OptionRequest>(&message); option != nullptr && !chosen_) {
            const Fault* const fault = named_in(name_in(*option));
            if (fault != nullptr && !fault->recipe.before_name) {
                chosen_ = fault->recipe.make();
            }
        }
        if (chosen_) {
            chosen_->on(message, flow);
        }
    }
    void on_end(Ended ended, Flow& flow) override {
        if (chosen_) {
            chosen_->on_end(ended, flow);
        }
    }

  private:
    std::unique_ptr<Twist> chosen_;
};

} // namespace

Recipe chosen_by_name() {
    return {[] { return std::make_unique<ByName>(); }, true};
}

const Fault* named_in(std::string_view export_name) {
    while (!export_name.empty()) {
        const auto comma = export_name.find(',');
        const std::string_view part = export_name.substr(0, comma);
        export_name.remove_prefix(comma == std::string_view::npos ? export_name.size() : comma + 1);
        const auto equals = part.find('=');
        if (equals == std::string_view::npos) {
            continue;
        }
        const std::string_view key = part.substr(0, equals);
        const std::string_view value = part.substr(equals + 1);
        const Fault* const found = key == "fault"    ? find(server_faults(), value)
                                   : key == "oddity" ? find(server_oddities(), value)
                                                     : nullptr;
        if (found != nullptr) {
            return found;
        }
    }
    return nullptr;
}

} // namespace faults
