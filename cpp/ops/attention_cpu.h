// Attention forward: y_i = sum_j p_ij z_ij v_j,  p_ij = exp(s_ij) / sum_j exp(s_ij),
// s_ij = scale <q_i, k_j> + mask_ij, z dropout's factors (0 or 1 / (1 - p)).
//
// Tiles of scores, a.queries x kAttentionKeys (Dao et al., "FlashAttention", NeurIPS 2022;
// Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018): along the keys, each
// row keeps m = max s, l = sum exp(s - m) and o = sum exp(s - m) z v; when m grows, l and o are
// multiplied by exp(m_old - m). Then y = o / l. Scores are never stored; m + log l is, for
// backward. A query that sees no key gets y = 0. Tiles that a bool mask empties and causal ones
// above the diagonal are not made, those on the diagonal only as wide as their last row.
//
// Cost: 2 L S (D + E) operations and L S exponentials per head, half of it when causal; scratch:
// one tile and the keys, transposed once per range of tasks. With up to three queries keys are
// read where they lie; one query without mask (a decoder's step) has a loop of its own.
#pragma once
#include "kernels/vec_attention.h"

namespace lamina::LAMINA_ISA {
namespace {

// The state of the queries of a block.
template <class V>
struct Rows {
  using T = Scalar<V>;
  T *o, *m, *l, *alpha;  // (rows, E), (rows) each
  T *bias, *kept;        // (kAttentionKeys) each
  int64_t b, h, i0, rows;
};

// One tile: scores (rows, kAttentionKeys) -> exp(s - m) z, zero past the keys a query sees up to n;
// r.m, r.l are brought up to date, r.alpha = exp(m_old - m). Whether some alpha is not 1.
template <class V>
static bool softmax_tile(const AttentionArgs& a, const RoundKeys& keys, const Rows<V>& r,
                         Scalar<V>* tile, int64_t j0, int64_t n, bool more) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>;
  const T none = kMinusInfinity<V>, unit = T(a.scale * kScoreUnit<V>);
  const T* bias = nullptr;
  // Scores are multiplied by `scale` on the way: after the maximum, unless they change before it.
  const bool ahead = a.mask_kind != kNoMask || !(unit > 0);
  const V scale = set1<V>(ahead ? T(1) : unit);
  bool grown = false;
  for (int64_t row = 0; row < r.rows; ++row) {
    T* s = tile + row * kAttentionKeys;
    const int64_t i = r.i0 + row, valid = seen(a, i, j0, n), full = valid / L * L;
    if (row == 0 || a.mask.row) bias = mask_row<V>(a, r.b, r.h, i, j0, n, r.bias);
    if (ahead)
      for (int64_t j = 0; j < valid; j += L) {
        const V x = load<V>(s + j) * set1<V>(unit);
        store(s + j, bias ? x + load<V>(bias + j) : x);
      }
    V top = set1<V>(none);
    for (int64_t j = 0; j < full; j += L) top = max(top, load<V>(s + j));
    if (full < valid) {  // lanes past the last key count as -inf from here on
      const V x = select(first_lanes<V>(valid - full), load<V>(s + full), set1<V>(none));
      store(s + full, x);
      top = max(top, x);
    }
    const T before = r.m[row], highest = (max_across(top) * scale)[0];
    const T m = highest > before ? highest : before, base = m == none ? 0 : m;
    V sum{};
    if (a.threshold) keep_row<V>(a, keys, (r.b * a.H + r.h) * a.L + i, j0, valid, r.kept);
    for (int64_t j = 0; j < valid; j += L) {
      V p = exp_unit(fma(load<V>(s + j), scale, set1<V>(-base)));
      sum = sum + p;
      if (a.threshold) p = p * load<V>(r.kept + j);
      store(s + j, p);
    }
    for (int64_t j = whole(valid, L); j < n; j += L) store(s + j, V{});
    r.m[row] = m;
    r.alpha[row] = before - base;
    grown |= m != before;
    r.kept[kAttentionKeys + row] = sum_across(sum)[0];
  }
  if (!grown && more) {
    for (int64_t row = 0; row < r.rows; ++row) r.l[row] += r.kept[kAttentionKeys + row];
    return false;
  }
  for (int64_t row = 0; row < r.rows; row += L) {
    const V alpha = exp_unit(load<V>(r.alpha + row));
    store(r.alpha + row, alpha);
    store(r.l + row, fma(load<V>(r.l + row), alpha, load<V>(r.kept + kAttentionKeys + row)));
  }
  return true;
}

template <class V>
static void scale_rows(const Rows<V>& r, int64_t E) {
  constexpr int L = kLanes<V>;
  for (int64_t row = 0; row < r.rows; ++row) {
    if (r.alpha[row] == 1) continue;
    const V alpha = set1<V>(r.alpha[row]);
    Scalar<V>* o = r.o + row * E;
    for (int64_t c = 0; c < E; c += L)
      if (E - c >= L)
        store(o + c, load<V>(o + c) * alpha);
      else
        store(o + c, load<V>(o + c, int(E - c)) * alpha, int(E - c));
  }
}

template <class V>
static void finish(const AttentionArgs& a, const Rows<V>& r) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>;
  T* lse = static_cast<T*>(a.lse) + (r.b * a.H + r.h) * a.L + r.i0;
  for (int64_t row = 0; row < r.rows; row += L) {
    const int n = int(least(L, r.rows - row));
    const V m = load<V>(r.m + row), l = load<V>(r.l + row);
    // Nothing seen: exp(s - lse) is to be 0 in backward.
    const Mask<V> empty = l == V{};
    store(lse + row, select(empty, set1<V>(-kMinusInfinity<V>), m + log_unit(l)), n);
    store(r.l + row, select(empty, V{}, set1<V>(1) / l));
  }
  for (int64_t row = 0; row < r.rows; ++row) {
    T* y = rows_at<T>(a.y, r.b, r.h, r.i0 + row);
    const T* o = r.o + row * a.E;
    const V factor = set1<V>(r.l[row]);
    for (int64_t c = 0; c < a.E; c += L) {
      const int n = int(least(L, a.E - c));
      const V x = r.l[row] == 0 ? V{} : load<V>(o + c, n) * factor;
      store(y + c, x, n);
    }
  }
}

