// The LAPACK routines linear algebra needs, through OpenBLAS's LAPACKE interface (blas.cpp), each
// for float and double. Matrices are dense and row-major; a call works on one matrix.
#pragma once
#include <string>
#include <type_traits>

#include "ops/gemm.h"

namespace lamina {

constexpr int kRowMajor = 101;

template <class T>
struct Lapack {
  int (*potrf)(int order, char uplo, int n, T* a, int lda);
  int (*getrf)(int order, int m, int n, T* a, int lda, int* pivots);
  int (*getrs)(int order, char trans, int n, int columns, const T* a, int lda, const int* pivots,
               T* b, int ldb);
  int (*getri)(int order, int n, T* a, int lda, const int* pivots);
  int (*geqrf)(int order, int m, int n, T* a, int lda, T* tau);
  int (*orgqr)(int order, int m, int n, int k, T* a, int lda, const T* tau);
  int (*gesdd)(int order, char job, int m, int n, T* a, int lda, T* s, T* u, int ldu, T* vt,
               int ldvt);
  int (*syevd)(int order, char job, char uplo, int n, T* a, int lda, T* w);
  int (*geev)(int order, char left, char right, int n, T* a, int lda, T* wr, T* wi, T* vl, int ldvl,
              T* vr, int ldvr);
  int (*gelsd)(int order, int m, int n, int columns, T* a, int lda, T* b, int ldb, T* s, T rcond,
               int* rank);
  int (*gelsy)(int order, int m, int n, int columns, T* a, int lda, T* b, int ldb, int* pivots,
               T rcond, int* rank);
  // B <- op(A)^-1 B for a triangular A (a cblas routine: its flags are CBLAS's numbers).
  void (*trsm)(int order, int side, int uplo, int trans, int diag, int m, int n, T alpha,
               const T* a, int lda, T* b, int ldb);
};

// Opens the library at the first call; throws when it is not there.
template <class T>
const Lapack<T>& lapack(const char* who) {
  static const Lapack<T> table = [who] {
    Lapack<T> l;
    const auto find = [&](auto& f, const char* stem, const char* prefix = "LAPACKE_") {
      const std::string name = std::string(prefix) + (sizeof(T) == 8 ? "d" : "s") + stem;
      f = reinterpret_cast<std::remove_reference_t<decltype(f)>>(
          openblas_symbol(who, name.c_str()));
    };
    find(l.potrf, "potrf");
    find(l.getrf, "getrf");
    find(l.getrs, "getrs");
    find(l.getri, "getri");
    find(l.geqrf, "geqrf");
    find(l.orgqr, "orgqr");
    find(l.gesdd, "gesdd");
    find(l.syevd, "syevd");
    find(l.geev, "geev");
    find(l.gelsd, "gelsd");
    find(l.gelsy, "gelsy");
    find(l.trsm, "trsm", "cblas_");
    return l;
  }();
  return table;
}

}  // namespace lamina
