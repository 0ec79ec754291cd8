// gather, scatter and scatter_reduce along a dimension; adding rows.
//
// Layout: see ScatterArgs. Cost: one random access per index; the index tensor is read once, in
// order, so that sums into one place always have the same order.
#pragma once
#include "kernels/kernels.h"

namespace lamina::LAMINA_ISA {
namespace {

// Offsets of run r in data and in other.
void run_start(const ScatterArgs& a, int64_t r, int64_t* data, int64_t* other) {
  *data = *other = 0;
  for (int d = a.nd - 2; d >= 0; --d) {
    const int64_t i = r % a.shape[d];
    r /= a.shape[d];
    *data += i * a.strides[d];
    *other += i * a.other_strides[d];
  }
}

bool in_range(const int64_t* index, const ScatterArgs& a) {
  int64_t bad = 0;
  for (int64_t i = a.begin; i < a.end; ++i) bad |= uint64_t(index[i]) >= uint64_t(a.size);
  return bad == 0;
}
// f(place in data, place in other) for every index of runs [begin, end).
template <class T, class F>
int64_t each(const ScatterArgs& a, int64_t begin, int64_t end, F f) {
  T* const data = static_cast<T*>(a.data);
  T* const other = static_cast<T*>(a.other);
  const int64_t n = a.shape[a.nd - 1], ds = a.strides[a.nd - 1], os = a.other_strides[a.nd - 1];
  for (int64_t r = begin; r < end; ++r) {
    int64_t at, from;
    run_start(a, r, &at, &from);
    const int64_t* const index = a.index + r * n;
    if (ds == 0 && os == 1 && a.step == 1 && in_range(index, a)) {
      T *const row = data + at, *const line = other + from;
      for (int64_t i = a.begin; i < a.end; ++i) f(row[index[i]], line[i]);
      continue;
    }
    for (int64_t i = a.begin; i < a.end; ++i) {
      const int64_t k = index[i];
      if (uint64_t(k) >= uint64_t(a.size)) return r * n + i;
      f(data[at + i * ds + k * a.step], other[from + i * os]);
    }
  }
  return -1;
}

template <class T>
int64_t gather(const ScatterArgs& a, int64_t begin, int64_t end) {
  return each<T>(a, begin, end, [](const T& place, T& other) { other = place; });
}
template <class T>
int64_t scatter(const ScatterArgs& a, int64_t begin, int64_t end) {
  return each<T>(a, begin, end, [](T& place, T& other) { place = other; });
}
template <class T>
int64_t scatter_add(const ScatterArgs& a, int64_t begin, int64_t end) {
  return each<T>(a, begin, end, [](T& place, T& other) { place += other; });
}
template <class T>
int64_t scatter_mul(const ScatterArgs& a, int64_t begin, int64_t end) {
  return each<T>(a, begin, end, [](T& place, T& other) { place *= other; });
}
template <class T>
int64_t scatter_max(const ScatterArgs& a, int64_t begin, int64_t end) {  // NaN wins
  return each<T>(a, begin, end, [](T& place, T& other) {
    if (other > place || other != other) place = other;
  });
}
template <class T>
int64_t scatter_min(const ScatterArgs& a, int64_t begin, int64_t end) {
  return each<T>(a, begin, end, [](T& place, T& other) {
    if (other < place || other != other) place = other;
  });
}

template <class T>
void add_row(void* y, const void* x, int64_t step, int64_t n) {
  T* __restrict to = static_cast<T*>(y);
  const T* __restrict from = static_cast<const T*>(x);
  if (step == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] += from[i];
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] += from[i * step];
  }
}
template <class T>
void scale_row(void* y, const void* x, int64_t, int64_t n) {
  T* const to = static_cast<T*>(y);
  const T s = *static_cast<const T*>(x);
  for (int64_t i = 0; i < n; ++i) to[i] *= s;
}

// Blocks of bytes are added up by vectors: at most 255 of them fill a byte.
int64_t count_true(const uint8_t* p, int64_t n) {
  int64_t count = 0;
  for (int64_t b = 0; b < n; b += 64 * 255) {
    const int64_t e = n - b < 64 * 255 ? n - b : 64 * 255;
    uint8_t sums[64] = {};
    int64_t i = 0;
    for (; i + 64 <= e; i += 64)
      for (int k = 0; k < 64; ++k) sums[k] += p[b + i + k] != 0;
    for (int k = 0; k < 64; ++k) count += sums[k];
    for (; i < e; ++i) count += p[b + i] != 0;
  }
  return count;
}
// No branch on the bytes while there is room: each position is written, then kept or overwritten.
void list_true(const uint8_t* p, int64_t n, int64_t first, int64_t room, int64_t step,
               int64_t* out) {
  int64_t k = 0, i = 0;
  for (; i + 8 <= n && k + 8 < room; i += 8) {
    uint64_t word;
    __builtin_memcpy(&word, p + i, 8);
    if (word == 0) continue;
    for (int j = 0; j < 8; ++j) {
      out[k * step] = first + i + j;
      k += p[i + j] != 0;
    }
  }
  for (; i < n && k < room; ++i) {
    if (p[i] == 0) continue;
    out[k++ * step] = first + i;
  }
}

template <class T>
void fill_reduce(IndexKernels& k, int compute) {
  k.scatter_reduce[kScatterAdd][compute] = scatter_add<T>;
  k.scatter_reduce[kScatterMul][compute] = scatter_mul<T>;
  k.scatter_reduce[kScatterMax][compute] = scatter_max<T>;
  k.scatter_reduce[kScatterMin][compute] = scatter_min<T>;
  k.add_row[compute] = add_row<T>;
}

}  // namespace

void fill_index(Kernels& k) {
  k.index.count_true = count_true;
  k.index.list_true = list_true;
  k.index.gather[0] = gather<uint8_t>;
  k.index.gather[1] = gather<uint16_t>;
  k.index.gather[2] = gather<uint32_t>;
  k.index.gather[3] = gather<uint64_t>;
  k.index.scatter[0] = scatter<uint8_t>;
  k.index.scatter[1] = scatter<uint16_t>;
  k.index.scatter[2] = scatter<uint32_t>;
  k.index.scatter[3] = scatter<uint64_t>;
  fill_reduce<float>(k.index, kF32);
  fill_reduce<double>(k.index, kF64);
  fill_reduce<int64_t>(k.index, kI64);
  k.index.scale_row[kF32] = scale_row<float>;
  k.index.scale_row[kF64] = scale_row<double>;
}

}  // namespace lamina::LAMINA_ISA
