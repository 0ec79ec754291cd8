// Arguments and table entries of the sort kernels (included by kernels.h inside namespace lamina).
#pragma once

// Lines of n elements, dense; the first k of each line's sorted order go to values and index.
struct SortArgs {
  const void* x;   // (lines, n)
  void* values;    // (lines, k)
  int64_t* index;  // (lines, k)
  int64_t n, k;
  bool descending;
};
// Lines [begin, end); scratch of sort_scratch_bytes(n) for the calling thread.
using SortFn = void (*)(const SortArgs& a, int64_t begin, int64_t end, void* scratch);
constexpr int64_t sort_scratch_bytes(int64_t n) { return 32 * n; }

// Where v[i] belongs in a sorted line of n: after equals (right) or before. v is (lines, m);
// `step` is n, or 0 when all lines share one sorted sequence.
struct SearchArgs {
  const void* sorted;
  const int64_t* order;  // null, or (lines, n): positions that put `sorted` in order
  const void* v;
  int64_t* y;
  int64_t n, step, m;
  bool right;
};
using SearchFn = void (*)(const SearchArgs& a, int64_t begin, int64_t end);  // of all v

struct SortKernels {
  SortFn sort[3] = {};  // by Compute
  SearchFn search[3] = {};
};
