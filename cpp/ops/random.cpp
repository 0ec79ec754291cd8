// Random tensors (distributions: random_cpu.h).
#include "ops/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/threads.h"
#include "ops/ops.h"
#include "ops/random_args.h"
#include "ops/strided.h"

namespace lamina {
namespace {

constexpr int64_t kGroupBytes = 128, kGroupBlocks = 8;  // vec_philox.h

uint64_t blocks_for(int64_t n, int64_t item) {
  return uint64_t((n * item + kGroupBytes - 1) / kGroupBytes * kGroupBlocks);
}

void draw_infer(Call& c) { c.output(unpack(c.args<DrawArgs>().shape), c.args<DrawArgs>().dtype); }
void draw_launch(Call& c) {
  const auto& a = c.args<DrawArgs>();
  const Tensor& y = c.out[0];
  const RandomKernels& k = cpu_kernels().random;
  const RandomFn fill = a.kind < 0 ? k.integers : k.fill[a.kind][a.dtype == DType::float64];
  const int64_t n = y.numel(), item = item_size(a.dtype), group = kGroupBytes / item;
  Scratch dense(y.is_contiguous() ? 0 : size_t(n * item));
  const RandomArgs args{y.is_contiguous() ? y.data() : dense.as<void>(),
                        a.key.seed,
                        a.key.offset,
                        n,
                        a.a,
                        a.b,
                        a.low,
                        a.range};
  parallel_rows((n + group - 1) / group, a.kind == kUniform || a.kind == kBernoulli ? 16 : 32,
                [&](int64_t b, int64_t e) { fill(args, b, e); });
  if (y.is_contiguous()) return;
  StridedLoop loop(y.shape());
  loop.operand(y);
  loop.merge();
  int64_t from = 0;
  loop.runs(0, n, [&](const int64_t* at, int64_t run) {
    for (int64_t i = 0; i < run; ++i, ++from)
      std::memcpy(y.data<char>() + (at[0] + i * loop.inner(0)) * item,
                  dense.as<char>() + from * item, size_t(item));
  });
}
void no_inputs(Vjp&) {}
const Op kDraw{
    .name = "random", .infer = draw_infer, .launch = draw_launch, .vjp = no_inputs, .random = true};

Generator& pick(GeneratorRef& g) { return g ? *g : default_generator(); }

CallRef draw_call(const Dims& shape, DType dtype, int kind, double a, double b, int64_t low,
                  uint64_t range, GeneratorRef& g) {
  const PhiloxKey key = pick(g).take(blocks_for(shape.product(), item_size(dtype)));
  return make_call(kDraw, std::initializer_list<Tensor>{},
                   DrawArgs{key, kind, dtype, a, b, low, range, pack(shape)});
}
Tensor draw(const Dims& shape, DType dtype, int kind, double a, double b, int64_t low,
            uint64_t range, GeneratorRef& g) {
  for (int64_t n : shape)
    check(n >= 0, ErrorKind::shape, "random: sizes must not be negative, got shape ", shape);
  return std::move(run(draw_call(shape, dtype, kind, a, b, low, range, g))[0]);
}
// Into x: at once when x has the dtype values are drawn in, through a conversion otherwise.
Tensor draw_into(const Tensor& x, DType dtype, int kind, double a, double b, int64_t low,
                 uint64_t range, GeneratorRef& g) {
  const bool overwritten = grad_enabled() && x.requires_grad();  // copy_ tells its history
  if (x.dtype() == dtype && !overwritten)
    return run_into(draw_call(x.shape(), dtype, kind, a, b, low, range, g), x);
  return copy_(x, draw(x.shape(), dtype, kind, a, b, low, range, g));
}
DType drawn_as(DType dtype) { return dtype == DType::float64 ? DType::float64 : DType::float32; }
void check_floating(const char* name, DType dtype) {
  check(is_floating(dtype), ErrorKind::dtype, name, ": dtype must be floating, got ", dtype,
        "; use randint for integers");
}

// 64-bit words of a generator, in order.
class Words {
 public:
  explicit Words(PhiloxKey key, int64_t n) : left_(n), key_(key) {}
  uint64_t next() {
    if (at_ == kBatch) {
      const int64_t n = std::min<int64_t>(kBatch, left_);
      const RandomArgs args{batch_, key_.seed, key_.offset, n, 0, 0, 0, 0};
      cpu_kernels().random.integers(args, 0, (n + 15) / 16);
      key_.offset += blocks_for(n, 8);
      left_ -= n;
      at_ = 0;
    }
    return batch_[at_++];
  }
  uint64_t below(uint64_t n) { return uint64_t((unsigned __int128)(next())*n >> 64); }
  double unit() { return double(next() >> 11) * 0x1p-53; }
  double open_unit() { return (double(next() >> 12) + 0.5) * 0x1p-52; }

