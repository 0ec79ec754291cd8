// The pool: every index once, results independent of the number of threads, errors, nesting, fork.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "core/random.h"
#include "core/threads.h"

using namespace lamina;

struct Threads : testing::Test {
  int before = num_threads();
  ~Threads() override { set_num_threads(before); }
};

TEST_F(Threads, EveryRowOnce) {
  for (int threads : {1, 2, 3, 5})
    for (int64_t rows : {0, 1, 2, 7, 1000, 100003}) {
      set_num_threads(threads);
      std::vector<int> seen(rows);
      parallel_rows(rows, 500, [&](int64_t b, int64_t e) {
        for (int64_t i = b; i < e; ++i) ++seen[i];
      });
      for (int n : seen) ASSERT_EQ(n, 1);
    }
}

TEST_F(Threads, SmallWorkStaysOnTheCaller) {
  set_num_threads(4);
  const auto self = pthread_self();
  parallel_rows(100, 10,
                [&](int64_t, int64_t) { EXPECT_TRUE(pthread_equal(self, pthread_self())); });
}

TEST_F(Threads, ExceptionsReachTheCaller) {
  set_num_threads(3);
  for (int i = 0; i < 20; ++i) {
    EXPECT_THROW(parallel_rows(1000, 1000,
                               [](int64_t b, int64_t e) {
                                 if (b <= 777 && 777 < e) throw std::runtime_error("row");
                               }),
                 std::runtime_error);
  }
  std::atomic<int> sum{0};
  parallel_rows(1000, 1000, [&](int64_t b, int64_t e) { sum += int(e - b); });
  EXPECT_EQ(sum, 1000);
}

TEST_F(Threads, NestedRegionsAreSerial) {
  set_num_threads(3);
  std::atomic<int64_t> sum{0};
  parallel_rows(50, 1000, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i)
      parallel_rows(50, 1000, [&](int64_t c, int64_t f) { sum += f - c; });
  });
  EXPECT_EQ(sum, 2500);
}

TEST_F(Threads, SurviveFork) {
  set_num_threads(3);
  std::atomic<int> warm{0};
  parallel_rows(1000, 1000, [&](int64_t b, int64_t e) { warm += int(e - b); });
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> sum{0};
    parallel_rows(1000, 1000, [&](int64_t b, int64_t e) { sum += int(e - b); });
    _exit(sum == 1000 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(Generator, TakesBlocksInOrder) {
  Ref<Generator> g(new Generator(7));
  EXPECT_EQ(g->take(3).offset, 0u);
  EXPECT_EQ(g->take(1).offset, 3u);
  g->set_state(7, 0);
  EXPECT_EQ(g->take(1).offset, 0u);
  EXPECT_EQ(g->seed(), 7u);
}
