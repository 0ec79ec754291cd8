// For each elementwise function f of formulas.h three builtins: f(x..., p...), f_(x..., p...)
// writing into its first argument, and f_out(out, x..., p...).
#include "ops/elementwise.h"

#include <deque>

#include "python/types.h"

namespace lamina {
namespace {

// The builtins share three bodies; the function's index travels as the builtin's `self`.
enum class Form { value, in_place, out };

// Gives `out` the shape the operands broadcast to; one that had elements is warned of.
void fit(const char* name, const Tensor& out, std::initializer_list<Input> operands) {
  Dims shape;
  for (const Tensor& x : operands) shape = broadcast_shapes(name, shape, x.shape());
  if (shape == out.shape()) return;
  if (out.numel() && PyErr_WarnEx(PyExc_UserWarning,
                                  "an output was resized, for its shape was not the result's; pass "
                                  "one of the right shape, or an empty one",
                                  1) < 0)
    throw PythonError{};
  const Tensor wide = empty(shape, out.dtype(), out.device());
  out->storage = wide->storage;
  out->offset = 0;
  out->shape = wide.shape();
  out->strides = wide.strides();
}

// The value in a region of mixed precision; apart, so that others do not pay for it.
[[gnu::noinline]] PyObject* in_region(int f, int inputs, const TensorArgument* given,
                                      const double* p) {
  Tensor x[3];
  for (int i = 0; i < inputs; ++i) x[i] = given[i];
  Tensor* const list[] = {&x[0], &x[1], &x[2]};
  const AutocastCall cast(function_autocast(f), list, inputs);
  return wrap(inputs == 1   ? elementwise(f, {x[0]}, p[0], p[1], p[2])
              : inputs == 2 ? elementwise(f, {x[0], x[1]}, p[0], p[1], p[2])
                            : elementwise(f, {x[0], x[1], x[2]}, p[0], p[1], p[2]));
}

template <Form form>
PyObject* body(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  return guarded(
      [&]() -> PyObject* {
        const int f = int(PyLong_AsLong(self));
        const char* name = function_name(f);
        const int first = form == Form::out, inputs = function_inputs(f);
        if (n < first + inputs || n > first + inputs + 3) wrong_count(name, first + inputs, n);
        TensorArgument x[3];
        for (int i = 0; i < inputs; ++i)
          x[i] = FromPython<TensorArgument>::get(args[first + i], {name, i});
        double p[3] = {};
        for (int i = first + inputs; i < n; ++i)
          p[i - first - inputs] = FromPython<double>::get(args[i], {name, i});
        if (form == Form::value && autocasting()) return in_region(f, inputs, x, p);
        const auto call = [&](std::initializer_list<Input> list) {
          if constexpr (form == Form::value) {
            return elementwise(f, list, p[0], p[1], p[2]);
          } else {
            if (!is_tensor(args[0])) bad_argument(name, 0, "a Tensor", args[0]);
            const Tensor& into = unwrap(args[0]);
            if (form == Form::out) fit(name, into, list);
            return elementwise_into(f, list, into, p[0], p[1], p[2]);
          }
        };
        const Tensor &x0 = x[0], &x1 = x[1], &x2 = x[2];
        return wrap(inputs == 1 ? call({x0}) : inputs == 2 ? call({x0, x1}) : call({x0, x1, x2}));
      },
      nullptr);
}

std::deque<std::string>& names() {
  static std::deque<std::string> list;
  return list;
}
std::deque<PyMethodDef>& defs() {
  static std::deque<PyMethodDef> list;
  return list;
}

template <Form form>
void add_builtin(PyObject* module, const std::string& name, int f) {
  names().push_back(name);
  defs().push_back({names().back().c_str(),
                    reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(body<form>)),
                    METH_FASTCALL, nullptr});
  PyObject* self = PyLong_FromLong(f);
  PyObject* builtin = PyCFunction_NewEx(&defs().back(), self, nullptr);
  Py_DECREF(self);
  PyModule_AddObject(module, names().back().c_str(), builtin);
}

}  // namespace

void init_elementwise(PyObject* module) {
  for (int f = 0; f < function_count(); ++f) {
    const std::string name = function_name(f);
    add_builtin<Form::value>(module, name, f);
    add_builtin<Form::in_place>(module, name + "_", f);
    add_builtin<Form::out>(module, name + "_out", f);
  }
}

}  // namespace lamina
