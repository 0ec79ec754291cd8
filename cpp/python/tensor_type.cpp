// lamina.Tensor as a C type: operators in number slots, properties, and the object's life.
//
// A Python object and a TensorImpl know each other: the object owns a handle, the impl a borrowed
// pointer back, so that x.grad, saved tensors and parameters keep their identity. Methods with
// signatures and docstrings are attached from Python (lamina/ops).
#include "core/device.h"
#include "ops/autocast.h"
#include "ops/complex.h"
#include "ops/ops.h"
#include "python/types.h"
#include "tape/tape.h"

#include <structmember.h>  // after Python.h

namespace lamina {

PyTypeObject* g_tensor_type = nullptr;
PyObject* g_size_type = nullptr;
PyObject* g_cpu_device = nullptr;

namespace {

struct TensorObject {
  PyObject_HEAD Tensor t;
  PyObject* dict;
  PyObject* weak;
};

TensorObject* as_object(PyObject* o) { return reinterpret_cast<TensorObject*>(o); }

PyObject* allocate_object(PyTypeObject* type, Tensor t) {
  PyObject* o = type->tp_alloc(type, 0);
  if (!o) throw PythonError{};
  t->py = o;
  new (&as_object(o)->t) Tensor(std::move(t));
  as_object(o)->dict = nullptr;
  as_object(o)->weak = nullptr;
  return o;
}

void dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  TensorObject* o = as_object(self);
  if (o->weak) PyObject_ClearWeakRefs(self);
  Py_CLEAR(o->dict);
  if (o->t.defined() && o->t->py == self) o->t->py = nullptr;
  o->t.~Tensor();
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}
// The hooks of a leaf that nothing but its Python object keeps, or null.
auto* own_hooks(PyObject* self) {
  const Tensor& t = as_object(self)->t;
  return t.defined() && t->refs() == 1 ? t->hooks.get() : nullptr;
}
// The autograd.Function whose output the tensor is, if nothing else keeps that, or null.
const PythonVjp* own_function(PyObject* self) {
  const Tensor& t = as_object(self)->t;
  if (!t.defined() || t->refs() != 1 || !t->call || t->call->refs() != 1) return nullptr;
  const auto* vjp = std::any_cast<ForeignVjp>(&t->call->extra);
  const PythonVjp* f = vjp ? vjp->target<PythonVjp>() : nullptr;
  return f && f->ref.use_count() == 1 ? f : nullptr;
}
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(as_object(self)->dict);
  if (const PythonVjp* f = own_function(self)) Py_VISIT(f->ref->f);
  if (const auto* hooks = own_hooks(self))
    for (const auto& hook : *hooks)
      if (const auto* h = hook.second.target<PythonHook>(); h && h->ref.use_count() == 1)
        Py_VISIT(h->ref->f);
  Py_VISIT(Py_TYPE(self));
  return 0;
}
int clear(PyObject* self) {
  Py_CLEAR(as_object(self)->dict);
  if (own_hooks(self)) {
    const auto dropped = std::move(as_object(self)->t->hooks);  // gone first: this may run Python
  }
  if (own_function(self)) const CallRef dropped = std::move(as_object(self)->t->call);
  return 0;
}

// Tensor(): empty; Tensor(2, 3): that shape, uninitialised; Tensor(data): float copy of data.
PyObject* new_tensor(PyTypeObject* type, PyObject* args, PyObject*) {
  return guarded(
      [&]() -> PyObject* {
        const Py_ssize_t n = PyTuple_GET_SIZE(args);
        PyObject* first = n ? PyTuple_GET_ITEM(args, 0) : nullptr;
        if (n == 0) return wrap_as(type, empty({0}, default_dtype()));
        if (PyLong_Check(first)) {
          Dims shape;
          for (Py_ssize_t i = 0; i < n; ++i)
            shape.push(FromPython<int64_t>::get(PyTuple_GET_ITEM(args, i), At{"Tensor", int(i)}));
          return wrap_as(type, empty(shape, default_dtype()));
        }
        if (g_size_type && PyObject_TypeCheck(first, reinterpret_cast<PyTypeObject*>(g_size_type)))
          return wrap_as(type,
                         empty(FromPython<Dims>::get(first, At{"Tensor", 0}), default_dtype()));
        if (is_tensor(first)) return wrap_as(type, alias(unwrap(first)));
        return wrap_as(type, tensor_from_python(first, default_dtype()));
      },
      nullptr);
}

