// Every fault shows, breaks what it says, and breaks nothing else as far as the wire judge can tell; oddities
// break nothing.

#include "faults/catalogue.hpp"
#include "faults/make.hpp"
#include "faults/tests/scripts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string>

namespace faults {
namespace {

using testing::Script;
using testing::scripts;
using testing::Stage;

Recipe nothing() {
    return twist([](Raw& /*raw*/) {});
}

struct Played {
    std::string at_the_client;
    std::string at_the_server;
    std::set<std::string> broken;
    std::vector<std::string> explained;
};

Played play(const Recipe& recipe, const Script& script) {
    Stage stage(recipe, script.setting);
    script.play(stage);
    return {stage.seen_by_client(), stage.seen_by_server(), stage.broken(), stage.explained()};
}

/// What comes of all scripts together.
struct Outcome {
    bool shows = false; ///< to the client
    bool works = false; ///< at least at the server
    std::set<std::string> broken;
    std::string explained;
};

Outcome outcome_of(const Fault& fault) {
    static const std::vector<Played> plain = [] {
        std::vector<Played> all;
        for (const Script& script : scripts()) {
            all.push_back(play(nothing(), script));
        }
        return all;
    }();
    Outcome outcome;
    for (std::size_t i = 0; i < scripts().size(); ++i) {
        const Played played = play(fault.recipe, scripts()[i]);
        outcome.shows = outcome.shows || played.at_the_client != plain[i].at_the_client;
        outcome.works = outcome.works || played.at_the_server != plain[i].at_the_server;
        outcome.broken.insert(played.broken.begin(), played.broken.end());
        for (const std::string& line : played.explained) {
            outcome.explained += scripts()[i].name + ": " + line + '\n';
        }
    }
    return outcome;
}

bool enforced(std::string_view requirement) {
    static const auto all = wire::enforced_requirements();
    return std::ranges::find(all, requirement, &wire::Enforced::requirement) != all.end();
}

/// What the judge says of a fault or an oddity where it is not simply the requirement that it breaks.
struct Verdict {
    std::string_view name;
    std::string_view requirements; ///< in alphabetical order, with spaces between them
};

/// The codes that errors have to have, which one that is not to be read or another one cannot be.
constexpr std::string_view with_codes[] = {"COMMAND-FLAG-REFUSED", "COMMAND-REFUSED", "READ-ONLY-EPERM",
                                           "READ-PAST-END",        "STATUS-PAST-END", "STATUS-UNSELECTED",
                                           "TRIM-PAST-END",        "WRITE-PAST-END",  "ZEROES-PAST-END"};
constexpr std::string_view spoils_codes[] = {"error-of-the-host", "error-zero", "error-short",
                                             "error-value-unknown"};

constexpr Verdict verdicts[] = {
    // Two requirements say it, or the one has no rule and the other has.
    {"greeting-not-fixed", ""}, // what follows may be answered or hung up on
    // They fail bad requests as well, which deserve other errors.
    {"fails-read", "COMMAND-FLAG-REFUSED READ-PAST-END"},
    {"fails-write", "READ-ONLY-EPERM WRITE-PAST-END"},
    {"fails-trim", "TRIM-PAST-END"},
    {"fails-cache", "COMMAND-FLAG-REFUSED"},
    {"fails-write-zeroes", "ZEROES-PAST-END"},
    {"fails-block-status", "STATUS-PAST-END STATUS-UNSELECTED"},
    {"option-unknown-hangs-up", "HAGGLING-NO-HANG-UP"},
    {"leaving-upsets", "HAGGLING-NO-HANG-UP"},
    {"client-flags-swapped-accepted", "CLIENT-FLAGS-DROPPED"},
    {"list-meta-selects", "STATUS-CONTEXT STATUS-UNSELECTED"},
    {"set-meta-for-all", "STATUS-CONTEXT STATUS-UNSELECTED"},
    {"go-stays", "SERVER-NO-HANG-UP"},
    {"extended-overridden", "EXTENDED-NO-COMPACT"},
    {"set-meta-told-twice", "SET-META-UNIQUE"},
    {"tls-only-starttls-refused", "NOTLS-NO-DEMAND"},
    {"disc-unimplemented", "REPLY-COOKIE"},
    {"block-size-maximum-zero", "BLOCK-SIZE-PAYLOAD BLOCK-SIZE-PAYLOAD-1M CHUNK-PAYLOAD"},
    {"read-first-half-twice", "CONTENT-ONCE READ-COVERED"},
    {"data-of-4-gib", "CHUNK-PAYLOAD CONTENT-IN-REQUEST DISC-OUTSTANDING"},
    {"option-unknown-data-unread", "HAGGLING-NO-HANG-UP"},
    {"list-reply-info", "INFO-REPLY-PLACE LIST-REPLIES"},
    {"list-reply-context", "LIST-REPLIES META-REPLY-PLACE"},
    {"meta-reply-server", "META-REPLIES SERVER-REPLY-PLACE"},
    {"starttls-data-accepted", "STARTTLS-NO-CLEAR"}, // it has no TLS to go on with
    {"abort-data-refused", "ABORT-ACK"},
    {"abort-unimplemented", "ABORT-ACK"},
    {"list-details-not-text", "SERVER-REPLY-DETAILS STRING-UTF8"},
    {"extended-block-size-reqd", "BLOCK-SIZE-REQD-TELLS"},
    {"export-name-framed", "EXPORT-NAME-NO-ERROR"},
    {"info-hangs-up", "HAGGLING-NO-HANG-UP"},
    {"meta-context-no-space", "META-CONTEXT-NAMESPACE META-NAMESPACE-CHARACTERS"},
    {"meta-context-4097", "META-NAME-STRING STRING-LENGTH"},
    {"error-after-done", "REPLY-COOKIE"},
    {"fast-zero-overflow", "OVERFLOW-PLACE"},
    {"go-unimplemented-extended", "BASELINE-INFO-GO EXTENDED-GO"},
    {"block-size-minimum-odd", "BLOCK-SIZE-MINIMUM SIZE-OF-BLOCKS"},
    {"set-meta-kept", "STATUS-CONTEXT STATUS-UNSELECTED"},
    {"error-overflow", "COMMAND-REFUSED OVERFLOW-PLACE"},
    {"error-notsup", "COMMAND-REFUSED NOTSUP-PLACE"},
    {"error-offset-of-nothing", "ERROR-OFFSET-IN-REQUEST ERROR-OFFSET-PLACE"},
    {"fast-zero-unasked", "FAST-ZERO-UNASKED NOTSUP-PLACE"},
    {"flag-cache-ignored", "COMMAND-FLAG-REFUSED"},
    {"large-hangs-up", "SERVER-NO-HANG-UP"},
    {"status-type-3", "CHUNK-TYPE STATUS-ALL-CONTEXTS"},
    {"status-unselected", "STATUS-CONTEXT STATUS-UNSELECTED"},
    {"chunk-after-done", "REPLY-COOKIE"},
    {"disc-answered", "REPLY-COOKIE"},
    {"disc-refused", "REPLY-COOKIE"},
    {"error-offset-first",
     "COMMAND-FLAG-REFUSED ERROR-NOT-ZERO ERROR-OFFSET-IN-REQUEST ERROR-OFFSET-LENGTH READ-PAST-END"},
    {"read-error-untold", "COMMAND-FLAG-REFUSED READ-COVERED"},
    {"df-hole-apart", "DF-ONE-CHUNK"},
    {"df-long-split", "DF-ONE-CHUNK"},
    {"status-error-untold", "STATUS-ALL-CONTEXTS STATUS-UNSELECTED"},
    {"status-simple-with-payload", "REPLY-MAGIC STATUS-NO-SIMPLE"},
    {"status-payload-unsound-served", "STATUS-CONTEXT-WANTED"},
    {"leaving-takes-others", "SERVER-NO-HANG-UP"},
    {"reply-compact-for-structured", "EXTENDED-NO-COMPACT"},
    {"unaligned-hangs-up", "SERVER-NO-HANG-UP"},
    {"long-read-hangs-up", "SERVER-NO-HANG-UP"},
    {"read-only-said", "READ-ONLY-REFUSED"},
    // What is not to be read is missing.
    {"info-export-long", "INFO-EXPORT-LENGTH INFO-EXPORT-SENT"},
    {"info-export-short", "INFO-EXPORT-LENGTH INFO-EXPORT-SENT"},
    {"read-relative", "CONTENT-IN-REQUEST READ-COVERED"},
    {"hole-long", "HOLE-LENGTH READ-COVERED"},
    // The reply to another request, or to none: the right one stays without an answer.
    {"reply-cookie-off-by-one",
     "CONTENT-IN-REQUEST DISC-OUTSTANDING EXTENDED-OFFSET READ-COVERED REPLY-COOKIE"},
    {"reply-cookie-32-bits", "DISC-OUTSTANDING REPLY-COOKIE"},
    {"reply-cookie-swapped", "DISC-OUTSTANDING REPLY-COOKIE"},
    {"reply-missing", "DISC-OUTSTANDING"},
    {"shutdown-at-once", "DISC-OUTSTANDING"},
    {"reply-half", "DISC-OUTSTANDING REPLY-MAGIC"},
    {"chunk-never-done", "DISC-OUTSTANDING"},
    {"status-never-done", "DISC-OUTSTANDING"},
    {"write-once", "DISC-OUTSTANDING"},
    // Bytes too many or too few show at the next message.
    {"export-name-padding-long", "REPLY-MAGIC"},
    {"option-error-length-none", "OPTION-REPLY-MAGIC"},
    {"go-answers-options", "REPLY-MAGIC"},
    {"error-with-data", "REPLY-MAGIC"},
    {"chunk-cut-short", "REPLY-MAGIC"},
    {"read-simple-short", "REPLY-MAGIC"},
    {"read-simple-long", "REPLY-MAGIC"},
    // The judge has a rule, but not for this way of breaking the requirement, or it excuses the server
    // because the
    // client has broken another one.
    {"greeting-late", ""},
    {"greeting-cut", ""},
    {"meta-context-short", "STATUS-CONTEXT STATUS-UNSELECTED"}, // it cannot be read, so nothing is selected
    {"write-refused-data-read", ""},
    {"abort-unanswered", ""},
    {"set-meta-wildcard-hides", ""},
    {"export-name-padding-short", ""},
    {"info-size-zero", ""},
    {"command-unknown-hangs-up", ""},
    {"read-past-end-served", ""},
    {"write-past-end-served", ""},
    {"write-past-end-cut", ""},
    {"trim-past-end-served", ""},
    {"zeroes-past-end-served", ""},
    {"status-past-end-served", ""},
    {"bounds-wrap", ""},
    {"resize-forgets-requests", ""},
    {"resize-fua-denied", ""},
    // No server of today's specification may do this, but clients have to put up with it.
    {"go-unsupported", "BASELINE-INFO-GO BASELINE-LIST"},
    {"chunk-hint-flag", "CHUNK-FLAGS"},
    {"write-fails-oddly", "ERROR-VALUE"},
    {"status-reserved-flags", "ALLOCATION-RESERVED"},
};

/// These make a difference to what the server does, and none to what one client sees.
constexpr std::string_view unseen[] = {"flush-ignored", "read-stale"};

/// These need an export that changes its size, which these conversations have not: `nbd-interop check --self`
/// is where they have to be noticed.
constexpr std::string_view resizable_only[] = {"notifications-flood"};

bool among(std::string_view name, std::span<const std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
}

std::string listed(const std::set<std::string>& names) {
    std::string all;
    for (const std::string& name : names) {
        all += (all.empty() ? "" : " ") + name;
    }
    return all;
}

TEST(Catalogue, scripts_break_nothing_by_themselves) {
    for (const Script& script : scripts()) {
        const Played played = play(nothing(), script);
        EXPECT_EQ(listed(played.broken), "") << script.name;
        EXPECT_FALSE(played.at_the_client.empty()) << script.name;
    }
}

TEST(Catalogue, is_in_order) {
    std::set<std::string_view> names;
    for (const auto all : {server_faults(), client_faults(), server_oddities()}) {
        for (const Fault& fault : all) {
            EXPECT_TRUE(names.insert(fault.name).second) << fault.name << " is there twice";
            EXPECT_TRUE(std::ranges::all_of(fault.name, [](unsigned char c) {
                return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-';
            })) << fault.name;
            EXPECT_TRUE(std::ranges::all_of(fault.requirement, [](unsigned char c) {
                return std::isupper(c) != 0 || std::isdigit(c) != 0 || c == '-';
            })) << fault.name;
            EXPECT_FALSE(fault.sentence.empty()) << fault.name;
            EXPECT_FALSE(fault.sentence.ends_with('.')) << fault.name;
            EXPECT_EQ(find(all, fault.name), &fault);
        }
    }
    EXPECT_EQ(find(server_faults(), "no-such"), nullptr);
    EXPECT_GE(server_faults().size(), 115U);
    EXPECT_GE(server_oddities().size(), 45U);
}

/// What the judge has to say of it.
std::string expected(const Fault& fault, bool faulty) {
    std::set<std::string> all;
    if (const auto* const found = std::ranges::find(verdicts, fault.name, &Verdict::name);
        found != std::end(verdicts)) {
        return std::string(found->requirements);
    }
    if (faulty && enforced(fault.requirement)) {
        all.insert(std::string(fault.requirement));
    }
    if (std::ranges::find(spoils_codes, fault.name) != std::end(spoils_codes)) {
        all.insert(std::begin(with_codes), std::end(with_codes));
        all.insert(faulty ? std::string(fault.requirement) : "ERROR-VALUE");
    }
    return listed(all);
}

class OfServers : public ::testing::TestWithParam<const Fault*> {};

std::string test_name(const ::testing::TestParamInfo<const Fault*>& info) {
    std::string name(info.param->name);
    std::ranges::replace(name, '-', '_');
    return name;
}

std::vector<const Fault*> pointers(std::span<const Fault> faults) {
    std::vector<const Fault*> all;
    for (const Fault& fault : faults) {
        all.push_back(&fault);
    }
    return all;
}

using Faulty = OfServers;
TEST_P(Faulty, shows_and_breaks_what_it_says) {
    const Fault& fault = *GetParam();
    const Outcome outcome = outcome_of(fault);
    if (among(fault.name, resizable_only)) {
        EXPECT_FALSE(outcome.shows || outcome.works);
        return;
    }
    EXPECT_TRUE(outcome.shows || (among(fault.name, unseen) && outcome.works));
    EXPECT_EQ(listed(outcome.broken), expected(fault, true)) << outcome.explained;
}
INSTANTIATE_TEST_SUITE_P(Server, Faulty, ::testing::ValuesIn(pointers(server_faults())), test_name);

using Odd = OfServers;
TEST_P(Odd, shows_and_breaks_nothing) {
    const Outcome outcome = outcome_of(*GetParam());
    EXPECT_TRUE(outcome.shows);
    EXPECT_EQ(listed(outcome.broken), expected(*GetParam(), false)) << outcome.explained;
}
INSTANTIATE_TEST_SUITE_P(Server, Odd, ::testing::ValuesIn(pointers(server_oddities())), test_name);

} // namespace
} // namespace faults
