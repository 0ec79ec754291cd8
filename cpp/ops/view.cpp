// Views: (shape, strides, offset) over the memory of x. No kernels. The gradient of a view goes
// back through the same geometry:
//   view, squeeze, unsqueeze   gx = reshape(g)            permute   gx = permute(g, inverse)
//   expand                     gx = sum_to(g)
// Slices are in view_slice.cpp, overlapping views in view_strided.cpp.
#include "ops/view.h"

#include "ops/ops.h"
#include "ops/packed_dims.h"

namespace lamina {
namespace {

// ---- view: any regrouping of sizes whose strides exist -----------------------------------------
struct ViewArgs {
  PackedDims shape, strides;
};
void view_infer(Call& c) {
  const auto& a = c.args<ViewArgs>();
  c.output_view(c.in[0], unpack(a.shape), unpack(a.strides), c.in[0]->offset);
}
void view_vjp(Vjp& c) { c.set(0, reshape(c.g(), c.shape(0))); }
const Op kView{.name = "view", .infer = view_infer, .vjp = view_vjp, .complex = true};

Tensor make_view(const Tensor& x, const Dims& shape, const Dims& strides) {
  return apply(kView, {x}, ViewArgs{pack(shape), pack(strides)});
}

// Dimensions of x that step evenly over one another form a block; every new dimension has to lie
// inside one block. Filled from the last dimension on; false when one does not fit.
bool view_strides(const Tensor& x, const Dims& shape, Dims* out) {
  if (x.is_contiguous() || x.numel() == 0) {
    *out = contiguous_strides(shape);
    return true;
  }
  const Dims &old = x.shape(), &step = x.strides();
  *out = Dims::filled(shape.n, 1);
  int d = old.n - 1;
  int64_t left = 1, stride = 1;  // of the current block: elements not yet handed out, their step
  for (int i = shape.n - 1; i >= 0; --i) {
    if (shape.v[i] != 1 && left == 1) {
      while (d >= 0 && old.v[d] == 1) --d;
      if (d < 0) return false;
      left = old.v[d];
      stride = step.v[d];
      for (--d; d >= 0 && (old.v[d] == 1 || step.v[d] == left * stride); --d) left *= old.v[d];
    }
    if (left % shape.v[i]) return false;
    out->v[i] = stride;
    stride *= shape.v[i];
    left /= shape.v[i];
  }
  return true;
}

// Replaces a -1 by the size that makes the number of elements right.
Dims complete_shape(const char* op, const Tensor& x, const Dims& shape) {
  Dims out = shape;
  int unknown = -1;
  int64_t known = 1;
  for (int i = 0; i < shape.n; ++i) {
    if (shape.v[i] == -1) {
      check(unknown < 0, ErrorKind::shape, op, ": only one size may be -1, got ", shape);
      unknown = i;
      continue;
    }
    check(shape.v[i] >= 0, ErrorKind::shape, op, ": invalid size ", shape.v[i], " in shape ", shape,
          "; sizes are not negative, except one -1");
    known *= shape.v[i];
  }
  const int64_t numel = x.numel();
  if (unknown >= 0) {
    check(known != 0, ErrorKind::shape, op, ": the size -1 in ", shape,
          " is ambiguous because the other sizes multiply to 0; name it");
    check(numel % known == 0, ErrorKind::shape, op, ": shape ", x.shape(), " with ", numel,
          " elements cannot become ", shape, ": ", numel, " is not a multiple of ", known);
    out.v[unknown] = numel / known;
  } else {
    check(known == numel, ErrorKind::shape, op, ": shape ", x.shape(), " with ", numel,
          " elements cannot become ", shape, " with ", known,
          "; the number of elements must stay the same");
  }
  return out;
}

// ---- permute -----------------------------------------------------------------------------------
struct PermuteArgs {
  int8_t n, to[kMaxDims];  // output dimension i is input dimension to[i]
};
void permute_infer(Call& c) {
  const auto& a = c.args<PermuteArgs>();
  const Tensor& x = c.in[0];
  Dims shape, strides;
  for (int i = 0; i < a.n; ++i) {
    shape.push(x.shape().v[a.to[i]]);
    strides.push(x.strides().v[a.to[i]]);
  }
  c.output_view(x, shape, strides, x->offset);
}
void permute_vjp(Vjp& c) {
  const auto& a = c.args<PermuteArgs>();
  Dims inverse = Dims::filled(a.n, 0);
  for (int i = 0; i < a.n; ++i) inverse.v[a.to[i]] = i;
  c.set(0, permute(c.g(), inverse));
}
const Op kPermute{.name = "permute", .infer = permute_infer, .vjp = permute_vjp, .complex = true};

// ---- expand ------------------------------------------------------------------------------------
struct ExpandArgs {
  PackedDims shape;
};
void expand_infer(Call& c) {
  const Tensor& x = c.in[0];
  const Dims shape = unpack(c.args<ExpandArgs>().shape);
  const int lead = shape.n - x.dim();
  Dims strides;
  for (int i = 0; i < shape.n; ++i) {
    const bool repeated = i < lead || (x.shape().v[i - lead] == 1 && shape.v[i] != 1);
    strides.push(repeated ? 0 : x.strides().v[i - lead]);
  }
  c.output_view(x, shape, strides, x->offset);
}
void expand_vjp(Vjp& c) { c.set(0, sum_to(c.g(), c.shape(0))); }
const Op kExpand{.name = "expand", .infer = expand_infer, .vjp = expand_vjp, .complex = true};

void view_dtype_infer(Call& c) {
  const Tensor& x = c.in[0];
  c.output_view(x, x.shape(), x.strides(), x->offset);
  c.out.back()->dtype = c.args<DType>();
}
const Op kViewDtype{.name = "view_dtype", .infer = view_dtype_infer, .differentiable = false};

}  // namespace

Tensor reshape(const Tensor& x, const Dims& shape) {
  const Dims to = complete_shape("reshape", x, shape);
  Dims strides;
  if (view_strides(x, to, &strides)) return make_view(x, to, strides);
  return make_view(clone(x), to, contiguous_strides(to));
}

Tensor view(const Tensor& x, const Dims& shape) {
  const Dims to = complete_shape("view", x, shape);
  Dims strides;
  check(view_strides(x, to, &strides), ErrorKind::shape, "view: shape ", x.shape(),
        " with strides ", x.strides(), " cannot be seen as ", to,
        " without copying; use .reshape(...)");
  return make_view(x, to, strides);
}

Tensor permute(const Tensor& x, const Dims& dims) {
  check(dims.n == x.dim(), ErrorKind::shape, "permute: ", dims.n, " dimensions ", dims,
        " given for a tensor with ", x.dim(), ": shape ", x.shape());
  PermuteArgs a{};
  a.n = int8_t(dims.n);
  bool used[kMaxDims] = {};
  for (int i = 0; i < dims.n; ++i) {
    const int d = wrap_dim("permute", dims.v[i], x.dim());
    check(!used[d], ErrorKind::shape, "permute: dimension ", d, " appears twice in ", dims);
    used[d] = true;
    a.to[i] = int8_t(d);
  }
  return apply(kPermute, {x}, a);
}

Tensor transpose(const Tensor& x, int64_t a, int64_t b) {
  const int p = wrap_dim("transpose", a, x.dim()), q = wrap_dim("transpose", b, x.dim());
  PermuteArgs args{};
  args.n = int8_t(x.dim());
  for (int i = 0; i < x.dim(); ++i) args.to[i] = int8_t(i == p ? q : i == q ? p : i);
  return apply(kPermute, {x}, args);
}

Tensor expand(const Tensor& x, const Dims& shape) {
  const int lead = shape.n - x.dim();
  check(lead >= 0, ErrorKind::shape, "expand: shape ", x.shape(), " has more dimensions than ",
        shape);
  Dims to = shape;
  for (int i = 0; i < shape.n; ++i) {
    const int64_t have = i < lead ? 1 : x.shape().v[i - lead];
    if (shape.v[i] == -1) {
      check(i >= lead, ErrorKind::shape, "expand: size -1 at the new dimension ", i, " of ", shape,
            "; a new dimension needs a size");
      to.v[i] = have;
      continue;
    }
    check(shape.v[i] >= 0 && (have == 1 || have == shape.v[i]), ErrorKind::shape, "expand: shape ",
          x.shape(), " cannot expand to ", shape, ": size ", have, " at dimension ", i,
          " is neither 1 nor ", shape.v[i]);
  }
  return apply(kExpand, {x}, ExpandArgs{pack(to)});
}

Tensor broadcast_to(const Tensor& x, const Dims& shape) { return expand(x, shape); }

Tensor squeeze(const Tensor& x) {
  Dims shape, strides;
  for (int i = 0; i < x.dim(); ++i) {
    if (x.shape().v[i] == 1) continue;
    shape.push(x.shape().v[i]);
    strides.push(x.strides().v[i]);
  }
  return make_view(x, shape, strides);
}

Tensor squeeze(const Tensor& x, const Dims& dims) {
  bool drop[kMaxDims] = {};
  for (int64_t d : dims) drop[wrap_dim("squeeze", d, x.dim())] = true;
  Dims shape, strides;
  for (int i = 0; i < x.dim(); ++i) {
    if (drop[i] && x.shape().v[i] == 1) continue;
    shape.push(x.shape().v[i]);
    strides.push(x.strides().v[i]);
  }
  return make_view(x, shape, strides);
}

Tensor unsqueeze(const Tensor& x, int64_t dim) {
  const int d = wrap_dim("unsqueeze", dim, x.dim() + 1);
  Dims shape = x.shape(), strides = x.strides();
  strides.insert(d, d < x.dim() ? shape.v[d] * strides.v[d] : 1);
  shape.insert(d, 1);
  return make_view(x, shape, strides);
}

Tensor detach(const Tensor& x) { return alias(x); }

Tensor view_dtype(const Tensor& x, DType dtype) {
  if (dtype == x.dtype()) return alias(x);
  check(item_size(dtype) == item_size(x.dtype()), ErrorKind::dtype, "view: ", x.dtype(), " and ",
        dtype, " have different sizes (", item_size(x.dtype()), " and ", item_size(dtype),
        " bytes); use .to(dtype) to convert the values");
  return apply(kViewDtype, {x}, dtype);
}

}  // namespace lamina
