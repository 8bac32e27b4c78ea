#include "harness/check/detection.hpp"

#include <algorithm>
#include <utility>

namespace harness::check {

void Detection::add(Sighting sighting) {
    std::set<std::string>& by = noticed_[sighting.fault];
    if (sighting.aside) {
        for (const std::string& requirement : sighting.broken) {
            by.insert("wire-" + requirement);
        }
        if (sighting.broken.empty()) {
            by.insert("(it cannot be spoken to)");
        }
    } else {
        by.insert(sighting.made);
        busy_.insert(sighting.made);
    }
    broken_[sighting.fault].insert(sighting.broken.begin(), sighting.broken.end());
    sightings_.push_back(std::move(sighting));
}

std::set<std::string> Detection::noticed(const std::string& fault) const {
    const auto found = noticed_.find(fault);
    return found == noticed_.end() ? std::set<std::string>{} : found->second;
}

bool Detection::noticed_by(const std::string& fault, const std::string& made) const {
    return std::ranges::any_of(sightings_, [&](const Sighting& sighting) {
        return sighting.fault == fault && sighting.made == made;
    });
}

bool Detection::noticed_alone(const std::string& fault) const {
    return std::ranges::any_of(
        sightings_, [&](const Sighting& sighting) { return sighting.fault == fault && sighting.alone; });
}

std::vector<std::string> Detection::unnoticed_faults() const {
    std::vector<std::string> names;
    for (const ListedFault& fault : faults) {
        if (!noticed_.contains(fault.name)) {
            names.push_back(fault.name);
        }
    }
    return names;
}

std::vector<std::string> Detection::idle_cases() const {
    std::vector<std::string> names;
    std::ranges::copy_if(cases, std::back_inserter(names),
                         [&](const std::string& name) { return !busy_.contains(name); });
    return names;
}

bool Detection::shows(const ListedFault& fault, const std::string& requirement,
                      const std::set<std::string>& testing_cases) const {
    const auto broken = broken_.find(fault.name);
    if (broken != broken_.end() && broken->second.contains(requirement)) {
        return true;
    }
    const auto found = noticed_.find(fault.name);
    return fault.requirement == requirement && found != noticed_.end() &&
           std::ranges::any_of(found->second,
                               [&](const std::string& name) { return testing_cases.contains(name); });
}

} // namespace harness::check
