// Which ops have a kernel.
#pragma once
#include <initializer_list>

#include "kernels/device.h"

namespace lamina::cuda {

DeviceLaunch find_launch(const char* op);
int launch_names(const char** names, int capacity);

// Each ops/<op>.cu lists its launches in one static object: const Launches k{{"softmax", softmax}};
struct Launch {
  const char* op;
  DeviceLaunch launch;
};
struct Launches {
  Launches(std::initializer_list<Launch> list);
};

}  // namespace lamina::cuda
