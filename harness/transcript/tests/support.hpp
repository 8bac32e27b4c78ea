#pragma once

// Transcripts for tests.

#include "harness/transcript/transcript.hpp"
#include "harness/wire/tests/conversation.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

namespace wire {

/// A folder that goes with the test.
class Folder {
  public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "transcript-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

/// A conversation that is written down as the harness does it.
class Written : public Conversation {
  public:
    Written(TranscriptWriter& writer, std::uint32_t number)
      : writer_(writer)
      , number_(number) {
        writer_.opened(number);
    }
    void took(Side from, nbd::Bytes bytes, bool bulk) override {
        bulk ? writer_.data(number_, from, bytes) : writer_.bytes(number_, from, bytes);
    }
    /// Both sides leave.
    void ends() {
        for (const Side side : {Side::client, Side::server}) {
            judge().end(side, End::closed);
            writer_.ended(number_, side, End::closed);
        }
    }

  private:
    TranscriptWriter& writer_;
    std::uint32_t number_;
};

/// What was broken, as `Trace` and `Conversation` have it.
inline std::string list(const std::vector<Violation>& violations) {
    std::string text;
    for (const Violation& violation : violations) {
        text += std::string(violation.requirement) + " at " + std::to_string(violation.offset) + "\n";
    }
    return text;
}

} // namespace wire
