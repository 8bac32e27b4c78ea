#include "reference-client/fault_names.hpp"

#include <fmt/format.h>

#include <ostream>

namespace refclient {

std::string fault_problem(const std::string& name) {
    return find_fault(name) || find_fragility(name) != nullptr ||
                   faults::find(faults::client_faults(), name) != nullptr
               ? std::string()
               : fmt::format("there is no fault {}; nbd-resize-client --list-faults shows which there are",
                             name);
}

void add_fault(Options& options, const std::string& name) {
    if (const auto fault = find_fault(name)) {
        options.faults.add(*fault);
    } else if (const Fragility* const fragility = find_fragility(name)) {
        options.fragility = fragility;
    } else {
        options.wire_fault = faults::find(faults::client_faults(), name);
    }
}

void print_faults(std::ostream& out) {
    const auto print = [&out](const auto& entries) {
        for (const auto& entry : entries) {
            out << entry.name << '\t' << entry.requirement << '\t' << entry.sentence << '\n';
        }
    };
    print(all_faults());
    print(all_fragilities());
    print(faults::client_faults());
}

} // namespace refclient
