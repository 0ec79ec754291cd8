// Attention backward (Dao et al., "FlashAttention", NeurIPS 2022), from g = d loss / d y and the
// forward's y and lse, with p and z as in attention_cpu.h:
//   p_ij = exp(s_ij - lse_i),   delta_i = <g_i, y_i>,   ds_ij = p_ij (z_ij <g_i, v_j> - delta_i)
//   gv_j = sum_i p_ij z_ij g_i,   gq_i = scale sum_j ds_ij k_j,   gk_j = scale sum_i ds_ij q_i
// Tiles as in the forward; scores and probabilities are made again. One pass over the tiles, key
// blocks outside, gives all three (5 products per tile); with too few heads for the threads there
// are two, one by key blocks for gk and gv, one by query blocks for gq (7 products). Sums run in
// the same order in both, so the bits are the same.
// Cost: 2.5 times the forward's operations, L S exponentials per head; scratch: two tiles, the keys
// and values transposed, gq of a group of heads.
#pragma once
#include "kernels/vec_attention.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
struct Tiles {
  using T = Scalar<V>;
  const AttentionArgs& a;
  RoundKeys keys;
  T* room;  // what is left of the scratch
  T *p, *ds, *bias, *kept;
  KeyBlocks<V> kt, vt;

  T* take(int64_t n) {
    T* const taken = room;
    room += whole(n, 16);
    return taken;
  }
  Tiles(const AttentionArgs& args, void* scratch, int64_t key_blocks)
      : a(args), keys(args.seed), room(static_cast<T*>(scratch)) {
    p = take(kAttentionQueries * kAttentionKeys);
    ds = take(kAttentionQueries * kAttentionKeys);
    bias = take(kAttentionKeys);
    kept = take(kAttentionKeys);
    kt = {&a.k, a.D, a.S, take(key_blocks * kAttentionKeys * a.D + 16)};
    vt = {&a.v, a.E, a.S, take(key_blocks * kAttentionKeys * a.E + 16)};
  }

  // Scores and <g, v> of queries [i0, i0 + rows), keys [j0, j0 + n) -> p z and ds. scores: whether
  // ds is wanted.
  void make(const T* k_block, const T* v_block, int64_t width, int64_t b, int64_t h, int64_t i0,
            int64_t rows, int64_t j0, int64_t n, bool scores) {
    constexpr int L = kLanes<V>;
    const int64_t padded = whole(n, kKeyStep);
    product<T>(a, rows, padded, a.D, {rows_at<T>(a.q, b, h, i0), a.q.row, 1}, {k_block, width, 1},
               p, kAttentionKeys, false, room);
    if (scores)
      product<T>(a, rows, padded, a.E, {rows_at<T>(a.g, b, h, i0), a.g.row, 1}, {v_block, width, 1},
                 ds, kAttentionKeys, false, room);
    const V scale = set1<V>(T(a.scale * kScoreUnit<V>));
    const int64_t first = (b * a.H + h) * a.L + i0;
    const T* lse = static_cast<const T*>(a.lse) + first;
    const T* delta = static_cast<const T*>(a.delta) + first;
    const T* added = nullptr;
    for (int64_t row = 0; row < rows; ++row) {
      T *x = p + row * kAttentionKeys, *d = ds + row * kAttentionKeys;
      const int64_t valid = seen(a, i0 + row, j0, n);
      if (row == 0 || a.mask.row) added = mask_row<V>(a, b, h, i0 + row, j0, n, bias);
      if (a.threshold) keep_row<V>(a, keys, first + row, j0, valid, kept);
      const V base = set1<V>(-lse[row]), mean = set1<V>(delta[row]);
      for (int64_t j = 0; j < valid; j += L) {
        V s = fma(load<V>(x + j), scale, base);
        if (added) s = s + load<V>(added + j);
        V probability = exp_unit(s);
        if (valid - j < L) probability = select(first_lanes<V>(valid - j), probability, V{});
        V gz = load<V>(d + j), pz = probability;
        if (a.threshold) {
          const V z = load<V>(kept + j);
          gz = gz * z;
          pz = pz * z;
        }
        store(x + j, pz);
        store(d + j, probability * (gz - mean));
      }
      for (int64_t j = whole(valid, L); j < n; j += L) {
        store(x + j, V{});
        store(d + j, V{});
      }
      if (a.S == 1 || (a.causal && i0 + row == 0)) store(d, V{});  // one key: p = 1 whatever s
    }
  }
};

