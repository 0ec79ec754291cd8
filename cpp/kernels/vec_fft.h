// Butterflies of 2 to 13 complex values held as vectors of real and of imaginary parts, and the
// way between pairs in memory and planes (used by ops/fft_cpu.h).
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec_shuffle.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
struct Pair {
  V re, im;
};
template <class V>
struct Planes {
  Scalar<V>*re, *im;
};
template <class V>
inline Planes<V> swap(Planes<V> z) {
  return {z.im, z.re};
}

template <class V>
inline Pair<V> get(Planes<V> x, int64_t at, int n) {
  if (n == kLanes<V>) return {load<V>(x.re + at), load<V>(x.im + at)};
  return {load<V>(x.re + at, n), load<V>(x.im + at, n)};
}
template <class V>
inline void put(Planes<V> y, int64_t at, int n, Pair<V> a) {
  if (n == kLanes<V>) {
    store(y.re + at, a.re);
    store(y.im + at, a.im);
  } else {
    store(y.re + at, a.re, n);
    store(y.im + at, a.im, n);
  }
}
template <class V>
inline Pair<V> operator+(Pair<V> a, Pair<V> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class V>
inline Pair<V> operator-(Pair<V> a, Pair<V> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class V>
inline Pair<V> times(Pair<V> a, V re, V im) {
  return {fnma(a.im, im, a.re * re), fma(a.re, im, a.im * re)};
}
template <class V>
inline Pair<V> times_minus_i(Pair<V> a) {
  return {a.im, -a.re};
}

// ---- a_k <- sum_j a_j e^(-2 pi i j k / r) ------------------------------------------------------
template <class V>
inline void butterfly4(Pair<V>& a, Pair<V>& b, Pair<V>& c, Pair<V>& d) {
  const Pair<V> s = a + c, t = a - c, u = b + d, v = times_minus_i(b - d);
  a = s + u;
  b = t + v;
  c = s - u;
  d = t - v;
}
// Odd r: with t_j = a_j + a_r-j and u_j = a_j - a_r-j, results k and r - k share
// a_0 + sum t_j cos and differ by the sign of i sum u_j sin.
template <int r, class V>
inline void butterfly_odd(Pair<V>* a, const Scalar<V>* roots) {
  constexpr int h = (r - 1) / 2;
  const Scalar<V>*cosines = roots, *sines = roots + h * h;
  Pair<V> t[h], u[h], sum = a[0];
  for (int j = 0; j < h; ++j) {
    t[j] = a[j + 1] + a[r - 1 - j];
    u[j] = a[j + 1] - a[r - 1 - j];
    sum = sum + t[j];
  }
  for (int k = 0; k < h; ++k) {
    V cr = a[0].re, ci = a[0].im, dr = V{}, di = V{};
    for (int j = 0; j < h; ++j) {
      const V c = set1<V>(cosines[k * h + j]), s = set1<V>(sines[k * h + j]);
      cr = fma(c, t[j].re, cr);
      ci = fma(c, t[j].im, ci);
      dr = fma(s, u[j].re, dr);
      di = fma(s, u[j].im, di);
    }
    a[k + 1] = {cr + di, ci - dr};
    a[r - 1 - k] = {cr - di, ci + dr};
  }
  a[0] = sum;
}
template <int r, class V>
inline void butterfly(Pair<V>* a, const Scalar<V>* roots) {
  if constexpr (r == 2) {
    const Pair<V> d = a[0] - a[1];
    a[0] = a[0] + a[1];
    a[1] = d;
  } else if constexpr (r == 4) {
    butterfly4(a[0], a[1], a[2], a[3]);
  } else if constexpr (r == 8) {  // evens, odds, then w_8^k between them
    butterfly4(a[0], a[2], a[4], a[6]);
    butterfly4(a[1], a[3], a[5], a[7]);
    const V h = set1<V>(Scalar<V>(0.70710678118654752440));
    const Pair<V> o1{(a[3].re + a[3].im) * h, (a[3].im - a[3].re) * h};
    const Pair<V> o2 = times_minus_i(a[5]);
    const Pair<V> o3{(a[7].im - a[7].re) * h, -((a[7].re + a[7].im) * h)};
    const Pair<V> e0 = a[0], e1 = a[2], e2 = a[4], e3 = a[6], o0 = a[1];
    a[0] = e0 + o0;
    a[1] = e1 + o1;
    a[2] = e2 + o2;
    a[3] = e3 + o3;
    a[4] = e0 - o0;
    a[5] = e1 - o1;
    a[6] = e2 - o2;
    a[7] = e3 - o3;
  } else {
    butterfly_odd<r>(a, roots);
  }
}

// ---- r vectors of n lanes to memory, lane by lane: y[r l + k] = v_k[l] -------------------------
template <int r, class V>
inline void interleave_plane(V* v, Scalar<V>* y, int n) {
  constexpr int L = kLanes<V>;
  if constexpr (r == 2 || r == 4 || r == 8) {
    if (n == L) {  // rounds of zips: neighbours end up r apart
      V t[r];
      for (int w = r / 2; w >= 1; w /= 2) {
        for (int k = 0; k < r / 2; ++k) {
          t[2 * k] = zip_low(v[k], v[k + r / 2]);
          t[2 * k + 1] = zip_high(v[k], v[k + r / 2]);
        }
        for (int k = 0; k < r; ++k) v[k] = t[k];
      }
      for (int k = 0; k < r; ++k) store(y + k * L, v[k]);
      return;
    }
  }
  alignas(64) Scalar<V> lanes[r][L];
  for (int k = 0; k < r; ++k) store(lanes[k], v[k]);
  for (int l = 0; l < n; ++l)
    for (int k = 0; k < r; ++k) y[r * l + k] = lanes[k][l];
}
template <int r, class V>
inline void interleave(const Pair<V>* a, Scalar<V>* re, Scalar<V>* im, int n) {
  V v[r];
  for (int k = 0; k < r; ++k) v[k] = a[k].re;
  interleave_plane<r>(v, re, n);
  for (int k = 0; k < r; ++k) v[k] = a[k].im;
  interleave_plane<r>(v, im, n);
}

// ---- memory <-> planes (n, group) --------------------------------------------------------------
// Element j of transform q is at j * step + q * next, its second part `apart` further.
template <class V>
void read_pairs(Planes<V> z, const Scalar<V>* x, int64_t n, int64_t group, int64_t step,
                int64_t next, int64_t apart) {
  constexpr int L = kLanes<V>;
  if (group == 1 && step == 2 && apart == 1) {
    for (int64_t j = 0; j < n; j += L) {
      const int m = n - j < L ? int(n - j) : L;
      V a, b;
      load_two(x + 2 * j, 2 * m, &a, &b);
      put(z, j, m, Pair<V>{evens(a, b), odds(a, b)});
    }
    return;
  }
  for (int64_t j = 0; j < n; ++j)
    for (int64_t q = 0; q < group; ++q) {
      const Scalar<V>* p = x + j * step + q * next;
      z.re[j * group + q] = p[0];
      z.im[j * group + q] = p[apart];
    }
}
template <class V>
void write_pairs(Planes<V> z, Scalar<V>* y, int64_t n, int64_t group, int64_t step, int64_t next,
                 int64_t apart, Scalar<V> scale) {
  constexpr int L = kLanes<V>;
  if (group == 1 && step == 2 && apart == 1) {
    const V s = set1<V>(scale);
    for (int64_t j = 0; j < n; j += L) {
      const int m = n - j < L ? int(n - j) : L;
      const Pair<V> a = get(z, j, m);
      store_two(y + 2 * j, 2 * m, zip_low(a.re * s, a.im * s), zip_high(a.re * s, a.im * s));
    }
    return;
  }
  for (int64_t j = 0; j < n; ++j)
    for (int64_t q = 0; q < group; ++q) {
      Scalar<V>* p = y + j * step + q * next;
      p[0] = z.re[j * group + q] * scale;
      p[apart] = z.im[j * group + q] * scale;
    }
}
template <class V>
void read_reals(Planes<V> z, const Scalar<V>* x, int64_t n, int64_t group, int64_t step,
                int64_t next) {
  for (int64_t j = 0; j < n; ++j)
    for (int64_t q = 0; q < group; ++q) {
      z.re[j * group + q] = x[j * step + q * next];
      z.im[j * group + q] = 0;
    }
}
template <class S>
void write_reals(const S* z, S* y, int64_t n, int64_t group, int64_t step, int64_t next, S scale) {
  for (int64_t j = 0; j < n; ++j)
    for (int64_t q = 0; q < group; ++q) y[j * step + q * next] = z[j * group + q] * scale;
}
// Rows k = 1 to n / 2 of an odd n times `middle`, and their conjugates as rows n - k; row 0 real.
template <class V>
void mirror(Planes<V> z, int64_t n, int64_t group, Scalar<V> middle) {
  for (int64_t q = 0; q < group; ++q) z.im[q] = 0;
  for (int64_t k = 1; k <= n / 2; ++k)
    for (int64_t q = 0; q < group; ++q) {
      const int64_t at = k * group + q, to = (n - k) * group + q;
      z.re[to] = z.re[at] *= middle;
      z.im[at] *= middle;
      z.im[to] = -z.im[at];
    }
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
