#include "ops/ops.h"
#include "ops/reduce.h"
namespace lamina {
struct RA {
  uint32_t mask;
  int keep;
};
static void inf(Call& c) {
  const auto& a = c.args<RA>();
  Dims s;
  for (int i = 0; i < c.in[0].dim(); ++i)
    if (!(a.mask >> i & 1))
      s.push(c.in[0].size(i));
    else if (a.keep)
      s.push(1);
  c.output(s, is_floating(c.in[0].dtype()) ? c.in[0].dtype() : DType::int64);
}
static void la(Call& c) {
  const auto& a = c.args<RA>();
  Tensor x = c.in[0], y = c.out[0];
  Dims ys;
  {
    int k = 0;
    for (int i = 0; i < x.dim(); ++i) {
      if (a.mask >> i & 1) {
        ys.push(0);
        if (a.keep) ++k;
      } else
        ys.push(y.stride(k++));
    }
  }
  Tensor z = zeros(y.shape(), y.dtype());
  copy_(y, z);
  Tensor xs = contiguous(x);
  int64_t n = xs.numel();
  for (int64_t i = 0; i < n; ++i) {
    int64_t r = i, o = 0;
    for (int d = x.dim() - 1; d >= 0; --d) {
      o += (r % x.size(d)) * ys[d];
      r /= x.size(d);
    }
    Tensor e = Tensor::view_of(xs, {}, {}, i);
    Scalar v = item(e);
    if (y.dtype() == DType::float32)
      y.data<float>()[o] += float(v.kind == Scalar::real ? v.d : v.i);
    else if (y.dtype() == DType::float64)
      y.data<double>()[o] += v.kind == Scalar::real ? v.d : double(v.i);
    else
      y.data<int64_t>()[o] += v.i;
  }
}
static void vj(Vjp& c) {
  const auto& a = c.args<RA>();
  Dims s = c.shape(0), k;
  for (int i = 0; i < s.n; ++i) k.push(a.mask >> i & 1 ? 1 : s[i]);
  c.set(0, expand(reshape(c.g(), k), s));
}
static const Op kSum{.name = "sum", .infer = inf, .launch = la, .vjp = vj};
Tensor sum(const Tensor& x, const Dims& d, bool keep) {
  uint32_t m = 0;
  if (!d.n) m = ~0u;
  for (auto i : d) m |= 1u << wrap_dim("sum", i, x.dim());
  return apply(kSum, {x}, RA{m, keep});
}
Tensor sum_to(const Tensor& g, const Dims& s) {
  if (g.shape() == s) return g;
  Dims d;
  int lead = g.dim() - s.n;
  for (int i = 0; i < g.dim(); ++i)
    if (i < lead || (s[i - lead] == 1 && g.size(i) != 1)) d.push(i);
  Tensor r = d.n ? sum(g, d, true) : g;
  return reshape(r, s);
}
}  // namespace lamina
