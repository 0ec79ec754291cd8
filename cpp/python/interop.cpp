// Data in and out: the buffer protocol (NumPy and friends), DLPack, nested sequences.
#include <cstring>

#include "ops/ops.h"
#include "ops/transfer.h"
#include "python/types.h"

namespace lamina {
namespace {

struct GilForRelease {
  PyGILState_STATE state = PyGILState_Ensure();
  ~GilForRelease() { PyGILState_Release(state); }
};

DType dtype_of_format(const char* format, Py_ssize_t itemsize) {
  const char* f = format ? format : "B";
  if (*f == '<' || *f == '=' || *f == '@' || *f == '|') ++f;
  if (*f == 'Z' && (f[1] == 'f' || f[1] == 'd') && !f[2])
    return f[1] == 'f' ? DType::complex64 : DType::complex128;
  switch (f[1] ? '\0' : *f) {
    case '?':
      return DType::boolean;
    case 'b':
      return DType::int8;
    case 'B':
      return DType::uint8;
    case 'h':
      return DType::int16;
    case 'i':
      return DType::int32;
    case 'l':
      return itemsize == 8 ? DType::int64 : DType::int32;
    case 'q':
      return DType::int64;
    case 'e':
      return DType::float16;
    case 'f':
      return DType::float32;
    case 'd':
      return DType::float64;
  }
  fail(ErrorKind::type, "from_numpy: arrays of type '", f, "' (", itemsize,
       " bytes) have no lamina dtype; supported are float16/32/64, complex64/128, int8/16/32/64, "
       "uint8 and bool");
}

}  // namespace

Tensor from_buffer(PyObject* array) {
  note_read("from_buffer");
  auto* view = new Py_buffer;
  int writable = 1;
  if (PyObject_GetBuffer(array, view, PyBUF_RECORDS) != 0) {
    PyErr_Clear();
    writable = 0;
    if (PyObject_GetBuffer(array, view, PyBUF_RECORDS_RO) != 0) {
      delete view;
      throw PythonError{};
    }
  }
  StorageRef storage = adopt(
      view->buf, size_t(view->len),
      [view] {
        GilForRelease gil;
        PyBuffer_Release(view);
        delete view;
      },
      writable != 0);
  const DType dtype = dtype_of_format(view->format, view->itemsize);
  Dims shape, strides;
  int64_t extent = 1;
  for (int i = 0; i < view->ndim; ++i) {
    const int64_t step = view->strides[i];
    check(step >= 0 || view->shape[i] <= 1, ErrorKind::value,
          "from_numpy: arrays with negative strides are not supported; pass array.copy()");
    check(step % view->itemsize == 0, ErrorKind::value, "from_numpy: stride ", step,
          " is not a multiple of the item size ", view->itemsize, "; pass array.copy()");
    shape.push(view->shape[i]);
    strides.push(view->shape[i] > 1 ? step / view->itemsize : 1);
    if (view->shape[i] > 0) extent += (view->shape[i] - 1) * strides[i];
  }
  storage->bytes = size_t(extent * item_size(dtype));
  Tensor t = Tensor::meta(shape, dtype);
  t->storage = storage;
  t->strides = strides;
  return t;
}

// ---- DLPack (github.com/dmlc/dlpack, version 0 structures) -------------------------------------
namespace {

struct DLDevice {
  int32_t type, id;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor t;
  void* context;
  void (*deleter)(DLManagedTensor*);
};
enum { kDlCpu = 1, kDlCuda = 2, kDlCudaHost = 3 };
enum { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };

DLDataType to_dl(DType d) {
  const uint8_t bits = uint8_t(item_size(d) * 8);
  if (d == DType::bfloat16) return {kBfloat, bits, 1};
  if (is_floating(d)) return {kFloat, bits, 1};
  if (is_complex(d)) return {kComplex, bits, 1};
  if (d == DType::boolean) return {kBool, bits, 1};
  return {uint8_t(d == DType::uint8 ? kUInt : kInt), bits, 1};
}
DType from_dl(DLDataType d) {
  for (int i = 0; i < kDTypes; ++i) {
    const DLDataType t = to_dl(DType(i));
    if (t.code == d.code && t.bits == d.bits && d.lanes == 1) return DType(i);
  }
  fail(ErrorKind::type, "from_dlpack: type code ", int(d.code), " with ", int(d.bits),
       " bits has no lamina dtype");
}

struct Exported {
  DLManagedTensor managed;
  Tensor keep;
  Exported(DLManagedTensor m, const Tensor& t) : managed(m), keep(t) { keep->storage->lend(); }
  ~Exported() { keep->storage->give_back(); }
};

void drop_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, "dltensor")) return;  // consumed: the consumer calls deleter
  auto* m = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"));
  m->deleter(m);
}

}  // namespace

