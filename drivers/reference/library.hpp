#pragma once

// The reference client behind the driver protocol.

#include "drivers/common/library.hpp"
#include "reference-client/options.hpp"
#include "reference-client/resizer.hpp"

#include <map>
#include <memory>
#include <string>

namespace driver {

struct OpenSession;

/// Carries out steps with the reference client's library. Not for several threads.
class ReferenceLibrary : public Library {
  public:
    /// `version` is the project's; `input` is the descriptor that steps come from, for `idle`.
    ReferenceLibrary(refclient::Options options, refclient::ResizePreferences resizing, std::string version,
                     int input);
    ~ReferenceLibrary() override;

    [[nodiscard]] Hello hello() const override;
    ExportInfo connect(const Connect& step) override;
    ExportInfo info(const Info& step) override;
    std::vector<ListedExport> list(const List& step) override;
    std::unique_ptr<Batch> read(const Transfer& step) override;
    std::unique_ptr<Batch> write(const Transfer& step, std::vector<std::byte> data) override;
    std::unique_ptr<Batch> zero(const Transfer& step) override;
    std::unique_ptr<Batch> trim(const Transfer& step) override;
    std::unique_ptr<Batch> cache(const Transfer& step) override;
    void flush(const Flush& step) override;
    std::vector<Extent> map(const Map& step) override;
    HeldSize grow(const Grow& step) override;
    HeldSize learn(const Learn& step) override;
    void disconnect(const Disconnect& step) override;
    void idle() override;

  private:
    [[nodiscard]] const std::shared_ptr<OpenSession>& find(const std::string& name) const;

    refclient::Options options_;
    refclient::ResizePreferences resizing_;
    std::string version_;
    int input_;
    std::map<std::string, std::shared_ptr<OpenSession>> sessions_;
};

} // namespace driver
