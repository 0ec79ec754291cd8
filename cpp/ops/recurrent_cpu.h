// Recurrent cells, forward: one time step of some rows (sequences) of a batch.
//   RNN   h' = f(x + W h)                                     f = tanh or max(0, .)
//   LSTM  i, f, o = sigmoid(x_k + W_k h), g = tanh(x_g + W_g h);  c' = f c + i g,  h' = o tanh(c')
//   GRU   r, z = sigmoid(x_k + W_k h);  n = tanh(x_n + r (W_n h + b))  or  tanh(x_n + W_n (r h))
//         h' = (1 - z) n + z h
// x holds the input's projections and the biases, made for all steps by one matrix product.
//
// W h and the gates are fused: for a block of kNR units, the products of all gates go to a scratch
// that stays in L1 and the gates' functions are applied to them there. W is packed once for all
// steps into panels [k][kNR]. Every product is one chain of multiply-adds over k within blocks of
// kGemmDepth, as in matmul_cpu.h, whatever the rows are.
// Cost: 2 rows K gates H operations; the panels are read once for every kRecurrentRows rows.
#pragma once
#include "kernels/vec_gates.h"
#include "kernels/vec_moments.h"
#include "kernels/vec_pack.h"
#include "kernels/vec_tile.h"

namespace lamina::LAMINA_ISA {
namespace {

constexpr int kRecurrentMR = kPairRows;
template <class V>
constexpr int kRecurrentNR = 2 * kLanes<V>;

template <class V>
static void recurrent_pack(const RecurrentPack& p, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  constexpr int NR = kRecurrentNR<V>;
  const int64_t blocks = (p.H + NR - 1) / NR;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t gate = i / blocks, j = i % blocks * NR;
    const int n = p.H - j < NR ? int(p.H - j) : NR;
    pack_any<V>(static_cast<const T*>(p.b) + (gate * p.H + j) * p.b_col, p.b_col, p.b_k, n, p.K,
                static_cast<T*>(p.panels) + i * p.K * NR, NR);
  }
}

// c[i * c_row + g * c_gate + j] (+)= sum_k a[k * R + i] b[g * b_gate + k * NR + j] for R rows and
// G panels. Columns past `columns` of the last panel are left alone.
template <class V, int R, int G>
static void recurrent_tile(const Scalar<V>* a, const Scalar<V>* b, int64_t b_gate, int64_t depth,
                           Scalar<V>* c, int64_t c_row, int64_t c_gate, int columns, bool add) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>, NR = kRecurrentNR<V>;
  V acc[R][G][2];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) acc[i][g][0] = acc[i][g][1] = V{};
  for (int64_t k = 0; k < depth; ++k) {
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      const V b0 = load<V>(b + g * b_gate), b1 = load<V>(b + g * b_gate + L);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const V av = set1<V>(a[i]);
        acc[i][g][0] = fma(av, b0, acc[i][g][0]);
        acc[i][g][1] = fma(av, b1, acc[i][g][1]);
      }
    }
    a += R;
    b += NR;
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        T* const to = c + i * c_row + g * c_gate + v * L;
        const int n = columns - v * L;
        if (n >= L)
          store(to, add ? load<V>(to) + acc[i][g][v] : acc[i][g][v]);
        else if (n > 0)
          store(to, add ? load<V>(to, n) + acc[i][g][v] : acc[i][g][v], n);
      }
}

template <class V>
using RecurrentTile = void (*)(const Scalar<V>*, const Scalar<V>*, int64_t, int64_t, Scalar<V>*,
                               int64_t, int64_t, int, bool);
// Few rows take all gates at once: one row of one panel would wait for its own additions.
template <int R>
constexpr int kRecurrentTogether = kRecurrentMR >= 12 ? (R <= 3 ? 4 : 1) : (R == 1 ? 4 : 1);
template <class V, int R>
static constexpr void fill_recurrent_tiles(RecurrentTile<V> (*table)[4]) {
  table[R - 1][0] = recurrent_tile<V, R, 1>;
  if constexpr (kRecurrentTogether<R> > 1) {
    table[R - 1][1] = recurrent_tile<V, R, 2>;
    table[R - 1][2] = recurrent_tile<V, R, 3>;
    table[R - 1][3] = recurrent_tile<V, R, 4>;
  }
  if constexpr (R > 1) fill_recurrent_tiles<V, R - 1>(table);
}
template <class V>
struct RecurrentTiles {
  RecurrentTile<V> f[kRecurrentMR][4] = {};  // rows, panels
  constexpr RecurrentTiles() { fill_recurrent_tiles<V, kRecurrentMR>(f); }
};
template <class V>
constexpr RecurrentTiles<V> kRecurrentTiles;

