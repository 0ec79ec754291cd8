// y = (softmax(s) * z) v,  s = scale q k^T + mask,  z dropout's factors. The op works on q
// (B, H, L, D), k (B, H', S, D), v (B, H', S, E) with any strides but the last, H' dividing H.
// A result whose model tensor lies in memory as (B, L, H, .) is laid out so too: the transpositions
// around attention in a Transformer then move nothing.
#include "ops/attention.h"

#include <cmath>
#include <cstring>

#include "core/threads.h"
#include "ops/attention_args.h"
#include "ops/half.h"
#include "ops/join.h"
#include "ops/ops.h"
#include "ops/softmax.h"

namespace lamina {
namespace {

// Whether a (B, H, L, D) tensor's heads lie within its positions.
bool heads_inside(const Tensor& t) {
  return t.size(1) > 1 && t.size(2) > 1 && t.stride(1) < t.stride(2);
}
Dims stored_shape(const Tensor& like, int64_t B, int64_t H, int64_t L, int64_t D) {
  return heads_inside(like) ? Dims{B, L, H, D} : Dims{B, H, L, D};
}
Tensor in_order(const Tensor& like, const Tensor& stored) {
  return heads_inside(like) ? transpose(stored, 1, 2) : stored;
}
AttentionRows rows(const Tensor& t) { return {t.data(), t.stride(0), t.stride(1), t.stride(2)}; }
AttentionRows stored_rows(const Tensor& like, const Tensor& t) {
  AttentionRows r = rows(t);
  if (heads_inside(like)) std::swap(r.head, r.row);
  return r;
}

AttentionArgs kernel_args(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                          const AttentionOpArgs& op) {
  AttentionArgs a{};
  a.B = q.size(0), a.H = q.size(1), a.L = q.size(2), a.D = q.size(3);
  a.group = k.size(1) ? a.H / k.size(1) : 1;
  a.S = k.size(2), a.E = v.size(3);
  a.queries = attention_queries(a.L, op.causal);
  a.scale = op.scale;
  a.causal = op.causal;
  a.q = rows(q), a.k = rows(k), a.v = rows(v);
  if (mask.defined()) {
    a.mask_kind = mask.dtype() == DType::boolean ? kBoolMask : kFloatMask;
    a.mask = rows(mask);
  }
  a.seed = op.key.seed, a.offset = op.key.offset;
  a.threshold = uint64_t(std::llround(op.p * 0x1p32));
  a.keep_scale = op.p < 1 ? 1 / (1 - op.p) : 0;
  a.gemm = cpu_kernels().matmul.gemm[compute_type(q.dtype())];
  return a;
}

// fn over `tasks` with scratch for each range.
void run_tasks(AttentionFn fn, const AttentionArgs& a, DType dtype, int64_t tasks, double ns) {
  parallel_rows(tasks, ns, [&](int64_t b, int64_t e) {
    const Scratch scratch(size_t(attention_scratch(a) * item_size(dtype)));
    fn(a, b, e, scratch.as<void>());
  });
}
// Of one head's forward: multiply-adds at 30 per nanosecond, exponentials at 1.
double head_ns(const AttentionArgs& a) {
  const double tile = double(a.L) * double(a.S) * (a.causal ? 0.5 : 1.0);
  return 100 + tile * (double(a.D + a.E) / 30 + 1);
}
int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }

// ---- forward: q, k, v, mask -> y, lse ----------------------------------------------------------
void infer(Call& c) {
  const Tensor &q = c.in[0], &v = c.in[2];
  c.output(stored_shape(q, q.size(0), q.size(1), q.size(2), v.size(3)), q.dtype());
  c.output({q.size(0), q.size(1), q.size(2)}, kept_dtype(q.dtype()));
}
void launch(Call& c) {
  const Tensor& q = c.in[0];
  AttentionArgs a = kernel_args(q, c.in[1], c.in[2], c.in[3], c.args<AttentionOpArgs>());
  a.y = stored_rows(q, c.out[0]);
  a.lse = c.out[1].data();
  const int64_t per_head = blocks(a.L, a.queries);
  run_tasks(cpu_kernels().attention.forward[compute_type(q.dtype())], a, q.dtype(),
            a.B * a.H * per_head, head_ns(a) / double(per_head ? per_head : 1));
}

// ---- backward: g, q, k, v, y, lse, mask -> gq, gk, gv ------------------------------------------
void grad_infer(Call& c) {
  const auto& op = c.args<AttentionOpArgs>();
  const bool wanted[3] = {op.gq, op.gk, op.gv};
  for (int i = 0; i < 3; ++i) {
    const Tensor& x = c.in[1 + i];
    c.output(wanted[i] ? stored_shape(x, x.size(0), x.size(1), x.size(2), x.size(3)) : Dims{0},
             x.dtype());
  }
}
void grad_launch(Call& c) {
  const auto& op = c.args<AttentionOpArgs>();
  const Tensor &g = c.in[0], &q = c.in[1], &k = c.in[2], &v = c.in[3], &y = c.in[4];
  AttentionArgs a = kernel_args(q, k, v, c.in[6], op);
  if (a.B * a.H * a.L * a.S * a.D * a.E == 0) {
    for (Tensor& t : c.out)
      if (t.numel()) std::memset(t.data(), 0, size_t(t.numel() * item_size(t.dtype())));
    return;
  }
  const Compute type = compute_type(q.dtype());
  a.g = rows(g);
  a.y = rows(y);
  a.lse = c.in[5].data();
  if (op.gq) a.gq = stored_rows(q, c.out[0]);
  if (op.gk) a.gk = stored_rows(k, c.out[1]);
  if (op.gv) a.gv = stored_rows(v, c.out[2]);
  const Scratch delta(size_t(a.B * a.H * a.L * item_size(q.dtype())));
  a.delta = delta.as<void>();
  const AttentionKernels& kernels = cpu_kernels().attention;
  parallel_rows(a.B * a.H * a.L, 5 + 0.1 * double(a.E),
                [&](int64_t b, int64_t e) { kernels.delta[type](a, b, e, nullptr); });
  const double ns = 2.5 * head_ns(a);
  const int64_t heads = a.B * (a.H / a.group), threads = num_threads();
  // One pass where it keeps the threads busy for two thirds of the time.
  const int64_t rounds = blocks(heads, threads);
  if (op.gq && (op.gk || op.gv) && 3 * heads >= 2 * rounds * threads) {
    run_tasks(kernels.grad[type], a, q.dtype(), heads, ns * double(a.group));
    return;
  }
  if (op.gk || op.gv) {
    const int64_t n = blocks(a.S, kAttentionKeys);
    AttentionArgs part = a;
    part.gq.p = nullptr;
    run_tasks(kernels.grad_keys[type], part, q.dtype(), heads * n,
              ns * double(a.group) / double(n));
  }
  if (op.gq) {
    const int64_t n = blocks(a.L, a.queries);
    run_tasks(kernels.grad_queries[type], a, q.dtype(), a.B * a.H * n, ns / double(n));
  }
}
const Op kAttentionGrad{.name = "scaled_dot_product_attention_grad",
                        .infer = grad_infer,
                        .launch = grad_launch,
                        .random = true};

// ---- dropout's factors as a tensor -------------------------------------------------------------
void keep_infer(Call& c) {
  const auto& k = c.args<AttentionKeepArgs>();
  c.output({k.shape[0], k.shape[1], k.shape[2], k.shape[3]}, k.dtype);
}
void keep_launch(Call& c) {
  const auto& k = c.args<AttentionKeepArgs>();
  AttentionArgs a{};
  a.S = k.shape[3];
  a.seed = k.key.seed, a.offset = k.key.offset;
  a.threshold = uint64_t(std::llround(k.p * 0x1p32));
  a.keep_scale = k.p < 1 ? 1 / (1 - k.p) : 0;
  a.y.p = c.out[0].data();
  const AttentionFn run = cpu_kernels().attention.keep[compute_type(k.dtype)];
  if (a.S == 0) return;
  parallel_rows(k.shape[0] * k.shape[1] * k.shape[2], 10 + 0.5 * double(a.S),
                [&](int64_t b, int64_t e) { run(a, b, e, nullptr); });
}
const Op kKeep{.name = "attention_keep",
               .infer = keep_infer,
               .launch = keep_launch,
               .differentiable = false,
               .random = true};

// ---- the same in differentiable ops, with the scores stored ------------------------------------
Tensor per_query_head(const Tensor& t, int64_t H) {  // k or v with one head per query head
  const int64_t heads = t.size(1);
  if (heads == H) return t;
  return reshape(expand(unsqueeze(t, 2), {t.size(0), heads, H / heads, t.size(2), t.size(3)}),
                 {t.size(0), H, t.size(2), t.size(3)});
}
Tensor per_key_head(const Tensor& t, int64_t heads) {  // its gradient
  if (t.size(1) == heads) return t;
  return sum(reshape(t, {t.size(0), heads, t.size(1) / heads, t.size(2), t.size(3)}), {2});
}
// softmax(scale q k^T + mask), zero where a query sees no key.
Tensor probabilities(const Tensor& q, const Tensor& k, const Tensor& mask,
                     const AttentionOpArgs& op) {
  const DType t = q.dtype();
  Tensor s = matmul(q, transpose(k, 2, 3)) * op.scale;
  const Tensor none = full({}, -INFINITY, t);
  if (mask.defined()) s = mask.dtype() == DType::boolean ? where(mask, s, none) : s + mask;
  if (op.causal) s = where(tril(ones({q.size(2), k.size(2)}, DType::boolean), 0), s, none);
  if (s.numel() == 0 || (!mask.defined() && !op.causal)) return softmax(s, -1);
  static const int equal = function_index("eq");
  const Tensor blind = elementwise(equal, {detach(amax(s, {-1}, true)), none});
  const Tensor zero = zeros({}, t);
  return where(blind, zero, softmax(where(blind, zero, s), -1));
}
Tensor composed(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                const AttentionOpArgs& op) {
  Tensor p = probabilities(q, per_query_head(k, q.size(1)), mask, op);
  if (op.p > 0) p = p * attention_keep(p.shape(), p.dtype(), op.p, op.key);
  return matmul(p, per_query_head(v, q.size(1)));
}

// Whether rows of (B, H, L, D) float16 or bfloat16 can be read 16 bytes at a time.
bool half_rows_fit(const Tensor& t) {
  bool fits = t.size(3) % 8 == 0 && t->offset % 8 == 0;
  for (int d = 0; d < 3; ++d) fits = fits && (t.size(d) == 1 || t.stride(d) % 8 == 0);
  return fits;
}
Tensor rows_adjacent(const Tensor& t) {
  const bool half = item_size(t.dtype()) == 2 && !half_rows_fit(t);
  return (t.size(3) > 1 && t.stride(3) != 1) || half ? contiguous(t) : t;
}
void vjp(Vjp& c) {
  auto op = c.args<AttentionOpArgs>();
  const bool masked = c.call().in[3].defined();
  const Tensor q = c.in(0), k = c.in(1), v = c.in(2), mask = masked ? c.in(3) : Tensor();
  const Tensor g = in_order(q, c.g());
  op.gq = c.needs(0), op.gk = c.needs(1), op.gv = c.needs(2);
  if (!grad_enabled()) {
    const Outputs out =
        run(make_call(kAttentionGrad,
                      std::initializer_list<Tensor>{rows_adjacent(g), q, k, v,
                                                    in_order(q, c.out(0)), c.out(1), mask},
                      op));
    if (op.gq) c.set(0, in_order(q, out[0]));
    if (op.gk) c.set(1, in_order(k, out[1]));
    if (op.gv) c.set(2, in_order(v, out[2]));
    return;
  }
  // In float32 for float16 and bfloat16.
  const auto wide = [](const Tensor& t) { return to_dtype(t, kept_dtype(t.dtype())); };
  const auto set = [&](int i, const Tensor& gradient) { c.set(i, to_dtype(gradient, c.dtype(i))); };
  const Tensor qw = wide(q), gw = wide(g);
  const int64_t H = q.size(1), heads = k.size(1);
  const Tensor kh = per_query_head(wide(k), H), vh = per_query_head(wide(v), H);
  const Tensor p = probabilities(qw, kh, mask, op);
  const Tensor z = op.p > 0 ? attention_keep(p.shape(), p.dtype(), op.p, op.key) : Tensor();
  const auto dropped = [&](const Tensor& t) { return z.defined() ? t * z : t; };
  if (op.gv) set(2, per_key_head(matmul(transpose(dropped(p), 2, 3), gw), heads));
  if (!op.gq && !op.gk) return;
  const Tensor gp = dropped(matmul(gw, transpose(vh, 2, 3)));
  const Tensor gs = p * (gp - sum(p * gp, {-1}, true)) * op.scale;
  if (op.gq) set(0, matmul(gs, kh));
  if (op.gk) set(1, per_key_head(matmul(transpose(gs, 2, 3), qw), heads));
}
const Op kAttention{.name = "scaled_dot_product_attention",
                    .infer = infer,
                    .launch = launch,
                    .vjp = vjp,
                    .saves = kSavesBoth,
                    .random = true};

}  // namespace

