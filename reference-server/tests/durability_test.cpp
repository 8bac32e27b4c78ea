// What has to be durable before an answer is: RZ-AUTO-8 and RZ-PLAIN-11, NBD_CMD_FLAG_FUA and NBD_CMD_FLUSH.

#include "reference-server/backend/backend.hpp"
#include "reference-server/export.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace refserver {
namespace {

using testing::ElementsAre;

constexpr std::uint64_t old_size = 4096;

/// Writes down in which order it is asked for what. What it reports as an error, it did not do.
class RecordingBackend : public Backend {
  public:
    [[nodiscard]] std::uint64_t size() const override { return size_; }
    [[nodiscard]] bool read_only() const override { return false; }
    [[nodiscard]] bool lends_memory() const override { return false; }
    [[nodiscard]] bool is_file() const override { return true; }
    [[nodiscard]] std::string describe() const override { return "recording"; }
    [[nodiscard]] bool try_now(Operation& /*operation*/) override { return false; }
    void perform(Operation& operation) override {
        log.push_back(fmt::format("{} up to {}{}",
                                  operation.kind == Operation::Kind::flush ? "flush" : "write",
                                  operation.end(), operation.fua ? ", durably" : ""));
        if (broken_disk && operation.fua) {
            operation.fail(nbd::Error::io, "the disk is broken");
        }
    }
    [[nodiscard]] Failure set_size(const SizeChange& change) override {
        log.push_back(fmt::format("size {}", change.to));
        size_ = change.to;
        return {};
    }
    [[nodiscard]] Failure make_durable() override {
        log.emplace_back("make durable");
        return broken_disk ? Failure{nbd::Error::io, "the disk is broken"} : Failure{};
    }

    std::vector<std::string> log;
    bool broken_disk = false;

  private:
    std::uint64_t size_ = old_size;
};

class Durability : public testing::Test {
  protected:
    static ResizeRules rules() {
        ResizeRules rules;
        rules.knobs.growth = Growth::both;
        rules.knobs.consent = Consent::implicit;
        rules.knobs.advertise = Advertise::info;
        return rules;
    }

    Operation done(Operation::Kind kind, std::uint64_t offset, std::uint64_t length, bool fua) {
        Operation operation;
        operation.kind = kind;
        operation.offset = offset;
        operation.length = length;
        operation.fua = fua;
        operation.may_extend = kind == Operation::Kind::write;
        served_.perform(operation);
        return operation;
    }

    std::shared_ptr<RecordingBackend> backend_ = std::make_shared<RecordingBackend>();
    Export served_{ExportOptions{}, backend_, rules()};
};

TEST_F(Durability, of_a_size_that_is_asked_for_with_fua) {
    EXPECT_EQ(done(Operation::Kind::resize, 8192, 0, true).error, nbd::Error::none);
    EXPECT_THAT(backend_->log, ElementsAre("size 8192", "make durable"));
}

TEST_F(Durability, of_a_size_that_is_asked_for_without_it_is_nobodys_wish) {
    EXPECT_EQ(done(Operation::Kind::resize, 8192, 0, false).error, nbd::Error::none);
    EXPECT_THAT(backend_->log, ElementsAre("size 8192"));
}

TEST_F(Durability, of_the_size_that_is_there_already) {
    EXPECT_EQ(done(Operation::Kind::resize, old_size, 0, true).error, nbd::Error::none);
    EXPECT_THAT(backend_->log, ElementsAre("make durable")) << "an earlier change may not be durable yet";
}

TEST_F(Durability, of_a_write_that_extends_comes_after_the_size_that_it_needs) {
    EXPECT_EQ(done(Operation::Kind::write, 8192, 512, true).error, nbd::Error::none);
    EXPECT_THAT(backend_->log, ElementsAre("size 8704", "write up to 8704, durably"));
}

TEST_F(Durability, that_fails_leaves_the_size) {
    backend_->broken_disk = true;
    EXPECT_EQ(done(Operation::Kind::resize, 8192, 0, true).error, nbd::Error::io);
    EXPECT_EQ(done(Operation::Kind::write, 8192, 512, true).error, nbd::Error::io);
    EXPECT_EQ(served_.size(), old_size);
    EXPECT_EQ(backend_->size(), old_size);
}

TEST_F(Durability, of_everything_before_a_flush) {
    EXPECT_EQ(done(Operation::Kind::resize, 8192, 0, false).error, nbd::Error::none);
    EXPECT_EQ(done(Operation::Kind::flush, 0, 0, false).error, nbd::Error::none);
    EXPECT_THAT(backend_->log, ElementsAre("size 8192", "flush up to 0"));
}

} // namespace
} // namespace refserver
