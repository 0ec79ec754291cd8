// Fourier transforms along one dimension (the kernels and their sources: fft_cpu.h).
//   complex     gx = the transform of g with the other sign, the same scale
//   to half     gx = from_half(g), its middle terms halved      (they stand for two of n terms)
//   from half   gx = to_half(g), its middle terms doubled
#include "ops/fft.h"

#include <cmath>
#include <list>
#include <mutex>
#include <vector>

#include "core/threads.h"
#include "ops/fft_args.h"
#include "ops/ops.h"

namespace lamina {
namespace {

// ---- tables ------------------------------------------------------------------------------------
// e^(-2 pi i j / n) for any j, from two tables of about sqrt(n) roots in extended precision: the
// rounded product is right to half a unit.
class Roots {
 public:
  explicit Roots(int64_t n) : n_(n) {
    while (step_ * step_ < n) step_ *= 2;
    for (int64_t j = 0; j < step_; ++j) fine_.push_back(at(j));
    for (int64_t j = 0; j * step_ < n; ++j) coarse_.push_back(at(j * step_));
  }
  void get(int64_t j, double* re, double* im) const {
    j %= n_;
    const Root &a = coarse_[size_t(j / step_)], &b = fine_[size_t(j % step_)];
    *re = double(a.re * b.re - a.im * b.im);
    *im = double(a.re * b.im + a.im * b.re);
  }

 private:
  struct Root {
    long double re, im;
  };
  Root at(int64_t j) const {
    const long double angle =
        -6.283185307179586476925286766559L * (long double)(j) / (long double)(n_);
    return {std::cos(angle), std::sin(angle)};
  }
  int64_t n_, step_ = 1;
  std::vector<Root> fine_, coarse_;
};

struct Tables {
  int64_t n;
  Compute via;
  FftPlan plan{};
  std::vector<std::vector<double>> wide;  // the memory of the tables (floats: two in a double)
  std::shared_ptr<const Tables> inner;
  const void* turns = nullptr;  // of a transform twice as long

