// A recurrent layer backward (formulas: cpp/ops/recurrent_grad_cpu.h). From the last step computed
// to the first, one launch each: it forms what the next step sends to this one's state, g W_hh, and
// goes on to this step's gates' gradients g (recurrent.h; W_hh is transposed once, so that both
// operands run along k). A projected LSTM and a GRU that resets before the product take two. Then
// g W_ih, g^T x, g^T h and the sums of g, for all steps at once.
// Cost: 4 R G (I + P) operations; a step reads W_hh (from L2), the activations and g once.
#include <vector>

#include "gemm.h"
#include "ops/recurrent_args.h"
#include "recurrent.h"
#include "strided.h"
#include "table.h"

namespace lamina::cuda {
namespace {

template <class S>
__device__ inline S through_sigmoid(S g, S s) {
  return g * s * (1 - s);
}
template <class S>
__device__ inline S through_tanh(S g, S t) {
  return g * (1 - t * t);
}

// What arrives at the state of a step: products of the rows that a later step has, else the
// gradient of the last state; gy of the step.
template <class S>
struct Arriving {
  int64_t width, known;
  const S *ghn, *gy, *direct;  // direct: what a GRU's state sends past the product
  __device__ S operator()(int64_t row, int64_t unit, S product) const {
    const int64_t at = row * width + unit;
    S v = row < known ? (direct ? product + direct[at] : product) : ghn ? ghn[at] : S(0);
    if (gy) v += gy[at];
    return v;
  }
};

template <class S>
struct StepGrad {
  Arriving<S> dh;
  int64_t H;
  const S* gates;       // (., 4 H) activations
  const S *y, *h, *h0;  // of this step; entering it, where rows >= begun begin with h0
  const S *c_new, *c, *c0;
  int64_t begun, c_known;  // rows >= c_known take gcn
  S* gc;
  const S* gcn;
  S *g, *g_state, *direct;  // (., gates H) twice, the same but for a GRU's candidate

