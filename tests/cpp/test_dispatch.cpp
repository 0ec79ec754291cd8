// The table of kernels: each instruction set fills every entry the plain one fills.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "kernels/kernels.h"

using namespace lamina;

namespace {
struct Isa : testing::Test {
  std::string before = cpu_kernels().isa;
  ~Isa() override {
    const char* why = nullptr;
    select_isa(before.c_str(), &why);
  }
};
}  // namespace

TEST_F(Isa, EveryTableIsAsFullAsTheGenericOne) {
  const char* why = nullptr;
  ASSERT_TRUE(select_isa("generic", &why));
  Kernels generic;
  std::memcpy(static_cast<void*>(&generic), &cpu_kernels(), sizeof(Kernels));
  const char* names[8];
  const int n = available_isas(names, 8);
  ASSERT_GE(n, 1);
  for (int k = 0; k < n; ++k) {
    ASSERT_TRUE(select_isa(names[k], &why));
    EXPECT_STREQ(cpu_kernels().isa, names[k]);
    const auto* a = reinterpret_cast<void* const*>(&generic);
    const auto* b = reinterpret_cast<void* const*>(&cpu_kernels());
    for (size_t i = 1; i < sizeof(Kernels) / sizeof(void*); ++i)  // 0 is the name
      EXPECT_TRUE(!a[i] || b[i]) << names[k] << " entry " << i;
  }
}

TEST_F(Isa, UnknownNameSaysWhy) {
  const char* why = nullptr;
  EXPECT_FALSE(select_isa("mmx", &why));
  EXPECT_NE(why, nullptr);
}

TEST_F(Isa, ConversionsRoundTripEveryHalf) {
  const char* names[8];
  const int n = available_isas(names, 8);
  for (int k = 0; k < n; ++k) {
    const char* why = nullptr;
    ASSERT_TRUE(select_isa(names[k], &why));
    for (DType half : {DType::float16, DType::bfloat16}) {
      std::vector<uint16_t> in(65536), out(65536);
      std::vector<float> wide(65536);
      for (int i = 0; i < 65536; ++i) in[i] = uint16_t(i);
      cpu_kernels().load[int(half)][kF32](wide.data(), in.data(), 1, 65536);
      cpu_kernels().store[int(half)][kF32](out.data(), 1, wide.data(), 65536);
      for (int i = 0; i < 65536; ++i) {
        if (wide[i] != wide[i]) continue;  // NaN payloads may change
        ASSERT_EQ(in[i], out[i]) << names[k];
      }
    }
  }
}
