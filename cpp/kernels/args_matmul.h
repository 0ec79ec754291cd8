// Arguments and table entries of the matmul kernels (included by kernels.h inside namespace
// lamina).
#pragma once

// What is done to an element of C as it is stored for the last time. The biases have C's type.
struct Epilogue {
  const void* column_bias = nullptr;  // (N): added to every row
  const void* row_bias = nullptr;     // (M): added to every column
  bool relu = false;                  // max(0, .) after that
};

// C[i, j] (+)= sum_k A[i, k] B[k, j]. All strides count elements; C's columns are adjacent.
struct GemmArgs {
  int64_t M, N, K;
  const void* a;  // A[i, k] at a[i * a_row + k * a_k]
  int64_t a_row, a_k;
  const void* b;  // B[k, j] at b[k * b_k + j * b_col]
  int64_t b_k, b_col;
  void* c;
  int64_t c_row;
  bool accumulate;  // add to what C holds
  Epilogue epilogue;
  void* scratch;  // gemm_scratch_elements of C's type, 64-byte aligned
};

// Every element is one chain of multiply-adds over k within each block of kGemmDepth, the blocks'
// sums added in order: its bits depend on neither M nor N nor how C is cut into pieces.
constexpr int64_t kGemmDepth = 384;
constexpr int64_t kGemmRows = 192;      // rows of A packed at a time (about L2 / 4)
constexpr int64_t kGemmColumns = 2048;  // columns of B packed at a time (about 3 MB)

inline int64_t gemm_scratch_elements(int64_t m, int64_t n, int64_t k) {
  const int64_t rows = (m < kGemmRows ? m : kGemmRows) + 64;
  // Few rows: B is packed one panel at a time.
  const int64_t columns = (m <= kGemmRows ? 0 : n < kGemmColumns ? n : kGemmColumns) + 64;
  return (rows + columns) * (k < kGemmDepth ? k : kGemmDepth) + 128;
}

// What a product is of: a Compute, or bfloat16 (A, B, C and the biases) with sums of float32.
constexpr int kProductBF16 = 3, kProducts = 4;
constexpr int64_t kBrainDepth = 768;  // its kGemmDepth: as many bytes

// Bytes of GemmArgs::scratch for a product of bfloat16: panels, and C in float32 between blocks.
inline int64_t brain_scratch_bytes(int64_t m, int64_t n, int64_t k) {
  return gemm_scratch_elements(m, n, k) * 4 + (k > kBrainDepth / 2 ? m * n * 4 : 0) + 64;
}

struct MatmulKernels {
  // The whole product on the calling thread (int64 wraps around).
  void (*gemm[kProducts])(const GemmArgs&) = {};
  int tile_rows[kProducts] = {}, tile_columns[kProducts] = {};  // made by a pass of the inner loop
  int panel_columns[kProducts] = {};  // of B that few rows read side by side; 0: no such loop
};
