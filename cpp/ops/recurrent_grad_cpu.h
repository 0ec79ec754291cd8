// Recurrent cells, backward: from d loss / d h' of one step to d loss / d (what the gates'
// functions are applied to), for some rows of a batch. gh holds what later steps send to h', gy
// what the loss does; dh = gy + gh. With the activations the forward pass kept:
//   RNN   g = dh f'(h')
//   LSTM  t = tanh c',  dc = gc + dh o (1 - t^2),  gc <- dc f
//         g = (dc m i (1 - i), dc c f (1 - f), dc i (1 - m^2), dh t o (1 - o))
//   GRU   dn = dh (1 - z) (1 - n^2),  dz = dh (h - n) z (1 - z),  gh <- dh z
//         reset after:  g = (dn u r (1 - r), dz, dn, dn r),  u = W_n h + b
//         reset before: g = ( , dz, dn), then from d(r h): g_r = d(r h) h r (1 - r), gh += d(r h) r
// Cost: one pass over memory.
#pragma once
#include "kernels/vec_gates.h"
#include "kernels/vec_moments.h"

namespace lamina::LAMINA_ISA {
namespace {

// d loss / d a from d loss / d s of s = sigmoid(a), t = tanh(a).
template <class V>
inline V through_sigmoid(V g, V s) {
  return g * s * (set1<V>(1) - s);
}
template <class V>
inline V through_tanh(V g, V t) {
  return g * fnma(t, t, set1<V>(1));
}

template <class V, int cell>
static void recurrent_grad(const RecurrentStepGrad& s) {
  using T = Scalar<V>;
  const int64_t H = s.H;
  for (int64_t i = 0; i < s.rows; ++i) {
    const T* const gy = s.gy ? static_cast<const T*>(s.gy) + i * H : nullptr;
    T* const gh = static_cast<T*>(s.gh) + i * H;
    T* const g = static_cast<T*>(s.g) + i * s.g_row;
    const T* const a = static_cast<const T*>(s.gates) + i * s.gates_row;
    each_vector<V>(H, [&](int64_t j, int n) __attribute__((always_inline)) {
      V dh = load_some<V>(gh + j, n);
      if (gy) dh = dh + load_some<V>(gy + j, n);
      if constexpr (cell == kRnnTanh || cell == kRnnRelu) {
        const V y = load_some<V>(static_cast<const T*>(s.y) + i * H + j, n);
        store_some(g + j, cell == kRnnTanh ? through_tanh(dh, y) : select(y > V{}, dh, V{}), n);
      } else if constexpr (cell == kLstm) {
        const V in = load_some<V>(a + j, n), f = load_some<V>(a + H + j, n),
                m = load_some<V>(a + 2 * H + j, n);
        const V o = load_some<V>(a + 3 * H + j, n);
        const V t = gate_tanh(load_some<V>(static_cast<const T*>(s.c_new) + i * H + j, n));
        T* const gc = static_cast<T*>(s.gc) + i * H + j;
        const V dc = load_some<V>(gc, n) + through_tanh(dh * o, t);
        const V c = load_some<V>(static_cast<const T*>(s.c) + i * H + j, n);
        store_some(g + j, through_sigmoid(dc * m, in), n);
        store_some(g + H + j, through_sigmoid(dc * c, f), n);
        store_some(g + 2 * H + j, through_tanh(dc * in, m), n);
        store_some(g + 3 * H + j, through_sigmoid(dh * t, o), n);
        store_some(gc, dc * f, n);
      } else {
        const V r = load_some<V>(a + j, n), z = load_some<V>(a + H + j, n),
                m = load_some<V>(a + 2 * H + j, n);
        const V h = load_some<V>(static_cast<const T*>(s.h) + i * H + j, n);
        const V dn = through_tanh(dh * (set1<V>(1) - z), m);
        store_some(g + H + j, through_sigmoid(dh * (h - m), z), n);
        store_some(g + 2 * H + j, dn, n);
        store_some(gh + j, dh * z, n);
        if constexpr (cell == kGru) {
          store_some(g + j, through_sigmoid(dn * load_some<V>(a + 3 * H + j, n), r), n);
          store_some(g + 3 * H + j, dn * r, n);
        }
      }
    });
  }
}

template <class V>
static void recurrent_grad_reset(const RecurrentStepGrad& s) {
  using T = Scalar<V>;
  for (int64_t i = 0; i < s.rows; ++i) {
    T *const gh = static_cast<T*>(s.gh) + i * s.H, *const g = static_cast<T*>(s.g) + i * s.g_row;
    each_vector<V>(s.H, [&](int64_t j, int n) __attribute__((always_inline)) {
      const V r = load_some<V>(static_cast<const T*>(s.gates) + i * s.gates_row + j, n);
      const V h = load_some<V>(static_cast<const T*>(s.h) + i * s.H + j, n);
      const V grh = load_some<V>(static_cast<const T*>(s.grh) + i * s.H + j, n);
      store_some(g + j, through_sigmoid(grh * h, r), n);
      store_some(gh + j, fma(grh, r, load_some<V>(gh + j, n)), n);
    });
  }
}

template <class V>
static void fill_recurrent_grad_of(RecurrentKernels& k, int type) {
  k.grad[kRnnTanh][type] = recurrent_grad<V, kRnnTanh>;
  k.grad[kRnnRelu][type] = recurrent_grad<V, kRnnRelu>;
  k.grad[kLstm][type] = recurrent_grad<V, kLstm>;
  k.grad[kGru][type] = recurrent_grad<V, kGru>;
  k.grad[kGruBefore][type] = recurrent_grad<V, kGruBefore>;
  k.grad_reset[type] = recurrent_grad_reset<V>;
}

}  // namespace

void fill_recurrent_grad(Kernels& k) {
  fill_recurrent_grad_of<F32>(k.recurrent, kF32);
  fill_recurrent_grad_of<F64>(k.recurrent, kF64);
}

}  // namespace lamina::LAMINA_ISA
