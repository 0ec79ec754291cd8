// Conversions behind bind.h: errors, numbers, dtypes.
#include <cmath>

#include "core/error.h"
#include "ops/complex.h"
#include "ops/transfer.h"
#include "ops/view.h"
#include "python/types.h"

namespace lamina {

std::vector<PyMethodDef>& all_methods() {
  static std::vector<PyMethodDef> list;
  return list;
}
Methods::Methods(std::initializer_list<PyMethodDef> list) {
  for (const PyMethodDef& m : list) all_methods().push_back(m);
}

PyObject* g_exceptions[int(ErrorKind::not_implemented) + 1] = {};

PyObject* translate_exception() {
  try {
    throw;
  } catch (const PythonError&) {
  } catch (const Error& e) {
    PyObject* type = g_exceptions[int(e.kind)];
    PyErr_SetString(type ? type : PyExc_RuntimeError, e.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
  return nullptr;
}

void bad_argument(const char* function, int position, const char* expected, PyObject* got) {
  fail(ErrorKind::type, function, ": argument ", position + 1, " must be ", expected, ", not ",
       Py_TYPE(got)->tp_name);
}
void wrong_count(const char* function, int expected, Py_ssize_t got) {
  fail(ErrorKind::type, function, ": takes ", expected, " arguments, got ", got);
}

namespace {
bool is_complex_number(PyObject* o) {  // NumPy's complex64 is no Python complex
  return PyComplex_Check(o) ||
         (!is_tensor(o) && std::string(Py_TYPE(o)->tp_name).find("numpy.complex") == 0);
}
}  // namespace

bool complex_from_python(PyObject* o, double* re, double* im) {
  if (!is_complex_number(o)) return false;
  const Py_complex z = PyComplex_AsCComplex(o);
  if (z.real == -1.0 && PyErr_Occurred()) throw PythonError{};
  *re = z.real;
  *im = z.imag;
  return true;
}

bool weak_number(PyObject* o, Tensor* out) {
  Scalar s = 0;
  double re, im;
  if (scalar_from_python(o, &s))
    *out = scalar_tensor(s);
  else if (complex_from_python(o, &re, &im))
    *out = complex_number(re, im);
  else
    return false;
  return true;
}

PyObject* number_to_python(const Tensor& t) {
  if (!is_complex(t.dtype()) || t.numel() != 1) return scalar_to_python(item(t));
  note_read("item");
  const Tensor wide = to_dtype(reshape(to_host(t), {}), DType::complex128);
  return PyComplex_FromDoubles(wide.data<double>()[0], wide.data<double>()[1]);
}

bool scalar_from_python(PyObject* o, Scalar* out) {
  if (PyFloat_Check(o)) {
    *out = Scalar(PyFloat_AS_DOUBLE(o));
    return true;
  }
  if (PyBool_Check(o)) {
    *out = Scalar(o == Py_True);
    return true;
  }
  if (PyLong_Check(o)) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow) {
      const double d = PyLong_AsDouble(o);
      if (d == -1.0 && PyErr_Occurred()) throw PythonError{};
      *out = Scalar(d);
    } else {
      *out = Scalar(int64_t(v));
    }
    return true;
  }
  if (is_tensor(o)) {
    if (unwrap(o).numel() != 1 || is_complex(unwrap(o).dtype())) return false;
    *out = item(unwrap(o));
    return true;
  }
  // NumPy scalars and the like: an index if it can be one, else a float.
  const PyNumberMethods* number = Py_TYPE(o)->tp_as_number;
  if (!number || PySequence_Check(o) || is_complex_number(o)) return false;
  if (number->nb_index) {
    PyObject* index = PyNumber_Index(o);
    if (index) {
      const bool ok = scalar_from_python(index, out);
      Py_DECREF(index);
      return ok;
    }
    PyErr_Clear();
  }
  if (number->nb_float) {
    PyObject* value = PyNumber_Float(o);
    if (!value) {
      PyErr_Clear();
      return false;
    }
    *out = Scalar(PyFloat_AS_DOUBLE(value));
    Py_DECREF(value);
    // np.bool_ has a float value too, but means a bool
    if (std::string(Py_TYPE(o)->tp_name).find("bool") != std::string::npos)
      *out = Scalar(out->d != 0);
    return true;
  }
  return false;
}

PyObject* scalar_to_python(const Scalar& s) {
  if (s.kind == Scalar::real) return PyFloat_FromDouble(s.d);
  if (s.kind == Scalar::integer) return PyLong_FromLongLong(s.i);
  return PyBool_FromLong(s.i != 0);
}

// ---- lamina.dtype ------------------------------------------------------------------------------
namespace {

struct DTypeObject {
  PyObject_HEAD DType dtype;
};
PyObject* g_dtypes[kDTypes] = {};

DType dtype_of(PyObject* self) { return reinterpret_cast<DTypeObject*>(self)->dtype; }
PyObject* dtype_repr(PyObject* self) {
  return PyUnicode_FromFormat("lamina.%s", name(dtype_of(self)));
}
PyObject* dtype_name(PyObject* self, void*) { return PyUnicode_FromString(name(dtype_of(self))); }
PyObject* dtype_itemsize(PyObject* self, void*) {
  return PyLong_FromLongLong(item_size(dtype_of(self)));
}
PyObject* dtype_is_floating(PyObject* self, void*) {
  return PyBool_FromLong(is_floating(dtype_of(self)));
}
PyObject* dtype_is_complex(PyObject* self, void*) {
  return PyBool_FromLong(is_complex(dtype_of(self)));
}
PyObject* dtype_to_complex(PyObject* self, PyObject*) {
  return dtype_to_python(complex_type(dtype_of(self)));
}
PyObject* dtype_to_real(PyObject* self, PyObject*) {
  return dtype_to_python(part_type(dtype_of(self)));
}
PyObject* dtype_is_signed(PyObject* self, void*) {
  const DType d = dtype_of(self);
  return PyBool_FromLong(d != DType::uint8 && d != DType::boolean);
}
PyObject* dtype_reduce(PyObject* self, PyObject*) {  // copy and pickle by name
  return PyUnicode_FromString(name(dtype_of(self)));
}
PyGetSetDef dtype_getset[] = {
    {"name", dtype_name, nullptr, "short name, such as 'float32'", nullptr},
    {"itemsize", dtype_itemsize, nullptr, "bytes per element", nullptr},
    {"is_floating_point", dtype_is_floating, nullptr, "True for floats", nullptr},
    {"is_complex", dtype_is_complex, nullptr, "True for complex numbers", nullptr},
    {"is_signed", dtype_is_signed, nullptr, "False for uint8 and bool", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMethodDef dtype_methods[] = {
    {"to_complex", dtype_to_complex, METH_NOARGS, "The complex dtype whose parts hold this one."},
    {"to_real", dtype_to_real, METH_NOARGS,
     "The dtype of a complex one's parts; a real dtype itself."},
    {"__reduce__", dtype_reduce, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};
PyType_Slot dtype_slots[] = {{Py_tp_repr, reinterpret_cast<void*>(dtype_repr)},
                             {Py_tp_getset, dtype_getset},
                             {Py_tp_methods, dtype_methods},
                             {Py_tp_doc, const_cast<char*>("The type of a tensor's elements.")},
                             {0, nullptr}};
PyType_Spec dtype_spec = {"lamina.dtype", sizeof(DTypeObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, dtype_slots};
PyObject* g_dtype_type = nullptr;

}  // namespace

void init_dtypes(PyObject* module) {
  g_dtype_type = PyType_FromSpec(&dtype_spec);
  PyModule_AddObject(module, "dtype", g_dtype_type);
  Py_INCREF(g_dtype_type);
  for (int d = 0; d < kDTypes; ++d) {
    auto* o = PyObject_New(DTypeObject, reinterpret_cast<PyTypeObject*>(g_dtype_type));
    o->dtype = DType(d);
    g_dtypes[d] = reinterpret_cast<PyObject*>(o);
    Py_INCREF(o);
    PyModule_AddObject(module, kDTypeName[d], g_dtypes[d]);
  }
}

PyObject* dtype_to_python(DType d) {
  Py_INCREF(g_dtypes[int(d)]);
  return g_dtypes[int(d)];
}

DType dtype_from_python(PyObject* o) {
  if (Py_TYPE(o) == reinterpret_cast<PyTypeObject*>(g_dtype_type)) return dtype_of(o);
  if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) return DType::float64;
  if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) return DType::int64;
  if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) return DType::boolean;
  if (o == reinterpret_cast<PyObject*>(&PyComplex_Type)) return DType::complex128;
  bad_argument("dtype", 0, "a lamina.dtype such as lamina.float32", o);
}

}  // namespace lamina
