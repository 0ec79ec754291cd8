// Op and Call: what an operation means, and one use of it.
//
// A Call is the record everything is made of: eager execution runs it, the tape keeps it for
// backward, a plan replays it. It names its op, holds its inputs, outputs and arguments (a POD of
// the op's own), and, on the tape, where each input came from.
#pragma once
#include <any>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <type_traits>

#include "core/tensor.h"

namespace lamina {

class Vjp;

// Which tensors backward reads; all others are let go when the call is recorded.
struct Saves {
  uint32_t inputs = 0, outputs = 0;  // bit i: input (output) i
};
constexpr uint32_t kAll = ~0u;
constexpr Saves kSavesNothing{0, 0}, kSavesInputs{kAll, 0}, kSavesOutputs{0, kAll},
    kSavesBoth{kAll, kAll};

// What of a call may be launched alone. rows: any range of dimension 0 of all its tensors.
// elements: the same, inputs that broadcast along it given whole; and any range of the elements
// where all are dense and of one shape.
enum class Split : uint8_t { none, rows, elements };

struct Op {
  const char* name;
  const char* kernel = nullptr;  // its name in a device's table, where `name` is another op's
  // Checks the inputs and appends the outputs' shapes and dtypes (Tensor::meta, or views).
  void (*infer)(Call&);
  // Fills the outputs: one entry of the device's kernel table. Null: a view, nothing to do.
  void (*launch)(Call&) = nullptr;
  // The gradient, written in ops. Null: recording this op on an input that needs a gradient is
  // an error, unless `differentiable` is false (then its outputs simply need none).
  void (*vjp)(Vjp&) = nullptr;
  Saves saves = kSavesNothing;
  // Where it depends on which inputs need a gradient (c.source is filled in): used in place of it.
  Saves (*saves_for)(const Call& c) = nullptr;
  bool differentiable = true;
  bool elementwise = false;  // output element i depends on input elements i only
  bool random = false;       // draws from the generator: the arguments begin with a PhiloxKey
  bool fills = false;        // of its input only shape and dtype matter
  uint32_t writes = 0;       // bit i: input i is updated in place
  // Optimizer steps, whose inputs are many: inputs [0, written(c)) are updated in place.
  int (*written)(const Call& c) = nullptr;
  bool complex = false;  // takes complex inputs; `run` refuses them for every other op
  bool on_host = false;  // `launch` runs for every device: it copies, or hands pieces to the device
  // Has no kernel but the CPU's: for another device operands are copied to the host, the result
  // back (core/device.cpp), which waits for the device.
  bool through_host = false;
  uint32_t host_inputs = 0;  // bit i: input i lies in host memory, whatever the device
  bool checks = false;       // has no outputs: it runs for the errors it raises
  Split split = Split::none;
};

// Where a recorded input came from: a call's output, a leaf, or nothing that needs a gradient.
struct Edge {
  CallRef call;
  Tensor leaf;
  uint32_t index = 0;
  bool needed() const { return bool(call) || leaf.defined(); }
};

// What the tape remembers of an input besides its data.
struct Source {
  Edge edge;
  uint32_t version = 0;
  DType dtype = DType::float32;
  bool unasked = false;  // in the backward now running nobody asked for its gradient
  Dims shape;
};

struct Call : RefCounted {
  static constexpr int kArgBytes = 224;

  // Calls are made and dropped for every op: they come from a per-thread list (call.cpp).
  static void* operator new(size_t bytes);
  static void operator delete(void* p);

  ~Call() {
    if (borrowed)
      for (int i = 0; i < in.size(); ++i)
        if (borrowed >> i & 1) in[i].forget();
  }

  const Op* op = nullptr;
  uint64_t sequence = 0;       // position on the tape; 0 while not recorded
  uint32_t borrowed = 0;       // bit i: in[i] is not counted; only `take` and `put` may replace it
  SmallVec<Tensor, 3> in;      // an input the tape need not keep is undefined
  SmallVec<Tensor, 1> out;     // while launching: the results. On the tape: saved outputs, or null
  SmallVec<Source, 3> source;  // per input, only when recorded
  SmallVec<uint32_t, 1> out_versions;
  SmallVec<Dims, 1> out_shapes;  // only when recorded
  SmallVec<DType, 1> out_dtypes;
  Device device;   // where it runs: that of its inputs
  std::any extra;  // state of calls made outside C++ (autograd.Function)
  std::unique_ptr<std::vector<std::pair<int64_t, std::pair<uint32_t, TensorHook>>>> hooks;
  std::unique_ptr<std::string> module;  // anomaly mode: where it was recorded
  bool freed = false;                   // backward ran without retain_graph
  int arg_size = 0;
  alignas(16) unsigned char arg_bytes[kArgBytes];