// ---- operators ---------------------------------------------------------------------------------
int function_named(const char* name) {
  const int f = function_index(name);
  if (f < 0) fail(ErrorKind::runtime, "no elementwise function named ", name);
  return f;
}

// An operand as a tensor, its object's own or `made`: numbers become weak 0-dim tensors, arrays are
// copied. Null: not ours.
const Tensor* operand(PyObject* o, Tensor* made) {
  if (is_tensor(o)) return &unwrap(o);
  if (weak_number(o, made)) return made;
  if (PyObject_CheckBuffer(o) && !PyBytes_Check(o) && !PyByteArray_Check(o)) {
    *made = tensor_from_python(o, std::nullopt);
    return made;
  }
  return nullptr;
}

// AutocastCall with its tensors listed.
struct Converted : AutocastCall {
  Converted(Autocast rule, std::initializer_list<Tensor*> list)
      : AutocastCall(rule, list.begin(), int(list.size())) {}
};

// In functions of their own, so that what is not in a region does not pay for them.
[[gnu::noinline]] PyObject* binary_autocast(int f, Tensor x, Tensor y, double p0) {
  const Converted cast(function_autocast(f), {&x, &y});
  return wrap(elementwise(f, {x, y}, p0));
}
[[gnu::noinline]] PyObject* power_autocast(int f, Tensor x, double p) {
  const Converted cast(function_autocast(f), {&x});
  return wrap(elementwise(f, {x}, p));
}
[[gnu::noinline]] PyObject* product_autocast(Tensor x, Tensor y) {
  const Converted cast(kLower, {&x, &y});
  return wrap(matmul(x, y));
}

PyObject* binary(int f, PyObject* a, PyObject* b, double p0 = 0) {
  return guarded(
      [&]() -> PyObject* {
        Tensor left, right;
        const Tensor *const x = operand(a, &left), *const y = x ? operand(b, &right) : nullptr;
        if (!y) Py_RETURN_NOTIMPLEMENTED;
        if (autocasting()) return binary_autocast(f, *x, *y, p0);
        return wrap(elementwise(f, {*x, *y}, p0));
      },
      nullptr);
}
PyObject* in_place(int f, PyObject* a, PyObject* b, double p0 = 0) {
  return guarded(
      [&]() -> PyObject* {
        Tensor made;
        const Tensor* const y = operand(b, &made);
        if (!y) Py_RETURN_NOTIMPLEMENTED;
        elementwise_into(f, {unwrap(a), *y}, unwrap(a), p0);
        Py_INCREF(a);
        return a;
      },
      nullptr);
}

// One slot function per operator: the elementwise function's name is the template argument.
template <const char* N>
struct Operator {
  static int index() {
    static const int f = function_named(N);
    return f;
  }
  static PyObject* both(PyObject* a, PyObject* b) { return binary(index(), a, b, 1); }
  static PyObject* into(PyObject* a, PyObject* b) { return in_place(index(), a, b, 1); }
  static PyObject* one(PyObject* a) {
    return guarded([&] { return wrap(elementwise(index(), {unwrap(a)})); }, nullptr);
  }
};
constexpr char kAddName[] = "add", kSubName[] = "sub", kMulName[] = "mul", kDivName[] = "div",
               kFloorDivName[] = "floor_divide", kRemainderName[] = "remainder",
               kAndName[] = "bitwise_and", kOrName[] = "bitwise_or", kXorName[] = "bitwise_xor",
               kLeftName[] = "bitwise_left_shift", kRightName[] = "bitwise_right_shift",
               kNegName[] = "neg", kAbsName[] = "abs", kNotName[] = "bitwise_not";

