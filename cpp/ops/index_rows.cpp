// Rows by number. x is seen as (P, N, S): N the indexed dimensions, P those before, S those after;
// rows holds M numbers in [-N, N), or in [0, N) where PyTorch wants them so.
//   select_rows  y[p, m, :] = x[p, rows[m], :]                 gx = add_rows(g)
//   add_rows     y = 0, y[p, rows[m], :] += g[p, m, :]         gg = select_rows(gy)
//   put_rows     y = x, y[p, rows[m], :] = v[p, m, :] (or +=)  gx = put_rows(g, 0) (or g),
//                                                              gv = select_rows(g)
// Sums into one row are in the order of m: each thread owns a range of rows and reads all numbers.
#include <cstring>

#include "core/threads.h"
#include "ops/complex.h"
#include "ops/index.h"
#include "ops/index_args.h"
#include "ops/ops.h"
#include "ops/transfer.h"

namespace lamina {
namespace {

struct Extents {
  int64_t P = 1, N = 1, S = 1;
};
Extents extents(const Dims& x, int first, int count) {
  Extents e;
  for (int i = 0; i < x.n; ++i) (i < first ? e.P : i < first + count ? e.N : e.S) *= x.v[i];
  return e;
}

[[noreturn]] void bad_row(const char* name, int64_t row, int first, int64_t size) {
  fail(ErrorKind::index, name, ": index ", row, " is out of bounds for dimension ", first,
       " with size ", size);
}
// `wrap` is N where negative numbers count from the end, else 0.
inline int64_t wrap_row(const char* name, int64_t row, int first, int64_t N, int64_t wrap) {
  const int64_t at = row < 0 ? row + wrap : row;
  if (__builtin_expect(uint64_t(at) >= uint64_t(N), 0)) bad_row(name, row, first, N);
  return at;
}

Dims selected_shape(const Dims& x, const Dims& rows, int first, int count) {
  Dims shape;
  for (int i = 0; i < first; ++i) shape.push(x.v[i]);
  for (int64_t n : rows) shape.push(n);
  for (int i = first + count; i < x.n; ++i) shape.push(x.v[i]);
  return shape;
}

// ---- select_rows -------------------------------------------------------------------------------
void select_infer(Call& c) {
  const auto& a = c.args<RowsArgs>();
  c.output(selected_shape(c.in[0].shape(), c.in[1].shape(), a.first, a.count), c.in[0].dtype());
}
template <class T>  // rows in [0, N)
void select_elements(T* y, const T* x, const int64_t* rows, int64_t N, int64_t M, int64_t begin,
                     int64_t end) {
  for (int64_t k = begin; k < end;) {
    const int64_t p = k / M, next = (p + 1) * M < end ? (p + 1) * M : end;
    const T* const from = x + p * N;
    const int64_t* const row = rows - p * M;
    for (; k + 4 <= next; k += 4) {
      const T a = from[row[k]], b = from[row[k + 1]], c = from[row[k + 2]], d = from[row[k + 3]];
      y[k] = a, y[k + 1] = b, y[k + 2] = c, y[k + 3] = d;
    }
    for (; k < next; ++k) y[k] = from[row[k]];
  }
}
void select_launch(Call& c) {
  const auto& a = c.args<RowsArgs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  const Extents n = extents(x.shape(), a.first, a.count);
  const int64_t M = c.in[1].numel(), item = item_size(x.dtype()), bytes = n.S * item;
  const int64_t* const rows = c.in[1].data<int64_t>();
  const char* const xp = x.data<char>();
  char* const yp = y.data<char>();
  const char* const name = c.name();
  const int first = a.first;
  const int64_t wrap = a.from_zero ? 0 : n.N;
  const bool often = n.P > 1 && bytes <= 8;  // then they are checked once
  Scratch scratch(often ? size_t(M) * sizeof(int64_t) : 0);
  int64_t* const checked = scratch.as<int64_t>();
  for (int64_t m = 0; often && m < M; ++m) checked[m] = wrap_row(name, rows[m], first, n.N, wrap);
  parallel_rows(n.P * M, 0.05 * double(bytes) + 2, [&](int64_t b, int64_t e) {
    const auto elements = [&](auto t) {
      using T = decltype(t);
      T* const to = y.data<T>();
      const T* const from = x.data<T>();
      if (often) return select_elements(to, from, checked, n.N, M, b, e);
      for (int64_t k = b; k < e; ++k) to[k] = from[wrap_row(name, rows[k], first, n.N, wrap)];
    };
    if (bytes == 1) return elements(uint8_t());
    if (bytes == 2) return elements(uint16_t());
    if (bytes == 4) return elements(uint32_t());
    if (bytes == 8) return elements(uint64_t());
    const auto row = [&](int64_t k) {
      return xp + (k / M * n.N + wrap_row(name, rows[k % M], first, n.N, wrap)) * bytes;
    };
    // Rows come from anywhere in memory: those to come are fetched meanwhile.
    const int64_t near = bytes < 4096 ? bytes : 4096, ahead = 4;
    for (int64_t k = b; k < e; ++k) {
      if (k + ahead < e && near >= 256)
        for (const char *p = row(k + ahead), *end = p + near; p < end; p += 64)
          __builtin_prefetch(p);
      std::memcpy(yp + k * bytes, row(k), size_t(bytes));
    }
  });
}

// ---- add_rows ----------------------------------------------------------------------------------
void add_infer(Call& c) { c.output(unpack(c.args<RowsArgs>().shape), c.in[0].dtype()); }

// Calls work(b, e) on ranges of the P * N rows; all M numbers are read for each range, so there is
// one range unless a row is long enough to pay for that.
template <class F>
void over_rows(const Extents& n, int64_t M, int64_t bytes, F&& work) {
  if (n.P > 1)
    parallel_rows(n.P, double(M) * (3 + 0.1 * double(bytes)),
                  [&](int64_t b, int64_t e) { work(b * n.N, e * n.N); });
  else if (bytes >= 128)
    parallel_rows(n.N, 0.1 * double(bytes) * double(M) / double(n.N ? n.N : 1) + 1, work);
  else
    work(0, n.N);
}

void add_launch(Call& c) {
  const auto& a = c.args<RowsArgs>();
  const Tensor &g = c.in[0], &y = c.out[0];
  const Extents n = extents(y.shape(), a.first, a.count);
  const int64_t M = c.in[1].numel(), item = item_size(y.dtype()), bytes = n.S * item;
  const int64_t* const rows = c.in[1].data<int64_t>();
  const Compute via = compute_type(y.dtype());
  const AddRowFn add_row = cpu_kernels().index.add_row[via];
  const AddRowFn scale_row = a.scale_by_frequency ? cpu_kernels().index.scale_row[via] : nullptr;
  if (y.numel() == 0) return;
  Scratch counts(scale_row ? size_t(n.N) * 8 : 0);
  const char* const gp = g.data<char>();
  char* const yp = y.data<char>();
  over_rows(n, M, bytes, [&](int64_t begin, int64_t end) {
    std::memset(yp + begin * bytes, 0, size_t((end - begin) * bytes));
    int64_t* const count = counts.as<int64_t>();
    if (count) std::memset(count + begin, 0, size_t(end - begin) * 8);
    for (int64_t p = begin / n.N; p * n.N < end; ++p) {
      const int64_t lo = begin - p * n.N, hi = end - p * n.N;
      for (int64_t m = 0; m < M; ++m) {
        const int64_t row = wrap_row(c.name(), rows[m], a.first, n.N, a.from_zero ? 0 : n.N);
        if (row < lo || row >= hi || row == a.skip) continue;
        add_row(yp + (p * n.N + row) * bytes, gp + (p * M + m) * bytes, 1, n.S);
        if (count) ++count[row];
      }
    }
    if (!count) return;
    for (int64_t row = begin; row < end; ++row) {
      if (count[row] < 2) continue;
      const double d = 1.0 / double(count[row]);
      const float f = float(d);
      scale_row(yp + row * bytes, via == kF64 ? static_cast<const void*>(&d) : &f, 0, n.S);
    }
  });
}
void add_vjp(Vjp& c) {
  const auto& a = c.args<RowsArgs>();
  check(a.skip < 0 && !a.scale_by_frequency, ErrorKind::not_implemented,
        "embedding: second derivatives with padding_idx or scale_grad_by_freq");
  if (c.needs(0)) c.set(0, select_rows("index", c.g(), c.in(1), a.first, a.count));
}
const Op kAddRows{.name = "index_grad",
                  .infer = add_infer,
                  .launch = add_launch,
                  .vjp = add_vjp,
                  .saves = {2, 0}};

Tensor add_rows(const Tensor& g, const Tensor& rows, RowsArgs a, const Dims& shape) {
  const DType t = g.dtype() == DType::float64 ? DType::float64 : DType::float32;
  a.shape = pack(shape);
  return to_dtype(apply(kAddRows, {contiguous(to_dtype(g, t)), rows}, a), g.dtype());
}
void select_vjp(Vjp& c) {
  if (c.needs(0)) c.set(0, add_rows(c.g(), c.in(1), c.args<RowsArgs>(), c.shape(0)));
}
const Op kIndex{.name = "index",
                .infer = select_infer,
                .launch = select_launch,
                .vjp = select_vjp,
                .saves = {2, 0}};
const Op kEmbedding{.name = "embedding",
                    .infer = select_infer,
                    .launch = select_launch,
                    .vjp = select_vjp,
                    .saves = {2, 0}};
const Op kIndexSelect{.name = "index_select",
                      .infer = select_infer,
                      .launch = select_launch,
                      .vjp = select_vjp,
                      .saves = {2, 0}};
const Op kTake{.name = "take",
               .infer = select_infer,
               .launch = select_launch,
               .vjp = select_vjp,
               .saves = {2, 0}};

// ---- put_rows ----------------------------------------------------------------------------------
void put_infer(Call& c) { c.output(c.in[0].shape(), c.in[0].dtype()); }
template <class T>
void put_row(char* y, const char* v, int64_t step, int64_t n) {
  T* const to = reinterpret_cast<T*>(y);
  const T* const from = reinterpret_cast<const T*>(v);
  for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
}
void put_launch(Call& c) {  // v has the strides of (P, M, S)
  const auto& a = c.args<RowsArgs>();
  const Tensor &x = c.in[0], &v = c.in[2], &y = c.out[0];
  if (y.numel() == 0) return;
  const int64_t item = item_size(y.dtype());
  if (y.data() != x.data())
    parallel_rows(y.numel() * item, 0.05, [&](int64_t b, int64_t e) {
      std::memcpy(y.data<char>() + b, x.data<char>() + b, size_t(e - b));
    });
  const Extents n = extents(y.shape(), a.first, a.count);
  const int64_t M = c.in[1].numel(), bytes = n.S * item;
  const int64_t* const rows = c.in[1].data<int64_t>();
  if (v.numel() == 0) return;
  const int64_t vp = v.stride(0) * item, vm = v.stride(1) * item, vs = v.stride(2);
  const char* const from = v.data<char>();
  char* const yp = y.data<char>();
  const AddRowFn add_row = cpu_kernels().index.add_row[compute_type(y.dtype())];
  over_rows(n, M, bytes, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin / n.N; p * n.N < end; ++p) {
      const int64_t lo = begin - p * n.N, hi = end - p * n.N;
      for (int64_t m = 0; m < M; ++m) {
        const int64_t row = wrap_row(c.name(), rows[m], a.first, n.N, a.from_zero ? 0 : n.N);
        if (row < lo || row >= hi) continue;
        char* const to = yp + (p * n.N + row) * bytes;
        const char* const value = from + p * vp + m * vm;
        if (a.accumulate)
          add_row(to, value, vs, n.S);
        else if (vs == 1)
          std::memcpy(to, value, size_t(bytes));
        else if (item == 4)
          put_row<uint32_t>(to, value, vs, n.S);
        else if (item == 8)
          put_row<uint64_t>(to, value, vs, n.S);
        else if (item == 2)
          put_row<uint16_t>(to, value, vs, n.S);
        else
          put_row<uint8_t>(to, value, vs, n.S);
      }
    }
  });
}
void put_vjp(Vjp& c) {
  const auto& a = c.args<RowsArgs>();
  const Tensor g = c.g(), rows = c.in(1);
  if (c.needs(0)) {
    const Tensor zero = full({}, 0, g.dtype());
    c.set(0, a.accumulate ? g : put_rows("index_put", g, rows, a.first, a.count, zero, false, {}));
  }
  if (c.needs(2))
    c.set(2, reshape(select_rows("index_put", g, rows, a.first, a.count), c.shape(2)));
}
// elementwise: input 0 may be the output itself (put_rows keeps the other inputs out of its
// memory).
constexpr Op put_op(const char* name) {
  return Op{.name = name,
            .infer = put_infer,
            .launch = put_launch,
            .vjp = put_vjp,
            .saves = {2, 0},
            .elementwise = true};
}
const Op kIndexPut = put_op("index_put"), kIndexAdd = put_op("index_add"),
         kIndexCopy = put_op("index_copy"), kIndexFill = put_op("index_fill");

