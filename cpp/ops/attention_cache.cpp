// Attention to a cache of keys and values: what a decoder does for each new token.
//
//   keys[:, :, n : n + T] = k,  values[:, :, n : n + T] = v,  y = softmax(scale q keys^T) values,
//   query i seeing positions 0 ... n + i;  then n += T.
//
// One op on buffers of fixed size, the number n of filled positions in a tensor: the call is the
// same for every token, so that a plan replays it. Cost: 2 (n + T) T (D + E) operations per head,
// the filled part of both buffers read once.
#include <cmath>
#include <cstring>

#include "core/threads.h"
#include "ops/attention.h"
#include "ops/attention_args.h"
#include "ops/ops.h"

namespace lamina {
namespace {

constexpr const char* kCacheName = "attend_cached";

AttentionRows cache_rows(const Tensor& t) {
  return {t.data(), t.stride(0), t.stride(1), t.stride(2)};
}

void infer(Call& c) {
  const Tensor &q = c.in[0], &k = c.in[1], &v = c.in[2], &keys = c.in[3], &values = c.in[4];
  const auto fits = [](const Tensor& x, const Tensor& buffer) {
    return x.size(0) == buffer.size(0) && x.size(1) == buffer.size(1) &&
           x.size(3) == buffer.size(3);
  };
  check(fits(k, keys) && fits(v, values) && keys.size(2) == values.size(2), ErrorKind::shape,
        kCacheName, ": new keys ", k, " and values ", v, " do not fit a cache of keys ", keys,
        " and values ", values, "; make a new cache for another batch size or another layer");
  check(q.size(0) == k.size(0) && q.size(2) == k.size(2) && k.size(2) == v.size(2) &&
            q.size(3) == k.size(3) && k.size(1) > 0 && q.size(1) % k.size(1) == 0,
        ErrorKind::shape, kCacheName, ": query ", q, ", new keys ", k, " and values ", v,
        " do not belong together; expected (N, H, T, D), (N, H', T, D), (N, H', T, E), H' dividing "
        "H");
  check(k.dtype() == keys.dtype() && q.dtype() == keys.dtype() && v.dtype() == values.dtype() &&
            keys.dtype() == values.dtype(),
        ErrorKind::dtype, kCacheName, ": query ", q, ", keys ", k, " and values ", v,
        " are not of the cache's dtype, ", keys.dtype(), "; make a new cache");
  check(keys.dtype() == DType::float32 || keys.dtype() == DType::float64, ErrorKind::dtype,
        kCacheName, ": the cache's buffers must be float32 or float64, got ", keys.dtype());
  c.output({q.size(0), q.size(2), q.size(1), v.size(3)}, q.dtype());
}

// rows of x (N, H', T, D) to positions n ... of the buffer (N, H', C, D).
void append(const Tensor& x, const Tensor& buffer, int64_t n) {
  const int64_t N = x.size(0), H = x.size(1), T = x.size(2), size = item_size(x.dtype());
  const size_t row = size_t(x.size(3) * size);
  const char* from = static_cast<const char*>(x.data());
  char* to = static_cast<char*>(buffer.data());
  for (int64_t b = 0; b < N; ++b)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t t = 0; t < T; ++t)
        std::memcpy(
            to + (b * buffer.stride(0) + h * buffer.stride(1) + (n + t) * buffer.stride(2)) * size,
            from + (b * x.stride(0) + h * x.stride(1) + t * x.stride(2)) * size, row);
}

void launch(Call& c) {
  const Tensor &q = c.in[0], &keys = c.in[3], &values = c.in[4], &y = c.out[0];
  int64_t& filled = *c.in[5].data<int64_t>();
  const int64_t T = q.size(2), n = filled;
  check(n >= 0 && n + T <= keys.size(2), ErrorKind::value, kCacheName, ": ", n, " positions and ",
        T, " more do not fit a cache of capacity ", keys.size(2),
        "; make it larger, or crop() or reset() it");
  append(c.in[1], keys, n);
  append(c.in[2], values, n);
  filled = n + T;
  if (y.numel() == 0) return;
  AttentionArgs a{};
  a.B = q.size(0), a.H = q.size(1), a.L = T, a.D = q.size(3);
  a.group = a.H / keys.size(1);
  a.S = n + T, a.E = values.size(3);
  a.causal = T > 1;
  a.past = n;
  a.queries = attention_queries(a.L, a.causal);
  a.scale = c.args<AttentionCacheArgs>().scale;
  a.q = cache_rows(q), a.k = cache_rows(keys), a.v = cache_rows(values);
  a.y = cache_rows(y);  // stored (N, T, H, E)
  std::swap(a.y.head, a.y.row);
  const Compute type = compute_type(q.dtype());
  a.gemm = cpu_kernels().matmul.gemm[type];
  const size_t size = size_t(item_size(q.dtype()));
  const Scratch lse(size_t(a.B * a.H * a.L) * size);
  a.lse = lse.as<void>();
  const int64_t blocks = (T + a.queries - 1) / a.queries;
  const double ns = 100 + double(T * a.S) * (double(a.D + a.E) / 30 + 1);
  const AttentionFn run = cpu_kernels().attention.forward[type];
  const auto some = [&](int64_t b, int64_t e) {
    const Scratch scratch(size_t(attention_scratch(a)) * size);
    run(a, b, e, scratch.as<void>());
  };
  if (T > 1) return parallel_rows(a.B * a.H * blocks, ns / double(blocks), some);
  // One query: what takes time is to read keys and values, which nobody touched since the last
  // token, at about 20 bytes a nanosecond. Every thread reads the same heads each time.
  const int64_t heads = a.B * a.H;
  const double wait = double(a.S * (a.D + a.E)) * double(size) / 20;
  const bool alone = (ns + wait) * double(heads) < kSerialNanoseconds;
  using Fn = decltype(some);
  parallel_chunks(
      heads, alone ? heads : (heads + num_threads() - 1) / num_threads(),
      [](void* ctx, int64_t b, int64_t e) { (*static_cast<const Fn*>(ctx))(b, e); },
      const_cast<void*>(static_cast<const void*>(&some)));
}

const Op kAttendCached{.name = kCacheName,
                       .infer = infer,
                       .launch = launch,
                       .differentiable = false,
                       .writes = 8 | 16 | 32};

}  // namespace

