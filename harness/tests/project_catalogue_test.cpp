// The catalogue that the project comes with.

#include "harness/catalogue/catalogue.hpp"
#include "harness/catalogue/glob.hpp"
#include "harness/catalogue/placeholders.hpp"
#include "harness/run/selection.hpp"
#include "harness/tests/support.hpp"
#include "harness/wire/rule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

namespace harness {
namespace {

using ::testing::IsEmpty;

class ProjectCatalogue : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { catalogue_ = new Catalogue(load_catalogue(NBD_SOURCE_DIR "/scenarios")); }
    static void TearDownTestSuite() {
        delete catalogue_;
        catalogue_ = nullptr;
    }

    static inline const Catalogue* catalogue_ = nullptr;
};

TEST_F(ProjectCatalogue, HasThePeersAndScenariosThatItPromises) {
    EXPECT_GE(catalogue_->scenarios.size(), 25U);
    for (const char* server :
         {"reference-server", "qemu-nbd", "qemu-storage-daemon", "nbdkit", "nbd-server"}) {
        EXPECT_NE(catalogue_->peer(server, "server"), nullptr) << server;
    }
    for (const char* client :
         {"reference-client", "libnbd", "nbdinfo", "nbdcopy", "qemu-img", "qemu-io", "nbdkit-nbd"}) {
        EXPECT_NE(catalogue_->peer(client, "client"), nullptr) << client;
    }
}

TEST_F(ProjectCatalogue, WhatIsTestedIsARequirementThatCanBeTested) {
    std::set<std::string> named;
    for (const Scenario& scenario : catalogue_->scenarios) {
        for (const Step& step : scenario.steps) {
            for (const std::string& rule : {step.rule, step.rule_on_error, step.rule_on_success}) {
                if (!rule.empty()) {
                    EXPECT_TRUE(catalogue_->requirements.contains(rule)) << scenario.name << ": " << rule;
                    named.insert(rule);
                }
            }
        }
    }
    // What the wire judge enforces is tested by exchanges of its own.
    for (const wire::Enforced& rule : wire::enforced_requirements()) {
        named.insert(std::string(rule.requirement));
    }
    // The statements of the RESIZE draft are tested by lives, and by the tests of the references, which name
    // them.
    const std::regex identifier(R"(RZ-[A-Z]+-\d+)");
    for (const char* folder : {"/scenarios/resize", "/reference-server/tests", "/reference-client/tests"}) {
        for (const auto& file :
             std::filesystem::recursive_directory_iterator(std::string(NBD_SOURCE_DIR) + folder)) {
            const std::string text = file.is_regular_file() ? testing_support::read_file(file) : "";
            for (std::sregex_iterator found(text.begin(), text.end(), identifier), end; found != end;
                 ++found) {
                EXPECT_TRUE(catalogue_->requirements.contains(found->str())) << file << ": " << found->str();
                named.insert(found->str());
            }
        }
    }
    for (const auto& [id, requirement] : catalogue_->requirements) {
        if (named.contains(id)) {
            EXPECT_EQ(requirement.untestable, "") << id << " is tested";
        } else {
            // The specification is listed in full, tested or not; the draft is this project's own to test.
            EXPECT_TRUE(requirement.document != "resize" || !requirement.untestable.empty())
                << id << " is in the catalogue, but nothing tests it";
        }
    }
}

TEST_F(ProjectCatalogue, TheWireJudgeKnowsHowBindingItsRequirementsAre) {
    for (const wire::Enforced& rule : wire::enforced_requirements()) {
        const auto found = catalogue_->requirements.find(std::string(rule.requirement));
        ASSERT_NE(found, catalogue_->requirements.end()) << rule.requirement;
        EXPECT_EQ(found->second.level == Level::must, rule.mandatory) << rule.requirement;
    }
}

TEST_F(ProjectCatalogue, EveryScenarioCanBeCarriedOutBySomeClient) {
    const auto cases = make_cases(*catalogue_, {{}, {}, {}, Pairs::all});
    for (const Scenario& scenario : catalogue_->scenarios) {
        EXPECT_TRUE(std::ranges::any_of(cases, [&](const Case& item) {
            return item.scenario == &scenario && inexpressible(item).empty();
        })) << scenario.name;
    }
}

/// The conditions that say something about a peer file's traits.
Conditions about_traits(const Conditions& conditions, const FactVocabulary& facts) {
    Conditions result;
    for (const auto& [name, wanted] : conditions) {
        if (facts.find(name)->source == FactSource::peer_file) {
            result[name] = wanted;
        }
    }
    return result;
}

TEST_F(ProjectCatalogue, EveryScenarioHasAServerWithTheTraitsThatItNeeds) {
    for (const Scenario& scenario : catalogue_->scenarios) {
        const Conditions needs = about_traits(scenario.server_needs, catalogue_->facts);
        bool found = false;
        for (const Peer& peer : catalogue_->peers) {
            found = found || std::ranges::any_of(peer.servers, [&](const ServerVariant& variant) {
                        return satisfied(needs, variant.traits);
                    });
        }
        EXPECT_TRUE(found) << scenario.name << ": no server's traits meet what it needs";
    }
}

/// Every expansion that happens at run time, with the placeholders that there are at that time.
TEST_F(ProjectCatalogue, EveryPlaceholderStandsForSomething) {
    for (const Peer& peer : catalogue_->peers) {
        EXPECT_NO_THROW((void)expand(peer.version.run, {{{"bin", "b"}}, {}})) << peer.name;
        for (const ServerVariant& variant : peer.servers) {
            Placeholders values;
            for (const char* name :
                 {"bin", "socket", "image", "format", "size", "export", "folder", "read-only-text"}) {
                values.texts[name] = "x";
            }
            if (variant.listen == Listen::tcp) {
                values.texts["port"] = "1";
            }
            values.lists = {{"args", variant.args},
                            {"parameters", variant.parameters},
                            {"read-only", variant.read_only.value_or(std::vector<std::string>{})}};
            for (const auto& [name, contents] : variant.files) {
                EXPECT_NO_THROW((void)expand(std::string_view(contents), values)) << peer.name << " " << name;
                values.texts["file:" + name] = "x";
            }
            EXPECT_NO_THROW((void)expand(variant.start, values)) << peer.name << "+" << variant.name;
            values.lists["read-only"] = variant.writable;
            EXPECT_NO_THROW((void)expand(variant.start, values)) << peer.name << "+" << variant.name;
        }
        for (const ClientVariant& variant : peer.clients) {
            Placeholders values{{{"bin", "b"}, {"uri", "u"}},
                                {{"args", variant.args}, {"read-only", variant.read_only}, {"flags", {}}}};
            EXPECT_NO_THROW((void)expand(variant.start, values)) << peer.name << "+" << variant.name;
            for (const char* name : {"offset", "length", "from", "into", "flags"}) {
                values.texts[name] = "x";
            }
            for (const auto& [operation, form] : peer.templates) {
                EXPECT_NO_THROW((void)expand(form.run, values)) << peer.name << " " << operation;
                EXPECT_NO_THROW((void)expand(std::string_view(form.send), values))
                    << peer.name << " " << operation;
            }
        }
    }
}

TEST_F(ProjectCatalogue, ServersOnATcpPortOrASocketAreToldWhichOne) {
    for (const Peer& peer : catalogue_->peers) {
        for (const ServerVariant& variant : peer.servers) {
            std::set<std::string> told;
            auto words = variant.start;
            words.insert(words.end(), variant.args.begin(), variant.args.end());
            words.insert(words.end(), variant.parameters.begin(), variant.parameters.end());
            for (const auto& [name, contents] : variant.files) {
                words.push_back(contents);
            }
            for (const std::string& word : words) {
                for (const std::string& name : placeholders_in(word)) {
                    told.insert(name);
                }
            }
            EXPECT_TRUE(variant.listen != Listen::tcp || told.contains("port"))
                << peer.name << "+" << variant.name;
            EXPECT_TRUE(variant.listen != Listen::unix_socket || told.contains("socket"))
                << peer.name << "+" << variant.name;
            EXPECT_TRUE(variant.image == Image::none || told.contains("image"))
                << peer.name << "+" << variant.name;
        }
    }
}

TEST_F(ProjectCatalogue, DeviationsSpeakOfWhatThereIs) {
    for (const Deviation& deviation : catalogue_->deviations) {
        EXPECT_TRUE(deviation.rule.empty() || catalogue_->requirements.contains(deviation.rule))
            << deviation.id;
        EXPECT_NE(deviation.reason, "") << deviation.id;
        for (const std::string& pattern : deviation.scenarios) {
            EXPECT_TRUE(std::ranges::any_of(
                catalogue_->scenarios,
                [&](const Scenario& scenario) { return glob_match(pattern, scenario.name); }))
                << deviation.id << ": no scenario is like " << pattern;
        }
        const auto exists = [&](const std::string& pattern, bool server) {
            return std::ranges::any_of(catalogue_->peers, [&](const Peer& peer) {
                const auto variants = peer.variant_names();
                return (peer.role == "server") == server &&
                       std::ranges::any_of(variants, [&](const std::string& variant) {
                           return selects(pattern, peer.name, variant);
                       });
            });
        };
        for (const std::string& pattern : deviation.peers) {
            EXPECT_TRUE(exists(pattern, deviation.role == "server")) << deviation.id << ": " << pattern;
        }
        for (const std::string& pattern : deviation.others) {
            EXPECT_TRUE(exists(pattern, deviation.role != "server")) << deviation.id << ": " << pattern;
        }
    }
}

} // namespace
} // namespace harness
