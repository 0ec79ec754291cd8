// A batch of images out of a data set, in one pass: choose rows, cut a window (with a border of
// `fill`), flip, divide, normalise.
//   y[b, c, i, j] = (x[rows[b], c, top + i', left + j'] / divisor - mean[c]) / std[c]
// with i' = i, or h - 1 - i when flipped up-down, and j' likewise.
//
// Layout: BatchArgs; a plane is one (b, c), a window's rows are written left to right, mirrored
// ones through reversed vectors. A row ends with a vector that overlaps the one before it.
// Quotients of bytes are those of a true division (two rounds of Newton's correction with fused
// multiply-adds, Markstein 1990), so a batch has the bits of its images made one by one. Cost: one
// read and one write of memory; 0.1 ns per pixel with 512-bit vectors, from cache, and 4 ns per row
// of a window.
#pragma once
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/vec_bytes.h"
#include "kernels/vec_shuffle.h"

namespace lamina::LAMINA_ISA {
namespace {

inline F32 pixels(const uint8_t* p) { return to_float(load_bytes(p)); }
inline F32 pixels(const float* p) { return load<F32>(p); }

// a / b given r = 1 / b, for bytes and their like: values far from overflow and underflow.
inline F32 quotient(F32 a, F32 b, F32 r, const uint8_t*) {
#if defined(LAMINA_ISA_GENERIC)
  (void)r;
  return a / b;
#else
  F32 q = a * r;
  q = fma(fnma(q, b, a), r, q);
  return fma(fnma(q, b, a), r, q);
#endif
}
inline F32 quotient(F32 a, F32 b, F32, const float*) { return a / b; }

struct Convert {
  float divisor, mean, std;
};

// y = (x / divisor - mean) / std for n pixels of a row, from right to left when mirrored.
template <bool divide, bool normalise, bool mirror, class From>
void convert_row(float* y, const From* x, int64_t n, const Convert& k) {
  constexpr int L = kLanes<F32>;
  const F32 d = set1<F32>(k.divisor), rd = 1 / d;
  const F32 m = set1<F32>(k.mean), s = set1<F32>(k.std), rs = 1 / s;
  const auto convert = [&](const From* p) {
    F32 v = pixels(p);
    if (divide) v = quotient(v, d, rd, x);
    if (normalise) v = quotient(v - m, s, rs, x);
    return mirror ? reversed(v) : v;
  };
  if (n >= L) {
    int64_t i = 0;
    for (; i + L <= n; i += L) store(mirror ? y + (n - L - i) : y + i, convert(x + i));
    if (i < n) store(mirror ? y : y + (n - L), convert(x + (n - L)));
  } else {
    From in[L] = {};
    float out[L];
    for (int64_t i = 0; i < n; ++i) in[i] = x[i];
    store(out, convert(in));
    for (int64_t i = 0; i < n; ++i) y[i] = out[mirror ? L - n + i : i];
  }
}
template <bool divide, bool normalise, bool mirror>
void convert_row(uint8_t* y, const uint8_t* x, int64_t n, const Convert&) {
  if (!mirror) {
    memcpy(y, x, size_t(n));
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i] = x[n - 1 - i];
}

// One plane: the window at `at`, or the whole image when there is none.
template <bool divide, bool normalise, bool mirror, class To, class From>
void plane(To* y, const From* x, const int64_t* at, const BatchArgs& a, const Convert& k) {
  if (!at) {
    convert_row<divide, normalise, mirror>(y, x, a.H * a.W, k);
    return;
  }
  const From fill = From(a.fill);
  To border;
  convert_row<divide, normalise, false>(&border, &fill, 1, k);
  const int64_t top = at[0], left = at[1];
  const bool upside_down = at[3] != 0;
  // Columns [lo, hi) of the window lie in the image.
  const int64_t lo = left < 0 ? (-left < a.w ? -left : a.w) : 0;
  const int64_t reach = a.W - left < a.w ? a.W - left : a.w, hi = reach > lo ? reach : lo;
  const int64_t first = mirror ? a.w - hi : lo, last = first + hi - lo;
  for (int64_t i = 0; i < a.h; ++i) {
    To* const to = y + i * a.w;
    const int64_t from = top + (upside_down ? a.h - 1 - i : i);
    const bool outside = from < 0 || from >= a.H || hi == lo;
    for (int64_t j = 0; j < (outside ? a.w : first); ++j) to[j] = border;
    if (outside) continue;
    convert_row<divide, normalise, mirror>(to + first, x + from * a.W + left + lo, hi - lo, k);
    for (int64_t j = last; j < a.w; ++j) to[j] = border;
  }
}

template <class From>
inline const From* image_plane(const BatchArgs& a, int64_t b, int64_t c) {
  const int64_t row = a.rows[b] < 0 ? a.rows[b] + a.N : a.rows[b];
  return static_cast<const From*>(a.x) + (row * a.C + c) * a.H * a.W;
}

template <class To, class From>
void make_batch(const BatchArgs& a, int64_t begin, int64_t end) {
  const bool divide = a.divisor != 1, normalise = a.stats != nullptr;
  // Rows come from anywhere in memory: planes to come are fetched meanwhile.
  const int64_t bytes = a.H * a.W * int64_t(sizeof(From)), near = bytes < 8192 ? bytes : 8192;
  const int64_t ahead = near > 2048 ? 3 : 8;
  const auto fetch = [&](int64_t p) {
    if (p >= end) return;
    const char* const to_come =
        reinterpret_cast<const char*>(image_plane<From>(a, p / a.C, p % a.C));
    for (int64_t i = 0; i < near; i += 64) __builtin_prefetch(to_come + i);
  };
  for (int64_t p = begin; p < begin + ahead; ++p) fetch(p);
  for (int64_t p = begin; p < end; ++p) {
    const int64_t b = p / a.C, c = p % a.C;
    fetch(p + ahead);
    const From* const x = image_plane<From>(a, b, c);
    To* const y = static_cast<To*>(a.y) + p * a.h * a.w;
    const int64_t* const at = a.windows ? a.windows + 4 * b : nullptr;
    const Convert k{a.divisor, normalise ? a.stats[2 * c] : 0, normalise ? a.stats[2 * c + 1] : 1};
    const auto run = [&](auto* make) { make(y, x, at, a, k); };
    if (at && at[2] != 0) {
      run(divide
              ? normalise ? plane<true, true, true, To, From> : plane<true, false, true, To, From>
          : normalise ? plane<false, true, true, To, From>
                      : plane<false, false, true, To, From>);
    } else {
      run(divide
              ? normalise ? plane<true, true, false, To, From> : plane<true, false, false, To, From>
          : normalise ? plane<false, true, false, To, From>
                      : plane<false, false, false, To, From>);
    }
  }
}

}  // namespace

void fill_batch(Kernels& k) {
  k.batch.bytes_to_float = make_batch<float, uint8_t>;
  k.batch.float_to_float = make_batch<float, float>;
  k.batch.bytes = make_batch<uint8_t, uint8_t>;
}

}  // namespace lamina::LAMINA_ISA
