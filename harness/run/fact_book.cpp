#include "harness/run/fact_book.hpp"

#include "harness/peers/server_instance.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/workspace.hpp"
#include "harness/run/make_client.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace harness {
namespace {

using reports::Party;
using reports::Verdict;

constexpr std::chrono::seconds patience{10};
constexpr std::chrono::milliseconds last_breath{500};

/// The probe did not get into the transmission phase.
class HandshakeFailed : public std::runtime_error {
  public:
    HandshakeFailed(Verdict verdict, const std::string& what)
      : std::runtime_error(what)
      , verdict_(verdict) {}
    [[nodiscard]] Verdict verdict() const { return verdict_; }

  private:
    Verdict verdict_;
};

ClientResult probe(const Peer& peer, const ServerVariant& variant, bool read_only, const RunPlace& place,
                   const std::string& key) {
    const Deadline deadline = std::chrono::steady_clock::now() + patience;
    const std::filesystem::path logs = place.out / "probes" / key;
    const std::filesystem::path scratch = place.workspace->make_folder("probe");
    std::filesystem::create_directories(logs);
    ExportSetup setup;
    setup.read_only = read_only;
    ServerInstance server(peer, variant, read_only, {scratch, place.programs});
    server.prepare(setup);
    server.start(logs, deadline);
    const Peer& prober = *place.catalogue->prober;
    const std::unique_ptr<Client> client =
        make_client(prober, prober.clients.front(), place, logs, server.uri(), read_only, deadline);
    ClientStep step;
    step.kind = StepKind::connect;
    step.id = 1;
    step.uri = server.uri();
    const ClientOutcome outcome = client->perform(step, deadline);
    client->finish(deadline);
    // A server that dies of a client may be a moment later at it than the client is with its complaint.
    const std::optional<Exit> died = server.ended(outcome.error ? last_breath : std::chrono::milliseconds(0));
    const std::string last_words = server.last_words();
    server.stop();
    if (outcome.error) {
        throw HandshakeFailed(
            died ? Verdict::crash : Verdict::fail,
            fmt::format("{}{}", died ? fmt::format("the server {}: {}; ", died->describe(), last_words) : "",
                        outcome.error->describe()));
    }
    return outcome.result;
}

reports::Finding problem(Verdict verdict, Party party, const std::string& message) {
    return {verdict, party, "", "probe", fmt::format("the server cannot be probed: {}", message), ""};
}

} // namespace

Facts handshake_facts(const FactVocabulary& vocabulary, const ClientResult& result) {
    Facts facts;
    const auto say = [](bool yes) { return yes ? "yes" : "no"; };
    for (const Fact& fact : vocabulary.all()) {
        if (fact.flag) {
            facts[fact.name] = say(result.flags && result.flags->contains(*fact.flag));
        } else if (fact.field) {
            const std::string& field = *fact.field;
            facts[fact.name] = say(field == "structured" ? result.structured.value_or(false)
                                   : field == "extended" ? result.extended.value_or(false)
                                   : field == "block"    ? result.block.has_value()
                                                         : result.contexts.contains(field));
        } else if (fact.granularity) {
            // Without advertised sizes a client has to assume the default minimum (Size constraints), but the
            // server may well serve single bytes; what it does then is for the scenarios to find out.
            facts[fact.name] = say(!result.block || result.block->minimum <= *fact.granularity);
        }
    }
    return facts;
}

const FactBook::Entry& FactBook::look_up(const Peer& peer, const ServerVariant& variant, bool read_only) {
    const std::string key =
        fmt::format("{}{}", label(peer.name, variant.name), read_only ? ",read-only" : "");
    Slot* slot = nullptr;
    {
        const std::scoped_lock lock(mutex_);
        std::unique_ptr<Slot>& entry = slots_[key];
        if (!entry) {
            entry = std::make_unique<Slot>();
        }
        slot = entry.get();
    }
    const std::scoped_lock lock(slot->mutex);
    if (!slot->asked) {
        slot->entry.facts = variant.traits;
        try {
            slot->entry.facts.merge(
                handshake_facts(place_.catalogue->facts, probe(peer, variant, read_only, place_, key)));
        } catch (const Interrupted&) {
            throw;
        } catch (const ServerFailed& failure) {
            slot->entry.problem =
                problem(failure.how() == ServerFailed::How::hangs ? Verdict::timeout : Verdict::crash,
                        Party::server, failure.what());
        } catch (const TimedOut& error) {
            slot->entry.problem = problem(Verdict::timeout, Party::undecided, error.what());
        } catch (const HandshakeFailed& error) {
            slot->entry.problem = problem(error.verdict(), Party::server, error.what());
        } catch (const std::exception& error) {
            slot->entry.problem = problem(Verdict::error, Party::none, error.what());
        }
        slot->asked = true;
    }
    return slot->entry;
}

} // namespace harness
