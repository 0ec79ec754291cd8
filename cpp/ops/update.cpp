// Optimizer steps over all parameters of a group (formulas: update_cpu.h).
// Inputs of a call: numbers, then n each of parameters, states s0 s1 s2 (those present), steps (if
// present), gradients; an undefined gradient leaves its parameter alone. All but the gradients are
// written. The elements of all tensors form one range that is split over threads once; a tensor
// starts at a multiple of 64 there, so pieces start at cache lines.
#include "ops/update.h"

#include <cmath>

#include "core/threads.h"
#include "ops/ops.h"

namespace lamina {
namespace {

constexpr int kNumbers = 8;  // elements of `numbers` before the marks

struct StepArgs {
  int n = 0;         // parameters
  bool has[3] = {};  // which states are present
  bool steps = false;
  bool nesterov = false;
};

// The tensors of one parameter inside a call.
struct Parts {
  const Call& c;
  const StepArgs& a;
  int states;
  explicit Parts(const Call& call)
      : c(call), a(call.args<StepArgs>()), states(a.has[0] + a.has[1] + a.has[2]) {}
  int lists() const { return 1 + states + a.steps; }
  const Tensor& param(int i) const { return c.in[1 + i]; }
  const Tensor& grad(int i) const { return c.in[1 + lists() * a.n + i]; }
  const Tensor& step(int i) const { return c.in[1 + (1 + states) * a.n + i]; }
  void* state(int which, int i) const {
    if (!a.has[which]) return nullptr;
    int before = 0;
    for (int s = 0; s < which; ++s) before += a.has[s];
    return c.in[1 + (1 + before) * a.n + i].data();
  }
};

int written(const Call& c) { return 1 + Parts(c).lists() * c.args<StepArgs>().n; }

void infer(Call& c) {
  const Parts parts(c);
  const Tensor& numbers = c.in[0];
  check(numbers.dtype() == DType::float64 && numbers.numel() >= kNumbers + parts.a.n &&
            numbers.is_contiguous(),
        ErrorKind::value, c.name(), ": numbers must be ", kNumbers + parts.a.n,
        " dense float64 elements, got ", numbers);
  for (int i = 0; i < parts.a.n; ++i) {
    const Tensor &p = parts.param(i), &g = parts.grad(i);
    if (!g.defined()) continue;
    check(g.shape() == p.shape() && g.dtype() == p.dtype(), ErrorKind::shape, c.name(),
          ": parameter ", i, " is ", p, " but its gradient is ", g,
          "; they must have the same shape and dtype");
    for (int k = 0; k < parts.states; ++k) {
      const Tensor& s = c.in[1 + (1 + k) * parts.a.n + i];
      check(s.shape() == p.shape() && s.dtype() == p.dtype(), ErrorKind::shape, c.name(),
            ": parameter ", i, " is ", p, " but its state ", k, " is ", s,
            "; load a state that belongs to this parameter");
    }
  }
}

struct Piece {
  UpdateArgs args;
  UpdateFn fn;
  int64_t start, end;  // in the common range; start is a multiple of kAlign
};
constexpr int64_t kAlign = 64;    // elements: a cache line and more
constexpr int64_t kBlock = 1024;  // elements: the unit in which threads share the work

// setup(i, args) fills args.k and returns the index of the kernel in table[dtype].
template <int Kinds, class Setup>
void over_parameters(const Parts& parts, const UpdateFn (&table)[2][Kinds], double ns_per_element,
                     Setup&& setup) {
  const int n = parts.a.n;
  Scratch memory(sizeof(Piece) * size_t(n));
  Piece* const pieces = memory.as<Piece>();
  int count = 0;
  int64_t total = 0;
  for (int i = 0; i < n; ++i) {
    if (!parts.grad(i).defined()) continue;
    const Tensor& p = parts.param(i);
    Piece& piece = pieces[count++];
    piece.args.p = p.data();
    piece.args.g = parts.grad(i).data();
    for (int s = 0; s < 3; ++s) piece.args.s[s] = parts.state(s, i);
    piece.fn = table[compute_type(p.dtype())][setup(i, piece.args)];
    piece.start = total;
    piece.end = total + p.numel();
    total += (p.numel() + kAlign - 1) / kAlign * kAlign;
  }
  parallel_rows((total + kBlock - 1) / kBlock, ns_per_element * kBlock, [&](int64_t b, int64_t e) {
    b *= kBlock;
    e *= kBlock;
    int lo = 0, hi = count;  // the last piece that starts at or before b
    while (hi - lo > 1) {
      const int mid = (lo + hi) / 2;
      (pieces[mid].start <= b ? lo : hi) = mid;
    }
    for (int j = lo; j < count && pieces[j].start < e; ++j) {
      const int64_t from = b > pieces[j].start ? b : pieces[j].start;
      const int64_t to = e < pieces[j].end ? e : pieces[j].end;
      if (from < to) pieces[j].fn(pieces[j].args, from - pieces[j].start, to - pieces[j].start);
    }
  });
}

// Adds one to a step counter and returns the new value.
double count_step(const Tensor& step) {
  float* const t = step.data<float>();
  return double(*t += 1);
}

// Nanoseconds per float on one thread: 0.05 (sgd) to 0.16 (adam) measured within the second-level
// cache (AVX-512), five times that from memory; what is too large for the cache is split anyway.
constexpr double kSgdCost = 0.1, kAdamCost = 0.25, kRmspropCost = 0.2, kAdagradCost = 0.15;

void sgd_launch(Call& c) {
  const Parts parts(c);
  double* const k = c.in[0].data<double>();
  double* const started = k + kNumbers;
  const double momentum = k[1], dampening = k[2], decay = k[3], sign = k[4] != 0 ? -1 : 1;
  const int common = (decay != 0 ? kSgdDecay : 0) | (parts.a.has[0] ? kSgdMomentum : 0) |
                     (parts.a.nesterov ? kSgdNesterov : 0);
  over_parameters(parts, cpu_kernels().update.sgd, kSgdCost, [&](int i, UpdateArgs& a) {
    const double values[] = {k[0], momentum, 1 - dampening, decay, sign};
    for (int j = 0; j < 5; ++j) a.k[j] = values[j];
    const bool first = parts.a.has[0] && started[i] == 0;
    started[i] = 1;
    return common | (first ? kSgdFirst : 0);
  });
}

void adam_launch(Call& c) {
  const Parts parts(c);
  const double* const k = c.in[0].data<double>();
  const double lr = k[0], beta1 = k[1], beta2 = k[2], eps = k[3], decay = k[4];
  const double sign = k[5] != 0 ? -1 : 1;
  const bool decoupled = k[6] != 0;
  const double keep = decoupled ? 1 - lr * decay : 1;
  const int kind = (decay != 0 && !decoupled ? kAdamDecay : 0) | (parts.a.has[2] ? kAdamMax : 0);
  double last = -1, size = 0, scale = 0;  // parameters mostly share their step
  over_parameters(parts, cpu_kernels().update.adam, kAdamCost, [&](int i, UpdateArgs& a) {
    const double t = count_step(parts.step(i));
    if (t != last) {
      last = t;
      size = lr / (1 - std::pow(beta1, t));
      scale = 1 / std::sqrt(1 - std::pow(beta2, t));
    }
    const double values[] = {size, scale, beta1, beta2, eps, decay, sign, keep};
    for (int j = 0; j < 8; ++j) a.k[j] = values[j];
    return kind;
  });
}

void rmsprop_launch(Call& c) {
  const Parts parts(c);
  const double* const k = c.in[0].data<double>();
  const int kind = (k[3] != 0 ? kRmsDecay : 0) | (parts.a.has[1] ? kRmsMomentum : 0) |
                   (parts.a.has[2] ? kRmsCentered : 0);
  over_parameters(parts, cpu_kernels().update.rmsprop, kRmspropCost, [&](int i, UpdateArgs& a) {
    count_step(parts.step(i));
    const double values[] = {k[0], k[1], k[2], k[3], k[4] != 0 ? -1.0 : 1.0, k[5]};
    for (int j = 0; j < 6; ++j) a.k[j] = values[j];
    return kind;
  });
}

void adagrad_launch(Call& c) {
  const Parts parts(c);
  const double* const k = c.in[0].data<double>();
  over_parameters(parts, cpu_kernels().update.adagrad, kAdagradCost, [&](int i, UpdateArgs& a) {
    const double t = count_step(parts.step(i));
    const double values[] = {k[0] / (1 + (t - 1) * k[1]), k[2], k[3], k[4] != 0 ? -1.0 : 1.0};
    for (int j = 0; j < 4; ++j) a.k[j] = values[j];
    return k[3] != 0 ? kAdagradDecay : 0;
  });
}

constexpr Op step_op(const char* name, void (*launch)(Call&)) {
  Op op{.name = name, .infer = infer, .launch = launch};
  op.differentiable = false;
  op.written = written;
  return op;
}
const Op kSgd = step_op("sgd_step", sgd_launch), kAdam = step_op("adam_step", adam_launch),
         kRmsprop = step_op("rmsprop_step", rmsprop_launch),
         kAdagrad = step_op("adagrad_step", adagrad_launch);

// The element type the kernels work in.
DType working_type(const Tensor& t) {
  return t.dtype() == DType::float64 ? DType::float64 : DType::float32;
}
bool direct(const Tensor& t) { return t.is_contiguous() && working_type(t) == t.dtype(); }
Tensor dense(const Tensor& t) { return contiguous(to_dtype(t, working_type(t))); }

int64_t take_step(const Op& op, const Tensor& numbers, const Tensors& params,
                  std::initializer_list<const Tensors*> states, const Tensors* steps,
                  bool nesterov = false) {
  const size_t n = params.size();
  StepArgs a;
  a.n = int(n);
  a.steps = steps != nullptr;
  a.nesterov = nesterov;
  const Tensors* lists[5] = {&params};
  int count = 1, k = 0;
  for (const Tensors* s : states) {
    a.has[k++] = !s->empty();
    if (!s->empty()) lists[count++] = s;
  }
  if (steps) lists[count++] = steps;
  for (int l = 1; l < count; ++l)
    check(lists[l]->size() == n, ErrorKind::value, op.name, ": ", n, " parameters but ",
          lists[l]->size(), " tensors of a state");

  int64_t active = 0, lacking = 0;
  bool all_direct = true;
  for (size_t i = 0; i < n; ++i) {
    const Tensor& p = params[i];
    check(p.defined(), ErrorKind::type, op.name, ": parameter ", i, " is None");
    if (!p->grad.defined()) continue;
    ++active;
    check(is_floating(p.dtype()), ErrorKind::dtype, op.name, ": parameter ", i, " is ", p,
          "; only floating-point tensors can be optimized");
    check(p->storage->writable, ErrorKind::value, op.name, ": the memory of parameter ", i,
          " is read-only (it came from a read-only array); use .clone()");
    all_direct &= direct(p) && p->grad.is_contiguous();
    bool complete = true;
    for (int l = 1; l < count; ++l) {
      const Tensor& s = (*lists[l])[i];
      complete &= s.defined();
      if (!s.defined()) continue;
      if (steps && l == count - 1)
        check(s.dtype() == DType::float32 && s.numel() == 1, ErrorKind::dtype, op.name,
              ": the step of parameter ", i, " must be a float32 tensor of one element, got ", s);
      else
        all_direct &= direct(s);
    }
    lacking += !complete;
  }
  if (lacking || !active) return lacking;

  GradMode off(false);
  CallRef call(new Call);
  call->op = &op;
  call->set_args(a);
  call->in.push_back(numbers);
  for (int l = 0; l < count; ++l)
    for (size_t i = 0; i < n; ++i) {
      const Tensor& t = (*lists[l])[i];
      const bool counter = steps && l == count - 1;
      if (!params[i]->grad.defined())
        call->in.push_back(Tensor());
      else
        call->in.push_back(all_direct || counter || direct(t) ? t : dense(t));
    }
  for (const Tensor& p : params) {
    const Tensor& g = p->grad;
    call->in.push_back(all_direct || !g.defined() || direct(g) ? g : dense(g));
  }
  const SmallVec<Tensor, 3> inputs = all_direct ? SmallVec<Tensor, 3>{} : call->in;
  run(call);
  if (all_direct) return 0;
  int at = 1;  // copies go back to where they came from
  for (int l = 0; l < count; ++l)
    for (size_t i = 0; i < n; ++i, ++at) {
      const Tensor& t = (*lists[l])[i];
      if (t.defined() && params[i]->grad.defined() && !inputs[at].same(t)) copy_(t, inputs[at]);
    }
  return 0;
}

}  // namespace

void set_numbers(const Tensor& numbers, double a, double b, double c, double d, double e, double f,
                 double g) {
  check(numbers.dtype() == DType::float64 && numbers.numel() >= kNumbers, ErrorKind::value,
        "set_numbers: expected at least ", kNumbers, " float64 elements, got ", numbers);
  double* const k = numbers.data<double>();
  const double values[] = {a, b, c, d, e, f, g};
  for (int i = 0; i < 7; ++i) k[i] = values[i];
}

int64_t sgd_step(const Tensor& numbers, const Tensors& params, const Tensors& buffers,
                 bool nesterov) {
  return take_step(kSgd, numbers, params, {&buffers}, nullptr, nesterov);
}

int64_t adam_step(const Tensor& numbers, const Tensors& params, const Tensors& means,
                  const Tensors& squares, const Tensors& max_squares, const Tensors& steps) {
  return take_step(kAdam, numbers, params, {&means, &squares, &max_squares}, &steps);
}

int64_t rmsprop_step(const Tensor& numbers, const Tensors& params, const Tensors& squares,
                     const Tensors& buffers, const Tensors& means, const Tensors& steps) {
  return take_step(kRmsprop, numbers, params, {&squares, &buffers, &means}, &steps);
}

int64_t adagrad_step(const Tensor& numbers, const Tensors& params, const Tensors& sums,
                     const Tensors& steps) {
  return take_step(kAdagrad, numbers, params, {&sums}, &steps);
}

void clear_grads(const Tensors& params) {
  for (const Tensor& p : params)
    if (p.defined()) p->grad = Tensor();
}

}  // namespace lamina
