// The hot door: C++ functions as Python builtins, converted by signature, on the vectorcall
// protocol (METH_FASTCALL). A call costs tens of nanoseconds; pybind11 serves everything cold.
#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/device.h"
#include "core/random.h"
#include "ops/apply.h"
#include "ops/autocast.h"
#include "ops/creation.h"

namespace lamina {

struct PythonError {};  // thrown when a Python exception is already set

// ---- tensors (tensor_type.cpp) -----------------------------------------------------------------
bool is_tensor(PyObject* o);
Tensor& unwrap(PyObject* o);  // o must be a tensor
PyObject* wrap(Tensor t);     // new reference; None when undefined
// Numbers, nested sequences, arrays with the buffer protocol, tensors: copied, dtype inferred.
Tensor tensor_from_python(PyObject* o, std::optional<DType> dtype);
// A Python, NumPy or 0-dim number as Scalar; false when o is none of these.
bool scalar_from_python(PyObject* o, Scalar* out);
// A Python or NumPy complex number; false when o is none.
bool complex_from_python(PyObject* o, double* re, double* im);
// The only element of a tensor of any dtype.
PyObject* number_to_python(const Tensor& t);
// A number as a tensor weak in promotion; false when o is none.
bool weak_number(PyObject* o, Tensor* out);
PyObject* scalar_to_python(const Scalar& s);
DType dtype_from_python(PyObject* o);
PyObject* dtype_to_python(DType d);  // new reference
GeneratorRef generator_from_python(PyObject* o);
PyObject* size_from_dims(const Dims& d);  // lamina.Size
// Sets the Python exception for the C++ exception in flight; returns null.
PyObject* translate_exception();

// ---- conversion of arguments -------------------------------------------------------------------
[[noreturn]] void bad_argument(const char* function, int position, const char* expected,
                               PyObject* got);

struct At {  // which argument, for messages
  const char* function;
  int position;
};

template <class T>
struct FromPython;

template <>
struct FromPython<Tensor> {
  static Tensor get(PyObject* o, At at) {
    if (is_tensor(o)) return unwrap(o);
    Tensor t;
    if (!weak_number(o, &t)) bad_argument(at.function, at.position, "a Tensor", o);
    return t;
  }
};
// An argument `const Tensor&`: the object's own, which the caller of the builtin holds, or `made`
// of a number.
struct TensorArgument {
  const Tensor* own = nullptr;
  Tensor made;
  operator const Tensor&() const { return own ? *own : made; }
};
template <>
struct FromPython<TensorArgument> {
  static TensorArgument get(PyObject* o, At at) {
    if (is_tensor(o)) return {&unwrap(o), {}};
    return {nullptr, FromPython<Tensor>::get(o, at)};
  }
};
// What an argument is held as while the function runs.
template <class A>
struct Held {
  using type = std::decay_t<A>;
};
template <>
struct Held<const Tensor&> {
  using type = TensorArgument;
};
template <>
struct FromPython<int64_t> {
  static int64_t get(PyObject* o, At at) {
    const int64_t v = PyLong_AsLongLong(o);
    if (v == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      PyObject* index = PyNumber_Index(o);
      if (!index) {
        PyErr_Clear();
        bad_argument(at.function, at.position, "an int", o);
      }
      const int64_t w = PyLong_AsLongLong(index);
      Py_DECREF(index);
      if (w == -1 && PyErr_Occurred()) throw PythonError{};
      return w;
    }
    return v;
  }
};
template <>
struct FromPython<double> {
  static double get(PyObject* o, At at) {
    const double v = PyFloat_AsDouble(o);
    if (v == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      bad_argument(at.function, at.position, "a float", o);
    }
    return v;
  }
};
template <>
struct FromPython<bool> {
  static bool get(PyObject* o, At) {
    const int v = PyObject_IsTrue(o);
    if (v < 0) throw PythonError{};
    return v != 0;
  }
};
template <>
struct FromPython<Scalar> {
  static Scalar get(PyObject* o, At at) {
    Scalar s = 0;
    if (!scalar_from_python(o, &s)) bad_argument(at.function, at.position, "a number", o);
    return s;
  }
};
template <>
struct FromPython<DType> {
  static DType get(PyObject* o, At) { return dtype_from_python(o); }
};
template <>
struct FromPython<GeneratorRef> {
  static GeneratorRef get(PyObject* o, At) { return generator_from_python(o); }
};
template <>
struct FromPython<std::string> {
  static std::string get(PyObject* o, At at) {
    const char* s = PyUnicode_Check(o) ? PyUnicode_AsUTF8(o) : nullptr;
    if (!s) bad_argument(at.function, at.position, "a str", o);
    return s;
  }
};
template <>
struct FromPython<Dims> {
  static Dims get(PyObject* o, At at) {
    Dims d;
    if (PyLong_Check(o) || !PySequence_Check(o) || is_tensor(o)) {
      d.push(FromPython<int64_t>::get(o, at));
      return d;
    }
    PyObject* seq = PySequence_Fast(o, "");
    if (!seq) {
      PyErr_Clear();
      bad_argument(at.function, at.position, "a sequence of ints", o);
    }
    struct Drop {
      PyObject* p;
      ~Drop() { Py_DECREF(p); }
    } drop{seq};
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(seq); ++i)
      d.push(FromPython<int64_t>::get(PySequence_Fast_GET_ITEM(seq, i), at));
    return d;
  }
};
template <>
struct FromPython<Tensors> {
  static Tensors get(PyObject* o, At at) {
    PyObject* seq = PySequence_Fast(o, "");
    if (!seq) {
      PyErr_Clear();
      bad_argument(at.function, at.position, "a sequence of Tensors", o);
    }
    struct Drop {
      PyObject* p;
      ~Drop() { Py_DECREF(p); }
    } drop{seq};
    Tensors out;
    out.reserve(size_t(PySequence_Fast_GET_SIZE(seq)));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(seq); ++i) {
      PyObject* item = PySequence_Fast_GET_ITEM(seq, i);
      out.push_back(item == Py_None ? Tensor() : FromPython<Tensor>::get(item, at));
    }
    return out;
  }
};
template <class T>
struct FromPython<std::optional<T>> {
  static std::optional<T> get(PyObject* o, At at) {
    if (o == Py_None) return std::nullopt;
    return FromPython<T>::get(o, at);
  }
};

