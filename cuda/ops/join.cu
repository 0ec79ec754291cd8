// cat, stack: one copy for each input. slice_grad: zeros around what a slice's gradient fills.
#include "launch.h"
#include "ops/view_args.h"
#include "strided.h"
#include "table.h"

namespace lamina::cuda {
namespace {

// x into y's piece that starts `at` steps along `dim`; y's dimension `drop` is left out (-1: none).
void copy_piece(const DeviceCall& c, int dim, int64_t at, const Operand& x, int drop) {
  const Operand& y = c.out[0];
  int64_t strides[kMaxDims];
  for (int d = 0, k = 0; d < y.nd; ++d)
    if (d != drop) strides[k++] = y.strides[d];
  const Operand piece{y.data, x.shape, strides, x.nd, y.dtype, false};
  Strides s(x);
  s.add(piece);
  s.add(x);
  s.merge();
  const int item = item_size(y.dtype);
  move_elements(c, s, item, static_cast<char*>(y.data) + at * y.strides[dim] * item, x.data);
}
void cat(const DeviceCall& c) {
  const int d = int(static_cast<const JoinArgs*>(c.args)->dim);
  int64_t at = 0;
  for (int i = 0; i < c.inputs; ++i) {
    copy_piece(c, d, at, c.in[i], -1);
    at += c.in[i].shape[d];
  }
}
void stack(const DeviceCall& c) {
  const int d = int(static_cast<const JoinArgs*>(c.args)->dim);
  for (int i = 0; i < c.inputs; ++i) copy_piece(c, d, i, c.in[i], d);
}

void slice_grad(const DeviceCall& c) {
  const auto& a = *static_cast<const SliceGradArgs*>(c.args);
  const Operand &g = c.in[0], &y = c.out[0];
  const int item = item_size(y.dtype);
  const size_t bytes = size_t(y.numel()) * item;
  if (bytes) check(cudaMemsetAsync(y.data, 0, bytes, current_stream(c.device)), c.name);
  if (g.numel() == 0) return;
  int64_t strides[kMaxDims];
  for (int d = 0; d < y.nd; ++d) strides[d] = y.strides[d] * (d == a.dim ? a.step : 1);
  const Operand region{y.data, g.shape, strides, g.nd, y.dtype, false};
  Strides s(g);
  s.add(region);
  s.add(g);
  s.merge();
  move_elements(c, s, item, static_cast<char*>(y.data) + a.start * y.strides[a.dim] * item, g.data);
}

const Launches kLaunches{
    {"cat", cat, true}, {"stack", stack, true}, {"slice_grad", slice_grad, true}};

}  // namespace
}  // namespace lamina::cuda
