// More optimizer steps of one parameter, in place and in one pass over its memory:
//   adadelta, adamax, nadam, radam, rprop  read p, g and two states, write p and the states
//                                          28 bytes per float
//   asgd, lion                             one state, 20 bytes per float
// Layout, ranges and rounding: as update_cpu.h.
#pragma once
#include "kernels/kernels.h"
#include "kernels/update_lanes.h"
#include "kernels/vec.h"

namespace lamina::LAMINA_ISA {
namespace {

// The arrays of one parameter and its numbers as vectors.
template <class V>
struct Arrays {
  using T = Scalar<V>;
  const UpdateArgs& a;
  T* p() const { return static_cast<T*>(a.p); }
  const T* g() const { return static_cast<const T*>(a.g); }
  T* s(int i) const { return static_cast<T*>(a.s[i]); }
  V k(int i) const { return set1<V>(T(a.k[i])); }
};

template <class V>
inline V sign_of(V x) {
  const V zero = set1<V>(0), one = set1<V>(1);
  return select(x > zero, one, select(x < zero, -one, x));  // 0 and NaN stay
}

// g = sign g + decay p;  v = rho v + (1 - rho) g g;  d = sqrt(u + eps) / sqrt(v + eps) g;
// u = rho u + (1 - rho) d d;  p = p - lr d
// k = lr, rho, eps, decay, sign;  s = v, u
template <class V, int F>
void adadelta(const UpdateArgs& args, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const Arrays<V> a{args};
  T *const p = a.p(), *const v = a.s(0), *const u = a.s(1);
  const T* const g = a.g();
  const V lr = a.k(0), rho = a.k(1), eps = a.k(2), decay = a.k(3), sign = a.k(4),
          fresh = set1<V>(T(1 - args.k[1]));
  over<V>(begin, end, [&](int64_t i, auto at) {
    const V x = at.get(p + i);
    const V d = penalised < V, (F & kAdadeltaDecay) != 0 > (at.get(g + i), x, sign, decay);
    const V square = at.get(v + i) * rho + fresh * d * d;
    at.put(v + i, square);
    const V old = at.get(u + i);
    const V move = sqrt(old + eps) / sqrt(square + eps) * d;
    at.put(u + i, old * rho + fresh * move * move);
    at.put(p + i, x - lr * move);
  });
}

// g = sign g + decay p;  m = average(m, g);  u = max(beta2 u, |g| + eps);  p = p - size m / u
// k = size = lr / (1 - beta1^t), beta1, beta2, eps, decay, sign;  s = m, u
template <class V, int F>
void adamax(const UpdateArgs& args, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const Arrays<V> a{args};
  T *const p = a.p(), *const m = a.s(0), *const u = a.s(1);
  const T* const g = a.g();
  const Average<V> average(1 - args.k[1]);
  const V size = a.k(0), beta2 = a.k(2), eps = a.k(3), decay = a.k(4), sign = a.k(5);
  over<V>(begin, end, [&](int64_t i, auto at) {
    const V x = at.get(p + i);
    const V d = penalised < V, (F & kAdamaxDecay) != 0 > (at.get(g + i), x, sign, decay);
    const V mean = average(at.get(m + i), d);
    at.put(m + i, mean);
    const V old = at.get(u + i) * beta2, now = abs(d) + eps;
    const V largest = select((now > old) | (now != now), now, old);  // NaN stays
    at.put(u + i, largest);
    at.put(p + i, x - size * mean / largest);
  });
}

// p = keep p (decoupled decay);  g = sign g + decay p;  m = average(m, g);
// v = beta2 v + (1 - beta2) g g;  r = sqrt(v) scale + eps;  p = p - now g / r - next m / r
// k = now = lr (1 - mu_t) / (1 - mu_1..mu_t), next = lr mu_{t+1} / (1 - mu_1..mu_{t+1}),
// scale = 1 / sqrt(1 - beta2^t), beta1, beta2, eps, decay, sign, keep;  s = m, v
template <class V, int F>
void nadam(const UpdateArgs& args, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const Arrays<V> a{args};
  T *const p = a.p(), *const m = a.s(0), *const v = a.s(1);
  const T* const g = a.g();
  const Average<V> average(1 - args.k[3]);
  const V now = a.k(0), next = a.k(1), scale = a.k(2), beta2 = a.k(4), eps = a.k(5), decay = a.k(6),
          sign = a.k(7), keep = a.k(8), fresh = set1<V>(T(1 - args.k[4]));
  over<V>(begin, end, [&](int64_t i, auto at) {
    const V x = at.get(p + i) * keep;
    const V d = penalised < V, (F & kNadamDecay) != 0 > (at.get(g + i), x, sign, decay);
    const V mean = average(at.get(m + i), d);
    at.put(m + i, mean);
    const V square = at.get(v + i) * beta2 + fresh * d * d;
    at.put(v + i, square);
    const V root = sqrt(square) * scale + eps;
    at.put(p + i, x - now * d / root - next * mean / root);
  });
}

// p = keep p (decoupled decay);  g = sign g + decay p;  m = average(m, g);
// v = beta2 v + (1 - beta2) g g;  p = p - size m / (sqrt(v) + eps), plain: p = p - size m
// k = size (with the rectification), beta1, beta2, eps, decay, sign, keep;  s = m, v
template <class V, int F>
void radam(const UpdateArgs& args, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const Arrays<V> a{args};
  T *const p = a.p(), *const m = a.s(0), *const v = a.s(1);
  const T* const g = a.g();
  const Average<V> average(1 - args.k[1]);
  const V size = a.k(0), beta2 = a.k(2), eps = a.k(3), decay = a.k(4), sign = a.k(5), keep = a.k(6),
          fresh = set1<V>(T(1 - args.k[2]));
  over<V>(begin, end, [&](int64_t i, auto at) {
    const V x = at.get(p + i) * keep;
    const V d = penalised < V, (F & kRadamDecay) != 0 > (at.get(g + i), x, sign, decay);
    const V mean = average(at.get(m + i), d);
    at.put(m + i, mean);
    const V square = at.get(v + i) * beta2 + fresh * d * d;
    at.put(v + i, square);
    if constexpr ((F & kRadamPlain) != 0)
      at.put(p + i, x - size * mean);
    else
      at.put(p + i, x - size * mean / (sqrt(square) + eps));
  });
}

// g = sign g;  f = eta+ where g o > 0, eta- where g o < 0, else 1;
// s = s f within [least, most];  g = 0 where g o < 0;  p = p - s sign(g);  o = g
// k = eta-, eta+, least, most, sign;  s = o (the previous gradient), s (step sizes)
template <class V, int F>
void rprop(const UpdateArgs& args, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const Arrays<V> a{args};
  T *const p = a.p(), *const o = a.s(0), *const s = a.s(1);
  const T* const g = a.g();
  const V shrink = a.k(0), grow = a.k(1), least = a.k(2), most = a.k(3), sign = a.k(4),
          zero = set1<V>(0), one = set1<V>(1);
  over<V>(begin, end, [&](int64_t i, auto at) {
    const V d = at.get(g + i) * sign;
    const V agree = d * at.get(o + i);
    V size = at.get(s + i) * select(agree > zero, grow, select(agree < zero, shrink, one));
    size = select(size < least, least, size);
    size = select(size > most, most, size);
    at.put(s + i, size);
    const V kept = select(agree < zero, zero, d);
    at.put(o + i, kept);
    at.put(p + i, at.get(p + i) - sign_of(kept) * size);
  });
}

// g = sign g + decay p;  p = p keep - eta g;  a = a + mu (p - a), copy: a = p
// k = keep = 1 - lambd eta, eta, mu, decay, sign;  s = a (the average)
template <class V, int F>
void asgd(const UpdateArgs& args, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const Arrays<V> a{args};
  T *const p = a.p(), *const average = a.s(0);
  const T* const g = a.g();
  const V keep = a.k(0), eta = a.k(1), mu = a.k(2), decay = a.k(3), sign = a.k(4);
  over<V>(begin, end, [&](int64_t i, auto at) {
    const V old = at.get(p + i);
    const V d = penalised < V, (F & kAsgdDecay) != 0 > (at.get(g + i), old, sign, decay);
    const V x = old * keep - eta * d;
    at.put(p + i, x);
    V mean = x;
    if constexpr ((F & kAsgdCopy) == 0) {
      const V before = at.get(average + i);
      mean = before + mu * (x - before);
    }
    at.put(average + i, mean);
  });
}

// g = sign g;  p = keep p - lr sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g
// k = lr, beta1, beta2, keep = 1 - lr decay, sign;  s = m
template <class V, int F>
void lion(const UpdateArgs& args, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  const Arrays<V> a{args};
  T *const p = a.p(), *const m = a.s(0);
  const T* const g = a.g();
  const V lr = a.k(0), beta1 = a.k(1), beta2 = a.k(2), keep = a.k(3), sign = a.k(4),
          fresh1 = set1<V>(T(1 - args.k[1])), fresh2 = set1<V>(T(1 - args.k[2]));
  over<V>(begin, end, [&](int64_t i, auto at) {
    const V d = at.get(g + i) * sign, mean = at.get(m + i);
    at.put(p + i, at.get(p + i) * keep - lr * sign_of(mean * beta1 + fresh1 * d));
    at.put(m + i, mean * beta2 + fresh2 * d);
  });
}

template <class V>
void fill_type(UpdateKernels& k, int type) {
  k.adadelta[type][0] = adadelta<V, 0>;
  k.adadelta[type][kAdadeltaDecay] = adadelta<V, kAdadeltaDecay>;
  k.adamax[type][0] = adamax<V, 0>;
  k.adamax[type][kAdamaxDecay] = adamax<V, kAdamaxDecay>;
  k.nadam[type][0] = nadam<V, 0>;
  k.nadam[type][kNadamDecay] = nadam<V, kNadamDecay>;
  k.radam[type][0] = radam<V, 0>;
  k.radam[type][kRadamDecay] = radam<V, kRadamDecay>;
  k.radam[type][kRadamPlain] = radam<V, kRadamPlain>;
  k.radam[type][kRadamPlain | kRadamDecay] = radam < V, kRadamPlain | kRadamDecay > ;
  k.rprop[type][0] = rprop<V, 0>;
  k.asgd[type][0] = asgd<V, 0>;
  k.asgd[type][kAsgdDecay] = asgd<V, kAsgdDecay>;
  k.asgd[type][kAsgdCopy] = asgd<V, kAsgdCopy>;
  k.asgd[type][kAsgdCopy | kAsgdDecay] = asgd < V, kAsgdCopy | kAsgdDecay > ;
  k.lion[type][0] = lion<V, 0>;
}

}  // namespace

void fill_update_more(Kernels& k) {
  fill_type<F32>(k.update, kF32);
  fill_type<F64>(k.update, kF64);
}

}  // namespace lamina::LAMINA_ISA
