// The matrix product over raw pointers: one kernel call per rectangle of C, rectangles shared out
// among threads. How C is cut changes no bits, so the cut follows the number of threads.
#include "ops/gemm.h"

#include <algorithm>

#include "core/ceil_div.h"
#include "core/storage.h"
#include "core/threads.h"

namespace lamina {
namespace {

template <class T>
constexpr int kComputeOf = kF32;
template <>
constexpr int kComputeOf<double> = kF64;
template <>
constexpr int kComputeOf<int64_t> = kI64;

constexpr int kElement[kProducts] = {4, 8, 8, 2};

template <class T>
T* at(T* p, int64_t elements, int compute) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return static_cast<Byte*>(p) + elements * kElement[compute];
}

// The part of g with rows [i, i + m) and columns [j, j + n) of C.
GemmArgs part_of(const GemmArgs& g, int compute, int64_t i, int64_t m, int64_t j, int64_t n) {
  GemmArgs p = g;
  p.M = m;
  p.N = n;
  p.a = at(g.a, i * g.a_row, compute);
  p.b = at(g.b, j * g.b_col, compute);
  p.c = at(g.c, i * g.c_row + j, compute);
  Epilogue& e = p.epilogue;
  if (e.column_bias) e.column_bias = at(e.column_bias, j, compute);
  if (e.row_bias) e.row_bias = at(e.row_bias, i, compute);
  return p;
}

// Rows and columns of C in a piece, whole tiles except at the edges.
struct Cut {
  int64_t rows, columns;
};

// The cut into about `pieces` that takes least: multiply-adds of the largest piece, with its
// operands at 12 multiply-adds per element: packing takes about 4, and what the other threads read
// too has to come from another core's cache where it was just written.
Cut best_cut(const GemmArgs& g, int compute, int64_t pieces) {
  const MatmulKernels& k = cpu_kernels().matmul;
  const int64_t tm = k.tile_rows[compute], tn = k.tile_columns[compute];
  // Columns are cut between vectors: half a tile costs half of one.
  const int64_t half = tn / 2;
  const int64_t row_tiles = ceil_div(g.M, tm), halves = ceil_div(g.N, half);
  Cut best{g.M, g.N};
  double least = 1e300;
  for (int64_t pm = 1; pm <= pieces && pm <= row_tiles; ++pm) {
    int64_t pn = ceil_div(pieces, pm);
    if (pn > halves) pn = halves;
    const int64_t rows = pm == 1 ? g.M : ceil_div(g.M, pm);
    const int64_t columns = pn == 1 ? g.N : ceil_div(halves, pn) * half;
    const int64_t made = ceil_div(g.M, rows) * ceil_div(g.N, columns);
    const int64_t rounds = ceil_div(made, pieces);  // pieces one thread does after another
    const double padded = double(ceil_div(columns, half) * half);
    const double cost = double(rounds) * (double(rows) * padded + 12 * (double(rows) + padded));
    if (cost < least) {
      least = cost;
      best = {rows, columns};
    }
  }
  return best;
}

void run_own(const GemmArgs& args, int compute) {
  GemmArgs g = args;
  const Scratch scratch(size_t(compute == kProductBF16
                                   ? brain_scratch_bytes(g.M, g.N, g.K)
                                   : gemm_scratch_elements(g.M, g.N, g.K) * kElement[compute]));
  g.scratch = scratch.as<void>();
  cpu_kernels().matmul.gemm[compute](g);
}
void run_piece(const GemmArgs& g, int compute) {
  if ((compute == kF32 || compute == kF64) && blas_gemm(compute, g)) return;
  run_own(g, compute);
}

}  // namespace

