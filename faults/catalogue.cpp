#include "faults/catalogue.hpp"

#include "faults/client_tables.hpp"
#include "faults/tables.hpp"

#include <algorithm>
#include <iterator>

namespace faults {
Table joined(std::initializer_list<Table (*)()> parts) {
    Table all;
    for (const auto part : parts) {
        Table some = part();
        std::move(some.begin(), some.end(), std::back_inserter(all));
    }
    return all;
}

std::span<const Fault> server_faults() {
    static const Table all =
        joined({greeting_faults,   option_faults,  export_faults, information_faults, context_faults,
                reply_faults,      error_faults,   read_faults,   command_faults,     bounds_faults,
                status_faults,     ending_faults,  tls_faults,    baseline_faults,    next_client_faults,
                two_export_faults, payload_faults, size_faults,   flag_faults,        resize_faults,
                faults_for_clients});
    return all;
}

std::span<const Fault> client_faults() {
    static const Table all =
        joined({client_handshake_faults, client_option_faults, client_tls_faults, client_request_faults,
                client_unoffered_faults, client_leaving_faults, client_credulous_handshake_faults,
                client_credulous_reply_faults, client_credulous_content_faults, client_intolerant_faults,
                client_fastidious_faults, client_misreading_faults, client_fragile_faults, client_uri_faults,
                client_baseline_faults});
    return all;
}

std::span<const Fault> server_oddities() {
    static const Table all = joined({handshake_oddities, context_oddities, tls_oddities, two_export_oddities,
                                     size_oddities, reply_oddities, failure_oddities, oddities_for_clients});
    return all;
}

const Fault* find(std::span<const Fault> faults, std::string_view name) {
    const auto found = std::ranges::find(faults, name, &Fault::name);
    return found == faults.end() ? nullptr : &*found;
}

} // namespace faults
