// Convolution: three maps of (x, w), (g, w) and (x, g), each linear in both, so that each one's
// gradients are the other two.
//   conv              y  = x * w        gx = input_grad(g, w)      gw = weight_grad(x, g)
//   conv_input_grad   dx = g *^T w      gg = conv(ggx, w)          gw = weight_grad(ggx, g)
//   conv_weight_grad  dw = sum x g      gx = input_grad(g, ggw)    gg = conv(x, ggw)
// conv_transpose is conv_input_grad. unfold and fold are each other's transposes.
#include "ops/conv.h"

#include <cstring>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"
#include "ops/half.h"
#include "ops/norm.h"
#include "ops/ops.h"

namespace lamina {
namespace {

// (N, channels, H, W), without H for one dimension.
Dims plane_shape(const ConvGeometry& a, int64_t first, int64_t second, int64_t h, int64_t w) {
  return a.nd == 1 ? Dims{first, second, w} : Dims{first, second, h, w};
}

Tensor input_grad(const Tensor& g, const Tensor& w, const ConvGeometry& a);
Tensor weight_grad(const Tensor& x, const Tensor& g, const ConvGeometry& a);
Tensor convolve(const Tensor& x, const Tensor& w, const ConvGeometry& a);

// Inputs: x, w, bias; in plans weight, bias, mean and variance of a batch norm; a summand; and w
// prepared.
constexpr int kBias = 2, kNorm = 3, kSummand = 7, kPrepared = 8;

// M scales of the norm, and 8 M bytes further zeros.
template <class T>
void norm_numbers(const Call& c, void* to) {
  const auto& a = c.args<ConvGeometry>();
  T* const scale = static_cast<T*>(to);
  batch_norm_rstd(c.in[kNorm + 3], a.extra.eps, scale);
  const T* const weight = c.in[kNorm].defined() ? c.in[kNorm].data<T>() : nullptr;
  for (int64_t m = 0; m < a.M; ++m)
    scale[m] = T(double(scale[m]) * (weight ? double(weight[m]) : 1));
  std::memset(static_cast<char*>(to) + a.M * 8, 0, size_t(a.M) * 8);
}
void conv_infer(Call& c) {
  const auto& a = c.args<ConvGeometry>();
  c.output(plane_shape(a, a.N, a.M, a.OH, a.OW), c.in[0].dtype());
}
void conv_launch(Call& c) {
  const auto& a = c.args<ConvGeometry>();
  const Compute t = compute_type(c.in[0].dtype());
  const auto input = [&](int i) {
    return i < c.in.size() && c.in[i].defined() ? c.in[i].data() : nullptr;
  };
  ConvEpilogue e;
  e.bias = input(kBias);
  Scratch numbers(a.extra.norm ? size_t(2 * a.M) * 8 : 0);
  if (a.extra.norm) {
    (t == kF64 ? norm_numbers<double> : norm_numbers<float>)(c, numbers.as<void>());
    e.mean = input(kNorm + 2);
    e.scale = numbers.as<void>();
    e.shift = input(kNorm + 1) ? input(kNorm + 1) : numbers.as<char>() + a.M * 8;
  }
  e.summand = input(kSummand);
  e.summand_first = a.extra.summand_first, e.relu = a.extra.relu;
  conv_forward(a, t, c.in[0].data(), {c.in[1].data(), input(kPrepared)}, e, c.out[0].data());
}
Saves conv_saves(const Call& c) {
  return {(c.source[1].edge.needed() ? 1u : 0u) | (c.source[0].edge.needed() ? 2u : 0u), 0};
}
void conv_vjp(Vjp& c) {
  const auto& a = c.args<ConvGeometry>();
  const Tensor g = c.g();
  if (c.needs(0)) c.set(0, input_grad(g, c.in(1), a));
  if (c.needs(1)) c.set(1, weight_grad(c.in(0), g, a));
  if (c.inputs() > 2 && c.needs(2)) c.set(2, sum(g, a.nd == 1 ? Dims{0, 2} : Dims{0, 2, 3}));
}
const Op kConv{.name = "conv",
               .infer = conv_infer,
               .launch = conv_launch,
               .vjp = conv_vjp,
               .saves_for = conv_saves};

void input_grad_infer(Call& c) {
  const auto& a = c.args<ConvGeometry>();
  c.output(plane_shape(a, a.N, a.C, a.H, a.W), c.in[0].dtype());
}
void input_grad_launch(Call& c) {
  conv_input_grad(c.args<ConvGeometry>(), compute_type(c.in[0].dtype()), c.in[0].data(),
                  c.in[1].data(), c.out[0].data());
}
void input_grad_vjp(Vjp& c) {
  const auto& a = c.args<ConvGeometry>();
  const Tensor gg = c.g();
  if (c.needs(0)) c.set(0, convolve(gg, c.in(1), a));
  if (c.needs(1)) c.set(1, weight_grad(gg, c.in(0), a));
}
const Op kInputGrad{.name = "conv_input_grad",
                    .infer = input_grad_infer,
                    .launch = input_grad_launch,
                    .vjp = input_grad_vjp,
                    .saves_for = conv_saves};

void weight_grad_infer(Call& c) {
  const auto& a = c.args<ConvGeometry>();
  c.output(plane_shape(a, a.M, a.C / a.groups, a.KH, a.KW), c.in[0].dtype());
}
void weight_grad_launch(Call& c) {
  conv_weight_grad(c.args<ConvGeometry>(), compute_type(c.in[0].dtype()), c.in[0].data(),
                   c.in[1].data(), c.out[0].data());
}
void weight_grad_vjp(Vjp& c) {
  const auto& a = c.args<ConvGeometry>();
  const Tensor gg = c.g();
  if (c.needs(0)) c.set(0, input_grad(c.in(1), gg, a));
  if (c.needs(1)) c.set(1, convolve(c.in(0), gg, a));
}
const Op kWeightGrad{.name = "conv_weight_grad",
                     .infer = weight_grad_infer,
                     .launch = weight_grad_launch,
                     .vjp = weight_grad_vjp,
                     .saves_for = conv_saves};

Tensor convolve(const Tensor& x, const Tensor& w, const ConvGeometry& a) {
  return apply(kConv, {contiguous(x), contiguous(w)}, a);
}
Tensor input_grad(const Tensor& g, const Tensor& w, const ConvGeometry& a) {
  return apply(kInputGrad, {contiguous(g), contiguous(w)}, a);
}
Tensor weight_grad(const Tensor& x, const Tensor& g, const ConvGeometry& a) {
  return apply(kWeightGrad, {contiguous(x), contiguous(g)}, a);
}

// ---- arguments ---------------------------------------------------------------------------------
struct ConvName {  // "conv2d"
  const char* what;
  int64_t nd;
  bool numbered = true;
};
std::ostream& operator<<(std::ostream& out, const ConvName& n) {
  out << n.what;
  return n.numbered ? out << n.nd << 'd' : out;
}

// One number or nd of them, as (rows, columns); a missing row is `neutral`.
void spread(const ConvName& name, const char* what, const Dims& given, int64_t neutral,
            int64_t least, int64_t* rows, int64_t* columns) {
  check(given.n == 1 || given.n == name.nd, ErrorKind::value, name, ": ", what,
        " must be one int or ", name.nd, ", got ", given);
  *rows = name.nd == 1 ? neutral : given.v[0];
  *columns = given[-1];
  check((name.nd == 1 || *rows >= least) && *columns >= least, ErrorKind::value, name, ": ", what,
        " must be at least ", least, ", got ", given);
}

void check_operands(const ConvName& name, const Tensor& x, const Tensor& w,
                    const std::optional<Tensor>& bias, int64_t groups) {
  const int64_t nd = name.nd;
  check(is_floating(x.dtype()) && x.dtype() == w.dtype() && (!bias || bias->dtype() == x.dtype()),
        ErrorKind::dtype, name, ": input and weight", bias ? " and bias" : "",
        " must have one floating dtype, got ", x, " and ", w,
        "; convert with .to() or move the module with .to(dtype)");
  check(x.dim() == nd + 1 || x.dim() == nd + 2, ErrorKind::shape, name, ": expected an input ",
        nd == 1 ? "(N, C, L) or (C, L)" : "(N, C, H, W) or (C, H, W)", ", got shape ", x.shape());
  check(w.dim() == nd + 2, ErrorKind::shape, name, ": expected a weight of ", nd + 2,
        " dimensions, got shape ", w.shape());
  check(groups > 0, ErrorKind::value, name, ": groups must be positive, got ", groups);
  check(w.size(0) % groups == 0, ErrorKind::shape, name, ": the first size of weight ", w.shape(),
        " must be divisible by groups=", groups);
}
void check_bias(const ConvName& name, const std::optional<Tensor>& bias, int64_t channels) {
  check(!bias || (bias->dim() == 1 && bias->size(0) == channels), ErrorKind::shape, name,
        ": bias must have shape (", channels, ",), one number per output channel, got ",
        bias ? bias->shape() : Dims{});
}

// Batched operands of a dtype that the kernels take.
DType taken_as(const Tensor& x) { return computed_in(kConv, x); }
Tensor batched(const Tensor& x, int64_t nd) {
  const Tensor y = x.dim() == nd + 1 ? unsqueeze(x, 0) : x;
  return to_dtype(y, taken_as(x));
}
Tensor as_given(const Tensor& y, const Tensor& x, int64_t nd) {
  const Tensor z = to_dtype(y, x.dtype());
  return x.dim() == nd + 1 ? squeeze(z, Dims{0}) : z;
}

int64_t precision_level = 0;

}  // namespace

int64_t float32_precision() { return precision_level; }
void set_float32_precision(int64_t level) {
  precision_level = level;
  tf32_allowed.products = level > 0;
}
bool tf32_products() { return tf32_allowed.products; }
void set_tf32_products(bool allowed) { tf32_allowed.products = allowed; }
bool tf32_convolutions() { return tf32_allowed.convolutions; }
void set_tf32_convolutions(bool allowed) { tf32_allowed.convolutions = allowed; }

bool is_conv(const Op& op) { return &op == &kConv; }
bool extend_conv(const Op& op, void* args) {
  ConvExtra& extra = static_cast<ConvGeometry*>(args)->extra;
  if (&op != &kConv || extra.relu || extra.norm) return false;
  return extra.relu = true;
}
bool extend_conv(const Op& op, void* args, double eps, BatchNormExtra more) {
  ConvExtra& extra = static_cast<ConvGeometry*>(args)->extra;
  if (&op != &kConv || extra.relu || extra.norm) return false;
  extra = {eps, true, more.relu, more.summand_first};
  return true;
}

int64_t conv_panels(const Call& c) {
  if (c.op != &kConv || c.device.type != DeviceType::cpu || !c.in[1].is_contiguous()) return 0;
  return conv_prepared(c.args<ConvGeometry>(), compute_type(c.in[1].dtype()));
}
void make_conv_panels(const Call& c, const Tensor& to) {
  conv_prepare(c.args<ConvGeometry>(), compute_type(to.dtype()), c.in[1].data(), to.data());
}
void set_conv_panels(Call& c, const Tensor& panels) {
  while (c.in.size() <= kPrepared) c.in.push_back(Tensor());
  c.in[kPrepared] = panels;
}

Tensor conv(const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias, int64_t nd,
            const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups,
            bool same) {
  if (nd == 3) return conv3d(x, w, bias, stride, padding, dilation, groups, same);
  const ConvName name{"conv", nd};
  check_operands(name, x, w, bias, groups);
  check_bias(name, bias, w.size(0));
  const int64_t channels = x.size(-1 - int(nd));
  check(channels == w.size(1) * groups, ErrorKind::shape, name, ": weight ", w.shape(),
        " with groups=", groups, " takes an input of ", w.size(1) * groups, " channels, input ",
        x.shape(), " has ", channels);
  ConvGeometry a{};
  a.nd = nd, a.groups = groups, a.high = precision_level > 0;
  a.N = x.dim() == nd + 1 ? 1 : x.size(0);
  a.C = channels, a.M = w.size(0);
  a.H = nd == 1 ? 1 : x.size(-2), a.W = x.size(-1);
  a.KH = nd == 1 ? 1 : w.size(-2), a.KW = w.size(-1);
  spread(name, "stride", stride, 1, 1, &a.sh, &a.sw);
  spread(name, "padding", padding, 0, 0, &a.ph, &a.pw);
  spread(name, "dilation", dilation, 1, 1, &a.dh, &a.dw);
  check(a.KH > 0 && a.KW > 0, ErrorKind::shape, name, ": the kernel must not be empty, got weight ",
        w.shape());
  const int64_t rh = (a.KH - 1) * a.dh, rw = (a.KW - 1) * a.dw;
  if (same) {
    check(a.sh == 1 && a.sw == 1, ErrorKind::value, name, ": padding='same' needs stride 1, got ",
          stride);
    a.ph = rh / 2, a.pw = rw / 2;
    a.OH = a.H, a.OW = a.W;
  } else {
    const int64_t h = a.H + 2 * a.ph - rh - 1, v = a.W + 2 * a.pw - rw - 1;
    check(h >= 0 && v >= 0, ErrorKind::shape, name, ": input ", x.shape(), " with padding ",
          padding, " is smaller than the kernel of weight ", w.shape(),
          rh + rw > a.KH + a.KW - 2 ? " with its dilation" : "");
    a.OH = h / a.sh + 1, a.OW = v / a.sw + 1;
  }
  const DType t = taken_as(x);
  SmallVec<Tensor, 3> in{contiguous(batched(x, nd)), contiguous(to_dtype(w, t))};
  if (bias) in.push_back(contiguous(to_dtype(*bias, t)));
  return as_given(run(make_call(kConv, in, a))[0], x, nd);
}

Tensor conv_transpose(const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias,
                      int64_t nd, const Dims& stride, const Dims& padding,
                      const Dims& output_padding, int64_t groups, const Dims& dilation) {
  if (nd == 3)
    return conv_transpose3d(x, w, bias, stride, padding, output_padding, groups, dilation);
  const ConvName name{"conv_transpose", nd};
  check_operands(name, x, w, bias, groups);
  const int64_t channels = x.size(-1 - int(nd));
  check(channels == w.size(0), ErrorKind::shape, name, ": weight ", w.shape(),
        " takes an input of ", w.size(0), " channels, input ", x.shape(), " has ", channels);
  ConvGeometry a{};
  a.nd = nd, a.groups = groups, a.high = precision_level > 0;
  a.N = x.dim() == nd + 1 ? 1 : x.size(0);
  a.M = channels, a.C = w.size(1) * groups;
  check_bias(name, bias, a.C);
  a.OH = nd == 1 ? 1 : x.size(-2), a.OW = x.size(-1);
  a.KH = nd == 1 ? 1 : w.size(-2), a.KW = w.size(-1);
  int64_t eh, ew;
  spread(name, "stride", stride, 1, 1, &a.sh, &a.sw);
  spread(name, "padding", padding, 0, 0, &a.ph, &a.pw);
  spread(name, "dilation", dilation, 1, 1, &a.dh, &a.dw);
  spread(name, "output_padding", output_padding, 0, 0, &eh, &ew);
  check((eh == 0 || eh < std::max(a.sh, a.dh)) && (ew == 0 || ew < std::max(a.sw, a.dw)),
        ErrorKind::value, name, ": output_padding ", output_padding,
        " must be smaller than the stride or the dilation, got stride ", stride, " and dilation ",
        dilation);
  a.H = (a.OH - 1) * a.sh - 2 * a.ph + a.dh * (a.KH - 1) + eh + 1;
  a.W = (a.OW - 1) * a.sw - 2 * a.pw + a.dw * (a.KW - 1) + ew + 1;
  check(a.OH > 0 && a.OW > 0 && a.KH > 0 && a.KW > 0 && a.H > 0 && a.W > 0, ErrorKind::shape, name,
        ": input ", x.shape(), " and weight ", w.shape(), " with padding ", padding,
        " would give an output of size ", a.H, " x ", a.W, "; use less padding");
  const Tensor y = input_grad(batched(x, nd), to_dtype(w, taken_as(x)), a);
  if (!bias) return as_given(y, x, nd);
  const Tensor b = to_dtype(*bias, taken_as(x));
  return as_given(add(y, reshape(b, nd == 1 ? Dims{-1, 1} : Dims{-1, 1, 1})), x, nd);
}

// ---- unfold, fold ------------------------------------------------------------------------------
namespace {

Tensor unfold_planes(const Tensor& x, const ConvGeometry& a);
Tensor fold_planes(const Tensor& columns, const ConvGeometry& a);

// Runs im2col or col2im over the planes, one channel of one image at a time.
void over_planes(const ConvGeometry& a, void (*kernel)(const PatchArgs&), const Tensor& x,
                 const Tensor& columns, bool clear) {
  const int64_t plane = a.H * a.W * item_size(x.dtype());
  const int64_t patches = a.KH * a.KW * a.OH * a.OW * item_size(x.dtype());
  parallel_rows(a.N * a.C, double(patches) * 0.1 + double(plane) * 0.1, [&](int64_t b, int64_t e) {
    PatchArgs p{};
    p.C = 1, p.H = a.H, p.W = a.W, p.KH = a.KH, p.KW = a.KW, p.OH = a.OH, p.OW = a.OW;
    p.sh = a.sh, p.sw = a.sw, p.ph = a.ph, p.pw = a.pw, p.dh = a.dh, p.dw = a.dw;
    p.stride = a.OH * a.OW;
    for (int64_t i = b; i < e; ++i) {
      p.x = static_cast<char*>(x.data()) + i * plane;
      p.columns = static_cast<char*>(columns.data()) + i * patches;
      if (clear) std::memset(p.x, 0, size_t(plane));
      kernel(p);
    }
  });
}
void unfold_infer(Call& c) {
  const auto& a = c.args<ConvGeometry>();
  c.output({a.N, a.C * a.KH * a.KW, a.OH * a.OW}, c.in[0].dtype());
}
void unfold_launch(Call& c) {
  over_planes(c.args<ConvGeometry>(), cpu_kernels().conv.im2col[compute_type(c.in[0].dtype())],
              c.in[0], c.out[0], false);
}
void unfold_vjp(Vjp& c) { c.set(0, fold_planes(c.g(), c.args<ConvGeometry>())); }
const Op kUnfold{
    .name = "unfold", .infer = unfold_infer, .launch = unfold_launch, .vjp = unfold_vjp};

void fold_launch(Call& c) {
  over_planes(c.args<ConvGeometry>(), cpu_kernels().conv.col2im[compute_type(c.in[0].dtype())],
              c.out[0], c.in[0], true);
}
void fold_vjp(Vjp& c) { c.set(0, unfold_planes(c.g(), c.args<ConvGeometry>())); }
const Op kFold{.name = "fold", .infer = input_grad_infer, .launch = fold_launch, .vjp = fold_vjp};

Tensor unfold_planes(const Tensor& x, const ConvGeometry& a) {
  return apply(kUnfold, {contiguous(x)}, a);
}
Tensor fold_planes(const Tensor& columns, const ConvGeometry& a) {
  return apply(kFold, {contiguous(columns)}, a);
}

ConvGeometry windows(const char* op, const Tensor& t, int64_t h, int64_t w, const Dims& kernel,
                     const Dims& dilation, const Dims& padding, const Dims& stride) {
  const ConvName name{op, 2, false};
  check(is_floating(t.dtype()), ErrorKind::dtype, op, ": expected a floating dtype, got ", t,
        "; convert with .float()");
  ConvGeometry a{};
  a.nd = 2, a.groups = 1, a.H = h, a.W = w;
  spread(name, "kernel_size", kernel, 1, 1, &a.KH, &a.KW);
  spread(name, "dilation", dilation, 1, 1, &a.dh, &a.dw);
  spread(name, "padding", padding, 0, 0, &a.ph, &a.pw);
  spread(name, "stride", stride, 1, 1, &a.sh, &a.sw);
  const int64_t rows = h + 2 * a.ph - (a.KH - 1) * a.dh - 1;
  const int64_t columns = w + 2 * a.pw - (a.KW - 1) * a.dw - 1;
  check(rows >= 0 && columns >= 0, ErrorKind::shape, op, ": an image of ", Dims{h, w},
        " with padding ", padding, " is smaller than the kernel ", kernel,
        dilation.product() > 1 ? " with its dilation" : "");
  a.OH = rows / a.sh + 1, a.OW = columns / a.sw + 1;
  return a;
}

}  // namespace

Tensor unfold(const Tensor& x, const Dims& kernel, const Dims& dilation, const Dims& padding,
              const Dims& stride) {
  check(x.dim() == 3 || x.dim() == 4, ErrorKind::shape,
        "unfold: expected (N, C, H, W) or (C, H, W), got shape ", x.shape());
  ConvGeometry a = windows("unfold", x, x.size(-2), x.size(-1), kernel, dilation, padding, stride);
  a.N = x.dim() == 3 ? 1 : x.size(0), a.C = x.size(-3);
  return as_given(unfold_planes(batched(x, 2), a), x, 2);
}

Tensor fold(const Tensor& columns, const Dims& size, const Dims& kernel, const Dims& dilation,
            const Dims& padding, const Dims& stride) {
  check(columns.dim() == 2 || columns.dim() == 3, ErrorKind::shape,
        "fold: expected (N, C KH KW, L) or (C KH KW, L), got shape ", columns.shape());
  int64_t h, w;
  spread({"fold", 2, false}, "output_size", size, 1, 1, &h, &w);
  ConvGeometry a = windows("fold", columns, h, w, kernel, dilation, padding, stride);
  const int64_t rows = columns.size(-2);
  check(rows % (a.KH * a.KW) == 0, ErrorKind::shape, "fold: ", rows, " rows of ", columns.shape(),
        " are not divisible by the kernel's ", a.KH * a.KW, " elements");
  check(columns.size(-1) == a.OH * a.OW, ErrorKind::shape, "fold: an image of ", Dims{h, w},
        " has ", a.OH, " x ", a.OW, " windows, columns ", columns.shape(), " hold ",
        columns.size(-1));
  a.N = columns.dim() == 2 ? 1 : columns.size(0), a.C = rows / (a.KH * a.KW);
  return as_given(fold_planes(batched(columns, 1), a), columns, 1);
}

}  // namespace lamina