void gemm_batched(int compute, const GemmArgs& args, int64_t batches, GemmOffsetsFn offsets,
                  const void* context) {
  if (args.M <= 0 || args.N <= 0 || batches <= 0) return;
  // Multiply-adds per nanosecond of one thread, about: float32, float64, int64, bfloat16.
  constexpr double rate[kProducts] = {50, 25, 12, 50};
  double ns = double(args.M) * double(args.N) * double(args.K) / rate[compute];
  // One row (or column): reading the matrix takes longer.
  if (args.M == 1 || args.N == 1) ns *= 6;
  const int threads = num_threads();
  // 6 microseconds: below it a second thread costs more than it brings (measured).
  const bool serial = threads == 1 || ns * double(batches) < 6000;
  const auto product = [&](int64_t p) {
    GemmArgs g = args;
    if (offsets) {
      const GemmOffsets o = offsets(context, p);
      g.a = at(args.a, o.a, compute);
      g.b = at(args.b, o.b, compute);
      g.c = at(args.c, o.c, compute);
    }
    return g;
  };
  Cut cut{args.M, args.N};
  if (!serial && batches < threads * 4) {
    // One piece per thread, or up to four of at least 100 microseconds to even out interruptions.
    const double total = ns * double(batches);
    int64_t each = int64_t(total / (threads * 100e3));
    each = each < 1 ? 1 : each > 4 ? 4 : each;
    cut = best_cut(args, compute, ceil_div(threads * each, batches));
  }
  const int64_t pm = ceil_div(args.M, cut.rows), pn = ceil_div(args.N, cut.columns);
  const auto pieces = [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const GemmArgs g = product(piece / (pm * pn));
      const int64_t i = piece / pn % pm * cut.rows, j = piece % pn * cut.columns;
      const int64_t m = g.M - i < cut.rows ? g.M - i : cut.rows;
      const int64_t n = g.N - j < cut.columns ? g.N - j : cut.columns;
      run_piece(part_of(g, compute, i, m, j, n), compute);
    }
  };
  if (serial) {
    pieces(0, batches);
    return;
  }
  const int64_t count = batches * pm * pn;
  int64_t chunk = 1;
  if (pm * pn == 1) {  // many small products: about 4 chunks per thread, each worth 4 microseconds
    chunk = ceil_div(count, threads * 4);
    const int64_t least = int64_t(4000 / (ns > 1 ? ns : 1)) + 1;
    if (chunk < least) chunk = least;
  }
  using Fn = decltype(pieces);
  parallel_chunks(
      count, chunk, [](void* ctx, int64_t b, int64_t e) { (*static_cast<const Fn*>(ctx))(b, e); },
      const_cast<void*>(static_cast<const void*>(&pieces)));
}

int64_t gemm_panel_columns(int compute, int64_t rows) {
  const MatmulKernels& k = cpu_kernels().matmul;
  return rows <= std::max(3, k.tile_rows[compute] / 2) ? k.panel_columns[compute] : 0;
}
void gemm_panels(int compute, const GemmArgs& args) {
  const int64_t width = gemm_panel_columns(compute, args.M);
  const int64_t panels = ceil_div(args.N, width);
  const auto products = [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t j = p * width, n = args.N - j < width ? args.N - j : width;
      GemmArgs g = part_of(args, compute, 0, args.M, j, n);
      g.b = at(args.b, j * args.K, compute);
      g.b_k = n;
      g.b_col = 1;
      run_own(g, compute);
    }
  };
  // Reading B takes the time, at about 80 bytes a nanosecond; as even a share as possible of it for
  // each thread (measured: below 6 microseconds a second one brings nothing).
  const double ns =
      double(args.N) * double(args.K) * std::max(kElement[compute] / 80.0, double(args.M) / 50);
  const int64_t chunk = ns < 6000 ? panels : ceil_div(panels, num_threads());
  if (chunk >= panels) return products(0, panels);
  using Fn = decltype(products);
  parallel_chunks(
      panels, chunk, [](void* ctx, int64_t b, int64_t e) { (*static_cast<const Fn*>(ctx))(b, e); },
      const_cast<void*>(static_cast<const void*>(&products)));
}

namespace {
template <class T>
GemmArgs row_major(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const T* A, int64_t lda,
                   const T* B, int64_t ldb, T* C, int64_t ldc, bool accumulate,
                   const Epilogue* epilogue) {
  GemmArgs g{};
  g.M = M;
  g.N = N;
  g.K = K;
  g.a = A;
  g.a_row = ta ? 1 : lda;
  g.a_k = ta ? lda : 1;
  g.b = B;
  g.b_k = tb ? 1 : ldb;
  g.b_col = tb ? ldb : 1;
  g.c = C;
  g.c_row = ldc;
  g.accumulate = accumulate;
  if (epilogue) g.epilogue = *epilogue;
  return g;
}
}  // namespace

template <class T>
void gemm(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const T* A, int64_t lda, const T* B,
          int64_t ldb, T* C, int64_t ldc, bool accumulate, const Epilogue* epilogue) {
  const FlushDenormals flush;
  gemm_batched(kComputeOf<T>,
               row_major(ta, tb, M, N, K, A, lda, B, ldb, C, ldc, accumulate, epilogue), 1, nullptr,
               nullptr);
}

template <class T>
void gemm_serial(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const T* A, int64_t lda,
                 const T* B, int64_t ldb, T* C, int64_t ldc, bool accumulate,
                 const Epilogue* epilogue) {
  if (M <= 0 || N <= 0) return;
  run_piece(row_major(ta, tb, M, N, K, A, lda, B, ldb, C, ldc, accumulate, epilogue),
            kComputeOf<T>);
}

#define LAMINA_GEMM(T)                                                                             \
  template void gemm<T>(bool, bool, int64_t, int64_t, int64_t, const T*, int64_t, const T*,        \
                        int64_t, T*, int64_t, bool, const Epilogue*);                              \
  template void gemm_serial<T>(bool, bool, int64_t, int64_t, int64_t, const T*, int64_t, const T*, \
                               int64_t, T*, int64_t, bool, const Epilogue*);
LAMINA_GEMM(float)
LAMINA_GEMM(double)
LAMINA_GEMM(int64_t)

}  // namespace lamina
