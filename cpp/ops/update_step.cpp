// The launch of an optimizer step: which tensors it gets, and what is copied when they are not
// dense.
#include "ops/update_step.h"

#include "ops/complex.h"

namespace lamina {
namespace {

thread_local Tensor t_found_inf, t_skipped;

}  // namespace

void step_unless(const std::optional<Tensor>& found_inf, const std::optional<Tensor>& skipped) {
  for (const auto* t : {&found_inf, &skipped})
    check(!*t || ((*t)->dtype() == DType::float32 && (*t)->numel() == 1), ErrorKind::dtype,
          "step_unless: expected float32 tensors of one element");
  t_found_inf = found_inf ? *found_inf : Tensor();
  t_skipped = skipped ? *skipped : Tensor();
}

int step_written(const Call& c) { return 1 + StepParts(c).lists() * c.args<StepArgs>().n; }

void step_infer(Call& c) {
  const StepParts parts(c);
  const Tensor& numbers = c.in[0];
  check(numbers.dtype() == DType::float64 && numbers.numel() >= kUpdateNumbers + parts.a.n &&
            numbers.is_contiguous(),
        ErrorKind::value, c.name(), ": numbers must be ", kUpdateNumbers + parts.a.n,
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

void step_on_device(const StepParts& parts, NumbersFn fn) {
  const Call& c = parts.c;
  const bool formed_there = c.in[0].device().type != DeviceType::cpu;
  std::vector<DeviceUpdate> list;
  StepFormer form(parts, fn);
  for (int i = 0; i < parts.a.n; ++i) {
    if (!parts.grad(i).defined()) continue;
    const Tensor& p = parts.param(i);
    check(p.device() == c.device, ErrorKind::device, c.name(), ": parameter ", i, " is on ",
          device_name(p.device()), " and another on ", device_name(c.device),
          "; move the model to one device before making the optimizer");
    const auto beside = [&](const char* what, const Tensor& t) {
      check(t.device() == c.device, ErrorKind::device, c.name(), ": the ", what, " of parameter ",
            i, " is on ", device_name(t.device()), " and the parameter on ", device_name(c.device),
            "; move the model before making the optimizer");
    };
    beside("gradient", parts.grad(i));
    for (int s = 0; s < 3; ++s)
      if (parts.a.has[s]) beside("state", parts.state_tensor(s, i));
    DeviceUpdate u{};
    u.args.p = p.data();
    u.args.g = parts.grad(i).data();
    for (int s = 0; s < 3; ++s) u.args.s[s] = parts.state(s, i);
    if (formed_there) {
      for (int k = 0; k < parts.a.counters; ++k) u.counters[k] = parts.counter(k, i);
      u.started = parts.numbers() + kUpdateNumbers + i;
    } else {
      u.flags = form(i, u.args);
    }
    u.n = p.numel();
    u.dtype = p.dtype();
    if (u.n || formed_there) list.push_back(u);
  }
  DeviceUpdates all{list.data(),
                    int(list.size()),
                    formed_there ? parts.numbers() : nullptr,
                    {},
                    parts.a.nesterov};
  for (int s = 0; s < 3; ++s) all.has[s] = parts.a.has[s];
  DeviceOperand guard[2];
  for (int i = 0; i < 2 * parts.a.guarded; ++i)
    guard[i] = {parts.guard()[i].data(), nullptr, nullptr, 0, DType::float32, false};
  device_table().launch(
      device_kernel(*c.op),
      {c.name(), &all, guard, nullptr, 2 * parts.a.guarded, 0, c.device.index, {}});
}

void step_in_float(const UpdateArgs& a, UpdateFn fn, DType dtype, int64_t begin, int64_t end) {
  constexpr int64_t kPart = 512;
  alignas(64) float held[5][kPart];
  void* const arrays[5] = {a.p, const_cast<void*>(a.g), a.s[0], a.s[1], a.s[2]};
  UpdateArgs part = a;
  part.p = held[0];
  part.g = held[1];
  for (int s = 0; s < 3; ++s) part.s[s] = a.s[s] ? held[2 + s] : nullptr;
  const Kernels& k = cpu_kernels();
  for (int64_t at = begin; at < end; at += kPart) {
    const int64_t n = end - at < kPart ? end - at : kPart;
    const auto of = [&](int i) { return static_cast<char*>(arrays[i]) + at * item_size(dtype); };
    for (int i = 0; i < 5; ++i)
      if (arrays[i]) k.load[int(dtype)][kF32](held[i], of(i), 1, n);
    fn(part, 0, n);
    for (int i = 0; i < 5; ++i)
      if (arrays[i] && i != 1) k.store[int(dtype)][kF32](of(i), 1, held[i], n);
  }
}

namespace {
// Real and imaginary parts of complex tensors, which are updated each on its own.
Tensors parts_of_all(const Tensors& list) {
  Tensors out;
  for (const Tensor& t : list) {
    const bool seen = t.defined() && is_complex(t.dtype());
    out.push_back(seen ? parts_of(t) : t);
    if (seen && t->grad.defined()) out.back()->grad = parts_of(t->grad);
  }
  return out;
}
}  // namespace

int64_t take_step(const Op& op, const Tensor& numbers, const Tensors& params,
                  std::initializer_list<const Tensors*> states,
                  std::initializer_list<const Tensors*> counters, bool nesterov) {
  for (const Tensor& p : params)
    if (p.defined() && is_complex(p.dtype())) {
      Tensors parts[3];
      int k = 0;
      for (const Tensors* s : states) parts[k++] = parts_of_all(*s);
      return take_step(op, numbers, parts_of_all(params), {&parts[0], &parts[1], &parts[2]},
                       counters, nesterov);
    }
  const size_t n = params.size();
  StepArgs a;
  a.n = int(n);
  a.counters = int(counters.size());
  a.nesterov = nesterov;
  const Tensors* lists[7] = {&params};
  int count = 1, k = 0;
  for (const Tensors* s : states) {
    a.has[k++] = !s->empty();
    if (!s->empty()) lists[count++] = s;
  }
  const int first_counter = count;
  for (const Tensors* list : counters) lists[count++] = list;
  for (int l = 1; l < count; ++l)
    check(lists[l]->size() == n, ErrorKind::value, op.name, ": ", n, " parameters but ",
          lists[l]->size(), " tensors of a state");

  int64_t active = 0, lacking = 0;
  bool all_dense = true;
  for (size_t i = 0; i < n; ++i) {
    const Tensor& p = params[i];
    check(p.defined(), ErrorKind::type, op.name, ": parameter ", i, " is None");
    if (!p->grad.defined()) continue;
    ++active;
    check(is_floating(p.dtype()), ErrorKind::dtype, op.name, ": parameter ", i, " is ", p,
          "; only floating-point tensors can be optimized");
    check(p->storage->writable, ErrorKind::value, op.name, ": the memory of parameter ", i,
          " is read-only (it came from a read-only array); use .clone()");
    all_dense &= p.is_contiguous() && p->grad.is_contiguous();
    bool complete = true;
    for (int l = 1; l < count; ++l) {
      const Tensor& s = (*lists[l])[i];
      complete &= s.defined();
      if (!s.defined()) continue;
      if (l >= first_counter)
        check(s.dtype() == DType::float32 && s.numel() == 1 && s.device() == numbers.device(),
              ErrorKind::dtype, op.name, ": the counter of parameter ", i,
              " must be a float32 tensor of one element on ", device_name(numbers.device()),
              ", where the group's numbers are, got ", s, " on ", device_name(s.device()));
      else
        all_dense &= s.is_contiguous();
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
      const bool counter = l >= first_counter;
      if (!params[i]->grad.defined())
        call->in.push_back(Tensor());
      else
        call->in.push_back(all_dense || counter ? t : contiguous(t));
    }
  for (const Tensor& p : params) {
    const Tensor& g = p->grad;
    call->in.push_back(all_dense || !g.defined() ? g : contiguous(g));
  }
  if (t_found_inf.defined()) {
    call->args<StepArgs>().guarded = true;
    call->in.push_back(t_found_inf);
    call->in.push_back(t_skipped);
  }
  const SmallVec<Tensor, 3> inputs = all_dense ? SmallVec<Tensor, 3>{} : call->in;
  run(call);
  if (all_dense) return 0;
  int at = 1;  // copies go back to where they came from
  for (int l = 0; l < count; ++l)
    for (size_t i = 0; i < n; ++i, ++at) {
      const Tensor& t = (*lists[l])[i];
      if (t.defined() && params[i]->grad.defined() && !inputs[at].same(t)) copy_(t, inputs[at]);
    }
  return 0;
}

}  // namespace lamina
