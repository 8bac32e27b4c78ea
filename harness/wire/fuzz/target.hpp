#pragma once

#include "protocol/codec.hpp"

#include <stdexcept>

namespace wire::fuzz {

/// The judge did what it never must; what() says what.
class Misconduct : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Plays any bytes as what two peers send to each other, and looks at the judge. A first byte chooses how far
/// they have got (0: nothing was sent); then come parts: one byte with the side and what happens, one with a
/// length, and as many bytes. Throws Misconduct.
void play(nbd::Bytes script);

} // namespace wire::fuzz
