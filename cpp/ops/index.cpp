// x[indices] and x[indices] = value for index tensors and masks: the index tensors become row
// numbers (index_rows.cpp does the rest). Masks, nonzero.
#include "ops/index.h"

#include <algorithm>
#include <vector>

#include "core/threads.h"
#include "ops/index_args.h"
#include "ops/ops.h"
#include "ops/strided.h"
#include "ops/transfer.h"

namespace lamina {
namespace {

// ---- row numbers from several index tensors ----------------------------------------------------
// rows = sum_k wrap(index_k) * (product of the sizes after k); out of range: an error.
void offsets_infer(Call& c) {
  Dims shape = c.in[0].shape();
  for (int i = 1; i < c.in.size(); ++i) shape = broadcast_shapes("index", shape, c.in[i].shape());
  c.output(shape, DType::int64);
}
void offsets_launch(Call& c) {
  const auto& a = c.args<OffsetsArgs>();
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  int64_t* const rows = y.data<int64_t>();
  for (int k = 0; k < c.in.size(); ++k) {
    const Tensor& index = c.in[k];
    const int64_t* const from = index.data<int64_t>();
    const int64_t size = a.sizes[k];
    StridedLoop loop(y.shape());
    loop.operand(y);
    loop.operand(index);
    loop.merge();
    parallel_rows(loop.numel, 2.0, [&](int64_t b, int64_t e) {
      const int64_t ys = loop.inner(0), xs = loop.inner(1);
      loop.runs(b, e, [&](const int64_t* at, int64_t n) {
        for (int64_t i = 0; i < n; ++i) {
          const int64_t v = from[at[1] + i * xs], w = v < 0 ? v + size : v;
          if (uint64_t(w) >= uint64_t(size))
            fail(ErrorKind::index, "index: index ", v, " is out of bounds for dimension ",
                 a.first + k, " with size ", size);
          int64_t& row = rows[at[0] + i * ys];
          row = k ? row * size + w : w;
        }
      });
    });
  }
}
const Op kOffsets{.name = "index_offsets",
                  .infer = offsets_infer,
                  .launch = offsets_launch,
                  .differentiable = false};

// ---- nonzero -----------------------------------------------------------------------------------
struct NonzeroArgs {
  int64_t count;
};
void nonzero_infer(Call& c) {
  c.output({c.args<NonzeroArgs>().count, c.in[0].dim()}, DType::int64);
}
// A dense mask is cut into pieces of bytes: the trues of each are counted, then listed behind those
// of the pieces before it.
constexpr int64_t kPiece = 8192;
std::vector<int64_t> count_pieces(const Tensor& mask) {
  const int64_t n = mask.numel(), pieces = (n + kPiece - 1) / kPiece;
  const uint8_t* const p = mask.data<uint8_t>();
  std::vector<int64_t> before(size_t(pieces) + 1);
  parallel_rows(pieces, 0.05 * kPiece, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i)
      before[size_t(i) + 1] =
          cpu_kernels().index.count_true(p + i * kPiece, std::min(kPiece, n - i * kPiece));
  });
  for (size_t i = 1; i < before.size(); ++i) before[i] += before[i - 1];
  return before;
}
// The `count` trues in bytes [b, e): one row of coordinates each. First their places in the last
// column, which then become coordinates in order.
void list_nonzero(const Tensor& x, int64_t b, int64_t e, int64_t* out, int64_t count) {
  const int nd = x.dim(), last = nd - 1;
  cpu_kernels().index.list_true(x.data<uint8_t>() + b, e - b, b, count, nd, out + last);
  if (nd == 1) return;
  const int64_t n = x.size(last);
  int64_t index[kMaxDims], row = b / n;
  for (int64_t d = last - 1, rest = row; d >= 0; --d) {
    index[d] = rest % x.size(int(d));
    rest /= x.size(int(d));
  }
  row *= n;
  for (int64_t k = 0; k < count; ++k, out += nd) {
    for (; out[last] >= row + n; row += n)
      for (int d = last - 1; d >= 0 && ++index[d] == x.size(d); --d) index[d] = 0;
    for (int d = 0; d < last; ++d) out[d] = index[d];
    out[last] -= row;
  }
}
void nonzero_launch(Call& c) {
  const Tensor& x = c.in[0];
  int64_t* const out = c.out[0].data<int64_t>();
  if (x.numel() == 0 || x.dim() == 0) return;
  const std::vector<int64_t> before = count_pieces(x);
  parallel_rows(int64_t(before.size()) - 1, 0.3 * kPiece, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i)
      list_nonzero(x, i * kPiece, std::min((i + 1) * kPiece, x.numel()),
                   out + before[size_t(i)] * x.dim(), before[size_t(i) + 1] - before[size_t(i)]);
  });
}
const Op kNonzero{
    .name = "nonzero", .infer = nonzero_infer, .launch = nonzero_launch, .differentiable = false};

