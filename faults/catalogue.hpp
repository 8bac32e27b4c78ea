#pragma once

// All faults and oddities, by name.

#include "faults/twist.hpp"

#include <span>
#include <string>
#include <string_view>

namespace faults {

/// One way in which a program breaks a requirement of the specification; or, of an oddity, one in which it
/// makes use of what the specification allows but programs seldom do.
struct Fault {
    std::string_view name;        ///< for command lines, "reply-cookie-off-by-one"
    std::string_view requirement; ///< the one that is broken; of an oddity, the one that it is about
    std::string_view sentence;    ///< what the program does, for people
    Recipe recipe;
    /// Of a client that misreads URIs: the URI that it takes another one for. Null if it reads them well.
    std::string (*uri)(std::string text) = nullptr;
    /// Of a client: it is about how it asks for TLS, so that it has to ask (`asks_for_tls`).
    bool about_tls = false;
};

/// In the order of the specification.
[[nodiscard]] std::span<const Fault> server_faults();
/// In the order of the specification.
[[nodiscard]] std::span<const Fault> client_faults();
/// Legal, but unusual: clients have to put up with it.
[[nodiscard]] std::span<const Fault> server_oddities();

/// The one of this name; null if there is none.
[[nodiscard]] const Fault* find(std::span<const Fault> faults, std::string_view name);

} // namespace faults
