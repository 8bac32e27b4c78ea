#include "harness/wire/fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    wire::fuzz::play({data, size});
    return 0;
}
