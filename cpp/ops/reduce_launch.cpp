// The walk of a reduction. Dimensions of size 1 go, neighbours that are evenly spaced merge; then
// one of two loops is taken, by which dimension lies closest in memory:
//   runs     a reduced one: each output reads its elements run by run
//   columns  a kept one: outputs side by side take in row after row
// An output of more than kPiece elements (columns: rows of that many) is formed in pieces that are
// joined in order. Pieces depend on sizes only, so results do not depend on the number of threads.
#include "ops/reduce_launch.h"

#include <utility>

#include "core/threads.h"

namespace lamina {
namespace {

constexpr int64_t kPiece = 65536;  // elements: 256 kB of float32, ~10 microseconds
constexpr int64_t kTile = 512;     // columns of one task: three planes of slots are 12 kB
constexpr int64_t kBuffer = 2048;  // elements converted at a time

struct Axis {
  int64_t size, x, y;  // strides in x and y (of a reduced one: y = 0)
};
struct Axes {
  int n = 0;
  Axis a[kMaxDims];
  int64_t count() const {
    int64_t p = 1;
    for (int i = 0; i < n; ++i) p *= a[i].size;
    return p;
  }
  // Largest stride first, evenly spaced neighbours merged.
  void settle() {
    for (int i = 1; i < n; ++i)
      for (int k = i; k > 0 && a[k - 1].x < a[k].x; --k) std::swap(a[k - 1], a[k]);
    int at = 0;
    for (int i = 1; i < n; ++i) {
      if (a[at].x == a[i].size * a[i].x && a[at].y == a[i].size * a[i].y)
        a[at] = {a[at].size * a[i].size, a[i].x, a[i].y};
      else
        a[++at] = a[i];
    }
    if (n) n = at + 1;
  }
  // Offsets of place `index`, counted over axes [0, last).
  void at(int64_t index, int last, int64_t* x, int64_t* y) const {
    *x = *y = 0;
    for (int i = last - 1; i >= 0; --i) {
      const int64_t k = index % a[i].size;
      index /= a[i].size;
      *x += k * a[i].x;
      *y += k * a[i].y;
    }
  }
};

struct Walk {
  const ReduceFns& f;
  const ReduceFinish& finish;
  const char* x;
  int64_t xitem;
  LoadFn load;   // null: x is of the compute type
  int64_t item;  // of the compute type
  char* y;
  int64_t* index;
  Axes kept, reduced;

  const char* from(int64_t offset) const { return x + offset * xitem; }
  void result(int64_t offset, int64_t stride, const void* acc, int64_t plane, int64_t n) const {
    f.finish(y ? y + offset * item : nullptr, index ? index + offset : nullptr, stride, acc, plane,
             n, finish);
  }

  // Elements [begin, end) of the reduced index space of the output at `base`.
  void run(int64_t base, int64_t begin, int64_t end, void* acc) const {
    const Axis& last = reduced.a[reduced.n - 1];
    alignas(64) char buffer[kBuffer * 8];
    while (begin < end) {
      const int64_t i = begin % last.size;
      const int64_t n = end - begin < last.size - i ? end - begin : last.size - i;
      int64_t at, unused;
      reduced.at(begin / last.size, reduced.n - 1, &at, &unused);
      at += base + i * last.x;
      if (!load && last.x == 1) {
        f.run(from(at), n, begin, acc);
      } else {
        for (int64_t b = 0; b < n; b += kBuffer) {
          const int64_t m = n - b < kBuffer ? n - b : kBuffer;
          loader()(buffer, from(at + b * last.x), last.x, m);
          f.run(buffer, m, begin + b, acc);
        }
      }
      begin += n;
    }
  }
  LoadFn loader() const { return load ? load : same; }
  LoadFn same;  // strided elements of the compute type made dense

