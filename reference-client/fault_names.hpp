#pragma once

// Faults of the RESIZE draft, of the base protocol, and of a client that breaks down, behind one set of
// names.

#include "reference-client/options.hpp"

#include <iosfwd>
#include <string>

namespace refclient {

/// Why the name stands for no fault, for people; empty if it does.
[[nodiscard]] std::string fault_problem(const std::string& name);

/// Makes the client break this rule, too. The name has to stand for a fault. Of the base protocol there is
/// one fault at a time: the last one counts.
void add_fault(Options& options, const std::string& name);

/// One line each: name, broken requirement, what the client does, with tabs between them.
void print_faults(std::ostream& out);

} // namespace refclient