// ---- conversion of results ---------------------------------------------------------------------
inline PyObject* to_python(Tensor t) { return wrap(std::move(t)); }
inline PyObject* to_python(int64_t v) { return PyLong_FromLongLong(v); }
inline PyObject* to_python(int v) { return PyLong_FromLong(v); }
inline PyObject* to_python(double v) { return PyFloat_FromDouble(v); }
inline PyObject* to_python(bool v) { return PyBool_FromLong(v); }
inline PyObject* to_python(const Scalar& s) { return scalar_to_python(s); }
inline PyObject* to_python(const Dims& d) { return size_from_dims(d); }
inline PyObject* to_python(DType d) { return dtype_to_python(d); }
inline PyObject* to_python(const std::string& s) { return PyUnicode_FromString(s.c_str()); }
template <class List>
PyObject* list_to_tuple(const List& list) {
  PyObject* tuple = PyTuple_New(Py_ssize_t(list.size()));
  Py_ssize_t i = 0;
  for (const Tensor& t : list) PyTuple_SET_ITEM(tuple, i++, wrap(t));
  return tuple;
}
inline PyObject* to_python(const Tensors& list) { return list_to_tuple(list); }
inline PyObject* to_python(const Outputs& list) { return list_to_tuple(list); }
template <class... T>
PyObject* to_python(const std::tuple<T...>& values) {
  PyObject* tuple = PyTuple_New(sizeof...(T));
  Py_ssize_t i = 0;
  std::apply([&](const auto&... v) { (PyTuple_SET_ITEM(tuple, i++, to_python(v)), ...); }, values);
  return tuple;
}
template <class A, class B>
PyObject* to_python(const std::pair<A, B>& v) {
  return to_python(std::tuple<A, B>(v.first, v.second));
}

// ---- one builtin per C++ function --------------------------------------------------------------
template <auto F>
struct Name {
  static inline const char* value = "";
  static inline Autocast autocast;
};