Tensor attend_cached(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& keys,
                     const Tensor& values, const Tensor& filled, std::optional<double> scale) {
  check(q.dim() == 4 && k.dim() == 4 && v.dim() == 4 && keys.dim() == 4 && values.dim() == 4,
        ErrorKind::shape, kCacheName, ": expected tensors of 4 dimensions (N, H, T, D), got ", q,
        ", ", k, ", ", v, ", ", keys, " and ", values);
  check(filled.dtype() == DType::int64 && filled.numel() == 1, ErrorKind::shape, kCacheName,
        ": the number of filled positions is one int64, got ", filled);
  check(keys.is_contiguous() && values.is_contiguous(), ErrorKind::value, kCacheName,
        ": the cache's buffers have to be contiguous, got ", keys, " and ", values);
  const auto prepare = [&](const Tensor& x) {
    const Tensor t = is_floating(x.dtype()) ? to_dtype(x, keys.dtype()) : x;
    return t.size(3) > 1 && t.stride(3) != 1 ? contiguous(t) : t;
  };
  const AttentionCacheArgs args{scale ? *scale : 1 / std::sqrt(double(q.size(3)))};
  const Outputs out = run(make_call(
      kAttendCached,
      std::initializer_list<Tensor>{prepare(q), prepare(k), prepare(v), keys, values, filled},
      args));
  return to_dtype(transpose(out[0], 1, 2), q.dtype());
}

}  // namespace lamina
