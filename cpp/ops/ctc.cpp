// CTC: checks, scratch, and one task per sequence (formulas: ctc_cpu.h). A second derivative is not
// defined, as in PyTorch.
#include "ops/ctc.h"

#include <algorithm>

#include "core/threads.h"
#include "ops/ctc_args.h"
#include "ops/ops.h"
#include "ops/transfer.h"

namespace lamina {
namespace {

CtcArgs ctc_arguments(const Tensor& x, const Tensor& targets, const Tensor& table,
                      const CtcOpArgs& o) {
  CtcArgs a{};
  a.x = x.data();
  a.targets = targets.data<int64_t>();
  a.T = x.size(0);
  a.N = x.size(1);
  a.C = x.size(2);
  a.frames = table.data<int64_t>();
  a.labels = a.frames + a.N;
  a.starts = a.labels + a.N;
  a.pitch = o.width + 2;
  a.blank = o.blank;
  a.zero_infinity = o.zero_infinity;
  return a;
}

void ctc_run(const CtcFn run, CtcArgs& a, DType dtype, double ns_per_state) {
  Scratch rows(size_t(a.N * kCtcRows * a.pitch) * item_size(dtype));
  a.scratch = rows.as<void>();
  parallel_rows(a.N, ns_per_state * double(a.T * a.pitch),
                [&](int64_t b, int64_t e) { run(a, b, e); });
}

void ctc_infer(Call& c) {
  const Tensor& x = c.in[0];
  c.output({x.size(1)}, x.dtype());
  c.output({x.size(1), x.size(0), c.args<CtcOpArgs>().width + 2}, x.dtype());
  c.output({x.size(1), x.size(0)}, DType::float64);
}
void ctc_launch(Call& c) {  // x, targets, table -> loss, alpha, offset
  const Tensor& x = c.in[0];
  CtcArgs a = ctc_arguments(x, c.in[1], c.in[2], c.args<CtcOpArgs>());
  for (int64_t n = 0; n < a.N; ++n)
    for (int64_t i = 0; i < a.labels[n]; ++i) {
      const int64_t label = a.targets[a.starts[n] + i];
      if (label < 0 || label >= a.C)
        fail(ErrorKind::index, "ctc_loss: label ", label, " at position ", i, " of target ", n,
             " is out of range for ", a.C, " classes; labels must be 0 to ", a.C - 1);
    }
  a.loss = c.out[0].data();
  a.alpha = c.out[1].data();
  a.offset = c.out[2].data<double>();
  if (a.N) ctc_run(cpu_kernels().ctc.loss[compute_type(x.dtype())], a, x.dtype(), 3);
}

void ctc_grad_infer(Call& c) { c.output(c.in[1].shape(), c.in[1].dtype()); }
void ctc_grad_launch(Call& c) {  // g, x, targets, table, alpha, offset -> gx
  const Tensor& x = c.in[1];
  if (x.numel() == 0) return;
  CtcArgs a = ctc_arguments(x, c.in[2], c.in[3], c.args<CtcOpArgs>());
  a.g = c.in[0].data();
  a.alpha = c.in[4].data();
  a.offset = c.in[5].data<double>();
  a.gx = c.out[0].data();
  ctc_run(cpu_kernels().ctc.grad[compute_type(x.dtype())], a, x.dtype(), 5);
}
const Op kCtcGrad{.name = "ctc_loss_grad", .infer = ctc_grad_infer, .launch = ctc_grad_launch};

void ctc_vjp(Vjp& c) {
  if (!c.needs(0)) return;
  const std::initializer_list<Tensor> inputs{contiguous(c.g()), c.in(0),  c.in(1),
                                             c.in(2),           c.out(1), c.out(2)};
  c.set(0, run(make_call(kCtcGrad, inputs, c.args<CtcOpArgs>()))[0]);
}
const Op kCtc{
    .name = "ctc_loss", .infer = ctc_infer, .launch = ctc_launch, .vjp = ctc_vjp, .saves = {7, 6}};

}  // namespace

Tensor ctc_loss(const Tensor& x, const Tensor& targets, const Tensor& table, int64_t blank,
                bool zero_infinity) {
  check(is_floating(x.dtype()), ErrorKind::dtype,
        "ctc_loss: expected floating log-probabilities, got ", x, "; use .log_softmax(-1)");
  check(x.dim() == 3 && targets.dtype() == DType::int64 && table.dtype() == DType::int64 &&
            table.numel() == 3 * x.size(1) && table.is_contiguous(),
        ErrorKind::shape, "ctc_loss: expected x (T, N, C), int64 targets and a dense int64 table ",
        "(3, N), got ", x, ", ", targets, ", ", table);
  const DType t = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  CtcOpArgs args{blank, 1, zero_infinity};
  const Tensor here = to_host(table);
  const int64_t N = x.size(1), *const rows = here.data<int64_t>();
  for (int64_t n = 0; n < N; ++n) {
    const int64_t frames = rows[n], labels = rows[N + n], start = rows[2 * N + n];
    check(frames >= 0 && frames <= x.size(0) && labels >= 0 && start >= 0 &&
              start + labels <= targets.numel(),
          ErrorKind::value, "ctc_loss: sequence ", n, " has ", frames, " frames and ", labels,
          " labels from ", start, ", but there are ", x.size(0), " frames and ", targets.numel(),
          " labels");
    args.width = std::max(args.width, 2 * labels + 1);
  }
  const std::initializer_list<Tensor> inputs{contiguous(to_dtype(x, t)), contiguous(targets),
                                             to_device(table, x.device())};
  return to_dtype(run(make_call(kCtc, inputs, args))[0], x.dtype());
}

}  // namespace lamina
