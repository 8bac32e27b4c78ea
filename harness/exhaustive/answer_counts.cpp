#include "harness/exhaustive/lives.hpp"

#include <algorithm>

namespace harness {

AnswerCounts::AnswerCounts(const Knobs& knobs, const Oracle& oracle)
  : knobs_(&knobs) {
    for (const Knob& knob : knobs.all()) {
        first_value_.push_back(values_);
        values_ += knob.values.size();
    }
    for (const Question& question : oracle.questions()) {
        answers_ = std::max(answers_, question.answers.size() + 1);
    }
    counts_.resize(oracle.questions().size() * values_ * answers_);
}

std::size_t AnswerCounts::place(std::size_t question, std::size_t knob, std::size_t value,
                                std::size_t answer) const {
    return (question * values_ + first_value_[knob] + value) * answers_ + answer;
}

void AnswerCounts::add(const Combination& combination, const std::vector<int>& answers) {
    std::size_t knob = 0;
    for (const Side side : all_sides) {
        const Configuration& values = knobs_->configurations(side)[combination.of(side)];
        for (std::size_t i = 0; i < knobs_->of(side).size(); ++i, ++knob) {
            for (std::size_t question = 0; question < answers.size(); ++question) {
                const std::size_t answer =
                    answers[question] < 0 ? answers_ - 1 : static_cast<std::size_t>(answers[question]);
                ++counts_[place(question, knob, values[i], answer)];
            }
        }
    }
}

void AnswerCounts::add(const AnswerCounts& other) {
    std::ranges::transform(counts_, other.counts_, counts_.begin(), std::plus<>{});
}

std::uint64_t AnswerCounts::count(std::size_t question, std::size_t knob, std::size_t value,
                                  std::size_t answer) const {
    return counts_[place(question, knob, value, answer)];
}

} // namespace harness
