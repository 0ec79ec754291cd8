// x[key] and x[key] = value: what a Python key means, as views (ints, slices, None, Ellipsis) and
// index tensors (sequences, arrays, tensors, masks). PyTorch's rules: views are taken first, then
// the index tensors, whose dimensions stand where they were when adjacent, else first.
#include "ops/index.h"
#include "ops/ops.h"
#include "ops/transfer.h"
#include "python/types.h"

namespace lamina {
namespace {

// One item of the key, as it is applied to the dimension it has reached.
enum class Kind { integer, slice, none, ellipsis, flag, tensor };

struct Item {
  Kind kind;
  int64_t start = 0, stop = 0, step = 1;  // integer: start; flag: start is 0 or 1
  Tensor tensor;
};

int64_t to_int(PyObject* o) {
  int overflow = 0;
  const int64_t v = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow) fail(ErrorKind::index, "index: the integer does not fit into 64 bits");
  return v;
}

void set_slice(PyObject* o, Item* item) {
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(o, &start, &stop, &step) < 0) throw PythonError{};
  check(step > 0, ErrorKind::value, "index: slice step must be positive, got ", step,
        "; use .flip() to reverse");
  item->kind = Kind::slice;
  item->start = start;
  item->stop = stop;
  item->step = step;
}

void set_tensor(const Tensor& t, Item* item) {
  const DType d = t.dtype();
  check(!is_floating(d), ErrorKind::index,
        "index: tensors used as indices must be integer or bool, got ", t);
  if (t.dim() == 0) {  // a number or a flag
    const Scalar s = lamina::item(t);
    item->kind = d == DType::boolean || d == DType::uint8 ? Kind::flag : Kind::integer;
    item->start = item->kind == Kind::flag ? s.i != 0 : s.i;
    return;
  }
  item->kind = Kind::tensor;
  item->tensor = t;
}

Item parse(PyObject* o) {
  Item item{};
  if (PyLong_CheckExact(o)) {
    item.kind = Kind::integer;
    item.start = to_int(o);
  } else if (PySlice_Check(o)) {
    set_slice(o, &item);
  } else if (o == Py_None) {
    item.kind = Kind::none;
  } else if (o == Py_Ellipsis) {
    item.kind = Kind::ellipsis;
  } else if (PyBool_Check(o)) {
    item.kind = Kind::flag;
    item.start = o == Py_True;
  } else if (is_tensor(o)) {
    set_tensor(unwrap(o), &item);
  } else if (PySequence_Check(o) && !PyUnicode_Check(o) && !PyBytes_Check(o)) {
    const Tensor t = tensor_from_python(o, std::nullopt);
    if (t.numel() == 0 && is_floating(t.dtype()) && !PyObject_CheckBuffer(o))
      set_tensor(to_dtype(t, DType::int64), &item);  // []
    else
      set_tensor(t, &item);
  } else {
    Scalar s = 0;
    check(
        scalar_from_python(o, &s) && s.kind != Scalar::real, ErrorKind::index,
        "index: expected an int, slice, None, Ellipsis, bool, tensor, array or sequence of these, "
        "got ",
        Py_TYPE(o)->tp_name);
    item.kind = s.kind == Scalar::boolean ? Kind::flag : Kind::integer;
    item.start = s.i;
  }
  return item;
}

// A list (or another sequence that is not an array) stands for a tuple when it is short and holds
// what a tuple of indices holds: a tensor, a sequence, a slice, None or Ellipsis.
bool means_tuple(PyObject* key) {
  if (PyTuple_Check(key)) return true;
  if (is_tensor(key) || !PySequence_Check(key) || PyObject_CheckBuffer(key) || PyUnicode_Check(key))
    return false;
  const Py_ssize_t n = PySequence_Size(key);
  if (n < 0) PyErr_Clear();
  if (n < 0 || n >= 32) return false;
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* const o = PySequence_GetItem(key, i);
    if (!o) throw PythonError{};
    const bool index = is_tensor(o) || (PySequence_Check(o) && !PyUnicode_Check(o)) ||
                       PySlice_Check(o) || o == Py_None || o == Py_Ellipsis;
    Py_DECREF(o);
    if (index) return true;
  }
  return false;
}

int consumed(const Item& item) {
  if (item.kind == Kind::integer || item.kind == Kind::slice) return 1;
  if (item.kind != Kind::tensor) return 0;
  const DType d = item.tensor.dtype();
  return d == DType::boolean || d == DType::uint8 ? item.tensor.dim() : 1;
}

bool full_slice(const Item& item, int64_t size) {
  return item.start == 0 && item.step == 1 && item.stop >= size;
}

struct Reached {
  Tensor x;
  Tensors indices;  // empty: x is the result
};

Tensor select_item(const Tensor& x, int dim, int shown_dim, int64_t index) {
  const int64_t size = x.size(dim);
  check(index >= -size && index < size, ErrorKind::index, "index: index ", index,
        " is out of bounds for dimension ", shown_dim, " with size ", size);
  return select(x, dim, index);
}

