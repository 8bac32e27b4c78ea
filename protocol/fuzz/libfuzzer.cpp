// The entry point of libFuzzer for the target that NBD_FUZZ_TARGET names.

#include "protocol/fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    nbd::fuzz::NBD_FUZZ_TARGET(nbd::Bytes(data, size));
    return 0;
}
