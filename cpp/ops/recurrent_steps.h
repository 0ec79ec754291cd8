// Where the rows of each time step lie, and how sequences are shared out among threads.
#pragma once
#include <vector>

#include "core/threads.h"
#include "ops/recurrent_launch.h"

namespace lamina {

// Row `row` of an array (., width); null stays null.
template <class T>
const T* row_of(const void* p, int64_t row, int64_t width) {
  return p ? static_cast<const T*>(p) + row * width : nullptr;
}
template <class T>
T* row_of(void* p, int64_t row, int64_t width) {
  return p ? static_cast<T*>(p) + row * width : nullptr;
}

class RecurrentSteps {
 public:
  RecurrentSteps(const RecurrentSizes& s, const int64_t* sizes) : s_(s), sizes_(sizes) {
    if (!sizes) return;
    offsets_.resize(size_t(s.T) + 1);
    for (int64_t t = 0; t < s.T; ++t) offsets_[size_t(t) + 1] = offsets_[size_t(t)] + sizes[t];
  }
  int64_t size(int64_t t) const { return sizes_ ? sizes_[t] : s_.B; }
  int64_t offset(int64_t t) const { return sizes_ ? offsets_[size_t(t)] : t * s_.B; }
  // The step whose state enters step t, or -1; a sequence that has no such step starts at t.
  int64_t before(int64_t t) const { return !s_.reverse ? t - 1 : t + 1 < s_.T ? t + 1 : -1; }
  // Number of steps of sequence b.
  int64_t length(int64_t b) const {
    int64_t lo = 0, hi = s_.T;  // size(t) > b for t < length
    if (!sizes_) return hi;
    while (lo < hi) {
      const int64_t t = (lo + hi) / 2;
      size(t) > b ? lo = t + 1 : hi = t;
    }
    return lo;
  }

  // f(t, at, n) for steps in the order of computation (or against it): sequences [b, b + n), n > 0,
  // are in step t, at row `at`.
  template <class F>
  void each(int64_t b, int64_t end, bool backwards, F f) const {
    const bool up = s_.reverse == backwards;
    for (int64_t i = 0; i < s_.T; ++i) {
      const int64_t t = up ? i : s_.T - 1 - i;
      const int64_t n = (size(t) < end ? size(t) : end) - b;
      if (n > 0) f(t, offset(t) + b, n);
    }
  }
  // f(i, n, row) for sequences [b + i, b + i + n), n > 0: the state before step t is row `row` of
  // the results, or (row < 0) the initial state.
  template <class F>
  void states_before(int64_t t, int64_t b, int64_t n, F f) const {
    const int64_t from = before(t);
    int64_t m = from < 0 ? 0 : size(from) - b;
    m = m < 0 ? 0 : m > n ? n : m;
    if (m > 0) f(int64_t(0), m, offset(from) + b);
    if (n > m) f(m, n - m, int64_t(-1));
  }

  // run(b, end) for ranges of sequences, on all threads when a row of a step takes ns_per_row.
  template <class F>
  void share(double ns_per_row, F run) const {
    const int64_t threads = num_threads();
    int64_t pieces = threads < s_.B ? threads : s_.B;
    if (double(s_.R) * ns_per_row < kSerialNanoseconds || pieces < 2) {
      run(int64_t(0), s_.B);
      return;
    }
    if (s_.B >= 128 * threads) pieces *= 2;  // evens out interruptions
    std::vector<int64_t> first(size_t(pieces) + 1, s_.B);
    first[0] = 0;
    for (int64_t b = 0, p = 1, rows = 0; b < s_.B && p < pieces; ++b) {
      rows += length(b);
      while (p < pieces && rows * pieces >= p * s_.R) first[size_t(p++)] = b + 1;
    }
    const auto piece = [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        if (first[size_t(p)] < first[size_t(p) + 1]) run(first[size_t(p)], first[size_t(p) + 1]);
    };
    using Fn = decltype(piece);
    parallel_chunks(
        pieces, 1, [](void* f, int64_t b, int64_t e) { (*static_cast<const Fn*>(f))(b, e); },
        const_cast<void*>(static_cast<const void*>(&piece)));
  }

 private:
  RecurrentSizes s_;
  const int64_t* sizes_;
  std::vector<int64_t> offsets_;
};

// Rows of W packed for RecurrentStep (transposed) or RecurrentProduct.
template <class T>
class RecurrentPanels {
 public:
  // B[k, j] = b[k * b_k + j * b_col]: (K, gates * H)
  RecurrentPanels(const void* b, int64_t b_k, int64_t b_col, int64_t K, int64_t H, int64_t gates)
      : depth(K),
        columns(kernels().panel_columns[type]),
        scratch_(size_t(elements(K, H, gates)) * sizeof(T)) {
    if (!b) return;
    const RecurrentPack p{b, b_k, b_col, K, H, gates, scratch_.template as<void>()};
    parallel_rows(gates * blocks(H), double(K) * 8,
                  [&](int64_t i, int64_t e) { kernels().pack[type](p, i, e); });
  }
  // Panels from block `block` on, from row k on.
  const T* at(int64_t block, int64_t k) const {
    return scratch_.template as<T>() + (block * depth + k) * columns;
  }
  int64_t blocks(int64_t H) const { return (H + columns - 1) / columns; }

  static const RecurrentKernels& kernels() { return cpu_kernels().recurrent; }
  static constexpr int type = sizeof(T) == 4 ? kF32 : kF64;
  const int64_t depth, columns;

 private:
  static int64_t elements(int64_t K, int64_t H, int64_t gates) {
    const int64_t n = kernels().panel_columns[type];
    return gates * ((H + n - 1) / n) * n * K + 64;
  }
  Scratch scratch_;
};

}  // namespace lamina