  __device__ S entering(const S* from, const S* first, int64_t row, int64_t unit) const {
    if (row < begun) return from[row * H + unit];
    return first ? first[row * H + unit] : S(0);
  }
};

template <class S, int cell>
struct GateGrads : StepGrad<S> {
  __device__ void operator()(int64_t row, int64_t unit, const S (&v)[1]) const {
    const int64_t H = this->H, at = row * H + unit;
    const S dh = this->dh(row, unit, v[0]);
    if constexpr (cell == kRnnTanh || cell == kRnnRelu) {
      const S y = this->y[at];
      this->g[at] = cell == kRnnTanh ? through_tanh(dh, y) : y > 0 ? dh : S(0);
    } else {
      const S* const a = this->gates + row * 4 * H + unit;
      if constexpr (cell == kLstm) {
        S* const g = this->g + row * 4 * H + unit;
        const S i = a[0], f = a[H], m = a[2 * H], o = a[3 * H];
        const S t = on_device::tanh(this->c_new[at]);
        const S later = row < this->c_known ? this->gc[at] : this->gcn ? this->gcn[at] : S(0);
        const S dc = later + through_tanh(dh * o, t);
        g[0] = through_sigmoid(dc * m, i);
        g[H] = through_sigmoid(dc * this->entering(this->c, this->c0, row, unit), f);
        g[2 * H] = through_tanh(dc * i, m);
        g[3 * H] = through_sigmoid(dh * t, o);
        this->gc[at] = dc * f;
      } else {
        S *const g = this->g + row * 3 * H + unit, *const u = this->g_state + row * 3 * H + unit;
        const S r = a[0], z = a[H], m = a[2 * H];
        const S dn = through_tanh(dh * (1 - z), m);
        const S dz = through_sigmoid(dh * (this->entering(this->h, this->h0, row, unit) - m), z);
        g[H] = dz, g[2 * H] = dn;
        this->direct[at] = dh * z;
        if constexpr (cell == kGru) {
          g[0] = u[0] = through_sigmoid(dn * a[3 * H], r);
          u[H] = dz, u[2 * H] = dn * r;
        }
      }
    }
  }
};
template <class S>
struct ResetGrads : StepGrad<S> {  // v: d loss / d (r h)
  __device__ void operator()(int64_t row, int64_t unit, const S (&v)[1]) const {
    const int64_t H = this->H;
    const S r = this->gates[row * 4 * H + unit];
    this->g[row * 3 * H + unit] =
        through_sigmoid(v[0] * this->entering(this->h, this->h0, row, unit), r);
    this->direct[row * H + unit] += v[0] * r;
  }
};
template <class S>
struct PutArriving {
  Arriving<S> value;
  S* to;
  __device__ void operator()(int64_t row, int64_t unit, const S (&v)[1]) const {
    to[row * value.width + unit] = value(row, unit, v[0]);
  }
};

// The state that row r's step began with, (R, P). offsets: first rows of the steps, or null.
template <class S>
__global__ void states_kernel(const RecurrentSizes s, const int64_t* offsets, const S* y,
                              const S* h0, S* to) {
  LAMINA_GRID_STRIDE(i, s.R * s.P) {
    const int64_t r = i / s.P, unit = i % s.P;
    int64_t t = r / s.B, row = r % s.B, from = -1;
    if (offsets) {
      int64_t lo = 0, hi = s.T;  // offsets[lo] <= r < offsets[hi]
      while (hi - lo > 1) {
        const int64_t mid = (lo + hi) / 2;
        offsets[mid] <= r ? lo = mid : hi = mid;
      }
      t = lo, row = r - offsets[t];
      if (!s.reverse && t > 0) from = offsets[t - 1] + row;
      if (s.reverse && t + 1 < s.T && offsets[t + 1] + row < offsets[t + 2])
        from = offsets[t + 1] + row;
    } else {
      if (!s.reverse && t > 0) from = r - s.B;
      if (s.reverse && t + 1 < s.T) from = r + s.B;
    }
    to[i] = from >= 0 ? y[from * s.P + unit] : h0 ? h0[row * s.P + unit] : S(0);
  }
}

// to[part, j] = sum over rows [part * depth, ...) of x (rows, N): 32 columns a block, 8 rows at
// once.
template <class S>
__global__ void columns_kernel(const S* x, S* to, int64_t rows, int64_t N, int64_t depth) {
  __shared__ S room[8][32];
  const int64_t j = int64_t(blockIdx.x) * 32 + threadIdx.x % 32;
  const int64_t begin = int64_t(blockIdx.y) * depth;
  const int64_t end = begin + depth < rows ? begin + depth : rows;
  S sum = 0;
  if (j < N)
    for (int64_t r = begin + threadIdx.x / 32; r < end; r += 8) sum += x[r * N + j];
  room[threadIdx.x / 32][threadIdx.x % 32] = sum;
  __syncthreads();
  if (threadIdx.x >= 32 || j >= N) return;
  for (int i = 1; i < 8; ++i) sum += room[i][threadIdx.x];
  to[int64_t(blockIdx.y) * N + j] = sum;
}
template <class S>
void sum_columns(const DeviceCall& c, const S* x, S* to, int64_t rows, int64_t N) {
  constexpr int64_t kRows = 1024;
  const int64_t parts = (rows + kRows - 1) / kRows;
  const Scratch partial(c.device, parts > 1 ? size_t(parts * N) * sizeof(S) : 0);
  launch(c, columns_kernel<S>, dim3(unsigned((N + 31) / 32), unsigned(parts)), dim3(256), 0, x,
         parts > 1 ? partial.as<S>() : to, rows, N, kRows);
  if (parts > 1)
    launch(c, columns_kernel<S>, dim3(unsigned((N + 31) / 32)), dim3(256), 0,
           static_cast<const S*>(partial.as<S>()), to, parts, N, parts);
}

// (N, M) from (M, N)
void transpose(const DeviceCall& c, const void* x, void* y, int64_t M, int64_t N, DType dtype) {
  const int64_t shape[2] = {N, M}, dense[2] = {M, 1}, turned[2] = {1, N};
  Strides s({y, shape, dense, 2, dtype, false});
  s.add({y, shape, dense, 2, dtype, false});
  s.add({const_cast<void*>(x), shape, turned, 2, dtype, false});
  s.merge();
  move_elements(c, s, item_size(dtype), y, x);
}

template <class S>
class Backward {
 public:
  Backward(const DeviceCall& c, Compute via)
      : c(c),
        via(via),
        s(static_cast<const RecurrentGradArgs*>(c.args)->sizes),
        steps{s, static_cast<const int64_t*>(c.in[kSizes].data)},
        H(s.H),
        P(s.P),
        G(s.gates() * s.H),
        own(s.cell == kGru),
        g_memory(c.device, bytes(s.R * G * (own ? 2 : 1))),
        weights(c.device, bytes(G * P + (s.project ? P * H : 0))),
        projected(c.device, bytes(s.project ? s.R * P : 0)),
        running(c.device, bytes(2 * s.B * H)),
        wanted_(static_cast<const RecurrentGradArgs*>(c.args)->wanted) {}

