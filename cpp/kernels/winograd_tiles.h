// The transforms of Winograd convolution F(m x m, 3 x 3), m = 2 (F2) or 4 (F4), on vectors whose
// lanes are channels: adds and multiplications by constants only.
//   y = A^T [(G g G^T) * (B^T d B)] A
// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016).
#pragma once

namespace lamina::LAMINA_ISA {
namespace {

// One-dimensional transforms of elements `s` apart, results `t` apart:
//   input B^T (e -> e), weight G (3 -> e), output A^T (e -> m), and the transposes of the last two.
struct F2 {
  static constexpr int m = 2, e = 4;
  template <class V>
  static void input(const V* d, int s, V* to, int t) {
    to[0] = d[0] - d[2 * s];
    to[t] = d[s] + d[2 * s];
    to[2 * t] = d[2 * s] - d[s];
    to[3 * t] = d[s] - d[3 * s];
  }
  template <class V>
  static void weight(const V* g, int s, V* to, int t) {
    const V sum = g[0] + g[2 * s];
    to[0] = g[0];
    to[t] = (sum + g[s]) / 2;
    to[2 * t] = (sum - g[s]) / 2;
    to[3 * t] = g[2 * s];
  }
  template <class V>
  static void output(const V* q, int s, V* to, int t) {
    to[0] = q[0] + q[s] + q[2 * s];
    to[t] = q[s] - q[2 * s] - q[3 * s];
  }
  template <class V>
  static void output_transposed(const V* g, int s, V* to, int t) {
    to[0] = g[0];
    to[t] = g[0] + g[s];
    to[2 * t] = g[0] - g[s];
    to[3 * t] = -g[s];
  }
  template <class V>
  static void weight_transposed(const V* q, int s, V* to, int t) {
    const V sum = (q[s] + q[2 * s]) / 2;
    to[0] = q[0] + sum;
    to[t] = (q[s] - q[2 * s]) / 2;
    to[2 * t] = sum + q[3 * s];
  }
};
struct F4 {
  static constexpr int m = 4, e = 6;
  template <class V>
  static void input(const V* d, int s, V* to, int t) {
    const V a = d[4 * s] - 4 * d[2 * s], b = d[3 * s] - 4 * d[s];
    const V c = d[4 * s] - d[2 * s], f = 2 * (d[3 * s] - d[s]);
    to[0] = 4 * d[0] - 5 * d[2 * s] + d[4 * s];
    to[t] = a + b;
    to[2 * t] = a - b;
    to[3 * t] = c + f;
    to[4 * t] = c - f;
    to[5 * t] = 4 * d[s] - 5 * d[3 * s] + d[5 * s];
  }
  template <class V>
  static void weight(const V* g, int s, V* to, int t) {
    const V a = (g[0] + g[2 * s]) / -6, b = g[s] / 6;
    const V c = g[0] / 24 + g[2 * s] / 6, f = g[s] / 12;
    to[0] = g[0] / 4;
    to[t] = a - b;
    to[2 * t] = a + b;
    to[3 * t] = c + f;
    to[4 * t] = c - f;
    to[5 * t] = g[2 * s];
  }
  template <class V>
  static void output(const V* q, int s, V* to, int t) {
    const V a = q[s] + q[2 * s], b = q[s] - q[2 * s];
    const V c = q[3 * s] + q[4 * s], f = q[3 * s] - q[4 * s];
    to[0] = q[0] + a + c;
    to[t] = b + 2 * f;
    to[2 * t] = a + 4 * c;
    to[3 * t] = b + 8 * f + q[5 * s];
  }
  template <class V>
  static void output_transposed(const V* g, int s, V* to, int t) {
    const V a = g[0] + g[2 * s], b = g[s] + g[3 * s];
    const V c = g[0] + 4 * g[2 * s], f = 2 * g[s] + 8 * g[3 * s];
    to[0] = g[0];
    to[t] = a + b;
    to[2 * t] = a - b;
    to[3 * t] = c + f;
    to[4 * t] = c - f;
    to[5 * t] = g[3 * s];
  }
  template <class V>
  static void weight_transposed(const V* q, int s, V* to, int t) {
    const V a = q[s] + q[2 * s], b = q[2 * s] - q[s];
    const V c = q[3 * s] + q[4 * s], f = q[3 * s] - q[4 * s];
    to[0] = q[0] / 4 - a / 6 + c / 24;
    to[t] = b / 6 + f / 12;
    to[2 * t] = (c - a) / 6 + q[5 * s];
  }
};

// A tile's two-dimensional transform: `one` (columns, then rows) takes `from` numbers to `to`.
//   get(r, s) -> the vector at row r, column s;  put(r, s, vector)
template <class V, int from, int to, class One, class Get, class Put>
[[gnu::always_inline]] inline void transform_tile(One one, Get get, Put put) {
  V half[to * from];
#pragma GCC unroll 6
  for (int s = 0; s < from; ++s) {
    V d[from];
#pragma GCC unroll 6
    for (int r = 0; r < from; ++r) d[r] = get(r, s);
    one(d, 1, half + s, from);
  }
#pragma GCC unroll 6
  for (int r = 0; r < to; ++r) {
    V u[to];
    one(half + r * from, 1, u, 1);
#pragma GCC unroll 6
    for (int s = 0; s < to; ++s) put(r, s, u[s]);
  }
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
