// Tensor.backward without the lists of the general form (module.cpp): a small model's step is a few
// microseconds, of which those would be a good part.
#include "python/types.h"
#include "tape/tape.h"

namespace lamina {
namespace {

// backward_from(root, gradient or None, retain_graph, create_graph)
PyObject* backward_from(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded(
      [&]() -> PyObject* {
        constexpr const char* kName = "backward";
        if (n != 4) wrong_count(kName, 4, n);
        const auto root = FromPython<TensorArgument>::get(args[0], {kName, 0});
        const auto gradient = FromPython<std::optional<Tensor>>::get(args[1], {kName, 1});
        const bool retain = FromPython<bool>::get(args[2], {kName, 2});
        const bool create = FromPython<bool>::get(args[3], {kName, 3});
        backward(root, gradient ? *gradient : Tensor(), {retain, create, true});
        Py_RETURN_NONE;
      },
      nullptr);
}

const Methods methods{{"backward_from",
                       reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(backward_from)),
                       METH_FASTCALL, nullptr}};

}  // namespace
}  // namespace lamina
