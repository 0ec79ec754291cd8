// lamina._core.renaming: a Python function whose keyword arguments may have second names, as
// NumPy's "axis" for "dim". A call without keywords goes straight on to the function, so the second
// names cost a few nanoseconds; a call with keywords compares each with the table.
#include "python/types.h"
// after Python.h
#include <structmember.h>

namespace lamina {
namespace {

struct Renaming {
  PyObject ob_base;
  vectorcallfunc call;
  PyObject* function;  // what is called
  PyObject* names;     // a dict: second name -> the name of an argument
  PyObject* dict;      // __name__, __doc__, ... copied from the function
};
Renaming* of(PyObject* o) { return reinterpret_cast<Renaming*>(o); }

// kwnames with second names replaced; a new reference, null with an exception set.
PyObject* renamed(PyObject* names, PyObject* kwnames) {
  const Py_ssize_t n = PyTuple_GET_SIZE(kwnames);
  PyObject* changed = nullptr;
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* to = PyDict_GetItemWithError(names, PyTuple_GET_ITEM(kwnames, i));
    if (!to && PyErr_Occurred()) return Py_XDECREF(changed), nullptr;
    if (!to) continue;
    if (!changed) {
      changed = PyTuple_New(n);
      if (!changed) return nullptr;
      for (Py_ssize_t j = 0; j < n; ++j) {
        Py_INCREF(PyTuple_GET_ITEM(kwnames, j));
        PyTuple_SET_ITEM(changed, j, PyTuple_GET_ITEM(kwnames, j));
      }
    }
    Py_INCREF(to);
    Py_DECREF(PyTuple_GET_ITEM(changed, i));
    PyTuple_SET_ITEM(changed, i, to);
  }
  if (changed) return changed;
  Py_INCREF(kwnames);
  return kwnames;
}

PyObject* call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  if (!kwnames) return PyObject_Vectorcall(of(self)->function, args, nargsf, nullptr);
  PyObject* names = renamed(of(self)->names, kwnames);
  if (!names) return nullptr;
  PyObject* result = PyObject_Vectorcall(of(self)->function, args, nargsf, names);
  Py_DECREF(names);
  return result;
}

PyObject* make(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject *function, *names;
  if (!PyArg_ParseTuple(args, "OO!", &function, &PyDict_Type, &names)) return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  Py_INCREF(function);
  Py_INCREF(names);
  of(self)->call = call;
  of(self)->function = function;
  of(self)->names = names;
  of(self)->dict = PyDict_New();
  return self;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(of(self)->function);
  Py_VISIT(of(self)->names);
  Py_VISIT(of(self)->dict);
  return 0;
}

int clear(PyObject* self) {
  Py_CLEAR(of(self)->function);
  Py_CLEAR(of(self)->names);
  Py_CLEAR(of(self)->dict);
  return 0;
}

void dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  clear(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// As a method of a class: self comes first.
PyObject* get(PyObject* self, PyObject* object, PyObject*) {
  if (object && object != Py_None) return PyMethod_New(self, object);
  Py_INCREF(self);
  return self;
}

PyObject* repr(PyObject* self) { return PyObject_Repr(of(self)->function); }

PyObject* reduce(PyObject* self, PyObject*) {  // pickled and copied by name, as functions are
  return PyObject_GetAttrString(self, "__qualname__");
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Renaming, call), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(Renaming, dict), READONLY, nullptr},
    {"__wrapped__", T_OBJECT_EX, offsetof(Renaming, function), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyMethodDef functions[] = {{"__reduce__", reduce, METH_NOARGS, nullptr},
                           {nullptr, nullptr, 0, nullptr}};
PyGetSetDef getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(make)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                       {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear)},
                       {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                       {Py_tp_descr_get, reinterpret_cast<void*>(get)},
                       {Py_tp_repr, reinterpret_cast<void*>(repr)},
                       {Py_tp_members, members},
                       {Py_tp_methods, functions},
                       {Py_tp_getset, getset},
                       {0, nullptr}};
PyType_Spec spec = {"lamina._core.renaming", sizeof(Renaming), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                        Py_TPFLAGS_METHOD_DESCRIPTOR,
                    slots};

}  // namespace

void init_renaming(PyObject* module) {
  PyModule_AddObject(module, "renaming", PyType_FromSpec(&spec));
}

}  // namespace lamina