  template <class T>
  void set_args(const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kArgBytes);
    new (arg_bytes) T(value);
    arg_size = int(sizeof(T));
  }
  template <class T>
  const T& args() const {
    return *std::launder(reinterpret_cast<const T*>(arg_bytes));
  }
  template <class T>
  T& args() {
    return *std::launder(reinterpret_cast<T*>(arg_bytes));
  }
  // Inputs are the caller's while the call runs, who holds them anyway: counting each up and down
  // again would be the dearest part of a small call (locked instructions). The tape's are counted.
  void borrow(const Tensor& t) {
    if (in.size() < 32) {
      borrowed |= 1u << in.size();
      in.push_back(Tensor::uncounted(t));
    } else {
      in.push_back(t);
    }
  }
  // Input i, counted; leaves none in its place.
  Tensor take(int i) {
    if (i >= 32 || !(borrowed >> i & 1)) return std::move(in[i]);
    Tensor t = in[i];
    put(i, Tensor());
    return t;
  }
  void put(int i, Tensor t) {
    if (i < 32 && (borrowed >> i & 1)) {
      borrowed &= ~(1u << i);
      in[i].forget();
    }
    in[i] = std::move(t);
  }
  // Counts all inputs: for when others may run meanwhile and let go of theirs.
  void own() {
    for (int i = 0; borrowed; ++i) put(i, take(i));
  }
  // For infer: appends an output.
  void output(const Dims& shape, DType dtype) { out.push_back(Tensor::meta(shape, dtype, device)); }
  void output_view(const Tensor& base, const Dims& shape, const Dims& strides, int64_t offset) {
    out.push_back(Tensor::view_of(base, shape, strides, offset));
  }
  const char* name() const { return op->name; }
  Saves saves() const { return op->saves_for ? op->saves_for(*this) : op->saves; }
  // Whether input i is updated in place.
  bool writes(int i) const {
    return (op->writes >> (i < 31 ? i : 31) & 1) || (op->written && i < op->written(*this));
  }
};

// What an op's vjp works with: incoming gradients, saved tensors, and places for its results.
class Vjp {
 public:
  Vjp(Call& call, const Tensor* gouts, Tensor* gins) : call_(call), gouts_(gouts), gins_(gins) {}

  Call& call() const { return call_; }
  template <class T>
  const T& args() const {
    return call_.args<T>();
  }
  bool has_gradient(int output) const { return gouts_[output].defined(); }
  // d loss / d output; zeros when nothing flowed into it.
  Tensor g(int output = 0) const;
  bool needs(int input) const {
    const Source& s = call_.source[input];
    return s.edge.needed() && !s.unasked;
  }
  // Saved tensors, connected to their history; throw when modified in place since.
  Tensor in(int input) const;
  Tensor out(int output = 0) const;
  const Dims& shape(int input) const { return call_.source[input].shape; }
  DType dtype(int input) const { return call_.source[input].dtype; }
  int inputs() const { return call_.source.size(); }
  // d loss / d input.
  void set(int input, const Tensor& gradient) { gins_[input] = gradient; }

 private:
  Call& call_;
  const Tensor* gouts_;
  Tensor* gins_;
};

// The call behind a tensor, brought up to date when its base was written through another view
// (ops/inplace.cpp). Everything that reads a tensor's place on the tape comes through here.
void refresh_view(TensorImpl& t);
inline void refresh(TensorImpl& t) {
  if (__builtin_expect(t.view && t.view->base->rebased != t.view->seen, 0)) refresh_view(t);
}
inline bool needs_grad(const Tensor& t) {
  refresh(*t);
  return t->tracked();
}

// ---- modes (per thread) ------------------------------------------------------------------------
bool grad_enabled();
void set_grad_enabled(bool on);
struct GradMode {  // scope guard
  explicit GradMode(bool on) : before(grad_enabled()) { set_grad_enabled(on); }
  ~GradMode() { set_grad_enabled(before); }
  bool before;
};

}  // namespace lamina
