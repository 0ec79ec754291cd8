// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). A draw is a pure function of (seed, offset), so results depend neither on
// threads nor on vector width, and the same seed gives the same stream on every device.
#pragma once
#include <cstdint>

#include "core/refcount.h"

namespace lamina {

struct PhiloxKey {
  uint64_t seed = 0, offset = 0;  // offset counts 128-bit blocks already used
};

class Generator : public RefCounted {
 public:
  explicit Generator(uint64_t seed = 0) : seed_(seed) {}
  uint64_t seed() const { return seed_; }
  uint64_t offset() const { return offset_; }
  void set_state(uint64_t seed, uint64_t offset) {
    seed_ = seed;
    offset_ = offset;
  }
  // Reserves `blocks` 128-bit blocks and returns where they start.
  PhiloxKey take(uint64_t blocks) {
    PhiloxKey key{seed_, offset_};
    offset_ += blocks;
    return key;
  }

 private:
  uint64_t seed_, offset_ = 0;
};
using GeneratorRef = Ref<Generator>;
void destroy(Generator* g);

// The generator used when none is given; seeded from the system at start.
Generator& default_generator();

}  // namespace lamina
