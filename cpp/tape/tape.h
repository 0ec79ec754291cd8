// Backward: from outputs to leaves over the recorded calls.
#pragma once
#include "core/call.h"

namespace lamina {

struct BackwardOptions {
  bool retain_graph = false;
  bool create_graph = false;
  bool allow_unused = false;
};

// Adds d(sum of roots * gradients) / d(leaf) into every reachable leaf's .grad. An undefined
// gradient stands for 1 and needs a one-element root.
void backward(const Tensors& roots, const Tensors& gradients, BackwardOptions options);
void backward(const Tensor& root, const Tensor& gradient, BackwardOptions options);  // of one

// The same with respect to `inputs` only, returned instead of accumulated; an input that does not
// take part gives an undefined tensor, or an error unless allow_unused.
Tensors gradients(const Tensors& roots, const Tensors& gradients, const Tensors& inputs,
                  BackwardOptions options);

// Hooks on a tensor: called with its gradient, may return another. Returns an id for removal.
int64_t add_hook(const Tensor& t, TensorHook hook);
// On a leaf: called with the leaf itself after a backward has added to its .grad.
int64_t add_post_hook(const Tensor& t, TensorHook hook);
// Calls those of a leaf whose .grad was added to by other means than backward().
void run_post_hooks(const Tensor& leaf);
void remove_hook(const Tensor& t, int64_t id);
// Keep .grad of a tensor that is not a leaf.
void retain_grad(const Tensor& t);

// A function written outside C++ as one call on the tape. `outputs` become its results; `vjp`
// gets their gradients (undefined where none) and returns one per input (undefined: none).
// `outs` holds the outputs in the mask `saves`, as recorded; others are undefined.
using ForeignVjp = std::function<Tensors(const Tensors& gouts, const Tensors& outs)>;
// once: it holds saved tensors, and is let go after a pass that does not retain the graph.
void record_foreign(const Tensors& inputs, const Tensors& outputs, uint32_t saves, bool once,
                    ForeignVjp vjp);
// A reading name for the call behind t: "add", "softmax", ...; empty for a leaf.
std::string call_name(const Tensor& t);

}  // namespace lamina
