// What a server answers, statement by statement, written from docs/resize-extension.md.

#include "reference-server/tests/resize_cases.hpp"

#include <ostream>

namespace refserver {
namespace {

const std::string sizes = "size=1MiB,limit=4MiB,";
const std::string any_size = "size=1MiB,limit=none,";
const std::string all_knobs = "growth=both,advertise=info,learn=both,shrink=allow";
const std::string both = sizes + all_knobs;
const std::string deny = sizes + "growth=both,advertise=info,learn=both,shrink=deny";
const std::string flag_only = sizes + "growth=both,advertise=flag,shrink=allow";
const std::string implicit = sizes + "growth=auto,advertise=silent";
const std::string announced = sizes + "growth=auto,advertise=info,consent=implicit,learn=none";
const std::string opt_in = sizes + "growth=auto,advertise=info,consent=opt-in,learn=none";
const std::string learning = sizes + "advertise=info,learn=both";
const std::string fixed = sizes + "growth=none";

const ResizeCase cases[] = {
    // ---- Handshake
    {"flag_of_explicit_growth", "RZ-FLAG-1 RZ-FLAG-3 RZ-INFO-1", both, R"(
        a open extended => 1048576 resize
        b open simple => 1048576 resize
        c connect structured
        c name => 1048576 resize
        d connect extended
        d ask => 1048576 resize)"},
    {"flag_by_advertise_flag", "RZ-FLAG-1 RZ-INFO-1 RZ-INFO-2 RZ-PLAIN-5", flag_only, R"(
        a open extended info => 1048576 resize
        a plain 2000000 => ok
        a query => EINVAL)"},
    {"flag_of_growth_by_writes_alone", "RZ-FLAG-1 RZ-FLAG-4", announced, R"(
        a open extended info => 1048576 AIZX/1/0/4194304
        a plain 2000000 => EINVAL
        a read 0 1 => zero)"},
    {"flag_of_learning_alone", "RZ-FLAG-1 RZ-INFO-1 RZ-INFO-4", learning, R"(
        a open extended => 1048576
        b open extended info => 1048576 resize QNX/1/0/4194304
        c open simple info => 1048576 X/1/0/4194304)"},
    {"flag_of_nothing", "RZ-FLAG-1 RZ-FLAG-4 RZ-INFO-2", fixed, R"(
        a open extended info => 1048576
        a plain 2000000 => EINVAL
        a read 0 1 => zero
        b open simple info => 1048576
        b plain 2000000 => EINVAL
        b read 0 1 => zero)"},
    {"flag_of_a_read_only_export", "RZ-FLAG-1 RZ-FLAG-4 RZ-INFO-5", both + ",read-only=yes", R"(
        a open structured info => 1048576 resize ZQNX/1/0/4194304
        a plain 2000000 => EPERM
        a query => size=1048576
        b open structured => 1048576
        b plain 2000000 => EINVAL)"},
    {"info_of_everything", "RZ-INFO-1 RZ-INFO-3 RZ-INFO-5", both + ",consent=implicit", R"(
        a open structured info => 1048576 resize ESAIZQNX/1/0/4194304
        b open simple info => 1048576 resize ESAIZX/1/0/4194304
        c open extended => 1048576 resize)"},
    {"info_of_less", "RZ-INFO-5 RZ-INFO-6",
     any_size + "growth=explicit,advertise=info,learn=poll,fill=unspecified,sizing=round,shrink=deny",
     R"(
        a open extended info => 1048576 resize EQX/65536/0/unknown)"},
    {"info_with_simple_replies", "RZ-INFO-5 RZ-INFO-7", both, R"(
        a open simple info => 1048576 resize ESAZX/1/0/4194304
        a query => EINVAL
        a notify => EINVAL
        a write 1048576 1 extend => ok
        a query => EINVAL)"},
    {"info_of_option_info_does_not_count", "RZ-INFO-4 RZ-INFO-7 RZ-PLAIN-5", both, R"(
        a connect extended
        a ask info => 1048576 resize ESAZQNX/1/0/4194304
        a go => 1048576 resize
        a query => EINVAL
        a write 1048576 1 extend => EINVAL
        a plain 2000000 => ok)"},
    {"info_of_a_size_out_of_range", "RZ-INFO-6 RZ-PLAIN-4", both + ",smallest=4096", R"(
        a open extended info => 1048576 resize ESAZQNX/1/4096/4194304
        * resize 5000000
        b open extended info => 5000000 resize ESAZQNX/1/4096/5000000
        * resize 100
        c open extended info => 100 resize ESAZQNX/1/100/4194304)"},
    {"chosen_sizes_are_multiples", "RZ-INFO-6 RZ-PLAIN-6", both + ",sizing=round", R"(
        a open extended info => 1048576 resize ESAZQNX/65536/0/4194304
        a plain 2000000 => size=2031616 zeroed
        a plain 100 => size=65536)"},
    {"largest_is_what_is_enforced", "RZ-INFO-6 RZ-PLAIN-6", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a plain 4194305 => ENOSPC
        a plain 4194304 => size=4194304 zeroed)"},
    {"flags_of_a_connection_without_information", "RZ-INFO-7 RZ-AUTO-4 RZ-CMD-1", both, R"(
        a open extended => 1048576 resize
        a query => EINVAL
        a notify => EINVAL
        a cancel 1 => EINVAL
        a write 0 1 extend => EINVAL
        a zero 0 1 extend => EINVAL)"},
    {"sizes_of_the_handshake", "RZ-SIZE-1", both, R"(
        a connect extended
        a ask info => 1048576 resize ESAZQNX/1/0/4194304
        b open extended info => 1048576 resize ESAZQNX/1/0/4194304
        b plain 2000000 => size=2000000 zeroed
        a go info => 2000000 resize ESAZQNX/1/0/4194304
        c connect simple
        c name => 2000000 resize)"},
    {"a_change_ends_nothing_else", "RZ-SIZE-2", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a plain 2000000 => size=2000000 zeroed
        a flush => ok
        a trim 0 10 => ok
        a cache 0 10 => ok
        a zero 0 10 fast => ok
        a write 0 10 fua => ok)"},
    // ---- Writing past the end
    {"writes_extend_silently", "RZ-AUTO-1 RZ-AUTO-6 RZ-AUTO-7 RZ-AUTO-12", implicit, R"(
        a open simple => 1048576
        b open structured => 1048576
        a write 2000000 4 => ok
        a read 2000000 4 => x
        b read 2000000 4 => x
        b read 1999000 1000 => zero
        b read 2000004 1 => EINVAL
        b zero 3000000 10 => ok
        a read 3000000 10 => zero
        a read 3000010 1 => EINVAL)"},
    {"writes_extend_to_the_granularity", "RZ-AUTO-1 RZ-AUTO-6 RZ-AUTO-7", opt_in + ",sizing=round", R"(
        a open extended info => 1048576 AZX/65536/0/4194304
        a write 1048570 10 extend => size=1114112 zeroed
        a read 1048580 65532 => zero
        a zero 1114112 65536 extend => size=1179648
        b open simple info => 1179648 AZX/65536/0/4194304
        b write 1179648 1 extend => ok
        b read 1179649 65535 => zero
        b read 1245184 1 => EINVAL)"},
    {"writes_beyond_the_limit", "RZ-AUTO-2 RZ-AUTO-11", announced, R"(
        a open structured info => 1048576 AIZX/1/0/4194304
        a write 4194300 5 => ENOSPC
        a write 1048570 4000000 extend => ENOSPC
        a read 1048570 6 => zero
        a read 1048576 1 => EINVAL
        a write 4194300 4 => ok
        a write 4194304 1 => ENOSPC
        a zero 4194304 1 => ENOSPC)"},
    {"writes_that_do_not_ask", "RZ-AUTO-3 RZ-AUTO-4", opt_in, R"(
        a open extended info => 1048576 AZX/1/0/4194304
        a write 1048570 10 => ENOSPC
        a zero 1048570 10 => ENOSPC
        a read 1048570 6 => zero
        a read 1048570 7 => EINVAL
        a write 1048570 10 extend => size=1048580)"},
    {"writes_without_growth", "RZ-AUTO-3 RZ-AUTO-4", learning, R"(
        a open extended info => 1048576 resize QNX/1/0/4194304
        a write 1048576 1 => ENOSPC
        a write 1048576 1 extend => EINVAL
        a write 0 1 extend => EINVAL
        a read 1048576 1 => EINVAL)"},
    {"extend_on_other_commands", "RZ-AUTO-4 RZ-AUTO-5", both + ",consent=implicit", R"(
        a open extended info => 1048576 resize ESAIZQNX/1/0/4194304
        a read 0 1 extend => EINVAL
        a trim 0 1 extend => EINVAL
        a cache 0 1 extend => EINVAL
        a plain 2000000 extend => EINVAL
        a query extend => EINVAL
        a read 1048576 1 => EINVAL
        a trim 1048576 1 => EINVAL
        a cache 1048576 1 => EINVAL
        a status 1048576 1 => EINVAL
        a query => size=1048576)"},
    {"extend_that_fits", "RZ-AUTO-4 RZ-AUTO-6", opt_in, R"(
        a open extended info => 1048576 AZX/1/0/4194304
        a write 0 4 extend => ok
        a zero 4 4 extend => ok
        b open simple info => 1048576 AZX/1/0/4194304
        b write 0 4 extend => ok)"},
    {"chunk_only_for_who_asks", "RZ-AUTO-6 RZ-CHUNK-2", announced, R"(
        a open structured info => 1048576 AIZX/1/0/4194304
        a write 1048576 1 => ok
        a write 1048577 1 extend => size=1048578
        a write 1048579 1 extend => size=1048580 zeroed
        b open structured => 1048580
        b write 1048580 1 => ok)"},
    {"gap_and_tail_are_exposed", "RZ-AUTO-7 RZ-PLAIN-9",
     sizes + "growth=auto,advertise=info,learn=none,fill=unspecified,sizing=round", R"(
        a open extended info => 1048576 AX/65536/0/4194304
        a write 1100000 10 extend => size=1114112
        a read 1048576 51424 => junk
        a read 1100000 10 => x
        a read 1100010 14102 => junk)"},
    {"gap_and_tail_are_zero", "RZ-AUTO-7 RZ-PLAIN-9", both + ",sizing=round", R"(
        a open extended info => 1048576 resize ESAZQNX/65536/0/4194304
        a write 1048000 576 => ok
        a plain 0 => size=0
        a write 1100000 10 extend => size=1114112 zeroed
        a read 0 1100000 => zero
        a read 1100000 10 => x
        a read 1100010 14102 => zero)"},
    {"durable_growth", "RZ-AUTO-8", both + ",backend=file", R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a write 1048580 10 extend fua => size=1048590 zeroed
        a plain 2000000 fua nohole => size=2000000 zeroed
        a flush => ok
        a read 1048580 10 => x)"},
    {"writes_beyond_everything", "RZ-AUTO-9 RZ-AUTO-11", any_size + "growth=auto,advertise=silent", R"(
        a open extended => 1048576
        a write 9223372036854775807 1 => EINVAL
        a zero 9223372036854775800 8 => EINVAL
        a zero 18446744073709551615 2 => EINVAL
        a read 1048576 1 => EINVAL)"},
    {"writes_of_nothing", "RZ-AUTO-10", announced, R"(
        a open structured info => 1048576 AIZX/1/0/4194304
        a write 1048576 0 extend => ok
        a write 2000000 0 => ENOSPC
        a zero 2000000 0 extend => ENOSPC
        a read 1048576 1 => EINVAL)"},
    {"order_of_write_errors", "RZ-AUTO-11", both + ",read-only=yes", R"(
        a open extended info => 1048576 resize ZQNX/1/0/4194304
        a write 5000000 1 => EPERM
        a write 5000000 1 extend => EINVAL
        a zero 5000000 1 nohole => EPERM)"},
    {"order_of_malformed_and_no_room", "RZ-AUTO-11", announced, R"(
        a open extended info => 1048576 AIZX/1/0/4194304
        a write 5000000 1 df => EINVAL
        a zero 5000000 1 df => EINVAL
        a zero 5000000 1 fast => ENOSPC)"},
    // ---- NBD_CMD_RESIZE
    {"forms_exclude_each_other", "RZ-CMD-1", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a query notify => EINVAL
        a query cancel => EINVAL
        a notify cancel => EINVAL
        a query notify cancel => EINVAL
        a query nohole => EINVAL
        a notify nohole => EINVAL
        a cancel 1 nohole => EINVAL
        a plain 2000000 df => EINVAL
        a query fua => size=1048576
        a plain 1048576 payload=100 => EINVAL
        a plain 2000000 fua nohole => size=2000000 zeroed
        a notify fua cookie=70 => size=2000000 more
        a cancel 70 fua => ok @70; ok)"},
    {"order_of_resize_errors", "RZ-CMD-2 RZ-PLAIN-1 RZ-PLAIN-2", learning, R"(
        a open extended info => 1048576 resize QNX/1/0/4194304
        a plain 2000000 len=1 => EINVAL
        a plain 9223372036854775808 => EINVAL
        a plain 9223372036854775807 => EPERM
        a plain 2000000 => EPERM
        a plain 1048576 => EPERM
        a plain 0 => EPERM
        a plain 2000000 extend => EINVAL)"},
    {"order_without_shrinking", "RZ-CMD-2 RZ-PLAIN-3 RZ-PLAIN-5", deny + ",sizing=round", R"(
        a open simple info => 1048576 resize EAZX/65536/0/4194304
        a plain 1000 => EINVAL
        a plain 65536 => EPERM
        a plain 4194305 => EINVAL
        a plain 4259840 => ENOSPC
        a plain 1048576 => ok)"},
    {"offsets_are_echoed", "RZ-CMD-3", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a plain 2000000 => size=2000000 zeroed
        a plain 5000000 => ENOSPC
        a cancel 12345 => EINVAL
        a notify off=3 => EINVAL)"},
    {"malformed_plain", "RZ-PLAIN-1", any_size + all_knobs, R"(
        a open structured info => 1048576 resize ESAZQNX/1/0/unknown
        a plain 2000000 len=1 => EINVAL
        a plain 9223372036854775808 => EINVAL
        a plain 18446744073709551615 => EINVAL
        a query => size=1048576)"},
    {"largest_size_of_all", "RZ-PLAIN-1 RZ-PLAIN-8 RZ-PLAIN-9", any_size + all_knobs, R"(
        a open structured info => 1048576 resize ESAZQNX/1/0/unknown
        a plain 9223372036854775807 => size=9223372036854775807 zeroed
        a write 9223372036854775800 7 => ok
        a read 9223372036854775790 10 => zero
        a read 9223372036854775800 7 => x
        a plain 9223372036854775807 nohole => size=9223372036854775807
        a plain 1 => size=1
        a plain 9223372036854775807 nohole => ENOSPC
        a query => size=1)"},
    {"shrinking_denied", "RZ-PLAIN-3", deny + ",sizing=round", R"(
        a open extended info => 1048576 resize EAZQNX/65536/0/4194304
        a plain 1048575 => EPERM
        a plain 0 => EPERM
        a query => size=1048576
        a plain 1048577 => size=1114112 zeroed)"},
    {"smallest_size", "RZ-PLAIN-4 RZ-CMD-2", both + ",smallest=4096", R"(
        a open extended info => 1048576 resize ESAZQNX/1/4096/4194304
        a plain 4095 => EINVAL
        a plain 4096 => size=4096
        a plain 0 => EINVAL
        a query => size=4096)"},
    {"smallest_size_without_shrinking", "RZ-PLAIN-3 RZ-PLAIN-4", deny + ",smallest=4096", R"(
        a open extended info => 1048576 resize EAZQNX/1/4096/4194304
        a plain 100 => EPERM)"},
    {"exactly_with_simple_replies", "RZ-PLAIN-5 RZ-PLAIN-8", both + ",sizing=round", R"(
        a open simple info => 1048576 resize ESAZX/65536/0/4194304
        a plain 2000000 => EINVAL
        a plain 2097152 => ok
        a read 2097151 1 => zero
        a read 2097152 1 => EINVAL
        a plain 100 => EINVAL
        a plain 4259840 => ENOSPC
        a plain 65536 => ok
        a read 65536 1 => EINVAL)"},
    {"exactly_without_information", "RZ-PLAIN-5", both + ",sizing=clamp", R"(
        a open extended => 1048576 resize
        a plain 4194305 => ENOSPC
        a read 1048576 1 => EINVAL
        a plain 4194304 => ok
        a read 4194303 1 => zero)"},
    {"rounding_on_request", "RZ-PLAIN-6 RZ-INFO-6", both + ",sizing=round", R"(
        a open structured info => 1048576 resize ESAZQNX/65536/0/4194304
        a plain 1048577 => size=1114112 zeroed
        a plain 4194303 => size=4194304 zeroed
        a plain 4194305 => ENOSPC
        a query => size=4194304
        a plain 4194303 => size=4194304
        a plain 1 => size=65536)"},
    {"rounding_never_grows_what_shrinks", "RZ-PLAIN-6 RZ-PLAIN-7", both + ",sizing=round", R"(
        a open structured info => 1048576 resize ESAZQNX/65536/0/4194304
        * resize 100000
        a plain 99999 => size=100000
        a plain 100000 => size=100000
        a plain 100001 => size=131072 zeroed)"},
    {"clamping", "RZ-PLAIN-6", both + ",sizing=clamp", R"(
        a open structured info => 1048576 resize ESAZQNX/1/0/4194304
        a plain 9223372036854775807 => size=4194304 zeroed
        a plain 4194305 => ENOSPC
        a plain 1000 => size=1000
        a write 4194303 2 extend => ENOSPC
        a query => size=1000)"},
    {"clamping_never_shrinks", "RZ-PLAIN-6", both + ",sizing=clamp", R"(
        a open structured info => 1048576 resize ESAZQNX/1/0/4194304
        * resize 5000000
        a plain 6000000 => ENOSPC
        a query => size=5000000
        a plain 4500000 => size=4500000)"},
    {"errors_change_nothing", "RZ-PLAIN-6 RZ-PLAIN-5", both, R"(
        a open structured info => 1048576 resize ESAZQNX/1/0/4194304
        a plain 4194305 => ENOSPC
        a query => size=1048576
        b open simple => 1048576 resize
        b plain 4194305 => ENOSPC
        b read 1048576 1 => EINVAL)"},
    {"the_current_size", "RZ-PLAIN-7", deny + ",sizing=round", R"(
        a open simple info => 1048576 resize EAZX/65536/0/4194304
        * resize 1000001
        a plain 1000001 => ok
        b open extended info => 1000001 resize EAZQNX/65536/0/4194304
        b plain 1000001 => size=1000001
        b query => size=1000001)"},
    {"new_ends", "RZ-PLAIN-8 RZ-PLAIN-9", both, R"(
        a open structured info => 1048576 resize ESAZQNX/1/0/4194304
        b open simple => 1048576 resize
        a plain 2000000 => size=2000000 zeroed
        a write 1999999 1 => ok
        b read 1999999 1 => x
        b write 1999999 2 => ENOSPC
        b plain 500000 => ok
        a read 499999 2 => EINVAL
        a write 499999 2 => ENOSPC
        a read 499999 1 => zero
        a trim 499999 2 => EINVAL)"},
    {"cut_off_and_zero", "RZ-PLAIN-9", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a write 0 1048576 => ok
        a plain 5000 => size=5000
        a plain 2000000 => size=2000000 zeroed
        a read 0 5000 => x
        a read 5000 1995000 => zero)"},
    {"cut_off_and_back", "RZ-PLAIN-9", both + ",fill=unspecified", R"(
        a open extended info => 1048576 resize ESAQNX/1/0/4194304
        a write 0 1048576 => ok
        a plain 5000 => size=5000
        a plain 2000000 => size=2000000
        a read 0 1048576 => x
        a read 1048576 951424 => junk
        a zero 1048576 100000 => ok
        a read 1048576 100000 => zero
        a read 1148576 10 => junk)"},
    {"allocated_and_old", "RZ-PLAIN-9", both + ",fill=unspecified", R"(
        a open extended info => 1048576 resize ESAQNX/1/0/4194304
        a plain 1050000 nohole => size=1050000
        a read 1048576 1424 => junk
        a plain 1060000 => size=1060000
        a read 1048576 11424 => junk)"},
    {"files_expose_zeroes", "RZ-PLAIN-9 RZ-PLAIN-12 RZ-PLAIN-11", both + ",backend=file", R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a write 0 1048576 => ok
        a plain 5000 => size=5000
        a plain 2000000 => size=2000000 zeroed
        a flush => ok
        a read 0 5000 => x
        a read 5000 1995000 => zero)"},
    {"files_expose_old_bytes", "RZ-PLAIN-9", both + ",backend=file,fill=unspecified", R"(
        a open extended info => 1048576 resize ESAQNX/1/0/4194304
        a plain 1058576 => size=1058576
        a read 1048576 10000 => junk)"},
    {"bytes_below_stay", "RZ-PLAIN-12", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a write 0 1048576 => ok
        a plain 4194304 => size=4194304 zeroed
        a read 0 1048576 => x
        a plain 5 => size=5
        a read 0 5 => x
        a write 4194303 1 extend => size=4194304 zeroed
        a read 0 5 => x)"},
    // ---- Query
    {"queries", "RZ-QUERY-1 RZ-QUERY-2", learning, R"(
        a open structured info => 1048576 resize QNX/1/0/4194304
        a query => size=1048576
        a query off=1 => EINVAL
        a query len=1 => EINVAL
        * resize 77
        a query => size=77)"},
    {"queries_that_were_not_offered", "RZ-INFO-7 RZ-CMD-1", sizes + "advertise=info,learn=notify", R"(
        a open structured info => 1048576 resize NX/1/0/4194304
        a query => EINVAL
        a notify => size=1048576 more)"},
    {"notifications_that_were_not_offered", "RZ-INFO-7 RZ-CMD-1", sizes + "advertise=info,learn=poll", R"(
        a open structured info => 1048576 resize QX/1/0/4194304
        a notify => EINVAL
        a cancel 1 => EINVAL
        a query => size=1048576)"},
    // ---- Notify and cancel
    {"subscribing", "RZ-NOTE-1 RZ-NOTE-2 RZ-NOTE-3", learning, R"(
        a open extended info => 1048576 resize QNX/1/0/4194304
        a notify off=1 => EINVAL
        a notify cookie=7 => size=1048576 more
        a notify => EINVAL
        * resize 5
        a - => size=5 external more @7
        * resize 5
        a -
        * resize 6
        a query => size=6 external more @7; size=6)"},
    {"own_changes_and_those_of_others", "RZ-NOTE-3 RZ-AUTO-7", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        b open structured info => 1048576 resize ESAZQNX/1/0/4194304
        a notify cookie=7 => size=1048576 more
        b notify cookie=9 => size=1048576 more
        a plain 2000000 => size=2000000 zeroed; size=2000000 zeroed more @7
        b - => size=2000000 zeroed external more
        b write 2000000 10 extend => size=2000010; size=2000010 more @9
        a - => size=2000010 external more @7
        b plain 10 => size=10; size=10 more @9
        a - => size=10 external more @7
        a plain 10 => size=10
        a - =>
        a plain 5000000 => ENOSPC
        b -
        a write 5000000 1 extend => ENOSPC
        b -)"},
    {"merged_notifications", "RZ-NOTE-4", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a notify cookie=7 => size=1048576 more
        a hold
        * resize 2000000
        * resize 3000000
        a release => size=3000000 zeroed external coalesced more
        a hold
        * resize 100
        * resize 3000000
        * resize 200
        a release => size=200 external coalesced more
        a hold
        a plain 300
        * resize 400
        a release => size=300 zeroed; size=400 zeroed coalesced more @7)"},
    {"merged_notifications_that_cancel_out", "RZ-NOTE-4 RZ-NOTE-6", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a notify cookie=7 len=2 => size=1048576 more
        a hold
        * resize 2000000
        * resize 1048576
        a release => size=1048576 external coalesced more
        * resize 5
        a - => size=5 external)"},
    {"a_notification_that_is_half_sent", "RZ-NOTE-4", learning, R"(
        a open structured info => 1048576 resize QNX/1/0/4194304
        a notify cookie=7 => size=1048576 more
        a hold
        * resize 1
        a take 5
        * resize 2
        * resize 3
        a release => size=1 external more; size=3 external coalesced more)"},
    {"credit", "RZ-NOTE-5 RZ-NOTE-6 RZ-NOTE-2 RZ-NOTE-1", learning, R"(
        a open structured info => 1048576 resize QNX/1/0/4194304
        a notify cookie=7 len=2 => size=1048576 more
        * resize 1
        a - => size=1 external more
        * resize 2
        a - => size=2 external
        * resize 3
        a -
        a cancel 7 => EINVAL
        a notify cookie=8 len=1 => size=3 more
        * resize 4
        a - => size=4 external
        a query => size=4)"},
    {"credit_of_64_bits", "RZ-NOTE-6", learning, R"(
        a open extended info => 1048576 resize QNX/1/0/4194304
        a notify cookie=7 len=4294967297 => size=1048576 more
        * resize 1
        a - => size=1 external more
        * resize 2
        a - => size=2 external more)"},
    {"no_notification_without_a_change", "RZ-NOTE-6 RZ-PLAIN-7", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        b open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a notify cookie=7 => size=1048576 more
        a write 0 1 extend => ok
        a plain 1048576 => size=1048576
        b plain 1048576 => size=1048576
        a -)"},
    {"cancelling", "RZ-NOTE-8 RZ-NOTE-1", learning, R"(
        a open extended info => 1048576 resize QNX/1/0/4194304
        a cancel 7 => EINVAL
        a notify cookie=7 => size=1048576 more
        a cancel 8 => EINVAL
        a cancel 7 len=1 => EINVAL
        a cancel 7 cookie=20 => ok @7; ok
        a cancel 7 => EINVAL
        * resize 5
        a -
        a notify cookie=9 => size=5 more
        a hold
        * resize 6
        a cancel 9
        a release => size=6 external more @9; ok @9; ok)"},
    {"shutting_down", "RZ-NOTE-9", learning, R"(
        a open structured info => 1048576 resize QNX/1/0/4194304
        a notify cookie=7 => size=1048576 more
        a shutdown => ESHUTDOWN
        a query => ESHUTDOWN)"},
    {"subscriptions_keep_nothing_back", "RZ-NOTE-10", both, R"(
        a open extended info => 1048576 resize ESAZQNX/1/0/4194304
        a notify cookie=7 => size=1048576 more
        a write 0 10 => ok
        a read 0 10 => x
        a flush => ok
        a query => size=1048576
        a disc => closed)"},
    {"end_of_input_ends_a_subscription", "RZ-NOTE-10", learning, R"(
        a open simple info => 1048576 X/1/0/4194304
        b open extended info => 1048576 resize QNX/1/0/4194304
        b notify => size=1048576 more
        b end => closed
        * resize 5
        b -)"},
    // ---- The chunk
    {"flags_of_the_chunk", "RZ-CHUNK-1 RZ-CHUNK-2", both, R"(
        a open structured info => 1048576 resize ESAZQNX/1/0/4194304
        a plain 2000000 => size=2000000 zeroed
        a plain 1000000 => size=1000000
        a plain 5000000 => ENOSPC
        a query => size=1000000)"},
    {"nothing_is_promised_without_growth", "RZ-CHUNK-1 RZ-NOTE-3", learning, R"(
        a open structured info => 1048576 resize QNX/1/0/4194304
        a notify cookie=7 => size=1048576 more
        * resize 2000000
        a - => size=2000000 external more)"},
};

} // namespace

void PrintTo(const ResizeCase& c, std::ostream* out) {
    *out << c.name << " (" << c.covers << ")";
}

std::span<const ResizeCase> resize_cases() {
    return cases;
}

} // namespace refserver