Tensor attention_keep(const Dims& shape, DType dtype, double p, PhiloxKey key) {
  return apply(kKeep, {},
               AttentionKeepArgs{key, p, dtype, {shape[0], shape[1], shape[2], shape[3]}});
}

namespace {

constexpr const char* kName = "scaled_dot_product_attention";

// x as (B, H, rows, columns): the leading dimensions expanded to `lead`, all but the last merged.
Tensor four(const Tensor& x, const Dims& lead) {
  Dims shape = lead;
  shape.push(x.size(-2));
  shape.push(x.size(-1));
  const Tensor y = x.shape() == shape ? x : expand(x, shape);
  if (lead.n == 2) return y;
  int64_t B = 1;
  for (int i = 0; i + 1 < lead.n; ++i) B *= lead.v[i];
  return reshape(y, {B, lead.n ? lead.back() : 1, x.size(-2), x.size(-1)});
}
Dims leading(const Tensor& t) {
  Dims d = t.shape();
  d.n -= 2;
  return d;
}

void check_inputs(const Tensor& q, const Tensor& k, const Tensor& v, double p) {
  check(q.dim() >= 2 && k.dim() >= 2 && v.dim() >= 2, ErrorKind::shape, kName,
        ": expected query, key and value with at least 2 dimensions (..., length, features), got ",
        q, ", ", k, " and ", v);
  check(q.dtype() == k.dtype() && k.dtype() == v.dtype(), ErrorKind::dtype, kName,
        ": expected query, key and value of one dtype, got ", q, ", ", k, " and ", v);
  check(is_floating(q.dtype()), ErrorKind::dtype, kName, ": expected floating tensors, got ", q,
        "; convert with .float()");
  check(q.size(-1) == k.size(-1), ErrorKind::shape, kName, ": query ", q, " and key ", k,
        " differ in their last dimension");
  check(k.size(-2) == v.size(-2), ErrorKind::shape, kName, ": key ", k, " and value ", v,
        " differ in length (dimension -2)");
  check(p >= 0 && p <= 1, ErrorKind::value, kName,
        ": dropout probability has to be between 0 and 1, but got ", p);
}

// The leading dimensions of query and of key and value, which differ in the heads with gqa.
void lead_dims(const Tensor& q, const Tensor& k, const Tensor& v, bool gqa, Dims* ql, Dims* kl) {
  const Dims a = leading(q), b = leading(k), c = leading(v);
  if (!gqa) {
    *ql = *kl = broadcast_shapes(kName, a, broadcast_shapes(kName, b, c));
    return;
  }
  check(a.n && b.n && c.n, ErrorKind::shape, kName,
        ": enable_gqa needs (..., heads, length, features), got ", q, ", ", k, " and ", v);
  check(b.back() == c.back() && b.back() > 0 && a.back() % b.back() == 0, ErrorKind::shape, kName,
        ": with enable_gqa the heads of key and value (dimension -3) have to be the same number and"
        " divide those of query, got ",
        a.back(), " query, ", b.back(), " key and ", c.back(), " value heads");
  const auto front = [](Dims d) {
    --d.n;
    return d;
  };
  *ql = *kl = broadcast_shapes(kName, front(a), broadcast_shapes(kName, front(b), front(c)));
  ql->push(a.back());
  kl->push(b.back());
}

// A mask whose rows' elements are adjacent: (B, H, L, S), strides 0 where it is broadcast.
Tensor full_mask(const Tensor& mask, const Dims& lead, int64_t L, int64_t S) {
  Dims want = lead;
  want.push(L);
  want.push(S);
  bool fits = mask.dim() <= want.n;
  for (int i = 1; fits && i <= mask.dim(); ++i)
    fits = mask.size(-i) == 1 || mask.size(-i) == want[-i];
  check(fits, ErrorKind::shape, kName, ": attn_mask ", mask, " does not broadcast to ", want);
  Tensor m = mask;
  if (m.dim() == 0) m = reshape(m, {1});
  if (m.size(-1) != S) {
    Dims whole_rows = m.shape();
    whole_rows[-1] = S;
    m = expand(m, whole_rows);
  }
  if (S > 1 && m.stride(-1) != 1) m = contiguous(m);
  m = expand(m, want);
  if (lead.n == 2) return m;
  int64_t B = 1;
  for (int i = 0; i + 1 < lead.n; ++i) B *= lead.v[i];
  return reshape(m, {B, lead.n ? lead.back() : 1, L, S});
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const std::optional<Tensor>& mask, double dropout_p,
                                    bool causal, std::optional<double> scale, bool gqa,
                                    GeneratorRef g) {
  check_inputs(q, k, v, dropout_p);
  Dims ql, kl;
  lead_dims(q, k, v, gqa, &ql, &kl);
  const bool masks = mask && grad_enabled() && needs_grad(*mask);  // composed in float32
  const bool narrow = q.size(-1) <= 128 && q.size(-1) % 8 == 0 && v.size(-1) <= 128 &&
                      v.size(-1) % 8 == 0 && !masks;  // what tensor cores take
  const DType t = q.dtype() == DType::float64 ? DType::float64
                  : narrow                    ? computed_in(kAttention, q)
                                              : DType::float32;
  const auto prepare = [&](const Tensor& x, const Dims& lead) {
    return rows_adjacent(four(to_dtype(x, t), lead));
  };
  const Tensor q4 = prepare(q, ql), k4 = prepare(k, kl), v4 = prepare(v, kl);
  Tensor m;
  if (mask) {
    check(mask->dtype() == DType::boolean || mask->dtype() == DType::float32 ||
              mask->dtype() == q.dtype(),
          ErrorKind::dtype, kName, ": expected attn_mask of dtype bool, float32 or query's, got ",
          *mask, " with query ", q);
    m = full_mask(mask->dtype() == DType::boolean ? *mask : to_dtype(*mask, kept_dtype(t)), ql,
                  q.size(-2), k.size(-2));
  }
  AttentionOpArgs op{};
  op.p = dropout_p;
  op.scale = scale ? *scale : 1 / std::sqrt(double(q.size(-1)));
  op.causal = causal;
  if (dropout_p > 0) {
    Generator& from = g ? *g : default_generator();
    const int64_t groups = blocks(k4.size(2), 64);
    op.key = from.take(uint64_t(q4.size(0) * q4.size(1) * q4.size(2) * groups * 8));
  }
  Tensor y;
  if (m.defined() && grad_enabled() && needs_grad(m))
    y = composed(q4, k4, v4, m, op);
  else
    y = in_order(q4,
                 run(make_call(kAttention, std::initializer_list<Tensor>{q4, k4, v4, m}, op))[0]);
  if (ql.n != 2) {
    Dims shape = ql;
    shape.push(q.size(-2));
    shape.push(v.size(-1));
    y = reshape(y, shape);
  }
  return to_dtype(y, q.dtype());
}

}  // namespace lamina
