// A recurrent layer forward (formulas: cpp/ops/recurrent_cpu.h): x W_ih^T + b of all steps in one
// product, then one launch a step, which forms W_hh h and applies the gates' functions to it
// (recurrent.h). A projected LSTM and a GRU that resets before the product take two a step.
// Cost: 2 R G (I + P) operations; each step reads W_hh (from L2, where it fits) and writes the
// activations once.
#include "recurrent.h"

#include "gemm.h"
#include "ops/recurrent_args.h"
#include "table.h"

namespace lamina::cuda {
namespace {

// What a step's functions read and write; rows of width H unless said. Null where absent.
template <class S>
struct Cell {
  int64_t H, known;  // rows [known, .) begin with h0 and c0
  S* gates;          // (., 4 H): projections of the input, then activations
  const S *h, *h0, *c, *c0;
  S *c_new, *y;
  S *hn, *cn;  // the last states, of rows from `last` on
  int64_t last;
  const S* bias;  // GRU: of the candidate's product with the state

  __device__ S entering(const S* from, const S* first, int64_t row, int64_t unit) const {
    if (row < known) return from[row * H + unit];
    return first ? first[row * H + unit] : S(0);
  }
  __device__ void leave(int64_t row, int64_t unit, S v) const {
    y[row * H + unit] = v;
    if (hn && row >= last) hn[row * H + unit] = v;
  }
};

template <class S, int cell>
struct Gates : Cell<S> {
  // v: the products with the state, by gate
  template <int G>
  __device__ void operator()(int64_t row, int64_t unit, const S (&v)[G]) const {
    using namespace on_device;
    const int64_t H = this->H;
    if constexpr (cell == kRnnTanh || cell == kRnnRelu) {
      const S a = this->y[row * H + unit] + v[0];
      this->leave(row, unit, cell == kRnnTanh ? tanh(a) : a > 0 || a != a ? a : S(0));
    } else {
      S* const g = this->gates + row * 4 * H + unit;
      if constexpr (cell == kLstm) {
        const S i = sigmoid(g[0] + v[0]), f = sigmoid(g[H] + v[1]);
        const S m = tanh(g[2 * H] + v[2]), o = sigmoid(g[3 * H] + v[3]);
        const S c = f * this->entering(this->c, this->c0, row, unit) + i * m;
        g[0] = i, g[H] = f, g[2 * H] = m, g[3 * H] = o;
        this->c_new[row * H + unit] = c;
        if (row >= this->last) this->cn[row * H + unit] = c;
        this->leave(row, unit, o * tanh(c));
      } else {
        const S h = this->entering(this->h, this->h0, row, unit);
        const S r = sigmoid(g[0] + v[0]), z = sigmoid(g[H] + v[1]);
        g[0] = r, g[H] = z;
        if constexpr (cell == kGruBefore) {
          g[3 * H] = r * h;
        } else {
          const S u = v[2] + (this->bias ? this->bias[unit] : S(0));
          const S m = tanh(g[2 * H] + r * u);
          g[2 * H] = m, g[3 * H] = u;
          this->leave(row, unit, m + z * (h - m));
        }
      }
    }
  }
};
template <class S>
struct Candidate : Cell<S> {  // of a GRU that resets before the product
  __device__ void operator()(int64_t row, int64_t unit, const S (&v)[1]) const {
    const int64_t H = this->H;
    S* const g = this->gates + row * 4 * H + unit;
    const S h = this->entering(this->h, this->h0, row, unit), z = g[H];
    const S m = on_device::tanh(g[2 * H] + v[0]);
    g[2 * H] = m;
    this->leave(row, unit, m + z * (h - m));
  }
};
template <class S>
struct Projected {
  S *y, *hn;
  int64_t P, last;
  __device__ void operator()(int64_t row, int64_t unit, const S (&v)[1]) const {
    y[row * P + unit] = v[0];
    if (row >= last) hn[row * P + unit] = v[0];
  }
};

template <class S>
__global__ void bias_kernel(const S* a, const S* b, S* to, int64_t n, int64_t shared) {
  LAMINA_GRID_STRIDE(i, n) to[i] = i < shared ? a[i] + b[i] : a[i];
}

template <class S>
void project_input(const DeviceCall& c, const RecurrentSizes& s, Compute via) {
  const int64_t G = s.gates() * s.H;
  const bool biased = c.in[kBih].data != nullptr;
  const Scratch bias(c.device, biased ? size_t(G) * sizeof(S) : 0);
  Gemm g;
  g.a = c.in[kX].data, g.a_row = s.I, g.a_k = 1;
  g.b = c.in[kWih].data, g.b_k = 1, g.b_col = s.I;
  g.c = s.kept() ? c.out[kActivations].data : c.out[kY].data;
  g.c_row = s.kept() ? s.kept() : s.H;
  g.M = s.R, g.N = G, g.K = s.I;
  if (biased) {  // a GRU's candidate: its second bias meets r
    launch(c, bias_kernel<S>, dim3(blocks_for(G)), dim3(kBlock), 0,
           static_cast<const S*>(c.in[kBih].data), static_cast<const S*>(c.in[kBhh].data),
           bias.as<S>(), G, s.cell == kGru ? 2 * s.H : G);
    g.column_bias = bias.as<void>();
  }
  gemm(c, via, g);
}

template <class S>
void run_cell(const DeviceCall& c, const RecurrentSizes& s, const StateProduct& p,
              const Cell<S>& cell) {
  switch (s.cell) {
    case kRnnTanh:
      return launch_step<S, 1>(c, p, Gates<S, kRnnTanh>{cell});
    case kRnnRelu:
      return launch_step<S, 1>(c, p, Gates<S, kRnnRelu>{cell});
    case kLstm:
      return launch_step<S, 4>(c, p, Gates<S, kLstm>{cell});
    case kGru:
      return launch_step<S, 3>(c, p, Gates<S, kGru>{cell});
    default:
      launch_step<S, 2>(c, p, Gates<S, kGruBefore>{cell});
      StateProduct q = p;
      q.a = cell.gates + 3 * s.H, q.a_row = 4 * s.H, q.known = p.rows;
      q.w = row_at<S>(p.w, 2 * s.H, s.H), q.K = s.H;
      launch_step<S, 1>(c, q, Candidate<S>{cell});
  }
}

template <class S>
void forward(const DeviceCall& c, Compute via) {
  const auto& s = *static_cast<const RecurrentSizes*>(c.args);
  if (s.R == 0) return;
  project_input<S>(c, s, via);
  const int64_t H = s.H, P = s.P;
  const StepRows steps{s, static_cast<const int64_t*>(c.in[kSizes].data)};
  const void *h0 = c.in[kH0].data, *c0 = c.in[kC0].data, *y = c.out[kY].data;
  int64_t at = 0;  // the step's first row
  if (s.reverse) at = s.R - steps.size(s.T - 1);
  for (int64_t i = 0; i < s.T; ++i) {
    const int64_t t = s.reverse ? s.T - 1 - i : i, n = steps.size(t);
    const int64_t before = steps.before(t), known = steps.shared(t, before);
    const int64_t from = before < 0 ? 0 : s.reverse ? at + n : at - steps.size(before);
    const int64_t last = steps.shared(t, steps.after(t));
    StateProduct p{row_at<S>(y, from, P), h0, c.in[kWhh].data, P, P, P, n, known, H, P};
    if (!h0 && known == 0) p.K = 0;  // the product is zero
    S* const hidden = s.project ? static_cast<S*>(c.out[kHidden].data) : nullptr;
    const Cell<S> cell{H,
                       known,
                       row_at<S>(c.out[kActivations].data, at, 4 * H),
                       row_at<S>(y, from, P),
                       static_cast<const S*>(h0),
                       row_at<S>(c.out[kCells].data, from, H),
                       static_cast<const S*>(c0),
                       row_at<S>(c.out[kCells].data, at, H),
                       s.project ? hidden + at * H : row_at<S>(y, at, H),
                       s.project ? nullptr : static_cast<S*>(c.out[kHn].data),
                       static_cast<S*>(c.out[kCn].data),
                       last,
                       s.cell == kGru ? row_at<S>(c.in[kBhh].data, 2, H) : nullptr};
    run_cell(c, s, p, cell);
    if (s.project)
      launch_step<S, 1>(
          c, {hidden + at * H, nullptr, c.in[kWhr].data, H, 0, H, n, n, P, H},
          Projected<S>{row_at<S>(y, at, P), static_cast<S*>(c.out[kHn].data), P, last});
    if (!s.reverse)
      at += n;
    else if (t > 0)
      at -= steps.size(t - 1);
  }
}

void recurrent_layer(const DeviceCall& c) {
  if (c.in[kX].dtype == DType::float64)
    forward<double>(c, kF64);
  else
    forward<float>(c, kF32);
}

const Launches kLaunches{{"recurrent_layer", recurrent_layer}};

}  // namespace
}  // namespace lamina::cuda
