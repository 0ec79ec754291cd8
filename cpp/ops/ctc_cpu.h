// Connectionist temporal classification (Graves et al., ICML 2006) of one sequence per task.
// With e_t(s) = x[t, label of s], in logarithms:
//   a_t(s) = e_t(s) + log(exp a_{t-1}(s) + exp a_{t-1}(s-1) + [skip s] exp a_{t-1}(s-2))
//   loss   = -log(exp a_{T-1}(L-1) + exp a_{T-1}(L-2)),  L = 2 labels + 1
//   b_t(s) = e_t(s) + log(exp b_{t+1}(s) + exp b_{t+1}(s+1) + [skip s+2] exp b_{t+1}(s+2))
//   gx[t, c] = g (exp x[t, c] - sum over s of label c of exp(a_t(s) + b_t(s) - e_t(s) + loss))
// skip s: s is a label and differs from the label before it. Rows of a have two borders of
// -infinity in front, rows of b behind, so that all states are alike. Every row is kept relative to
// its largest element, whose sum over frames is a double: long sequences lose no digits.
//
// Cost: three exponentials and a logarithm per state and frame in each direction, T L of them.
#pragma once
#include "kernels/kernels.h"
#include "kernels/vec.h"
#include "kernels/vec_math.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class V>
struct CtcSequence {
  using T = Scalar<V>;
  static constexpr T kNone = -T(__builtin_inf());

  const CtcArgs& a;
  int64_t n, frames, states;
  const int64_t* target;
  T *rows, *e, *skip;

  CtcSequence(const CtcArgs& args, int64_t sample)
      : a(args),
        n(sample),
        frames(args.frames[sample]),
        states(2 * args.labels[sample] + 1),
        target(args.targets + args.starts[sample]),
        rows(static_cast<T*>(args.scratch) + sample * kCtcRows * args.pitch),
        e(rows),
        skip(rows + args.pitch) {
    for (int64_t s = 0; s < a.pitch; ++s)  // 0 where a path may come from (go to) two states away
      skip[s] = s >= 3 && s < states && s % 2 && target[s / 2] != target[s / 2 - 1] ? T(0) : kNone;
  }
  // Makes the row's largest element 0; returns what it was (0 when nothing is possible).
  T level(T* row) const {
    T most = kNone;
    for (int64_t s = 0; s < states; ++s) most = row[s] > most ? row[s] : most;
    if (most == kNone) return 0;
    for (int64_t s = 0; s < states; ++s) row[s] -= most;
    return most;
  }
  double* offset(int64_t t) const { return a.offset + n * a.T + t; }
  const T* frame(int64_t t) const { return static_cast<const T*>(a.x) + (t * a.N + n) * a.C; }
  T* alpha(int64_t t) const { return static_cast<T*>(a.alpha) + (n * a.T + t) * a.pitch + 2; }
  int64_t label(int64_t s) const { return s % 2 ? target[s / 2] : a.blank; }
  void emissions(int64_t t) const {
    const T* const x = frame(t);
    for (int64_t s = 0; s < states; ++s) e[s] = x[label(s)];
  }
  // log(exp a_{T-1}(L-1) + exp a_{T-1}(L-2)): minus the loss
  double total() const {
    const T* const last = alpha(frames - 1) + states;
    T both[kLanes<V>];
    store(both, join(set1<V>(last[-1]), set1<V>(states > 1 ? last[-2] : kNone), set1<V>(kNone),
                     set1<V>(0)));
    return double(both[0]) + *offset(frames - 1);
  }
  // e + log(exp p + exp q + exp r); -infinity where all three are
  static V join(V p, V q, V r, V e) {
    const V none = set1<V>(kNone), m = max(max(p, q), r);
    const V base = select(m == none, set1<V>(0), m);
    return e + base + log(exp(p - base) + exp(q - base) + exp(r - base));
  }
};

template <class V>
inline V some(const Scalar<V>* p, int64_t left) {
  return left >= kLanes<V> ? load<V>(p) : load<V>(p, int(left));
}
template <class V>
inline void put_some(Scalar<V>* p, V v, int64_t left) {
  left >= kLanes<V> ? store(p, v) : store(p, v, int(left));
}

