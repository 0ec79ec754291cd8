// Sorting lines, their first k elements, and binary search.
//
// An element becomes an unsigned key with the same order (NaN above everything, -0 equal to 0; for
// descending order the key's complement) beside its position. Up to kInsertion elements are sorted
// by insertion, more by a radix sort of 8-bit digits, least significant first, which leaves out
// digits that all keys share (Knuth, The Art of Computer Programming 3, 5.2.5). Both are stable.
// For k <= kFewest of a longer line, a list of the best k so far is kept while reading once; for
// larger k of a line 32 times as long, what is better than the best k so far is collected, and
// these are sorted anew when there are 4 k.
// Cost: about 4 (float32) or 8 passes over 8 (16) bytes an element.
#pragma once
#include "kernels/kernels.h"

namespace lamina::LAMINA_ISA {
namespace {

constexpr int64_t kInsertion = 48, kFewest = 64;

inline uint32_t key_of(float x) {
  if (x != x) return ~uint32_t(0);
  const uint32_t b = __builtin_bit_cast(uint32_t, x + 0.0f);
  return b >> 31 ? ~b : b | 0x80000000u;
}
inline uint64_t key_of(double x) {
  if (x != x) return ~uint64_t(0);
  const uint64_t b = __builtin_bit_cast(uint64_t, x + 0.0);
  return b >> 63 ? ~b : b | 0x8000000000000000ull;
}
inline uint64_t key_of(int64_t x) { return uint64_t(x) ^ 0x8000000000000000ull; }

struct Narrow {  // a 32-bit key above a 32-bit position
  uint64_t both;
  static constexpr int digits = 4;
  static Narrow make(uint64_t key, int64_t at) { return {key << 32 | uint64_t(at)}; }
  uint64_t key() const { return both >> 32; }
  int64_t at() const { return int64_t(both & 0xffffffffu); }
};
struct Wide {
  uint64_t k;
  int64_t i;
  static constexpr int digits = 8;
  static Wide make(uint64_t key, int64_t at) { return {key, at}; }
  uint64_t key() const { return k; }
  int64_t at() const { return i; }
};

template <class Item>
void insertion_sort(Item* a, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    const Item x = a[i];
    int64_t k = i;
    for (; k > 0 && a[k - 1].key() > x.key(); --k) a[k] = a[k - 1];
    a[k] = x;
  }
}
// Returns where the sorted items are: a or b.
template <class Item>
Item* radix_sort(Item* a, Item* b, int64_t n) {
  int64_t count[Item::digits][256];
  for (int d = 0; d < Item::digits; ++d)
    for (int v = 0; v < 256; ++v) count[d][v] = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t key = a[i].key();
    for (int d = 0; d < Item::digits; ++d) ++count[d][key >> (8 * d) & 255];
  }
  for (int d = 0; d < Item::digits; ++d) {
    int64_t* const place = count[d];
    if (place[a[0].key() >> (8 * d) & 255] == n) continue;
    int64_t sum = 0;
    for (int v = 0; v < 256; ++v) {
      const int64_t c = place[v];
      place[v] = sum;
      sum += c;
    }
    for (int64_t i = 0; i < n; ++i) b[place[a[i].key() >> (8 * d) & 255]++] = a[i];
    Item* const t = a;
    a = b;
    b = t;
  }
  return a;
}

