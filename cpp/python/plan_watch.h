// What a compiled step read from outside, and whether it still stands there.
#pragma once
#include <pybind11/pybind11.h>

#include "plan/plan.h"

namespace lamina {

// Whether what stands in dicts, closures and lists is still what it was: the objects a step reads
// from outside. They are held by who made this (compiler.py): a cycle through here would not be
// seen by the garbage collector.
class Watch {
 public:
  explicit Watch(pybind11::list entries) {
    PyObject* missing = pybind11::module_::import("lamina._step_guards").attr("MISSING").ptr();
    for (pybind11::handle e : entries) {
      PyObject* t = e.ptr();  // (kind, where, key, value)
      Item i{PyLong_AsLong(PyTuple_GET_ITEM(t, 0)),
             PyTuple_GET_ITEM(t, 1),
             PyTuple_GET_ITEM(t, 2),
             PyTuple_GET_ITEM(t, 3),
             0,
             0};
      if (i.value == missing) i.value = nullptr;
      if (i.kind == kItem) i.index = PyLong_AsSsize_t(i.key);
      if (i.kind == kSize) i.index = PyLong_AsSsize_t(i.value);
      items_.push_back(i);
    }
  }
  bool same() const {
    for (const Item& i : items_)
      if (!holds(i)) return false;
    return true;
  }

 private:
  enum Kind { kDict, kCell, kItem, kSize, kAttribute, kContents, kType };  // as in _step_guards.py
  struct Item {
    long kind;
    PyObject *where, *key, *value;
    Py_ssize_t index;
    mutable uint64_t version;  // of the dict, when the value stood there
  };
  static bool holds(const Item& i) {
    switch (i.kind) {
      case kDict:
#if PY_VERSION_HEX < 0x030C0000
        if (reinterpret_cast<PyDictObject*>(i.where)->ma_version_tag == i.version) return true;
        i.version = reinterpret_cast<PyDictObject*>(i.where)->ma_version_tag;
#endif
        if (PyDict_GetItemWithError(i.where, i.key) == i.value) return true;
        i.version = 0;  // of no dict
        return false;
      case kCell:
        return PyCell_GET(i.where) == i.value;
      case kItem:
        return i.index < PyList_GET_SIZE(i.where) && PyList_GET_ITEM(i.where, i.index) == i.value;
      case kSize:
        return PyObject_Size(i.where) == i.index;
      case kContents: {
        const int equal = PyObject_RichCompareBool(i.where, i.value, Py_EQ);
        if (equal < 0) PyErr_Clear();
        return equal == 1;
      }
      case kType:
        return reinterpret_cast<PyObject*>(Py_TYPE(i.where)) == i.value;
      default: {
        PyObject* now = PyObject_GetAttr(i.where, i.key);
        if (!now) PyErr_Clear();
        Py_XDECREF(now);
        return now == i.value;
      }
    }
  }
  std::vector<Item> items_;
};

}  // namespace lamina
