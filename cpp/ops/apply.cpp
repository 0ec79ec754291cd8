// The one door: infer, allocate, launch, record.
#include "ops/apply.h"

#include "core/device.h"
#include "core/threads.h"
#include "ops/anomaly.h"
#include "ops/ops.h"

namespace lamina {

constinit thread_local const CallObserver* call_observer = nullptr;
void* (*leave_interpreter)() = nullptr;
void (*enter_interpreter)(void*) = nullptr;

namespace {

// A position on the tape after those of this thread's earlier calls and of all calls whose results
// this one reads, whichever thread made them: Lamport's clock (Communications of the ACM, 1978).
uint64_t next_position(const Call& call) {
  constinit thread_local static uint64_t clock = 0;
  for (const Source& s : call.source)
    if (s.edge.call && s.edge.call->sequence > clock) clock = s.edge.call->sequence;
  return ++clock;
}

bool wants_record(const Call& call) {
  if (!grad_enabled() || !call.op->differentiable) return false;
  for (const Tensor& t : call.in)
    if (t.defined() && needs_grad(t)) return true;
  return false;
}

void check_rule(const Call& call) {
  check(call.op->vjp != nullptr, ErrorKind::not_implemented, call.name(),
        ": has no gradient rule, but an input requires grad; call it under lamina.no_grad() or on "
        "x.detach()");
}

// Complex tensors meet only the ops that know them.
void check_complex(const Call& call) {
  if (call.op->complex) return;
  for (const Tensor& t : call.in)
    check(!t.defined() || !is_complex(t.dtype()), ErrorKind::dtype, call.name(),
          ": not defined for complex tensors, got ", t,
          "; work on .real and .imag, .abs() or view_as_real(x)");
}

// Nor does any other op make one: its kernels have no entry for them.
void check_results(const Call& call) {
  if (call.op->complex || !call.op->launch) return;
  for (const Tensor& t : call.out)
    check(!is_complex(t.dtype()), ErrorKind::dtype, call.name(), ": not defined for ", t.dtype(),
          "; make the real and imaginary parts and join them with lamina.complex");
}

// Notes where the inputs came from and lets go of those backward does not read.
void note_sources(Call& call, const Tensor* into) {
  for (int i = 0; i < call.in.size(); ++i) {
    const Tensor& t = call.in[i];
    Source& s = call.source.emplace_back();
    if (!t.defined()) continue;
    s.shape = t.shape();
    s.dtype = t.dtype();
    s.version = t->storage ? t->version() : 0;
    refresh(*t);
    if (t->call) {
      s.edge.call = t->call;
      s.edge.index = t->index;
    } else if (t->requires_grad) {
      s.edge.leaf = call.take(i);  // most are not read again: no reference to count
    }
  }
  const uint32_t keep = call.saves().inputs;
  for (int i = 0; i < call.in.size(); ++i) {
    if (!(keep >> (i < 31 ? i : 31) & 1)) {
      call.put(i, Tensor());
      continue;
    }
    Tensor t = call.in[i].defined() ? call.take(i) : call.source[i].edge.leaf;
    if (into && t.defined() && t.same(*into)) {
      GradMode off(false);  // backward reads the values from before the write: keep a copy
      t = clone(t);
      call.source[i].version = t->version();
    }
    call.put(i, std::move(t));
  }
}

// Launches over more elements than this give the interpreter's lock away meanwhile.
constexpr int64_t kLongLaunch = 32768;

struct Outside {
  void* state = nullptr;
  explicit Outside(Call& call) {
    if (!leave_interpreter) return;
    int64_t n = 0;
    for (const Tensor& t : call.in) n += t.defined() ? t.numel() : 0;
    for (const Tensor& t : call.out) n += t.defined() ? t.numel() : 0;
    if (n <= kLongLaunch) return;
    call.own();
    state = leave_interpreter();
  }
  ~Outside() {
    if (state) enter_interpreter(state);
  }
};

void launch(Call& call) {
  if (!call.op->launch) return;
  if (on_device(call)) {
    call.own();
    return launch_on_device(call);
  }
  Outside outside(call);
  FlushDenormals flush;
  call.op->launch(call);
}

bool overlaps(const Tensor& a, const Tensor& b) {
  if (a->storage != b->storage || a.numel() == 0 || b.numel() == 0) return false;
  auto range = [](const Tensor& t, int64_t& lo, int64_t& hi) {
    const int64_t size = item_size(t.dtype());
    lo = t->offset * size;
    hi = lo + size;
    for (int i = 0; i < t.dim(); ++i) {
      const int64_t span = (t.shape()[i] - 1) * t.strides()[i] * size;
      (span < 0 ? lo : hi) += span;
    }
  };
  int64_t alo, ahi, blo, bhi;
  range(a, alo, ahi);
  range(b, blo, bhi);
  return alo < bhi && blo < ahi;
}

}  // namespace

void note_outputs(const CallRef& call, const Outputs& outputs) {
  Call& c = *call;
  c.sequence = next_position(c);
  if (anomaly_mode()) c.module.reset(new std::string(running_module()));
  const uint32_t keep = c.saves().outputs;
  for (int i = 0; i < outputs.size(); ++i) {
    const Tensor& t = outputs[i];
    c.out_shapes.push_back(t.shape());
    c.out_dtypes.push_back(t.dtype());
    c.out_versions.push_back(t->storage ? t->version() : 0);
    Tensor kept = keep >> i & 1 ? alias(t) : Tensor();
    if (i < c.out.size())
      c.out[i] = std::move(kept);
    else
      c.out.push_back(std::move(kept));
  }
}

void record(CallRef call, const Outputs& outputs) {
  if (call->source.empty()) note_sources(*call, nullptr);
  note_outputs(call, outputs);
  int last = outputs.size() - 1;  // to which the reference passes
  while (last >= 0 && !has_gradients(outputs[last].dtype())) --last;
  for (int i = 0; i <= last; ++i) {
    if (!has_gradients(outputs[i].dtype())) continue;
    outputs[i]->index = uint32_t(i);
    outputs[i]->call = i < last ? call : std::move(call);
  }
}

Outputs run(CallRef call) {
  Call& c = *call;
  const bool recording = wants_record(c);
  if (recording) check_rule(c);
  check_complex(c);
  place(c);
  c.op->infer(c);
  check_results(c);
  for (Tensor& t : c.out)
    if (!t->storage) give_storage(t);
  if (call_observer) call_observer->call(c);
  const OutputCheck look(c);
  launch(c);
  for (const Tensor& t : c.out) look(t);
  if (c.op->writes || c.op->written)
    for (int i = 0; i < c.in.size(); ++i)
      if (c.in[i].defined() && c.writes(i)) ++c.in[i]->version();
  Outputs outputs = std::move(c.out);
  if (!c.op->launch)
    for (const Tensor& t : outputs)  // views: remember the base, for in-place writes
      if (grad_enabled() && c.in.size() && t->storage == c.in[0]->storage) {
        refresh(*c.in[0]);
        const Tensor& base = c.in[0]->view ? c.in[0]->view->base : c.in[0];
        t->view.reset(new ViewInfo{base, base->rebased});
      }
  if (recording) record(std::move(call), outputs);
  return outputs;
}

Tensor run_into(const CallRef& call, const Tensor& into) {
  Call& c = *call;
  const bool differentiable = c.op->differentiable && grad_enabled();
  const bool recording =
      grad_enabled() && (needs_grad(into) || (differentiable && wants_record(c)));
  if (recording) {
    check_rule(c);
    check_in_place(c.name(), into);
  }
  check(into->storage->writable, ErrorKind::value, c.name(),
        ": the output's memory is read-only (it came from a read-only array); use .clone()");
  check_complex(c);
  place(c);
  if (c.in.empty()) c.device = into.device();
  check(c.device == into.device(), ErrorKind::device, c.name(), ": the output is on ",
        device_name(into.device()), " but the inputs are on ", device_name(c.device),
        "; move them to one device with .to()");
  c.op->infer(c);
  const Tensor made = c.out[0];
  check(made.shape() == into.shape(), ErrorKind::shape, c.name(), ": output with shape ",
        into.shape(), " does not match the result's shape ", made.shape(),
        "; an in-place or out= result cannot be broadcast or resized");
  const DType to = into.dtype(), from = made.dtype();
  check(to == from || is_complex(to) || (is_floating(to) && !is_complex(from)) ||
            (!has_gradients(from) && to != DType::boolean) || from == DType::boolean,
        ErrorKind::dtype, c.name(), ": result type ", from, " cannot be written into a tensor of ",
        to, "; convert with .to() or use the out-of-place form");
  for (int i = 0; i < into.dim(); ++i)
    check(into.strides()[i] != 0 || into.shape()[i] <= 1 || into.numel() == 0, ErrorKind::runtime,
          c.name(), ": the output ", into,
          " is an expanded view whose elements share memory; .clone() it "
          "before writing in place");
  bool via_copy = to != from;
  for (Tensor& t : c.in)
    if (t.defined() && !t.same(into) && overlaps(t, into) &&
        !(t->offset == into->offset && t.strides() == into.strides() && c.op->elementwise))
      via_copy = true;
  for (Tensor& t : c.in)
    if (t.defined() && t.same(into) && !c.op->elementwise) via_copy = true;
  // Sources are noted before the write (old versions, old place on the tape), and what backward
  // does not need is dropped from the record; the launch still sees every input.
  SmallVec<Tensor, 3> inputs;
  if (recording) {
    inputs = c.in;
    note_sources(c, &into);
    std::swap(c.in, inputs);
  }
  if (via_copy)
    give_storage(made);
  else
    c.out[0] = into;
  if (call_observer) call_observer->call(c);
  const OutputCheck look(c);
  if (via_copy) {
    launch(c);
    GradMode off(false);
    copy_(into, made);
  } else {
    launch(c);
    ++into->version();
  }
  look(into);
  if (recording) {
    std::swap(c.in, inputs);
    record_in_place(call, into);
  }
  return into;
}

}  // namespace lamina
