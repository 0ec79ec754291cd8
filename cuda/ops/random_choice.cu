// Permutations and draws by weight, with the CPU's numbers of the generator.
//
// randperm. The CPU's shuffle is p[i] = p[j_i], p[j_i] = i for i = 0, 1, ..., j_i a draw in [0, i].
// Value i begins in cell j_i; whenever a later k has j_k = its cell, it moves on to cell k. The k
// sorted by j_k (stably) tell who comes next, so each value's way, about ln(n / i) steps, is
// followed by a thread of its own. Cost: a sort of n numbers and about 3 n random reads.
//
// multinomial. With replacement: weights are summed in pieces of kMultinomialPiece, as on the CPU,
// then a binary search for each draw. Without: the smallest -ln(u) / w of a row, found by sorting.
#include "launch.h"
#include "ops/random_args.h"
#include "philox.h"
#include "sort.h"
#include "table.h"

namespace lamina::cuda {
namespace {

__device__ int32_t shuffle_draw(PhiloxKey key, int64_t i) {
  return int32_t(multiply_high(wide_draw(key.seed, key.offset, i), uint64_t(i) + 1));
}
__global__ void draws_kernel(int32_t* draws, int64_t n, PhiloxKey key) {
  LAMINA_GRID_STRIDE(i, n) draws[i] = shuffle_draw(key, i);
}
__global__ void none_kernel(int32_t* first, int64_t n) { LAMINA_GRID_STRIDE(i, n) first[i] = -1; }
// first[cell] and then[k]: the first k with j_k = cell, and the next one after k; -1: none.
__global__ void followers_kernel(const int32_t* cells, const int32_t* ks, int64_t n, int32_t* first,
                                 int32_t* then) {
  LAMINA_GRID_STRIDE(r, n) {
    const int32_t cell = cells[r];
    then[ks[r]] = r + 1 < n && cells[r + 1] == cell ? ks[r + 1] : -1;
    if (r == 0 || cells[r - 1] != cell) first[cell] = ks[r];
  }
}
template <class T>
__global__ void follow_kernel(const int32_t* first, const int32_t* then, int64_t n, PhiloxKey key,
                              T* p) {
  LAMINA_GRID_STRIDE(i, n) {
    int32_t cell = shuffle_draw(key, i), k = then[i];
    while (k >= 0) {
      cell = k;
      k = first[cell];  // later than `cell`, whose own draw led elsewhere
    }
    p[cell] = T(i);
  }
}
void randperm(const DeviceCall& c) {
  const auto& a = *static_cast<const PermutationArgs*>(c.args);
  const int64_t n = a.n;
  if (n == 0) return;
  if (n > INT32_MAX)
    fail(kNotImplemented, "randperm: more than 2^31 - 1 numbers are not supported on CUDA");
  const Scratch memory(c.device, size_t(n) * 16);
  int32_t *const cells = memory.as<int32_t>(), *const ks = cells + n;
  int32_t *const first = ks + n, *const then = first + n;
  const dim3 grid(blocks_for(n)), block(kBlock);
  launch(c, draws_kernel, grid, block, 0, cells, n, a.key);
  sort_keys(c, cells, ks, n, n);
  launch(c, none_kernel, grid, block, 0, first, n);
  launch(c, followers_kernel, grid, block, 0, cells, ks, n, first, then);
  if (c.out[0].dtype == DType::int32)
    launch(c, follow_kernel<int32_t>, grid, block, 0, first, then, n, a.key,
           static_cast<int32_t*>(c.out[0].data));
  else
    launch(c, follow_kernel<int64_t>, grid, block, 0, first, then, n, a.key,
           static_cast<int64_t*>(c.out[0].data));
}

// ---- multinomial -------------------------------------------------------------------------------
struct ChoicePack {
  const double* w;  // (rows, n)
  double* sums;     // (rows, n): within a piece
  double* before;   // (rows, pieces + 1): sums of the pieces before; the last one of all
  int* positive;    // (rows, pieces): weights above 0
  int64_t* y;       // (rows, count)
  int64_t rows, n, pieces, count;
  PhiloxKey key;
};
struct ChoiceReports {
  Reporter weight, zero, few;
};
constexpr int kLane = 32;

// A warp takes 32 pieces, 32 weights of each at a time: read and written side by side, summed by
// the piece's thread in order.
__global__ void pieces_kernel(const ChoicePack k, ChoiceReports report) {
  __shared__ double tile[kLane][kLane + 1];
  const int lane = int(threadIdx.x);
  const int64_t all = k.rows * k.pieces;
  for (int64_t first = int64_t(blockIdx.x) * kLane; first < all;
       first += int64_t(gridDim.x) * kLane) {
    double sum = 0;
    int positive = 0;
    for (int64_t from = 0; from < kMultinomialPiece; from += kLane) {
      for (int j = 0; j < kLane; ++j) {
        const int64_t piece = first + j, row = piece / k.pieces;
        const int64_t i = piece % k.pieces * kMultinomialPiece + from + lane;
        double w = 0;
        if (piece < all && i < k.n) {
          w = k.w[row * k.n + i];
          if (!(w >= 0 && w <= 1.7976931348623157e308)) report.weight(row, i);
        }
        tile[j][lane] = w;
      }
      __syncthreads();
      for (int j = 0; j < kLane; ++j) {
        positive += tile[lane][j] > 0;
        tile[lane][j] = sum += tile[lane][j];
      }
      __syncthreads();
      for (int j = 0; j < kLane; ++j) {
        const int64_t piece = first + j, row = piece / k.pieces;
        const int64_t i = piece % k.pieces * kMultinomialPiece + from + lane;
        if (piece < all && i < k.n) k.sums[row * k.n + i] = tile[j][lane];
      }
      __syncthreads();
    }
    const int64_t piece = first + lane;
    if (piece >= all) continue;
    k.before[piece / k.pieces * (k.pieces + 1) + piece % k.pieces + 1] = sum;
    k.positive[piece] = positive;
  }
}
// A thread for each row: before[p] = the sum of all pieces before p.
__global__ void before_kernel(const ChoicePack k, ChoiceReports report, bool replacement) {
  LAMINA_GRID_STRIDE(row, k.rows) {
    double* const before = k.before + row * (k.pieces + 1);
    int64_t positive = 0;
    before[0] = 0;
    for (int64_t p = 0; p < k.pieces; ++p) {
      before[p + 1] = before[p] + before[p + 1];
      positive += k.positive[row * k.pieces + p];
    }
    if (positive == 0)
      report.zero(row, 0);
    else if (!replacement && positive < k.count)
      report.few(k.count, positive);
  }
}
// The first i whose sum is above u times the row's total.
__global__ void choose_kernel(const ChoicePack k) {
  LAMINA_GRID_STRIDE(e, k.rows * k.count) {
    const int64_t row = e / k.count;
    const double *const before = k.before + row * (k.pieces + 1), *const sums = k.sums + row * k.n;
    const double u = double(wide_draw(k.key.seed, k.key.offset, e) >> 11) * 0x1p-53;
    const double v = u * before[k.pieces];
    int64_t low = 0, high = k.n;
    while (low < high) {
      const int64_t mid = low + (high - low) / 2;
      if (before[mid / kMultinomialPiece] + sums[mid] > v)
        high = mid;
      else
        low = mid + 1;
    }
    int64_t i = low < k.n - 1 ? low : k.n - 1;
    while (i > 0 && k.w[row * k.n + i] == 0) --i;  // only where rounding led past the last weight
    k.y[e] = i;
  }
}
__global__ void times_kernel(const ChoicePack k, double* times) {
  LAMINA_GRID_STRIDE(e, k.rows * k.n) {
    const double w = k.w[e];
    const uint64_t word = wide_draw(k.key.seed, k.key.offset, e);
    const double u = (double(word >> 12) + 0.5) * 0x1p-52;
    times[e] = w > 0 ? -::log(u) / w : nan("");  // NaN is sorted last
  }
}

void multinomial(const DeviceCall& c) {
  const auto& a = *static_cast<const MultinomialArgs*>(c.args);
  const Operand& w = c.in[0];
  ChoicePack k{};
  k.n = w.shape[w.nd - 1];
  k.rows = w.nd == 2 ? w.shape[0] : 1;
  k.count = a.count;
  k.key = a.key;
  if (k.rows == 0) return;
  k.pieces = (k.n + kMultinomialPiece - 1) / kMultinomialPiece;
  k.w = static_cast<const double*>(w.data);
  k.y = static_cast<int64_t*>(c.out[0].data);
  const size_t all = size_t(k.rows * k.n), pieces = size_t(k.rows * k.pieces);
  const Scratch memory(c.device, (all + pieces + size_t(k.rows)) * 8 + pieces * 4);
  k.sums = memory.as<double>();
  k.before = k.sums + all;
  k.positive = reinterpret_cast<int*>(k.before + pieces + k.rows);
  const ChoiceReports reports{
      reporter(c, kRuntime,
               "weights must be finite and not negative (found at row %lld, column %lld)"),
      reporter(c, kRuntime, "the weights of row %lld sum to %lld"),
      reporter(c, kRuntime, "cannot draw %lld of %lld nonzero weights without replacement")};
  const dim3 block(kBlock);
  launch(c, pieces_kernel, dim3(blocks_for(int64_t(pieces), kLane)), dim3(kLane), 0, k, reports);
  launch(c, before_kernel, dim3(blocks_for(k.rows)), block, 0, k, reports, bool(a.replacement));
  if (a.replacement)
    return launch(c, choose_kernel, dim3(blocks_for(k.rows * k.count)), block, 0, k);
  launch(c, times_kernel, dim3(blocks_for(int64_t(all))), block, 0, k, k.sums);
  const Scratch values(c.device, size_t(k.rows * k.count) * 8);
  sort_doubles(c, k.sums, values.as<double>(), k.y, k.rows, k.n, k.count);
}

const Launches kLaunches{{"randperm", randperm}, {"multinomial", multinomial}};

}  // namespace
}  // namespace lamina::cuda
