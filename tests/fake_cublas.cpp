// A stand-in for cuBLAS that tests/test_cuda.py compiles: the functions lamina calls, with loops,
// and a line on the file FAKE_CUBLAS_LOG for every product.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {
double as_double(const void* p, int64_t i, int type) {
  if (type == 1) return static_cast<const double*>(p)[i];
  if (type == 0) return static_cast<const float*>(p)[i];
  uint32_t bits = uint32_t(static_cast<const uint16_t*>(p)[i]) << 16;  // bfloat16
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
void put(void* p, int64_t i, int type, double v) {
  if (type == 1) {
    static_cast<double*>(p)[i] = v;
  } else if (type == 0) {
    static_cast<float*>(p)[i] = float(v);
  } else {
    const float f = float(v);
    uint32_t bits;
    std::memcpy(&bits, &f, 4);
    static_cast<uint16_t*>(p)[i] = uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }
}
size_t room = 0;
int mode = -1, made = 0;
}  // namespace

extern "C" {
int cublasCreate_v2(void** handle) {
  ++made;
  *handle = &made;
  return 0;
}
int cublasSetStream_v2(void*, void*) { return 0; }
int cublasSetWorkspace_v2(void*, void* p, size_t bytes) {
  room = p ? bytes : 0;
  return 0;
}
int cublasSetMathMode(void*, int m) {
  mode = m;
  return 0;
}
int cublasGemmStridedBatchedEx(void*, int ta, int tb, int m, int n, int k, const void* alpha,
                               const void* a, int a_type, int lda, long long step_a, const void* b,
                               int b_type, int ldb, long long step_b, const void* beta, void* c,
                               int c_type, int ldc, long long step_c, int count, int compute,
                               int algorithm) {
  if (FILE* log = std::fopen(std::getenv("FAKE_CUBLAS_LOG"), "a")) {
    std::fprintf(log,
                 "%d%d m=%d n=%d k=%d lda=%d ldb=%d ldc=%d steps=%lld,%lld,%lld count=%d "
                 "type=%d compute=%d algorithm=%d workspace=%zu mode=%d handles=%d\n",
                 ta, tb, m, n, k, lda, ldb, ldc, step_a, step_b, step_c, count, a_type, compute,
                 algorithm, room, mode, made);
    std::fclose(log);
  }
  const int scalars = compute == 70 ? 1 : 0;
  const double by = as_double(alpha, 0, scalars), old = as_double(beta, 0, scalars);
  if (a_type != b_type || a_type != c_type || old != 0) return 7;
  if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return 7;
  for (int p = 0; p < count; ++p)
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < m; ++i) {
        double sum = 0;
        for (int l = 0; l < k; ++l)
          sum +=
              as_double(a, p * step_a + (ta ? l + int64_t(i) * lda : i + int64_t(l) * lda),
                        a_type) *
              as_double(b, p * step_b + (tb ? j + int64_t(l) * ldb : l + int64_t(j) * ldb), b_type);
        put(c, p * step_c + i + int64_t(j) * ldc, c_type, by * sum);
      }
  return 0;
}
}
