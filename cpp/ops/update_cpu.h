// Optimizer steps of one parameter, in place and in one pass over its memory:
//   sgd      reads p, g (and b), writes p (and b)            12 or 20 bytes per float
//   adam     reads p, g, m, v, writes p, m, v                28 bytes (36 with amsgrad)
//   rmsprop  reads p, g, v (a, b), writes p, v (a, b)        20 to 36 bytes
//   adagrad  reads p, g, v, writes p, v                      20 bytes
// p, g and the states s[0..2] are dense with n elements; a call works on elements [begin, end).
// Every product, sum, quotient and root is rounded once, in the order the formulas are written
// below, so an element's bits depend neither on its position nor on how the range was split.
#pragma once
#include "kernels/kernels.h"
#include "kernels/update_lanes.h"
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

// g = sign g + decay p;  b = momentum b + (1 - dampening) g  (b = g at first);
// d = b, with Nesterov g + momentum b, without momentum g;  p = p - lr d
// k = lr, momentum, 1 - dampening, decay, sign
template <class V, int F>
void sgd(const UpdateArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  T* const p = static_cast<T*>(a.p);
  const T* const g = static_cast<const T*>(a.g);
  T* const b = static_cast<T*>(a.s[0]);
  const V lr = set1<V>(T(a.k[0])), momentum = set1<V>(T(a.k[1])), fresh = set1<V>(T(a.k[2])),
          decay = set1<V>(T(a.k[3])), sign = set1<V>(T(a.k[4]));
  over<V>(begin, end, [&](int64_t i, auto at) {
    fetch_to_write(p, i, end);
    const V x = at.get(p + i);
    V d = penalised < V, (F & kSgdDecay) != 0 > (at.get(g + i), x, sign, decay);
    if constexpr ((F & kSgdMomentum) != 0) {
      V v = d;
      if constexpr ((F & kSgdFirst) == 0) v = at.get(b + i) * momentum + fresh * d;
      at.put(b + i, v);
      if constexpr ((F & kSgdNesterov) != 0)
        d = d + momentum * v;
      else
        d = v;
    }
    at.put(p + i, x - lr * d);
  });
}

// p = keep p (decoupled decay);  g = sign g + decay p;  m = average(m, g);
// v = beta2 v + (1 - beta2) g g;  with amsgrad u = max(u, v), else u = v;
// p = p - size m / (sqrt(u) scale + eps)
// k = size = lr / (1 - beta1^t), scale = 1 / sqrt(1 - beta2^t), beta1, beta2, eps, decay, sign,
// keep
template <class V, int F>
void adam(const UpdateArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  T* const p = static_cast<T*>(a.p);
  const T* const g = static_cast<const T*>(a.g);
  T *const m = static_cast<T*>(a.s[0]), *const v = static_cast<T*>(a.s[1]),
           *const u = static_cast<T*>(a.s[2]);
  const Average<V> average(1 - a.k[2]);
  const V size = set1<V>(T(a.k[0])), scale = set1<V>(T(a.k[1])), beta2 = set1<V>(T(a.k[3])),
          fresh = set1<V>(T(1 - a.k[3])), eps = set1<V>(T(a.k[4])), decay = set1<V>(T(a.k[5])),
          sign = set1<V>(T(a.k[6])), keep = set1<V>(T(a.k[7]));
  over<V>(begin, end, [&](int64_t i, auto at) {
    fetch_to_write(p, i, end);
    const V x = at.get(p + i) * keep;
    const V d = penalised < V, (F & kAdamDecay) != 0 > (at.get(g + i), x, sign, decay);
    const V mean = average(at.get(m + i), d);
    at.put(m + i, mean);
    V square = at.get(v + i) * beta2 + fresh * d * d;
    at.put(v + i, square);
    if constexpr ((F & kAdamMax) != 0) {
      const V old = at.get(u + i);
      square = select((square > old) | (square != square), square, old);  // NaN stays
      at.put(u + i, square);
    }
    at.put(p + i, x - size * mean / (sqrt(square) * scale + eps));
  });
}