// Rows packed for the tiles: tiles of nearly equal heights, each [k][height].
template <class V>
struct RecurrentRows {
  using T = Scalar<V>;
  int64_t rows, K, heights;
  T* packed;
  int64_t first(int64_t h) const {
    const int64_t q = rows / heights, r = rows % heights;
    return h * q + (h < r ? h : r);
  }
  void pack(const T* a, int64_t a_row, int64_t m, int64_t k, T* to) {
    rows = m;
    K = k;
    heights = (m + kRecurrentMR - 1) / kRecurrentMR;
    packed = to;
    for (int64_t h = 0; h < heights; ++h) {
      const int64_t i = first(h);
      const int n = int(first(h + 1) - i);
      pack_any<V>(a + i * a_row, a_row, 1, n, k, to + i * k, n);
    }
  }
  // `gates` panels, b_gate apart, of which rows [k, k + depth) meet k's [from, from + depth).
  void times(const T* b, int64_t b_gate, int gates, int64_t from, int64_t depth, T* c,
             int64_t c_row, int64_t c_gate, int columns, bool add) const {
    constexpr int NR = kRecurrentNR<V>;
    for (int64_t h = 0; h < heights; ++h) {
      const int64_t i = first(h);
      const int n = int(first(h + 1) - i);
      const T* const a = packed + i * K + from * n;
      T* const to = c + i * c_row;
      if (const RecurrentTile<V> all = kRecurrentTiles<V>.f[n - 1][gates - 1])
        all(a, b + from * NR, b_gate, depth, to, c_row, c_gate, columns, add);
      else
        for (int g = 0; g < gates; ++g)
          kRecurrentTiles<V>.f[n - 1][0](a, b + g * b_gate + from * NR, 0, depth, to + g * c_gate,
                                         c_row, 0, columns, add);
    }
  }
};

// ---- the functions of the gates ----------------------------------------------------------------
constexpr int kPhaseCandidate = kRecurrentCells;

// Units [j, j + n) of a row, up to a vector of them: p[g * gate] are the products with the state.
template <class V, int phase>
[[gnu::always_inline]] inline void recurrent_units(const RecurrentStep& s, int64_t row, int64_t j,
                                                   int n, const Scalar<V>* p, int64_t gate) {
  using T = Scalar<V>;
  const int64_t H = s.H, at = row * H + j;
  T* const y = static_cast<T*>(s.y) + at;
  if constexpr (phase == kRnnTanh || phase == kRnnRelu) {
    const V v = load_some<V>(y, n) + load_some<V>(p, n);
    store_some(y, phase == kRnnTanh ? gate_tanh(v) : max(V{}, v), n);
    return;
  } else {
    T* const g = static_cast<T*>(s.gates) + row * s.gates_row + j;
    if constexpr (phase == kLstm) {
      const V i = gate_sigmoid(load_some<V>(g, n) + load_some<V>(p, n));
      const V f = gate_sigmoid(load_some<V>(g + H, n) + load_some<V>(p + gate, n));
      const V m = gate_tanh(load_some<V>(g + 2 * H, n) + load_some<V>(p + 2 * gate, n));
      const V o = gate_sigmoid(load_some<V>(g + 3 * H, n) + load_some<V>(p + 3 * gate, n));
      const V c = fma(f, load_some<V>(static_cast<const T*>(s.c) + at, n), i * m);
      store_some(g, i, n);
      store_some(g + H, f, n);
      store_some(g + 2 * H, m, n);
      store_some(g + 3 * H, o, n);
      store_some(static_cast<T*>(s.c_new) + at, c, n);
      store_some(y, o * gate_tanh(c), n);
      return;
    }
    const V h = load_some<V>(static_cast<const T*>(s.h) + at, n);
    V z, m;
    if constexpr (phase == kPhaseCandidate) {
      z = load_some<V>(g + H, n);
      m = gate_tanh(load_some<V>(g + 2 * H, n) + load_some<V>(p, n));
    } else {
      const V r = gate_sigmoid(load_some<V>(g, n) + load_some<V>(p, n));
      z = gate_sigmoid(load_some<V>(g + H, n) + load_some<V>(p + gate, n));
      store_some(g, r, n);
      store_some(g + H, z, n);
      if constexpr (phase == kGruBefore) {
        store_some(g + 3 * H, r * h, n);
        return;
      }
      V u = load_some<V>(p + 2 * gate, n);
      if (s.state_bias) u = u + load_some<V>(static_cast<const T*>(s.state_bias) + j, n);
      store_some(g + 3 * H, u, n);
      m = gate_tanh(fma(r, u, load_some<V>(g + 2 * H, n)));
    }
    store_some(g + 2 * H, m, n);
    store_some(y, fma(z, h - m, m), n);
  }
}

