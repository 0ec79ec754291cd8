// Backward over time (recurrent_launch.h). g holds, for every row, d loss / d (what the gates'
// functions are applied to): G columns, for the GRU with reset after the product H more, the
// gradient of the candidate's product with the state (columns r, z, candidate, its product).
#include <cstring>

#include "core/storage.h"
#include "ops/gemm.h"
#include "ops/recurrent_launch.h"
#include "ops/recurrent_steps.h"

namespace lamina {
namespace {

// Memory for a (rows, width) array: the result's own where it is wanted, else scratch; it begins as
// a copy of `from`, or zeros.
template <class T>
struct Running {
  Running(void* wanted, const void* from, int64_t elements)
      : scratch(wanted ? 0 : size_t(elements) * sizeof(T)),
        p(static_cast<T*>(wanted ? wanted : scratch.template as<void>())) {
    if (elements == 0) return;
    if (from)
      std::memcpy(p, from, size_t(elements) * sizeof(T));
    else
      std::memset(p, 0, size_t(elements) * sizeof(T));
  }
  Scratch scratch;
  T* p;
};

// to (M, N) = sum over rows of a (R, M)^T b (R, N).
template <class T>
void sum_of_products(int64_t R, int64_t M, int64_t N, const T* a, int64_t a_row, const T* b,
                     int64_t b_row, void* to, bool add = false) {
  gemm<T>(true, false, M, N, R, a, a_row, b, b_row, static_cast<T*>(to), N, add);
}

// d loss / d W_hh's rows [row, row + M) from the columns `a` of g: the sum over rows of g^T h, h
// the state each row's step began with.
template <class T>
class StateProducts {
 public:
  StateProducts(const RecurrentSizes& s, const RecurrentSteps& steps, const RecurrentLayer& l,
                int64_t g_row, T* to)
      : s_(s),
        l_(l),
        to_(to),
        g_row_(g_row),
        gathered_(l.sizes ? size_t(s.R * s.P) * sizeof(T) : 0) {
    if (!l.sizes) return;
    steps.each(0, s.B, false, [&](int64_t t, int64_t at, int64_t n) {
      steps.states_before(t, 0, n, [&](int64_t i, int64_t m, int64_t row) {
        T* const h = gathered_.template as<T>() + (at + i) * s.P;
        const void* const from = row < 0 ? row_of<T>(l.h0, i, s.P) : row_of<T>(l.y, row, s.P);
        if (from)
          std::memcpy(h, from, size_t(m * s.P) * sizeof(T));
        else
          std::memset(h, 0, size_t(m * s.P) * sizeof(T));
      });
    });
  }
  void rows(int64_t row, int64_t M, const T* a) const {
    T* const to = to_ + row * s_.P;
    if (l_.sizes) {
      sum_of_products<T>(s_.R, M, s_.P, a, g_row_, gathered_.template as<T>(), s_.P, to);
      return;
    }
    const int64_t later = s_.R - s_.B;  // rows that have a step before them
    const T* const y = static_cast<const T*>(l_.y);
    sum_of_products<T>(later, M, s_.P, s_.reverse ? a : a + s_.B * g_row_, g_row_,
                       s_.reverse ? y + s_.B * s_.P : y, s_.P, to);
    if (l_.h0)
      sum_of_products<T>(s_.B, M, s_.P, s_.reverse ? a + later * g_row_ : a, g_row_,
                         static_cast<const T*>(l_.h0), s_.P, to, true);
  }

