// Complex numbers in pairs, roots of one, and a block's transform in shared memory.
//
// Stages are Stockham's (self-sorting, decimation in frequency; Van Loan, "Computational frameworks
// for the fast Fourier transform", 1992): with s transforms of length n = r m,
//   y[q + s (r p + k)] = w_n^(p k) sum_j x[q + s (p + m j)] w_r^(j k),   q < s, p < m, k < r,
// after which r s transforms of length m are left. A thread holds its butterflies in registers
// between reading and writing, so one buffer is enough.
#pragma once
#include "launch.h"
#include "number.h"

namespace lamina::cuda {

template <class S>
struct alignas(2 * sizeof(S)) Pair {
  S re, im;
};
template <class S>
LAMINA_HD Pair<S> operator+(Pair<S> a, Pair<S> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class S>
LAMINA_HD Pair<S> operator-(Pair<S> a, Pair<S> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class S>
LAMINA_HD Pair<S> operator*(Pair<S> a, Pair<S> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// e^(-2 pi i j / n) for j in [0, n), from an angle of at most an eighth of a turn.
__device__ inline Pair<double> root_of_one(int64_t j, int64_t n) {
  const int64_t quarter = 4 * j / n, rest = 4 * j % n;
  const bool beyond = 2 * rest > n;
  const double angle = 1.57079632679489661923 * double(beyond ? n - rest : rest) / double(n);
  double c = on_device::cos(angle), s = on_device::sin(angle);
  if (beyond) {
    const double t = c;
    c = s;
    s = t;
  }
  switch (quarter) {
    case 0:
      return {c, -s};
    case 1:
      return {-s, -c};
    case 2:
      return {-c, s};
    default:
      return {s, c};
  }
}

constexpr int kFftThreads = 256, kFftRadices = 24;
// Points a block transforms: what fits 32 kB of shared memory.
template <class S>
constexpr int kFftPoints = 32768 / int(sizeof(Pair<S>));

struct Radices {
  int count = 0, radix[kFftRadices];
  // Eights first, then fours and twos, then odd primes; false when a prime factor is too large.
  bool factor(int64_t n) {
    int twos = 0;
    for (; n % 2 == 0; n /= 2) ++twos;
    int fours = twos % 3 == 1 ? (twos > 1 ? 2 : 0) : twos % 3 == 2 ? 1 : 0;
    count = 0;
    for (int i = (twos - 2 * fours) / 3; i > 0; --i) radix[count++] = 8;
    for (; fours > 0; --fours) radix[count++] = 4;
    if (twos == 1) radix[count++] = 2;
    for (int r = 3; r <= kFftLargestPrime; r += 2)
      for (; n % r == 0 && count < kFftRadices; n /= r) radix[count++] = r;
    return n == 1;
  }
};

template <class S>
__device__ inline void butterfly4(Pair<S>& a, Pair<S>& b, Pair<S>& c, Pair<S>& d) {
  const Pair<S> s = a + c, t = a - c, u = b + d, w = b - d, v = {w.im, -w.re};
  a = s + u;
  b = t + v;
  c = s - u;
  d = t - v;
}
// a_k <- sum_j a_j e^(-2 pi i j k / r); roots: a table of e^(-2 pi i t / n), n a multiple of r.
template <int r, class S>
__device__ inline void butterfly(Pair<S> (&a)[r], const Pair<S>* roots, int n) {
  if constexpr (r == 2) {
    const Pair<S> t = a[0] - a[1];
    a[0] = a[0] + a[1];
    a[1] = t;
  } else if constexpr (r == 4) {
    butterfly4(a[0], a[1], a[2], a[3]);
  } else if constexpr (r == 8) {
    const S h = S(0.70710678118654752440);
    butterfly4(a[0], a[2], a[4], a[6]);
    butterfly4(a[1], a[3], a[5], a[7]);
    a[3] = {h * (a[3].re + a[3].im), h * (a[3].im - a[3].re)};
    a[5] = {a[5].im, -a[5].re};
    a[7] = {h * (a[7].im - a[7].re), -h * (a[7].re + a[7].im)};
    const Pair<S> even[4] = {a[0], a[2], a[4], a[6]}, odd[4] = {a[1], a[3], a[5], a[7]};
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      a[k] = even[k] + odd[k];
      a[k + 4] = even[k] - odd[k];
    }
  } else {
    Pair<S> w[r], y[r];
#pragma unroll
    for (int t = 0; t < r; ++t) w[t] = roots[t * (n / r)];
#pragma unroll
    for (int k = 0; k < r; ++k) {
      y[k] = a[0];
#pragma unroll
      for (int j = 1; j < r; ++j) y[k] = y[k] + a[j] * w[j * k % r];
    }
#pragma unroll
    for (int k = 0; k < r; ++k) a[k] = y[k];
  }
}

// One stage over `group` transforms of n points side by side, [point][transform]: s of length r m
// are left in each.
template <int r, class S>
__device__ inline void stage(Pair<S>* x, int n, int group, int s, const Pair<S>* roots) {
  constexpr int most = (kFftPoints<S> / r + kFftThreads - 1) / kFftThreads;
  const int m = n / s / r, count = n / r * group;
  Pair<S> v[most][r];
#pragma unroll
  for (int u = 0; u < most; ++u) {
    const int b = int(threadIdx.x) + u * kFftThreads;
    if (b >= count) break;
    const int g = b % group, t = b / group, q = t % s, p = t / s;
#pragma unroll
    for (int j = 0; j < r; ++j) v[u][j] = x[(q + s * (p + m * j)) * group + g];
    butterfly<r>(v[u], roots, n);
    if (m > 1)
#pragma unroll
      for (int k = 1; k < r; ++k) v[u][k] = v[u][k] * roots[p * k * s];
  }
  __syncthreads();
#pragma unroll
  for (int u = 0; u < most; ++u) {
    const int b = int(threadIdx.x) + u * kFftThreads;
    if (b >= count) break;
    const int g = b % group, t = b / group, q = t % s, p = t / s;
#pragma unroll
    for (int k = 0; k < r; ++k) x[(q + s * (r * p + k)) * group + g] = v[u][k];
  }
  __syncthreads();
}

template <class S>
__device__ inline void all_stages(Pair<S>* x, int n, int group, const Radices& radices,
                                  const Pair<S>* roots) {
  int s = 1;
  for (int i = 0; i < radices.count; ++i) {
    const int r = radices.radix[i];
    switch (r) {
      case 2:
        stage<2>(x, n, group, s, roots);
        break;
      case 3:
        stage<3>(x, n, group, s, roots);
        break;
      case 4:
        stage<4>(x, n, group, s, roots);
        break;
      case 5:
        stage<5>(x, n, group, s, roots);
        break;
      case 7:
        stage<7>(x, n, group, s, roots);
        break;
      case 8:
        stage<8>(x, n, group, s, roots);
        break;
      case 11:
        stage<11>(x, n, group, s, roots);
        break;
      default:
        stage<13>(x, n, group, s, roots);
    }
    s *= r;
  }
}

}  // namespace lamina::cuda
