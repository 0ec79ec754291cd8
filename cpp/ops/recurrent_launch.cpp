// The loops over time. Sequences do not meet, so each thread takes some of them through all steps;
// a sequence's numbers do not depend on which others go with it.
// Forward:  x W_ih^T + b for all steps in one product, then step by step W_hh h and the gates.
// Backward: step by step the gates' gradients g and g W_hh, then g W_ih, g^T x and g^T h in one
// product each.
#include "ops/recurrent_launch.h"

#include <cstring>

#include "core/storage.h"
#include "ops/gemm.h"
#include "ops/recurrent_steps.h"

namespace lamina {
namespace {

constexpr double kMultiplyAddsPerNs = 40;

// The state before the first step, zeros when it was not given.
struct Initial {
  Initial(const void* given, int64_t bytes) : zeros(given ? 0 : size_t(bytes)), p(given) {
    if (!given && bytes) std::memset(zeros.as<void>(), 0, size_t(bytes)), p = zeros.as<void>();
  }
  Scratch zeros;
  const void* p;
};

template <class T>
void project_input(const RecurrentSizes& s, const RecurrentLayer& l) {
  const int64_t G = s.gates() * s.H;
  Scratch bias(l.b_ih ? size_t(G) * sizeof(T) : 0);
  Epilogue epilogue;
  if (l.b_ih) {
    const T *bi = static_cast<const T*>(l.b_ih), *bh = static_cast<const T*>(l.b_hh);
    const int64_t shared = s.cell == kGru ? 2 * s.H : G;  // its candidate's second bias meets r
    for (int64_t i = 0; i < G; ++i) bias.as<T>()[i] = i < shared ? bi[i] + bh[i] : bi[i];
    epilogue.column_bias = bias.as<void>();
  }
  T* const to = static_cast<T*>(s.kept() ? l.activations : l.y);
  gemm<T>(false, true, s.R, G, s.I, static_cast<const T*>(l.x), s.I, static_cast<const T*>(l.w_ih),
          s.I, to, s.kept() ? s.kept() : s.H, false, l.b_ih ? &epilogue : nullptr);
}

// The last state of every sequence.
template <class T>
void gather_last(const RecurrentSizes& s, const RecurrentSteps& steps, const void* rows,
                 int64_t width, void* to) {
  for (int64_t b = 0; b < s.B;) {
    const int64_t t = s.reverse ? 0 : steps.length(b) - 1;
    int64_t n = steps.size(t) - b;  // sequences that end together
    if (!s.reverse && t + 1 < s.T) n = 1;
    std::memcpy(row_of<T>(to, b, width), row_of<T>(rows, steps.offset(t) + b, width),
                size_t(n * width) * sizeof(T));
    b += n;
  }
}

}  // namespace

template <class T>
void recurrent_forward(const RecurrentSizes& s, const RecurrentLayer& l) {
  if (s.R == 0) return;
  const int64_t H = s.H, P = s.P, G = s.gates() * H, kept = s.kept();
  project_input<T>(s, l);
  const RecurrentKernels& kernels = cpu_kernels().recurrent;
  constexpr int type = RecurrentPanels<T>::type;
  const RecurrentSteps steps(s, l.sizes);
  const Initial h0(l.h0, s.B * P * int64_t(sizeof(T)));
  const Initial c0(s.cell == kLstm ? l.c0 : l.x, s.B * H * int64_t(sizeof(T)));
  const bool once = s.T == 1;  // packing does not pay
  const RecurrentPanels<T> state(once ? nullptr : l.w_hh, 1, P, once ? 0 : P, H, s.gates());
  const RecurrentPanels<T> projection(once ? nullptr : l.w_hr, 1, H, once || !s.project ? 0 : H, P,
                                      1);
  const int64_t blocks = state.blocks(H);
  const double ns = double(G * P + (s.project ? H * P : 0)) / kMultiplyAddsPerNs + double(G);
  steps.share(ns, [&](int64_t b, int64_t end) {
    const int64_t m = end - b;
    const int64_t made = ((once ? m * G : l.h0 ? 0 : G) + 15) / 16 * 16;
    const Scratch scratch(size_t(recurrent_scratch_elements(m, H > P ? H : P) + made) * sizeof(T));
    T* const product = scratch.as<T>();
    steps.each(b, end, false, [&](int64_t t, int64_t at, int64_t n) {
      steps.states_before(t, b, n, [&](int64_t i, int64_t count, int64_t row) {
        RecurrentStep p{};
        p.rows = count, p.H = H, p.K = P;
        p.a = row < 0 ? row_of<T>(h0.p, b + i, P) : row_of<T>(l.y, row, P);
        p.a_row = P;
        p.gates = row_of<T>(l.activations, at + i, kept);
        p.gates_row = kept;
        p.h = p.a;
        p.state_bias = s.cell == kGru && l.b_hh ? row_of<T>(l.b_hh, 2, H) : nullptr;
        p.y = row_of<T>(s.project ? l.hidden : l.y, at + i, H);
        if (s.cell == kLstm) {
          p.c = row < 0 ? row_of<T>(c0.p, b + i, H) : row_of<T>(l.cells, row, H);
          p.c_new = row_of<T>(l.cells, at + i, H);
        }
        p.scratch = product + made;
        p.product = product;
        const auto times_state = [&](int64_t gate, int64_t gates) {
          p.product_row = gates * H;
          p.panels = nullptr;
          if (row < 0 && !l.h0)
            std::memset(product, 0, size_t(gates * H) * sizeof(T)), p.product_row = 0;
          else if (!once)
            p.panels = state.at(gate * blocks, 0);
          else
            gemm_serial<T>(false, true, count, gates * H, P, static_cast<const T*>(p.a), p.a_row,
                           row_of<T>(l.w_hh, gate * H, P), P, product, p.product_row);
        };
        times_state(0, s.cell == kGruBefore ? 2 : s.gates());
        kernels.step[s.cell][type](p, 0, blocks);
        if (s.cell == kGruBefore) {
          p.a = row_of<T>(l.activations, at + i, kept) + 3 * H;
          p.a_row = kept;
          times_state(2, 1);
          kernels.candidate[type](p, 0, blocks);
        }
      });
      if (!s.project) return;
      const T* const hidden = row_of<T>(l.hidden, at, H);
      T* const y = row_of<T>(l.y, at, P);
      if (once)
        gemm_serial<T>(false, true, n, P, H, hidden, H, static_cast<const T*>(l.w_hr), H, y, P);
      else
        kernels.product[type](
            {n, P, H, hidden, H, projection.at(0, 0), H, y, P, false, product + made});
    });
  });
  gather_last<T>(s, steps, l.y, P, l.hn);
  if (s.cell == kLstm) gather_last<T>(s, steps, l.cells, H, l.cn);
}

template void recurrent_forward<float>(const RecurrentSizes&, const RecurrentLayer&);
template void recurrent_forward<double>(const RecurrentSizes&, const RecurrentLayer&);

}  // namespace lamina
