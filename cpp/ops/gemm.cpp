// Cuts a matrix product into panels of B and groups of rows and runs the tile kernels on them.
//
// A piece of work is one panel (NR columns) by one group of rows; it packs its part of B into a
// buffer of its thread, depth block by depth block, so threads share nothing. B is used in place
// when it is stored by rows and few tiles would read the packed copy.
#include "ops/gemm.h"

#include "core/dtype.h"
#include "core/threads.h"

namespace lamina {
namespace {

constexpr int64_t kDepth = 384;  // of a block: a packed panel is 48 kB of floats, a tile of A 21 kB
constexpr int64_t kMostColumns = 32;  // NR of the widest instruction set, floats

template <class T>
struct Problem {
  bool ta, tb;
  int64_t M, N, K;
  const T* A;
  int64_t lda;
  const T* B;
  int64_t ldb;
  T* C;
  int64_t ldc;
  bool accumulate;
  const Epilogue* epilogue;
};

template <class T>
constexpr int kType = sizeof(T) == 4 ? kF32 : kF64;

// Rows [r0, r1) of panel p.
template <class T>
void piece(const Problem<T>& q, const MatmulKernels& k, int64_t p, int64_t r0, int64_t r1) {
  alignas(64) static thread_local T buffer[kDepth * kMostColumns];
  const int nr = k.nr[kType<T>];
  const int64_t j = p * nr, columns = q.N - j < nr ? q.N - j : nr;
  const bool pack = q.tb || r1 - r0 > 2 * k.mr[kType<T>];
  Epilogue shifted;
  if (q.epilogue) {
    shifted = *q.epilogue;
    if (shifted.column_bias) shifted.column_bias = static_cast<const T*>(shifted.column_bias) + j;
    if (shifted.row_bias) shifted.row_bias = static_cast<const T*>(shifted.row_bias) + r0;
  }
  for (int64_t at = 0; at == 0 || at < q.K; at += kDepth) {
    const int64_t depth = q.K - at < kDepth ? q.K - at : kDepth;
    const T* b = q.tb ? q.B + j * q.ldb + at : q.B + at * q.ldb + j;
    if (pack) k.pack[kType<T>](buffer, b, q.ldb, q.tb, depth, columns);
    const bool last = at + depth >= q.K;
    k.block[kType<T>]({r1 - r0, depth, columns,
                       q.ta ? q.A + at * q.lda + r0 : q.A + r0 * q.lda + at, q.ta ? 1 : q.lda,
                       q.ta ? q.lda : 1, pack ? buffer : b, pack ? nr : q.ldb, pack,
                       q.C + r0 * q.ldc + j, q.ldc, q.accumulate || at > 0,
                       last && q.epilogue ? &shifted : nullptr});
  }
}

// About what two floating-point operations cost a thread, in nanoseconds per multiply-add.
template <class T>
constexpr double kNanoseconds = sizeof(T) == 4 ? 0.02 : 0.04;

template <class T>
void run(const Problem<T>& q, bool serial) {
  if (q.M <= 0 || q.N <= 0) return;
  const MatmulKernels& k = cpu_kernels().matmul;
  const int nr = k.nr[kType<T>];
  const int64_t panels = (q.N + nr - 1) / nr;
  if (serial) {
    for (int64_t p = 0; p < panels; ++p) piece(q, k, p, 0, q.M);
    return;
  }
  // Few panels: groups of rows too, each of four tiles or more so that packing B pays.
  const int64_t group = 4 * k.mr[kType<T>];
  int64_t groups = panels >= 8 ? 1 : (q.M + group - 1) / group;
  if (groups > 8) groups = 8;
  const double cost = kNanoseconds<T> * double(q.K + 8) * double(nr) * double(q.M) / double(groups);
  parallel_rows(panels * groups, cost, [&](int64_t begin, int64_t end) {
    for (int64_t w = begin; w < end; ++w) {
      const int64_t p = w / groups, g = w % groups;
      piece(q, k, p, q.M * g / groups, q.M * (g + 1) / groups);
    }
  });
}

}  // namespace

template <class T>
void gemm(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const T* A, int64_t lda, const T* B,
          int64_t ldb, T* C, int64_t ldc, bool accumulate, const Epilogue* epilogue) {
  run(Problem<T>{ta, tb, M, N, K, A, lda, B, ldb, C, ldc, accumulate, epilogue}, false);
}
template <class T>
void gemm_serial(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const T* A, int64_t lda,
                 const T* B, int64_t ldb, T* C, int64_t ldc, bool accumulate,
                 const Epilogue* epilogue) {
  run(Problem<T>{ta, tb, M, N, K, A, lda, B, ldb, C, ldc, accumulate, epilogue}, true);
}

#define LAMINA_GEMM(T)                                                                         \
  template void gemm<T>(bool, bool, int64_t, int64_t, int64_t, const T*, int64_t, const T*,    \
                        int64_t, T*, int64_t, bool, const Epilogue*);                          \
  template void gemm_serial<T>(bool, bool, int64_t, int64_t, int64_t, const T*, int64_t,       \
                               const T*, int64_t, T*, int64_t, bool, const Epilogue*);
LAMINA_GEMM(float)
LAMINA_GEMM(double)
#undef LAMINA_GEMM

}  // namespace lamina
