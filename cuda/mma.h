// Tensor cores, by a warp: small matrix products, loads of their operands from shared memory, and
// copies into shared memory that nobody waits for. On the device each function is one instruction
// (PTX ISA, "Matrix multiply-accumulate operation using mma", "ldmatrix", "cp.async"); the emulated
// device does the same with what the 32 lanes give it.
//
// Lane l has g = l / 4, t = l % 4. Fragments, as registers of 32 bits (two 16-bit elements side by
// side along k, or one of 32 bits); h = 8 for 16-bit elements, 4 for TF32; e = elements a register:
//   A (16 x 2h)  r0 (g, t e)  r1 (g + 8, t e)  r2 (g, t e + h)  r3 (g + 8, t e + h)
//   B (2h x 8)   r0 (t e, g)  r1 (t e + h, g)
//   C (16 x 8)   c0 (g, 2t)  c1 (g, 2t + 1)  c2 (g + 8, 2t)  c3 (g + 8, 2t + 1), float32
#pragma once
#include "number.h"

namespace lamina::cuda {

struct Tf32 {  // a float32 of which a product sees 10 bits behind the point
  float v;
};

#ifndef LAMINA_EMULATED

__device__ inline unsigned shared_address(const void* p) {
  return unsigned(__cvta_generic_to_shared(p));
}
// 16 bytes to shared memory, those from `valid` on zeros.
__device__ inline void copy_async(void* shared, const void* global, int valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
               "l"(global), "r"(valid)
               : "memory");
}
__device__ inline void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most the newest `pending` groups are under way.
template <int pending>
__device__ inline void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// Four 8 x 8 matrices of 16-bit elements; lane l says where row l % 8 of matrix l / 8 lies. It gets
// word t of row g of each, or with `transposed` elements 2t and 2t + 1 of column g.
template <bool transposed>
__device__ inline void load_matrices(uint32_t (&r)[4], const void* row) {
  if constexpr (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// C += A B.
#define LAMINA_MMA(T, shape_and_types)                                                     \
  __device__ inline void multiply_add(T, float(&c)[4], const uint32_t(&a)[4], uint32_t b0, \
                                      uint32_t b1) {                                       \
    asm("mma.sync.aligned." shape_and_types                                                \
        " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                 \
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                   \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));                   \
  }
LAMINA_MMA(Half, "m16n8k16.row.col.f32.f16.f16.f32")
LAMINA_MMA(Brain, "m16n8k16.row.col.f32.bf16.bf16.f32")
LAMINA_MMA(Tf32, "m16n8k8.row.col.f32.tf32.tf32.f32")
#undef LAMINA_MMA

// The nearest TF32 number; half-way cases away from zero.
__device__ inline uint32_t rounded_to_tf32(uint32_t bits) {
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(__uint_as_float(bits)));
  return r;
}

#else  // the emulated device

inline void copy_async(void* shared, const void* global, int valid) {
  emulate::copy_later(shared, global, valid);
}
inline void copies_commit() { emulate::copies_close(); }
template <int pending>
inline void copies_wait() {
  emulate::copies_wait(pending);
}

template <bool transposed>
inline void load_matrices(uint32_t (&r)[4], const void* row) {
  uint64_t words[2];
  std::memcpy(words, row, 16);
  emulate::exchange_all(words, 2);
  const int g = emulate::lane() / 4, t = emulate::lane() % 4;
  for (int m = 0; m < 4; ++m) {
    uint16_t pair[2];
    for (int e = 0; e < 2; ++e) {
      const int at_row = transposed ? 2 * t + e : g, at_column = transposed ? g : 2 * t + e;
      const uint64_t* const given = emulate::given_by(8 * m + at_row);
      pair[e] = uint16_t(given[at_column / 4] >> (16 * (at_column % 4)));
    }
    r[m] = pair[0] | uint32_t(pair[1]) << 16;
  }
}

inline float element(Half, uint32_t r, int e) { return widen(Half{uint16_t(r >> (16 * e))}); }
inline float element(Brain, uint32_t r, int e) { return widen(Brain{uint16_t(r >> (16 * e))}); }
inline float element(Tf32, uint32_t r, int) { return float_of_bits(r & ~0x1fffu); }

template <class T>
void multiply_add(T type, float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const uint64_t words[3] = {a[0] | uint64_t(a[1]) << 32, a[2] | uint64_t(a[3]) << 32,
                             b0 | uint64_t(b1) << 32};
  emulate::exchange_all(words, 3);
  constexpr int each = sizeof(T) == 2 ? 2 : 1;
  const int g = emulate::lane() / 4, t = emulate::lane() % 4;
  for (int e = 0; e < 4; ++e) {
    const int half = e / 2, column = 2 * t + e % 2;
    double sum = 0;
    for (int k = 0; k < 8; ++k) {  // registers along k, in both matrices
      const uint64_t of_a = emulate::given_by(4 * g + k % 4)[k / 4];
      const uint64_t of_b = emulate::given_by(4 * column + k % 4)[2];
      const uint32_t ra = uint32_t(of_a >> (32 * half)), rb = uint32_t(of_b >> (32 * (k / 4)));
      for (int i = 0; i < each; ++i) sum += double(element(type, ra, i)) * element(type, rb, i);
    }
    c[e] += float(sum);
  }
}

inline uint32_t rounded_to_tf32(uint32_t bits) {
  return (bits & 0x7f800000) == 0x7f800000 ? bits : (bits + 0x1000) & ~0x1fffu;
}

#endif

}  // namespace lamina::cuda