constexpr int recurrent_gates(int phase) {
  return phase == kLstm ? 4 : phase == kGru ? 3 : phase == kGruBefore ? 2 : 1;
}

template <class V, int phase>
static void recurrent_step(const RecurrentStep& given, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  constexpr int L = kLanes<V>, NR = kRecurrentNR<V>, G = recurrent_gates(phase);
  const int64_t H = given.H, K = given.K, blocks = (H + NR - 1) / NR;
  T* const products = static_cast<T*>(given.scratch);  // [row][gate][NR]
  for (int64_t r0 = 0; r0 < given.rows; r0 += kRecurrentRows) {
    RecurrentStep s = given;
    s.rows = given.rows - r0 < kRecurrentRows ? given.rows - r0 : kRecurrentRows;
    s.gates = static_cast<T*>(given.gates) + r0 * given.gates_row;
    s.y = static_cast<T*>(given.y) + r0 * H;
    if (given.h) s.h = static_cast<const T*>(given.h) + r0 * H;
    if (given.c) s.c = static_cast<const T*>(given.c) + r0 * H;
    if (given.c_new) s.c_new = static_cast<T*>(given.c_new) + r0 * H;
    RecurrentRows<V> a;
    if (s.panels)
      a.pack(static_cast<const T*>(s.a) + r0 * s.a_row, s.a_row, s.rows, K,
             products + s.rows * G * NR);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t j = block * NR;
      const T* p = products;
      int64_t row = G * NR, gate = NR;
      if (s.panels)
        for (int64_t k = 0; k == 0 || k < K; k += kGemmDepth)
          a.times(static_cast<const T*>(s.panels) + block * K * NR, blocks * K * NR, G, k,
                  K - k < kGemmDepth ? K - k : kGemmDepth, products, row, gate, NR, k > 0);
      else {
        row = s.product_row;
        gate = H;
        p = static_cast<const T*>(s.product) + r0 * row + j;
      }
      const int left = H - j < NR ? int(H - j) : NR;
      for (int64_t i = 0; i < s.rows; ++i, p += row) {
        if (left == NR) {
          recurrent_units<V, phase>(s, i, j, L, p, gate);
          recurrent_units<V, phase>(s, i, j + L, L, p + L, gate);
          continue;
        }
        for (int k = 0; k < left; k += L)
          recurrent_units<V, phase>(s, i, j + k, left - k < L ? left - k : L, p + k, gate);
      }
    }
  }
}

template <class V>
static void recurrent_product(const RecurrentProduct& p) {
  using T = Scalar<V>;
  constexpr int NR = kRecurrentNR<V>;
  for (int64_t r = 0; r < p.rows; r += kRecurrentRows) {
    const int64_t m = p.rows - r < kRecurrentRows ? p.rows - r : kRecurrentRows;
    T* const c = static_cast<T*>(p.c) + r * p.c_row;
    for (int64_t k = 0; k == 0 || k < p.K; k += kGemmDepth) {
      const int64_t depth = p.K - k < kGemmDepth ? p.K - k : kGemmDepth;
      RecurrentRows<V> a;
      a.pack(static_cast<const T*>(p.a) + r * p.a_row + k, p.a_row, m, depth,
             static_cast<T*>(p.scratch));
      for (int64_t j = 0; j < p.N; j += NR)
        a.times(static_cast<const T*>(p.panels) + j * p.depth + k * NR, 0, 1, 0, depth, c + j,
                p.c_row, 0, p.N - j < NR ? int(p.N - j) : NR, p.add || k > 0);
    }
  }
}

template <class V>
static void fill_recurrent_of(RecurrentKernels& k, int type) {
  k.pack[type] = recurrent_pack<V>;
  k.step[kRnnTanh][type] = recurrent_step<V, kRnnTanh>;
  k.step[kRnnRelu][type] = recurrent_step<V, kRnnRelu>;
  k.step[kLstm][type] = recurrent_step<V, kLstm>;
  k.step[kGru][type] = recurrent_step<V, kGru>;
  k.step[kGruBefore][type] = recurrent_step<V, kGruBefore>;
  k.candidate[type] = recurrent_step<V, kPhaseCandidate>;
  k.product[type] = recurrent_product<V>;
  k.panel_columns[type] = kRecurrentNR<V>;
}

}  // namespace

void fill_recurrent(Kernels& k) {
  fill_recurrent_of<F32>(k.recurrent, kF32);
  fill_recurrent_of<F64>(k.recurrent, kF64);
}

}  // namespace lamina::LAMINA_ISA
