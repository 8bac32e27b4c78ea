#pragma once

// The servers behind the gateway: real ones, as processes.

#include "reference-server/tests/process.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace refserver {

/// A server with a disk that outlives it.
class InnerServer {
  public:
    explicit InnerServer(const Folder& folder)
      : folder_(folder) {}
    InnerServer(const InnerServer&) = delete;
    InnerServer& operator=(const InnerServer&) = delete;
    virtual ~InnerServer() = default;

    /// Starts it, and waits until it takes connections.
    void start();
    /// As `kill -9` does.
    void kill();
    [[nodiscard]] Process& process() { return *process_; }
    [[nodiscard]] std::string socket() const { return folder_ / "inner"; }
    [[nodiscard]] virtual std::string uri() const { return "nbd+unix:///?socket=" + socket(); }
    /// The file with the disk.
    [[nodiscard]] std::string image() const { return folder_ / "image"; }
    /// How the gateway changes its size; empty if it cannot.
    [[nodiscard]] virtual std::string resize_with() const { return {}; }
    /// Options of a gateway in front of it, `more` at the end.
    [[nodiscard]] std::vector<std::string> gateway(const std::vector<std::string>& more) const;

  protected:
    [[nodiscard]] virtual std::vector<std::string> command() const = 0;
    const Folder& folder_;

  private:
    std::unique_ptr<Process> process_;
};

/// nbdkit's file plugin.
class Nbdkit : public InnerServer {
  public:
    /// `filters` come before the plugin's name, `parameters` at the end.
    Nbdkit(const Folder& folder, std::uint64_t size, std::vector<std::string> filters = {},
           std::vector<std::string> parameters = {});
    [[nodiscard]] std::string resize_with() const override { return "truncate:" + image(); }

  protected:
    [[nodiscard]] std::vector<std::string> command() const override;

  private:
    std::vector<std::string> filters_;
    std::vector<std::string> parameters_;
};

class StorageDaemon : public InnerServer {
  public:
    StorageDaemon(const Folder& folder, std::uint64_t size, std::string format);
    [[nodiscard]] std::string uri() const override { return "nbd+unix:///disk?socket=" + socket(); }
    [[nodiscard]] std::string monitor() const { return folder_ / "qmp"; }
    [[nodiscard]] std::string resize_with() const override { return "qmp:" + monitor(); }

  protected:
    [[nodiscard]] std::vector<std::string> command() const override;

  private:
    std::string format_;
};

class QemuNbd : public InnerServer {
  public:
    QemuNbd(const Folder& folder, std::uint64_t size);

  protected:
    [[nodiscard]] std::vector<std::string> command() const override;
};

} // namespace refserver
