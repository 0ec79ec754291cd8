// The type under lamina.compile's functions: a call that is a replay runs no Python.
//
// CompiledCall holds what the last call used (its plan, what to watch, how results are put
// together). Anything else goes to the subclass's `_slow(args, kwargs)`.
#include <pybind11/pybind11.h>

#include "python/plan_watch.h"
#include "python/types.h"

namespace py = pybind11;

namespace lamina {
namespace {

struct CompiledCall {
  PyObject_HEAD PyObject* entry;  // keeps the others alive; null: the next call takes the slow way
  PyObject* build;  // makes the result from an iterator over tensors; null: it is one tensor
  Plan* plan;
  const Watch* watch;
};
CompiledCall* as_call(PyObject* o) { return reinterpret_cast<CompiledCall*>(o); }

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_call(self)->entry);
  Py_VISIT(as_call(self)->build);
  return 0;
}
int clear(PyObject* self) {
  CompiledCall* c = as_call(self);
  c->plan = nullptr;
  Py_CLEAR(c->entry);
  Py_CLEAR(c->build);
  return 0;
}
void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// The result of a replay; null without an exception: this call is another.
PyObject* replay(CompiledCall* c, PyObject* args) {
  Plan& plan = *c->plan;
  if (!plan.same_modes() || !c->watch->same()) return nullptr;
  if (!c->plan) return nullptr;  // looking ran Python code, which called this
  const Py_ssize_t n = PyTuple_GET_SIZE(args);
  Tensors list;
  list.reserve(size_t(n));
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* t = PyTuple_GET_ITEM(args, i);
    if (!is_tensor(t)) return nullptr;
    list.push_back(unwrap(t));
  }
  if (plan.mismatch(list)) return nullptr;
  PyObject *entry = c->entry, *build = c->build;  // this call may be used again meanwhile
  Py_INCREF(entry);
  Py_XINCREF(build);
  PyObject* result = guarded(
      [&]() -> PyObject* {
        const Tensors results = plan.replay(list);
        if (!build) return wrap(results[0]);
        PyObject* tuple = list_to_tuple(results);
        PyObject* iterator = PyObject_GetIter(tuple);
        Py_DECREF(tuple);
        PyObject* built = PyObject_CallOneArg(build, iterator);
        Py_DECREF(iterator);
        return built;
      },
      nullptr);
  Py_DECREF(entry);
  Py_XDECREF(build);
  return result;
}

PyObject* call(PyObject* self, PyObject* args, PyObject* kwargs) {
  CompiledCall* c = as_call(self);
  if (c->plan && (!kwargs || PyDict_GET_SIZE(kwargs) == 0)) {
    PyObject* result = replay(c, args);
    if (result || PyErr_Occurred()) return result;
  }
  PyObject* named = kwargs ? Py_NewRef(kwargs) : PyDict_New();
  if (!named) return nullptr;
  PyObject* result = PyObject_CallMethod(self, "_slow", "OO", args, named);
  Py_DECREF(named);
  return result;
}

// _take(entry, build, plan, watch): the next calls try this first. _take(): none.
PyObject* take(PyObject* self, PyObject* args) {
  clear(self);
  if (PyTuple_GET_SIZE(args) == 0) Py_RETURN_NONE;
  PyObject *entry, *build, *plan, *watch;
  if (!PyArg_ParseTuple(args, "OOOO", &entry, &build, &plan, &watch)) return nullptr;
  return guarded(
      [&]() -> PyObject* {
        CompiledCall* c = as_call(self);
        c->watch = py::cast<const Watch*>(py::handle(watch));
        c->plan = py::cast<Plan*>(py::handle(plan));
        c->entry = Py_BuildValue("OOO", entry, plan, watch);
        c->build = build == Py_None ? nullptr : Py_NewRef(build);
        Py_RETURN_NONE;
      },
      nullptr);
}

PyMethodDef methods[] = {{"_take", take, METH_VARARGS, "What the next calls try first."},
                         {nullptr, nullptr, 0, nullptr}};
PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(call)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                       {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear)},
                       {Py_tp_methods, methods},
                       {0, nullptr}};
PyType_Spec spec{"lamina._core.CompiledCall", sizeof(CompiledCall), 0,
                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

void init_compiled_call(PyObject* module) {
  PyObject* type = PyType_FromSpec(&spec);
  if (!type || PyModule_AddObject(module, "CompiledCall", type) < 0) throw PythonError{};
}

}  // namespace lamina
