// The default generator.
#include "core/random.h"

#include <random>

namespace lamina {

void destroy(Generator* g) { delete g; }

Generator& default_generator() {
  static Generator* g = [] {
    std::random_device device;
    auto* made = new Generator((uint64_t(device()) << 32) ^ device());
    made->retain();
    return made;
  }();
  return *g;
}

}  // namespace lamina
