// cuBLAS without its headers: the six functions lamina calls, declared here and found by dlopen.
//
// Looked for in NVIDIA's Python packages beside this one (nvidia/cu13/lib, nvidia/cublas/lib), then
// where the system looks. LAMINA_CUBLAS=own does without, a path names another library. A product
// of one shape has the same bits every time: no atomics (cuBLAS's default), and a workspace of our
// own, of one size, for each stream. float16 and bfloat16 are summed in float32 throughout.
//
// cuBLAS stores matrices by columns. C = A B by rows is C^T = B^T A^T by columns, so B is its first
// operand and A its second.
#include "cublas.h"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace lamina::cuda {
namespace {

using Handle = void*;
enum { kAsStored = 0, kTransposed = 1 };                        // cublasOperation_t
enum { kReal32 = 0, kReal64 = 1, kReal16 = 2, kBrain16 = 14 };  // cudaDataType
enum { kCompute32 = 68, kCompute64 = 70, kComputeTf32 = 77 };   // cublasComputeType_t
enum { kDefaultAlgorithm = -1, kSumsInFull = 16, kNotSupported = 15 };

struct Functions {
  int (*create)(Handle*) = nullptr;
  int (*set_stream)(Handle, cudaStream_t) = nullptr;
  int (*set_workspace)(Handle, void*, size_t) = nullptr;
  int (*set_math_mode)(Handle, int) = nullptr;
  int (*gemm)(Handle, int, int, int, int, int, const void*, const void*, int, int, long long,
              const void*, int, int, long long, const void*, void*, int, int, long long, int, int,
              int) = nullptr;
  const char* (*text)(int) = nullptr;
  bool found = false;

  Functions() {
    void* const library = open();
    if (!library) return;
    const auto get = [&](auto& f, const char* name) {
      f = reinterpret_cast<std::decay_t<decltype(f)>>(dlsym(library, name));
      return f != nullptr;
    };
    found = get(create, "cublasCreate_v2") && get(set_stream, "cublasSetStream_v2") &&
            get(set_workspace, "cublasSetWorkspace_v2") &&
            get(set_math_mode, "cublasSetMathMode") && get(gemm, "cublasGemmStridedBatchedEx");
    get(text, "cublasGetStatusString");
  }
  static void* open() {
    const char* const wish = std::getenv("LAMINA_CUBLAS");
    const std::string given = wish ? wish : "auto";
    if (given == "own") return nullptr;
    if (given != "auto" && !given.empty()) {
      void* const library = dlopen(given.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library) fail(kRuntime, "LAMINA_CUBLAS: cannot open %s: %s", given.c_str(), dlerror());
      return library;
    }
#ifdef LAMINA_EMULATED
    return nullptr;  // a real one would be told of memory that is none
#else
    Dl_info info;
    std::string packages;
    if (dladdr(reinterpret_cast<const void*>(&gemm_by_cublas), &info) && info.dli_fname) {
      packages = info.dli_fname;
      for (int up = 0; up < 2; ++up) {
        const size_t slash = packages.rfind('/');
        packages = slash == std::string::npos ? "." : packages.substr(0, slash);
      }
    }
    for (const char* name : {"libcublas.so.13", "libcublas.so.12"})
      for (const char* place : {"/nvidia/cu13/lib/", "/nvidia/cublas/lib/"})
        if (void* library = dlopen((packages + place + name).c_str(), RTLD_NOW | RTLD_LOCAL))
          return library;
    for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so"})
      if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    return nullptr;
#endif
  }
};
const Functions& functions() {
  static const Functions* f = new Functions;
  return *f;
}

void check_status(int status, const char* what) {
  if (status == 0) return;
  const Functions& f = functions();
  fail(kRuntime, "%s: cuBLAS reports status %d%s%s; LAMINA_CUBLAS=own does without it", what,
       status, f.text ? ", " : "", f.text ? f.text(status) : "");
}

// A handle for each device and stream, with a workspace of its own: products on two streams may run
// side by side.
std::mutex one_call;  // handles are not for two threads at a time
Handle handle_of(int device, cudaStream_t stream) {
  static auto* const handles = new std::map<std::pair<int, cudaStream_t>, Handle>;
  Handle& h = (*handles)[{device, stream}];
  if (h) return h;
  const Functions& f = functions();
  constexpr size_t kWorkspace = size_t(32) << 20;
  void* room = nullptr;
#ifndef LAMINA_EMULATED
  // What follows allocates, also while launches on the stream are being kept for a graph.
  struct Relaxed {
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode); }
    ~Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode); }
  } relaxed;