// ---- masks and placement -----------------------------------------------------------------------
bool is_mask(const Tensor& t) { return t.dtype() == DType::boolean || t.dtype() == DType::uint8; }

// Masks replaced by the int64 indices of their true elements, one per dimension of the mask.
Tensors expand_masks(const Tensor& x, const Tensors& indices) {
  Tensors out;
  for (const Tensor& t : indices) {
    if (!t.defined()) {
      out.push_back(t);
      continue;
    }
    if (!is_mask(t)) {
      out.push_back(to_device(as_rows("index", t), x.device()));
      continue;
    }
    const int at = int(out.size());
    for (int d = 0; d < t.dim(); ++d)
      check(at + d < x.dim() && t.size(d) == x.size(at + d), ErrorKind::index,
            "index: the mask with shape ", t.shape(), " does not match the tensor with shape ",
            x.shape(), " at dimension ", at + d);
    const Tensor places = to_device(nonzero(t), x.device());
    for (int d = 0; d < t.dim(); ++d) out.push_back(contiguous(select(places, 1, d)));
  }
  check(int(out.size()) <= x.dim(), ErrorKind::index, "index: too many indices (", out.size(),
        ") for a tensor with ", x.dim(), " dimensions");
  return out;
}

struct Placed {
  Tensor x;     // the indexed dimensions adjacent
  Tensor rows;  // their row numbers
  int first = 0, count = 0;
  bool moved = false;
};

Placed place(const Tensor& x, const Tensors& indices) {
  Placed p;
  const Tensors list = expand_masks(x, indices);
  Dims order, sizes;
  int last = -1;
  bool adjacent = true;
  Tensors used;
  for (int d = 0; d < int(list.size()); ++d) {
    if (!list[size_t(d)].defined()) continue;
    if (used.empty())
      p.first = d;
    else if (last != d - 1)
      adjacent = false;
    last = d;
    order.push(d);
    sizes.push(x.size(d));
    used.push_back(list[size_t(d)]);
  }
  check(!used.empty(), ErrorKind::index, "index: no index tensors given");
  p.count = order.n;
  p.x = x;
  const int first = p.first;
  if (!adjacent) {
    for (int d = 0; d < x.dim(); ++d)
      if (d >= int(list.size()) || !list[size_t(d)].defined()) order.push(d);
    p.x = permute(x, order);
    p.first = 0;
    p.moved = true;
  }
  if (p.count == 1) {
    p.rows = used[0];
    return p;
  }
  OffsetsArgs a{};
  a.first = first;
  for (int i = 0; i < sizes.n; ++i) a.sizes[i] = sizes.v[i];
  p.rows = std::move(run(make_call(kOffsets, used, a))[0]);
  return p;
}

int where_function() {
  static const int f = function_index("where");
  return f;
}
void check_mask(const char* name, const Tensor& mask) {
  check(mask.dtype() == DType::boolean, ErrorKind::dtype, name, ": the mask must be bool, got ",
        mask, "; compare with != 0");
}

}  // namespace

Tensor index(const Tensor& x, const Tensors& indices) {
  const Placed p = place(x, indices);
  return select_rows("index", p.x, p.rows, p.first, p.count);
}

static void check_same_dtype(const Tensor& x, const Tensor& value) {
  check(x.dtype() == value.dtype() || value->wrapped_number, ErrorKind::dtype,
        "index_put: the tensor is of ", x.dtype(), ", the values of ", value.dtype(),
        "; convert them with .to()");
}
Tensor index_put(const Tensor& x, const Tensors& indices, const Tensor& value, bool accumulate) {
  return index_put_(clone(x), indices, value, accumulate);
}

Tensor index_put_(const Tensor& x, const Tensors& indices, const Tensor& value, bool accumulate) {
  const Tensor* only = indices.size() == 1 ? &indices[0] : nullptr;
  if (only && only->defined() && only->dtype() == DType::boolean && value.numel() == 1 &&
      !accumulate && only->dim() > 0 && only->dim() <= x.dim()) {  // x[mask] = number
    bool fits = true;
    Dims shape = only->shape();
    for (int d = 0; d < only->dim(); ++d) fits = fits && only->size(d) == x.size(d);
    for (int d = only->dim(); d < x.dim(); ++d) shape.push(1);
    if (fits) {
      masked_fill_(x, reshape(*only, shape), reshape(value, {}));
      return x;
    }
  }
  check_same_dtype(x, value);
  const Placed p = place(x, indices);
  put_rows("index_put", p.x, p.rows, p.first, p.count, value, accumulate, &p.x);
  return x;
}

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& rows) {
  check(rows.dim() <= 1, ErrorKind::shape, "index_select: index must be 1-D, got shape ",
        rows.shape());
  const Tensor list = reshape(as_rows("index_select", rows), {-1});
  if (x.dim() == 0) return reshape(select_rows("index_select", reshape(x, {1}), list, 0, 1), {});
  return select_rows("index_select", x, list, wrap_dim("index_select", dim, x.dim()), 1);
}

