// Matrix products of tensors.
//
//   matmul:  y = a b            ga = g b^T     gb = a^T g     summed over broadcast dimensions
//   linear:  y = x w^T + b      gx = g w       gw = g^T x     gb = sum over rows of g
//
// Shapes: a (..., M, K), b (..., K, N), y and g (..., M, N); x (..., K), w (N, K), b (N).
#include "ops/matmul.h"

#include "ops/complex.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/matmul_args.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace lamina {
namespace {

// ---- shapes ------------------------------------------------------------------------------------
void check_dtypes(const char* op, const Tensor& a, const Tensor& b) {
  check(a.dtype() == b.dtype(), ErrorKind::dtype, op, ": the operands have different dtypes, ", a,
        " and ", b, "; convert one with .to()");
  check(a.dtype() != DType::boolean, ErrorKind::dtype, op, ": bool tensors have no product, got ",
        a, " and ", b, "; convert with .to()");
}
void check_depth(const char* op, const Tensor& a, const Tensor& b) {
  const int64_t columns = a.size(-1), rows = b.dim() == 1 ? b.size(0) : b.size(-2);
  check(columns == rows, ErrorKind::shape, op, ": shapes ", a.shape(), " and ", b.shape(),
        " cannot be multiplied: the first has ", columns, " columns, the second ", rows,
        " rows; they must be equal");
}
void check_dims(const char* op, const char* which, const Tensor& t, int dims) {
  check(t.dim() == dims, ErrorKind::shape, op, ": ", which, " must have ", dims,
        dims == 1 ? " dimension, got " : " dimensions, got ", t.dim(), ": shape ", t.shape(),
        "; use matmul for other numbers");
}
// Whether a tensor of shape `from` can be repeated to shape `to`.
bool expands(const Dims& from, const Dims& to) {
  if (from.n > to.n) return false;
  for (int d = 1; d <= from.n; ++d)
    if (from[-d] != to[-d] && from[-d] != 1) return false;
  return true;
}

// The type whose kernel makes a product of `t`: the CPU has none for float16.
DType computed_in(const Tensor& t) {
  const DType d = t.dtype();
  const bool half = d == DType::bfloat16 || t.device().type != DeviceType::cpu;
  if (d == DType::float64 || (is_floating(d) && half)) return d;
  return is_floating(d) ? DType::float32 : DType::int64;
}
// What gemm_batched calls it.
int product_of(DType d) { return d == DType::bfloat16 ? kProductBF16 : int(compute_type(d)); }

// f applied to operands of a computable dtype, its result converted back.
template <class F>
Tensor in_compute_type(const Tensor& a, const Tensor& b, F f) {
  const DType d = a.dtype(), c = is_complex(d) ? d : computed_in(a);
  return d == c ? f(a, b) : to_dtype(f(to_dtype(a, c), to_dtype(b, c)), d);
}

Tensor swapped(const Tensor& t) { return transpose(t, -1, -2); }
// (..., K) as (rows, K).
Tensor as_rows(const Tensor& t) {
  if (t.dim() == 2) return t;
  int64_t rows = 1;
  for (int d = 0; d + 1 < t.dim(); ++d) rows *= t.size(d);
  return reshape(t, {rows, t.size(-1)});
}

// ---- launching ---------------------------------------------------------------------------------
// Where product p of a batch finds its operands.
struct Batch {
  int n = 0;
  int64_t shape[kMaxDims], a[kMaxDims], b[kMaxDims];  // sizes; strides in elements
  int64_t c = 0;                                      // elements per product of C
  static GemmOffsets offsets(const void* context, int64_t p) {
    const Batch& batch = *static_cast<const Batch*>(context);
    GemmOffsets o{0, 0, p * batch.c};
    for (int d = batch.n - 1; d >= 0; --d) {
      const int64_t i = p % batch.shape[d];
      p /= batch.shape[d];
      o.a += i * batch.a[d];
      o.b += i * batch.b[d];
    }
    return o;
  }
};

// Whether dimensions [0, dim - 1) of t form one dimension with an even step.
bool rows_collapse(const Tensor& t, int64_t* step) {
  *step = t.dim() > 1 ? t.stride(-2) : t.size(-1);
  int64_t next = 0;
  bool first = true;
  for (int d = t.dim() - 2; d >= 0; --d) {
    if (t.size(d) == 1) continue;
    if (first)
      *step = t.stride(d);
    else if (t.stride(d) != next)
      return false;
    first = false;
    next = t.stride(d) * t.size(d);
  }
  return true;
}

// ---- matmul ------------------------------------------------------------------------------------
void matmul_infer(Call& c) {
  const Tensor &a = c.in[0], &b = c.in[1];
  Dims shape_a = a.shape(), shape_b = b.shape();
  shape_a.n -= 2;
  shape_b.n -= 2;
  Dims shape = shape_a;
  if (shape_b.n && shape_a != shape_b) {
    for (int d = 1; d <= shape_a.n && d <= shape_b.n; ++d)
      check(shape_a[-d] == shape_b[-d] || shape_a[-d] == 1 || shape_b[-d] == 1, ErrorKind::shape,
            "matmul: the batches of shapes ", a.shape(), " and ", b.shape(),
            " do not broadcast: sizes ", shape_a[-d], " and ", shape_b[-d],
            " must be equal or one of them 1");
    shape = broadcast_shapes("matmul", shape_a, shape_b);
  }
  shape.push(a.size(-2));
  shape.push(b.size(-1));
  c.output(shape, a.dtype());
}

void matmul_launch(Call& c) {
  const Tensor &a = c.in[0], &b = c.in[1], &y = c.out[0];
  GemmArgs g{};
  g.M = a.size(-2);
  g.N = b.size(-1);
  g.K = a.size(-1);
  g.a = a.data();
  g.a_row = a.stride(-2);
  g.a_k = a.stride(-1);
  g.b = b.data();
  g.b_k = b.stride(-2);
  g.b_col = b.stride(-1);
  g.c = y.data();
  g.c_row = g.N;
  const int compute = product_of(y.dtype());
  int64_t step;
  if (y.dim() == 2) return gemm_batched(compute, g, 1, nullptr, nullptr);
  if (b.dim() == 2 && rows_collapse(a, &step)) {  // one product with all rows of a
    g.M = y.numel() / (g.N ? g.N : 1);
    g.a_row = step;
    return gemm_batched(compute, g, 1, nullptr, nullptr);
  }
  Batch batch;
  batch.n = y.dim() - 2;
  batch.c = g.M * g.N;
  int64_t products = 1;
  for (int d = 0; d < batch.n; ++d) {
    const int da = d - (y.dim() - a.dim()), db = d - (y.dim() - b.dim());
    batch.shape[d] = y.size(d);
    batch.a[d] = da < 0 || a.size(da) == 1 ? 0 : a.stride(da);
    batch.b[d] = db < 0 || b.size(db) == 1 ? 0 : b.stride(db);
    products *= y.size(d);
  }
  gemm_batched(compute, g, products, Batch::offsets, &batch);
}

void matmul_vjp(Vjp& c) {
  const Tensor g = c.g();
  if (c.needs(0)) c.set(0, sum_to(matmul(g, swapped(c.in(1))), c.shape(0)));
  if (!c.needs(1)) return;
  const Tensor a = c.in(0);
  if (c.shape(1).n == 2)  // one product over all rows
    c.set(1, matmul(swapped(as_rows(a)), as_rows(g)));
  else
    c.set(1, sum_to(matmul(swapped(a), g), c.shape(1)));
}

// Each operand's gradient reads the other one.
Saves matmul_saves(const Call& c) {
  return {(c.source[0].edge.needed() ? 2u : 0u) | (c.source[1].edge.needed() ? 1u : 0u), 0};
}

const Op kMatmul{.name = "matmul",
                 .infer = matmul_infer,
                 .launch = matmul_launch,
                 .vjp = matmul_vjp,
                 .saves_for = matmul_saves};

// Both with two dimensions or more, of one dtype.
Tensor product(const Tensor& a, const Tensor& b) {
  if (is_complex(a.dtype())) return complex_matmul(a, b);
  return in_compute_type(a, b,
                         [](const Tensor& x, const Tensor& y) { return apply(kMatmul, {x, y}); });
}

// ---- linear ------------------------------------------------------------------------------------
constexpr int kPanels = 3;  // where a plan puts the weight in panels, among a call's inputs

void linear_infer(Call& c) {
  Dims shape = c.in[0].shape();
  shape[-1] = c.in[1].size(0);
  c.output(shape, c.in[0].dtype());
}

void linear_launch(Call& c) {
  const Tensor &x = c.in[0], &w = c.in[1], &y = c.out[0];
  GemmArgs g{};
  g.N = w.size(0);
  g.K = w.size(1);
  g.M = 1;
  for (int d = 0; d + 1 < x.dim(); ++d) g.M *= x.size(d);
  g.a = x.data();
  rows_collapse(x, &g.a_row);  // `linear` saw to it
  g.a_k = x.stride(-1);
  g.b = w.data();
  g.b_k = w.stride(1);
  g.b_col = w.stride(0);
  g.c = y.data();
  g.c_row = g.N;
  if (c.in.size() > 2 && c.in[2].defined()) g.epilogue.column_bias = c.in[2].data();
  g.epilogue.relu = c.args<LinearArgs>().relu;
  if (c.in.size() > kPanels && c.in[kPanels].defined()) {
    g.b = c.in[kPanels].data();
    return gemm_panels(product_of(y.dtype()), g);
  }
  gemm_batched(product_of(y.dtype()), g, 1, nullptr, nullptr);
}

void linear_vjp(Vjp& c) {
  static const int gt = function_index("gt");
  Tensor g = c.g();
  if (c.args<LinearArgs>().relu)
    g = where(elementwise(gt, {c.out(), scalar_tensor(0)}), g, scalar_tensor(0));
  if (c.needs(0)) {
    const Tensor gx = matmul(g, c.in(1));
    c.set(0, gx);
  }
  const bool weight = c.needs(1), bias = c.inputs() > 2 && c.needs(2);
  if (!weight && !bias) return;
  const Tensor rows = as_rows(g);
  if (weight) c.set(1, matmul(swapped(rows), as_rows(c.in(0))));
  if (bias) c.set(2, sum(rows, {0}, false));
}

Saves linear_saves(const Call& c) {
  return {(c.source[0].edge.needed() ? 2u : 0u) | (c.source[1].edge.needed() ? 1u : 0u),
          c.args<LinearArgs>().relu ? 1u : 0u};
}

const Op kLinear{.name = "linear",
                 .infer = linear_infer,
                 .launch = linear_launch,
                 .vjp = linear_vjp,
                 .saves_for = linear_saves};

Tensor linear_with(const Tensor& x, const Tensor& w, const Tensor& b, bool relu) {
  check(x.dim() > 0 && w.dim() == 2, ErrorKind::shape,
        "linear: expects an input (..., in) and a "
        "weight (out, in), got shapes ",
        x.shape(), " and ", w.shape());
  check(x.size(-1) == w.size(1), ErrorKind::shape, "linear: input ", x.shape(), " has ", x.size(-1),
        " features, but weight ", w.shape(), " takes ", w.size(1),
        "; the last sizes of both must be equal");
  check_dtypes("linear", x, w);
  if (b.defined()) {
    check(b.dim() == 1 && b.size(0) == w.size(0), ErrorKind::shape, "linear: bias ", b.shape(),
          " does not fit weight ", w.shape(), "; it must have shape (", w.size(0), ",)");
    check_dtypes("linear", x, b);
  }
  if (is_complex(x.dtype())) {
    check(!relu, ErrorKind::dtype, "relu: not defined for complex tensors, got ", x);
    const Tensor y = matmul(x, swapped(w));
    return b.defined() ? y + b : y;
  }
  const DType d = x.dtype(), t = computed_in(x);
  if (d != t)
    return to_dtype(
        linear_with(to_dtype(x, t), to_dtype(w, t), b.defined() ? to_dtype(b, t) : b, relu), d);
  if (t == DType::int64) {
    const Tensor y = product(x.dim() == 1 ? unsqueeze(x, 0) : x, swapped(w));
    const Tensor z = x.dim() == 1 ? squeeze(y, {0}) : y;
    const Tensor s = b.defined() ? z + b : z;
    return relu ? elementwise(function_index("relu"), {s}) : s;
  }
  int64_t step;
  const Tensor dense = rows_collapse(x, &step) ? x : contiguous(x);
  if (!b.defined()) return apply(kLinear, {dense, w}, LinearArgs{relu});
  return apply(kLinear, {dense, w, contiguous(b)}, LinearArgs{relu});
}

// ---- scaled sums -------------------------------------------------------------------------------
bool is(const Scalar& s, double value) { return s.d == value; }

// beta * input + alpha * y.
Tensor scaled_sum(const char* op, const Tensor& input, const Tensor& y, Scalar beta, Scalar alpha) {
  check(input.dtype() == y.dtype(), ErrorKind::dtype, op, ": input ", input,
        " and the product have different dtypes, ", input.dtype(), " and ", y.dtype(),
        "; convert one with .to()");
  check(has_gradients(y.dtype()) || (beta.kind != Scalar::real && alpha.kind != Scalar::real),
        ErrorKind::dtype, op, ": beta and alpha must be integers for tensors of ", y.dtype());
  check(expands(input.shape(), y.shape()), ErrorKind::shape, op, ": input ", input.shape(),
        " cannot be expanded to the product's shape ", y.shape(),
        "; each of its sizes must be equal or 1");
  const Tensor scaled = is(alpha, 1) ? y : y * scalar_tensor(alpha);
  if (is(beta, 0)) return scaled;
  return scaled + (is(beta, 1) ? input : input * scalar_tensor(beta));
}

}  // namespace