// One query that sees every key, S at most kOneQueryKeys: all scores at once, each read of a key
// and of a value at the speed of memory. s: room for S scores and a vector.
constexpr int64_t kOneQueryKeys = kAttentionQueries * kAttentionKeys - 64;
template <class V, int vectors>
static void weighted_values(const AttentionArgs& a, const Scalar<V>* p, const Scalar<V>* v,
                            Scalar<V> factor, Scalar<V>* y, int last) {
  constexpr int L = kLanes<V>;
  V o[vectors] = {};
  for (int64_t j = 0; j < a.S; ++j, v += a.v.row) {
    const V w = set1<V>(p[j]);
#pragma GCC unroll 4
    for (int t = 0; t < vectors; ++t)
      o[t] = fma(w, t + 1 < vectors || last == L ? load<V>(v + t * L) : load<V>(v + t * L, last),
                 o[t]);
  }
#pragma GCC unroll 4
  for (int t = 0; t < vectors; ++t) {
    const V x = factor == 0 ? V{} : o[t] * set1<V>(factor);
    store(y + t * L, x, t + 1 < vectors ? L : last);
  }
}
template <class V>
static void attend_one(const AttentionArgs& a, int64_t b, int64_t h, Scalar<V>* s) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>;
  constexpr int kKeys = 4;
  const int64_t head = h / a.group;
  const T *q = rows_at<T>(a.q, b, h, 0), *k = rows_at<T>(a.k, b, head, 0);
  const T unit = T(a.scale * kScoreUnit<V>);
  V top = set1<V>(kMinusInfinity<V>);
  for (int64_t j = 0; j < a.S; j += kKeys) {
    const int64_t most = least(kKeys, a.S - j) - 1;
    const T* row[kKeys];
    for (int t = 0; t < kKeys; ++t) row[t] = k + (j + least(t, most)) * a.k.row;
    V dot[kKeys] = {};
    int64_t c = 0;
    for (; c + L <= a.D; c += L) {
      const V x = load<V>(q + c);
#pragma GCC unroll 4
      for (int t = 0; t < kKeys; ++t) dot[t] = fma(x, load<V>(row[t] + c), dot[t]);
    }
    if (const int rest = int(a.D - c)) {
      const V x = load<V>(q + c, rest);
      for (int t = 0; t < kKeys; ++t) dot[t] = fma(x, load<V>(row[t] + c, rest), dot[t]);
    }
    for (int64_t t = 0; t <= most; ++t) {
      const V score = sum_across(dot[t]) * set1<V>(unit);
      s[j + t] = score[0];
      top = max(top, score);
    }
  }
  const T m = top[0], base = m == kMinusInfinity<V> ? 0 : m;
  store(s + a.S, set1<V>(kMinusInfinity<V>));
  V sum{};
  for (int64_t j = 0; j < a.S; j += L) {
    const V p = exp_unit(load<V>(s + j) - set1<V>(base));
    sum = sum + p;
    store(s + j, p);
  }
  const T l = sum_across(sum)[0];
  // Nothing seen: y = 0, and exp(s - lse) is to be 0 in backward.
  static_cast<T*>(a.lse)[b * a.H + h] =
      l == 0 ? -kMinusInfinity<V> : (set1<V>(m) + log_unit(set1<V>(l)))[0];
  const T factor = l == 0 ? 0 : 1 / l;
  const T* v = rows_at<T>(a.v, b, head, 0);
  T* y = rows_at<T>(a.y, b, h, 0);
  for (int64_t c = 0; c < a.E; c += 4 * L) {
    const int64_t n = least(4 * L, a.E - c), vectors = whole(n, L) / L;
    const int last = int(n - (vectors - 1) * L);
    const auto run = vectors == 4   ? weighted_values<V, 4>
                     : vectors == 3 ? weighted_values<V, 3>
                     : vectors == 2 ? weighted_values<V, 2>
                                    : weighted_values<V, 1>;
    run(a, s, v + c, factor, y + c, last);
  }
}