 private:
  static constexpr int kBatch = 256;
  int64_t left_;
  PhiloxKey key_;
  uint64_t batch_[kBatch];
  int at_ = kBatch;
};

void poisson_infer(Call& c) { c.output(c.in[0].shape(), DType::float64); }
void poisson_launch(Call& c) {
  const auto& a = c.args<OwnStreams>();
  const PoissonArgs args{c.in[0].data<double>(), c.out[0].data<double>(), a.key.seed, a.key.offset};
  parallel_rows(c.in[0].numel(), 150,
                [&](int64_t b, int64_t e) { cpu_kernels().random.poisson(args, b, e); });
}
void poisson_vjp(Vjp& c) { c.set(0, zeros(c.shape(0), c.dtype(0))); }
const Op kPoisson{.name = "poisson",
                  .infer = poisson_infer,
                  .launch = poisson_launch,
                  .vjp = poisson_vjp,
                  .random = true};

}  // namespace

Tensor random_uniform(const Dims& shape, double a, double b, DType dtype, GeneratorRef g) {
  check_floating("rand", dtype);
  return to_dtype(draw(shape, drawn_as(dtype), kUniform, a, b, 0, 0, g), dtype);
}
Tensor random_normal(const Dims& shape, double mean, double deviation, DType dtype,
                     GeneratorRef g) {
  check_floating("randn", dtype);
  return to_dtype(draw(shape, drawn_as(dtype), kNormal, mean, deviation, 0, 0, g), dtype);
}
Tensor random_integers(const Dims& shape, int64_t low, uint64_t range, DType dtype,
                       GeneratorRef g) {
  return to_dtype(draw(shape, DType::int64, -1, 0, 0, low, range, g), dtype);
}

Tensor random_(const Tensor& x, int64_t kind, double a, double b, GeneratorRef g) {
  if (kind != kBernoulli) check_floating("random", x.dtype());
  return draw_into(x, drawn_as(x.dtype()), int(kind), a, b, 0, 0, g);
}
Tensor random_integers_(const Tensor& x, int64_t low, uint64_t range, GeneratorRef g) {
  return draw_into(x, DType::int64, -1, 0, 0, low, range, g);
}

// Fisher and Yates' shuffle (Durstenfeld, CACM 7 (1964)), in 32-bit numbers while they suffice.
template <class T>
static void shuffle(T* p, int64_t n, Words& words) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t j = int64_t(words.below(uint64_t(i) + 1));
    p[i] = p[j];
    p[j] = T(i);
  }
}
namespace {
void permutation_infer(Call& c) {
  const int64_t n = c.args<PermutationArgs>().n;
  c.output({n}, n <= (int64_t(1) << 31) ? DType::int32 : DType::int64);
}
void permutation_launch(Call& c) {
  const auto& a = c.args<PermutationArgs>();
  Words words(a.key, a.n);
  if (c.out[0].dtype() == DType::int32)
    shuffle(c.out[0].data<int32_t>(), a.n, words);
  else
    shuffle(c.out[0].data<int64_t>(), a.n, words);
}
const Op kPermutation{.name = "randperm",
                      .infer = permutation_infer,
                      .launch = permutation_launch,
                      .differentiable = false,
                      .random = true};

void multinomial_infer(Call& c) {
  Dims shape{c.args<MultinomialArgs>().count};
  if (c.in[0].dim() == 2) shape.insert(0, c.in[0].size(0));
  c.output(shape, DType::int64);
}
void multinomial_launch(Call& c);
const Op kMultinomial{.name = "multinomial",
                      .infer = multinomial_infer,
                      .launch = multinomial_launch,
                      .differentiable = false,
                      .random = true};
}  // namespace