 private:
  const RecurrentSizes& s_;
  const RecurrentLayer& l_;
  T* to_;
  int64_t g_row_;
  Scratch gathered_;
};

template <class T>
void clear(void* p, int64_t elements) {
  if (p) std::memset(p, 0, size_t(elements) * sizeof(T));
}

}  // namespace

template <class T>
void recurrent_backward(const RecurrentSizes& s, const RecurrentLayer& l,
                        const RecurrentLayerGrad& d) {
  const int64_t H = s.H, P = s.P, G = s.gates() * H, kept = s.kept();
  const bool lstm = s.cell == kLstm;
  if (s.R == 0) {
    clear<T>(d.gw_ih, G * s.I), clear<T>(d.gw_hh, G * P), clear<T>(d.gw_hr, P * H);
    clear<T>(d.gb_ih, G), clear<T>(d.gb_hh, G);
    return;
  }
  const int64_t width = s.cell == kGru ? 4 * H : G;  // of g
  const RecurrentKernels& kernels = cpu_kernels().recurrent;
  constexpr int type = RecurrentPanels<T>::type;
  const RecurrentSteps steps(s, l.sizes);
  const Scratch g_memory(size_t(s.R * width) * sizeof(T));
  T* const g = g_memory.as<T>();
  const Running<T> gh(d.gh0, d.ghn, s.B * P), gc(d.gc0, d.gcn, lstm ? s.B * H : 0);
  const Running<T> zeros(nullptr, nullptr, l.h0 && (l.c0 || !lstm) ? 0 : s.B * H);
  const void* const c0 = l.c0 ? l.c0 : zeros.p;
  const void* const h0 = l.h0 ? l.h0 : zeros.p;
  const Scratch projected(s.project ? size_t(s.R * P) * sizeof(T) : 0);  // d loss / d y, in all
  const bool once = s.T == 1;
  const RecurrentPanels<T> state(once ? nullptr : l.w_hh, P, 1, once ? 0 : G, P, 1);
  const RecurrentPanels<T> projection(once ? nullptr : l.w_hr, H, 1, once || !s.project ? 0 : P, H,
                                      1);
  const double ns = double(G * P + (s.project ? H * P : 0)) / 40 + double(G);
  steps.share(ns, [&](int64_t b, int64_t end) {
    const int64_t m = end - b, own = s.project || s.cell == kGruBefore ? m * H : 0;
    const Scratch scratch(size_t(recurrent_scratch_elements(m, G > P ? G : P) + own) * sizeof(T));
    T* const local = scratch.as<T>();  // (m, H)
    // c (n, N) (+)= a (n, K) W: rows [k, k + K) of w, or of its panels.
    const auto product = [&](int64_t n, int64_t N, int64_t K, const T* a, int64_t a_row,
                             const RecurrentPanels<T>& panels, const void* w, int64_t k, T* c,
                             bool add) {
      if (once)
        gemm_serial<T>(false, false, n, N, K, a, a_row, row_of<T>(w, k, N), N, c, N, add);
      else
        kernels.product[type](
            {n, N, K, a, a_row, panels.at(0, k), panels.depth, c, N, add, local + own});
    };
    T *const h_later = gh.p + b * P, *const c_later = lstm ? gc.p + b * H : nullptr;
    steps.each(b, end, true, [&](int64_t t, int64_t at, int64_t n) {
      RecurrentStepGrad p{};
      p.H = H;
      p.gates_row = kept;
      p.g_row = width;
      const T* gy = row_of<T>(d.gy, at, P);
      T* dh = h_later;
      if (s.project) {
        T* const sum = projected.as<T>() + at * P;
        for (int64_t i = 0; i < n * P; ++i) sum[i] = gy ? h_later[i] + gy[i] : h_later[i];
        product(n, H, P, sum, P, projection, l.w_hr, 0, local, false);
        gy = nullptr;
        dh = local;
      }
      const auto segment = [&](int64_t i, int64_t count, int64_t row) {
        p.rows = count;
        p.gy = gy ? gy + i * H : nullptr;
        p.gh = dh + i * H;
        p.gc = lstm ? c_later + i * H : nullptr;
        p.gates = row_of<T>(l.activations, at + i, kept);
        p.y = row_of<T>(l.y, at + i, P);
        p.c_new = row_of<T>(l.cells, at + i, H);
        p.c = row < 0 ? row_of<T>(c0, b + i, H) : row_of<T>(l.cells, row, H);
        p.h = row < 0 ? row_of<T>(h0, b + i, H) : row_of<T>(l.y, row, P);
        p.g = g + (at + i) * width;
        p.grh = local + i * H;
      };
      steps.states_before(t, b, n, [&](int64_t i, int64_t count, int64_t row) {
        segment(i, count, row);
        kernels.grad[s.cell][type](p);
      });
      const T* const gates = g + at * width;
      if (s.cell == kGruBefore) {
        product(n, H, H, gates + 2 * H, width, state, l.w_hh, 2 * H, local, false);
        steps.states_before(t, b, n, [&](int64_t i, int64_t count, int64_t row) {
          segment(i, count, row);
          kernels.grad_reset[type](p);
        });
      }
      if (steps.before(t) < 0 && !d.gh0) return;
      const int64_t first = s.cell >= kGru ? 2 * H : G;  // gates whose product begins with h
      product(n, P, first, gates, width, state, l.w_hh, 0, h_later, s.cell >= kGru);
      if (s.cell == kGru)
        product(n, P, H, gates + 3 * H, width, state, l.w_hh, 2 * H, h_later, true);
    });
  });

  const int64_t x_width = s.cell == kGru ? 3 * H : width;
  if (d.gx)
    gemm<T>(false, false, s.R, s.I, x_width, g, width, static_cast<const T*>(l.w_ih), s.I,
            static_cast<T*>(d.gx), s.I);
  if (d.gw_ih) sum_of_products<T>(s.R, G, s.I, g, width, static_cast<const T*>(l.x), s.I, d.gw_ih);
  if (d.gw_hh) {
    const StateProducts<T> products(s, steps, l, width, static_cast<T*>(d.gw_hh));
    products.rows(0, s.cell >= kGru ? 2 * H : G, g);
    if (s.cell == kGru) products.rows(2 * H, H, g + 3 * H);
    if (s.cell == kGruBefore)
      sum_of_products<T>(s.R, H, H, g + 2 * H, width, static_cast<const T*>(l.activations) + 3 * H,
                         kept, static_cast<T*>(d.gw_hh) + 2 * H * H);
  }
  if (d.gw_hr)
    sum_of_products<T>(s.R, P, H, projected.as<T>(), P, static_cast<const T*>(l.hidden), H,
                       d.gw_hr);
  if (!d.gb_ih && !d.gb_hh) return;
  const Scratch ones(size_t(s.R) * sizeof(T)), sums(size_t(width) * sizeof(T));
  for (int64_t i = 0; i < s.R; ++i) ones.as<T>()[i] = T(1);
  gemm<T>(false, false, 1, width, s.R, ones.as<T>(), s.R, g, width, sums.as<T>(), width);
  const T* const sum = sums.as<T>();
  if (d.gb_ih) std::memcpy(d.gb_ih, sum, size_t(G) * sizeof(T));
  if (d.gb_hh) {
    std::memcpy(d.gb_hh, sum, size_t(G) * sizeof(T));
    if (s.cell == kGru)
      std::memcpy(static_cast<T*>(d.gb_hh) + 2 * H, sum + 3 * H, size_t(H) * sizeof(T));
  }
}

template void recurrent_backward<float>(const RecurrentSizes&, const RecurrentLayer&,
                                        const RecurrentLayerGrad&);
template void recurrent_backward<double>(const RecurrentSizes&, const RecurrentLayer&,
                                         const RecurrentLayerGrad&);

}  // namespace lamina
