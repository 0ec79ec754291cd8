// Pooling. A window is a product of two runs of positions, so every kind is described by a table of
// runs per dimension (PoolSpan), and one pair of kernels serves ordinary and adaptive pooling.
//   max_pool   y = x[place]       gx = max_scatter(g, place)      ggy = max_gather(ggx, place)
//   avg_pool   y = A x            gx = A^T g                      ggy = A ggx
// max_scatter and max_gather, A and A^T are each other's derivatives.
#include "ops/pool.h"

#include <algorithm>

#include "core/threads.h"
#include "ops/half.h"
#include "ops/ops.h"
#include "ops/pool_args.h"

namespace lamina {
namespace {

// A shape whose last nd sizes are replaced.
Dims with_plane(const Dims& shape, int nd, const int64_t* plane) {
  Dims s = shape;
  for (int i = 0; i < nd; ++i) s[-1 - i] = plane[1 - i];
  return s;
}
Dims index_shape(const Dims& shape, const PoolCall& a) {
  Dims s = with_plane(shape, a.nd, a.out);
  if (a.index == kPoolQuad) s[-1] = (s[-1] + kPoolQuadRow - 1) / kPoolQuadRow * kPoolQuadRow;
  return s;
}

// Runs a kernel over the planes of the tensors; `wide` has planes (H, W), the other (OH, OW).
void launch_pool(const PoolCall& a, PoolFn kernel, const Tensor& x, const Tensor& y,
                 const Tensor* index, const Tensor& wide, double ns_per_element,
                 const Tensor* maxima = nullptr) {
  const int64_t plane = a.in[0] * a.in[1], planes = plane ? wide.numel() / plane : 0;
  if (planes == 0) return;
  Scratch spans(size_t(a.out[0] + a.out[1]) * sizeof(PoolSpan));
  PoolSpan* const rows = spans.as<PoolSpan>();
  PoolSpan* const columns = rows + a.out[0];
  for (int64_t i = 0; i < a.out[0]; ++i) rows[i] = pool_span(a, 0, i);
  for (int64_t j = 0; j < a.out[1]; ++j) columns[j] = pool_span(a, 1, j);
  PoolArgs args{};
  args.x = x.data();
  args.y = y.data();
  args.index = index ? index->data() : nullptr;
  args.maxima = maxima ? maxima->data() : nullptr;
  args.index_type = index ? a.index : kPoolNoIndex;
  args.H = a.in[0], args.W = a.in[1], args.OH = a.out[0], args.OW = a.out[1];
  args.rows = rows, args.columns = columns;
  args.row_step = a.dilation[0], args.column_step = a.dilation[1];
  args.divisor = a.divisor;
  if (!a.adaptive && plane < int64_t(1) << 31) {
    const int64_t last = a.in[1] + a.pad[1] - (a.kernel[1] - 1) * a.dilation[1] - 1;
    args.column_stride = a.stride[1];
    args.whole_begin = std::min((a.pad[1] + a.stride[1] - 1) / a.stride[1], a.out[1]);
    args.whole_end = last < 0 ? 0 : std::min(last / a.stride[1] + 1, a.out[1]);
    args.whole_end = std::max(args.whole_begin, args.whole_end);
  } else {
    args.whole_begin = args.whole_end = a.out[1];
  }
  double windows = 1;  // elements they cover
  for (int d = 0; d < 2; ++d)
    windows *= double(a.out[d]) * double(a.kernel[d] < a.in[d] ? a.kernel[d] : a.in[d]);
  parallel_rows(planes, ns_per_element * (double(plane) + windows),
                [&](int64_t b, int64_t e) { kernel(args, b, e); });
}
const PoolKernels& kernels() { return cpu_kernels().pool; }

// ---- maxima ------------------------------------------------------------------------------------
Tensor max_scatter(const Tensor& g, const Tensor& index, const PoolCall& a);
Tensor max_gather(const Tensor& x, const Tensor& index, const PoolCall& a);

void max_infer(Call& c) {
  const auto& a = c.args<PoolCall>();
  const Dims shape = c.in[0].shape();
  c.output(with_plane(shape, a.nd, a.out), c.in[0].dtype());
  if (a.index != kPoolNoIndex)
    c.output(index_shape(shape, a), a.index == kPoolInt32   ? DType::int32
                                    : a.index == kPoolInt64 ? DType::int64
                                                            : DType::uint8);
}
void max_launch(Call& c) {
  const auto& a = c.args<PoolCall>();
  const Compute t = compute_type(c.in[0].dtype());
  launch_pool(a, a.quad ? kernels().max_quad[t] : kernels().max[t], c.in[0], c.out[0],
              a.index == kPoolNoIndex ? nullptr : &c.out[1], c.in[0],
              a.quad || !a.adaptive ? 0.2 : 0.7);
}
void max_vjp(Vjp& c) { c.set(0, max_scatter(c.g(), c.out(1), c.args<PoolCall>())); }
const Op kMaxPool{.name = "max_pool",
                  .infer = max_infer,
                  .launch = max_launch,
                  .vjp = max_vjp,
                  .saves = {0, 2},
                  .split = Split::rows};

void scatter_infer(Call& c) {
  const auto& a = c.args<PoolCall>();
  c.output(with_plane(c.in[0].shape(), a.nd, a.in), c.in[0].dtype());
}
void scatter_launch(Call& c) {
  const auto& a = c.args<PoolCall>();
  const Compute t = compute_type(c.in[0].dtype());
  launch_pool(a, a.quad ? kernels().max_quad_scatter[t] : kernels().max_scatter[t], c.in[0],
              c.out[0], &c.in[1], c.out[0], 0.2, a.relu ? &c.in[2] : nullptr);
}
void scatter_vjp(Vjp& c) {
  if (c.needs(0)) c.set(0, max_gather(c.g(), c.in(1), c.args<PoolCall>()));
}
const Op kMaxScatter{.name = "max_pool_grad",
                     .infer = scatter_infer,
                     .launch = scatter_launch,
                     .vjp = scatter_vjp,
                     .saves = {2, 0},
                     .split = Split::rows};

void gather_infer(Call& c) {
  const auto& a = c.args<PoolCall>();
  c.output(with_plane(c.in[0].shape(), a.nd, a.out), c.in[0].dtype());
}
void gather_launch(Call& c) {
  const auto& a = c.args<PoolCall>();
  launch_pool(a, kernels().max_gather[compute_type(c.in[0].dtype())], c.in[0], c.out[0], &c.in[1],
              c.in[0], 0.2);
}
void gather_vjp(Vjp& c) {
  if (c.needs(0)) c.set(0, max_scatter(c.g(), c.in(1), c.args<PoolCall>()));
}
const Op kMaxGather{.name = "max_pool_gather",
                    .infer = gather_infer,
                    .launch = gather_launch,
                    .vjp = gather_vjp,
                    .saves = {2, 0}};

Tensor max_scatter(const Tensor& g, const Tensor& index, const PoolCall& a) {
  return apply(kMaxScatter, {contiguous(g), index}, a);
}
Tensor max_gather(const Tensor& x, const Tensor& index, const PoolCall& a) {
  return apply(kMaxGather, {contiguous(x), index}, a);
}

}  // namespace

const PoolCall* max_pool_use(const Op& op, const void* args) {
  return &op == &kMaxPool ? static_cast<const PoolCall*>(args) : nullptr;
}
bool extend_max_pool_grad(const Op& op, void* args) {
  PoolCall& a = *static_cast<PoolCall*>(args);
  if (&op != &kMaxScatter || a.relu) return false;
  // A window that sees padding alone has no place.
  for (int d = 0; d < 2; ++d)
    if (a.pad[d] && a.dilation[d] > 1) return false;
  return a.relu = true;
}

namespace {

// ---- means -------------------------------------------------------------------------------------
Tensor mean_pool(const Tensor& x, const PoolCall& a);
Tensor mean_grad(const Tensor& g, const PoolCall& a);

void mean_launch(Call& c) {
  const auto& a = c.args<PoolCall>();
  const Compute t = compute_type(c.in[0].dtype());
  launch_pool(a, a.quad ? kernels().mean_quad[t] : kernels().mean[t], c.in[0], c.out[0], nullptr,
              c.in[0], a.quad ? 0.2 : 0.4);
}
void mean_vjp(Vjp& c) { c.set(0, mean_grad(c.g(), c.args<PoolCall>())); }
const Op kMeanPool{.name = "avg_pool",
                   .infer = gather_infer,
                   .launch = mean_launch,
                   .vjp = mean_vjp,
                   .split = Split::rows};

void mean_grad_launch(Call& c) {
  const auto& a = c.args<PoolCall>();
  const Compute t = compute_type(c.in[0].dtype());
  launch_pool(a, a.quad ? kernels().mean_quad_grad[t] : kernels().mean_grad[t], c.in[0], c.out[0],
              nullptr, c.out[0], a.quad ? 0.2 : 0.4);
}
void mean_grad_vjp(Vjp& c) { c.set(0, mean_pool(c.g(), c.args<PoolCall>())); }
const Op kMeanGrad{.name = "avg_pool_grad",
                   .infer = scatter_infer,
                   .launch = mean_grad_launch,
                   .vjp = mean_grad_vjp,
                   .split = Split::rows};

Tensor mean_pool(const Tensor& x, const PoolCall& a) {
  return apply(kMeanPool, {contiguous(x)}, a);
}
Tensor mean_grad(const Tensor& g, const PoolCall& a) {
  return apply(kMeanGrad, {contiguous(g)}, a);
}

// ---- arguments ---------------------------------------------------------------------------------
struct PoolName {  // "max_pool2d"
  const char* what;
  int64_t nd;
};
std::ostream& operator<<(std::ostream& out, const PoolName& n) {
  return out << n.what << n.nd << 'd';
}

// One number or nd of them, as (rows, columns); a missing row is `neutral`.
void spread(const PoolName& name, const char* what, const Dims& given, int nd, int64_t neutral,
            int64_t least, int64_t* to) {
  check(given.n == 1 || given.n == nd, ErrorKind::value, name, ": ", what, " must be one int or ",
        nd, ", got ", given);
  to[0] = neutral;
  for (int i = 0; i < nd; ++i) to[2 - nd + i] = given.v[given.n == 1 ? 0 : i];
  for (int i = 2 - nd; i < 2; ++i)
    check(to[i] >= least && to[i] <= INT32_MAX, ErrorKind::value, name, ": ", what,
          to[i] < least ? " must be at least " : " must be at most ",
          to[i] < least ? least : INT32_MAX, ", got ", given);
}

PoolCall common(const PoolName& name, const Tensor& x, int64_t nd) {
  check(is_floating(x.dtype()), ErrorKind::dtype, name, ": expected a floating dtype, got ", x,
        "; convert with .float()");
  check(x.dim() == nd + 1 || x.dim() == nd + 2, ErrorKind::shape, name, ": expected ",
        nd == 1 ? "(C, L) or (N, C, L)" : "(C, H, W) or (N, C, H, W)", ", got shape ", x.shape());
  PoolCall a{};
  a.nd = int32_t(nd);
  a.in[0] = a.out[0] = a.kernel[0] = a.kernel[1] = 1;
  for (int i = 0; i < 2; ++i) a.stride[i] = a.dilation[i] = 1;
  for (int i = 2 - int(nd); i < 2; ++i) {
    a.in[i] = x.size(i - 2);
    check(a.in[i] > 0, ErrorKind::shape, name, ": shape ", x.shape(),
          " has nothing to pool over; its last ", nd, " sizes must not be 0");
  }
  return a;
}

PoolCall windows(const PoolName& name, const Tensor& x, int64_t nd, const Dims& kernel,
                 const Dims& stride, const Dims& padding, const Dims& dilation, bool ceil_mode) {
  PoolCall a = common(name, x, nd);
  spread(name, "kernel_size", kernel, a.nd, 1, 1, a.kernel);
  spread(name, "stride", stride.n ? stride : kernel, a.nd, 1, 1, a.stride);
  spread(name, "padding", padding, a.nd, 0, 0, a.pad);
  spread(name, "dilation", dilation, a.nd, 1, 1, a.dilation);
  for (int i = 2 - a.nd; i < 2; ++i) {
    const int64_t reach = (a.kernel[i] - 1) * a.dilation[i] + 1;
    check(2 * a.pad[i] <= reach, ErrorKind::value, name, ": padding ", a.pad[i],
          " must be at most half of what the kernel covers, ", reach);
    const int64_t room = a.in[i] + 2 * a.pad[i] - reach;
    a.out[i] =
        room < 0 && !ceil_mode ? 0 : (room + (ceil_mode ? a.stride[i] - 1 : 0)) / a.stride[i] + 1;
    // The last window must begin inside the input or the padding before it.
    if (ceil_mode && (a.out[i] - 1) * a.stride[i] >= a.in[i] + a.pad[i]) --a.out[i];
    check(a.out[i] > 0 && (room >= 0 || ceil_mode), ErrorKind::shape, name, ": shape ", x.shape(),
          " with padding ", padding, " is smaller than the kernel ", kernel,
          dilation.product() > 1 ? " with its dilation" : "");
  }
  a.quad = a.nd == 2 && !ceil_mode;
  for (int i = 0; i < 2; ++i)
    a.quad = a.quad && a.kernel[i] == 2 && a.stride[i] == 2 && a.pad[i] == 0 && a.dilation[i] == 1;
  return a;
}

PoolCall adaptive(const PoolName& name, const Tensor& x, int64_t nd, const Dims& size) {
  PoolCall a = common(name, x, nd);
  check(size.n == 1 || size.n == nd, ErrorKind::value, name, ": output_size must be one int or ",
        nd, ", got ", size);
  a.adaptive = true;
  for (int i = 2 - a.nd; i < 2; ++i) {
    const int64_t n = size.v[size.n == 1 ? 0 : i - 2 + a.nd];
    check(n >= -1, ErrorKind::value, name, ": output_size must not be negative, got ", size);
    a.out[i] = n < 0 ? a.in[i] : n;
    a.kernel[i] = a.out[i] ? (a.in[i] + a.out[i] - 1) / a.out[i] : 1;
  }
  return a;
}

Tensor pooled_type(const Op& op, const Tensor& x) { return to_dtype(x, computed_in(op, x)); }

std::pair<Tensor, Tensor> run_max(const Tensor& x, PoolCall a, bool indices) {
  if (indices) {
    a.index = kPoolInt64;
    a.quad = false;
  } else if (grad_enabled() && needs_grad(x)) {
    a.index = a.quad ? kPoolQuad : kPoolInt32;
  }
  Outputs y = run(
      make_call(kMaxPool, std::initializer_list<Tensor>{contiguous(pooled_type(kMaxPool, x))}, a));
  return {to_dtype(y[0], x.dtype()), indices ? y[1] : Tensor()};
}

}  // namespace

std::pair<Tensor, Tensor> max_pool(const Tensor& x, int64_t nd, const Dims& kernel,
                                   const Dims& stride, const Dims& padding, const Dims& dilation,
                                   bool ceil_mode, bool indices) {
  return run_max(x, windows({"max_pool", nd}, x, nd, kernel, stride, padding, dilation, ceil_mode),
                 indices);
}
std::pair<Tensor, Tensor> adaptive_max_pool(const Tensor& x, int64_t nd, const Dims& size,
                                            bool indices) {
  return run_max(x, adaptive({"adaptive_max_pool", nd}, x, nd, size), indices);
}
Tensor avg_pool(const Tensor& x, int64_t nd, const Dims& kernel, const Dims& stride,
                const Dims& padding, bool ceil_mode, bool count_include_pad,
                std::optional<int64_t> divisor) {
  const PoolName name{"avg_pool", nd};
  PoolCall a = windows(name, x, nd, kernel, stride, padding, {1}, ceil_mode);
  check(!divisor || *divisor != 0, ErrorKind::value, name, ": divisor_override must not be 0");
  a.count_include_pad = count_include_pad;
  a.divisor = divisor ? *divisor : 0;
  return to_dtype(mean_pool(pooled_type(kMeanPool, x), a), x.dtype());
}
Tensor adaptive_avg_pool(const Tensor& x, int64_t nd, const Dims& size) {
  const PoolCall a = adaptive({"adaptive_avg_pool", nd}, x, nd, size);
  return to_dtype(mean_pool(pooled_type(kMeanPool, x), a), x.dtype());
}

}  // namespace lamina
