// Arguments of pooling and the window of one output, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

struct PoolCall {  // [0] rows, [1] columns; one-dimensional pooling has one row
  int32_t nd;
  bool adaptive, count_include_pad, quad;
  bool relu;  // max_pool_grad, of plans on the CPU: of g where in[2], the maxima, is positive
  PoolIndex index;
  int64_t divisor;
  int64_t in[2], out[2], kernel[2], stride[2], pad[2], dilation[2];
};

// What output i covers along dimension d.
constexpr PoolSpan pool_span(const PoolCall& a, int d, int64_t i) {
  const int64_t n = a.in[d];
  if (a.adaptive) {
    const int64_t begin = i * n / a.out[d], end = ((i + 1) * n + a.out[d] - 1) / a.out[d];
    return {begin, end, end - begin};
  }
  int64_t begin = i * a.stride[d] - a.pad[d];
  int64_t end = begin + (a.kernel[d] - 1) * a.dilation[d] + 1;
  const int64_t padded = (end < n + a.pad[d] ? end : n + a.pad[d]) - begin;
  if (begin < 0) begin += (a.dilation[d] - 1 - begin) / a.dilation[d] * a.dilation[d];
  if (end > n) end = n;
  return {begin, end, a.count_include_pad ? padded : end > begin ? end - begin : 0};
}

}  // namespace lamina