  void runs() const {
    const int64_t outputs = kept.count(), each = reduced.count();
    const int64_t pieces = (each + kPiece - 1) / kPiece;
    if (pieces == 1 && reduced.n == 1 && !load && reduced.a[0].x == 1 && kept.n <= 1) {
      const Axis row = kept.n ? kept.a[0] : Axis{1, 0, 0};
      parallel_rows(row.size, 0.1 * double(each) + 5, [&](int64_t b, int64_t e) {
        f.rows(from(b * row.x), row.x, e - b, each, y ? y + b * row.y * item : nullptr,
               index ? index + b * row.y : nullptr, row.y, finish);
      });
      return;
    }
    const double cost = load || reduced.a[reduced.n - 1].x != 1 ? 1 : 0.1;
    if (pieces == 1) {
      parallel_rows(outputs, cost * double(each) + 10, [&](int64_t b, int64_t e) {
        for (int64_t o = b; o < e; ++o) {
          alignas(8) char acc[8 * kReducePlanes];
          int64_t base, to;
          kept.at(o, kept.n, &base, &to);
          f.start(acc, 1, 1);
          run(base, 0, each, acc);
          result(to, 1, acc, 1, 1);
        }
      });
      return;
    }
    const int64_t size = f.planes * 8;
    Scratch scratch(size_t(outputs * pieces * size));
    char* const accs = scratch.as<char>();
    parallel_rows(outputs * pieces, cost * double(kPiece), [&](int64_t b, int64_t e) {
      for (int64_t t = b; t < e; ++t) {
        int64_t base, to;
        kept.at(t / pieces, kept.n, &base, &to);
        const int64_t begin = t % pieces * kPiece;
        f.start(accs + t * size, 1, 1);
        run(base, begin, begin + kPiece < each ? begin + kPiece : each, accs + t * size);
      }
    });
    for (int64_t o = 0; o < outputs; ++o) {
      char* const acc = accs + o * pieces * size;
      int64_t base, to;
      kept.at(o, kept.n, &base, &to);
      for (int64_t p = 1; p < pieces; ++p) f.merge(acc, 1, acc + p * size, 1, 1);
      result(to, 1, acc, 1, 1);
    }
  }

  // Rows [begin, end) of the reduced index space, n columns from `base` on.
  void rows(int64_t base, int64_t n, int64_t begin, int64_t end, void* acc, int64_t plane) const {
    const Axis last = reduced.n ? reduced.a[reduced.n - 1] : Axis{1, 0, 0};
    const int64_t step = kept.a[kept.n - 1].x;
    alignas(64) char buffer[kBuffer * 8];
    while (begin < end) {
      const int64_t i = begin % last.size;
      const int64_t m = end - begin < last.size - i ? end - begin : last.size - i;
      int64_t at, unused;
      reduced.at(begin / last.size, reduced.n - 1, &at, &unused);
      at += base + i * last.x;
      if (!load && step == 1) {
        f.columns(from(at), last.x, m, n, begin, acc, plane);
      } else {
        const int64_t most = kBuffer / n >= 16 ? kBuffer / n / 16 * 16 : kBuffer / n;
        for (int64_t r = 0; r < m; r += most) {
          const int64_t w = m - r < most ? m - r : most;
          for (int64_t k = 0; k < w; ++k)
            loader()(buffer + k * n * item, from(at + (r + k) * last.x), step, n);
          f.columns(buffer, n, w, n, begin + r, acc, plane);
        }
      }
      begin += m;
    }
  }

  void columns() const {
    const Axis inner = kept.a[kept.n - 1];
    const bool direct = !load && inner.x == 1;
    const int64_t tile = direct ? kTile : kBuffer / 16;
    const int64_t width = inner.size < tile ? inner.size : tile;
    const int64_t tiles = (inner.size + tile - 1) / tile;
    const int64_t outer = kept.count() / inner.size, each = reduced.count();
    const int64_t long_piece = (kPiece / width + 15) / 16 * 16;
    const int64_t pieces = each ? (each + long_piece - 1) / long_piece : 1;
    const double cost = direct ? 0.15 : 1.2;
    const int64_t plane = width, size = f.planes * 8 * width;
    Scratch scratch(pieces > 1 ? size_t(outer * tiles * pieces * size) : 0);
    char* const accs = scratch.as<char>();
    const int64_t length = pieces > 1 ? long_piece : each;
    parallel_rows(outer * tiles * pieces, cost * double(length * width) + 20,
                  [&](int64_t b, int64_t e) {
                    alignas(64) char own[kReducePlanes * kTile * 8];
                    for (int64_t t = b; t < e; ++t) {
                      const int64_t column = t / pieces % tiles * tile, begin = t % pieces * length;
                      const int64_t n = inner.size - column < tile ? inner.size - column : tile;
                      int64_t base, to;
                      kept.at(t / pieces / tiles, kept.n - 1, &base, &to);
                      char* const acc = pieces > 1 ? accs + t * size : own;
                      f.start(acc, plane, n);
                      rows(base + column * inner.x, n, begin,
                           begin + length < each ? begin + length : each, acc, plane);
                      if (pieces == 1) result(to + column * inner.y, inner.y, acc, plane, n);
                    }
                  });
    if (pieces == 1) return;
    for (int64_t k = 0; k < outer * tiles; ++k) {
      const int64_t column = k % tiles * tile;
      const int64_t n = inner.size - column < tile ? inner.size - column : tile;
      char* const acc = accs + k * pieces * size;
      int64_t base, to;
      kept.at(k / tiles, kept.n - 1, &base, &to);
      for (int64_t p = 1; p < pieces; ++p) f.merge(acc, plane, acc + p * size, plane, n);
      result(to + column * inner.y, inner.y, acc, plane, n);
    }
  }
};

int64_t magnitude(int64_t n) { return n < 0 ? -n : n; }

// Sums of a dense mask over its last dimensions (bit d of a's mask: d is summed over): trues are
// counted as bytes.
bool count_masks(const ReduceArgs& a, const Tensor& x, const Tensor& y) {
  if (x.dtype() != DType::boolean || a.kind != kReduceSum || !x.is_contiguous()) return false;
  int64_t rows = 1, n = 1;
  for (int d = 0; d < x.dim(); ++d) {
    const bool gone = a.mask >> d & 1;
    if (!gone && n > 1) return false;
    (gone ? n : rows) *= x.size(d);
  }
  constexpr int64_t kPiece = 1 << 15;  // of a long row
  const CountFn count = cpu_kernels().index.count_true;
  const uint8_t* const p = x.data<uint8_t>();
  int64_t* const to = y.data<int64_t>();
  const int64_t pieces = (n + kPiece - 1) / kPiece;
  if (rows > 1 || pieces <= 1) {
    parallel_rows(rows, 0.03 * double(n) + 10, [&](int64_t b, int64_t e) {
      for (int64_t r = b; r < e; ++r) to[r] = count(p + r * n, n);
    });
    return true;
  }
  Scratch scratch(size_t(pieces) * 8);
  int64_t* const counts = scratch.as<int64_t>();
  parallel_rows(pieces, 0.03 * kPiece, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i)
      counts[i] = count(p + i * kPiece, n - i * kPiece < kPiece ? n - i * kPiece : kPiece);
  });
  *to = 0;
  for (int64_t i = 0; i < pieces; ++i) *to += counts[i];
  return true;
}

}  // namespace

