// Arguments of resampling and the table of its weights, for every device.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/kernels.h"

namespace lamina {

enum ResampleKind : int {
  kNearest,
  kNearestExact,
  kLinear,
  kCubic,
  kLinearFiltered,
  kCubicFiltered
};

struct ResampleCall {
  int32_t dim;
  int32_t kind;
  int64_t n, m;  // inputs and outputs of the forward map
  double scale;  // inputs per output
  bool align, transposed;
  int64_t inputs() const { return transposed ? m : n; }
  int64_t outputs() const { return transposed ? n : m; }
};

inline double resample_triangle(double x) { return std::fabs(x) < 1 ? 1 - std::fabs(x) : 0; }
// Cubic convolution (Keys, "Cubic convolution interpolation", 1981).
inline double resample_keys(double x, double a) {
  x = std::fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}
inline int64_t resample_clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

// The most taps an output can have.
inline int64_t resample_most_taps(const ResampleCall& a) {
  const double wide = a.scale > 1 ? a.scale : 1;
  switch (a.kind) {
    case kLinear:
      return 2;
    case kCubic:
      return 4;
    case kLinearFiltered:
      return int64_t(2 * std::ceil(wide)) + 2;
    case kCubicFiltered:
      return int64_t(2 * std::ceil(2 * wide)) + 2;
    default:
      return 1;
  }
}

// The taps of output i: returns how many.
inline int64_t resample_taps(const ResampleCall& a, int64_t i, int64_t* index, double* weight) {
  if (a.kind == kNearest || a.kind == kNearestExact) {
    // PyTorch's single precision decides which element is nearest.
    const float scale = float(a.scale);
    const float at = (float(i) + (a.kind == kNearestExact ? 0.5f : 0.0f)) * scale;
    index[0] = resample_clamp(int64_t(std::floor(at)), a.n);
    weight[0] = 1;
    return 1;
  }
  if (a.kind == kLinear || a.kind == kCubic) {
    double at = a.align ? double(i) * a.scale : (double(i) + 0.5) * a.scale - 0.5;
    if (a.kind == kLinear && at < 0) at = 0;
    int64_t first = int64_t(std::floor(at));
    if (a.kind == kLinear && first > a.n - 1) first = a.n - 1;
    const double part = at - double(first);
    if (a.kind == kLinear) {
      const double right = part > 1 ? 1 : part;
      index[0] = first, weight[0] = 1 - right;
      index[1] = resample_clamp(first + 1, a.n), weight[1] = right;
      return 2;
    }
    for (int t = 0; t < 4; ++t) {
      index[t] = resample_clamp(first - 1 + t, a.n);
      weight[t] = resample_keys(part + 1 - t, -0.75);
    }
    return 4;
  }
  const double wide = a.scale > 1 ? a.scale : 1;
  const double support = (a.kind == kLinearFiltered ? 1 : 2) * wide;
  const double centre = a.scale * (double(i) + 0.5);
  const int64_t from = int64_t(centre - support + 0.5) < 0 ? 0 : int64_t(centre - support + 0.5);
  const int64_t limit = int64_t(centre + support + 0.5), to = limit < a.n ? limit : a.n;
  double total = 0;
  for (int64_t j = from; j < to; ++j) {
    const double x = (double(j) - centre + 0.5) / wide;
    index[j - from] = j;
    weight[j - from] = a.kind == kLinearFiltered ? resample_triangle(x) : resample_keys(x, -0.5);
    total += weight[j - from];
  }
  for (int64_t j = from; j < to; ++j) weight[j - from] /= total;
  return to > from ? to - from : 0;
}

// The matrix of a call as rows of (index, weight): row i holds taps [start[i], start[i + 1]).
struct ResampleTable {
  std::vector<int64_t> numbers;
  std::vector<double> weights;
  int64_t taps;
  const int64_t *start, *index;
  const double* weight;

  explicit ResampleTable(const ResampleCall& a) {
    std::vector<int64_t> at(size_t(a.m * resample_most_taps(a))), first(size_t(a.m) + 1);
    weights.resize(at.size());
    for (int64_t i = 0; i < a.m; ++i) {
      const size_t k = size_t(first[size_t(i)]);
      first[size_t(i) + 1] = int64_t(k) + resample_taps(a, i, at.data() + k, weights.data() + k);
    }
    taps = first.back();
    const size_t rows = size_t(a.outputs()) + 1;
    numbers.resize(rows + size_t(taps));
    int64_t *const begin = numbers.data(), *const to = begin + rows;
    if (!a.transposed) {
      std::copy(first.begin(), first.end(), begin);
      std::copy(at.begin(), at.begin() + taps, to);
    } else {
      std::vector<double> turned(size_t(taps) + 1);
      for (int64_t t = 0; t < taps; ++t) ++begin[at[size_t(t)] + 1];
      for (int64_t j = 0; j < a.n; ++j) begin[j + 1] += begin[j];
      for (int64_t i = 0; i < a.m; ++i)
        for (int64_t t = first[size_t(i)]; t < first[size_t(i) + 1]; ++t) {
          const int64_t place = begin[at[size_t(t)]]++;
          to[place] = i;
          turned[size_t(place)] = weights[size_t(t)];
        }
      for (int64_t j = a.n; j > 0; --j) begin[j] = begin[j - 1];
      begin[0] = 0;
      weights.swap(turned);
    }
    start = begin;
    index = to;
    weight = weights.data();
  }
};

}  // namespace lamina
