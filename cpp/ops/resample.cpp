// resample: y = W x along one dimension, W sparse; gx = W^T g, with the same loops.
// The table of W is made anew at every launch: a few numbers per output.
#include "ops/resample.h"

#include <cmath>

#include "core/threads.h"
#include "ops/ops.h"

namespace lamina {
namespace {

enum Kind : int { kNearest, kNearestExact, kLinear, kCubic, kLinearFiltered, kCubicFiltered };
const char* const kKinds[] = {"nearest", "nearest-exact", "linear",
                              "cubic",   "linear-aa",     "cubic-aa"};

struct ResampleCall {
  int32_t dim;
  int32_t kind;
  int64_t n, m;  // inputs and outputs of the forward map
  double scale;  // inputs per output
  bool align, transposed;
};

double triangle(double x) { return std::fabs(x) < 1 ? 1 - std::fabs(x) : 0; }
// Cubic convolution (Keys, "Cubic convolution interpolation", 1981).
double keys(double x, double a) {
  x = std::fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}
int64_t clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

// The most taps an output can have.
int64_t most_taps(const ResampleCall& a) {
  const double wide = a.scale > 1 ? a.scale : 1;
  switch (a.kind) {
    case kLinear:
      return 2;
    case kCubic:
      return 4;
    case kLinearFiltered:
      return int64_t(2 * std::ceil(wide)) + 2;
    case kCubicFiltered:
      return int64_t(2 * std::ceil(2 * wide)) + 2;
    default:
      return 1;
  }
}

// The taps of output i: returns how many.
int64_t taps(const ResampleCall& a, int64_t i, int64_t* index, double* weight) {
  if (a.kind == kNearest || a.kind == kNearestExact) {
    // PyTorch's single precision decides which element is nearest.
    const float scale = float(a.scale);
    const float at = (float(i) + (a.kind == kNearestExact ? 0.5f : 0.0f)) * scale;
    index[0] = clamp(int64_t(std::floor(at)), a.n);
    weight[0] = 1;
    return 1;
  }
  if (a.kind == kLinear || a.kind == kCubic) {
    double at = a.align ? double(i) * a.scale : (double(i) + 0.5) * a.scale - 0.5;
    if (a.kind == kLinear && at < 0) at = 0;
    int64_t first = int64_t(std::floor(at));
    if (a.kind == kLinear && first > a.n - 1) first = a.n - 1;
    const double part = at - double(first);
    if (a.kind == kLinear) {
      const double right = part > 1 ? 1 : part;
      index[0] = first, weight[0] = 1 - right;
      index[1] = clamp(first + 1, a.n), weight[1] = right;
      return 2;
    }
    for (int t = 0; t < 4; ++t) {
      index[t] = clamp(first - 1 + t, a.n);
      weight[t] = keys(part + 1 - t, -0.75);
    }
    return 4;
  }
  const double wide = a.scale > 1 ? a.scale : 1;
  const double support = (a.kind == kLinearFiltered ? 1 : 2) * wide;
  const double centre = a.scale * (double(i) + 0.5);
  const int64_t from = int64_t(centre - support + 0.5) < 0 ? 0 : int64_t(centre - support + 0.5);
  const int64_t limit = int64_t(centre + support + 0.5), to = limit < a.n ? limit : a.n;
  double total = 0;
  for (int64_t j = from; j < to; ++j) {
    const double x = (double(j) - centre + 0.5) / wide;
    index[j - from] = j;
    weight[j - from] = a.kind == kLinearFiltered ? triangle(x) : keys(x, -0.5);
    total += weight[j - from];
  }
  for (int64_t j = from; j < to; ++j) weight[j - from] /= total;
  return to > from ? to - from : 0;
}

void infer(Call& c) {
  const auto& a = c.args<ResampleCall>();
  Dims shape = c.in[0].shape();
  shape.v[a.dim] = a.transposed ? a.n : a.m;
  c.output(shape, c.in[0].dtype());
}

void launch(Call& c) {
  const auto& a = c.args<ResampleCall>();
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const int64_t room = a.m * most_taps(a);
  Scratch memory(size_t(room) * 32 + size_t(a.n + a.m + 2) * 16);
  double* const weight = memory.as<double>();
  double* const turned_weight = weight + room;
  int64_t* const index = reinterpret_cast<int64_t*>(turned_weight + room);
  int64_t* const turned_index = index + room;
  int64_t* const start = turned_index + room;
  int64_t* const turned_start = start + a.m + 1;
  start[0] = 0;
  for (int64_t i = 0; i < a.m; ++i)
    start[i + 1] = start[i] + taps(a, i, index + start[i], weight + start[i]);
  ResampleArgs k{x.data(), y.data(), a.n, a.m, 1, start, index, weight};
  if (a.transposed) {
    for (int64_t j = 0; j <= a.n; ++j) turned_start[j] = 0;
    for (int64_t t = 0; t < start[a.m]; ++t) ++turned_start[index[t] + 1];
    for (int64_t j = 0; j < a.n; ++j) turned_start[j + 1] += turned_start[j];
    for (int64_t i = 0; i < a.m; ++i)
      for (int64_t t = start[i]; t < start[i + 1]; ++t) {
        const int64_t at = turned_start[index[t]]++;
        turned_index[at] = i;
        turned_weight[at] = weight[t];
      }
    for (int64_t j = a.n; j > 0; --j) turned_start[j] = turned_start[j - 1];
    turned_start[0] = 0;
    k.start = turned_start, k.index = turned_index, k.weight = turned_weight;
    k.N = a.m, k.M = a.n;
  }
  for (int d = a.dim + 1; d < x.dim(); ++d) k.S *= x.size(d);
  const int64_t lines = y.numel() / (k.M * k.S), units = k.S == 1 ? lines : lines * k.M;
  const double taps_per_output = double(start[a.m]) / double(k.M);
  const double cost = k.S == 1 ? 1.0 * double(k.M) : 0.2 * double(k.S);
  const ResampleFn f = cpu_kernels().resample.rows[compute_type(x.dtype())];
  parallel_rows(units, cost * (taps_per_output + 1), [&](int64_t b, int64_t e) { f(k, b, e); });
}

void vjp(Vjp& c);
const Op kResample{.name = "resample", .infer = infer, .launch = launch, .vjp = vjp};
void vjp(Vjp& c) {
  ResampleCall a = c.args<ResampleCall>();
  a.transposed = !a.transposed;
  c.set(0, apply(kResample, {contiguous(c.g())}, a));
}

}  // namespace

Tensor resample(const Tensor& x, int64_t dim, int64_t size, const std::string& kind, double scale,
                bool align) {
  check(is_floating(x.dtype()), ErrorKind::dtype, "interpolate: expected a floating dtype, got ", x,
        "; convert with .float()");
  ResampleCall a{};
  a.dim = wrap_dim("interpolate", dim, x.dim());
  a.n = x.size(a.dim), a.m = size;
  a.kind = -1;
  for (int i = 0; i < 6; ++i)
    if (kind == kKinds[i]) a.kind = i;
  check(a.kind >= 0, ErrorKind::value, "interpolate: unknown kind ", kind);
  check(a.n > 0 && size > 0, ErrorKind::shape, "interpolate: input and output sizes must be ",
        "positive, got ", a.n, " and ", size);
  a.align = align;
  if (align)
    a.scale = size > 1 ? double(a.n - 1) / double(size - 1) : 0;
  else
    a.scale = scale > 0 ? scale : double(a.n) / double(size);
  const DType t = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  return to_dtype(apply(kResample, {contiguous(to_dtype(x, t))}, a), x.dtype());
}

}  // namespace lamina