// to[r] = factor * from[r], rows of n adjacent elements.
template <class V>
static void put_rows(Scalar<V>* to, int64_t step, const Scalar<V>* from, int64_t rows, int64_t n,
                     double factor) {
  constexpr int L = kLanes<V>;
  const V f = set1<V>(Scalar<V>(factor));
  for (int64_t r = 0; r < rows; ++r, to += step, from += n)
    for (int64_t c = 0; c < n; c += L) {
      const int w = int(least(L, n - c));
      store(to + c, load<V>(from + c, w) * f, w);
    }
}

// gk and gv of the keys from j0 on; with gq, its sums over these keys too: (group, L, D).
template <class V>
static void key_block(Tiles<V>& t, Scalar<V>* sums, int64_t b, int64_t head, int64_t j0,
                      Scalar<V>* gq) {
  using T = Scalar<V>;
  const AttentionArgs& a = t.a;
  const int64_t keys = least(kAttentionKeys, a.S - j0), width = whole(keys, kKeyStep);
  T *const gk = sums, *const gv = sums + kAttentionKeys * a.D;
  for (int64_t i = 0; i < kAttentionKeys * (a.D + a.E); ++i) sums[i] = 0;
  const bool scores = a.gq.p || a.gk.p;
  t.kt.count = t.vt.count = 0;  // room for one block: this one
  t.kt.b = t.vt.b = b;
  t.kt.h = t.vt.h = head;
  t.kt.pack(j0 / kAttentionKeys, t.kt.made);
  if (scores) t.vt.pack(j0 / kAttentionKeys, t.vt.made);
  const int64_t start = a.causal ? j0 / a.queries * a.queries : 0;
  for (int64_t member = 0; member < a.group; ++member) {
    const int64_t h = head * a.group + member;
    for (int64_t i0 = start; i0 < a.L; i0 += a.queries) {
      const int64_t rows = least(a.queries, a.L - i0);
      const int64_t n = a.causal ? least(keys, i0 + rows - j0) : keys;
      if (!tile_seen(a, b, h, i0, rows, j0, n)) continue;
      t.make(t.kt.made, t.vt.made, width, b, h, i0, rows, j0, n, scores);
      if (a.gv.p)
        product<T>(a, n, a.E, rows, {t.p, 1, kAttentionKeys},
                   {rows_at<T>(a.g, b, h, i0), a.g.row, 1}, gv, a.E, true, t.room);
      if (a.gk.p)
        product<T>(a, n, a.D, rows, {t.ds, 1, kAttentionKeys},
                   {rows_at<T>(a.q, b, h, i0), a.q.row, 1}, gk, a.D, true, t.room);
      if (gq)
        product<T>(a, rows, a.D, n, {t.ds, kAttentionKeys, 1},
                   {rows_at<T>(a.k, b, head, j0), a.k.row, 1}, gq + (member * a.L + i0) * a.D, a.D,
                   true, t.room);
    }
  }
  if (a.gk.p) put_rows<V>(rows_at<T>(a.gk, b, head, j0), a.gk.row, gk, keys, a.D, a.scale);
  if (a.gv.p) put_rows<V>(rows_at<T>(a.gv, b, head, j0), a.gv.row, gv, keys, a.E, 1);
}

