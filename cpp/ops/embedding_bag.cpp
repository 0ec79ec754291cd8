// Sums of rows of a table by bags of equal size, without a copy of the rows:
//   y[b, :] = sum_l w[rows[b, l], :]        gw[rows[b, l], :] += g[b, :]
// in the order of l, kSegment rows at a time, so that long bags lose no digits. Cost: each row
// named is read once, each sum written once.
#include <cstring>

#include "core/threads.h"
#include "ops/index.h"
#include "ops/ops.h"

namespace lamina {
namespace {

constexpr int64_t kSegment = 32;  // rows added one after the other

void infer(Call& c) { c.output({c.in[1].size(0), c.in[0].size(1)}, c.in[0].dtype()); }
void launch(Call& c) {
  const Tensor &w = c.in[0], &rows = c.in[1], &y = c.out[0];
  const int64_t B = rows.size(0), L = rows.size(1), V = w.size(0), E = w.size(1);
  const int64_t bytes = E * item_size(w.dtype());
  const int64_t* const numbers = rows.data<int64_t>();
  const char* const from = w.data<char>();
  const AddRowFn add = cpu_kernels().index.add_row[compute_type(w.dtype())];
  // Rows lie anywhere: those that come next are called for while one is added.
  const auto call_for = [&](int64_t at) {
    if (at >= B * L || uint64_t(numbers[at]) >= uint64_t(V)) return;
    const char* const row = from + numbers[at] * bytes;
    for (int64_t i = 0; i < bytes && i < 1024; i += 64) __builtin_prefetch(row + i);
  };
  parallel_rows(B, double(L) * (0.05 * double(bytes) + 4) + 5, [&](int64_t begin, int64_t end) {
    const Scratch part(L > kSegment ? size_t(bytes) : 0);
    for (int64_t b = begin; b < end; ++b) {
      char* const sum = y.data<char>() + b * bytes;
      if (L == 0) std::memset(sum, 0, size_t(bytes));
      for (int64_t l = 0; l < L; ++l) {
        const int64_t row = numbers[b * L + l];
        call_for(b * L + l + 4);
        if (uint64_t(row) >= uint64_t(V))
          fail(ErrorKind::index, "embedding: index ", row,
               " is out of bounds for dimension 0 with size ", V);
        char* const to = l < kSegment ? sum : part.as<char>();
        if (l % kSegment == 0)
          std::memcpy(to, from + row * bytes, size_t(bytes));
        else
          add(to, from + row * bytes, 1, E);
        if (to != sum && (l + 1 == L || (l + 1) % kSegment == 0)) add(sum, to, 1, E);
      }
    }
  });
}
void vjp(Vjp& c) {
  const Tensor rows = c.in(1);
  Dims shape = rows.shape();
  shape.push(c.shape(0).v[1]);
  const Tensor g = expand(unsqueeze(c.g(), 1), shape);
  c.set(0, put_rows("index_add", zeros(c.shape(0), c.g().dtype()), rows, 0, 1, g, true, nullptr));
}
const Op kBagSum{
    .name = "embedding_bag", .infer = infer, .launch = launch, .vjp = vjp, .saves = {2, 0}};

}  // namespace

Tensor embedding_bag_sum(const Tensor& weight, const Tensor& rows) {
  return apply(kBagSum, {contiguous(weight), as_rows("embedding", rows)});
}

}  // namespace lamina
