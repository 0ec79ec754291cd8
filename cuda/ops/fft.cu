// Fourier transforms along one dimension (formulas: cpp/ops/fft_cpu.h; a block's part: fft.h).
//
// Up to 4096 (float) or 2048 (double) points are one launch: a block reads one or several
// neighbouring transforms, does all stages in shared memory and writes the result, so that every
// element is read and written once. Longer ones are n1 n2 points: transforms of n1 along the
// columns of (n1, n2), then, times w_n^(k1 j2), of n2 along the rows (Bailey, "FFTs in external or
// hierarchical memory", 1990). Lengths with a prime factor above 13 become a convolution with a
// chirp (Bluestein, 1970). Real input is read as such, a half spectrum written or mirrored while
// reading; an inverse swaps real and imaginary parts on the way in and out.
// Cost: 2 (4 for long ones, about 10 for chirps) times the size in memory; n log n operations.
#include "fft.h"

#include <cmath>

#include "ops/fft_args.h"
#include "table.h"

namespace lamina::cuda {
namespace {

enum Form { kPairs, kReals, kHalf };

// One side of a launch: element J of transform (o, i) lies at o * outer + i * inner + J * step, J =
// j * by_j + a * by_a for point j of part a.
struct Side {
  void* p;
  int64_t outer, inner, step, by_j, by_a;
  Form form;
  bool swapped;  // real with imaginary parts
};

template <class S>
struct FftPack {
  Side in, out;
  int64_t inner, parts, lines;  // lines = outer, parts, inner, the last the fastest
  int n, group;
  Radices radices;
  const Pair<S>*roots, *twist;  // n; null, or whole: w^(a j) multiplies point j of part a
  int64_t whole;                // length of the whole transform
  S scale, middle;
};

template <class S>
__device__ inline Pair<S> read(const Side& s, int64_t base, int64_t J, int64_t whole, S middle) {
  Pair<S> v;
  if (s.form == kReals) {
    v = {static_cast<const S*>(s.p)[base + J * s.step], S(0)};
  } else if (s.form == kPairs) {
    v = static_cast<const Pair<S>*>(s.p)[base + J * s.step];
  } else {
    const bool mirrored = 2 * J > whole;
    const int64_t at = mirrored ? whole - J : J;
    v = static_cast<const Pair<S>*>(s.p)[base + at * s.step];
    if (at == 0 || 2 * at == whole)
      v.im = 0;
    else
      v = {v.re * middle, (mirrored ? -v.im : v.im) * middle};
  }
  return s.swapped ? Pair<S>{v.im, v.re} : v;
}
template <class S>
__device__ inline void write(const Side& s, int64_t base, int64_t J, int64_t whole, S middle,
                             S scale, Pair<S> v) {
  if (s.swapped) v = {v.im, v.re};
  v = {v.re * scale, v.im * scale};
  if (s.form == kReals) {
    static_cast<S*>(s.p)[base + J * s.step] = v.re;
  } else if (s.form == kPairs) {
    static_cast<Pair<S>*>(s.p)[base + J * s.step] = v;
  } else if (2 * J <= whole) {
    if (J == 0 || 2 * J == whole) {
      v.im = 0;
      static_cast<Pair<S>*>(s.p)[base + J * s.step] = v;
    } else {
      static_cast<Pair<S>*>(s.p)[base + J * s.step] = {v.re * middle, v.im * middle};
    }
  }
}

// Where line `line` begins on a side, and its part.
struct Line {
  int64_t o, i, a;
  __device__ Line(int64_t line, int64_t parts, int64_t inner)
      : o(line / inner / parts), i(line % inner), a(line / inner % parts) {}
  __device__ int64_t base(const Side& s) const { return o * s.outer + i * s.inner; }
};

template <class S>
__global__ void __launch_bounds__(kFftThreads) fft_kernel(const FftPack<S> k) {
  LAMINA_DYNAMIC_SHARED(Pair<S>, x);
  const int64_t first = int64_t(blockIdx.x) * k.group;
  const int group = int(k.lines - first < k.group ? k.lines - first : k.group);
  // Neighbouring threads read along the transform where it lies together, else across.
  const auto each = [&](const Side& s, auto f) {
    const bool along = s.step * s.by_j == 1;
    for (int e = int(threadIdx.x); e < k.n * group; e += kFftThreads) {
      const int j = along ? e % k.n : e / group, g = along ? e / k.n : e % group;
      const Line line(first + g, k.parts, k.inner);
      f(line, line.base(s), j, j * s.by_j + line.a * s.by_a, x[j * group + g]);
    }
  };
  each(k.in, [&](const Line& line, int64_t base, int j, int64_t J, Pair<S>& v) {
    v = read(k.in, base, J, k.whole, k.middle);
    if (k.twist) v = v * k.twist[line.a * j];
  });
  __syncthreads();
  all_stages(x, k.n, group, k.radices, k.roots);
  each(k.out, [&](const Line&, int64_t base, int, int64_t J, const Pair<S>& v) {
    write(k.out, base, J, k.whole, k.middle, k.scale, v);
  });
}

// Roots of one of order n, or with `chirp` e^(-i pi j^2 / n).
template <class S>
__global__ void roots_kernel(Pair<S>* to, int64_t n, bool chirp) {
  LAMINA_GRID_STRIDE(j, n) {
    const Pair<double> w = chirp ? root_of_one(j * j % (2 * n), 2 * n) : root_of_one(j, n);
    to[j] = {S(w.re), S(w.im)};
  }
}
// The chirp's conjugate, the same forwards and backwards, among N zeros.
__global__ void filter_kernel(Pair<double>* to, int64_t n, int64_t N) {
  LAMINA_GRID_STRIDE(j, N) {
    const int64_t k = 2 * j > N ? N - j : j;
    Pair<double> w{0, 0};
    if (k < n) w = root_of_one(k * k % (2 * n), 2 * n);
    to[j] = {w.re, -w.im};
  }
}
// to (lines, N) = x times the chirp, then zeros.
template <class S>
__global__ void chirp_in_kernel(const FftPack<S> k, const Pair<S>* chirp, Pair<S>* to, int64_t N) {
  LAMINA_GRID_STRIDE(e, k.lines * N) {
    const int64_t j = e % N;
    const Line line(e / N, 1, k.inner);
    to[e] = j < k.whole ? read(k.in, line.base(k.in), j, k.whole, k.middle) * chirp[j]
                        : Pair<S>{S(0), S(0)};
  }
}
template <class S>
__global__ void filter_with_kernel(Pair<S>* z, const Pair<double>* filter, int64_t lines,
                                   int64_t N) {
  LAMINA_GRID_STRIDE(e, lines * N) {
    const Pair<double> w = filter[e % N];
    const Pair<S> v = z[e] * Pair<S>{S(w.re), S(w.im)};
    z[e] = {v.im, v.re};  // the transform back begins
  }
}
template <class S>
__global__ void chirp_out_kernel(const FftPack<S> k, const Pair<S>* chirp, const Pair<S>* from,
                                 int64_t N) {
  LAMINA_GRID_STRIDE(e, k.lines * k.whole) {
    const int64_t j = e % k.whole;
    const Line line(e / k.whole, 1, k.inner);
    const Pair<S> v = from[e / k.whole * N + j];
    write(k.out, line.base(k.out), j, k.whole, k.middle, k.scale, Pair<S>{v.im, v.re} * chirp[j]);
  }
}

template <class S>
Side dense(void* p, int64_t n) {
  return {p, n, 0, 1, 1, 0, kPairs, false};
}
template <class S>
void make_roots(const DeviceCall& c, const Scratch& to, int64_t n, bool chirp) {
  launch(c, roots_kernel<S>, dim3(blocks_for(n)), dim3(kBlock), 0, to.as<Pair<S>>(), n, chirp);
}
template <class S>
Scratch room_for(const DeviceCall& c, int64_t n) {
  return Scratch(c.device, size_t(n) * sizeof(Pair<S>));
}

template <class S>
void launch_block(const DeviceCall& c, FftPack<S> k) {
  const int64_t fits = kFftPoints<S> / k.n;
  k.group = int(fits > k.lines ? k.lines : fits);
  if (k.group > 1 && k.n >= 64) {  // no more together than neighbours in memory need
    const int enough = k.in.step * k.in.by_j == 1 && k.out.step * k.out.by_j == 1 ? 1 : 16;
    const int least = int(2 * kFftThreads / k.n) + 1, most = enough > least ? enough : least;
    if (k.group > most) k.group = most;
  }
  launch(c, fft_kernel<S>, dim3(unsigned((k.lines + k.group - 1) / k.group)), dim3(kFftThreads),
         size_t(k.n) * size_t(k.group) * sizeof(Pair<S>), k);
}

// n = n1 n2 with both short enough; 0 when there are no such factors.
template <class S>
int64_t first_factor(int64_t n) {
  int64_t d = int64_t(std::sqrt(double(n))) + 1;
  while (d > 1 && (n % d || d * d > n)) --d;
  return n / d <= kFftPoints<S> ? d : 0;
}

// k.whole points of each line from k.in to k.out; k.parts = 1.
template <class S>
void transform(const DeviceCall& c, const FftPack<S>& k) {
  const int64_t n = k.whole;
  const Scratch roots = room_for<S>(c, n);
  FftPack<S> p = k;
  const bool smooth = p.radices.factor(n);
  if (smooth && n <= kFftPoints<S>) {
    make_roots<S>(c, roots, n, false);
    p.n = int(n);
    p.roots = roots.template as<Pair<S>>();
    return launch_block(c, p);
  }
  if (const int64_t n1 = smooth ? first_factor<S>(n) : 0) {
    make_roots<S>(c, roots, n, false);
    const int64_t n2 = n / n1;
    const Scratch middle = room_for<S>(c, k.lines * n), first = room_for<S>(c, n1);
    const Scratch second = room_for<S>(c, n2);
    make_roots<S>(c, first, n1, false);
    make_roots<S>(c, second, n2, false);
    // Columns: part j2, points J = j1 n2 + j2; to the same places of the middle.
    p.parts = n2, p.lines = k.lines * n2, p.n = int(n1);
    p.in.by_j = n2, p.in.by_a = 1;
    p.out = {middle.template as<void>(), n * k.inner, n, 1, n2, 1, kPairs, false};
    p.scale = 1;
    p.radices.factor(n1);
    p.roots = first.template as<Pair<S>>();
    launch_block(c, p);
    // Rows: part k1, points k1 n2 + j2; to k1 + n1 k2.
    p.in = p.out;
    p.in.by_j = 1, p.in.by_a = n2;
    p.out = k.out;
    p.out.by_j = n1, p.out.by_a = 1;
    p.parts = n1, p.lines = k.lines * n1, p.n = int(n2);
    p.scale = k.scale;
    p.radices.factor(n2);
    p.roots = second.template as<Pair<S>>();
    p.twist = roots.template as<Pair<S>>();
    return launch_block(c, p);
  }
  int64_t N = 1;
  while (N < 2 * n - 1) N *= 2;
  if (N > kFftPoints<S> && first_factor<double>(N) == 0)
    fail(kNotImplemented, "%s: transforms of %lld points are too long for CUDA; use .cpu()", c.name,
         static_cast<long long>(n));
  make_roots<S>(c, roots, n, true);
  const Scratch filter = room_for<double>(c, N), spectrum = room_for<double>(c, N);
  launch(c, filter_kernel, dim3(blocks_for(N)), dim3(kBlock), 0, filter.as<Pair<double>>(), n, N);
  FftPack<double> f{};
  f.in = dense<double>(filter.as<void>(), N), f.out = dense<double>(spectrum.as<void>(), N);
  f.inner = f.parts = f.lines = 1;
  f.whole = N;
  f.scale = f.middle = 1;
  transform<double>(c, f);
  const Scratch a = room_for<S>(c, k.lines * N), b = room_for<S>(c, k.lines * N);
  const Pair<S>* const chirp = roots.template as<Pair<S>>();
  const dim3 grid(blocks_for(k.lines * N));
  launch(c, chirp_in_kernel<S>, grid, dim3(kBlock), 0, k, chirp, a.template as<Pair<S>>(), N);
  FftPack<S> t{};
  t.in = dense<S>(a.template as<void>(), N), t.out = dense<S>(b.template as<void>(), N);
  t.inner = t.parts = 1;
  t.lines = k.lines;
  t.whole = N;
  t.scale = t.middle = 1;
  transform<S>(c, t);
  launch(c, filter_with_kernel<S>, grid, dim3(kBlock), 0, b.template as<Pair<S>>(),
         static_cast<const Pair<double>*>(spectrum.as<Pair<double>>()), k.lines, N);
  t.in = t.out;
  t.out = dense<S>(a.template as<void>(), N);
  t.scale = S(1) / S(N);
  transform<S>(c, t);
  launch(c, chirp_out_kernel<S>, dim3(blocks_for(k.lines * n)), dim3(kBlock), 0, k, chirp,
         static_cast<const Pair<S>*>(a.template as<Pair<S>>()), N);
}

template <class S>
void fft_of(const DeviceCall& c) {
  const auto& op = *static_cast<const FftOpArgs*>(c.args);
  const Operand &x = c.in[0], &y = c.out[0];
  FftPack<S> k{};
  int64_t outer = 1;
  k.inner = k.parts = 1;
  for (int d = 0; d < x.nd; ++d)
    if (d != op.dim) (d < op.dim ? outer : k.inner) *= x.shape[d];
  k.lines = outer * k.inner;
  k.whole = op.n;
  k.in = {x.data, x.shape[op.dim] * k.inner, 1, k.inner, 1, 0, kPairs, false};
  k.out = {y.data, y.shape[op.dim] * k.inner, 1, k.inner, 1, 0, kPairs, false};
  k.in.swapped = k.out.swapped = op.kind == kFftFromHalf || (op.kind == kFftComplex && op.inverse);
  if (op.kind == kFftToHalf) k.in.form = kReals, k.out.form = kHalf;
  if (op.kind == kFftFromHalf) k.in.form = kHalf, k.out.form = kReals;
  k.scale = S(op.scale), k.middle = S(op.middle);
  transform(c, k);
}
void fft(const DeviceCall& c) {
  if (c.out[0].numel() == 0) return;
  const DType d = c.in[0].dtype;
  d == DType::float64 || d == DType::complex128 ? fft_of<double>(c) : fft_of<float>(c);
}

const Launches kLaunches{{"fft", fft, true}};

}  // namespace
}  // namespace lamina::cuda