template <class V>
static void attention(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch) {
  using T = Scalar<V>;
  const int64_t blocks = (a.L + a.queries - 1) / a.queries;
  const RoundKeys keys(a.seed);
  T* room = static_cast<T*>(scratch);
  const auto take = [&](int64_t n) {
    T* const p = room;
    room += whole(n, 16);
    return p;
  };
  T* const tile = take(kAttentionQueries * kAttentionKeys);
  KeyBlocks<V> kt{&a.k, a.D, a.S, take(whole(a.S, kAttentionKeys) * a.D + 16)};
  Rows<V> r{};
  r.o = take(kAttentionQueries * a.E);
  r.m = take(kAttentionQueries);
  r.l = take(kAttentionQueries);
  r.alpha = take(kAttentionQueries);
  r.bias = take(kAttentionKeys);
  r.kept = take(kAttentionKeys + kAttentionQueries);  // a row's factors; the rows' sums
  if (a.L == 1 && !a.causal && a.mask_kind == kNoMask && !a.threshold && a.S <= kOneQueryKeys) {
    for (int64_t task = begin; task < end; ++task) attend_one<V>(a, task / a.H, task % a.H, tile);
    return;
  }
  const bool few = a.L <= 3;
  for (int64_t task = begin; task < end; ++task) {
    r.b = task / blocks / a.H;
    r.h = task / blocks % a.H;
    r.i0 = task % blocks * a.queries;
    r.rows = least(a.queries, a.L - r.i0);
    for (int i = 0; i < kAttentionQueries; ++i) {
      r.m[i] = kMinusInfinity<V>;
      r.l[i] = r.alpha[i] = 0;
      r.kept[kAttentionKeys + i] = 0;
    }
    const int64_t head = r.h / a.group;
    const int64_t limit = a.causal ? least(a.S, a.past + r.i0 + r.rows) : a.S;
    const Matrix<T> q{rows_at<T>(a.q, r.b, r.h, r.i0), a.q.row, 1};
    bool more = false;  // than the first tile
    for (int64_t j0 = 0; j0 < limit; j0 += kAttentionKeys) {
      const int64_t n = least(kAttentionKeys, limit - j0);
      if (!tile_seen(a, r.b, r.h, r.i0, r.rows, j0, n)) continue;
      if (few) {
        product<T>(a, r.rows, n, a.D, q, {rows_at<T>(a.k, r.b, head, j0), 1, a.k.row}, tile,
                   kAttentionKeys, false, room);
      } else {
        const int64_t width = whole(least(kAttentionKeys, a.S - j0), kKeyStep);
        product<T>(a, r.rows, whole(n, kKeyStep), a.D, q,
                   {kt.block(r.b, head, j0 / kAttentionKeys), width, 1}, tile, kAttentionKeys,
                   false, room);
      }
      if (softmax_tile<V>(a, keys, r, tile, j0, n, more) && more) scale_rows<V>(r, a.E);
      product<T>(a, r.rows, a.E, n, {tile, kAttentionKeys, 1},
                 {rows_at<T>(a.v, r.b, head, j0), a.v.row, 1}, r.o, a.E, more, room);
      more = true;
    }
    finish<V>(a, r);
  }
}

// The factors themselves, row by row.
template <class V>
static void keep(const AttentionArgs& a, int64_t begin, int64_t end, void*) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>;
  const RoundKeys keys(a.seed);
  T z[kDropoutGroup];
  for (int64_t row = begin; row < end; ++row) {
    T* y = static_cast<T*>(a.y.p) + row * a.S;
    for (int64_t j = 0; j < a.S; j += kDropoutGroup) {
      keep_row<V>(a, keys, row, j, 1, z);
      const int64_t n = least(kDropoutGroup, a.S - j);
      for (int64_t t = 0; t < n; t += L) store(y + j + t, load<V>(z + t), int(least(L, n - t)));
    }
  }
}

}  // namespace

void fill_attention(Kernels& k) {
  k.attention.forward[kF32] = attention<F32>;
  k.attention.forward[kF64] = attention<F64>;
  k.attention.keep[kF32] = keep<F32>;
  k.attention.keep[kF64] = keep<F64>;
}

}  // namespace lamina::LAMINA_ISA
