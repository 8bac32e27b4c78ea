#include "reference-client/fault_names.hpp"

#include <fmt/format.h>

#include <ostream>

namespace refclient {

std::string fault_problem(const std::string& name) {
    return find_fault(name) || faults::find(faults::client_faults(), name) != nullptr
               ? std::string()
               : fmt::format("there is no fault {}; nbd-resize-client --list-faults shows which there are",
                             name);
}

void add_fault(Options& options, const std::string& name) {
    if (const auto fault = find_fault(name)) {
        options.faults.add(*fault);
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
    print(faults::client_faults());
}

} // namespace refclient
