#pragma once

// Twists from lambdas. Each lambda is called for one kind of message, which its parameters tell:
//
//     twist([](Reply& reply) { reply.cookie += 1; })
//     twist([](Request& request, Flow& flow) { … }, [](Chunk& chunk, Flow& flow) { … })
//     twist_with(State{}, [](State& state, Request& request, Flow& flow) { … }, …)
//     twist([](Ended ended, Flow& flow) { … })
//
// Lambdas may be mutable: every connection has copies of its own.

#include "faults/twist.hpp"

#include <tuple>
#include <type_traits>
#include <utility>

namespace faults {
namespace detail {

template <class F>
struct Parameters : Parameters<decltype(&F::operator())> {};
template <class R, class F, class... A>
struct Parameters<R (F::*)(A...) const> {
    using types = std::tuple<std::remove_cvref_t<A>...>;
};
template <class R, class F, class... A>
struct Parameters<R (F::*)(A...)> {
    using types = std::tuple<std::remove_cvref_t<A>...>;
};

template <class T, class Variant>
struct IsAlternative : std::false_type {};
template <class T, class... A>
struct IsAlternative<T, std::variant<A...>> : std::disjunction<std::is_same<T, A>...> {};

template <class T>
inline constexpr bool is_subject = IsAlternative<T, Message>::value || std::is_same_v<T, Ended>;

/// The kind of message that a lambda is for: its first parameter, or the second one behind a state.
template <class F, class Types = typename Parameters<F>::types>
using Subject =
    std::tuple_element_t<is_subject<std::tuple_element_t<0, Types>> ? 0 : 1,
                         std::tuple<std::tuple_element_t<0, Types>,
                                    std::tuple_element_t<(std::tuple_size_v<Types> > 1 ? 1 : 0), Types>>>;

template <class State, class... F>
class Lambdas : public Twist {
  public:
    Lambdas(State state, std::tuple<F...> functions)
      : state_(std::move(state))
      , functions_(std::move(functions)) {}

    void on(Message& message, Flow& flow) override {
        std::apply([&](auto&... function) { (offer(function, message, flow), ...); }, functions_);
    }
    void on_end(Ended ended, Flow& flow) override {
        std::apply([&](auto&... function) { (offer(function, ended, flow), ...); }, functions_);
    }

  private:
    template <class Function>
    void offer(Function& function, Message& message, Flow& flow) {
        using Wanted = Subject<Function>;
        if constexpr (!std::is_same_v<Wanted, Ended>) {
            auto* const found = std::get_if<Wanted>(&message);
            if (found != nullptr && flow.current() != nullptr) {
                call(function, *found, flow);
            }
        }
    }
    template <class Function>
    void offer(Function& function, Ended& ended, Flow& flow) {
        if constexpr (std::is_same_v<Subject<Function>, Ended>) {
            call(function, ended, flow);
        }
    }
    template <class Function, class Wanted>
    void call(Function& function, Wanted& wanted, Flow& flow) {
        if constexpr (std::is_invocable_v<Function&, State&, Wanted&, Flow&>) {
            function(state_, wanted, flow);
        } else if constexpr (std::is_invocable_v<Function&, State&, Wanted&>) {
            function(state_, wanted);
        } else if constexpr (std::is_invocable_v<Function&, Wanted&, Flow&>) {
            function(wanted, flow);
        } else {
            function(wanted);
        }
    }

    State state_;
    std::tuple<F...> functions_;
};

/// These messages come before any export is named.
template <class F>
inline constexpr bool early_subject =
    std::is_same_v<Subject<F>, Greeting> || std::is_same_v<Subject<F>, ClientFlags>;

} // namespace detail

/// A recipe from lambdas that share a state.
template <class State, class... F>
[[nodiscard]] Recipe twist_with(State state, F... functions) {
    return {[state, functions = std::tuple<F...>(functions...)] {
                return std::make_unique<detail::Lambdas<State, F...>>(state, functions);
            },
            (detail::early_subject<F> || ...)};
}

/// A recipe from lambdas.
template <class... F>
[[nodiscard]] Recipe twist(F... functions) {
    return twist_with(std::monostate{}, functions...);
}

/// A recipe that acts before the client has named an export though its messages do not tell so.
[[nodiscard]] inline Recipe early(Recipe recipe) {
    recipe.before_name = true;
    return recipe;
}

} // namespace faults