template <class V>
static void grad_keys(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch) {
  Tiles<V> t(a, scratch, 1);
  Scalar<V>* const sums = t.take(kAttentionKeys * (a.D + a.E));
  const int64_t blocks = (a.S + kAttentionKeys - 1) / kAttentionKeys, heads = a.H / a.group;
  for (int64_t task = begin; task < end; ++task)
    key_block<V>(t, sums, task / blocks / heads, task / blocks % heads,
                 task % blocks * kAttentionKeys, nullptr);
}

template <class V>
static void grad(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch) {
  using T = Scalar<V>;
  Tiles<V> t(a, scratch, 1);
  T* const sums = t.take(kAttentionKeys * (a.D + a.E));
  T* const gq = t.take(a.group * a.L * a.D);
  const int64_t heads = a.H / a.group;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t b = task / heads, head = task % heads;
    for (int64_t i = 0; i < a.group * a.L * a.D; ++i) gq[i] = 0;
    for (int64_t j0 = 0; j0 < a.S; j0 += kAttentionKeys) key_block<V>(t, sums, b, head, j0, gq);
    for (int64_t m = 0; m < a.group; ++m)
      put_rows<V>(rows_at<T>(a.gq, b, head * a.group + m, 0), a.gq.row, gq + m * a.L * a.D, a.L,
                  a.D, a.scale);
  }
}

template <class V>
static void grad_queries(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch) {
  using T = Scalar<V>;
  Tiles<V> t(a, scratch, (a.S + kAttentionKeys - 1) / kAttentionKeys);
  T* const gq = t.take(kAttentionQueries * a.D);
  const int64_t blocks = (a.L + a.queries - 1) / a.queries;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t b = task / blocks / a.H, h = task / blocks % a.H, head = h / a.group;
    const int64_t i0 = task % blocks * a.queries;
    const int64_t rows = least(a.queries, a.L - i0);
    const int64_t limit = a.causal ? least(a.S, i0 + rows) : a.S;
    for (int64_t i = 0; i < rows * a.D; ++i) gq[i] = 0;
    for (int64_t j0 = 0; j0 < limit; j0 += kAttentionKeys) {
      const int64_t n = least(kAttentionKeys, limit - j0), block = j0 / kAttentionKeys;
      if (!tile_seen(a, b, h, i0, rows, j0, n)) continue;
      t.make(t.kt.block(b, head, block), t.vt.block(b, head, block),
             whole(least(kAttentionKeys, a.S - j0), kKeyStep), b, h, i0, rows, j0, n, true);
      product<T>(a, rows, a.D, n, {t.ds, kAttentionKeys, 1},
                 {rows_at<T>(a.k, b, head, j0), a.k.row, 1}, gq, a.D, true, t.room);
    }
    put_rows<V>(rows_at<T>(a.gq, b, h, i0), a.gq.row, gq, rows, a.D, a.scale);
  }
}

template <class V>
static void delta(const AttentionArgs& a, int64_t begin, int64_t end, void*) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t b = row / a.L / a.H, h = row / a.L % a.H, i = row % a.L;
    const T *g = rows_at<T>(a.g, b, h, i), *y = rows_at<T>(a.y, b, h, i);
    V sum{};
    for (int64_t c = 0; c < a.E; c += L) {
      const int n = int(least(L, a.E - c));
      sum = fma(load<V>(g + c, n), load<V>(y + c, n), sum);
    }
    static_cast<T*>(a.delta)[row] = hsum(sum);
  }
}

template <class V>
static void fill(AttentionKernels& k, int compute) {
  k.delta[compute] = delta<V>;
  k.grad[compute] = grad<V>;
  k.grad_keys[compute] = grad_keys<V>;
  k.grad_queries[compute] = grad_queries<V>;
}

}  // namespace

void fill_attention_grad(Kernels& k) {
  fill<F32>(k.attention, kF32);
  fill<F64>(k.attention, kF64);
}

}  // namespace lamina::LAMINA_ISA
