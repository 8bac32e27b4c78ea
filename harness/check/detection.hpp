#pragma once

// Which cases notice which faults: what comes of holding the suite against broken programs.

#include "harness/check/listed_faults.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace harness::check {

/// A case that did not pass because of a fault.
struct Sighting {
    std::string fault;
    std::string on;               ///< the configuration of the server, or what the client was told to do
    std::string made;             ///< the case
    std::set<std::string> broken; ///< requirements that were found broken
    /// True if the case itself passed: the wire judge saw it meanwhile. With nothing broken: the suite could
    /// not even begin.
    bool aside = false;
    bool alone = false; ///< no other case had spoken to this server before
};

/// What the cases made of the faults.
class Detection {
  public:
    std::vector<ListedFault> faults;
    std::vector<std::string> cases; ///< names
    /// Cases that did not pass without any fault, with what they say: defects of the suite or of the
    /// reference.
    std::vector<std::string> unsound;
    /// Cases that no configuration of the reference could carry out.
    std::vector<std::string> never_run;
    std::size_t runs = 0; ///< cases carried out, with and without faults

    void add(Sighting sighting);
    [[nodiscard]] const std::vector<Sighting>& sightings() const { return sightings_; }
    /// The cases that noticed the fault, and "wire-REQUIREMENT" for what the wire judge alone saw.
    [[nodiscard]] std::set<std::string> noticed(const std::string& fault) const;

    /// True if the case noticed the fault, or the wire judge did so in this case.
    [[nodiscard]] bool noticed_by(const std::string& fault, const std::string& made) const;
    /// True if a case noticed the fault on a server to which no other case had spoken before.
    [[nodiscard]] bool noticed_alone(const std::string& fault) const;

    [[nodiscard]] std::vector<std::string> unnoticed_faults() const;
    [[nodiscard]] std::vector<std::string> idle_cases() const;
    /// True if the case noticed some fault.
    [[nodiscard]] bool busy(const std::string& name) const { return busy_.contains(name); }
    /// True if the fault made a case fail for the requirement: it was found broken, or it is the one that the
    /// fault breaks and one of `testing_cases`, which test it, noticed the fault.
    [[nodiscard]] bool shows(const ListedFault& fault, const std::string& requirement,
                             const std::set<std::string>& testing_cases) const;

  private:
    std::vector<Sighting> sightings_;
    std::map<std::string, std::set<std::string>> noticed_; ///< by fault
    std::map<std::string, std::set<std::string>> broken_;  ///< by fault
    std::set<std::string> busy_;                           ///< cases that noticed some fault
};

} // namespace harness::check
