// Batches of images: rows of a data set, cut, flipped and normalised in one pass (batch_cpu.h).
#include "ops/batch.h"

#include "core/threads.h"
#include "ops/ops.h"

namespace lamina {
namespace {

struct BatchOpArgs {
  int64_t C, H, W, h, w;
  double divisor, fill;
  bool stats, windows, to_float;
};

void infer(Call& c) {
  const auto& a = c.args<BatchOpArgs>();
  const Tensor& x = c.in[0];
  const bool bytes = x.dtype() == DType::uint8 && !a.to_float;
  c.output({c.in[1].numel(), a.C, a.h, a.w}, bytes ? DType::uint8 : DType::float32);
}
void launch(Call& c) {
  const auto& a = c.args<BatchOpArgs>();
  const Tensor &x = c.in[0], &rows = c.in[1], &y = c.out[0];
  const int64_t N = x.size(0), B = rows.numel();
  const int64_t* const row = rows.data<int64_t>();
  for (int64_t b = 0; b < B; ++b)
    check(row[b] >= -N && row[b] < N, ErrorKind::index, "gather_batch: index ", row[b],
          " is out of range for ", N, " images");
  const BatchArgs args{x.data(),
                       y.data(),
                       row,
                       a.windows ? c.in[2 + a.stats].data<int64_t>() : nullptr,
                       a.stats ? c.in[2].data<float>() : nullptr,
                       N,
                       a.C,
                       a.H,
                       a.W,
                       a.h,
                       a.w,
                       float(a.divisor),
                       float(a.fill)};
  const BatchKernels& k = cpu_kernels().batch;
  const BatchFn run = x.dtype() == DType::float32   ? k.float_to_float
                      : y.dtype() == DType::float32 ? k.bytes_to_float
                                                    : k.bytes;
  parallel_rows(B * a.C, 0.2 * double(a.h * a.w) + (a.windows ? 3.0 * a.h : 0) + 50,
                [&](int64_t b, int64_t e) { run(args, b, e); });
}
const Op kGatherBatch{
    .name = "gather_batch", .infer = infer, .launch = launch, .differentiable = false};

}  // namespace

Tensor gather_batch(const Tensor& x, const Tensor& rows, double divisor,
                    std::optional<Tensor> stats, std::optional<Tensor> windows, int64_t height,
                    int64_t width, double fill, bool to_float) {
  check(x.dtype() == DType::uint8 || x.dtype() == DType::float32, ErrorKind::dtype,
        "gather_batch: images must be uint8 or float32, got ", x);
  check(x.dim() == 3 || x.dim() == 4, ErrorKind::shape,
        "gather_batch: images must be (N, C, H, W) or (N, H, W), got shape ", x.shape());
  check(rows.dtype() == DType::int64 && rows.dim() == 1, ErrorKind::shape,
        "gather_batch: rows must be int64 of one dimension, got ", rows);
  check(divisor > 0, ErrorKind::value, "gather_batch: divisor must be positive, got ", divisor);
  BatchOpArgs a{x.dim() == 4 ? x.size(1) : 1,
                x.size(-2),
                x.size(-1),
                height > 0 && windows ? height : x.size(-2),
                width > 0 && windows ? width : x.size(-1),
                divisor,
                fill,
                bool(stats),
                bool(windows),
                to_float || stats || divisor != 1};
  const Tensor from = contiguous(x), index = contiguous(rows);
  Tensor s, w;
  if (stats) {
    check(stats->shape() == Dims{a.C, 2}, ErrorKind::shape, "gather_batch: stats must be (", a.C,
          ", 2) for ", a.C, " channels, got shape ", stats->shape());
    s = contiguous(to_dtype(*stats, DType::float32));
  }
  if (windows) {
    check(windows->dtype() == DType::int64 && windows->shape() == Dims{rows.numel(), 4},
          ErrorKind::shape, "gather_batch: windows must be int64 (", rows.numel(), ", 4), got ",
          *windows);
    w = contiguous(*windows);
  }
  if (stats && windows) return apply(kGatherBatch, {from, index, s, w}, a);
  if (stats) return apply(kGatherBatch, {from, index, s}, a);
  if (windows) return apply(kGatherBatch, {from, index, w}, a);
  return apply(kGatherBatch, {from, index}, a);
}

}  // namespace lamina
