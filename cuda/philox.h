// Philox 4x32-10 (core/random.h).
#pragma once
#include "number.h"

namespace lamina::cuda {

struct Words {
  uint32_t w[4];
};
// Philox 4x32-10 of counter (block mod 2^32, block / 2^32, c2, 0).
__device__ inline Words philox(uint64_t seed, uint64_t block, uint32_t c2) {
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  uint32_t c0 = uint32_t(block), c1 = uint32_t(block >> 32), c3 = 0;
  for (int i = 0; i < 10; ++i, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint32_t h0 = __umulhi(c0, 0xD2511F53u), l0 = c0 * 0xD2511F53u;
    const uint32_t h1 = __umulhi(c2, 0xCD9E8D57u), l1 = c2 * 0xCD9E8D57u;
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace lamina::cuda