// g = sign g + decay p;  v = alpha v + (1 - alpha) g g;
// centered: a = average(a, g), r = sqrt(v - a a + inside) + eps, else r = sqrt(v + inside) + eps;
// with momentum b = momentum b + g / r, p = p - lr b, else p = p - lr g / r
// k = lr, alpha, eps, decay, sign, momentum, inside;  s = v, b, a
template <class V, int F>
void rmsprop(const UpdateArgs& args, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  T* const p = static_cast<T*>(args.p);
  const T* const g = static_cast<const T*>(args.g);
  T *const v = static_cast<T*>(args.s[0]), *const b = static_cast<T*>(args.s[1]),
           *const a = static_cast<T*>(args.s[2]);
  const Average<V> average(1 - args.k[1]);
  const V lr = set1<V>(T(args.k[0])), alpha = set1<V>(T(args.k[1])),
          fresh = set1<V>(T(1 - args.k[1])), eps = set1<V>(T(args.k[2])),
          decay = set1<V>(T(args.k[3])), sign = set1<V>(T(args.k[4])),
          momentum = set1<V>(T(args.k[5])), inside = set1<V>(T(args.k[6]));
  over<V>(begin, end, [&](int64_t i, auto at) {
    const V x = at.get(p + i);
    const V d = penalised < V, (F & kRmsDecay) != 0 > (at.get(g + i), x, sign, decay);
    V square = at.get(v + i) * alpha + fresh * d * d;
    at.put(v + i, square);
    if constexpr ((F & kRmsCentered) != 0) {
      const V mean = average(at.get(a + i), d);
      at.put(a + i, mean);
      square = square - mean * mean;
    }
    const V root = sqrt(square + inside) + eps;
    if constexpr ((F & kRmsMomentum) != 0) {
      const V moved = at.get(b + i) * momentum + d / root;
      at.put(b + i, moved);
      at.put(p + i, x - lr * moved);
    } else {
      at.put(p + i, x - lr * d / root);
    }
  });
}

// g = sign g + decay p;  v = v + g g;  p = p - lr g / (sqrt(v + inside) + eps)
// k = lr (with its decay), eps, decay, sign, inside
template <class V, int F>
void adagrad(const UpdateArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  T* const p = static_cast<T*>(a.p);
  const T* const g = static_cast<const T*>(a.g);
  T* const v = static_cast<T*>(a.s[0]);
  const V lr = set1<V>(T(a.k[0])), eps = set1<V>(T(a.k[1])), decay = set1<V>(T(a.k[2])),
          sign = set1<V>(T(a.k[3])), inside = set1<V>(T(a.k[4]));
  over<V>(begin, end, [&](int64_t i, auto at) {
    const V x = at.get(p + i);
    const V d = penalised < V, (F & kAdagradDecay) != 0 > (at.get(g + i), x, sign, decay);
    const V sum = at.get(v + i) + d * d;
    at.put(v + i, sum);
    at.put(p + i, x - lr * d / (sqrt(sum + inside) + eps));
  });
}

// Every combination of flags of every kernel, for one type.
template <int F>
void fill_sgd(UpdateKernels& k) {
  k.sgd[kF32][F] = sgd<F32, F>;
  k.sgd[kF64][F] = sgd<F64, F>;
  if constexpr (F > 0) fill_sgd<F - 1>(k);
}
template <int F>
void fill_adam(UpdateKernels& k) {
  k.adam[kF32][F] = adam<F32, F>;
  k.adam[kF64][F] = adam<F64, F>;
  if constexpr (F > 0) fill_adam<F - 1>(k);
}
template <int F>
void fill_rmsprop(UpdateKernels& k) {
  k.rmsprop[kF32][F] = rmsprop<F32, F>;
  k.rmsprop[kF64][F] = rmsprop<F64, F>;
  if constexpr (F > 0) fill_rmsprop<F - 1>(k);
}
template <int F>
void fill_adagrad(UpdateKernels& k) {
  k.adagrad[kF32][F] = adagrad<F32, F>;
  k.adagrad[kF64][F] = adagrad<F64, F>;
  if constexpr (F > 0) fill_adagrad<F - 1>(k);
}

}  // namespace

void fill_update(Kernels& k) {
  fill_sgd<kSgdKinds - 1>(k.update);
  fill_adam<kAdamKinds - 1>(k.update);
  fill_rmsprop<kRmsKinds - 1>(k.update);
  fill_adagrad<kAdagradKinds - 1>(k.update);
}

}  // namespace lamina::LAMINA_ISA
