// Devices beside the CPU: their library, opened when first asked for; where a call runs; copies.
#pragma once
#include "core/call.h"
#include "kernels/device.h"

namespace lamina {

// The device of new tensors made without a tensor to go by (zeros in a gradient's formula): the
// one whose operation is running on this thread.
extern constinit thread_local Device working_device;
struct WorkingDevice {  // scope guard
  explicit WorkingDevice(Device d) : before(working_device) { working_device = d; }
  ~WorkingDevice() { working_device = before; }
  Device before;
};

struct MaybeWorkingDevice {  // the same for a device that is not the CPU; else nothing
  explicit MaybeWorkingDevice(Device d) : on(d.type != DeviceType::cpu) {
    if (__builtin_expect(on, 0)) {
      before = working_device;
      working_device = d;
    }
  }
  ~MaybeWorkingDevice() {
    if (__builtin_expect(on, 0)) working_device = before;
  }
  bool on;
  Device before;
};

// How many devices there are; 0 leaves the reason in device_trouble().
int device_count();
const std::string& device_trouble();
// The library's table; throws ErrorKind::device with the reason when there is no device.
const DeviceTable& device_table();
// The same, checking the index: "name: there is no device cuda:3 (1 device)".
const DeviceTable& device_table(const char* name, Device d);
int current_device();
void set_current_device(int index);
std::string device_name(Device d);  // "cpu", "cuda:0"

// Sets c.device from the inputs; throws when they are on different devices. The caller has found
// one that is not in host memory.
void place_on_device(Call& c);
inline void place(Call& c) {
  for (const Tensor& t : c.in)
    if (t.defined() && __builtin_expect(t->device.type != DeviceType::cpu, 0))
      return place_on_device(c);
  if (c.in.empty()) c.device = working_device;
}
// The entry of the device's table for the op; throws when there is none.
const DeviceKernel& device_kernel(const Op& op);
// Whether the op's kernel on this device reads and writes float16 and bfloat16 itself. The CPU's do
// not: there they are converted before and after.
bool takes_half(const Op& op, Device d);
// The dtype a floating x is given to the op in: its own where the kernel takes it, else float32.
inline DType computed_in(const Op& op, const Tensor& x) {
  if (x.dtype() == DType::float64 || x.dtype() == DType::float32) return x.dtype();
  return takes_half(op, x.device()) ? x.dtype() : DType::float32;
}
// What the next launches are told.
extern Tf32Allowed tf32_allowed;
// Whether the call is one for it, and not for the op's own launch.
inline bool on_device(const Call& c) {
  return __builtin_expect(c.device.type != DeviceType::cpu && !c.op->on_host, 0);
}
// Runs it, or for ops that say so the CPU's launch on copies in host memory.
void launch_on_device(Call& c);

// All of a dense tensor's bytes to a dense tensor elsewhere.
void copy_bytes(const Tensor& to, const Tensor& from, bool wait);
// The first element's bytes in host memory, wherever it is; `room` holds 16 bytes.
const void* host_bytes(const Tensor& t, void* room);

}  // namespace lamina
