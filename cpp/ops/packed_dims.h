// Dims inside an op's arguments, which must be plain data.
#pragma once
#include "core/dims.h"

namespace lamina {

struct PackedDims {  // Dims as a POD
  int64_t n;
  int64_t v[kMaxDims];
};
inline PackedDims pack(const Dims& d) {
  PackedDims p{};
  p.n = d.n;
  for (int i = 0; i < d.n; ++i) p.v[i] = d.v[i];
  return p;
}
inline Dims unpack(const PackedDims& p) {
  Dims d;
  for (int i = 0; i < int(p.n); ++i) d.push(p.v[i]);
  return d;
}

}  // namespace lamina