[[noreturn]] void wrong_count(const char* function, int expected, Py_ssize_t got);

// The device of the first tensor that is not in host memory.
inline void note_device(const Tensor& t, Device* d) {
  if (t.defined() && __builtin_expect(t.device().type != DeviceType::cpu, 0)) *d = t.device();
}
inline void note_device(const TensorArgument& t, Device* d) {
  note_device(static_cast<const Tensor&>(t), d);
}
inline void note_device(const std::optional<Tensor>& t, Device* d) {
  if (t) note_device(*t, d);
}
inline void note_device(const Tensors& list, Device* d) {
  if (!list.empty()) note_device(list[0], d);
}
template <class T>
void note_device(const T&, Device*) {}
template <class... T>
Device device_among(const std::tuple<T...>& values) {
  Device d;
  std::apply([&](const auto&... v) { (note_device(v, &d), ...); }, values);
  return d;
}

// The tensors among converted arguments.
template <class Visit>
void each_tensor(Tensor& t, const Visit& visit) {
  visit(t);
}
template <class Visit>
void each_tensor(TensorArgument& t, const Visit& visit) {
  if (t.own) t.made = *std::exchange(t.own, nullptr);
  visit(t.made);
}
template <class Visit>
void each_tensor(std::optional<Tensor>& t, const Visit& visit) {
  if (t) visit(*t);
}
template <class Visit>
void each_tensor(Tensors& list, const Visit& visit) {
  for (Tensor& t : list) visit(t);
}
template <class T, class Visit>
void each_tensor(T&, const Visit&) {}

template <auto F, class Arguments>
PyObject* call_autocast(Arguments& converted);

template <auto F, class R, class... A, size_t... I>
PyObject* call_cpp(PyObject* const* args, R (*)(A...), std::index_sequence<I...>) {
  const char* name = Name<F>::value;
  (void)name;
  (void)args;
  std::tuple<typename Held<A>::type...> converted{
      FromPython<typename Held<A>::type>::get(args[I], At{name, int(I)})...};
  const MaybeWorkingDevice on(device_among(converted));
  if (autocasting()) return call_autocast<F>(converted);
  if constexpr (std::is_void_v<R>) {
    std::apply(F, converted);
    Py_RETURN_NONE;
  } else {
    return to_python(std::apply(F, converted));
  }
}
// The same in a region of mixed precision.
template <auto F, class Arguments>
PyObject* call_autocast(Arguments& converted) {
  std::vector<Tensor*> tensors;
  const auto note = [&](Tensor& t) { tensors.push_back(&t); };
  std::apply([&](auto&... v) { (each_tensor(v, note), ...); }, converted);
  const AutocastCall cast(Name<F>::autocast, tensors.data(), int(tensors.size()));
  if constexpr (std::is_void_v<decltype(std::apply(F, converted))>) {
    std::apply(F, converted);
    Py_RETURN_NONE;
  } else {
    return to_python(std::apply(F, converted));
  }
}
template <class R, class... A>
constexpr int arity(R (*)(A...)) {
  return int(sizeof...(A));
}
template <class R, class... A>
constexpr auto arg_indices(R (*)(A...)) {
  return std::index_sequence_for<A...>{};
}

template <auto F>
PyObject* builtin(PyObject*, PyObject* const* args, Py_ssize_t n) {
  try {
    if (n != arity(F)) wrong_count(Name<F>::value, arity(F), n);
    return call_cpp<F>(args, F, arg_indices(F));
  } catch (...) {
    return translate_exception();
  }
}

// `autocast`: what it computes in while a region of mixed precision is active.
template <auto F>
PyMethodDef def(const char* name, Autocast autocast = kGiven) {
  Name<F>::value = name;
  Name<F>::autocast = autocast;
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(builtin<F>)), METH_FASTCALL,
          nullptr};
}

// Each bind_<stem>.cpp lists its functions in one static Methods object; module.cpp adds them all.
struct Methods {
  Methods(std::initializer_list<PyMethodDef> list);
};
std::vector<PyMethodDef>& all_methods();

}  // namespace lamina
