// What the optimizer steps share: the inputs of their call, and one split of all elements of a
// group over the threads.
//
// Inputs of a call: numbers, then n each of parameters, states s0 s1 s2 (those present), counters
// c0 c1 c2 (those present), gradients; an undefined gradient leaves its parameter alone. All but
// the gradients are written. A guarded step (step_unless) has two inputs more. The elements of all
// tensors form one range that is split over threads once; a tensor starts at a multiple of 64
// there, so pieces start at cache lines.
#pragma once
#include "core/device.h"
#include "core/threads.h"
#include "ops/ops.h"
#include "ops/update.h"
#include "ops/update_numbers.h"

namespace lamina {

struct StepArgs {
  int n = 0;             // parameters
  bool has[3] = {};      // which states are present
  int counters = 0;      // lists of one-element tensors, the steps first
  bool guarded = false;  // two more inputs: found_inf and skipped (see step_unless)
  bool nesterov = false;
};

// The tensors of one parameter inside a call.
struct StepParts {
  const Call& c;
  const StepArgs& a;
  int states;
  explicit StepParts(const Call& call)
      : c(call), a(call.args<StepArgs>()), states(a.has[0] + a.has[1] + a.has[2]) {}
  int lists() const { return 1 + states + a.counters; }
  const Tensor& param(int i) const { return c.in[1 + i]; }
  const Tensor& grad(int i) const { return c.in[1 + lists() * a.n + i]; }
  float* counter(int which, int i) const {
    return c.in[1 + (1 + states + which) * a.n + i].data<float>();
  }
  const Tensor& state_tensor(int which, int i) const {
    int before = 0;
    for (int s = 0; s < which; ++s) before += a.has[s];
    return c.in[1 + (1 + before) * a.n + i];
  }
  void* state(int which, int i) const {
    return a.has[which] ? state_tensor(which, i).data() : nullptr;
  }
  double* numbers() const { return c.in[0].data<double>(); }
  // k and flags of parameter i, its counters moved on by one step.
  int form(NumbersFn fn, int i, double* k) const {
    StepNumbers s{numbers(), 0,         nullptr, nullptr, numbers() + kUpdateNumbers + i,
                  a.has,     a.nesterov};
    if (a.counters > 0) s.t = double(*counter(0, i) += 1);
    if (a.counters > 1) s.c1 = counter(1, i);
    if (a.counters > 2) s.c2 = counter(2, i);
    return fn(s, k);
  }
  const Tensor* guard() const { return a.guarded ? &c.in[c.in.size() - 2] : nullptr; }
  // Whether a guarded step leaves everything as it is; a device finds that out by itself.
  bool skips() const {
    return a.guarded && guard()[0].device().type == DeviceType::cpu && *guard()->data<float>() != 0;
  }
};

struct UpdatePiece {
  UpdateArgs args;
  UpdateFn fn;
  DType dtype;
  int64_t first;       // element of the tensor
  int64_t start, end;  // in the common range; start is a multiple of kUpdateAlign
};
constexpr int64_t kUpdateAlign = 64;    // elements: a cache line and more
constexpr int64_t kUpdateBlock = 1024;  // elements: the unit in which threads share the work

// What forms k and flags of one parameter after the other. Parameters mostly share their step, and
// with no further counters all that follows from it.
class StepFormer {
 public:
  StepFormer(const StepParts& parts, NumbersFn fn) : parts_(parts), fn_(fn) {}
  int operator()(int i, UpdateArgs& a) {
    if (parts_.a.counters == 1) {
      float& t = *parts_.counter(0, i);
      if (formed_ && t + 1 == t_) {
        t = t_;
        std::memcpy(a.k, k_, sizeof k_);
        return flags_;
      }
    }
    flags_ = parts_.form(fn_, i, a.k);
    if (parts_.a.counters == 1) {
      formed_ = true;
      t_ = *parts_.counter(0, i);
      std::memcpy(k_, a.k, sizeof k_);
    }
    return flags_;
  }

