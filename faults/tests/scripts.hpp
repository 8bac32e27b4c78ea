#pragma once

// What clients say, from the first byte to the last: ordinary conversations, and such that ask for what a
// server has to refuse.

#include "faults/tests/stage.hpp"

#include <functional>
#include <string>
#include <vector>

namespace faults::testing {

struct Script {
    std::string name;
    Setting setting;
    std::function<void(Stage&)> play;
};

[[nodiscard]] const std::vector<Script>& scripts();

} // namespace faults::testing
