// OpenBLAS at run time: the library of the scipy-openblas32 package, opened when LAMINA_BLAS asks
// for its products, or linear algebra for its LAPACK. LAMINA_BLAS may also be the path of another
// library with CBLAS functions (MKL's libmkl_rt.so), for its products alone. Calls are
// single-threaded and come from our pool's threads, a rectangle of C each.
//
// "own" is the default for every shape: on the machine it was measured on (2 cores, AVX-512) it is
// as fast or faster from 32^3 to 2048^3 and on the layers of small networks, and only it keeps a
// row's bits whatever the other rows are. bench/cpp/bench_matmul.cpp measures both.
#include <dlfcn.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <type_traits>

#include "core/error.h"
#include "ops/gemm.h"

namespace lamina {
namespace {

using SgemmFn = void (*)(int order, int ta, int tb, int m, int n, int k, float alpha,
                         const float* a, int lda, const float* b, int ldb, float beta, float* c,
                         int ldc);
using DgemmFn = void (*)(int order, int ta, int tb, int m, int n, int k, double alpha,
                         const double* a, int lda, const double* b, int ldb, double beta, double* c,
                         int ldc);
constexpr int kRowMajor = 101, kNoTrans = 111, kTrans = 112;

struct Blas {
  SgemmFn sgemm = nullptr;
  DgemmFn dgemm = nullptr;
};

std::string& library_path() {
  static std::string path;
  return path;
}

bool asked_for() {
  const char* want = std::getenv("LAMINA_BLAS");
  if (!want || !*want || !std::strcmp(want, "own")) return false;
  check(!std::strcmp(want, "openblas") || want[0] == '/', ErrorKind::value,
        "matmul: LAMINA_BLAS=", want, " is unknown; use own, openblas or the path of a library");
  return true;
}

// The library, opened once and set to one thread.
void* open_library(const char* who) {
  static void* opened = nullptr;
  if (opened) return opened;
  const std::string& path = library_path();
  check(!path.empty(), ErrorKind::runtime, who,
        ": the package scipy-openblas32, whose OpenBLAS this needs, is not installed; install it");
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  check(library != nullptr, ErrorKind::runtime, who,
        ": cannot open OpenBLAS: ", library ? "" : dlerror(), "; reinstall scipy-openblas32");
  void* set_threads = dlsym(library, "scipy_openblas_set_num_threads");
  if (!set_threads) set_threads = dlsym(library, "openblas_set_num_threads");
  check(set_threads != nullptr, ErrorKind::runtime, who, ": ", path,
        " is not OpenBLAS; reinstall scipy-openblas32");
  reinterpret_cast<void (*)(int)>(set_threads)(1);
  return opened = library;
}

// A function of the library at `path`, null when it has none.
void* symbol_at(const char* path, const char* name) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  check(library != nullptr, ErrorKind::runtime, "matmul: cannot open LAMINA_BLAS=", path, ": ",
        library ? "" : dlerror(), "; use own, openblas or the path of a library");
  return dlsym(library, name);
}

Blas open_blas() {
  Blas blas;
  if (const char* path = std::getenv("LAMINA_BLAS"); path[0] == '/') {
    blas.sgemm = reinterpret_cast<SgemmFn>(symbol_at(path, "cblas_sgemm"));
    blas.dgemm = reinterpret_cast<DgemmFn>(symbol_at(path, "cblas_dgemm"));
    check(blas.sgemm && blas.dgemm, ErrorKind::runtime, "matmul: LAMINA_BLAS=", path,
          " has no cblas_sgemm and cblas_dgemm; use own, openblas or another library");
    for (const char* name :
         {"MKL_Set_Num_Threads", "openblas_set_num_threads", "bli_thread_set_num_threads"})
      if (void* set = symbol_at(path, name)) reinterpret_cast<void (*)(int)>(set)(1);
    return blas;
  }
  blas.sgemm = reinterpret_cast<SgemmFn>(openblas_symbol("matmul", "cblas_sgemm"));
  blas.dgemm = reinterpret_cast<DgemmFn>(openblas_symbol("matmul", "cblas_dgemm"));
  return blas;
}

const Blas* blas() {
  static const bool wanted = asked_for();
  if (!wanted) return nullptr;
  static const Blas opened = open_blas();  // throws again at the next call when it failed
  return &opened;
}

void finish(int64_t M, int64_t N, int64_t c_row, const Epilogue& e, auto* c) {
  using T = std::remove_pointer_t<decltype(c)>;
  const T *columns = static_cast<const T*>(e.column_bias),
          *rows = static_cast<const T*>(e.row_bias);
  if (!columns && !rows && !e.relu) return;
  for (int64_t i = 0; i < M; ++i)
    for (int64_t j = 0; j < N; ++j) {
      T& v = c[i * c_row + j];
      if (columns) v += columns[j];
      if (rows) v += rows[i];
      if (e.relu) v = v < 0 ? 0 : v;
    }
}

template <class T, class Fn>
bool call(Fn fn, const GemmArgs& g) {
  const bool ta = g.a_k != 1, tb = g.b_col != 1;
  if ((ta && g.a_row != 1) || (tb && g.b_k != 1) || g.K == 0) return false;
  // A leading dimension of a single row or column is anything; BLAS wants it large enough.
  const auto lead = [](int64_t stride, int64_t least) { return stride > least ? stride : least; };
  const int64_t lda = ta ? lead(g.a_k, g.M) : lead(g.a_row, g.K);
  const int64_t ldb = tb ? lead(g.b_col, g.K) : lead(g.b_k, g.N);
  const int64_t ldc = lead(g.c_row, g.N);
  if ((ta ? g.K : g.M) > 1 && lda != (ta ? g.a_k : g.a_row)) return false;
  if ((tb ? g.N : g.K) > 1 && ldb != (tb ? g.b_col : g.b_k)) return false;
  if (g.M > 1 && ldc != g.c_row) return false;
  for (const int64_t v : {g.M, g.N, g.K, lda, ldb, ldc})
    if (v > INT_MAX) return false;
  T* c = static_cast<T*>(g.c);
  fn(kRowMajor, ta ? kTrans : kNoTrans, tb ? kTrans : kNoTrans, int(g.M), int(g.N), int(g.K), 1,
     static_cast<const T*>(g.a), int(lda), static_cast<const T*>(g.b), int(ldb),
     g.accumulate ? 1 : 0, c, int(ldc));
  finish(g.M, g.N, g.c_row, g.epilogue, c);
  return true;
}

}  // namespace

void* openblas_symbol(const char* who, const char* name) {
  void* library = open_library(who);
  const std::string prefixed = std::string("scipy_") + name;
  void* s = dlsym(library, prefixed.c_str());
  if (!s) s = dlsym(library, name);
  check(s != nullptr, ErrorKind::runtime, who, ": OpenBLAS lacks ", name,
        "; reinstall scipy-openblas32");
  return s;
}

void set_blas_library(const char* path) { library_path() = path; }
const char* blas_in_use() { return blas() ? "openblas" : "own"; }

bool blas_gemm(int compute, const GemmArgs& g) {
  const Blas* b = blas();
  if (!b) return false;
  return compute == kF64 ? call<double>(b->dgemm, g) : call<float>(b->sgemm, g);
}

}  // namespace lamina