// x ** 2 with a Python number takes the function with a fixed exponent: exact squares and roots.
PyObject* power(PyObject* a, PyObject* b, PyObject*) {
  return guarded(
      [&]() -> PyObject* {
        static const int scalar = function_named("pow_scalar"), general = function_named("pow");
        if (is_tensor(a) && (PyLong_Check(b) || PyFloat_Check(b))) {
          const double p = PyFloat_AsDouble(b);
          const Tensor& x = unwrap(a);
          const bool fractional = PyFloat_Check(b);
          if (has_gradients(x.dtype()) && autocasting()) return power_autocast(scalar, x, p);
          if (has_gradients(x.dtype())) return wrap(elementwise(scalar, {x}, p));
          if (!fractional)
            check(p >= 0, ErrorKind::runtime,
                  "pow: integers to negative integer powers are not "
                  "allowed (",
                  x, " ** ", p, "); convert with .float()");
        }
        return binary(general, a, b);
      },
      nullptr);
}

PyObject* power_into(PyObject* a, PyObject* b, PyObject*) {
  return guarded(
      [&]() -> PyObject* {
        static const int scalar = function_named("pow_scalar"), general = function_named("pow");
        const Tensor& x = unwrap(a);
        Tensor made;
        if (is_floating(x.dtype()) && (PyLong_Check(b) || PyFloat_Check(b)))
          elementwise_into(scalar, {x}, x, PyFloat_AsDouble(b));
        else if (const Tensor* const y = operand(b, &made))
          elementwise_into(general, {x, *y}, x);
        else
          Py_RETURN_NOTIMPLEMENTED;
        Py_INCREF(a);
        return a;
      },
      nullptr);
}

PyObject* matrix_multiply(PyObject* a, PyObject* b) {
  return guarded(
      [&]() -> PyObject* {
        if (!is_tensor(a) || !is_tensor(b)) Py_RETURN_NOTIMPLEMENTED;
        if (autocasting()) return product_autocast(unwrap(a), unwrap(b));
        return wrap(matmul(unwrap(a), unwrap(b)));
      },
      nullptr);
}

PyObject* compare(PyObject* a, PyObject* b, int op) {
  static const int f[6] = {function_index("lt"), function_index("le"), function_index("eq"),
                           function_index("ne"), function_index("gt"), function_index("ge")};
  if (b == Py_None || PyUnicode_Check(b)) Py_RETURN_NOTIMPLEMENTED;
  return binary(f[op], a, b);
}

// ---- numbers and sequences ---------------------------------------------------------------------
int to_bool(PyObject* self) {
  return guarded(
      [&]() -> int {
        const Tensor& t = unwrap(self);
        check(t.numel() == 1, ErrorKind::runtime, "bool: the truth value of a tensor with shape ",
              t.shape(), " is ambiguous; use .any(), .all() or .numel()");
        if (is_complex(t.dtype()))
          return item(elementwise(function_index("ne"), {t, scalar_tensor(0)})).i != 0;
        const Scalar s = item(t);
        return s.kind == Scalar::real ? s.d != 0 : s.i != 0;
      },
      -1);
}
PyObject* to_int(PyObject* self) {
  return guarded(
      [&]() -> PyObject* {
        const Scalar s = item(unwrap(self));
        return s.kind == Scalar::real ? PyLong_FromDouble(s.d) : PyLong_FromLongLong(s.i);
      },
      nullptr);
}
PyObject* to_float(PyObject* self) {
  return guarded(
      [&] {
        const Scalar s = item(unwrap(self));
        return PyFloat_FromDouble(s.kind == Scalar::real ? s.d : double(s.i));
      },
      nullptr);
}
PyObject* to_index(PyObject* self) {
  return guarded(
      [&]() -> PyObject* {
        const Tensor& t = unwrap(self);
        check(!is_floating(t.dtype()) && t.numel() == 1, ErrorKind::type,
              "index: only integer tensors with one element can be used as an index, got ", t);
        return PyLong_FromLongLong(item(t).i);
      },
      nullptr);
}
Py_ssize_t length(PyObject* self) {
  return guarded(
      [&]() -> Py_ssize_t {
        check(unwrap(self).dim() > 0, ErrorKind::type, "len: a 0-dim tensor has no length");
        return Py_ssize_t(unwrap(self).size(0));
      },
      -1);
}
PyObject* getitem(PyObject* self, PyObject* key) {
  return guarded([&] { return tensor_getitem(unwrap(self), key); }, nullptr);
}
int setitem(PyObject* self, PyObject* key, PyObject* value) {
  return guarded(
      [&]() -> int {
        check(value != nullptr, ErrorKind::type, "del: tensor elements cannot be deleted");
        return tensor_setitem(unwrap(self), key, value);
      },
      -1);
}
Py_hash_t identity_hash(PyObject* self) {
  return Py_hash_t(reinterpret_cast<uintptr_t>(self) >> 4);
}

