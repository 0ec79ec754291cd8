// Matrix products with any strides and broadcast batches: which kernel makes them, and those that
// multiply in their own type (loops: tiles.h).
#include "ops/matmul_args.h"

#include "cublas.h"
#include "gemm.h"
#include "table.h"
#include "tiles.h"

namespace lamina::cuda {
namespace {

// Elements of a product of matrices with any strides, for tiles.h.
template <class S_>
struct Strided {
  using S = S_;
  static constexpr bool kGroups = !__is_same(S, Int);
  Gemm g;
  bool a_fours = false, b_fours = false, c_fours = false;
  explicit Strided(const Gemm& g) : g(g) {
    const auto whole = [&](const void* p, int64_t dense, int64_t line, const int64_t* steps) {
      bool ok = reinterpret_cast<uintptr_t>(p) % 16 == 0 && dense == 1 && line % 4 == 0;
      for (int d = 0; d < g.batch_dims; ++d) ok &= g.batch[d] == 1 || steps[d] % 4 == 0;
      return ok;
    };
    a_fours = whole(g.a, g.a_k, g.a_row, g.batch_a) || whole(g.a, g.a_row, g.a_k, g.batch_a);
    b_fours = whole(g.b, g.b_k, g.b_col, g.batch_b) || whole(g.b, g.b_col, g.b_k, g.batch_b);
    c_fours = reinterpret_cast<uintptr_t>(g.c) % 16 == 0 && g.c_row % 4 == 0 &&
              (g.products == 1 || g.c_product % 4 == 0);
  }
  __device__ bool a_groups() const { return a_fours; }
  __device__ bool b_groups() const { return b_fours; }
  __device__ bool c_groups() const { return c_fours; }
  __device__ int64_t M() const { return g.M; }
  __device__ int64_t N() const { return g.N; }
  __device__ int64_t K() const { return g.K; }
  __device__ bool a_along_k() const { return g.a_k == 1; }
  __device__ bool b_along_k() const { return g.b_k == 1; }
  struct Batch {
    const S *a, *b;
    S* c;
  };
  __device__ Batch batch(int64_t product) const {
    int64_t at_a, at_b;
    g.offsets(product, &at_a, &at_b);
    return {static_cast<const S*>(g.a) + at_a, static_cast<const S*>(g.b) + at_b,
            static_cast<S*>(g.c) + product * g.c_product};
  }
  __device__ S a(const Batch& p, int64_t m, int64_t k) const {
    return p.a[m * g.a_row + k * g.a_k];
  }
  __device__ S b(const Batch& p, int64_t k, int64_t n) const {
    return p.b[k * g.b_k + n * g.b_col];
  }
  __device__ const S* at_a(const Batch& p, int64_t m, int64_t k) const {
    return p.a + m * g.a_row + k * g.a_k;
  }
  __device__ const S* at_b(const Batch& p, int64_t k, int64_t n) const {
    return p.b + k * g.b_k + n * g.b_col;
  }
  __device__ S finished(int64_t n, S v) const {
    if (g.column_bias) v = v + static_cast<const S*>(g.column_bias)[n];
    if (g.relu) v = v > S{0} ? v : v != v ? v : S{0};
    return v;
  }
  __device__ void put(const Batch& p, int64_t m, int64_t n, S v) const {
    p.c[m * g.c_row + n] = finished(n, v);
  }
  __device__ void put_four(const Batch& p, int64_t m, int64_t n, const S* v) const {
    const S y[4] = {finished(n, v[0]), finished(n + 1, v[1]), finished(n + 2, v[2]),
                    finished(n + 3, v[3])};
    store_vector<S, 4>(p.c + m * g.c_row + n, y);
  }
};

// Whether dimensions [0, nd - 1) of t form one dimension with an even step.
bool rows_collapse(const Operand& t, int64_t* step) {
  *step = t.nd > 1 ? t.strides[t.nd - 2] : t.shape[t.nd - 1];
  int64_t next = 0;
  bool first = true;
  for (int d = t.nd - 2; d >= 0; --d) {
    if (t.shape[d] == 1) continue;
    if (first)
      *step = t.strides[d];
    else if (t.strides[d] != next)
      return false;
    first = false;
    next = t.strides[d] * t.shape[d];
  }
  return true;
}

void matmul(const DeviceCall& c) {
  const Operand &a = c.in[0], &b = c.in[1], &y = c.out[0];
  Gemm g;
  g.a = a.data;
  g.b = b.data;
  g.c = y.data;
  g.M = a.shape[a.nd - 2];
  g.N = b.shape[b.nd - 1];
  g.K = a.shape[a.nd - 1];
  g.a_row = a.strides[a.nd - 2];
  g.a_k = a.strides[a.nd - 1];
  g.b_k = b.strides[b.nd - 2];
  g.b_col = b.strides[b.nd - 1];
  g.c_row = g.N;
  int64_t step;
  if (y.nd > 2 && b.nd == 2 && rows_collapse(a, &step)) {  // one product with all rows of a
    g.M = y.numel() / (g.N ? g.N : 1);
    g.a_row = step;
  } else {
    g.batch_dims = y.nd - 2;
    g.c_product = g.M * g.N;
    for (int d = 0; d < g.batch_dims; ++d) {
      const int da = d - (y.nd - a.nd), db = d - (y.nd - b.nd);
      g.batch[d] = y.shape[d];
      g.batch_a[d] = da < 0 || a.shape[da] == 1 ? 0 : a.strides[da];
      g.batch_b[d] = db < 0 || b.shape[db] == 1 ? 0 : b.strides[db];
      g.products *= y.shape[d];
    }
  }
  gemm(c, y.dtype, g);
}

void linear(const DeviceCall& c) {
  const Operand &x = c.in[0], &w = c.in[1], &y = c.out[0];
  Gemm g;
  g.a = x.data;
  g.b = w.data;
  g.c = y.data;
  g.N = w.shape[0];
  g.K = w.shape[1];
  g.M = 1;
  for (int d = 0; d + 1 < x.nd; ++d) g.M *= x.shape[d];
  rows_collapse(x, &g.a_row);  // `linear` saw to it
  g.a_k = x.strides[x.nd - 1];
  g.b_k = w.strides[1];
  g.b_col = w.strides[0];
  g.c_row = g.N;
  if (c.inputs > 2) g.column_bias = c.in[2].data;
  g.relu = static_cast<const LinearArgs*>(c.args)->relu;
  gemm(c, y.dtype, g);
}

const Launches kLaunches{{"matmul", matmul, false, true}, {"linear", linear, false, true}};

}  // namespace

void gemm(const DeviceCall& c, DType type, const Gemm& g) {
  if (gemm_by_cublas(c, type, g)) return;
  if (type == DType::float16) return gemm_half(c, g);
  if (type == DType::bfloat16) return gemm_brain(c, g);
  if (type == DType::float32 && c.tf32.products) return gemm_tf32(c, g);
  if (type == DType::float32)
    multiply_tiles(c, Strided<float>{g}, g.M, g.N, g.K, g.products);
  else if (type == DType::float64)
    multiply_tiles(c, Strided<double>{g}, g.M, g.N, g.K, g.products);
  else
    multiply_tiles(c, Strided<Int>{g}, g.M, g.N, g.K, g.products);
}

}  // namespace lamina::cuda
