// The vector functions of this build's widest plain instruction set against scalar arithmetic:
// the same file is compiled once per instruction set the compiler targets here (generic).
#define LAMINA_ISA vec_test
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/vec.h"

namespace v = lamina::vec_test;
using v::F32;
using v::F64;
using v::I32;

constexpr int kF = v::kLanes<F32>;

TEST(Vec, MaskedLoadReadsNoFurther) {
  for (int n = 0; n <= kF; ++n) {
    std::vector<float> exact(n);  // the address sanitizer catches a read past the end
    for (int i = 0; i < n; ++i) exact[i] = float(i + 1);
    const F32 x = v::load<F32>(exact.data(), n, -7.0f);
    for (int i = 0; i < kF; ++i) EXPECT_EQ(x[i], i < n ? float(i + 1) : -7.0f);
  }
}

TEST(Vec, MaskedStoreWritesNoFurther) {
  for (int n = 0; n <= kF; ++n) {
    std::vector<float> room(kF + 2, -1.0f);
    v::store(room.data() + 1, v::set1<F32>(5.0f), n);
    for (int i = 0; i < kF + 2; ++i) EXPECT_EQ(room[i], i >= 1 && i <= n ? 5.0f : -1.0f);
  }
}

TEST(Vec, FmaRoundsOnce) {
  const float a = 1.0f + std::numeric_limits<float>::epsilon(), c = -1.0f;
  const F32 y = v::fma(v::set1<F32>(a), v::set1<F32>(a), v::set1<F32>(c));
  EXPECT_EQ(y[0], std::fma(a, a, c));
}

TEST(Vec, SumsHaveOneOrder) {
  F32 x;
  double want = 0;
  for (int i = 0; i < kF; ++i) {
    x[i] = 0.1f * float(i + 1);
    want += double(x[i]);
  }
  EXPECT_NEAR(v::hsum(x), want, 1e-5);
  EXPECT_EQ(v::hsum(x), v::hsum(x));
  EXPECT_EQ(v::hmax(x), x[kF - 1]);
  EXPECT_EQ(v::hmin(x), x[0]);
}

TEST(Vec, SelectAndBits) {
  F32 x;
  for (int i = 0; i < kF; ++i) x[i] = i % 2 ? -float(i) : float(i);
  const F32 y = v::select(x < v::set1<F32>(0), -x, x);
  const F32 z = v::abs(x);
  for (int i = 0; i < kF; ++i) {
    EXPECT_EQ(y[i], float(i));
    EXPECT_EQ(z[i], float(i));
    EXPECT_EQ(v::from_bits(v::bits(x))[i], x[i]);
  }
}

TEST(Vec, RoundsHalvesToEven) {
  const float in[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 8388609.0f};
  const float want[] = {0.0f, 2.0f, 2.0f, -0.0f, -2.0f, 8388609.0f};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(v::round(v::set1<F32>(in[i]))[0], want[i]);
}