// ---- properties --------------------------------------------------------------------------------
PyObject* get_shape(PyObject* self, void*) { return size_from_dims(unwrap(self).shape()); }
PyObject* get_dtype(PyObject* self, void*) { return dtype_to_python(unwrap(self).dtype()); }
PyObject* get_device(PyObject* self, void*) {
  return guarded([&] { return device_to_python(unwrap(self).device()); }, nullptr);
}
PyObject* get_ndim(PyObject* self, void*) { return PyLong_FromLong(unwrap(self).dim()); }
PyObject* get_version(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(unwrap(self)->version());
}
PyObject* get_is_leaf(PyObject* self, void*) {
  return guarded([&] { return needs_grad(unwrap(self)), PyBool_FromLong(!unwrap(self)->call); },
                 nullptr);
}
PyObject* get_requires_grad(PyObject* self, void*) {
  return guarded([&] { return PyBool_FromLong(needs_grad(unwrap(self))); }, nullptr);
}
int set_requires_grad(PyObject* self, PyObject* value, void*) {
  return guarded(
      [&]() -> int {
        const Tensor& t = unwrap(self);
        const bool on = value && FromPython<bool>::get(value, At{"requires_grad", 0});
        needs_grad(t);
        check(!t->call || on, ErrorKind::runtime,
              "requires_grad: only leaf tensors can be switched off; use .detach()");
        check(!on || has_gradients(t.dtype()), ErrorKind::runtime,
              "requires_grad: only floating point and complex tensors can require gradients, got ",
              t);
        if (!t->call) t->requires_grad = on;
        return 0;
      },
      -1);
}
PyObject* get_grad(PyObject* self, void*) { return wrap(unwrap(self)->grad); }
int set_grad(PyObject* self, PyObject* value, void*) {
  return guarded(
      [&]() -> int {
        const Tensor& t = unwrap(self);
        if (!value || value == Py_None) {
          t->grad = Tensor();
          return 0;
        }
        if (!is_tensor(value)) bad_argument("grad", 0, "a Tensor or None", value);
        const Tensor& g = unwrap(value);
        check(g.shape() == t.shape() && g.dtype() == t.dtype(), ErrorKind::shape, "grad: assigned ",
              g, " to the gradient of ", t, "; shape and dtype must be equal");
        check(g.device() == t.device(), ErrorKind::device, "grad: assigned a gradient on ",
              device_name(g.device()), " to a tensor on ", device_name(t.device()),
              "; move it with .to()");
        t->grad = g;
        return 0;
      },
      -1);
}
PyObject* get_data(PyObject* self, void*) {
  return guarded(
      [&] {
        Tensor t = alias(unwrap(self));
        t->unwatched = true;
        return wrap(t);
      },
      nullptr);
}
int set_data(PyObject* self, PyObject* value, void*) {
  return guarded(
      [&]() -> int {
        if (!value || !is_tensor(value))
          bad_argument("data", 0, "a Tensor", value ? value : Py_None);
        const Tensor &t = unwrap(self), &v = unwrap(value);
        t->storage = v->storage;
        t->offset = v->offset;
        t->shape = v.shape();
        t->strides = v.strides();
        t->dtype = v.dtype();
        t->device = v.device();
        return 0;
      },
      -1);
}
PyObject* get_call_name(PyObject* self, void*) {
  return guarded([&] { return to_python(call_name(unwrap(self))); }, nullptr);
}

