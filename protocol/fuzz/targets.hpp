#pragma once

// What is fuzzed. A target throws Violation when something does not hold that has to hold for any input;
// everything else that can go wrong is for the sanitizers to notice.

#include "protocol/codec.hpp"

#include <stdexcept>

namespace nbd::fuzz {

class Violation : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

/// The first byte selects a message (its position in AllMessages) , 255 the views of both header styles; the
/// others are decoded as that.
void message(Bytes input);

/// The bytes are parsed as a URI.
void uri(Bytes input);

} // namespace nbd::fuzz
