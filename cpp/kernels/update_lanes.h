// What the loops of the optimizer steps share: walking over elements in vectors, the gradient with
// its penalty, and moving averages.
#pragma once
#include "kernels/kernels.h"
#include "kernels/prefetch.h"
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

// Calls step(offset, lanes) for whole vectors, then once for what is left.
template <class V>
struct Whole {
  using T = Scalar<V>;
  static V get(const T* p) { return load<V>(p); }
  static void put(T* p, V v) { store(p, v); }
};
template <class V>
struct Part {
  using T = Scalar<V>;
  int n;
  V get(const T* p) const { return load<V>(p, n); }
  void put(T* p, V v) const { store(p, v, n); }
};
template <class V, class Step>
inline void over(int64_t i, int64_t end, Step&& step) {
  for (; i + kLanes<V> <= end; i += kLanes<V>) step(i, Whole<V>{});
  if (i < end) step(i, Part<V>{int(end - i)});
}

// Parameters were read by other threads since they were last written: their lines are asked for, to
// be written, some iterations before (saves a quarter of an Adam step whose parameters two cores
// read). Never past `end`: what lies there is another thread's, whose lines would be taken away.
constexpr int64_t kAhead = 256;
template <class T>
inline void fetch_to_write(const T* p, int64_t i, int64_t end) {
  prefetch_to_write(p + (i + kAhead < end ? i + kAhead : i));
}

// The gradient with its sign (maximize) and the L2 penalty: g = sign g + decay p
template <class V, bool Decay>
inline V penalised(V g, V p, V sign, V decay) {
  g = g * sign;
  if constexpr (Decay) g = g + decay * p;
  return g;
}

// m + w (g - m), from the nearer end: the moving average with weight w of the new value
template <class V>
struct Average {
  bool near;
  V w;
  explicit Average(double weight)
      : near(weight < 0.5), w(set1<V>(Scalar<V>(near ? weight : 1 - weight))) {}
  V operator()(V m, V g) const {
    const V d = g - m;
    return near ? m + w * d : g - w * d;
  }
};

}  // namespace
}  // namespace lamina::LAMINA_ISA
