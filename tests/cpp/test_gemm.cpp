// The matrix product against plain loops in double: every instruction set, stored orders, odd
// sizes, accumulation, epilogues, padded rows; and that a row's bits depend on nothing else.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/threads.h"
#include "kernels/kernels.h"
#include "ops/gemm.h"

using namespace lamina;

namespace {

struct Isas : testing::Test {
  std::string before = cpu_kernels().isa;
  int threads = num_threads();
  ~Isas() override {
    const char* why = nullptr;
    select_isa(before.c_str(), &why);
    set_num_threads(threads);
  }
  template <class F>
  void each(F f) {
    const char *names[8], *why = nullptr;
    const int n = available_isas(names, 8);
    for (int i = 0; i < n; ++i) {
      ASSERT_TRUE(select_isa(names[i], &why)) << why;
      SCOPED_TRACE(names[i]);
      f();
    }
  }
};

template <class T>
std::vector<T> random_values(int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> v(static_cast<size_t>(n));
  for (T& x : v)
    x = std::is_integral_v<T> ? T(int(random() % 19) - 9) : T(double(random() % 4001) / 1000 - 2);
  return v;
}

struct Case {
  bool ta, tb;
  int64_t M, N, K, pad;  // pad: elements between stored rows
  bool accumulate, epilogue;
};

std::string text(const Case& s) {
  std::string t = std::string(s.ta ? "T" : "N") + (s.tb ? "T" : "N");
  for (const int64_t n : {s.M, s.N, s.K, s.pad}) t += " " + std::to_string(n);
  return t + (s.accumulate ? " +=" : " =") + (s.epilogue ? " bias relu" : "");
}

// Operands end where their vectors end, so that a sanitizer sees reads past them; elements between
// the rows of C must keep what they held.
template <class T>
void check_case(const Case& s) {
  const int64_t lda = (s.ta ? s.M : s.K) + s.pad, ldb = (s.tb ? s.K : s.N) + s.pad,
                ldc = s.N + s.pad;
  const auto elements = [](int64_t rows, int64_t columns, int64_t ld) {
    return rows && columns ? (rows - 1) * ld + columns : 0;
  };
  const auto a = random_values<T>(elements(s.ta ? s.K : s.M, s.ta ? s.M : s.K, lda), 1);
  const auto b = random_values<T>(elements(s.tb ? s.N : s.K, s.tb ? s.K : s.N, ldb), 2);
  const auto before = random_values<T>(elements(s.M, s.N, ldc), 3);
  const auto columns = random_values<T>(s.N, 4), rows = random_values<T>(s.M, 5);
  auto c = before;
  Epilogue e;
  e.column_bias = columns.data();
  e.row_bias = rows.data();
  e.relu = true;
  gemm<T>(s.ta, s.tb, s.M, s.N, s.K, a.data(), lda, b.data(), ldb, c.data(), ldc, s.accumulate,
          s.epilogue ? &e : nullptr);
  // Rounding: half a unit per multiply-add and a few of the epilogue, of the terms' magnitudes.
  const double unit = std::is_integral_v<T> ? 0 : double(std::numeric_limits<T>::epsilon());
  for (int64_t i = 0; i < s.M; ++i)
    for (int64_t j = 0; j < ldc && i * ldc + j < int64_t(c.size()); ++j) {
      const size_t at = size_t(i * ldc + j);
      if (j >= s.N) {
        ASSERT_EQ(c[at], before[at]) << text(s) << ": written past row " << i;
        continue;
      }
      double sum = s.accumulate ? double(before[at]) : 0, size = std::abs(sum);
      for (int64_t k = 0; k < s.K; ++k) {
        const double x = double(a[size_t(s.ta ? k * lda + i : i * lda + k)]);
        const double y = double(b[size_t(s.tb ? j * ldb + k : k * ldb + j)]);
        sum += x * y;
        size += std::abs(x * y);
      }
      if (s.epilogue) {
        sum += double(columns[size_t(j)]) + double(rows[size_t(i)]);
        size += 4;
        if (sum < 0) sum = 0;
      }
      ASSERT_LE(std::abs(double(c[at]) - sum), unit * size * double(s.K + 4) / 2)
          << text(s) << " at " << i << ", " << j;
    }
}

template <class T>
void check_sizes() {
  const int64_t sizes[][3] = {
      {1, 1, 1},     {1, 1, 385},  {1, 17, 33},  {2, 31, 16},  {3, 33, 17},  {4, 16, 5},
      {5, 130, 7},   {13, 1, 29},  {14, 32, 31}, {15, 65, 64}, {29, 7, 100}, {31, 128, 2},
      {1, 300, 40},  {2, 257, 40}, {3, 129, 40}, {6, 140, 40}, {64, 10, 50}, {200, 33, 40},
      {37, 41, 800}, {7, 1024, 1}, {8, 512, 8},
  };
  for (const auto& [m, n, k] : sizes)
    for (int form = 0; form < 4; ++form)
      for (int more = 0; more < 4; ++more)
        check_case<T>({bool(form & 1), bool(form & 2), m, n, k, more & 1 ? 3 : 0, bool(more & 2),
                       !std::is_integral_v<T> && (more & 1) == (more >> 1)});
}

template <class T>
std::vector<T> product(bool ta, bool tb, int64_t M, int64_t N, int64_t K, const std::vector<T>& a,
                       int64_t lda, const std::vector<T>& b, int64_t ldb) {
  std::vector<T> c(size_t(M * N));
  gemm<T>(ta, tb, M, N, K, a.data(), lda, b.data(), ldb, c.data(), N);
  return c;
}

}  // namespace

