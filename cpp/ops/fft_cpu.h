// Fourier transforms: y_k = scale * sum_j x_j e^(-2 pi i j k / n), or + for the inverse.
//
// Real and imaginary parts are split into planes (n, group): `group` transforms side by side, so a
// vector holds neighbours that meet the same arithmetic. Stages are Stockham's (self-sorting,
// decimation in frequency): with s transforms of length n = r m,
//   y[q + s (r p + k)] = w_n^(p k) sum_j x[q + s (p + m j)] w_r^(j k),   q < s, p < m, k < r,
// after which r s transforms of length m are left (Van Loan, "Computational frameworks for the
// fast Fourier transform", 1992). A lone transform has s = 1 at first: its first stage runs over p
// instead. Lengths with a prime factor above 13 become a convolution with a chirp (Bluestein,
// 1970). An inverse swaps the planes. Real input of even length is half as many complex numbers.
// Cost: O(n log n) for every n; stages read and write 16 or 32 bytes an element.
#pragma once
#include "kernels/vec_fft.h"

namespace lamina::LAMINA_ISA {
namespace {

// One stage over planes (x -> y) of `s` lanes: q runs over vectors.
template <int r, class V>
void stage(Planes<V> x, Planes<V> y, int64_t m, int64_t s, const Scalar<V>* tw,
           const Scalar<V>* roots) {
  using S = Scalar<V>;
  constexpr int L = kLanes<V>;
  const S* ti = tw + (r - 1) * m;
  for (int64_t p = 0; p < m; ++p) {
    V wr[r], wi[r];
    for (int k = 1; k < r; ++k) {
      wr[k] = set1<V>(tw[(k - 1) * m + p]);
      wi[k] = set1<V>(ti[(k - 1) * m + p]);
    }
    const int64_t from = s * p, to = s * r * p;
    for (int64_t q = 0; q < s; q += L) {
      const int n = s - q < L ? int(s - q) : L;
      Pair<V> a[r];
      for (int k = 0; k < r; ++k) a[k] = get(x, from + s * m * k + q, n);
      butterfly<r>(a, roots);
      put(y, to + q, n, a[0]);
      for (int k = 1; k < r; ++k)
        put(y, to + s * k + q, n, m == 1 ? a[k] : times(a[k], wr[k], wi[k]));
    }
  }
}

// The same for s of half a vector and even r and m: p and p + 1 share vectors.
template <int r, class V>
void stage_of_halves(Planes<V> x, Planes<V> y, int64_t m, const Scalar<V>* tw) {
  using S = Scalar<V>;
  constexpr int L = kLanes<V>, s = L / 2;
  const S* ti = tw + (r - 1) * m;
  for (int64_t p = 0; p < m; p += 2) {
    Pair<V> a[r];
    for (int k = 0; k < r; ++k) a[k] = get(x, s * (p + m * k), L);
    butterfly<r>(a, static_cast<const S*>(nullptr));
    for (int k = 1; k < r; ++k) {
      const S *u = tw + (k - 1) * m + p, *v = ti + (k - 1) * m + p;
      V re = set1<V>(u[0]), re1 = set1<V>(u[1]), im = set1<V>(v[0]), im1 = set1<V>(v[1]);
      exchange<s>(re, re1, AllLanes<V>{});
      exchange<s>(im, im1, AllLanes<V>{});
      a[k] = times(a[k], re, im);
    }
    for (int k = 0; k < r; k += 2) {
      exchange<s>(a[k].re, a[k + 1].re, AllLanes<V>{});
      exchange<s>(a[k].im, a[k + 1].im, AllLanes<V>{});
      put(y, s * (r * p + k), L, a[k]);
      put(y, s * (r * (p + 1) + k), L, a[k + 1]);
    }
  }
}

// The first stage of a lone transform: p runs over vectors, whose results are interleaved.
template <int r, class V>
void first_stage(Planes<V> x, Planes<V> y, int64_t m, const Scalar<V>* tw, const Scalar<V>* roots) {
  using S = Scalar<V>;
  constexpr int L = kLanes<V>;
  const S* ti = tw + (r - 1) * m;
  for (int64_t p = 0; p < m; p += L) {
    const int n = m - p < L ? int(m - p) : L;
    Pair<V> a[r];
    for (int k = 0; k < r; ++k) a[k] = get(x, p + m * k, n);
    butterfly<r>(a, roots);
    for (int k = 1; k < r; ++k) {
      const S *u = tw + (k - 1) * m + p, *v = ti + (k - 1) * m + p;
      a[k] =
          n == L ? times(a[k], load<V>(u), load<V>(v)) : times(a[k], load<V>(u, n), load<V>(v, n));
    }
    interleave<r>(a, y.re + r * p, y.im + r * p, n);
  }
}

template <int r, class V>
void any_stage(Planes<V> x, Planes<V> y, int64_t m, int64_t s, const void* tw, const void* roots) {
  using S = Scalar<V>;
  if (s == 1 && m > 1)
    return first_stage<r, V>(x, y, m, static_cast<const S*>(tw), static_cast<const S*>(roots));
  if constexpr (r % 2 == 0 && kLanes<V> > 2)
    if (2 * s == kLanes<V> && m % 2 == 0)
      return stage_of_halves<r, V>(x, y, m, static_cast<const S*>(tw));
  stage<r, V>(x, y, m, s, static_cast<const S*>(tw), static_cast<const S*>(roots));
}

// Transforms x, using y of the same size; the result is in the one returned.
template <class V>
Planes<V> staged(const FftPlan& plan, Planes<V> x, Planes<V> y, int64_t group) {
  int64_t n = plan.n, s = group;
  for (int i = 0; i < plan.stages; ++i) {
    const int r = plan.radix[i];
    const int64_t m = n / r;
    const void *tw = plan.twiddle[i], *roots = plan.roots[i];
    switch (r) {
      case 2:
        any_stage<2, V>(x, y, m, s, tw, roots);
        break;
      case 3:
        any_stage<3, V>(x, y, m, s, tw, roots);
        break;
      case 4:
        any_stage<4, V>(x, y, m, s, tw, roots);
        break;
      case 5:
        any_stage<5, V>(x, y, m, s, tw, roots);
        break;
      case 7:
        any_stage<7, V>(x, y, m, s, tw, roots);
        break;
      case 8:
        any_stage<8, V>(x, y, m, s, tw, roots);
        break;
      case 11:
        any_stage<11, V>(x, y, m, s, tw, roots);
        break;
      default:
        any_stage<13, V>(x, y, m, s, tw, roots);
    }
    const Planes<V> t = x;
    x = y;
    y = t;
    n = m;
    s *= r;
  }
  return x;
}

// x (n, group) *= w, one factor per row; rows n to end become zero.
template <class V>
void scale_rows(Planes<V> x, const void* factors, int64_t n, int64_t end, int64_t group,
                Scalar<V> scale) {
  using S = Scalar<V>;
  const S *fr = static_cast<const S*>(factors), *fi = fr + n;
  constexpr int L = kLanes<V>;
  int64_t j = 0;
  for (const V u = set1<V>(scale); group == 1 && j + L <= n; j += L)
    put(x, j, L, times(get(x, j, L), load<V>(fr + j) * u, load<V>(fi + j) * u));
  for (; j < n; ++j) {
    const S a = fr[j] * scale, b = fi[j] * scale;
    for (int64_t q = j * group; q < (j + 1) * group; ++q) {
      const S re = x.re[q] * a - x.im[q] * b;
      x.im[q] = x.re[q] * b + x.im[q] * a;
      x.re[q] = re;
    }
  }
  for (int64_t q = n * group; q < end * group; ++q) x.re[q] = x.im[q] = 0;
}

// x_j c_j convolved with conj c, times c_k: the transform, as j k = (j^2 + k^2 - (k - j)^2) / 2.
template <class V>
Planes<V> convolved(const FftPlan& p, Planes<V> x, Scalar<V>* scratch, int64_t group) {
  using S = Scalar<V>;
  const int64_t n = p.n, N = p.convolution, size = N * group;
  const Planes<V> a{scratch, scratch + size}, b{scratch + 2 * size, scratch + 3 * size};
  for (int64_t q = 0; q < n * group; ++q) {
    a.re[q] = x.re[q];
    a.im[q] = x.im[q];
  }
  scale_rows<V>(a, p.chirp, n, N, group, S(1));
  Planes<V> z = staged<V>(*p.inner, a, b, group);
  scale_rows<V>(z, p.filter, N, N, group, S(1));
  const Planes<V> other = z.re == a.re ? b : a;
  Planes<V> swapped = staged<V>(*p.inner, {z.im, z.re}, {other.im, other.re}, group);
  const Planes<V> y{swapped.im, swapped.re};
  scale_rows<V>(y, p.chirp, n, n, group, S(1) / S(N));
  return y;
}

template <class V>
Planes<V> transform(const FftPlan& p, Planes<V> x, Scalar<V>* scratch, int64_t group) {
  if (p.convolution) return convolved<V>(p, x, scratch, group);
  return staged<V>(p, x, {scratch, scratch + p.n * group}, group);
}

template <class V>
void planes_in_place(const FftPlan& p, void* re, void* im, int64_t group, void* scratch) {
  using S = Scalar<V>;
  const Planes<V> x{static_cast<S*>(re), static_cast<S*>(im)};
  const Planes<V> y = transform<V>(p, x, static_cast<S*>(scratch), group);
  for (int64_t q = 0; y.re != x.re && q < p.n * group; ++q) {
    x.re[q] = y.re[q];
    x.im[q] = y.im[q];
  }
}

// ---- real transforms of even length ------------------------------------------------------------
// With Z the transform of z_j = x_2j + i x_2j+1 (length h = n / 2), E and O those of the even and
// odd x:  E = (Z_k + conj Z_h-k) / 2,  O = (Z_k - conj Z_h-k) / 2i,  X_k = E + w_n^k O.
// Backwards, twice as large, Z_k = P + i conj(w_n^k) D with P, D = X_k +- conj X_h-k.
// Both are `from` rows k and h - k to row k of `to`; row 0 (and h) is done by the caller.
template <class T, bool back>
inline void half_step(T ar, T ai, T br, T bi, T wr, T wi, T factor, T* yr, T* yi) {
  const T sr = ar + br, si = ai - bi, dr = ar - br, di = ai + bi;
  if constexpr (back) {
    *yr = factor * (sr - (wr * di - wi * dr));
    *yi = factor * (si + (wr * dr + wi * di));
  } else {
    *yr = factor * (sr + (wr * di + wi * dr));
    *yi = factor * (si - (wr * dr - wi * di));
  }
}
template <class V, bool back>
void half_rows(Planes<V> x, Planes<V> y, int64_t h, int64_t group, const void* turns,
               Scalar<V> factor) {
  using S = Scalar<V>;
  constexpr int L = kLanes<V>;
  const S *wr = static_cast<const S*>(turns), *wi = wr + h;
  int64_t k = 1;
  for (; group == 1 && k + L <= h; k += L) {  // rows k up, rows h - k down
    const int64_t low = h - k - L + 1;
    V re, im;
    half_step<V, back>(load<V>(x.re + k), load<V>(x.im + k), reversed(load<V>(x.re + low)),
                       reversed(load<V>(x.im + low)), load<V>(wr + k), load<V>(wi + k),
                       set1<V>(factor), &re, &im);
    store(y.re + k, re);
    store(y.im + k, im);
  }
  for (; k < h; ++k) {
    const int64_t a = k * group, b = (h - k) * group;
    for (int64_t q = 0; q < group; ++q)
      half_step<S, back>(x.re[a + q], x.im[a + q], x.re[b + q], x.im[b + q], wr[k], wi[k], factor,
                         y.re + a + q, y.im + a + q);
  }
}
// Planes z (h, group) -> y (h + 1, group).
template <class V>
void unpack_half(Planes<V> z, Planes<V> y, int64_t h, int64_t group, const void* turns,
                 Scalar<V> middle) {
  for (int64_t q = 0; q < group; ++q) {
    y.re[q] = z.re[q] + z.im[q];
    y.re[h * group + q] = z.re[q] - z.im[q];
    y.im[q] = y.im[h * group + q] = 0;
  }
  half_rows<V, false>(z, y, h, group, turns, Scalar<V>(0.5) * middle);
}
// Planes x (h + 1, group) -> z (h, group).
template <class V>
void pack_half(Planes<V> x, Planes<V> z, int64_t h, int64_t group, const void* turns,
               Scalar<V> middle) {
  for (int64_t q = 0; q < group; ++q) {
    z.re[q] = x.re[q] + x.re[h * group + q];
    z.im[q] = x.re[q] - x.re[h * group + q];
  }
  half_rows<V, true>(x, z, h, group, turns, middle);
}

// ---- units -------------------------------------------------------------------------------------
template <class V, int kind>
void units(const FftArgs& a, int64_t begin, int64_t end) {
  using S = Scalar<V>;
  const int64_t n = a.n, half = n / 2 + 1;
  const bool packed = kind != kFftComplex && n % 2 == 0;
  const int64_t in = kind == kFftFromHalf ? half : n, out = kind == kFftToHalf ? half : n;
  const bool real_in = kind == kFftToHalf, real_out = kind == kFftFromHalf;
  const int64_t rows = n + 2, size = rows * a.group;  // room for a spectrum and its mirror
  S* const base = static_cast<S*>(a.scratch);
  const Planes<V> u{base, base + size}, v{base + 2 * size, base + 3 * size};
  S* const more = base + 4 * size;
  const int64_t across = a.inner > 1 ? a.inner : a.outer;
  const int64_t groups = (across + a.group - 1) / a.group;
  const S scale = S(a.scale), middle = S(a.middle);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t w = unit % groups * a.group;
    const int64_t g = across - w < a.group ? across - w : a.group;
    // Element j of transform q is at first + j * step + q * next.
    const int64_t step = a.inner, x_next = a.inner > 1 ? 1 : in, y_next = a.inner > 1 ? 1 : out;
    const int64_t o = a.inner > 1 ? unit / groups : 0;
    const S* const x =
        static_cast<const S*>(a.x) + (o * in * a.inner + w * x_next) * (real_in ? 1 : 2);
    S* const y = static_cast<S*>(a.y) + (o * out * a.inner + w * y_next) * (real_out ? 1 : 2);
    Planes<V> z = u;
    if constexpr (kind == kFftComplex) {
      read_pairs<V>(a.inverse ? swap(u) : u, x, n, g, 2 * step, 2 * x_next, 1);
      z = transform<V>(*a.plan, u, more, g);
      write_pairs<V>(a.inverse ? swap(z) : z, y, n, g, 2 * step, 2 * y_next, 1, scale);
    } else if constexpr (kind == kFftToHalf) {
      if (packed) {
        read_pairs<V>(u, x, n / 2, g, 2 * step, x_next, step);
        z = transform<V>(*a.plan, u, more, g);
        unpack_half<V>(z, v, n / 2, g, a.turns, middle);
        z = v;
      } else {
        read_reals<V>(u, x, n, g, step, x_next);
        z = transform<V>(*a.plan, u, more, g);
        for (int64_t q = g; q < half * g && middle != S(1); ++q) {
          z.re[q] *= middle;
          z.im[q] *= middle;
        }
      }
      write_pairs<V>(z, y, half, g, 2 * step, 2 * y_next, 1, scale);
    } else {
      read_pairs<V>(u, x, half, g, 2 * step, 2 * x_next, 1);
      if (packed) {
        pack_half<V>(u, swap(v), n / 2, g, a.turns, middle);
        z = swap(transform<V>(*a.plan, v, more, g));
        write_pairs<V>(z, y, n / 2, g, 2 * step, y_next, step, scale);
      } else {
        mirror<V>(u, n, g, middle);
        z = transform<V>(*a.plan, swap(u), more, g);
        write_reals(z.im, y, n, g, step, y_next, scale);
      }
    }
  }
}

}  // namespace

void fill_fft(Kernels& k) {
  k.fft.f[kFftComplex][kF32] = units<F32, kFftComplex>;
  k.fft.f[kFftComplex][kF64] = units<F64, kFftComplex>;
  k.fft.f[kFftToHalf][kF32] = units<F32, kFftToHalf>;
  k.fft.f[kFftToHalf][kF64] = units<F64, kFftToHalf>;
  k.fft.f[kFftFromHalf][kF32] = units<F32, kFftFromHalf>;
  k.fft.f[kFftFromHalf][kF64] = units<F64, kFftFromHalf>;
  k.fft.planes[kF32] = planes_in_place<F32>;
  k.fft.planes[kF64] = planes_in_place<F64>;
}

}  // namespace lamina::LAMINA_ISA
