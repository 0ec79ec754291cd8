// Walking several strided operands over one index space (elementwise functions, copies).
//
// Dimensions that every operand crosses evenly are merged, so a dense call is one run; what is
// left is walked run by run, a run being the innermost merged dimension.
#pragma once
#include "core/call.h"
#include "core/threads.h"

namespace lamina {

constexpr int kMaxOperands = 6;

struct StridedLoop {
  int operands = 0, nd = 0;
  int64_t numel = 0;
  int64_t shape[kMaxDims];
  int64_t strides[kMaxOperands][kMaxDims];  // elements; operand 0 is the output

  // Every operand broadcasts to `shape_of`'s shape.
  explicit StridedLoop(const Dims& index_space) {
    numel = index_space.product();
    nd = index_space.n;
    for (int d = 0; d < nd; ++d) shape[d] = index_space.v[d];
  }
  void operand(const Tensor& t) {
    const int lead = nd - t.dim();
    int64_t* s = strides[operands++];
    for (int d = 0; d < nd; ++d) {
      const int k = d - lead;
      s[d] = k < 0 || t.shape().v[k] == 1 ? 0 : t.strides().v[k];
    }
  }
  void merge();  // after all operands are in

  // fn(const int64_t offset[operands], int64_t n): a run of n elements whose operand i starts at
  // offset[i] and steps by inner(i); covers elements [begin, end) of the index space.
  template <class F>
  void runs(int64_t begin, int64_t end, F&& fn) const {
    int64_t index[kMaxDims], offset[kMaxOperands] = {};
    int64_t rest = begin;
    for (int d = nd - 1; d >= 0; --d) {
      index[d] = rest % shape[d];
      rest /= shape[d];
      for (int i = 0; i < operands; ++i) offset[i] += index[d] * strides[i][d];
    }
    const int last = nd - 1;
    while (begin < end) {
      int64_t n = shape[last] - index[last];
      if (n > end - begin) n = end - begin;
      fn(static_cast<const int64_t*>(offset), n);
      begin += n;
      if (begin >= end) return;
      for (int i = 0; i < operands; ++i) offset[i] -= index[last] * strides[i][last];
      index[last] = 0;
      for (int d = last - 1; d >= 0; --d) {
        for (int i = 0; i < operands; ++i) offset[i] += strides[i][d];
        if (++index[d] < shape[d]) break;
        for (int i = 0; i < operands; ++i) offset[i] -= shape[d] * strides[i][d];
        index[d] = 0;
      }
    }
  }
  int64_t inner(int operand) const { return strides[operand][nd - 1]; }
};

}  // namespace lamina
