// In-place writes and the tape.
//
// x.op_(...) on a plain tensor: the handle's call becomes the new call. On a view v of base b:
//   b's new value = b with v's region replaced, so b gets the call `copy_slices(b_old, v_new)`,
//   and v, like every other view of b, is again a view of b: its call is rebuilt from b's when it
//   is next looked at (b->rebased against v->view->seen).
#include "ops/apply.h"
#include "ops/complex.h"
#include "ops/ops.h"

namespace lamina {
namespace {

// Where a view lies inside its base, and the base's own strides.
struct GeometryArgs {
  int8_t base_n, n;
  bool parts;  // one of them is complex, the other shows its parts: both are seen as parts
  int64_t offset;
  int64_t base_strides[kMaxDims], strides[kMaxDims];
};

GeometryArgs pack(const Tensor& whole, const Tensor& seen) {
  GeometryArgs a{};
  a.parts = is_complex(whole.dtype()) != is_complex(seen.dtype());
  const Tensor base = a.parts && is_complex(whole.dtype()) ? parts_of(whole) : whole;
  const Tensor view = a.parts && is_complex(seen.dtype()) ? parts_of(seen) : seen;
  a.base_n = int8_t(base.dim());
  a.n = int8_t(view.dim());
  a.offset = view->offset - base->offset;
  for (int i = 0; i < base.dim(); ++i) a.base_strides[i] = base.stride(i);
  for (int i = 0; i < view.dim(); ++i) a.strides[i] = view.stride(i);
  return a;
}

// A copy of g laid out as the base is (dense for everything this library allocates), so that the
// view's strides and offset apply to it.
Tensor in_base_layout(const Tensor& g, const GeometryArgs& a) {
  Dims strides;
  int64_t span = 1;
  for (int i = 0; i < a.base_n; ++i) {
    strides.push(a.base_strides[i]);
    if (g.shape()[i] > 1) span += (g.shape()[i] - 1) * a.base_strides[i];
  }
  Tensor memory = empty({span}, g.dtype(), g.device());
  Tensor copy = Tensor::view_of(memory, g.shape(), strides, 0);
  copy_(copy, g);
  return copy;
}

Tensor region(const Tensor& base_like, const GeometryArgs& a, const Dims& shape) {
  Dims strides;
  for (int i = 0; i < a.n; ++i) strides.push(a.strides[i]);
  return Tensor::view_of(base_like, shape, strides, base_like->offset + a.offset);
}

// A gradient, and a shape of dtype d, as parts where the geometry is in them; and back.
Tensor seen_as(const GeometryArgs& a, const Tensor& g) {
  return a.parts && is_complex(g.dtype()) ? view_as_real(contiguous(g)) : g;
}
Dims shape_of(const GeometryArgs& a, Dims shape, DType d) {
  if (a.parts && is_complex(d)) shape.push(2);
  return shape;
}
Tensor as_before(const Tensor& g, DType d) {
  return is_complex(d) && !is_complex(g.dtype()) ? view_as_complex(contiguous(g)) : g;
}

void no_infer(Call&) {}

// y = base with the region replaced by v.  g_base = g outside the region, 0 inside; g_v = g inside.
void copy_slices_vjp(Vjp& c) {
  const auto& a = c.args<GeometryArgs>();
  const Dims shape = shape_of(a, c.shape(1), c.dtype(1));
  const Tensor whole = seen_as(a, c.g());
  if (grad_enabled()) {  // for higher derivatives: the same in recorded ops
    const Tensor g = whole;
    Dims strides;
    for (int i = 0; i < a.n; ++i) strides.push(a.strides[i]);
    Tensor dense = clone(g);
    check(dense.strides() == Dims(std::vector<int64_t>(a.base_strides, a.base_strides + a.base_n)),
          ErrorKind::not_implemented,
          "copy_slices: higher derivatives through writes into a view of a non-contiguous tensor");
    if (c.needs(1)) {
      const Tensor inside = contiguous(as_strided(dense, shape, strides, a.offset));
      c.set(1, as_before(inside, c.dtype(1)));
    }
    if (c.needs(0)) {
      Tensor mask = ones(g.shape(), g.dtype());
      Tensor inside = region(mask, a, shape);
      fill_(inside, 0.0);
      c.set(0, as_before(g * mask, c.dtype(0)));
    }
    return;
  }
  Tensor g = in_base_layout(whole, a);
  Tensor inside = region(g, a, shape);
  if (c.needs(1)) c.set(1, as_before(clone(inside), c.dtype(1)));
  if (c.needs(0)) {
    fill_(inside, 0.0);
    c.set(0, as_before(g, c.dtype(0)));
  }
}
const Op kCopySlices{.name = "copy_slices", .infer = no_infer, .vjp = copy_slices_vjp};

// v = the region of base.  g_base = zeros with g in the region.
void region_vjp(Vjp& c) {
  const auto& a = c.args<GeometryArgs>();
  Dims strides;
  for (int i = 0; i < a.base_n; ++i) strides.push(a.base_strides[i]);
  int64_t span = 1;
  const Dims whole = shape_of(a, c.shape(0), c.dtype(0));
  const Tensor g = seen_as(a, c.g());
  for (int i = 0; i < a.base_n; ++i)
    if (whole[i] > 1) span += (whole[i] - 1) * a.base_strides[i];
  Tensor zero = Tensor::view_of(zeros({span}, g.dtype()), whole, strides, 0);
  Tensor inside = region(zero, a, g.shape());
  if (grad_enabled())
    copy_(as_strided(zero, inside.shape(), inside.strides(), inside->offset), g);
  else
    copy_(inside, g);
  c.set(0, as_before(zero, c.dtype(0)));
}
const Op kRegion{.name = "as_strided", .infer = no_infer, .vjp = region_vjp};

Source source_of(const Tensor& shape_like, Edge edge) {
  Source s;
  s.edge = std::move(edge);
  s.shape = shape_like.shape();
  s.dtype = shape_like.dtype();
  return s;
}

Edge edge_of_base(const Tensor& base) {
  if (base->call) return {base->call, {}, base->index};
  return {};
}

}  // namespace

void refresh_view(TensorImpl& t) {
  const Tensor base = t.view->base;
  t.view->seen = base->rebased;
  if (!base->call) return;
  const Tensor self(&t);
  CallRef call = make_call(kRegion, std::initializer_list<Tensor>{Tensor()}, pack(base, self));
  call->device = base.device();
  call->source.push_back(source_of(base, edge_of_base(base)));
  call->out.push_back(self);
  note_outputs(call, {self});
  t.call = call;
  t.index = 0;
}

void check_in_place(const char* op, const Tensor& into) {
  check(!(into->requires_grad && !into->call), ErrorKind::runtime, op,
        ": a leaf tensor that requires grad is being used in an in-place operation; do it under "
        "lamina.no_grad(), or on a copy");
  if (into->view) {
    const Tensor& base = into->view->base;
    check(!(base->requires_grad && !base->call), ErrorKind::runtime, op,
          ": a view of a leaf tensor that requires grad is being used in an in-place operation; do "
          "it under lamina.no_grad(), or on a copy");
  }
}

void record_in_place(const CallRef& call, const Tensor& into) {
  call->out.resize(1);
  note_outputs(call, {into});
  if (!into->view) {
    into->call = call;
    into->index = 0;
    ++into->rebased;
    return;
  }
  const Tensor base = into->view->base;
  CallRef merge =
      make_call(kCopySlices, std::initializer_list<Tensor>{Tensor(), Tensor()}, pack(base, into));
  merge->device = base.device();
  merge->source.push_back(source_of(base, edge_of_base(base)));
  merge->source.push_back(source_of(into, Edge{call, {}, 0}));
  merge->out.push_back(base);
  note_outputs(merge, {base});
  base->call = merge;
  base->index = 0;
  ++base->rebased;
  refresh_view(*into);
}

}  // namespace lamina
