// Tensors from one device to another.
#pragma once
#include "ops/apply.h"

namespace lamina {

// x itself when it is there, else a dense copy; gradients come back to x's device. Without `wait`
// a copy to host memory may still be under way when this returns.
Tensor to_device(const Tensor& x, Device device, bool wait = true);
inline Tensor to_host(const Tensor& x) {
  return x.device().type == DeviceType::cpu ? x : to_device(x, {});
}
// A copy in page-locked host memory, from and to which copies need not wait.
Tensor pin_memory(const Tensor& x);
bool is_pinned(const Tensor& x);

}  // namespace lamina
