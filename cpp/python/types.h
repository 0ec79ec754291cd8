// What the binding files share besides bind.h.
#pragma once
#include <memory>

#include "python/bind.h"

namespace lamina {

extern PyObject* g_exceptions[];     // by ErrorKind
extern PyTypeObject* g_tensor_type;  // lamina.Tensor
extern PyObject* g_size_type;        // lamina.Size, set from Python
extern PyObject* g_cpu_device;       // lamina.device("cpu"), set from Python

void init_dtypes(PyObject* module);
void init_tensor_type(PyObject* module);
void init_elementwise(PyObject* module);
void init_random(PyObject* module);
void init_renaming(PyObject* module);
void init_plan(PyObject* module);
void init_devices(PyObject* module);
PyObject* device_to_python(Device d);  // lamina.device("cuda", 0); new reference
void init_compiled_call(PyObject* module);

// A tensor object of `type` (a subclass of lamina.Tensor) holding t, which must have none yet.
PyObject* wrap_as(PyTypeObject* type, const Tensor& t);

// interop.cpp
Tensor from_buffer(PyObject* array);  // shares the array's memory
PyObject* to_dlpack(const Tensor& t);
Tensor from_dlpack_capsule(PyObject* capsule);
PyObject* to_list(const Tensor& t);

// indexing.cpp
PyObject* tensor_getitem(const Tensor& self, PyObject* key);
int tensor_setitem(const Tensor& self, PyObject* key, PyObject* value);

// A Python callable held by C++ objects, which owns it: released with the GIL held.
struct PyFunctionRef {
  PyObject* f;
  explicit PyFunctionRef(PyObject* owned) : f(owned) {}
  PyFunctionRef(const PyFunctionRef&) = delete;
  ~PyFunctionRef() {
    if (!Py_IsInitialized()) return;
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF(f);
    PyGILState_Release(state);
  }
};

// A hook written in Python. A type of its own, so that the garbage collector can see the callable
// in a leaf's list of hooks (tensor_type.cpp).
struct PythonHook {
  std::shared_ptr<PyFunctionRef> ref;
  Tensor operator()(const Tensor& g) const;
};

// The backward of an autograd.Function, f(outs, *gouts); a type of its own for the same reason.
struct PythonVjp {
  std::shared_ptr<PyFunctionRef> ref;
  Tensors operator()(const Tensors& gouts, const Tensors& outs) const;
};

// Calls `body`, turning C++ exceptions into Python's.
template <class F>
auto guarded(F&& body, decltype(body()) failed) -> decltype(body()) {
  try {
    return body();
  } catch (...) {
    translate_exception();
    return failed;
  }
}

}  // namespace lamina
