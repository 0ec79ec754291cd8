// What the core and the library of a device (cuda/, opened at run time) say to each other: plain
// structs and function pointers, so that neither needs the other's headers or symbols.
//
// The library exports one function, `lamina_device(const HostTable*)`, that returns its
// DeviceTable. Functions of the table report errors by calling HostTable::fail, which throws.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

constexpr int kDeviceVersion = 3;  // of these structs: both sides must have been built alike

// A tensor as a launch sees it. `host`: a number in host memory beside tensors of the device.
struct DeviceOperand {
  void* data;  // of the first element; null: an input that is not there
  const int64_t *shape, *strides;
  int nd;
  DType dtype;
  bool host;

  int64_t numel() const {
    int64_t n = 1;
    for (int d = 0; d < nd; ++d) n *= shape[d];
    return n;
  }
};

// Whether the operands of float32 matrix products and convolutions may be rounded to TF32.
struct Tf32Allowed {
  bool products = false, convolutions = true;
};

struct DeviceCall {
  const char* name;
  const void* args;  // the op's own struct
  const DeviceOperand* in;
  const DeviceOperand* out;
  int inputs, outputs;
  int device;
  Tf32Allowed tf32;
};
using DeviceLaunch = void (*)(const DeviceCall&);
struct DeviceKernel {
  const char* op;
  DeviceLaunch launch;
  bool complex = false;  // takes complex tensors
  bool half = false;     // takes float16 and bfloat16, computes in float32 and rounds once
};

struct DeviceProperties {
  char name[256];
  int major, minor, multiprocessors, warp_size, threads_per_block, threads_per_multiprocessor;
  int clock_khz, memory_clock_khz, bus_bits;
  uint64_t memory, shared_per_block, l2_bytes;
  bool emulated;
};

struct DeviceMemory {  // bytes
  uint64_t in_use, peak, reserved, peak_reserved, free, total;
};

struct HostTable {
  int version;
  void (*fail)(int kind, const char* text);  // does not return
};

// A stream or event is a pointer of the library's; null is the default stream.
struct DeviceTable {
  int version;
  int (*count)();
  const char* (*why)();  // when count() is 0: the reason
  void (*properties)(int device, DeviceProperties* out);

  void* (*allocate)(int device, size_t bytes);  // in the order of the current stream
  void (*release)(int device, void* p, size_t bytes);
  void (*memory)(int device, DeviceMemory* out);
  void (*reset_peak)(int device);
  void (*empty_cache)(int device);
  void* (*host_allocate)(size_t bytes);  // page-locked
  void (*host_release)(void* p);
  // Bytes between host (device -1) and devices in the order of the current stream. A copy to the
  // host returns when it is done, unless `wait` is false, and raises what kernels reported; one
  // from page-locked memory when it has been read, so that it may change.
  void (*copy)(void* to, int to_device, const void* from, int from_device, size_t bytes, bool wait);

  void (*synchronize)(int device);  // raises what kernels reported
  void* (*stream_create)(int device, int priority);
  void (*stream_destroy)(int device, void* stream);
  void (*stream_synchronize)(int device, void* stream);
  bool (*stream_idle)(int device, void* stream);
  void* (*stream_current)(int device);
  void (*stream_use)(int device, void* stream);
  void (*stream_wait)(int device, void* stream, void* event);
  void* (*event_create)(int device, bool timing);
  void (*event_destroy)(int device, void* event);
  void (*event_record)(int device, void* event, void* stream);
  void (*event_synchronize)(int device, void* event);
  bool (*event_done)(int device, void* event);
  float (*event_elapsed)(int device, void* from, void* to);  // milliseconds

  // Graphs of launches. Between graph_begin and graph_end the launches of this thread on one device
  // are kept instead of run, on memory that then belongs to the graph (its scratch included);
  // graph_launch runs them all. graph_call begins the launches of one call; what a changing call
  // hands to its kernels by value, and copies from host memory, can be exchanged: between
  // graph_refresh and graph_launch the same changing calls are made again, in the same order, and
  // nothing runs. graph_end: false when no
  // graph could be made, for the reason `why`.
  void* (*graph_begin)(int device);
  void (*graph_call)(void* graph, bool changing);
  bool (*graph_end)(void* graph, const char** why);
  void (*graph_refresh)(void* graph);
  void (*graph_launch)(void* graph);
  void (*graph_destroy)(void* graph);

  const DeviceKernel* (*find)(const char* op);  // null: there is none
  void (*launch)(const DeviceKernel& kernel, const DeviceCall& call);
  int (*ops)(const char** names, int capacity);  // those with a kernel; returns how many
};
using DeviceEntry = const DeviceTable* (*)(const HostTable*);

}  // namespace lamina
