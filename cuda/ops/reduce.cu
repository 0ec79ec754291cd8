// Reductions over any dimensions: sum, mean, prod, extremes and where they are, variance, norm.
//
// A block is (threads along the reduced index) x (outputs), or the other way round where outputs
// lie side by side in memory. A thread takes every R-th group of elements in order (groups of 32
// bytes where they lie side by side), the threads of an output are then joined in a fixed tree, so
// the result depends on sizes only. Few outputs of many elements are formed in pieces, joined by a
// second launch. Accumulators are double (int64 for integers). Cost: one read.
#include "ops/reduce_args.h"

#include "launch.h"
#include "number.h"
#include "table.h"

namespace lamina::cuda {
namespace {

constexpr int kMaxDims = 12;

// The value of S in its accumulator and back.
template <class S>
struct Accumulator {
  using T = double;
};
template <>
struct Accumulator<Int> {
  using T = int64_t;
};
LAMINA_HD double accumulated(float v) { return v; }
LAMINA_HD double accumulated(double v) { return v; }
LAMINA_HD int64_t accumulated(Int v) { return v.v; }
LAMINA_HD bool is_nan(double v) { return v != v; }
LAMINA_HD bool is_nan(int64_t) { return false; }
template <class T>
LAMINA_HD T lowest();
template <>
LAMINA_HD double lowest<double>() {
  return -HUGE_VAL;
}
template <>
LAMINA_HD int64_t lowest<int64_t>() {
  return INT64_MIN;
}
LAMINA_HD int64_t wrapping_add(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
LAMINA_HD double wrapping_add(double a, double b) { return a + b; }
LAMINA_HD int64_t wrapping_mul(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }
LAMINA_HD double wrapping_mul(double a, double b) { return a * b; }

// The kinds: a state, how an element and how a later state are taken in.
template <class T>
struct State {
  T a;
  double b, c;  // of moments: a = count
  int64_t at;   // of positions
};
template <int kind, class T>
struct Kind {
  LAMINA_HD static State<T> start() {
    const bool product = kind == kReduceProd;
    const bool least = kind == kReduceMin || kind == kReduceArgMin;
    const bool most = kind == kReduceMax || kind == kReduceArgMax;
    return {product ? T(1) : most ? lowest<T>() : least ? T(-(lowest<T>() + T(1))) : T(0), 0, 0, 0};
  }
  LAMINA_HD static bool better(T x, T than) {
    if (is_nan(than)) return false;
    if (is_nan(x)) return true;
    return kind == kReduceMax || kind == kReduceArgMax ? x > than : x < than;
  }
  LAMINA_HD static void take(State<T>& s, T x, int64_t at) {
    if constexpr (kind == kReduceSum) {
      s.a = wrapping_add(s.a, x);
    } else if constexpr (kind == kReduceProd) {
      s.a = wrapping_mul(s.a, x);
    } else if constexpr (kind == kReduceSquare) {
      s.a = s.a + x * x;
    } else if constexpr (kind == kReduceMoments) {
      s.a += 1;
      const double d = double(x) - s.b;
      s.b += d / double(s.a);
      s.c += d * (double(x) - s.b);
    } else if (better(x, s.a)) {
      s.a = x;
      s.at = at;
    }
  }
  // n neighbours from `at` on.
  template <class S>
  LAMINA_HD static void take_group(State<T>& s, const S* v, int n, int64_t at) {
    if constexpr (kind == kReduceMoments) {  // of the group alone first: one division for all
      State<T> g{T(n), 0, 0, 0};
      for (int e = 0; e < n; ++e) g.b += double(accumulated(v[e]));
      g.b /= n;
      for (int e = 0; e < n; ++e) {
        const double d = double(accumulated(v[e])) - g.b;
        g.c += d * d;
      }
      join(s, g);
    } else {
      for (int e = 0; e < n; ++e) take(s, accumulated(v[e]), at + e);
    }
  }
  LAMINA_HD static void join(State<T>& s, const State<T>& o) {
    if constexpr (kind == kReduceSum || kind == kReduceSquare) {
      s.a = wrapping_add(s.a, o.a);
    } else if constexpr (kind == kReduceProd) {
      s.a = wrapping_mul(s.a, o.a);
    } else if constexpr (kind == kReduceMoments) {
      if (o.a == 0) return;
      const double n = double(s.a) + double(o.a), d = o.b - s.b;
      s.c += o.c + d * d * (double(s.a) * double(o.a) / n);
      s.b += d * (double(o.a) / n);
      s.a = T(n);
    } else {
      const bool tie = o.a == s.a || (is_nan(o.a) && is_nan(s.a));
      if (better(o.a, s.a) || (tie && o.at < s.at)) s = o;
    }
  }
};

struct Axes {
  int n = 0;
  int64_t size[kMaxDims], step[kMaxDims];
  void add(int64_t count, int64_t stride) {
    if (count == 1) return;
    if (n && step[n - 1] == count * stride) {
      size[n - 1] *= count;
      step[n - 1] = stride;
    } else {
      size[n] = count;
      step[n++] = stride;
    }
  }
  LAMINA_HD int64_t offset(int64_t index) const {
    if (n == 1) return index * step[0];
    int64_t at = 0;
    for (int d = n - 1; d >= 0; --d) {
      at += index % size[d] * step[d];
      index /= size[d];
    }
    return at;
  }
};

struct ReducePack {
  const void* x;
  DType type;
  void* y;         // of the compute type, or null
  int64_t* index;  // or null
  int64_t outputs, each, pieces, piece;
  bool columns;            // outputs along threadIdx.x
  bool adjacent, aligned;  // what is reduced lies side by side; in groups of 16 bytes
  Axes kept, gone;
  ReduceFinish finish;
};

template <int kind, class S, class T>
__device__ void finish(const ReducePack& k, int64_t o, const State<T>& s) {
  if (k.index) k.index[o] = s.at;
  if (!k.y) return;
  if constexpr (__is_same(T, int64_t)) {
    static_cast<int64_t*>(k.y)[o] = s.a;
  } else {
    double v = s.a;
    if constexpr (kind == kReduceMoments) {
      const double left = s.a - k.finish.p, variance = s.c / (left > 0 ? left : 0);
      v = s.a == 0                                   ? nan("")
          : k.finish.form == ReduceFinish::value     ? s.b
          : k.finish.form == ReduceFinish::deviation ? ::sqrt(variance)
                                                     : variance;
    } else if (k.finish.form == ReduceFinish::quotient) {
      v /= k.finish.p;
    } else if (k.finish.form == ReduceFinish::root) {
      v = ::sqrt(v);
    }
    static_cast<S*>(k.y)[o] = S(v);
  }
}

// Joins the states of an output's R threads; the result is with r = 0. `room`: one per thread.
template <int kind, class T>
__device__ void join_threads(State<T>& s, State<T>* room, int slot, int r, int R) {
  room[slot] = s;
  for (int half = R / 2; half; half /= 2) {
    __syncthreads();
    if (r < half) Kind<kind, T>::join(room[slot], room[slot + half]);
  }
  __syncthreads();
  s = room[slot - r];
}

template <int kind, class S>
__global__ void reduce_kernel(const ReducePack k, State<typename Accumulator<S>::T>* parts) {
  using T = typename Accumulator<S>::T;
  __shared__ State<T> room[kBlock];
  const int r = k.columns ? int(threadIdx.y) : int(threadIdx.x);
  const int R = k.columns ? int(blockDim.y) : int(blockDim.x);
  const int lane = k.columns ? int(threadIdx.x) : int(threadIdx.y);
  const int lanes = k.columns ? int(blockDim.x) : int(blockDim.y);
  const int64_t tiles = (k.outputs + lanes - 1) / lanes;
  for (int64_t t = blockIdx.x; t < tiles * k.pieces; t += gridDim.x) {
    const int64_t o = t / k.pieces * lanes + lane, piece = t % k.pieces;
    State<T> s = Kind<kind, T>::start();
    if (o < k.outputs) {
      const int64_t base = k.kept.offset(o), begin = piece * k.piece;
      const int64_t end = begin + k.piece < k.each ? begin + k.piece : k.each;
      if (k.adjacent) {
        constexpr int W = kWide<S>;
#pragma unroll 2
        for (int64_t i = begin + r * W; i < end; i += R * W) {
          S v[W];
          const int n = end - i < W ? int(end - i) : W;
          if (k.aligned && n == W) {
            load_wide<S>(v, k.x, base + i, k.type);
            Kind<kind, T>::take_group(s, v, W, i);
          } else {
            for (int e = 0; e < n; ++e) v[e] = load_one<S>(k.x, base + i + e, k.type);
            Kind<kind, T>::take_group(s, v, n, i);
          }
        }
      } else {
#pragma unroll 4
        for (int64_t i = begin + r; i < end; i += R)
          Kind<kind, T>::take(s, accumulated(load_one<S>(k.x, base + k.gone.offset(i), k.type)), i);
      }
    }
    join_threads<kind>(s, room, lane * R + r, r, R);
    if (r == 0 && o < k.outputs) {
      if (k.pieces == 1)
        finish<kind, S>(k, o, s);
      else
        parts[o * k.pieces + piece] = s;
    }
    __syncthreads();
  }
}

template <int kind, class S>
__global__ void join_kernel(const ReducePack k, const State<typename Accumulator<S>::T>* parts) {
  using T = typename Accumulator<S>::T;
  __shared__ State<T> room[kBlock];
  for (int64_t o = blockIdx.x; o < k.outputs; o += gridDim.x) {
    State<T> s = Kind<kind, T>::start();
    for (int64_t p = threadIdx.x; p < k.pieces; p += blockDim.x)
      Kind<kind, T>::join(s, parts[o * k.pieces + p]);
    join_threads<kind>(s, room, int(threadIdx.x), int(threadIdx.x), int(blockDim.x));
    if (threadIdx.x == 0) finish<kind, S>(k, o, s);
    __syncthreads();
  }
}

template <int kind, class S>
void run(const DeviceCall& c, ReducePack& k) {
  using T = typename Accumulator<S>::T;
  dim3 block(kBlock, 1);
  const int64_t groups = k.adjacent ? (k.each + kWide<S> - 1) / kWide<S> : k.each;
  if (k.columns) {
    block = k.each >= 64 ? dim3(32, 8) : dim3(kBlock, 1);
  } else if (groups <= 256) {  // as many threads as there are groups, at most a warp
    unsigned threads = 1;
    while (threads < 32 && threads < groups) threads *= 2;
    block = dim3(threads, kBlock / threads);
  }
  const int64_t lanes = k.columns ? block.x : block.y;
  // About a thousand blocks, if there are elements for them.
  const int64_t across = (k.outputs + lanes - 1) / lanes, wished = (1024 + across - 1) / across;
  const int64_t most = k.each / (k.columns ? 256 : 8192);
  k.pieces = wished < most ? wished : most > 1 ? most : 1;
  k.piece = k.pieces > 1 ? ((k.each + k.pieces - 1) / k.pieces + 63) / 64 * 64 : k.each;
  k.pieces = k.each ? (k.each + k.piece - 1) / k.piece : 1;
  const int64_t tiles = across * k.pieces;
  const dim3 grid(unsigned(tiles < kMaxGrid ? tiles : kMaxGrid));
  const Scratch scratch(c.device,
                        k.pieces > 1 ? size_t(k.outputs * k.pieces) * sizeof(State<T>) : 0);
  launch(c, reduce_kernel<kind, S>, grid, block, 0, k, scratch.as<State<T>>());
  if (k.pieces > 1)
    launch(c, join_kernel<kind, S>, dim3(unsigned(k.outputs)), dim3(kBlock), 0, k,
           static_cast<const State<T>*>(scratch.as<State<T>>()));
}

template <int kind>
void run_kind(const DeviceCall& c, ReducePack& k) {
  switch (compute_type(k.type)) {
    case kF32:
      return run<kind, float>(c, k);
    case kF64:
      return run<kind, double>(c, k);
    default:
      if constexpr (kind != kReduceSquare && kind != kReduceMoments) return run<kind, Int>(c, k);
  }
  fail(kNotImplemented, "%s: no CUDA kernel for integers; use .float()", c.name);
}

void reduce(const DeviceCall& c, const Operand* y, const Operand* index) {
  const auto& a = *static_cast<const ReduceArgs*>(c.args);
  const Operand& x = c.in[0];
  ReducePack k{};
  k.x = x.data;
  k.type = x.dtype;
  k.y = y ? y->data : nullptr;
  k.index = index ? static_cast<int64_t*>(index->data) : nullptr;
  k.finish = a.finish;
  k.outputs = k.each = 1;
  int64_t inner_kept = 0, inner_gone = 0;  // steps of the innermost dimensions
  for (int d = 0; d < x.nd; ++d) {
    const bool gone = a.mask >> d & 1;
    (gone ? k.gone : k.kept).add(x.shape[d], x.strides[d]);
    (gone ? k.each : k.outputs) *= x.shape[d];
    if (x.shape[d] > 1) (gone ? inner_gone : inner_kept) = x.strides[d];
  }
  if (k.outputs == 0) return;
  k.columns = k.outputs > 1 && inner_kept == 1 && inner_gone != 1;
  k.adjacent = k.gone.n == 1 && k.gone.step[0] == 1;
  const int item = item_size(k.type);
  const int bytes = (compute_type(k.type) == kF32 ? kWide<float> : kWide<double>)*item;
  const auto whole = [&](int64_t n) { return n % (bytes < 16 ? bytes : 16) == 0; };
  k.aligned = whole(int64_t(reinterpret_cast<uintptr_t>(k.x)));
  for (int d = 0; d < k.kept.n; ++d) k.aligned &= whole(k.kept.step[d] * item);
  switch (a.kind) {
    case kReduceSum:
      return run_kind<kReduceSum>(c, k);
    case kReduceProd:
      return run_kind<kReduceProd>(c, k);
    case kReduceMax:
      return run_kind<kReduceMax>(c, k);
    case kReduceMin:
      return run_kind<kReduceMin>(c, k);
    case kReduceSquare:
      return run_kind<kReduceSquare>(c, k);
    case kReduceMoments:
      return run_kind<kReduceMoments>(c, k);
    case kReduceArgMax:
      return run_kind<kReduceArgMax>(c, k);
    default:
      return run_kind<kReduceArgMin>(c, k);
  }
}
void value(const DeviceCall& c) { reduce(c, &c.out[0], nullptr); }
void value_and_place(const DeviceCall& c) { reduce(c, &c.out[0], &c.out[1]); }
void place(const DeviceCall& c) { reduce(c, nullptr, &c.out[0]); }

const Launches kLaunches{{"sum", value},           {"mean", value},   {"prod", value},
                         {"amax", value},          {"amin", value},   {"var", value},
                         {"std", value},           {"norm", value},   {"max", value_and_place},
                         {"min", value_and_place}, {"argmax", place}, {"argmin", place}};

}  // namespace
}  // namespace lamina::cuda