// The first k of the sorted line, k <= n / 32. Of equal keys the one kept stands before later ones.
template <class T, class Item>
Item* select(const T* x, int64_t n, int64_t k, decltype(key_of(T())) flip, Item* items) {
  using Key = decltype(key_of(T()));
  constexpr int64_t kAtOnce = 16;
  const int64_t room = 4 * k;
  int64_t have = 0;
  Key worst = 0;
  bool full = false;
  auto sort = [&] {
    const Item* const sorted = radix_sort(items, items + room, have);
    have = have < k ? have : k;
    if (sorted != items)
      for (int64_t i = 0; i < have; ++i) items[i] = sorted[i];
    full = have == k;
    worst = items[have - 1].key();
  };
  for (int64_t i = 0; i < n; i += kAtOnce) {
    const int64_t m = n - i < kAtOnce ? n - i : kAtOnce;
    if (full && m == kAtOnce) {
      int better = 0;
      for (int64_t j = 0; j < kAtOnce; ++j) better |= Key(key_of(x[i + j]) ^ flip) < worst;
      if (!better) continue;
    }
    if (have + m > room) sort();
    for (int64_t j = 0; j < m; ++j) {
      const Key key = key_of(x[i + j]) ^ flip;
      if (!full || key < worst) items[have++] = Item::make(key, i + j);
    }
  }
  sort();
  return items;
}

template <class T, class Item>
void sort_line(const T* x, const SortArgs& a, T* values, int64_t* index, Item* items) {
  using Key = decltype(key_of(T()));
  const Key flip = a.descending ? ~Key(0) : Key(0);
  const int64_t n = a.n, k = a.k;
  const Item* sorted = items;
  if (k < n && k <= kFewest) {
    int64_t have = 0;
    for (int64_t i = 0; i < n; ++i) {
      const Key key = key_of(x[i]) ^ flip;
      if (have == k && key >= items[k - 1].key()) continue;
      int64_t p = have < k ? have++ : k - 1;
      for (; p > 0 && items[p - 1].key() > key; --p) items[p] = items[p - 1];
      items[p] = Item::make(key, i);
    }
  } else if (k <= n / 32 && 4 * k > kInsertion) {
    sorted = select(x, n, k, flip, items);
  } else {
    for (int64_t i = 0; i < n; ++i) items[i] = Item::make(key_of(x[i]) ^ flip, i);
    if (n <= kInsertion)
      insertion_sort(items, n);
    else
      sorted = radix_sort(items, items + n, n);
  }
  for (int64_t i = 0; i < k; ++i) {
    const int64_t at = sorted[i].at();
    index[i] = at;
    values[i] = x[at];
  }
}
template <class T>
void sort(const SortArgs& a, int64_t begin, int64_t end, void* scratch) {
  for (int64_t r = begin; r < end; ++r) {
    const T* const x = static_cast<const T*>(a.x) + r * a.n;
    T* const values = static_cast<T*>(a.values) + r * a.k;
    int64_t* const index = a.index + r * a.k;
    if (a.k == 0) continue;
    if (sizeof(T) == 4 && a.n <= int64_t(0xffffffff))
      sort_line(x, a, values, index, static_cast<Narrow*>(scratch));
    else
      sort_line(x, a, values, index, static_cast<Wide*>(scratch));
  }
}

// How many of the sorted elements come before v: those below it, or also those equal to it.
template <class T>
void search(const SearchArgs& a, int64_t begin, int64_t end) {
  const T* const v = static_cast<const T*>(a.v);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t line = a.step ? i / a.m : 0;
    const T* const sorted = static_cast<const T*>(a.sorted) + line * a.step;
    const int64_t* const order = a.order ? a.order + line * a.step : nullptr;
    int64_t low = 0, high = a.n;
    while (low < high) {
      const int64_t mid = low + (high - low) / 2;
      const T there = sorted[order ? order[mid] : mid];
      const bool stop = a.right ? there > v[i] : there >= v[i];
      if (stop)
        high = mid;
      else
        low = mid + 1;
    }
    a.y[i] = low;
  }
}

}  // namespace

void fill_sort(Kernels& k) {
  k.sort.sort[kF32] = sort<float>;
  k.sort.sort[kF64] = sort<double>;
  k.sort.sort[kI64] = sort<int64_t>;
  k.sort.search[kF32] = search<float>;
  k.sort.search[kF64] = search<double>;
  k.sort.search[kI64] = search<int64_t>;
}

}  // namespace lamina::LAMINA_ISA
