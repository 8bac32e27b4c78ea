#pragma once

#include "reference-server/gateway/qmp.hpp"
#include "reference-server/gateway/resizer.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace refserver {

/// Where the monitor is, and what it is told.
struct QmpOptions {
    std::string socket;
    std::string export_id;  ///< empty to find it
    std::string node;       ///< empty to find it
    bool hard = false;      ///< other clients of the export are disconnected
    std::string iothread;   ///< in which the export runs; empty for none
    std::string state_path; ///< where an unfinished change is noted; empty for SOCKET.nbd-resize

    [[nodiscard]] std::string state() const {
        return state_path.empty() ? socket + ".nbd-resize" : state_path;
    }
};

/// Changes the size of a block node of QEMU, which refuses that while the node is exported: the export is
/// deleted, the node resized, and the export added again as it was.
class QmpResizer : public Resizer {
  public:
    explicit QmpResizer(QmpOptions options);

    [[nodiscard]] std::string describe() const override;
    [[nodiscard]] std::uint32_t unit() const override { return 512; }
    void repair(const Patience& patience) override;
    void attach(const std::string& uri, const InnerFacts& facts, const Patience& patience) override;
    [[nodiscard]] Failure change(const SizeChange& change, const Patience& patience) override;
    [[nodiscard]] Failure make_durable() override { return {}; }

  private:
    /// An export, as block-export-add takes it.
    [[nodiscard]] static boost::json::object choose(const boost::json::array& exports,
                                                    const QmpOptions& options);
    [[nodiscard]] Failure resize(Qmp& qmp, const SizeChange& change, const Patience& patience) const;

    const QmpOptions options_;
    std::string uri_;
    boost::json::object settings_; ///< arguments of block-export-add that make the export anew
};

/// The exports of the monitor's process, as query-block-exports tells them.
[[nodiscard]] boost::json::array exports_of(Qmp& qmp);
/// The export with this identifier, or null.
[[nodiscard]] const boost::json::object* find_export(const boost::json::array& exports, std::string_view id);
/// The size of a block node in bytes. Throws QmpError if there is no such node.
[[nodiscard]] std::uint64_t node_size(Qmp& qmp, std::string_view node);

} // namespace refserver
