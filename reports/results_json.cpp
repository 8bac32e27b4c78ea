#include "reports/results_json.hpp"

#include "reports/files.hpp"
#include "reports/json_reader.hpp"
#include "reports/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace reports {
namespace {

namespace json = boost::json;

json::string text_value(std::string_view text) {
    return json::string(valid_utf8(text));
}

double microseconds(double seconds) {
    return std::isfinite(seconds) && seconds > 0 ? std::round(seconds * 1e6) / 1e6 : 0.0;
}

json::object write_map(const std::map<std::string, std::string>& map) {
    json::object out;
    for (const auto& [key, value] : map) {
        out[valid_utf8(key)] = text_value(value);
    }
    return out;
}

json::value write(const std::string& text) {
    return text_value(text);
}

json::value write(const PeerId& peer) {
    return json::object{{"name", text_value(peer.name)}, {"variant", text_value(peer.variant)}};
}

json::value write(const Finding& finding) {
    return json::object{{"verdict", name(finding.verdict)},
                        {"party", name(finding.party)},
                        {"requirement", text_value(finding.requirement)},
                        {"step", text_value(finding.step)},
                        {"message", text_value(finding.message)},
                        {"deviation", text_value(finding.deviation)}};
}

json::value write(const Observation& observation) {
    return json::object{{"question", text_value(observation.question)},
                        {"answer", text_value(observation.answer)}};
}

json::value write(const StaleDeviation& stale) {
    return json::object{
        {"id", text_value(stale.id)}, {"peer", text_value(stale.peer)}, {"reason", text_value(stale.reason)}};
}

json::value write(const DeviationInfo& deviation) {
    return json::object{{"id", text_value(deviation.id)},
                        {"peer", text_value(deviation.peer)},
                        {"versions", text_value(deviation.versions)},
                        {"reason", text_value(deviation.reason)},
                        {"link", text_value(deviation.link)}};
}

json::value write(const RequirementInfo& requirement) {
    return json::object{{"id", text_value(requirement.id)},
                        {"level", text_value(requirement.level)},
                        {"section", text_value(requirement.section)},
                        {"text", text_value(requirement.text)}};
}

json::value write(const PeerInfo& peer);
json::value write(const EvidenceTable& table);
json::value write(const EvidenceQuestion& question);

template <typename Item>
json::array write_list(const std::vector<Item>& items) {
    json::array out;
    for (const auto& item : items) {
        out.push_back(write(item));
    }
    return out;
}

json::value write(const PeerInfo& peer) {
    json::value version = nullptr;
    if (peer.version) {
        version = text_value(*peer.version);
    }
    return json::object{{"name", text_value(peer.name)},
                        {"role", text_value(peer.role)},
                        {"title", text_value(peer.title)},
                        {"version", version},
                        {"variants", write_list(peer.variants)}};
}

json::value write(const EvidenceTable& table) {
    json::array rows;
    for (const auto& row : table.rows) {
        rows.push_back(write_list(row));
    }
    return json::object{{"title", text_value(table.title)},
                        {"about", text_value(table.about)},
                        {"columns", write_list(table.columns)},
                        {"rows", rows}};
}

json::value write(const EvidenceQuestion& question) {
    return json::object{{"question", text_value(question.question)},
                        {"tables", write_list(question.tables)},
                        {"beyond", text_value(question.beyond)}};
}

/// What most cases do not have is left out.
json::value write(const CaseResult& result) {
    json::object out{{"id", text_value(result.id)},       {"scenario", text_value(result.scenario)},
                     {"title", text_value(result.title)}, {"group", text_value(result.group)},
                     {"server", write(result.server)},    {"client", write(result.client)},
                     {"verdict", name(result.verdict)},   {"seconds", microseconds(result.seconds)}};
    if (!result.knobs.empty()) {
        out["knobs"] = write_map(result.knobs);
    }
    if (result.party != Party::none) {
        out["party"] = name(result.party);
    }
    if (!result.reason.empty()) {
        out["reason"] = text_value(result.reason);
    }
    if (!result.findings.empty()) {
        out["findings"] = write_list(result.findings);
    }
    if (!result.observations.empty()) {
        out["observations"] = write_list(result.observations);
    }
    if (!result.folder.empty()) {
        out["folder"] = text_value(result.folder);
    }
    return out;
}

Verdict read_verdict(JsonReader& reader) {
    const auto text = reader.required("verdict").string();
    if (const auto verdict = parse_verdict(text)) {
        return *verdict;
    }
    std::string known;
    for (const auto verdict : all_verdicts) {
        known += fmt::format("{}{}", known.empty() ? "" : ", ", name(verdict));
    }
    reader.fail("verdict", fmt::format("\"{}\" is not a verdict; there are {}", one_line(text, 60), known));
}

Party read_party(JsonReader& reader, std::string_view text) {
    if (const auto party = parse_party(text)) {
        return *party;
    }
    reader.fail("party", fmt::format("\"{}\" is not a party; there are none, server, client, undecided",
                                     one_line(text, 60)));
}

double read_seconds(JsonReader& reader) {
    const auto seconds = reader.required("seconds").number();
    if (seconds < 0) {
        reader.fail("seconds", "must not be negative");
    }
    return microseconds(seconds); // takes back what the JSON parser lost in the last digit
}

PeerId read_peer_id(JsonReader reader) {
    PeerId out;
    out.name = reader.required("name").string();
    out.variant = reader.required("variant").string();
    reader.finish();
    return out;
}

Finding read_finding(JsonReader reader) {
    Finding out;
    out.verdict = read_verdict(reader);
    out.party = read_party(reader, reader.required("party").string());
    out.requirement = reader.required("requirement").string();
    out.step = reader.required("step").string();
    out.message = reader.required("message").string();
    out.deviation = reader.required("deviation").string();
    reader.finish();
    return out;
}

Observation read_observation(JsonReader reader) {
    Observation out;
    out.question = reader.required("question").string();
    out.answer = reader.required("answer").string();
    reader.finish();
    return out;
}

StaleDeviation read_stale(JsonReader reader) {
    StaleDeviation out;
    out.id = reader.required("id").string();
    out.peer = reader.required("peer").string();
    out.reason = reader.required("reason").string();
    reader.finish();
    return out;
}

DeviationInfo read_deviation(JsonReader reader) {
    DeviationInfo out;
    out.id = reader.required("id").string();
    out.peer = reader.required("peer").string();
    out.versions = reader.required("versions").string();
    out.reason = reader.required("reason").string();
    out.link = reader.required("link").string();
    reader.finish();
    return out;
}

RequirementInfo read_requirement(JsonReader reader) {
    RequirementInfo out;
    out.id = reader.required("id").string();
    out.level = reader.required("level").string();
    out.section = reader.required("section").string();
    out.text = reader.required("text").string();
    reader.finish();
    return out;
}

PeerInfo read_peer(JsonReader reader) {
    PeerInfo out;
    out.name = reader.required("name").string();
    out.role = reader.required("role").string();
    if (out.role != "server" && out.role != "client") {
        reader.fail("role",
                    fmt::format("\"{}\" is not a role; there are server, client", one_line(out.role, 60)));
    }
    out.title = reader.required("title").string();
    if (const auto version = reader.required("version"); !version.is_null()) {
        out.version = version.string();
    }
    out.variants = reader.required("variants").list([](JsonField field) { return field.string(); });
    reader.finish();
    return out;
}

/// Reads a list of objects, each with `read`.
template <typename Read>
auto objects(const JsonField& field, Read read) {
    return field.list([&read](const JsonField& item) { return read(item.object()); });
}

std::vector<std::string> strings(const JsonField& field) {
    return field.list([](const JsonField& item) { return item.string(); });
}

EvidenceTable read_table(JsonReader reader) {
    EvidenceTable out;
    out.title = reader.required("title").string();
    out.about = reader.required("about").string();
    out.columns = strings(reader.required("columns"));
    out.rows = reader.required("rows").list(strings);
    for (const auto& row : out.rows) {
        if (row.size() != out.columns.size()) {
            reader.fail("rows", fmt::format("a row has {} cells, the table {} columns", row.size(),
                                            out.columns.size()));
        }
    }
    reader.finish();
    return out;
}

EvidenceQuestion read_question(JsonReader reader) {
    EvidenceQuestion out;
    out.question = reader.required("question").string();
    out.tables = objects(reader.required("tables"), read_table);
    out.beyond = reader.required("beyond").string();
    reader.finish();
    return out;
}

CaseResult read_case(JsonReader reader) {
    CaseResult out;
    out.id = reader.required("id").string();
    out.scenario = reader.required("scenario").string();
    out.title = reader.required("title").string();
    out.group = reader.required("group").string();
    out.server = read_peer_id(reader.required("server").object());
    out.client = read_peer_id(reader.required("client").object());
    out.verdict = read_verdict(reader);
    out.seconds = read_seconds(reader);
    if (const auto knobs = reader.optional("knobs")) {
        out.knobs = knobs->string_map();
    }
    if (const auto party = reader.optional("party")) {
        out.party = read_party(reader, party->string());
    }
    if (const auto reason = reader.optional("reason")) {
        out.reason = reason->string();
    }
    if (const auto findings = reader.optional("findings")) {
        out.findings = objects(*findings, read_finding);
    }
    if (const auto observations = reader.optional("observations")) {
        out.observations = objects(*observations, read_observation);
    }
    if (const auto folder = reader.optional("folder")) {
        out.folder = folder->string();
    }
    reader.finish();
    return out;
}

void check_cases_are_unique(const RunResult& run) {
    std::map<std::string_view, std::size_t> seen;
    for (std::size_t i = 0; i < run.cases.size(); ++i) {
        const auto [at, is_new] = seen.emplace(run.cases[i].id, i);
        if (!is_new) {
            throw ResultsError(fmt::format("{}: cases[{}] and cases[{}] have the same id \"{}\"", run.source,
                                           at->second, i, one_line(run.cases[i].id, 200)));
        }
    }
}

} // namespace