// ---- the functions -----------------------------------------------------------------------------
Tensor matmul(const Tensor& a, const Tensor& b) {
  check(a.dim() > 0 && b.dim() > 0, ErrorKind::shape,
        "matmul: both operands need a dimension, got ", a.shape(), " and ", b.shape(),
        "; use * for scalars");
  check_depth("matmul", a, b);
  check_dtypes("matmul", a, b);
  if (a.dim() > 1 && b.dim() > 1) return product(a, b);
  if (a.dim() == 1 && b.dim() == 1) return dot(a, b);
  if (a.dim() == 1) return squeeze(product(unsqueeze(a, 0), b), {-2});
  return squeeze(product(a, unsqueeze(b, 1)), {-1});
}
Tensor mm(const Tensor& a, const Tensor& b) {
  check_dims("mm", "the first operand", a, 2);
  check_dims("mm", "the second operand", b, 2);
  check_depth("mm", a, b);
  check_dtypes("mm", a, b);
  return product(a, b);
}
Tensor bmm(const Tensor& a, const Tensor& b) {
  check_dims("bmm", "the first operand", a, 3);
  check_dims("bmm", "the second operand", b, 3);
  check(a.size(0) == b.size(0), ErrorKind::shape, "bmm: batches of ", a.size(0), " and ", b.size(0),
        " matrices: shapes ", a.shape(), " and ", b.shape(),
        "; they must be equal (matmul broadcasts)");
  check_depth("bmm", a, b);
  check_dtypes("bmm", a, b);
  return product(a, b);
}
Tensor mv(const Tensor& a, const Tensor& x) {
  check_dims("mv", "the matrix", a, 2);
  check_dims("mv", "the vector", x, 1);
  check_depth("mv", a, x);
  check_dtypes("mv", a, x);
  return squeeze(product(a, unsqueeze(x, 1)), {-1});
}
Tensor dot(const Tensor& a, const Tensor& b) {
  check(a.dim() == 1 && b.dim() == 1 && a.size(0) == b.size(0), ErrorKind::shape,
        "dot: expected two 1-D tensors of one length, got shapes ", a.shape(), " and ", b.shape());
  check_dtypes("dot", a, b);
  if (a.dtype() == DType::bfloat16 || a.dtype() == DType::float16)  // products unrounded
    return to_dtype(dot(to_dtype(a, DType::float32), to_dtype(b, DType::float32)), a.dtype());
  return in_compute_type(a, b,
                         [](const Tensor& x, const Tensor& y) { return sum(x * y, {}, false); });
}
Tensor outer(const Tensor& a, const Tensor& b) {
  check_dims("outer", "the first operand", a, 1);
  check_dims("outer", "the second operand", b, 1);
  return unsqueeze(a, 1) * b;
}

Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  check_dims("addmm", "the first matrix", a, 2);
  check_dims("addmm", "the second matrix", b, 2);
  check_depth("addmm", a, b);
  check_dtypes("addmm", a, b);
  // A row added to every row is what linear does.
  const bool row = input.dim() == 1 || (input.dim() == 2 && input.size(0) == 1);
  if (row && is(beta, 1) && is(alpha, 1) && input.size(-1) == b.size(1) && is_floating(a.dtype()) &&
      input.dtype() == a.dtype())
    return linear_with(a, swapped(b), input.dim() == 1 ? input : reshape(input, {-1}), false);
  return scaled_sum("addmm", input, product(a, b), beta, alpha);
}
Tensor baddbmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  return scaled_sum("baddbmm", input, bmm(a, b), beta, alpha);
}
Tensor addmv(const Tensor& input, const Tensor& a, const Tensor& x, Scalar beta, Scalar alpha) {
  return scaled_sum("addmv", input, mv(a, x), beta, alpha);
}

