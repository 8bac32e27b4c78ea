#pragma once

// Which statements of the specification are tested: by which cases, and shown by which faults.

#include "harness/check/conformance.hpp"
#include "harness/check/detection.hpp"

#include <string>

namespace harness::check {

/// A table for each section: statement, cases, faults that these cases noticed; and the share that is
/// covered. Only statements that bind that side, servers or clients.
[[nodiscard]] std::string coverage_markdown(const Requirements& requirements, const Conformance& conformance,
                                            const Detection& detection, Bound side = Bound::server);

/// "217 of 240 statements that can be tested from outside have a case that a fault makes fail (90%)"
[[nodiscard]] std::string coverage_line(const Requirements& requirements, const Conformance& conformance,
                                        const Detection& detection, Bound side = Bound::server);

/// The statements for that side that a sighting shows to have a case which fails where they are broken.
[[nodiscard]] std::set<std::string> shown_by(const Sighting& sighting, const Requirements& requirements,
                                             const Conformance& conformance, const Detection& detection,
                                             Bound side = Bound::server);

} // namespace harness::check