Tensor random_permutation(int64_t n, DType dtype, GeneratorRef g) {
  check(n >= 0, ErrorKind::value, "randperm: n must not be negative, got ", n);
  const PermutationArgs args{pick(g).take(blocks_for(n, 8)), n};
  return to_dtype(apply(kPermutation, {}, args), dtype);
}

Tensor random_poisson(const Tensor& rate, GeneratorRef g) {
  const Tensor x = contiguous(to_dtype(rate, DType::float64));
  const OwnStreams args{pick(g).take(uint64_t(x.numel()))};
  return to_dtype(apply(kPoisson, {x}, args), rate.dtype());
}

// With replacement: the inverse of the cumulated weights, summed in pieces so that every device
// gets the same bits. Without: the `count` largest of ln(u) / w, which is drawing one after the
// other (Efraimidis and Spirakis, IPL 97 (2006)).
Tensor multinomial(const Tensor& weights, int64_t count, bool replacement, GeneratorRef g) {
  check(is_floating(weights.dtype()), ErrorKind::dtype,
        "multinomial: weights must be floating, got ", weights, "; convert with .float()");
  check(weights.dim() == 1 || weights.dim() == 2, ErrorKind::shape,
        "multinomial: weights must have 1 or 2 dimensions, got shape ", weights.shape());
  GradMode off(false);
  const Tensor w = contiguous(to_dtype(weights, DType::float64));
  const int64_t n = w.size(-1), rows = w.dim() == 2 ? w.size(0) : 1;
  check(count > 0, ErrorKind::value, "multinomial: num_samples must be positive, got ", count);
  check(replacement || count <= n, ErrorKind::value, "multinomial: cannot draw ", count, " of ", n,
        " without replacement; pass replacement=True");
  const int64_t words = rows * (replacement ? count : n);
  return apply(kMultinomial, {w},
               MultinomialArgs{pick(g).take(blocks_for(words, 8)), count, replacement});
}

namespace {
void multinomial_launch(Call& c) {
  const Tensor &w = c.in[0], &y = c.out[0];
  const auto& a = c.args<MultinomialArgs>();
  const int64_t n = w.size(-1), rows = w.dim() == 2 ? w.size(0) : 1, count = a.count;
  const bool replacement = a.replacement;
  Words words(a.key, rows * (replacement ? count : n));
  std::vector<double> sums(static_cast<size_t>(n));
  std::vector<std::pair<double, int64_t>> keys;
  for (int64_t r = 0; r < rows; ++r) {
    const double* const p = w.data<double>() + r * n;
    int64_t* const out = y.data<int64_t>() + r * count;
    double total = 0, before = 0, piece = 0;
    int64_t positive = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (i % kMultinomialPiece == 0) {
        before = total;
        piece = 0;
      }
      check(p[i] >= 0 && std::isfinite(p[i]), ErrorKind::runtime,
            "multinomial: weights must be finite and not negative, got ", p[i], " at row ", r,
            ", column ", i);
      sums[size_t(i)] = total = before + (piece += p[i]);
      positive += p[i] > 0;
    }
    check(positive > 0, ErrorKind::runtime, "multinomial: the weights of row ", r, " sum to 0");
    if (replacement) {
      for (int64_t k = 0; k < count; ++k) {
        const auto at = std::upper_bound(sums.begin(), sums.end(), words.unit() * total);
        int64_t i = std::min<int64_t>(at - sums.begin(), n - 1);
        while (p[i] == 0) --i;  // only where rounding led past the last weight
        out[k] = i;
      }
      continue;
    }
    check(positive >= count, ErrorKind::runtime, "multinomial: cannot draw ", count, " of ",
          positive, " nonzero weights (row ", r, ") without replacement");
    keys.clear();
    for (int64_t i = 0; i < n; ++i) {
      const double u = words.open_unit();
      if (p[i] > 0) keys.push_back({-std::log(u) / p[i], i});
    }
    std::partial_sort(keys.begin(), keys.begin() + count, keys.end());
    for (int64_t k = 0; k < count; ++k) out[k] = keys[size_t(k)].second;
  }
}
}  // namespace

}  // namespace lamina