PyObject* to_dlpack(const Tensor& t) {
  note_read("to_dlpack");
  check(!needs_grad(t) || !grad_enabled(), ErrorKind::runtime,
        "__dlpack__: the tensor requires grad; use .detach()");
  const bool cpu = t.device().type == DeviceType::cpu;
  const DLDevice device{cpu ? kDlCpu : kDlCuda, cpu ? 0 : t.device().index};
  auto* e = new Exported{{}, t};
  e->managed.t = {t.data(),           device, t.dim(), to_dl(t.dtype()), e->keep->shape.v,
                  e->keep->strides.v, 0};
  e->managed.context = e;
  e->managed.deleter = [](DLManagedTensor* m) { delete static_cast<Exported*>(m->context); };
  return PyCapsule_New(&e->managed, "dltensor", drop_capsule);
}

Tensor from_dlpack_capsule(PyObject* capsule) {
  auto* m = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"));
  if (!m) throw PythonError{};
  const bool cpu = m->t.device.type == kDlCpu || m->t.device.type == kDlCudaHost;
  check(cpu || m->t.device.type == kDlCuda, ErrorKind::device,
        "from_dlpack: memory of device type ", m->t.device.type,
        " cannot be shared, only that of the CPU (1) and of CUDA (2)");
  Device device;
  if (!cpu) {
    device = {DeviceType::cuda, int8_t(m->t.device.id)};
    device_table("from_dlpack", device);
  }
  const DType dtype = from_dl(m->t.dtype);
  Dims shape, strides;
  for (int i = 0; i < m->t.ndim; ++i) shape.push(m->t.shape[i]);
  if (m->t.strides)
    for (int i = 0; i < m->t.ndim; ++i) strides.push(m->t.strides[i]);
  else
    strides = contiguous_strides(shape);
  PyCapsule_SetName(capsule, "used_dltensor");
  Tensor t = Tensor::meta(shape, dtype, device);
  t->strides = strides;
  t->storage = adopt(
      static_cast<char*>(m->t.data) + m->t.byte_offset, size_t(shape.product() * item_size(dtype)),
      [m] {
        GilForRelease gil;
        if (m->deleter) m->deleter(m);
      },
      true);
  t->storage->device = device;
  return t;
}

// ---- nested sequences --------------------------------------------------------------------------
namespace {

// What a nested sequence holds: its shape, and the widest kind of number inside.
struct Nested {
  Dims shape;
  bool any = false;
  DType dtype = DType::boolean;
  bool huge = false;  // an integer beyond 64 bits

  void see(DType d) {
    dtype = any ? promote(dtype, d) : d;
    any = true;
  }
};

bool is_sequence(PyObject* o) { return PyList_Check(o) || PyTuple_Check(o) || PyRange_Check(o); }

Tensor leaf_array(PyObject* o) {
  if (is_tensor(o)) return to_host(unwrap(o));
  return from_buffer(o);
}
bool is_array(PyObject* o) {
  return is_tensor(o) || (PyObject_CheckBuffer(o) && !PyBytes_Check(o));
}

void survey(PyObject* o, int depth, Nested& n, bool first) {
  if (is_sequence(o)) {
    PyObject* seq = PySequence_Fast(o, "");
    if (!seq) throw PythonError{};
    struct Drop {
      PyObject* p;
      ~Drop() { Py_DECREF(p); }
    } drop{seq};
    const Py_ssize_t size = PySequence_Fast_GET_SIZE(seq);
    if (first) n.shape.push(size);
    check(depth < n.shape.n && n.shape[depth] == size, ErrorKind::value,
          "tensor: expected a "
          "sequence of length ",
          depth < n.shape.n ? n.shape[depth] : 0, " at dimension ", depth, " but got length ", size,
          "; all rows must be equally long");
    for (Py_ssize_t i = 0; i < size; ++i)
      survey(PySequence_Fast_GET_ITEM(seq, i), depth + 1, n, first && i == 0);
    return;
  }
  Dims inner;
  Scalar s = 0;
  double re, im;
  if (is_array(o) && !(PyFloat_CheckExact(o) || PyLong_Check(o))) {
    const Tensor t = leaf_array(o);
    if (!is_tensor(o))
      inner = t.shape();
    else  // a tensor in a list is a number, whatever its dimensions, as in PyTorch
      check(t.numel() == 1, ErrorKind::value,
            "tensor: only one element tensors can be converted to Python scalars, got shape ",
            t.shape(), "; use stack or cat to join tensors");
    n.see(t.dtype());
  } else if (scalar_from_python(o, &s)) {
    n.huge |= s.kind == Scalar::real && PyLong_Check(o);
    n.see(s.kind == Scalar::real      ? default_dtype()
          : s.kind == Scalar::integer ? DType::int64
                                      : DType::boolean);
  } else if (complex_from_python(o, &re, &im)) {
    n.see(complex_type(default_dtype()));
  } else {
    fail(ErrorKind::dtype, "tensor: cannot convert an object of type ", Py_TYPE(o)->tp_name,
         "; pass numbers, (nested) lists of numbers, arrays or tensors");
  }
  if (first)
    for (int64_t d : inner) n.shape.push(d);
  check(n.shape.n == depth + inner.n, ErrorKind::value,
        "tensor: rows have different depths; all must be nested equally");
  for (int i = 0; i < inner.n; ++i)
    check(n.shape[depth + i] == inner[i], ErrorKind::value, "tensor: items have different shapes");
}

// d receives floats, or pairs of them; without it i receives whole numbers.
void fill_from(PyObject* o, double*& d, int64_t*& i, bool pairs) {
  if (is_sequence(o)) {
    PyObject* seq = PySequence_Fast(o, "");
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(seq); ++k)
      fill_from(PySequence_Fast_GET_ITEM(seq, k), d, i, pairs);
    Py_DECREF(seq);
    return;
  }
  if (is_array(o) && !(PyFloat_CheckExact(o) || PyLong_Check(o))) {
    const Tensor t = leaf_array(o);
    const Tensor c = contiguous(to_dtype(t, pairs ? DType::complex128
                                            : d   ? DType::float64
                                                  : DType::int64));
    if (d) {
      const int64_t count = c.numel() * (pairs ? 2 : 1);
      std::memcpy(d, c.data(), size_t(count) * 8);
      d += count;
    } else {
      std::memcpy(i, c.data(), size_t(c.numel()) * 8);
      i += c.numel();
    }
    return;
  }
  Scalar s = 0.0;
  double im = 0;
  if (!scalar_from_python(o, &s)) complex_from_python(o, &s.d, &im);
  if (d)
    *d++ = s.kind == Scalar::real ? s.d : double(s.i);
  else
    *i++ = s.i;
  if (pairs) *d++ = im;
}