  // Keeps `values` in the compute type.
  const void* keep(const std::vector<double>& values) {
    wide.emplace_back(via == kF64 ? values.size() : values.size() / 2 + 1);
    void* p = wide.back().data();
    if (via == kF64)
      std::copy(values.begin(), values.end(), static_cast<double*>(p));
    else
      std::copy(values.begin(), values.end(), static_cast<float*>(p));
    return p;
  }
};
using TablesRef = std::shared_ptr<const Tables>;

TablesRef tables_for(int64_t n, Compute via);

// Radices: eights first, twos and fours so that no small stage is left, then odd primes. False when
// a prime factor is too large.
bool factor(int64_t n, FftPlan& p) {
  int twos = 0;
  for (; n % 2 == 0; n /= 2) ++twos;
  int fours = twos % 3 == 1 ? (twos > 1 ? 2 : 0) : twos % 3 == 2 ? 1 : 0;
  for (int i = (twos - 2 * fours) / 3; i > 0; --i) p.radix[p.stages++] = 8;
  for (; fours > 0; --fours) p.radix[p.stages++] = 4;
  if (twos == 1) p.radix[p.stages++] = 2;
  for (int r = 3; r <= kFftLargestPrime; r += 2)
    for (; n % r == 0; n /= r) p.radix[p.stages++] = r;
  return n == 1;
}

void make_stages(Tables& t) {
  FftPlan& p = t.plan;
  const Roots roots(p.n);
  int64_t n = p.n;
  for (int i = 0; i < p.stages; ++i) {
    const int r = p.radix[i], h = (r - 1) / 2;
    const int64_t m = n / r, jump = p.n / n;
    std::vector<double> w(size_t(2 * (r - 1) * m));
    for (int k = 1; k < r; ++k)
      for (int64_t j = 0; j < m; ++j) {
        const size_t at = size_t((k - 1) * m + j);
        roots.get(j * k * jump, &w[at], &w[at + size_t((r - 1) * m)]);
      }
    p.twiddle[i] = t.keep(w);
    if (r % 2) {
      std::vector<double> c(size_t(2 * h * h));
      for (int k = 0; k < h; ++k)
        for (int j = 0; j < h; ++j) {
          const double angle = 6.283185307179586476925 * double((j + 1) * (k + 1) % r) / r;
          c[size_t(k * h + j)] = std::cos(angle);
          c[size_t(h * h + k * h + j)] = std::sin(angle);
        }
      p.roots[i] = t.keep(c);
    }
    n = m;
  }
}

void make_chirp(Tables& t) {
  FftPlan& p = t.plan;
  const int64_t n = p.n;
  int64_t N = 1;
  while (N < 2 * n - 1) N *= 2;
  p.convolution = N;
  t.inner = tables_for(N, t.via);
  p.inner = &t.inner->plan;
  const Roots roots(2 * n);
  std::vector<double> chirp(size_t(2 * n)), filter(size_t(2 * N), 0.0);
  int64_t square = 0;  // j^2 modulo 2n
  for (int64_t j = 0; j < n; ++j) {
    double *re = &chirp[size_t(j)], *im = &chirp[size_t(n + j)];
    roots.get(square, re, im);
    for (const int64_t at : {j, (N - j) % N}) {
      filter[size_t(at)] = *re;
      filter[size_t(N + at)] = -*im;
    }
    square = (square + 2 * j + 1) % (2 * n);
  }
  const TablesRef exact = tables_for(N, kF64);
  std::vector<double> scratch(size_t(fft_planes_scratch(exact->plan, 1)));
  cpu_kernels().fft.planes[kF64](exact->plan, filter.data(), filter.data() + N, 1, scratch.data());
  p.chirp = t.keep(chirp);
  p.filter = t.keep(filter);
}

TablesRef make_tables(int64_t n, Compute via) {
  auto t = std::make_shared<Tables>();
  t->n = n;
  t->via = via;
  t->plan.n = n;
  if (factor(n, t->plan))
    make_stages(*t);
  else
    make_chirp(*t);
  const Roots roots(2 * n);
  std::vector<double> turns(size_t(2 * n));
  for (int64_t k = 0; k < n; ++k) roots.get(k, &turns[size_t(k)], &turns[size_t(n + k)]);
  t->turns = t->keep(turns);
  return t;
}

// The tables of the lengths used last; making them costs about as much as a transform.
constexpr size_t kKept = 32;
TablesRef tables_for(int64_t n, Compute via) {
  static std::mutex mutex;
  static std::list<TablesRef> kept;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    for (auto it = kept.begin(); it != kept.end(); ++it)
      if ((*it)->n == n && (*it)->via == via) {
        kept.splice(kept.begin(), kept, it);
        return kept.front();
      }
  }
  TablesRef made = make_tables(n, via);
  const std::lock_guard<std::mutex> lock(mutex);
  kept.push_front(made);
  if (kept.size() > kKept) kept.pop_back();
  return made;
}

// ---- the op ------------------------------------------------------------------------------------
void infer(Call& c) {
  const auto& a = c.args<FftOpArgs>();
  Dims shape = c.in[0].shape();
  shape.v[a.dim] = a.kind == kFftToHalf ? a.n / 2 + 1 : a.n;
  const DType d = c.in[0].dtype();
  c.output(shape, a.kind == kFftToHalf     ? complex_type(d)
                  : a.kind == kFftFromHalf ? part_type(d)
                                           : d);
}

void launch(Call& c) {
  const auto& a = c.args<FftOpArgs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const Compute via = part_type(x.dtype()) == DType::float64 ? kF64 : kF32;
  const bool packed = a.kind != kFftComplex && a.n % 2 == 0;
  const TablesRef tables = tables_for(packed ? a.n / 2 : a.n, via);
  FftArgs f{};
  f.x = x.data();
  f.y = y.data();
  f.n = a.n;
  f.outer = f.inner = 1;
  for (int d = 0; d < x.dim(); ++d)
    if (d != a.dim) (d < a.dim ? f.outer : f.inner) *= x.size(d);
  f.inverse = a.inverse;
  f.scale = a.scale;
  f.middle = a.middle;
  f.plan = &tables->plan;
  f.turns = tables->turns;
  // Neighbours in memory go together; whole rows only when they are short.
  const int64_t across = f.inner > 1 ? f.inner : f.outer;
  f.group = f.inner > 1 ? (a.n <= 8192 ? kFftGroup : kFftGroup / 2) : a.n <= 128 ? kFftGroup : 1;
  if (f.group > across) f.group = across;
  const int64_t units = (across + f.group - 1) / f.group * (f.inner > 1 ? f.outer : 1);
  const int64_t values = 4 * (a.n + 2) * f.group + fft_planes_scratch(*f.plan, f.group);
  const double ns = double(a.n * f.group) * (f.plan->convolution ? 12.0 : 2.5) + 50;
  const FftFn fn = cpu_kernels().fft.f[a.kind][via];
  parallel_rows(units, ns, [&](int64_t b, int64_t e) {
    const Scratch scratch(size_t(values) * (via == kF64 ? 8 : 4));
    FftArgs mine = f;
    mine.scratch = scratch.as();
    fn(mine, b, e);
  });
}

Tensor apply_fft(const Tensor& x, const FftOpArgs& a);
void vjp(Vjp& c) {
  FftOpArgs a = c.args<FftOpArgs>();
  if (a.kind == kFftComplex) {
    a.inverse = !a.inverse;
  } else {
    a.middle *= a.kind == kFftToHalf ? 0.5 : 2;
    a.kind = a.kind == kFftToHalf ? kFftFromHalf : kFftToHalf;
  }
  c.set(0, apply_fft(c.g(), a));
}
const Op kFft{.name = "fft", .infer = infer, .launch = launch, .vjp = vjp, .complex = true};

Tensor apply_fft(const Tensor& x, const FftOpArgs& a) { return apply(kFft, {contiguous(x)}, a); }

int checked_dim(const char* name, const Tensor& x, int64_t dim, bool complex) {
  const DType d = part_type(x.dtype());
  check(is_complex(x.dtype()) == complex && (d == DType::float32 || d == DType::float64),
        ErrorKind::dtype, name, ": expected ",
        complex ? "complex64 or complex128" : "float32 or float64", ", got ", x);
  check(x.dim() > 0, ErrorKind::shape, name, ": a 0-dim tensor has no dimension to transform");
  return wrap_dim(name, dim, x.dim());
}

}  // namespace

Tensor fft_complex(const Tensor& x, int64_t dim, bool inverse, double scale) {
  const int d = checked_dim("fft", x, dim, true);
  check(x.size(d) > 0, ErrorKind::value, "fft: the number of points must be positive, got ",
        x.size(d));
  return apply_fft(x, FftOpArgs{kFftComplex, d, x.size(d), inverse, scale, 1});
}
Tensor fft_to_half(const Tensor& x, int64_t dim, double scale) {
  const int d = checked_dim("rfft", x, dim, false);
  check(x.size(d) > 0, ErrorKind::value, "rfft: the number of points must be positive, got ",
        x.size(d));
  return apply_fft(x, FftOpArgs{kFftToHalf, d, x.size(d), false, scale, 1});
}
Tensor fft_from_half(const Tensor& x, int64_t dim, int64_t n, double scale) {
  const int d = checked_dim("irfft", x, dim, true);
  check(n > 0 && x.size(d) == n / 2 + 1, ErrorKind::value, "irfft: ", n, " points need ", n / 2 + 1,
        " terms, got ", x.size(d));
  return apply_fft(x, FftOpArgs{kFftFromHalf, d, n, true, scale, 1});
}

}  // namespace lamina
