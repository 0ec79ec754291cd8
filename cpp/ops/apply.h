// The one door: every tensor write goes through apply (infer, allocate, launch, record).
#pragma once
#include "core/call.h"

namespace lamina {

using Outputs = SmallVec<Tensor, 1>;

struct NoArgs {};

// A tensor in a list of arguments: not counted, as whoever calls holds it.
struct Input {
  const Tensor* tensor;
  Input(const Tensor& t) : tensor(&t) {}
  operator const Tensor&() const { return *tensor; }
};

// While a plan is being recorded: called with every call that is about to be launched, outputs in
// place, with new tensors of Python's values, and with what reads values out of tensors ("item").
// Null otherwise.
struct CallObserver {
  void (*call)(Call&);
  void (*constant)(const Tensor&);  // a new tensor holds values that come from Python
  void (*read)(const char* what, const Tensor* t);  // t: out of this one
};
extern constinit thread_local const CallObserver* call_observer;
inline void note_read(const char* what, const Tensor* t = nullptr) {
  if (__builtin_expect(call_observer != nullptr, 0)) call_observer->read(what, t);
}

inline void note_constant(const Tensor& t) {
  if (__builtin_expect(call_observer != nullptr, 0)) call_observer->constant(t);
}

template <class Args = NoArgs, class Inputs = std::initializer_list<Tensor>>
CallRef make_call(const Op& op, const Inputs& inputs, const Args& args = {}) {
  CallRef call(new Call);
  call->op = &op;
  if constexpr (std::is_same_v<Inputs, std::initializer_list<Input>>)
    for (const Tensor& t : inputs) call->borrow(t);
  else
    for (const Tensor& t : inputs) call->in.push_back(t);
  call->set_args(args);
#if __has_builtin(__builtin_clear_padding)
  if (call_observer && !std::is_empty_v<Args>)  // what is recorded is also compared
    __builtin_clear_padding(std::launder(reinterpret_cast<Args*>(call->arg_bytes)));
#endif
  return call;
}

// Runs a call and records it when an input needs a gradient; returns its outputs.
Outputs run(CallRef call);
// The same, the result written into `into` (its shape must be the op's; the dtype castable).
Tensor run_into(const CallRef& call, const Tensor& into);

template <class Args = NoArgs>
Tensor apply(const Op& op, std::initializer_list<Input> in, const Args& args = {}) {
  return std::move(run(make_call(op, in, args))[0]);
}

// ---- used by apply and by ops/inplace.cpp ------------------------------------------------------
// Notes where the inputs came from, keeps what op->saves asks for, ties the outputs to the call.
void record(CallRef call, const Outputs& outputs);
void note_outputs(const CallRef& call, const Outputs& outputs);  // shapes, saved outputs, position
// Ties an in-place result to the tape: replaces the handle's call, and for a view its base's.
void record_in_place(const CallRef& call, const Tensor& into);
// The error for writing into a leaf that requires grad (or a view of one) while recording.
void check_in_place(const char* op, const Tensor& into);

// Set by the bindings: let other interpreter threads run during a long launch.
extern void* (*leave_interpreter)();
extern void (*enter_interpreter)(void*);

}  // namespace lamina