const Op& named(const char* name, std::initializer_list<const Op*> ops) {
  for (const Op* op : ops)
    if (!std::strcmp(op->name, name)) return *op;
  return **ops.begin();
}

}  // namespace

Tensor as_rows(const char* name, const Tensor& index) {
  check(is_integral(index.dtype()), ErrorKind::index, name,
        ": index tensors must be of an integer type, got ", index, "; convert with .long()");
  return contiguous(to_dtype(index, DType::int64));
}

Tensor select_rows(const char* name, const Tensor& x, const Tensor& rows, int first, int count) {
  if (is_complex(x.dtype()) && std::strcmp(name, "embedding"))
    return on_parts(x, [&](const Tensor& p) { return select_rows(name, p, rows, first, count); });
  const Op& op = named(name, {&kIndex, &kIndexSelect, &kEmbedding, &kTake});
  const bool from_zero = &op == &kIndexSelect || &op == &kEmbedding;
  return apply(op, {contiguous(x), rows}, RowsArgs{first, count, false, false, from_zero, -1, {}});
}

Tensor put_rows(const char* name, const Tensor& x, const Tensor& rows, int first, int count,
                const Tensor& value, bool accumulate, const Tensor* into) {
  if (is_complex(x.dtype())) {
    const Tensor v = view_as_real(to_dtype(value, x.dtype()));
    if (into && !(grad_enabled() && (needs_grad(*into) || needs_grad(value)))) {
      const Tensor parts = parts_of(*into);
      put_rows(name, parts, rows, first, count, v, accumulate, &parts);
      return *into;
    }
    const Tensor y = on_parts(x, [&](const Tensor& p) {
      return put_rows(name, p, rows, first, count, v, accumulate, nullptr);
    });
    return into ? copy_(*into, y) : y;
  }
  const Op& op = named(name, {&kIndexPut, &kIndexAdd, &kIndexCopy, &kIndexFill});
  const bool from_zero = &op == &kIndexAdd || &op == &kIndexCopy;
  const RowsArgs args{first, count, accumulate, false, from_zero, -1, {}};
  const DType dtype = x.dtype();
  // Sums of small types are formed in the type their arithmetic is done in.
  const DType at = !accumulate                   ? dtype
                   : compute_type(dtype) == kF32 ? DType::float32
                   : compute_type(dtype) == kF64 ? DType::float64
                                                 : DType::int64;
  const Dims shape = selected_shape(x.shape(), rows.shape(), first, count);
  Tensor v = value.dim() ? value : to_device(value, x.device());
  while (v.dim() > shape.n && v.size(0) == 1) v = squeeze(v, {0});
  broadcast_shapes(op.name, v.shape(), shape);
  v = to_dtype(v, at);
  if (into && v->storage == (*into)->storage) v = clone(v);
  const Extents n = extents(x.shape(), first, count);
  v = v.numel() == 1 && rows.numel() && n.P && n.S
          ? expand(reshape(v, {1, 1, 1}), {n.P, rows.numel(), n.S})
          : reshape(expand(v, shape), {n.P, rows.numel(), n.S});
  if (!into) return to_dtype(apply(op, {contiguous(to_dtype(x, at)), rows, v}, args), dtype);
  if (into->is_contiguous() && at == dtype)
    return run_into(make_call(op, std::initializer_list<Tensor>{*into, rows, v}, args), *into);
  return copy_(*into, apply(op, {contiguous(to_dtype(x, at)), rows, v}, args));
}

Tensor embedding(const Tensor& weight, const Tensor& rows, int64_t padding_idx,
                 bool scale_by_frequency) {
  check(weight.dim() == 2, ErrorKind::shape, "embedding: weight must be (rows, size), got shape ",
        weight.shape());
  return apply(kEmbedding, {contiguous(weight), as_rows("embedding", rows)},
               RowsArgs{0, 1, false, scale_by_frequency, true, padding_idx, {}});
}

}  // namespace lamina