// n numbers `step` apart.
template <class T, class F>
PyObject* list_of(const Tensor& t, int64_t offset, F number) {
  const int64_t n = t.size(-1), step = t.stride(-1);
  const T* const p = t.data<T>() + (offset - t->offset);
  PyObject* list = PyList_New(n);
  for (int64_t i = 0; list && i < n; ++i) PyList_SET_ITEM(list, i, number(p[i * step]));
  return list;
}
PyObject* list_at(const Tensor& t, int dim, int64_t offset) {
  if (dim + 1 == t.dim() && t.size(dim)) {
    if (t.dtype() == DType::float32) return list_of<float>(t, offset, PyFloat_FromDouble);
    if (t.dtype() == DType::float64) return list_of<double>(t, offset, PyFloat_FromDouble);
    if (t.dtype() == DType::int64) return list_of<int64_t>(t, offset, PyLong_FromLongLong);
    if (t.dtype() == DType::boolean) return list_of<bool>(t, offset, PyBool_FromLong);
  }
  if (dim == t.dim()) {
    Tensor one = Tensor::view_of(t, {}, {}, offset);
    return number_to_python(one);
  }
  PyObject* list = PyList_New(t.size(dim));
  for (int64_t i = 0; i < t.size(dim); ++i)
    PyList_SET_ITEM(list, i, list_at(t, dim + 1, offset + i * t.stride(dim)));
  return list;
}

}  // namespace

Tensor tensor_from_python(PyObject* o, std::optional<DType> dtype) {
  GradMode off(false);
  if (is_tensor(o)) {
    Tensor t = unwrap(o);
    return dtype && *dtype != t.dtype() ? to_dtype(t, *dtype) : clone(t);
  }
  if (is_array(o)) {
    Tensor t = from_buffer(o);
    return dtype && *dtype != t.dtype() ? to_dtype(t, *dtype) : clone(t);
  }
  if (!is_sequence(o) && PySequence_Check(o) && !PyUnicode_Check(o)) {  // any other sequence
    PyObject* list = PySequence_List(o);
    if (!list) throw PythonError{};
    struct Drop {
      PyObject* p;
      ~Drop() { Py_DECREF(p); }
    } drop{list};
    return tensor_from_python(list, dtype);
  }
  Nested n;
  survey(o, 0, n, true);
  check(!n.huge || (dtype && has_gradients(*dtype)), ErrorKind::value,
        "tensor: an integer does not fit into 64 bits; give a floating dtype");
  if (!n.any) n.dtype = default_dtype();
  const bool pairs = is_complex(n.dtype), floating = has_gradients(n.dtype);
  const bool narrows = dtype && !has_gradients(*dtype) && *dtype != DType::boolean && !pairs;
  Tensor wide = empty(n.shape, pairs      ? DType::complex128
                               : floating ? DType::float64
                                          : DType::int64);
  double* d = floating ? wide.data<double>() : nullptr;
  int64_t* i = floating ? nullptr : wide.data<int64_t>();
  fill_from(o, d, i, pairs);
  if (narrows && (floating || *dtype != DType::int64))
    for (int64_t k = 0; k < wide.numel(); ++k)
      check_fits("tensor",
                 floating ? Scalar(wide.data<double>()[k]) : Scalar(wide.data<int64_t>()[k]),
                 *dtype);
  note_constant(wide);
  return to_dtype(wide, dtype.value_or(n.dtype));
}

PyObject* to_list(const Tensor& t) {
  note_read("tolist", &t);
  const Tensor here = to_host(t);
  return list_at(here, 0, here->offset);
}

}  // namespace lamina
