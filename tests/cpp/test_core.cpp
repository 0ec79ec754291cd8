// Floor 1: dims, memory, dtypes, errors.
#include <gtest/gtest.h>

#include "core/call.h"
#include "core/dtype.h"
#include "core/storage.h"

using namespace lamina;

TEST(Dims, ProductAndStrides) {
  EXPECT_EQ(Dims({2, 3, 5}).product(), 30);
  EXPECT_EQ(Dims().product(), 1);
  EXPECT_EQ(contiguous_strides({2, 3, 5}), Dims({15, 5, 1}));
  EXPECT_EQ(contiguous_strides({2, 0, 5}), Dims({5, 5, 1}));
  EXPECT_THROW(Dims::filled(kMaxDims + 1, 1), Error);
}

TEST(SmallVec, GrowsCopiesAndMoves) {
  SmallVec<std::string, 2> a;
  for (int i = 0; i < 5; ++i) a.push_back(std::string(40, char('a' + i)));
  SmallVec<std::string, 2> b = a, c = std::move(a);
  ASSERT_EQ(b.size(), 5);
  EXPECT_EQ(c[4], std::string(40, 'e'));
  EXPECT_EQ(b[0], c[0]);
  EXPECT_EQ(a.size(), 0);
  c = b;
  EXPECT_EQ(c[3], std::string(40, 'd'));
}

TEST(Storage, IsAlignedAndReused) {
  const auto before = pool_stats();
  void* first;
  {
    StorageRef s = allocate(1000);
    first = s->data;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
    EXPECT_GE(pool_stats().in_use, before.in_use + 1000);
  }
  EXPECT_EQ(pool_stats().in_use, before.in_use);
  StorageRef again = allocate(1000);
  EXPECT_EQ(again->data, first);
}

TEST(Storage, AdoptedMemoryIsReleasedOnce) {
  int released = 0;
  float data[4] = {};
  {
    StorageRef s = adopt(data, sizeof data, [&] { ++released; }, true);
    StorageRef t = s;
    EXPECT_EQ(t->data, data);
  }
  EXPECT_EQ(released, 1);
}

TEST(Storage, HugeRequestIsAnError) {
  try {
    allocate(size_t(1) << 60);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::memory);
  }
}

TEST(DType, PromotionIsSymmetricAndIdempotent) {
  for (int a = 0; a < kDTypes; ++a) {
    EXPECT_EQ(promote(DType(a), DType(a)), DType(a));
    for (int b = 0; b < kDTypes; ++b)
      EXPECT_EQ(promote(DType(a), DType(b)), promote(DType(b), DType(a)));
  }
  EXPECT_EQ(promote(DType::uint8, DType::int8), DType::int16);
  EXPECT_EQ(promote(DType::float16, DType::bfloat16), DType::float32);
  EXPECT_EQ(promote(DType::int64, DType::float16), DType::float16);
  EXPECT_EQ(promote(DType::boolean, DType::uint8), DType::uint8);
}

TEST(Shapes, Broadcast) {
  EXPECT_EQ(broadcast_shapes("f", {3, 1}, {4}), Dims({3, 4}));
  EXPECT_EQ(broadcast_shapes("f", {}, {2, 2}), Dims({2, 2}));
  EXPECT_EQ(broadcast_shapes("f", {0, 1}, {1, 5}), Dims({0, 5}));
  EXPECT_THROW(broadcast_shapes("f", {3}, {4}), Error);
}