 private:
  const StepParts& parts_;
  NumbersFn fn_;
  bool formed_ = false;
  float t_ = 0;
  int flags_ = 0;
  double k_[sizeof(UpdateArgs::k) / sizeof(double)];
};

// The same on a device: its library gets every parameter's pointers, and k and flags when the
// numbers lie on the CPU.
void step_on_device(const StepParts& parts, NumbersFn fn);

// fn on elements of half precision: they are widened, updated in float32 and rounded once.
void step_in_float(const UpdateArgs& a, UpdateFn fn, DType dtype, int64_t begin, int64_t end);

// A step by the kernels table[dtype][flags].
template <int Kinds>
void take_step_by(Call& c, const UpdateFn (&table)[2][Kinds], double ns_per_element, NumbersFn fn) {
  const StepParts parts(c);
  const int n = parts.a.n;
  if (parts.skips()) return;
  if (__builtin_expect(c.device.type != DeviceType::cpu, 0)) return step_on_device(parts, fn);
  StepFormer form(parts, fn);
  Scratch memory(sizeof(UpdatePiece) * size_t(n));
  UpdatePiece* const whole = memory.as<UpdatePiece>();
  int tensors = 0;
  for (int i = 0; i < n; ++i) {
    if (!parts.grad(i).defined()) continue;
    const Tensor& p = parts.param(i);
    UpdatePiece& piece = whole[tensors++];
    piece.args.p = p.data();
    piece.args.g = parts.grad(i).data();
    for (int s = 0; s < 3; ++s) piece.args.s[s] = parts.state(s, i);
    piece.fn = table[compute_type(p.dtype())][form(i, piece.args)];
    piece.dtype = p.dtype();
    piece.end = p.numel();
  }
  // The same part of every large tensor one after another, so that a thread's range of the blocks
  // is the part of each tensor that it also has in the products before and after.
  const int shares = num_threads();
  Scratch cut(sizeof(UpdatePiece) * size_t(tensors) * size_t(shares));
  UpdatePiece* const pieces = cut.as<UpdatePiece>();
  int count = 0;
  int64_t total = 0;
  for (int share = 0; share < shares; ++share)
    for (int k = 0; k < tensors; ++k) {
      const int64_t elements = whole[k].end, lines = elements / kUpdateAlign;
      const bool large = lines >= int64_t(shares) * 64;
      if (!large && share > 0) continue;
      UpdatePiece& piece = pieces[count++];
      piece = whole[k];
      piece.first = large ? lines * share / shares * kUpdateAlign : 0;
      const bool last = !large || share + 1 == shares;
      const int64_t end = last ? elements : lines * (share + 1) / shares * kUpdateAlign;
      piece.start = total;
      piece.end = total + end - piece.first;
      total += (end - piece.first + kUpdateAlign - 1) / kUpdateAlign * kUpdateAlign;
    }
  const int64_t blocks = (total + kUpdateBlock - 1) / kUpdateBlock;
  parallel_rows(blocks, ns_per_element * kUpdateBlock, [&](int64_t b, int64_t e) {
    b *= kUpdateBlock;
    e *= kUpdateBlock;
    int lo = 0, hi = count;  // the last piece that starts at or before b
    while (hi - lo > 1) {
      const int mid = (lo + hi) / 2;
      (pieces[mid].start <= b ? lo : hi) = mid;
    }
    for (int j = lo; j < count && pieces[j].start < e; ++j) {
      const int64_t from = b > pieces[j].start ? b : pieces[j].start;
      const int64_t to = e < pieces[j].end ? e : pieces[j].end;
      const int64_t at = pieces[j].first - pieces[j].start;
      if (from >= to) continue;
      if (item_size(pieces[j].dtype) == 2)
        step_in_float(pieces[j].args, pieces[j].fn, pieces[j].dtype, from + at, to + at);
      else
        pieces[j].fn(pieces[j].args, from + at, to + at);
    }
  });
}

// Checks of the shapes and dtypes of a call, and how many of its inputs are written.
void step_infer(Call& c);
int step_written(const Call& c);

constexpr Op step_op(const char* name, void (*launch)(Call&)) {
  Op op{.name = name, .infer = step_infer, .launch = launch};
  op.differentiable = false;
  op.written = step_written;
  op.on_host = true;
  return op;
}

// Runs `op` on a group; the results and errors of ops/update.h.
int64_t take_step(const Op& op, const Tensor& numbers, const Tensors& params,
                  std::initializer_list<const Tensors*> states,
                  std::initializer_list<const Tensors*> counters, bool nesterov = false);

}  // namespace lamina