TEST_F(Isas, FloatsAgreeWithPlainLoops) { each(check_sizes<float>); }
TEST_F(Isas, DoublesAgreeWithPlainLoops) { each(check_sizes<double>); }
TEST_F(Isas, IntegersAreExact) { each(check_sizes<int64_t>); }

TEST_F(Isas, LargeProductsAgreeWithPlainLoops) {
  check_case<float>({false, false, 230, 2100, 400, 0, false, false});  // every blocking limit
  check_case<float>({true, true, 400, 70, 1000, 1, true, true});
  check_case<double>({false, true, 210, 300, 780, 0, false, true});
}

TEST_F(Isas, NothingToSumGivesZerosOrWhatWasThere) {
  each([] {
    std::vector<float> c{1, 2, 3, 4, 5, 6};
    gemm<float>(false, false, 2, 3, 0, nullptr, 0, nullptr, 3, c.data(), 3, true);
    EXPECT_EQ(c, (std::vector<float>{1, 2, 3, 4, 5, 6}));
    gemm<float>(false, true, 2, 3, 0, nullptr, 0, nullptr, 0, c.data(), 3);
    EXPECT_EQ(c, std::vector<float>(6, 0.0f));
    gemm<float>(false, false, 0, 3, 4, nullptr, 4, nullptr, 3, nullptr, 3);
    gemm<float>(false, false, 3, 0, 4, nullptr, 4, nullptr, 0, nullptr, 0);
  });
}

// Row 5 of a product of 100 rows, alone, in threes, and with its operands stored the other way.
TEST_F(Isas, BitsOfARowDependOnNothingElse) {
  each([] {
    for (const int64_t n : {1, 10, 33, 128, 200})
      for (const int64_t k : {1, 8, 65, 500}) {
        const int64_t m = 100;
        const auto a = random_values<float>(m * k, 6), b = random_values<float>(k * n, 7);
        const auto all = product(false, false, m, n, k, a, k, b, n);
        std::vector<float> at(size_t(m * k)), bt(size_t(k * n));
        for (int64_t i = 0; i < m; ++i)
          for (int64_t p = 0; p < k; ++p) at[size_t(p * m + i)] = a[size_t(i * k + p)];
        for (int64_t p = 0; p < k; ++p)
          for (int64_t j = 0; j < n; ++j) bt[size_t(j * k + p)] = b[size_t(p * n + j)];
        EXPECT_EQ(product(true, false, m, n, k, at, m, b, n), all);
        EXPECT_EQ(product(false, true, m, n, k, a, k, bt, k), all);
        EXPECT_EQ(product(true, true, m, n, k, at, m, bt, k), all);
        for (const int64_t rows : {1, 2, 3, 4, 6, 40})
          for (const bool tb : {false, true}) {
            const std::vector<float> some(a.begin() + 5 * k, a.begin() + (5 + rows) * k);
            const auto c = product(false, tb, rows, n, k, some, k, tb ? bt : b, tb ? k : n);
            EXPECT_EQ(std::memcmp(c.data(), all.data() + 5 * n, size_t(rows * n) * sizeof(float)),
                      0)
                << rows << " rows, n " << n << ", k " << k << (tb ? ", transposed" : "");
          }
      }
  });
}

TEST_F(Isas, BitsDoNotDependOnTheNumberOfThreads) {
  const int64_t m = 190, n = 170, k = 800;
  const auto a = random_values<float>(m * k, 8), b = random_values<float>(k * n, 9);
  set_num_threads(1);
  const auto one = product(false, false, m, n, k, a, k, b, n);
  for (const int threads : {2, 3, 5}) {
    set_num_threads(threads);
    EXPECT_EQ(product(false, false, m, n, k, a, k, b, n), one) << threads << " threads";
  }
}
