// Asking for a cache line before it is needed.
#pragma once

namespace lamina::LAMINA_ISA {
namespace {

inline void prefetch(const void* p) { __builtin_prefetch(p); }
// To be written: the line is taken from other cores at once.
inline void prefetch_to_write(const void* p) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));  // GCC's needs -mprfchw
#else
  __builtin_prefetch(p, 1);
#endif
}

}  // namespace
}  // namespace lamina::LAMINA_ISA