Dims reduced_shape(const Dims& x, uint32_t mask, bool keep) {
  Dims shape;
  for (int d = 0; d < x.n; ++d) {
    if (!(mask >> d & 1))
      shape.push(x.v[d]);
    else if (keep)
      shape.push(1);
  }
  return shape;
}
int64_t reduced_count(const Dims& x, uint32_t mask) {
  int64_t n = 1;
  for (int d = 0; d < x.n; ++d)
    if (mask >> d & 1) n *= x.v[d];
  return n;
}
DType reduced_dtype(DType x) {
  const Compute via = compute_type(x);
  return via == kF32 ? DType::float32 : via == kF64 ? DType::float64 : DType::int64;
}

void reduce(const ReduceArgs& a, const Tensor& x, const Tensor& y, const Tensor& index) {
  const Tensor& shaped = y.defined() ? y : index;
  if (shaped.numel() == 0 || (y.defined() && count_masks(a, x, y))) return;
  const Compute via = compute_type(x.dtype());
  const Kernels& k = cpu_kernels();
  const DType holder = reduced_dtype(x.dtype());
  Walk w{k.reduce.f[a.kind][via],
         a.finish,
         x.data<char>(),
         item_size(x.dtype()),
         x.dtype() == holder ? nullptr : k.load[int(x.dtype())][via],
         item_size(holder),
         y.defined() ? y.data<char>() : nullptr,
         index.defined() ? index.data<int64_t>() : nullptr,
         {},
         {},
         k.load[int(holder)][via]};
  int64_t ystride = 1;
  for (int d = x.dim() - 1; d >= 0; --d) {
    const int64_t n = x.shape().v[d];
    const bool gone = a.mask >> d & 1;
    if (n != 1) {
      Axes& axes = gone ? w.reduced : w.kept;
      axes.a[axes.n++] = {n, x.strides().v[d], gone ? 0 : ystride};
    }
    if (!gone) ystride *= n;
  }
  w.kept.settle();
  // Positions count in the order of the (single) reduced dimension; sums do not mind.
  w.reduced.settle();
  if (w.kept.n) {
    const int64_t mine = w.kept.a[w.kept.n - 1].x;
    const int64_t theirs = w.reduced.n ? w.reduced.a[w.reduced.n - 1].x : 0;
    if (!w.reduced.n || mine == 1 ||
        (theirs != 1 && mine != 0 && magnitude(mine) < magnitude(theirs)))
      return w.columns();
  }
  if (!w.reduced.n) w.reduced.a[w.reduced.n++] = {1, 1, 0};
  if (w.reduced.count() == 0) {  // nothing to read: the result of no elements
    const int64_t plane = 1;
    alignas(8) char acc[8 * kReducePlanes];
    w.f.start(acc, plane, 1);
    for (int64_t i = 0; i < shaped.numel(); ++i) w.result(i, 1, acc, plane, 1);
    return;
  }
  w.runs();
}

}  // namespace lamina
