// The table of kernels: floor 0's only interface. One Args struct and one function pointer (per
// dtype where it matters) for each op; every instruction set fills its own copy of the table.
//
// A kernel works on a range of rows, blocks or tasks of one call, on the calling thread, over raw
// pointers. It allocates nothing, knows no tensors and no threads; floor 2's `launch` splits the
// range and hands in scratch memory. A null entry means "this device has no such kernel".
#pragma once
#include <cstddef>
#include <cstdint>

namespace lamina {

// Storage types of tensors. Integers compare in this order nowhere: promotion has its own table.
enum class DType : uint8_t {
  float32,
  float64,
  float16,
  bfloat16,
  int64,
  int32,
  int16,
  int8,
  uint8,
  boolean,
  complex64,
  complex128
};
constexpr int kDTypes = 12;

// The types arithmetic is done in: halves compute as float32, all integers and bool as int64.
enum Compute : int { kF32 = 0, kF64 = 1, kI64 = 2 };

// y[0, n) = f(x0, x1, x2; p): contiguous arrays of one compute type; y may be one of the x.
using BlockFn = void (*)(void* y, const void* const* x, int64_t n, const double* p);
// Strided storage <-> contiguous compute type; strides in elements of the storage type.
using LoadFn = void (*)(void* dst, const void* src, int64_t stride, int64_t n);
using StoreFn = void (*)(void* dst, int64_t stride, const void* src, int64_t n);

constexpr int kMaxElementwise = 192;  // length of the function list in formulas.h is below this

// ---- matmul ------------------------------------------------------------------------------------
#include "kernels/args_matmul.h"
// ---- reduce ------------------------------------------------------------------------------------
#include "kernels/args_reduce.h"
// ---- softmax, losses, norms, dropout, random ---------------------------------------------------
#include "kernels/args_gamma.h"
#include "kernels/args_norm.h"
#include "kernels/args_random.h"
#include "kernels/args_softmax.h"
// ---- attention ---------------------------------------------------------------------------------
#include "kernels/args_attention.h"
// ---- convolution and pooling -------------------------------------------------------------------
#include "kernels/args_conv.h"
#include "kernels/args_conv_lanes.h"
#include "kernels/args_peak.h"
#include "kernels/args_pool.h"
#include "kernels/args_winograd.h"
// ---- complex numbers, Fourier transforms -------------------------------------------------------
#include "kernels/args_complex.h"
#include "kernels/args_fft.h"
// ---- recurrent networks ------------------------------------------------------------------------
#include "kernels/args_recurrent.h"
#include "kernels/args_resample.h"
// ---- indexing, sorting, gathering batches ------------------------------------------------------
#include "kernels/args_batch.h"
#include "kernels/args_index.h"
#include "kernels/args_scan.h"
#include "kernels/args_sort.h"
// ---- optimizer steps ---------------------------------------------------------------------------
#include "kernels/args_ctc.h"
#include "kernels/args_update.h"

struct Kernels {
  const char* isa = nullptr;  // "generic", "avx2", "avx512", "neon"
  LoadFn load[kDTypes][3] = {};
  StoreFn store[kDTypes][3] = {};
  BlockFn elementwise_value[kMaxElementwise][3] = {};
  // Over arrays of the storage type [dtype], into it or, comparisons, into bool.
  BlockFn elementwise_native[kMaxElementwise][kDTypes] = {};
  LoadFn gather[4] = {};  // strided to dense, by log2 of the element's size
  BlockFn elementwise_grad[kMaxElementwise][3][2] = {};  // [function][input][f32, f64]
  MatmulKernels matmul;
  ReduceKernels reduce;
  SoftmaxKernels softmax;
  NormKernels norm;
  RandomKernels random;
  GammaKernels gamma;
  ConvKernels conv;
  DepthwiseKernels depthwise;
  PeakKernels peak;
  WinogradKernels winograd;
  ConvLanesKernels conv_lanes;
  PoolKernels pool;
  RecurrentKernels recurrent;
  ResampleKernels resample;
  IndexKernels index;
  ScanKernels scan;
  SortKernels sort;
  UpdateKernels update;
  CtcKernels ctc;
  BatchKernels batch;
  AttentionKernels attention;
  ComplexKernels complex;
  FftKernels fft;
};

// Whether an array of so many bytes is too large to be found in the last cache again.
bool past_caches(int64_t bytes);

// The kernels of the best instruction set this CPU has, or of the one LAMINA_ISA names.
const Kernels& cpu_kernels();
// Every instruction set this build holds and this CPU can run, best first (for tests).
int available_isas(const char** names, int capacity);
// Chooses by name; false when the build or the CPU lacks it (the reason goes to *why).
bool select_isa(const char* name, const char** why);

}  // namespace lamina
