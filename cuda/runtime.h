// The device side's tools: errors, the current stream, scratch memory, launching, reports.
#pragma once
#include <cuda_runtime.h>

#include "kernels/device.h"

namespace lamina::cuda {

using Operand = DeviceOperand;

// The numbers of ErrorKind (core/error.h).
enum Kind { kRuntime, kShape, kDType, kValue, kIndex, kType, kDevice, kMemory, kNotImplemented };
// Throws the core's error; printf's format.
[[noreturn]] void fail(Kind kind, const char* format, ...) __attribute__((format(printf, 2, 3)));
void check(cudaError_t e, const char* what);

struct OnDevice {  // the current device, until the end of the scope
  int before = 0, now;
  explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
};
cudaStream_t current_stream(int device);
void* allocate(int device, size_t bytes);
void release(int device, void* p, size_t bytes);

// Memory of one launch, in the order of the current stream.
class Scratch {
 public:
  Scratch(int device, size_t bytes)
      : device_(device), bytes_(bytes), p_(bytes ? allocate(device, bytes) : nullptr) {}
  ~Scratch() {
    if (p_) release(device_, p_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(p_);
  }

 private:
  int device_;
  size_t bytes_;
  void* p_;
};

// One kernel on the call's device and current stream; in a graph (graph.cpp) kept or exchanged.
void launch_node(const DeviceCall& c, const cudaKernelNodeParams& node);
// `bytes` of pageable host memory, which may change when this returns, to the device.
void upload(const DeviceCall& c, void* to, const void* from, size_t bytes);

// What a kernel found wrong with the values it read. The first report since the last
// synchronisation is kept, in memory that the host can read, and raised at the next one.
struct Report {
  int taken;  // 0: none
  int kind;
  long long value, bound;
  const char* op;    // host memory
  const char* text;  // "index %lld is out of range for %lld rows"
};
Report* report_of(int device);  // as kernels address it
void raise_reports(int device);
struct Reporter {
  Report* to;
  const char *op, *text;
  int kind;
#if defined(__CUDACC__) || defined(LAMINA_EMULATED)
  __device__ void operator()(long long value, long long bound) const {
    if (atomicCAS(&to->taken, 0, 1) != 0) return;
    to->kind = kind;
    to->value = value;
    to->bound = bound;
    to->op = op;
    to->text = text;
    __threadfence_system();
  }
#endif
};
inline Reporter reporter(const DeviceCall& c, Kind kind, const char* text) {
  return {report_of(c.device), c.name, text, kind};
}

}  // namespace lamina::cuda
