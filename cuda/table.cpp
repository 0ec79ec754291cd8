// The table of launches, filled by the static objects of ops/*.cu as the library is opened.
#include "table.h"

#include <cstring>
#include <map>
#include <string>

namespace lamina::cuda {
namespace {

std::map<std::string, DeviceKernel>& table() {
  static std::map<std::string, DeviceKernel> t;
  return t;
}

}  // namespace

Launches::Launches(std::initializer_list<DeviceKernel> list) {
  for (const DeviceKernel& l : list) table()[l.op] = l;
}
const DeviceKernel* find_launch(const char* op) {
  const auto it = table().find(op);
  return it == table().end() ? nullptr : &it->second;
}
int launch_names(const char** names, int capacity) {
  int n = 0;
  for (const auto& entry : table()) {
    if (n < capacity) names[n] = entry.second.op;
    ++n;
  }
  return n;
}

}  // namespace lamina::cuda