  void run() {
    if (s.R == 0) {
      for (int i = 0; i < kSizes; ++i)
        if (wanted(i) && c.out[i].numel())
          check(cudaMemsetAsync(wanted(i), 0, bytes(c.out[i].numel()), current_stream(c.device)),
                c.name);
      return;
    }
    const DType dtype = c.in[kX].dtype;
    transpose(c, c.in[kWhh].data, weights.as<void>(), G, P, dtype);
    if (s.project) transpose(c, c.in[kWhr].data, turned_projection(), P, H, dtype);
    int64_t at = s.reverse ? 0 : s.R - steps.size(s.T - 1);
    for (int64_t i = 0; i < s.T; ++i) {
      const int64_t t = s.reverse ? i : s.T - 1 - i;
      step(t, at);
      if (s.reverse)
        at += steps.size(t);
      else if (t > 0)
        at -= steps.size(t - 1);
    }
    products();
  }

 private:
  static size_t bytes(int64_t elements) { return size_t(elements) * sizeof(S); }
  S* wanted(int i) const { return wanted_ >> i & 1 ? static_cast<S*>(c.out[i].data) : nullptr; }
  S* g() const { return g_memory.template as<S>(); }
  S* g_state() const { return own ? g() + s.R * G : g(); }
  S* turned() const { return weights.template as<S>(); }
  S* turned_projection() const { return turned() + G * P; }
  S* direct() const { return s.cell >= kGru ? running.template as<S>() : nullptr; }
  S* gc() const { return wanted(kC0) ? wanted(kC0) : running.template as<S>() + s.B * H; }
  int64_t state_depth() const { return s.cell == kGruBefore ? 2 * H : G; }
  template <class Put>
  void product(const S* a, int64_t a_row, const S* w, int64_t w_row, int64_t rows, int64_t known,
               int64_t units, int64_t K, const Put& put) const {
    launch_step<S, 1>(c, {a, nullptr, w, a_row, 0, w_row, rows, known, units, known ? K : 0}, put);
  }
  void step(int64_t t, int64_t at) const {
    const int64_t n = steps.size(t), later = steps.after(t), known = steps.shared(t, later);
    const int64_t before = steps.before(t), begun = steps.shared(t, before);
    const int64_t to_later = later < 0 ? at : s.reverse ? at - steps.size(later) : at + n;
    const int64_t from = before < 0 ? at : s.reverse ? at + n : at - steps.size(before);
    const void *y = c.in[kKeptY].data, *cells = c.in[kKeptCells].data;
    StepGrad<S> p{};
    p.dh = {P, known, static_cast<const S*>(c.in[kGy + 1].data), row_at<S>(c.in[kGy].data, at, P),
            direct()};
    p.H = H;
    p.gates = row_at<S>(c.in[kKeptActivations].data, at, 4 * H);
    p.y = row_at<S>(y, at, P), p.h = row_at<S>(y, from, P);
    p.h0 = static_cast<const S*>(c.in[kH0].data);
    p.c_new = row_at<S>(cells, at, H), p.c = row_at<S>(cells, from, H);
    p.c0 = static_cast<const S*>(c.in[kC0].data);
    p.begun = begun, p.c_known = known;
    p.gc = gc(), p.gcn = static_cast<const S*>(c.in[kGy + 2].data);
    p.g = g() + at * G, p.g_state = g_state() + at * G, p.direct = direct();
    const S* a = g_state() + to_later * G;
    const int64_t K = state_depth();
    if (s.project) {
      S* const sum = projected.template as<S>() + at * P;
      product(a, G, turned(), G, n, known, P, K, PutArriving<S>{p.dh, sum});
      p.dh = {H, n, nullptr, nullptr, nullptr};
      product(sum, P, turned_projection(), P, n, n, H, P, GateGrads<S, kLstm>{p});
    } else if (s.cell == kLstm) {
      product(a, G, turned(), G, n, known, H, K, GateGrads<S, kLstm>{p});
    } else if (s.cell == kRnnTanh) {
      product(a, G, turned(), G, n, known, H, K, GateGrads<S, kRnnTanh>{p});
    } else if (s.cell == kRnnRelu) {
      product(a, G, turned(), G, n, known, H, K, GateGrads<S, kRnnRelu>{p});
    } else if (s.cell == kGru) {
      product(a, G, turned(), G, n, known, H, K, GateGrads<S, kGru>{p});
    } else {
      product(a, G, turned(), G, n, known, H, K, GateGrads<S, kGruBefore>{p});
      product(p.g + 2 * H, G, turned() + 2 * H, G, n, n, H, H, ResetGrads<S>{p});
    }
    if (!wanted(kH0) || begun == n) return;  // sequences that begin here
    const int64_t m = n - begun;
    const Arriving<S> first{P, m, nullptr, nullptr, row_at<S>(direct(), begun, P)};
    product(g_state() + (at + begun) * G, G, turned(), G, m, m, P, K,
            PutArriving<S>{first, wanted(kH0) + begun * P});
  }