bool extend_linear(const Op& op, void* args) {
  bool& relu = static_cast<LinearArgs*>(args)->relu;
  if (&op != &kLinear || relu) return false;
  return relu = true;
}
bool takes_panels(const Call& c) {
  constexpr int64_t kRows = 3, kElements = 4096;  // more rows share one packing
  if (c.op != &kLinear || c.device.type != DeviceType::cpu) return false;
  const Tensor &x = c.in[0], &w = c.in[1];
  return is_floating(w.dtype()) && cpu_kernels().matmul.panel_columns[product_of(w.dtype())] &&
         w.is_contiguous() && w.numel() >= kElements && x.numel() <= kRows * w.size(1) &&
         blas_in_use() == std::string("own");
}
void make_panels(const Call& c, const Tensor& to) {
  const GradMode off(false);
  const Tensor& w = c.in[1];
  const int64_t N = w.size(0), K = w.size(1);
  const int64_t width = gemm_panel_columns(product_of(w.dtype()), c.in[0].numel() / K);
  const int64_t panels = N / width, rest = N - panels * width;
  if (panels)
    copy_(Tensor::view_of(to, {panels, K, width}, {K * width, width, 1}, to->offset),
          Tensor::view_of(w, {panels, K, width}, {K * width, 1, K}, w->offset));
  if (rest)
    copy_(Tensor::view_of(to, {K, rest}, {rest, 1}, to->offset + panels * width * K),
          Tensor::view_of(w, {K, rest}, {1, K}, w->offset + panels * width * K));
}
void set_panels(Call& c, const Tensor& panels) {
  while (c.in.size() <= kPanels) c.in.push_back(Tensor());
  c.in[kPanels] = panels;
}
Tensor linear(const Tensor& x, const Tensor& w, const std::optional<Tensor>& b) {
  return linear_with(x, w, b ? *b : Tensor(), false);
}
Tensor linear_relu(const Tensor& x, const Tensor& w, const std::optional<Tensor>& b) {
  return linear_with(x, w, b ? *b : Tensor(), true);
}

}  // namespace lamina
