// Strided operands over one index space: merged on the host, walked by index on the device.
#pragma once
#include "number.h"
#include "runtime.h"

namespace lamina::cuda {

// What a complex128 is copied as.
struct alignas(16) Bytes16 {
  uint64_t half[2];
};

constexpr int kMaxDims = 12;  // as core/dims.h
constexpr int kMaxOperands = 6;

struct Strides {
  int operands = 0, nd = 0;
  int64_t n = 1;
  int64_t shape[kMaxDims];
  int64_t stride[kMaxOperands][kMaxDims];  // elements; operand 0 is the output

  explicit Strides(const Operand& space) {
    nd = space.nd;
    for (int d = 0; d < nd; ++d) n *= shape[d] = space.shape[d];
  }
  // Broadcast to the space; returns its number.
  int add(const Operand& x) {
    const int lead = nd - x.nd;
    for (int d = 0; d < nd; ++d)
      stride[operands][d] = d < lead || x.shape[d - lead] == 1 ? 0 : x.strides[d - lead];
    return operands++;
  }
  // Drops dimensions of size 1, orders them by the output's strides, merges what is evenly spaced.
  void merge() {
    int kept = 0;
    for (int d = 0; d < nd; ++d)
      if (shape[d] != 1) move(kept++, d);
    nd = kept;
    for (int a = 1; a < nd; ++a)
      for (int d = a; d > 0 && stride[0][d - 1] < stride[0][d]; --d) swap(d - 1, d);
    int at = 0;
    for (int d = 1; d < nd; ++d) {
      bool even = true;
      for (int i = 0; i < operands; ++i) even &= stride[i][at] == shape[d] * stride[i][d];
      if (even) {
        shape[d] *= shape[at];
        move(at, d);
      } else {
        move(++at, d);
      }
    }
    if (nd) nd = at + 1;
  }
  // Merged: whether groups of `width` elements lie along the last dimension, in the output and
  // every operand side by side (`item` bytes each) or all the same one, from addresses that suit
  // vectors.
  bool in_groups(int width, int operand, const void* p, int item) const {
    if (nd == 0) return false;
    const int64_t step = stride[operand][nd - 1];
    if ((nd > 1 && shape[nd - 1] % width) || (step != 1 && (step != 0 || operand == 0)))
      return false;
    if (step == 0) return true;
    const int bytes = width * item < 16 ? width * item : 16;
    for (int d = 0; d + 1 < nd; ++d)
      if (stride[operand][d] * item % bytes) return false;
    return reinterpret_cast<uintptr_t>(p) % uintptr_t(bytes) == 0;
  }
  bool dense(int operand) const { return nd == 0 || (nd == 1 && stride[operand][0] == 1); }
  // Offset of element `index` of the space in every operand.
  template <int N>
  LAMINA_HD void offsets(int64_t index, int64_t (&at)[N]) const {
    if (nd == 1) {
      for (int i = 0; i < N; ++i) at[i] = index * stride[i][0];
      return;
    }
    for (int i = 0; i < N; ++i) at[i] = 0;
    if (n <= INT32_MAX) {
      uint32_t rest = uint32_t(index);
      for (int d = nd - 1; d >= 0; --d) {
        const uint32_t size = uint32_t(shape[d]), k = rest % size;
        rest /= size;
        for (int i = 0; i < N; ++i) at[i] += int64_t(k) * stride[i][d];
      }
    } else {
      for (int d = nd - 1; d >= 0; --d) {
        const int64_t k = index % shape[d];
        index /= shape[d];
        for (int i = 0; i < N; ++i) at[i] += k * stride[i][d];
      }
    }
  }

 private:
  void move(int to, int from) {
    shape[to] = shape[from];
    for (int i = 0; i < operands; ++i) stride[i][to] = stride[i][from];
  }
  void swap(int a, int b) {
    const int64_t s = shape[a];
    shape[a] = shape[b];
    shape[b] = s;
    for (int i = 0; i < operands; ++i) {
      const int64_t t = stride[i][a];
      stride[i][a] = stride[i][b];
      stride[i][b] = t;
    }
  }
};

// y[...] = x[...] for operands 0 and 1 of s, merged; elements of `item` bytes (ops/creation.cu).
void move_elements(const DeviceCall& c, const Strides& s, int item, void* y, const void* x);

}  // namespace lamina::cuda
