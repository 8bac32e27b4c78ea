#pragma once

// The driver's view of libnbd.

#include "drivers/common/library.hpp"
#include "drivers/libnbd/options.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace driver {

class Connection;

/// libnbd's C API behind the operations of the driver protocol. Uses the asynchronous calls throughout, so
/// that all requests of a step are queued before the first reply is waited for. Not for several threads.
class LibnbdLibrary : public Library {
  public:
    explicit LibnbdLibrary(LibnbdOptions options);
    /// Takes leave of the servers whose connections are still open, but does not wait long for them.
    ~LibnbdLibrary() override;
    LibnbdLibrary(const LibnbdLibrary&) = delete;
    LibnbdLibrary& operator=(const LibnbdLibrary&) = delete;

    [[nodiscard]] Hello hello() const override;
    ExportInfo connect(const Connect& step) override;
    /// Uses NBD_OPT_INFO, or NBD_OPT_GO where the server or the switches do not allow that.
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
    std::shared_ptr<Connection> find(const std::string& name) const;
    std::unique_ptr<Batch> submit(const Transfer& step, std::vector<std::byte> data);

    LibnbdOptions options_;
    std::map<std::string, std::shared_ptr<Connection>> connections_;
};

/// libnbd's version, "1.14.2".
[[nodiscard]] std::string libnbd_version();

} // namespace driver
