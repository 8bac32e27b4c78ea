// nbd-resize-client: the reference client for people and scripts.

#include "reference-client/cli/command_line.hpp"

int main(int argc, char** argv) {
    return refclient::cli::run(argc, argv);
}
