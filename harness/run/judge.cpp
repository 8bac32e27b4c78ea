#include "harness/run/judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>

namespace harness {
namespace {

using reports::Finding;
using reports::Party;
using reports::Verdict;

Party party_of(const Requirement& requirement, ErrorPlace where) {
    if (where == ErrorPlace::connection) {
        return Party::undecided; // either side may have given it up
    }
    switch (requirement.bound) {
    case Bound::server:
        return Party::server;
    case Bound::client:
        return Party::client;
    case Bound::both:
        return where == ErrorPlace::server ? Party::server : Party::undecided;
    }
    return Party::undecided;
}

/// The first thing in the advertised block sizes that the specification does not allow (Size constraints).
std::string wrong_block_sizes(const BlockSizes& block) {
    constexpr std::uint64_t largest_minimum = 64U * 1024;
    if (!std::has_single_bit(block.minimum) || block.minimum > largest_minimum) {
        return fmt::format("a minimum block size of {} is no power of 2 up to 64 KiB", block.minimum);
    }
    if (!std::has_single_bit(block.preferred) ||
        block.preferred < std::max<std::uint64_t>(block.minimum, 512)) {
        return fmt::format("a preferred block size of {} is no power of 2 of at least 512 and the minimum {}",
                           block.preferred, block.minimum);
    }
    if (block.maximum < block.preferred) {
        return fmt::format("a maximum payload of {} is less than the preferred block size {}", block.maximum,
                           block.preferred);
    }
    return {};
}

/// What is wrong with the extents of a block status reply; nothing if they are possible and truthful.
std::string wrong_extents(const std::vector<Extent>& extents, const ClientStep& step, const DiskModel& disk,
                          std::uint64_t export_size) {
    if (extents.empty()) {
        return "no extent was told";
    }
    std::uint64_t at = step.offset;
    for (const Extent& extent : extents) {
        if (extent.offset != at) {
            return fmt::format("an extent begins at {} instead of {}", extent.offset, at);
        }
        if (extent.length == 0) {
            return fmt::format("the extent at {} is empty", at);
        }
        // NBD_REPLY_TYPE_BLOCK_STATUS: all but the last together are shorter than the request.
        if (at - step.offset >= step.length) {
            return fmt::format("the extent at {} begins beyond the {} bytes that were asked about", at,
                               step.length);
        }
        if (extent.length > export_size - std::min(at, export_size)) {
            return fmt::format("the extent at {} goes on for {} bytes, beyond the end of the export", at,
                               extent.length);
        }
        if (extent.zero && disk.has_data(at, extent.length)) {
            return fmt::format("the extent at {}+{} is said to read as zeroes, but there are data in it", at,
                               extent.length);
        }
        at += extent.length;
    }
    return {};
}

/// Everything that is wrong with a success.
std::vector<std::string> wrong_result(const Step& step, const ClientStep& evaluated,
                                      const Expectation& expected, const ClientResult& result,
                                      const DiskModel& disk, std::uint64_t export_size) {
    std::vector<std::string> wrong;
    const auto add = [&](std::string message) {
        if (!message.empty()) {
            wrong.push_back(std::move(message));
        }
    };
    if (step.kind == StepKind::read && expected.data == DataRule::model) {
        for (std::uint64_t i = 0; i < evaluated.count && wrong.empty(); ++i) {
            add(disk.compare(evaluated.into, i * evaluated.length, evaluated.offset + i * evaluated.stride,
                             evaluated.length)
                    .value_or(""));
        }
    }
    if (step.kind == StepKind::read && expected.data == DataRule::zeroes) {
        std::error_code missing;
        if (std::filesystem::file_size(evaluated.into, missing) != evaluated.count * evaluated.length) {
            add(fmt::format("the data are not the {} bytes that were asked for",
                            evaluated.count * evaluated.length));
        } else if (!is_zeroes(evaluated.into)) {
            add("the data are not all zero");
        }
    }
    if (expected.size && result.size) {
        const std::uint64_t size = expected.size->evaluate(export_size);
        if (*result.size != size) {
            add(fmt::format("the size is {} instead of {}", *result.size, size));
        }
    }
    if (!expected.way.empty() && result.way != expected.way) {
        add(fmt::format("it was done by the way '{}' instead of '{}'", result.way, expected.way));
    }
    if (result.flags) {
        for (const std::string& flag : expected.flags_set) {
            if (!result.flags->contains(flag)) {
                add(fmt::format("the transmission flag '{}' is not set", flag));
            }
        }
        for (const std::string& flag : expected.flags_clear) {
            if (result.flags->contains(flag)) {
                add(fmt::format("the transmission flag '{}' is set", flag));
            }
        }
    }
    if (expected.block_sizes_valid && result.block) {
        add(wrong_block_sizes(*result.block));
    }
    if (expected.lists_export && result.exports &&
        std::ranges::find(*result.exports, evaluated.export_name) == result.exports->end()) {
        add(fmt::format("the export '{}' is not in the list of {}", evaluated.export_name,
                        result.exports->size()));
    }
    if (expected.extents_truthful && result.extents) {
        add(wrong_extents(*result.extents, evaluated, disk, export_size));
        if (expected.one_extent &&
            (result.extents->size() != 1 || result.extents->front().length > evaluated.length)) {
            add(fmt::format("{} extents were told, the first of {} bytes, for a request of {} that wants one",
                            result.extents->size(),
                            result.extents->empty() ? 0 : result.extents->front().length, evaluated.length));
        }
    }
    return wrong;
}

/// What the client would have to tell for this expectation to mean anything.
std::string untold(const Expectation& expected, const ClientResult& result) {
    if (expected.size && !result.size) {
        return "the client does not tell the size";
    }
    if ((!expected.flags_set.empty() || !expected.flags_clear.empty()) && !result.flags) {
        return "the client does not tell the transmission flags";
    }
    if (expected.block_sizes_valid && !result.block) {
        return "no block sizes were told";
    }
    if (expected.lists_export && !result.exports) {
        return "the client does not tell the exports";
    }
    if (expected.extents_truthful && !result.extents) {
        return "the client does not tell the extents";
    }
    return {};
}

std::string answer_of(const Step& step, const ClientStep& evaluated, const ClientOutcome& outcome,
                      const DiskModel& disk) {
    if (outcome.error) {
        return outcome.error->where == ErrorPlace::connection ? "connection lost"
               : outcome.error->where == ErrorPlace::local    ? "refused by the client"
                                                              : outcome.error->name;
    }
    if (step.kind == StepKind::read) {
        if (is_zeroes(evaluated.into)) {
            return "zeroes";
        }
        // Beyond the end that the disk had at first nobody knows what to read.
        const bool known = disk.has_data(evaluated.offset, evaluated.length);
        return known && !disk.compare(evaluated.into, 0, evaluated.offset, evaluated.length) ? "the data"
                                                                                             : "other bytes";
    }
    if (outcome.result.size) {
        return fmt::format("{} bytes{}", *outcome.result.size,
                           outcome.result.way.empty() ? "" : " by the way '" + outcome.result.way + "'");
    }
    return "success";
}

} // namespace

Finding broken(const Requirements& requirements, const std::string& rule, ErrorPlace where,
               const std::string& message) {
    Finding finding;
    finding.requirement = rule;
    finding.message = message;
    const Requirement& requirement = requirements.at(rule);
    finding.verdict = requirement.level == Level::must ? Verdict::fail : Verdict::warn;
    finding.party = party_of(requirement, where);
    return finding;
}

StepJudgement judge(const Step& step, const ClientStep& evaluated, const Expectation& expected,
                    const ClientOutcome& outcome, const DiskModel& disk, std::uint64_t export_size,
                    const Requirements& requirements) {
    StepJudgement judgement;
    if (!outcome.error) {
        if (!step.record.empty()) {
            judgement.answer = answer_of(step, evaluated, outcome, disk);
        }
        if (!expected.ok) {
            const std::string& rule = step.rule_on_success.empty() ? step.rule : step.rule_on_success;
            judgement.findings.push_back(
                broken(requirements, rule, ErrorPlace::unknown,
                       fmt::format("{} was expected, it succeeded", expected.describe())));
            return judgement;
        }
        judgement.unsupported = untold(expected, outcome.result);
        for (const std::string& message :
             wrong_result(step, evaluated, expected, outcome.result, disk, export_size)) {
            judgement.findings.push_back(broken(requirements, step.rule, ErrorPlace::unknown, message));
        }
        return judgement;
    }

    const ClientError& error = *outcome.error;
    if (error.where == ErrorPlace::local && expected.refused) {
        if (!step.record.empty()) {
            judgement.answer = answer_of(step, evaluated, outcome, disk);
        }
        return judgement;
    }
    // A client that has these can do them, each by its way; whether it may is what the scenario asks.
    const bool asked = step.kind == StepKind::grow || step.kind == StepKind::learn;
    if (error.where == ErrorPlace::local && !asked) {
        judgement.unsupported = fmt::format("the client refuses it by itself: {}", error.message);
        return judgement;
    }
    if (error.where == ErrorPlace::driver) {
        throw std::runtime_error(fmt::format("the driver cannot do it: {}", error.message));
    }
    if (!step.record.empty()) {
        judgement.answer = answer_of(step, evaluated, outcome, disk);
    }
    const bool sent = error.where != ErrorPlace::local;
    if (sent && (expected.any_error || expected.errors.contains(error.name))) {
        return judgement;
    }
    if (!expected.errors.empty() && error.name == "EUNKNOWN" && error.where != ErrorPlace::connection) {
        judgement.unsupported = fmt::format("the client does not tell which error came: {}", error.message);
        return judgement;
    }
    // Words that name no error may as well be about the client's own command line.
    const ErrorPlace where = error.name == "EUNKNOWN" ? ErrorPlace::connection : error.where;
    const std::string& rule = step.rule_on_error.empty() ? step.rule : step.rule_on_error;
    judgement.findings.push_back(
        broken(requirements, rule, where,
               fmt::format("{} was expected, {}", expected.describe(), error.describe())));
    return judgement;
}

std::pair<Verdict, Party> worst(const std::vector<Finding>& findings) {
    // From the worst to the least.
    constexpr std::array order{Verdict::error, Verdict::crash, Verdict::timeout, Verdict::fail,
                               Verdict::warn};
    for (const Verdict verdict : order) {
        std::optional<Party> party;
        for (const Finding& finding : findings) {
            if (finding.verdict == verdict) {
                party = party && *party != finding.party ? Party::undecided : finding.party;
            }
        }
        if (party) {
            return {verdict, *party};
        }
    }
    return {Verdict::pass, Party::none};
}

} // namespace harness
