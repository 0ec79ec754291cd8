// recurrent_layer: one layer of a recurrent network in one direction, all steps in one op
// (formulas: recurrent_cpu.h, recurrent_grad_cpu.h; loops over time: recurrent_launch.cpp).
// Kept for backward: the gates' values, the cells' states and the results.
#include "ops/recurrent.h"

#include "kernels/kernels.h"
#include "ops/ops.h"
#include "ops/recurrent_composed.h"
#include "ops/recurrent_launch.h"

namespace lamina {
namespace {

void* pointer(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

RecurrentLayer layer_of(const Tensor* in, const Tensor* out) {
  RecurrentLayer l{};
  l.x = pointer(in[kX]);
  l.w_ih = pointer(in[kWih]), l.w_hh = pointer(in[kWhh]), l.w_hr = pointer(in[kWhr]);
  l.b_ih = pointer(in[kBih]), l.b_hh = pointer(in[kBhh]);
  l.h0 = pointer(in[kH0]), l.c0 = pointer(in[kC0]);
  l.sizes = static_cast<const int64_t*>(pointer(in[kSizes]));
  l.y = pointer(out[kY]), l.hn = pointer(out[kHn]), l.cn = pointer(out[kCn]);
  l.activations = pointer(out[kActivations]), l.cells = pointer(out[kCells]);
  l.hidden = pointer(out[kHidden]);
  return l;
}

// ---- forward -----------------------------------------------------------------------------------
void layer_infer(Call& c) {
  const auto& s = c.args<RecurrentSizes>();
  const DType t = c.in[kX].dtype();
  const bool lstm = s.cell == kLstm;
  c.output({s.R, s.P}, t);
  c.output({s.B, s.P}, t);
  c.output(lstm ? Dims{s.B, s.H} : Dims{0}, t);
  c.output(s.kept() ? Dims{s.R, s.kept()} : Dims{0}, t);
  c.output(lstm ? Dims{s.R, s.H} : Dims{0}, t);
  c.output(s.project ? Dims{s.R, s.H} : Dims{0}, t);
}
void layer_launch(Call& c) {
  const auto& s = c.args<RecurrentSizes>();
  const RecurrentLayer l = layer_of(&c.in[0], &c.out[0]);
  c.in[kX].dtype() == DType::float64 ? recurrent_forward<double>(s, l)
                                     : recurrent_forward<float>(s, l);
}

// ---- backward: the forward's inputs and what it kept, then gy, ghn, gcn ------------------------
void grad_infer(Call& c) {
  const auto& a = c.args<RecurrentGradArgs>();
  const auto& s = a.sizes;
  const int64_t G = s.gates() * s.H;
  const Dims shapes[] = {{s.R, s.I}, {G, s.I},   {G, s.P},  {G}, {G},
                         {s.P, s.H}, {s.B, s.P}, {s.B, s.H}};  // in the order of the inputs
  for (int i = 0; i < kSizes; ++i)
    c.output(a.wanted >> i & 1 ? shapes[i] : Dims{0}, c.in[kX].dtype());
}
void grad_launch(Call& c) {
  const auto& a = c.args<RecurrentGradArgs>();
  const Tensor out[kRecurrentOutputs] = {
      c.in[kKeptY], {}, {}, c.in[kKeptActivations], c.in[kKeptCells], c.in[kKeptHidden]};
  const RecurrentLayer l = layer_of(&c.in[0], out);
  const auto wanted = [&](int i) { return a.wanted >> i & 1 ? c.out[i].data() : nullptr; };
  RecurrentLayerGrad g{};
  g.gy = pointer(c.in[kGy]);
  g.ghn = pointer(c.in[kGy + 1]);
  g.gcn = pointer(c.in[kGy + 2]);
  g.gx = wanted(kX);
  g.gw_ih = wanted(kWih), g.gw_hh = wanted(kWhh), g.gw_hr = wanted(kWhr);
  g.gb_ih = wanted(kBih), g.gb_hh = wanted(kBhh);
  g.gh0 = wanted(kH0), g.gc0 = wanted(kC0);
  c.in[kX].dtype() == DType::float64 ? recurrent_backward<double>(a.sizes, l, g)
                                     : recurrent_backward<float>(a.sizes, l, g);
}
const Op kLayerGrad{.name = "recurrent_layer_grad",
                    .infer = grad_infer,
                    .launch = grad_launch,
                    .host_inputs = 1u << kSizes};

void layer_vjp(Vjp& c) {
  RecurrentGradArgs a{c.args<RecurrentSizes>(), 0};
  SmallVec<Tensor, 3> in;
  for (int i = 0; i < kRecurrentInputs; ++i) {
    in.push_back(c.call().in[i].defined() ? c.in(i) : Tensor());
    if (i < kSizes && c.needs(i)) a.wanted |= 1u << i;
  }
  const auto given = [&](int i) { return c.has_gradient(i) ? c.g(i) : Tensor(); };
  if (grad_enabled()) {
    const Tensors g = recurrent_composed_grad(a.sizes, &in[0], given(kY), given(kHn), given(kCn));
    for (int i = 0; i < kSizes; ++i)
      if (c.needs(i)) c.set(i, g[size_t(i)]);
    return;
  }
  for (const int i : {kY, kActivations, kCells, kHidden}) in.push_back(c.out(i));
  for (const int i : {kY, kHn, kCn})
    in.push_back(c.has_gradient(i) ? contiguous(c.g(i)) : Tensor());
  const Outputs out = run(make_call(kLayerGrad, in, a));
  for (int i = 0; i < kSizes; ++i)
    if (c.needs(i)) c.set(i, out[i]);
}
constexpr uint32_t kSavedOutputs = ~(1u << kHn | 1u << kCn);
const Op kLayer{.name = "recurrent_layer",
                .infer = layer_infer,
                .launch = layer_launch,
                .vjp = layer_vjp,
                .saves = {kAll, kSavedOutputs},
                .host_inputs = 1u << kSizes};

// ---- checks ------------------------------------------------------------------------------------
const char* const kNames[kRecurrentCells] = {"rnn", "rnn", "lstm", "gru", "gru"};

void expect(const char* name, const char* what, const Tensor& t, const Dims& shape) {
  check(t.shape() == shape, ErrorKind::shape, name, ": ", what, " has shape ", t.shape(),
        ", expected ", shape);
}

// Rows of a packed sequence; throws unless sizes is non-increasing and positive.
int64_t packed_rows(const char* name, const Tensor& sizes) {
  check(sizes.dtype() == DType::int64 && sizes.dim() == 1 && sizes.size(0) > 0, ErrorKind::value,
        name, ": batch_sizes must be int64 of shape (T,), got ", sizes);
  check(sizes.device().type == DeviceType::cpu, ErrorKind::device, name,
        ": batch_sizes must be on the CPU, got ", sizes, "; use batch_sizes.cpu()");
  const int64_t *p = sizes.data<int64_t>(), T = sizes.size(0);
  int64_t rows = 0;
  for (int64_t t = 0; t < T; ++t) {
    check(p[t] > 0 && (t == 0 || p[t] <= p[t - 1]), ErrorKind::value, name,
          ": batch_sizes must be positive and not increase, got ", p[t], " at step ", t,
          "; make them with pack_padded_sequence");
    rows += p[t];
  }
  return rows;
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> recurrent_layer(int64_t cell, const Tensor& x,
                                                   const MaybeTensor& batch_sizes,
                                                   const MaybeTensor& h0, const MaybeTensor& c0,
                                                   const Tensor& w_ih, const Tensor& w_hh,
                                                   const MaybeTensor& b_ih, const MaybeTensor& b_hh,
                                                   const MaybeTensor& w_hr, bool reverse) {
  check(cell >= 0 && cell < kRecurrentCells, ErrorKind::value,
        "recurrent_layer: no cell has number ", cell);
  const char* const name = kNames[cell];
  check(is_floating(x.dtype()), ErrorKind::dtype, name, ": expected a floating input, got ", x,
        "; convert with .float()");
  check(x.dim() == (batch_sizes ? 2 : 3), ErrorKind::shape, name, ": expected an input of shape ",
        batch_sizes ? "(rows, features)" : "(steps, batch, features)", ", got ", x.shape());
  check(w_ih.dim() == 2 && w_hh.dim() == 2, ErrorKind::shape, name,
        ": weights must have 2 dimensions, got ", w_ih.shape(), " and ", w_hh.shape());
  RecurrentSizes s{};
  s.cell = int32_t(cell);
  s.reverse = reverse;
  s.project = w_hr.has_value();
  s.I = x.size(-1);
  s.H = w_hh.size(0) / s.gates();
  s.P = w_hh.size(1);
  const Tensor sizes = batch_sizes ? contiguous(*batch_sizes) : Tensor();
  if (batch_sizes) {
    s.R = packed_rows(name, sizes);
    s.T = sizes.size(0);
    s.B = sizes.data<int64_t>()[0];
    check(s.R == x.size(0), ErrorKind::shape, name, ": batch_sizes count ", s.R,
          " rows, the input has shape ", x.shape());
  } else {
    s.T = x.size(0), s.B = x.size(1), s.R = s.T * s.B;
    check(s.T > 0, ErrorKind::shape, name,
          ": expected sequence length to be larger than 0, got an input of shape ", x.shape());
  }
  const int64_t G = s.gates() * s.H;
  expect(name, "weight_ih", w_ih, {G, s.I});
  expect(name, "weight_hh", w_hh, {G, s.project ? s.P : s.H});
  if (s.project) expect(name, "weight_hr", *w_hr, {s.P, s.H});
  check(b_ih.has_value() == b_hh.has_value(), ErrorKind::value, name,
        ": give both biases or neither");
  if (b_ih) expect(name, "bias_ih", *b_ih, {G}), expect(name, "bias_hh", *b_hh, {G});
  if (h0) expect(name, "the initial state", *h0, {s.B, s.P});
  if (c0) expect(name, "the initial cell state", *c0, {s.B, s.H});
  const DType t = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  const auto dense = [&](const MaybeTensor& v) {
    if (!v) return Tensor();
    check(v->dtype() == x.dtype(), ErrorKind::dtype, name, ": the input is ", x.dtype(),
          ", a weight or state ", v->dtype(), "; convert one with .to()");
    return contiguous(to_dtype(*v, t));
  };
  const Tensor rows = reshape(x, Dims{s.R, s.I});
  const std::initializer_list<Tensor> in{dense(rows), dense(w_ih), dense(w_hh),
                                         dense(b_ih), dense(b_hh), dense(w_hr),
                                         dense(h0),   dense(c0),   sizes};
  const Outputs out = run(make_call(kLayer, in, s));
  const auto given = [&](const Tensor& y) { return to_dtype(y, x.dtype()); };
  return {given(batch_sizes ? out[kY] : reshape(out[kY], Dims{s.T, s.B, s.P})), given(out[kHn]),
          cell == kLstm ? given(out[kCn]) : out[kCn]};
}

}  // namespace lamina
