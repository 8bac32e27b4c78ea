#pragma once

// How a user names a client's preferences on a command line.

#include "reference-client/options.hpp"
#include "reference-client/resizer.hpp"

#include <map>
#include <string>

namespace refclient {

inline const std::map<std::string, Replies> reply_choices = {
    {"simple", Replies::simple}, {"structured", Replies::structured}, {"extended", Replies::extended}};

inline const std::map<std::string, Grow> grow_choices = {
    {"none", Grow::none}, {"explicit", Grow::explicit_}, {"plain", Grow::plain}, {"flagged", Grow::flagged}};

inline const std::map<std::string, Learn> learn_choices = {{"none", Learn::none},
                                                           {"reconnect", Learn::reconnect},
                                                           {"poll", Learn::poll},
                                                           {"notify", Learn::notify},
                                                           {"credits", Learn::credits}};

} // namespace refclient