PyGetSetDef getset[] = {
    {"shape", get_shape, nullptr, "Sizes of the dimensions, a lamina.Size.", nullptr},
    {"dtype", get_dtype, nullptr, "Type of the elements, such as lamina.float32.", nullptr},
    {"device", get_device, nullptr, "Where the memory is.", nullptr},
    {"ndim", get_ndim, nullptr, "Number of dimensions.", nullptr},
    {"_version", get_version, nullptr, "How often the memory was written in place.", nullptr},
    {"is_leaf", get_is_leaf, nullptr, "True unless an operation under autograd made it.", nullptr},
    {"requires_grad", get_requires_grad, set_requires_grad,
     "Whether gradients flow to this tensor.", nullptr},
    {"grad", get_grad, set_grad, "Gradient accumulated by backward(), or None.", nullptr},
    {"_grad", get_grad, set_grad, "The same as grad.", nullptr},
    {"data", get_data, set_data,
     "The same memory without history; backward does not notice writes through it.", nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, "Attributes set from Python.",
     nullptr},
    {"_call_name", get_call_name, nullptr, "Name of the op that made it, '' for a leaf.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

// ---- methods too small for Python --------------------------------------------------------------
PyObject* m_size(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  return guarded(
      [&]() -> PyObject* {
        const Tensor& t = unwrap(self);
        if (n == 0 || args[0] == Py_None) return size_from_dims(t.shape());
        const int d = wrap_dim("size", FromPython<int64_t>::get(args[0], At{"size", 0}), t.dim());
        check(t.dim() > 0, ErrorKind::index, "size: a 0-dim tensor has no dimensions");
        return PyLong_FromLongLong(t.size(d));
      },
      nullptr);
}
PyObject* m_stride(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  return guarded(
      [&]() -> PyObject* {
        const Tensor& t = unwrap(self);
        if (n) {
          const int d =
              wrap_dim("stride", FromPython<int64_t>::get(args[0], At{"stride", 0}), t.dim());
          return PyLong_FromLongLong(t.stride(d));
        }
        PyObject* tuple = PyTuple_New(t.dim());
        for (int i = 0; i < t.dim(); ++i)
          PyTuple_SET_ITEM(tuple, i, PyLong_FromLongLong(t.stride(i)));
        return tuple;
      },
      nullptr);
}
PyObject* m_dim(PyObject* self, PyObject*) { return PyLong_FromLong(unwrap(self).dim()); }
PyObject* m_numel(PyObject* self, PyObject*) { return PyLong_FromLongLong(unwrap(self).numel()); }
PyObject* m_item(PyObject* self, PyObject*) {
  return guarded([&] { return number_to_python(unwrap(self)); }, nullptr);
}
PyObject* m_complex(PyObject* self, PyObject*) {
  return guarded([&] { return number_to_python(to_dtype(unwrap(self), DType::complex128)); },
                 nullptr);
}
PyObject* m_tolist(PyObject* self, PyObject*) {
  return guarded([&] { return to_list(unwrap(self)); }, nullptr);
}
PyObject* m_data_ptr(PyObject* self, PyObject*) {
  return guarded(
      [&] {
        note_read("data_ptr");
        unwrap(self)->storage->lend();  // who knows for how long
        return PyLong_FromVoidPtr(unwrap(self).data());
      },
      nullptr);
}
PyObject* m_storage_offset(PyObject* self, PyObject*) {
  return PyLong_FromLongLong(unwrap(self)->offset);
}
PyObject* m_is_contiguous(PyObject* self, PyObject*, PyObject*) {
  return PyBool_FromLong(unwrap(self).is_contiguous());
}
PyObject* m_detach_(PyObject* self, PyObject*) {
  const Tensor& t = unwrap(self);
  t->call = CallRef();
  t->view.reset();
  t->requires_grad = false;
  Py_INCREF(self);
  return self;
}
PyObject* m_make_subclass(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded(
      [&]() -> PyObject* {
        if (n < 2 || !PyType_Check(args[0]) || !is_tensor(args[1]))
          fail(ErrorKind::type, "_make_subclass: expects (cls, tensor, requires_grad=False)");
        Tensor t = alias(unwrap(args[1]));
        PyObject* o = wrap_as(reinterpret_cast<PyTypeObject*>(args[0]), t);
        if (n > 2) {
          const bool on = FromPython<bool>::get(args[2], At{"_make_subclass", 2});
          if (on && !has_gradients(t.dtype())) {
            Py_DECREF(o);
            fail(ErrorKind::runtime,
                 "requires_grad: only floating point and complex tensors can require "
                 "gradients, got ",
                 t);
          }
          t->requires_grad = on;
        }
        return o;
      },
      nullptr);
}

template <class F>
PyCFunction fast(F f) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(f));
}
PyMethodDef methods[] = {
    {"size", fast(m_size), METH_FASTCALL, "size(dim=None): the shape, or one of its sizes."},
    {"stride", fast(m_stride), METH_FASTCALL, "stride(dim=None): steps between elements."},
    {"dim", m_dim, METH_NOARGS, "Number of dimensions."},
    {"ndimension", m_dim, METH_NOARGS, "Number of dimensions."},
    {"numel", m_numel, METH_NOARGS, "Number of elements."},
    {"nelement", m_numel, METH_NOARGS, "Number of elements."},
    {"item", m_item, METH_NOARGS, "The only element as a Python number."},
    {"__complex__", m_complex, METH_NOARGS, "complex(t): the only element."},
    {"tolist", m_tolist, METH_NOARGS, "Nested lists of Python numbers; a number for 0 dimensions."},
    {"data_ptr", m_data_ptr, METH_NOARGS, "Address of the first element."},
    {"storage_offset", m_storage_offset, METH_NOARGS,
     "Where in its storage it begins, in elements."},
    {"is_contiguous", fast(m_is_contiguous), METH_VARARGS | METH_KEYWORDS,
     "True when elements lie in row-major order without gaps."},
    {"detach_", m_detach_, METH_NOARGS, "Cuts the tensor from its history, in place."},
    {"_make_subclass", fast(m_make_subclass), METH_FASTCALL | METH_STATIC,
     "_make_subclass(cls, tensor, requires_grad=False): the same memory as an object of cls."},
    {nullptr, nullptr, 0, nullptr}};

PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(TensorObject, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weak), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

template <class F>
void* slot(F f) {
  return reinterpret_cast<void*>(f);
}
PyType_Slot slots[] = {
    {Py_tp_dealloc, slot(dealloc)},
    {Py_tp_traverse, slot(traverse)},
    {Py_tp_clear, slot(clear)},
    {Py_tp_new, slot(new_tensor)},
    {Py_tp_hash, slot(identity_hash)},
    {Py_tp_richcompare, slot(compare)},
    {Py_tp_getset, getset},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_nb_add, slot(Operator<kAddName>::both)},
    {Py_nb_subtract, slot(Operator<kSubName>::both)},
    {Py_nb_multiply, slot(Operator<kMulName>::both)},
    {Py_nb_true_divide, slot(Operator<kDivName>::both)},
    {Py_nb_floor_divide, slot(Operator<kFloorDivName>::both)},
    {Py_nb_remainder, slot(Operator<kRemainderName>::both)},
    {Py_nb_and, slot(Operator<kAndName>::both)},
    {Py_nb_or, slot(Operator<kOrName>::both)},
    {Py_nb_xor, slot(Operator<kXorName>::both)},
    {Py_nb_lshift, slot(Operator<kLeftName>::both)},
    {Py_nb_rshift, slot(Operator<kRightName>::both)},
    {Py_nb_power, slot(power)},
    {Py_nb_matrix_multiply, slot(matrix_multiply)},
    {Py_nb_inplace_add, slot(Operator<kAddName>::into)},
    {Py_nb_inplace_subtract, slot(Operator<kSubName>::into)},
    {Py_nb_inplace_multiply, slot(Operator<kMulName>::into)},
    {Py_nb_inplace_true_divide, slot(Operator<kDivName>::into)},
    {Py_nb_inplace_floor_divide, slot(Operator<kFloorDivName>::into)},
    {Py_nb_inplace_remainder, slot(Operator<kRemainderName>::into)},
    {Py_nb_inplace_power, slot(power_into)},
    {Py_nb_inplace_lshift, slot(Operator<kLeftName>::into)},
    {Py_nb_inplace_rshift, slot(Operator<kRightName>::into)},
    {Py_nb_inplace_and, slot(Operator<kAndName>::into)},
    {Py_nb_inplace_or, slot(Operator<kOrName>::into)},
    {Py_nb_inplace_xor, slot(Operator<kXorName>::into)},
    {Py_nb_negative, slot(Operator<kNegName>::one)},
    {Py_nb_absolute, slot(Operator<kAbsName>::one)},
    {Py_nb_invert, slot(Operator<kNotName>::one)},
    {Py_nb_bool, slot(to_bool)},
    {Py_nb_int, slot(to_int)},
    {Py_nb_float, slot(to_float)},
    {Py_nb_index, slot(to_index)},
    {Py_mp_length, slot(length)},
    {Py_mp_subscript, slot(getitem)},
    {Py_mp_ass_subscript, slot(setitem)},
    {Py_tp_doc,
     const_cast<char*>("A multi-dimensional array with automatic differentiation.\n\n"
                       "Tensor(*sizes) or Tensor(data); prefer lamina.tensor, lamina.zeros, ...")},
    {0, nullptr}};