template <class V>
void ctc_loss(const CtcArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  for (int64_t n = begin; n < end; ++n) {
    const CtcSequence<V> q(a, n);
    T& loss = static_cast<T*>(a.loss)[n];
    if (q.frames == 0) {
      loss = q.states == 1 || a.zero_infinity ? T(0) : T(__builtin_inf());
      continue;
    }
    double sum = 0;
    for (int64_t t = 0; t < q.frames; ++t) {
      T* const row = q.alpha(t);
      row[-2] = row[-1] = q.kNone;
      q.emissions(t);
      if (t == 0)
        for (int64_t s = 0; s < q.states; ++s) row[s] = s < 2 ? q.e[s] : q.kNone;
      for (int64_t s = 0; t && s < q.states; s += kLanes<V>) {
        const T* const old = q.alpha(t - 1) + s;
        const int64_t left = q.states - s;
        const V two = some<V>(old - 2, left) + some<V>(q.skip + s, left);
        put_some(row + s,
                 q.join(some<V>(old, left), some<V>(old - 1, left), two, some<V>(q.e + s, left)),
                 left);
      }
      sum += double(q.level(row));
      *q.offset(t) = sum;
    }
    const double total = q.total();
    loss = T(total == -__builtin_inf() && a.zero_infinity ? 0 : -total);
  }
}

template <class V>
void ctc_grad(const CtcArgs& a, int64_t begin, int64_t end) {
  using T = Scalar<V>;
  for (int64_t n = begin; n < end; ++n) {
    const CtcSequence<V> q(a, n);
    const T g = static_cast<const T*>(a.g)[n];
    const auto gradient = [&](int64_t t) { return static_cast<T*>(a.gx) + (t * a.N + n) * a.C; };
    for (int64_t t = q.frames; t < a.T; ++t)
      for (int64_t c = 0; c < a.C; ++c) gradient(t)[c] = 0;
    if (q.frames == 0) continue;
    const double total = q.total();
    if (total == -__builtin_inf()) {
      const T value = a.zero_infinity ? T(0) : T(__builtin_nan(""));
      for (int64_t t = 0; t < q.frames; ++t)
        for (int64_t c = 0; c < a.C; ++c) gradient(t)[c] = value;
      continue;
    }
    const V none = set1<V>(q.kNone), zero = set1<V>(0), scale = set1<V>(g);
    double sum = 0;  // what is to be added to `next`
    T *now = q.rows + 2 * a.pitch, *next = q.rows + 3 * a.pitch, *share = q.rows + 4 * a.pitch;
    for (int64_t t = q.frames - 1; t >= 0; --t) {
      q.emissions(t);
      const T* const row = q.alpha(t);
      now[q.states] = now[q.states + 1] = q.kNone;
      const V shift = set1<V>(T(*q.offset(t) + sum - total));
      for (int64_t s = 0; s < q.states; s += kLanes<V>) {
        const int64_t left = q.states - s;
        const V e = some<V>(q.e + s, left);
        V b = none;
        if (t + 1 < q.frames) {
          // The borders behind the row belong to the loads that end there.
          const V two = some<V>(next + s + 2, left) + some<V>(q.skip + s + 2, left);
          b = q.join(some<V>(next + s, left), some<V>(next + s + 1, left), two, e);
          put_some(now + s, b, left);
        } else {
          for (int64_t i = s; i < s + kLanes<V> && i < q.states; ++i)
            now[i] = i >= q.states - 2 ? q.e[i] : q.kNone;
          b = some<V>(now + s, left);
        }
        const V both = some<V>(row + s, left) + b;
        put_some(share + s, select(both == none, zero, scale * exp(both - e + shift)), left);
      }
      T* const gx = gradient(t);
      const T* const x = q.frame(t);
      for (int64_t c = 0; c < a.C; c += kLanes<V>)
        put_some(gx + c, scale * exp(some<V>(x + c, a.C - c)), a.C - c);
      for (int64_t s = 0; s < q.states; ++s) gx[q.label(s)] -= share[s];
      sum += double(q.level(now));
      T* const swap = now;
      now = next;
      next = swap;
    }
  }
}

}  // namespace

void fill_ctc(Kernels& k) {
  k.ctc.loss[kF32] = ctc_loss<F32>;
  k.ctc.loss[kF64] = ctc_loss<F64>;
  k.ctc.grad[kF32] = ctc_grad<F32>;
  k.ctc.grad[kF64] = ctc_grad<F64>;
}

}  // namespace lamina::LAMINA_ISA
