#pragma once

// Which statements of the specification are tested: by which cases, and shown by which faults.

#include "harness/check/conformance.hpp"
#include "harness/check/detection.hpp"

#include <string>

namespace harness::check {

/// A table for each section: statement, cases, faults that these cases noticed; and the share that is
/// covered. Only statements that bind servers.
[[nodiscard]] std::string coverage_markdown(const Requirements& requirements, const Conformance& conformance,
                                            const Detection& detection);

/// "217 of 240 statements that can be tested from outside have a case that a fault makes fail (90%)"
[[nodiscard]] std::string coverage_line(const Requirements& requirements, const Conformance& conformance,
                                        const Detection& detection);

/// The statements for servers that a sighting shows to have a case which fails where they are broken.
[[nodiscard]] std::set<std::string> shown_by(const Sighting& sighting, const Requirements& requirements,
                                             const Conformance& conformance, const Detection& detection);

} // namespace harness::check