PyType_Spec spec = {"lamina.Tensor", sizeof(TensorObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

Tensors PythonVjp::operator()(const Tensors& gouts, const Tensors& outs) const {
  const auto own = [](PyObject* o) {
    if (!o) throw PythonError{};
    return std::unique_ptr<PyObject, void (*)(PyObject*)>(o, Py_DecRef);
  };
  const auto args = own(PyTuple_New(2));
  PyTuple_SET_ITEM(args.get(), 0, list_to_tuple(outs));
  PyTuple_SET_ITEM(args.get(), 1, list_to_tuple(gouts));
  const auto result = own(PyObject_Call(ref->f, args.get(), nullptr));
  return FromPython<Tensors>::get(result.get(), At{"backward", 0});
}
Tensor PythonHook::operator()(const Tensor& g) const {
  const auto kept = ref;  // the hook may remove itself
  PyObject* arg = wrap(g);
  PyObject* result = PyObject_CallOneArg(kept->f, arg);
  Py_DECREF(arg);
  if (!result) throw PythonError{};
  Tensor out;
  if (result != Py_None) {
    if (!is_tensor(result)) {
      Py_DECREF(result);
      fail(ErrorKind::type, "hook: must return a Tensor or None");
    }
    out = unwrap(result);
  }
  Py_DECREF(result);
  return out;
}

bool is_tensor(PyObject* o) {
  return Py_TYPE(o) == g_tensor_type || PyType_IsSubtype(Py_TYPE(o), g_tensor_type);
}
Tensor& unwrap(PyObject* o) { return as_object(o)->t; }

PyObject* wrap(Tensor t) {
  if (!t.defined()) Py_RETURN_NONE;
  if (t->py) {
    PyObject* o = static_cast<PyObject*>(t->py);
    Py_INCREF(o);
    return o;
  }
  return allocate_object(g_tensor_type, std::move(t));
}
PyObject* wrap_as(PyTypeObject* type, const Tensor& t) { return allocate_object(type, t); }

PyObject* size_from_dims(const Dims& d) {
  PyObject* tuple = PyTuple_New(d.n);
  for (int i = 0; i < d.n; ++i) PyTuple_SET_ITEM(tuple, i, PyLong_FromLongLong(d.v[i]));
  PyObject* size = PyObject_CallOneArg(g_size_type, tuple);
  Py_DECREF(tuple);
  return size;
}

void init_tensor_type(PyObject* module) {
  g_tensor_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (!g_tensor_type) throw PythonError{};
  PyModule_AddObject(module, "Tensor", reinterpret_cast<PyObject*>(g_tensor_type));
}

}  // namespace lamina
