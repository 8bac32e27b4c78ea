// Faults of selecting metadata contexts (NBD_OPT_LIST_META_CONTEXT, NBD_OPT_SET_META_CONTEXT, Metadata
// querying).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string>

namespace faults {

using nbd::Option;
using nbd::OptionReplyType;

namespace {

bool about_contexts(Option option) {
    return option == Option::list_meta_context || option == Option::set_meta_context;
}

OptionReply context_reply(Option option, std::uint32_t id, std::string name) {
    return option_reply(option, OptionReplyType::meta_context,
                        nbd::encode(nbd::MetaContextReply{id, std::move(name)}));
}

/// The names and ids of contexts become others.
template <class F>
Recipe on_context(F change) {
    return twist([change](OptionReply& reply) {
        if (reply.type == OptionReplyType::meta_context) {
            edit<nbd::MetaContextReply>(reply.payload,
                                        [&](nbd::MetaContextReply& told) { change(reply.option, told); });
        }
    });
}

/// What comes in the server's place for options whose queries are as `which` says.
template <class Which, class Act>
Recipe in_place(Option option, Which which, Act act) {
    return on_option(option, [which, act](OptionRequest& request, Flow& flow) {
        const auto asked = payload_as<nbd::MetaContextRequest>(request.payload);
        if (asked && which(asked->queries)) {
            act(request, flow);
            flow.drop();
        }
    });
}

using Queries = std::vector<nbd::MetaContextQuery>;

bool none(const Queries& queries) {
    return queries.empty();
}

bool wildcard(const Queries& queries) {
    return queries.size() == 1 && queries.front().query == "base:";
}

bool allocation(const Queries& queries) {
    return std::ranges::any_of(
        queries, [](const nbd::MetaContextQuery& query) { return query.query == nbd::base_allocation; });
}

/// A namespace and a colon alone, other than base.
bool other_wildcard(const Queries& queries) {
    return queries.size() == 1 && queries.front().query.ends_with(':') && !wildcard(queries);
}

/// One of the queries is of the namespace base, and for no context that there is.
bool unknown_leaf(const Queries& queries) {
    return std::ranges::any_of(queries, [](const nbd::MetaContextQuery& query) {
        return query.query.starts_with("base:") && query.query != "base:" &&
               query.query != nbd::base_allocation;
    });
}

bool other_namespace(const Queries& queries) {
    return std::ranges::any_of(queries, [](const nbd::MetaContextQuery& query) {
        return !query.query.starts_with("base:") && query.query.find(':') != std::string::npos;
    });
}

void select_allocation(OptionRequest& option, Flow& flow) {
    flow.to_client(context_reply(option.option, 1, std::string(nbd::base_allocation)));
    flow.to_client(option_reply(option.option, OptionReplyType::ack));
}

void list_allocation(OptionRequest& option, Flow& flow) {
    flow.to_client(context_reply(option.option, 0, std::string(nbd::base_allocation)));
    flow.to_client(option_reply(option.option, OptionReplyType::ack));
}

void list_queries(OptionRequest& option, Flow& flow) {
    if (const auto asked = payload_as<nbd::MetaContextRequest>(option.payload)) {
        for (const nbd::MetaContextQuery& query : asked->queries) {
            flow.to_client(context_reply(option.option, 0, query.query));
        }
    }
    flow.to_client(option_reply(option.option, OptionReplyType::ack));
}

void accept(OptionRequest& option, Flow& flow) {
    flow.to_client(option_reply(option.option, OptionReplyType::ack));
}

void call_invalid(OptionRequest& option, Flow& flow) {
    flow.to_client(option_reply(option.option, OptionReplyType::err_invalid));
}

/// NBD_OPT_LIST_META_CONTEXT lists one more of this name.
Recipe on_listed(std::string name) {
    return on_option_reply(Option::list_meta_context, [name](OptionReply& reply, Flow& flow) {
        if (reply.type == OptionReplyType::ack) {
            flow.to_client(context_reply(reply.option, 0, name));
        }
    });
}

/// The server gets NBD_OPT_SET_META_CONTEXT for NBD_OPT_LIST_META_CONTEXT with a query that finds something.
Recipe listed_is_selected() {
    return twist_with(
        false,
        [](bool& listing, OptionRequest& option) {
            const auto asked = payload_as<nbd::MetaContextRequest>(option.payload);
            listing = option.option == Option::list_meta_context && asked && allocation(asked->queries);
            option.option = listing ? Option::set_meta_context : option.option;
        },
        [](bool& listing, OptionReply& reply) {
            if (!listing || reply.option != Option::set_meta_context) {
                return;
            }
            reply.option = Option::list_meta_context;
            if (reply.type == OptionReplyType::meta_context) {
                edit<nbd::MetaContextReply>(reply.payload, [](nbd::MetaContextReply& told) { told.id = 0; });
            }
        });
}

Table both() {
    return {
        {"meta-reply-strange", "META-REPLIES",
         "ends its answers to the options for metadata contexts with an unknown reply type",
         twist([](OptionReply& reply) {
             if (about_contexts(reply.option) && is_final(reply)) {
                 reply.type = OptionReplyType{77};
                 reply.payload.clear();
             }
         })},
        {"meta-reply-server", "SERVER-REPLY-PLACE",
         "answers the options for metadata contexts with NBD_REP_SERVER, too",
         twist([](OptionRequest& option, Flow& flow) {
             if (about_contexts(option.option)) {
                 flow.to_client(option_reply(option.option, OptionReplyType::server,
                                             nbd::encode(nbd::ServerReply{"name", {}})));
             }
         })},
        {"meta-context-bare", "META-CONTEXT-NAMESPACE",
         "calls a metadata context allocation, without a namespace",
         on_context([](Option /*option*/, nbd::MetaContextReply& told) { told.context = "allocation"; })},
        {"meta-context-no-space", "META-NAMESPACE-CHARACTERS",
         "lists a metadata context with an empty namespace", on_listed(":everything")},
        {"meta-context-unregistered", "META-NAMESPACE-KNOWN",
         "lists a metadata context of a namespace that nobody has registered", on_listed("acme:everything")},
        {"meta-context-4097", "META-NAME-STRING", "lists a metadata context with a name of 4097 bytes",
         on_listed("x-long:" + std::string(nbd::max_string - 6, 'n'))},
        {"meta-query-nul", "META-BASE-UNKNOWN",
         "reads queries for metadata contexts up to the first NUL only", twist([](OptionRequest& option) {
             if (about_contexts(option.option)) {
                 edit<nbd::MetaContextRequest>(option.payload, [](nbd::MetaContextRequest& request) {
                     for (nbd::MetaContextQuery& query : request.queries) {
                         query.query.resize(std::min(query.query.size(), query.query.find('\0')));
                     }
                 });
             }
         })},
        {"meta-malformed-accepted", "META-INVALID",
         "accepts options for metadata contexts whose queries are longer than their data",
         twist([](OptionRequest& option, Flow& flow) {
             if (about_contexts(option.option) && !payload_as<nbd::MetaContextRequest>(option.payload)) {
                 answer(flow, option_reply(option.option, OptionReplyType::ack));
             }
         })},
        {"meta-extended-demanded", "META-BASE-COMPACT",
         "answers NBD_REP_ERR_EXT_HEADER_REQD to queries of the namespace base",
         twist([](OptionRequest& option, Flow& flow) {
             if (about_contexts(option.option)) {
                 answer(flow, option_reply(option.option, OptionReplyType::err_ext_header_reqd));
             }
         })},
    };
}

Table listing() {
    return {
        {"list-meta-id", "LIST-META-ID", "tells an id with the metadata contexts that it lists",
         on_context([](Option option, nbd::MetaContextReply& told) {
             told.id += option == Option::list_meta_context ? 7 : 0;
         })},
        {"list-meta-wildcard", "LIST-META-WILDCARD",
         "lists nothing for the query base:", in_place(Option::list_meta_context, wildcard, accept)},
        {"list-meta-all", "LIST-META-ALL", "lists nothing where there is no query",
         in_place(Option::list_meta_context, none, accept)},
        {"list-meta-unmatched", "LIST-META-NONE", "lists base:allocation for queries that it does not match",
         in_place(Option::list_meta_context, unknown_leaf, list_allocation)},
        {"list-meta-other-namespace", "LIST-META-NONE",
         "lists base:allocation for queries of an unknown namespace",
         in_place(Option::list_meta_context, other_namespace, list_allocation)},
        {"list-meta-missed", "LIST-META-MATCHES", "lists nothing for the query base:allocation",
         in_place(Option::list_meta_context, allocation, accept)},
        {"list-meta-everything", "LIST-META-MATCHES", "lists base:allocation for queries of any kind",
         in_place(
             Option::list_meta_context, [](const Queries& queries) { return !none(queries); },
             list_allocation)},
        {"list-meta-invented", "META-BASE-UNKNOWN",
         "lists what unknown queries of the namespace base ask for",
         in_place(Option::list_meta_context, unknown_leaf, list_queries)},
        {"list-meta-unknown-namespace", "META-UNKNOWN-NAMESPACE",
         "answers NBD_REP_ERR_INVALID to a list with queries of an unknown namespace",
         in_place(Option::list_meta_context, other_namespace, call_invalid)},
        {"list-meta-selects", "SET-META-NONE", "selects what NBD_OPT_LIST_META_CONTEXT finds",
         listed_is_selected()},
        {"list-meta-extended-demanded", "META-EXTENDED-NO-REQD",
         "answers NBD_REP_ERR_EXT_HEADER_REQD to NBD_OPT_LIST_META_CONTEXT though extended headers were "
         "agreed",
         on_option(Option::list_meta_context,
                   [](OptionRequest& option, Flow& flow) {
                       const auto asked = payload_as<nbd::MetaContextRequest>(option.payload);
                       if (flow.told().extended && asked && none(asked->queries)) {
                           answer(flow, option_reply(option.option, OptionReplyType::err_ext_header_reqd));
                       }
                   })},
        {"list-meta-too-big", "LIST-META-ALL-FITS", "answers NBD_REP_ERR_TOO_BIG where there is no query",
         in_place(Option::list_meta_context, none,
                  [](OptionRequest& option, Flow& flow) {
                      flow.to_client(option_reply(option.option, OptionReplyType::err_too_big));
                  })},
    };
}

Table selecting() {
    return {
        {"set-meta-without-structured", "SET-META-REFUSED",
         "selects metadata contexts although structured replies were not agreed",
         on_option(Option::set_meta_context,
                   [](OptionRequest& option, Flow& flow) {
                       if (!flow.told().chunks()) {
                           select_allocation(option, flow);
                           flow.drop();
                       }
                   })},
        {"set-meta-same-id", "SET-META-UNIQUE", "gives two metadata contexts the same id",
         twist([](OptionReply& reply, Flow& flow) {
             const auto told = payload_as<nbd::MetaContextReply>(reply.payload);
             if (reply.option == Option::set_meta_context && reply.type == OptionReplyType::meta_context &&
                 told) {
                 flow.to_client(context_reply(reply.option, told->id, "x-twin:same"));
             }
         })},
        {"set-meta-none", "SET-META-NONE", "selects base:allocation where there is no query",
         in_place(Option::set_meta_context, none, select_allocation)},
        {"set-meta-wildcard", "SET-META-WILDCARD", "selects base:allocation for the query base:",
         in_place(Option::set_meta_context, wildcard, select_allocation)},
        {"set-meta-wildcard-hides", "SET-META-WILDCARD",
         "selects nothing for other queries beside the query base:",
         in_place(
             Option::set_meta_context,
             [](const Queries& queries) {
                 return queries.size() > 1 && std::ranges::any_of(queries, [](const auto& query) {
                            return query.query == "base:";
                        });
             },
             accept)},
        {"set-meta-empty-leaf", "META-EMPTY-LEAF-SET",
         "selects a metadata context for a query of a namespace and a colon alone",
         in_place(Option::set_meta_context, other_wildcard,
                  [](OptionRequest& option, Flow& flow) {
                      flow.to_client(context_reply(option.option, 1, "qemu:allocation-depth"));
                      flow.to_client(option_reply(option.option, OptionReplyType::ack));
                  })},
        {"set-meta-told-twice", "SET-META-EACH", "tells each metadata context twice that it has selected",
         twist([](OptionReply& reply, Flow& flow) {
             if (reply.option == Option::set_meta_context && reply.type == OptionReplyType::meta_context) {
                 flow.to_client(reply);
             }
         })},
        {"set-meta-nothing-refused", "SET-META-NONE-FOUND",
         "answers NBD_REP_ERR_INVALID where no query selects a metadata context",
         twist_with(false,
                    [](bool& any, OptionReply& reply) {
                        if (reply.option != Option::set_meta_context) {
                            return;
                        }
                        if (reply.type == OptionReplyType::meta_context) {
                            any = true;
                        } else if (!std::exchange(any, false) && reply.type == OptionReplyType::ack) {
                            reply.type = OptionReplyType::err_invalid;
                        }
                    })},
        {"set-meta-unknown-leaf", "META-BASE-UNKNOWN",
         "answers NBD_REP_ERR_INVALID to queries for unknown contexts of the namespace base",
         in_place(Option::set_meta_context, unknown_leaf, call_invalid)},
        {"set-meta-unknown-namespace", "META-UNKNOWN-NAMESPACE",
         "answers NBD_REP_ERR_INVALID to queries of an unknown namespace",
         in_place(Option::set_meta_context, other_namespace, call_invalid)},
        {"set-meta-kept", "SET-META-REPLACES", "keeps the metadata contexts that were selected before",
         on_option(Option::set_meta_context,
                   [n = 0](OptionRequest& option, Flow& flow) mutable {
                       if (++n > 1) {
                           answer(flow, option_reply(option.option, OptionReplyType::ack));
                       }
                   })},
    };
}

} // namespace

Table context_faults() {
    return joined({both, listing, selecting});
}

} // namespace faults