// Applies the views of the key to x and collects its index tensors.
Reached apply_key(const Tensor& x, PyObject* key) {
  SmallVec<Item, 6> items;
  if (means_tuple(key)) {
    const std::unique_ptr<PyObject, void (*)(PyObject*)> held(PySequence_Tuple(key), Py_DecRef);
    PyObject* const keys = held.get();
    if (!keys) throw PythonError{};
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keys); ++i)
      items.push_back(parse(PyTuple_GET_ITEM(keys, i)));
  } else {
    items.push_back(parse(key));
  }
  int used = 0, ellipses = 0;
  for (const Item& item : items) {
    used += consumed(item);
    ellipses += item.kind == Kind::ellipsis;
  }
  check(ellipses <= 1, ErrorKind::index, "index: only one Ellipsis (...) is allowed");
  check(used <= x.dim(), ErrorKind::index, "index: too many indices (", used,
        ") for a tensor with ", x.dim(), " dimensions, shape ", x.shape());
  Reached r{x, {}};
  int dim = 0, shown = 0;  // in the result so far; in x
  for (const Item& item : items) {
    switch (item.kind) {
      case Kind::integer:
        r.x = select_item(r.x, dim, shown++, item.start);
        break;
      case Kind::slice:
        if (!full_slice(item, r.x.size(dim)))
          r.x = slice(r.x, dim, item.start, item.stop, item.step);
        ++dim;
        ++shown;
        break;
      case Kind::none:
        r.x = unsqueeze(r.x, dim++);
        break;
      case Kind::ellipsis:
        dim += x.dim() - used;
        shown += x.dim() - used;
        break;
      case Kind::flag:
        r.x = unsqueeze(r.x, dim);
        r.indices.resize(size_t(dim));
        r.indices.push_back(zeros({item.start}, DType::int64));
        ++dim;
        break;
      case Kind::tensor: {
        const int n = consumed(item);
        r.indices.resize(size_t(dim));
        const bool mask =
            item.tensor.dtype() == DType::boolean || item.tensor.dtype() == DType::uint8;
        if (mask) {
          for (int d = 0; d < n; ++d)
            check(item.tensor.size(d) == r.x.size(dim + d), ErrorKind::index,
                  "index: the mask with shape ", item.tensor.shape(),
                  " does not match the tensor with shape ", x.shape(), " at dimension ", shown + d);
          const bool alone = items.size() == 1;  // kept whole: x[mask] = number needs no list
          if (alone) {
            r.indices.push_back(item.tensor);
          } else {
            const Tensor places = nonzero(item.tensor);
            for (int d = 0; d < n; ++d) r.indices.push_back(select(places, 1, d));
          }
        } else {
          r.indices.push_back(item.tensor);
        }
        dim += n;
        shown += n;
        break;
      }
    }
  }
  return r;
}

// A new view with all of x.
Tensor whole(const Tensor& x) { return x.dim() ? slice(x, 0, 0, x.size(0), 1) : view(x, {}); }

Tensor value_tensor(PyObject* value, const Tensor& self) {
  if (is_tensor(value)) return unwrap(value);
  Scalar s = 0;
  if (!PySequence_Check(value) && scalar_from_python(value, &s)) return full({}, s, self.dtype());
  return to_device(tensor_from_python(value, self.dtype()), self.device());
}

// Leading dimensions of size 1 that the target lacks are dropped, as in PyTorch.
Tensor fit(const Tensor& value, int dims) {
  Tensor v = value;
  while (v.dim() > dims && v.size(0) == 1) v = squeeze(v, {0});
  return v;
}

}  // namespace

PyObject* tensor_getitem(const Tensor& self, PyObject* key) {
  if (PyLong_CheckExact(key)) {
    check(self.dim() > 0, ErrorKind::index,
          "index: a 0-dim tensor cannot be indexed with an int; use .item()");
    return wrap(select_item(self, 0, 0, to_int(key)));
  }
  Reached r = apply_key(self, key);
  if (!r.indices.empty()) return wrap(index(r.x, r.indices));
  return wrap(r.x.same(self) ? whole(self) : r.x);
}

int tensor_setitem(const Tensor& self, PyObject* key, PyObject* value) {
  Reached r = apply_key(self, key);
  if (!r.indices.empty()) {
    index_put_(r.x, r.indices, value_tensor(value, self), false);
    return 0;
  }
  Scalar s = 0;
  if (!is_tensor(value) && !PySequence_Check(value) && scalar_from_python(value, &s)) {
    fill_(r.x, s);
    return 0;
  }
  const Tensor v = fit(value_tensor(value, self), r.x.dim());
  const Dims both = broadcast_shapes("index", v.shape(), r.x.shape());
  check(both == r.x.shape(), ErrorKind::shape, "index: a value with shape ", v.shape(),
        " cannot be assigned to a region with shape ", r.x.shape());
  copy_(r.x, v);
  return 0;
}

}  // namespace lamina