#endif
  check(cudaMalloc(&room, kWorkspace), "cuBLAS's workspace");
  Handle made = nullptr;
  check_status(f.create(&made), "cublasCreate");
  check_status(f.set_stream(made, stream), "cublasSetStream");
  check_status(f.set_workspace(made, room, kWorkspace), "cublasSetWorkspace");
  check_status(f.set_math_mode(made, kSumsInFull), "cublasSetMathMode");
  return h = made;
}

bool is_int(int64_t v) { return v >= 0 && v <= INT32_MAX; }

// How X is stored, by columns, so that op(X) has `rows` and `columns`; operation < 0: in no such
// way.
struct Stored {
  int operation = -1;
  int64_t lead = 0;
  // Element (i, j) of op(X) lies at i * step_i + j * step_j.
  Stored(int64_t rows, int64_t columns, int64_t step_i, int64_t step_j) {
    const auto take = [&](int op, int64_t dense, int64_t line, int64_t lines, int64_t length) {
      if (operation >= 0 || (dense != 1 && length > 1) || (lines > 1 && line < length)) return;
      operation = op;
      lead = lines > 1 ? line : length;
      if (lead < 1) lead = 1;
    };
    take(kAsStored, step_i, step_j, columns, rows);
    take(kTransposed, step_j, step_i, rows, columns);
  }
};

// The one step that the products of a batch have in an operand, or false.
bool even_steps(const Gemm& g, const int64_t* steps, int64_t* step) {
  *step = 0;
  int64_t next = 0;
  bool first = true;
  for (int d = g.batch_dims - 1; d >= 0; --d) {
    if (g.batch[d] == 1) continue;
    if (first)
      *step = steps[d];
    else if (steps[d] != next)
      return false;
    first = false;
    next = steps[d] * g.batch[d];
  }
  return true;
}

}  // namespace

bool gemm_by_cublas(const DeviceCall& c, DType type, const Gemm& g) {
  if (g.column_bias || g.relu || g.M * g.N * g.K * g.products == 0) return false;
  if (type == DType::int64 || !functions().found) return false;
  const Stored a(g.K, g.M, g.a_k, g.a_row), b(g.N, g.K, g.b_col, g.b_k);
  int64_t step_a, step_b;
  if (a.operation < 0 || b.operation < 0 || !even_steps(g, g.batch_a, &step_a) ||
      !even_steps(g, g.batch_b, &step_b))
    return false;
  for (int64_t v : {g.M, g.N, g.K, g.products, a.lead, b.lead, g.c_row})
    if (!is_int(v)) return false;
  const int data = type == DType::float64    ? kReal64
                   : type == DType::float16  ? kReal16
                   : type == DType::bfloat16 ? kBrain16
                                             : kReal32;
  const int compute = type == DType::float64                      ? kCompute64
                      : type == DType::float32 && c.tf32.products ? kComputeTf32
                                                                  : kCompute32;
  const double one = 1, zero = 0;
  const float one_float = 1, zero_float = 0;
  const bool wide = data == kReal64;
  std::lock_guard<std::mutex> lock(one_call);
  const Handle handle = handle_of(c.device, current_stream(c.device));
#ifdef LAMINA_EMULATED
  emulate::open_memory();
#endif
  const int status = functions().gemm(
      handle, b.operation, a.operation, int(g.N), int(g.M), int(g.K),
      wide ? static_cast<const void*>(&one) : &one_float, g.b, data, int(b.lead), step_b, g.a, data,
      int(a.lead), step_a, wide ? static_cast<const void*>(&zero) : &zero_float, g.c, data,
      int(g.c_row), g.products > 1 ? g.c_product : 0, int(g.products), compute, kDefaultAlgorithm);
#ifdef LAMINA_EMULATED
  emulate::close_memory();
#endif
  if (status == kNotSupported) return false;
  check_status(status, c.name);
  return true;
}

}  // namespace lamina::cuda