std::string to_json(const RunResult& run) {
    const auto line = [](std::string_view key, const json::value& value) {
        return fmt::format(" \"{}\": {},\n", key, json::serialize(value));
    };
    std::string out = fmt::format("{{\n \"format\": {},\n", results_format);
    out += line("suite", text_value(run.suite));
    out += line("started", text_value(run.started));
    out += line("seconds", microseconds(run.seconds));
    out += line("properties", write_map(run.properties));
    out += line("peers", write_list(run.peers));
    out += line("stale", write_list(run.stale));
    out += line("deviations", write_list(run.deviations));
    out += line("requirements", write_list(run.requirements));
    out += line("tables", write_list(run.tables));
    out += line("questions", write_list(run.questions));
    out += " \"cases\": [";
    for (const auto& result : run.cases) {
        out += &result == &run.cases.front() ? "\n  " : ",\n  ";
        out += json::serialize(write(result));
    }
    out += "\n ]\n}\n";
    return out;
}

RunResult from_json(std::string_view text, const std::string& source) {
    boost::system::error_code error;
    json::stream_parser parser;
    const auto parsed = parser.write_some(text.data(), text.size(), error);
    if (!error && parsed < text.size()) {
        error = json::make_error_code(json::error::extra_data);
    }
    if (!error) {
        parser.finish(error);
    }
    if (error) {
        const auto line = 1 + std::ranges::count(text.substr(0, parsed), '\n');
        throw ResultsError(fmt::format("{}: line {}: not JSON: {}", source, line, error.message()));
    }
    const auto document = parser.release();

    JsonReader reader = JsonField(document, source, "").object();
    const auto format = reader.required("format").number();
    if (format != results_format) {
        reader.fail("format",
                    fmt::format("this is layout {}, and this program reads layout {} only; read it with the "
                                "version of the program that wrote it",
                                format, results_format));
    }
    RunResult run;
    run.source = source;
    run.suite = reader.required("suite").string();
    run.started = reader.required("started").string();
    run.seconds = read_seconds(reader);
    run.properties = reader.required("properties").string_map();
    run.peers = objects(reader.required("peers"), read_peer);
    run.cases = objects(reader.required("cases"), read_case);
    run.stale = objects(reader.required("stale"), read_stale);
    run.deviations = objects(reader.required("deviations"), read_deviation);
    run.requirements = objects(reader.required("requirements"), read_requirement);
    run.tables = objects(reader.required("tables"), read_table);
    run.questions = objects(reader.required("questions"), read_question);
    reader.finish();
    check_cases_are_unique(run);
    return run;
}

void write_results(const std::filesystem::path& file, const RunResult& run) {
    write_text_file(file, to_json(run));
}

RunResult read_results(const std::filesystem::path& file) {
    return from_json(read_text_file(file), file.string());
}

} // namespace reports
