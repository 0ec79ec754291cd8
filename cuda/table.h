// Which ops have a kernel.
#pragma once
#include <initializer_list>

#include "kernels/device.h"

namespace lamina::cuda {

const DeviceKernel* find_launch(const char* op);
int launch_names(const char** names, int capacity);

// Each ops/<op>.cu lists its launches in one static object: const Launches k{{"softmax", softmax}};
struct Launches {
  Launches(std::initializer_list<DeviceKernel> list);
};

}  // namespace lamina::cuda