namespace {
// Common to index_add, index_copy: rows 1-D, source shaped like x but for `dim`.
Tensor put_dim(const char* name, const Tensor& x, int64_t dim, const Tensor& rows,
               const Tensor& source, bool accumulate) {
  const int d = wrap_dim(name, dim, x.dim());
  check(rows.dim() <= 1, ErrorKind::shape, name, ": index must be 1-D, got shape ", rows.shape());
  check(source.dtype() == x.dtype(), ErrorKind::dtype, name, ": source has dtype ", source.dtype(),
        " but the tensor has ", x.dtype(), "; convert with .to()");
  Dims want = x.shape();
  if (want.n) want.v[d] = rows.numel();
  check(source.shape() == want || (source.dim() == 0 && rows.numel() == 1), ErrorKind::shape, name,
        ": source has shape ", source.shape(), ", expected ", want, " for ", rows.numel(),
        " indices at dimension ", d, " of ", x.shape());
  const Tensor list = reshape(as_rows(name, rows), {-1});
  if (x.dim() == 0)
    return reshape(put_rows(name, reshape(x, {1}), list, 0, 1, source, accumulate, nullptr), {});
  return put_rows(name, x, list, d, 1, source, accumulate, nullptr);
}
}  // namespace

Tensor index_add(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& source,
                 Scalar alpha) {
  const Tensor s = alpha.d == 1 ? source : mul(source, scalar_tensor(alpha));
  return put_dim("index_add", x, dim, rows, s, true);
}
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& source) {
  return put_dim("index_copy", x, dim, rows, source, false);
}
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& value) {
  check(value.dim() == 0, ErrorKind::shape,
        "index_fill: value must be a number or 0-dim, got shape ", value.shape());
  const Tensor list = reshape(as_rows("index_fill", rows), {-1});
  return put_rows("index_fill", x, list, wrap_dim("index_fill", dim, x.dim()), 1, value, false,
                  nullptr);
}

Tensor take(const Tensor& x, const Tensor& places) {
  return select_rows("take", reshape(x, {-1}), as_rows("take", places), 0, 1);
}

Tensor nonzero(const Tensor& x) {
  // How many there are decides the shape: the CPU has to know in any case.
  if (x.device().type != DeviceType::cpu) {
    note_read("nonzero", &x);
    return to_device(nonzero(to_host(x)), x.device());
  }
  if (is_complex(x.dtype()))
    return nonzero(elementwise(function_index("ne"), {x, scalar_tensor(0)}));
  const Tensor t = contiguous(item_size(x.dtype()) == 1 ? x : to_dtype(x, DType::boolean));
  note_read("nonzero", &t);
  const int64_t count = count_pieces(t).back();
  return apply(kNonzero, {t}, NonzeroArgs{count});
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
  check_mask("masked_fill", mask);
  check(value.dim() == 0, ErrorKind::shape,
        "masked_fill: value must be a number or 0-dim, got shape ", value.shape());
  if (value->wrapped_number && !is_complex(value.dtype()))
    check_fits("masked_fill", item(value), x.dtype());
  return elementwise(where_function(), {mask, to_dtype(value, x.dtype()), x});
}
Tensor masked_fill_(const Tensor& x, const Tensor& mask, const Tensor& value) {
  check_mask("masked_fill_", mask);
  check(value.dim() == 0, ErrorKind::shape,
        "masked_fill_: value must be a number or 0-dim, got shape ", value.shape());
  if (value->wrapped_number && !is_complex(value.dtype()))
    check_fits("masked_fill_", item(value), x.dtype());
  return elementwise_into(where_function(), {mask, to_dtype(value, x.dtype()), x}, x);
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  check_mask("masked_select", mask);
  const Dims shape = broadcast_shapes("masked_select", x.shape(), mask.shape());
  const Tensor places = reshape(nonzero(reshape(expand(mask, shape), {-1})), {-1});
  return select_rows("index", reshape(expand(x, shape), {-1}), places, 0, 1);
}

Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source) {
  check_mask("masked_scatter", mask);
  check(source.dtype() == x.dtype(), ErrorKind::dtype, "masked_scatter: source has dtype ",
        source.dtype(), " but the tensor has ", x.dtype(), "; convert with .to()");
  const Dims shape = broadcast_shapes("masked_scatter", x.shape(), mask.shape());
  const Tensor places = reshape(nonzero(reshape(expand(mask, shape), {-1})), {-1});
  check(source.numel() >= places.numel(), ErrorKind::shape, "masked_scatter: the mask has ",
        places.numel(), " true elements but source has only ", source.numel());
  const Tensor flat = reshape(expand(x, shape), {-1});
  const Tensor v = slice(reshape(source, {-1}), 0, 0, places.numel(), 1);
  return reshape(put_rows("index_put", flat, places, 0, 1, v, false, nullptr), shape);
}

}  // namespace lamina