  // to (M, N) = sum over rows of a (R, M)^T b (R, N)
  void sum_of_products(int64_t M, int64_t N, const S* a, int64_t a_row, const S* b, int64_t b_row,
                       S* to) const {
    Gemm m;
    m.a = a, m.a_row = 1, m.a_k = a_row;
    m.b = b, m.b_k = b_row, m.b_col = 1;
    m.c = to, m.c_row = N;
    m.M = M, m.N = N, m.K = s.R;
    gemm(c, via, m);
  }
  void products() const {
    const S* const x = static_cast<const S*>(c.in[kX].data);
    if (S* const gx = wanted(kX)) {
      Gemm m;
      m.a = g(), m.a_row = G, m.a_k = 1;
      m.b = c.in[kWih].data, m.b_k = s.I, m.b_col = 1;
      m.c = gx, m.c_row = s.I;
      m.M = s.R, m.N = s.I, m.K = G;
      gemm(c, via, m);
    }
    if (S* const gw = wanted(kWih)) sum_of_products(G, s.I, g(), G, x, s.I, gw);
    if (S* const gw = wanted(kWhh)) {
      const Scratch h(c.device, bytes(s.R * P));
      states(h.as<S>());
      sum_of_products(state_depth(), P, g_state(), G, h.as<S>(), P, gw);
      if (s.cell == kGruBefore)
        sum_of_products(H, H, g() + 2 * H, G,
                        static_cast<const S*>(c.in[kKeptActivations].data) + 3 * H, 4 * H,
                        gw + 2 * H * H);
    }
    if (S* const gw = wanted(kWhr))
      sum_of_products(P, H, projected.template as<S>(), P,
                      static_cast<const S*>(c.in[kKeptHidden].data), H, gw);
    if (S* const gb = wanted(kBih)) sum_columns<S>(c, g(), gb, s.R, G);
    if (S* const gb = wanted(kBhh)) sum_columns<S>(c, g_state(), gb, s.R, G);
  }
  void states(S* to) const {
    const Scratch offsets(c.device, steps.sizes ? size_t(s.T + 1) * sizeof(int64_t) : 0);
    if (steps.sizes) {
      std::vector<int64_t> at(size_t(s.T) + 1);
      for (int64_t t = 0; t < s.T; ++t) at[size_t(t) + 1] = at[size_t(t)] + steps.sizes[t];
      upload(c, offsets.as<void>(), at.data(), at.size() * sizeof(int64_t));
    }
    launch(c, states_kernel<S>, dim3(blocks_for(s.R * P)), dim3(kBlock), 0, s,
           static_cast<const int64_t*>(offsets.as<int64_t>()),
           static_cast<const S*>(c.in[kKeptY].data), static_cast<const S*>(c.in[kH0].data), to);
  }

  const DeviceCall& c;
  const Compute via;
  const RecurrentSizes s;
  const StepRows steps;
  const int64_t H, P, G;
  const bool own;  // a GRU's candidate: g_state is not g
  const Scratch g_memory, weights, projected, running;
  const uint32_t wanted_;
};

void recurrent_layer_grad(const DeviceCall& c) {
  if (c.in[kX].dtype == DType::float64)
    Backward<double>(c, kF64).run();
  else
    Backward<float>(c, kF32).run();
}

const Launches kLaunches{{"recurrent_layer_grad", recurrent_layer_grad}};

}  // namespace
}  // namespace lamina::cuda
