// lamina._core: the module. Hot functions come from the bind_*.cpp lists; what is called rarely
// (threads, memory, autograd entry points) is bound with pybind11 here.
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <thread>

#include "core/threads.h"
#include "ops/anomaly.h"
#include "ops/ops.h"
#include "python/types.h"
#include "tape/tape.h"

namespace py = pybind11;

namespace pybind11::detail {
template <>
struct type_caster<lamina::Tensor> {  // None is the undefined tensor
  PYBIND11_TYPE_CASTER(lamina::Tensor, const_name("Tensor"));
  bool load(handle src, bool) {
    if (src.is_none()) return true;
    if (!lamina::is_tensor(src.ptr())) return false;
    value = lamina::unwrap(src.ptr());
    return true;
  }
  static handle cast(const lamina::Tensor& t, return_value_policy, handle) {
    return lamina::wrap(t);
  }
};
}  // namespace pybind11::detail

namespace lamina {
namespace {

void add_exceptions(py::module_& m) {
  auto make = [&](ErrorKind kind, const char* name, std::initializer_list<PyObject*> bases,
                  const char* doc) {
    py::tuple tuple(bases.size());
    size_t i = 0;
    for (PyObject* b : bases) tuple[i++] = py::reinterpret_borrow<py::object>(b);
    const std::string full = std::string("lamina.") + name;
    PyObject* type = PyErr_NewExceptionWithDoc(full.c_str(), doc, tuple.ptr(), nullptr);
    m.attr(name) = py::reinterpret_steal<py::object>(type);
    g_exceptions[int(kind)] = type;
  };
  make(ErrorKind::shape, "ShapeError", {PyExc_RuntimeError, PyExc_ValueError},
       "Operands whose shapes do not fit the operation.");
  make(ErrorKind::dtype, "DTypeError", {PyExc_NotImplementedError, PyExc_TypeError},
       "Operands whose dtypes do not fit the operation.");
  make(ErrorKind::value, "ArgumentError", {PyExc_RuntimeError, PyExc_ValueError},
       "A number or word that the operation does not take.");
  make(ErrorKind::index, "RangeError", {PyExc_RuntimeError, PyExc_IndexError},
       "A dimension or index beyond the end.");
  make(ErrorKind::device, "DeviceError", {PyExc_RuntimeError}, "A device that is not there.");
  make(ErrorKind::memory, "OutOfMemoryError", {PyExc_RuntimeError, PyExc_MemoryError},
       "Memory that could not be had.");
  g_exceptions[int(ErrorKind::runtime)] = PyExc_RuntimeError;
  g_exceptions[int(ErrorKind::type)] = PyExc_TypeError;
  g_exceptions[int(ErrorKind::not_implemented)] = PyExc_NotImplementedError;
  // pybind11's own route to the same exceptions.
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const Error& e) {
      PyErr_SetString(g_exceptions[int(e.kind)], e.what());
    } catch (const PythonError&) {
    }
  });
}

TensorHook hook_from(py::function f) {
  return PythonHook{std::make_shared<PyFunctionRef>(f.release().ptr())};
}

// What `grad_fn` shows: a recorded call, or the leaf where a gradient ends.
struct Node {
  CallRef call;
  Tensor leaf;
  bool operator==(const Node& o) const { return id() == o.id(); }
  const void* id() const {
    return call ? static_cast<const void*>(call.get()) : static_cast<const void*>(leaf.get());
  }
};

void add_nodes(py::module_& m) {
  py::class_<Node>(m, "Node")
      .def_property_readonly(
          "call_name", [](const Node& n) { return std::string(n.call ? n.call->name() : ""); })
      .def_property_readonly("leaf", [](const Node& n) { return n.leaf; })
      .def_property_readonly(
          "sources",  // per input (Node or None, which of its outputs)
          [](const Node& n) {
            std::vector<std::pair<std::optional<Node>, uint32_t>> list;
            if (n.call)
              for (const Source& s : n.call->source)
                list.emplace_back(
                    s.edge.needed() ? std::optional(Node{s.edge.call, s.edge.leaf}) : std::nullopt,
                    s.edge.index);
            return list;
          })
      .def("__eq__", [](const Node& a, const Node& b) { return a == b; })
      .def("__hash__", [](const Node& n) { return size_t(n.id()); });
  m.def("node_of", [](const Tensor& t) -> std::optional<Node> {
    call_name(t);  // brings a view's history up to date
    if (!t->call) return std::nullopt;
    return Node{t->call, {}};
  });
  m.def("base_of", [](const Tensor& t) { return t->view ? t->view->base : Tensor(); });
}

void add_autograd(py::module_& m) {
  add_nodes(m);
  m.def("backward", [](const Tensors& roots, const Tensors& gs, bool retain, bool create) {
    backward(roots, gs, {retain, create, true});
  });
  m.def("gradients", [](const Tensors& roots, const Tensors& gs, const Tensors& inputs, bool retain,
                        bool create, bool allow_unused) {
    return gradients(roots, gs, inputs, {retain, create, allow_unused});
  });
  m.def("grad_enabled", &grad_enabled);
  m.def("set_grad_enabled", &set_grad_enabled);
  m.def("anomaly_mode", &anomaly_mode);
  m.def("set_anomaly_mode", [](bool on, py::object where) {
    if (!on) return set_anomaly_mode(false, {});
    auto held = std::make_shared<PyFunctionRef>(where.release().ptr());
    set_anomaly_mode(true, [held] {
      py::gil_scoped_acquire lock;
      return py::reinterpret_borrow<py::object>(held->f)().cast<std::string>();
    });
  });
  m.def("add_hook", [](const Tensor& t, py::function f) { return add_hook(t, hook_from(f)); });
  m.def("add_post_hook",
        [](const Tensor& t, py::function f) { return add_post_hook(t, hook_from(f)); });
  m.def("run_post_hooks", [](const Tensor& leaf) { run_post_hooks(leaf); });
  m.def("remove_hook", &remove_hook);
  m.def("retain_grad", &retain_grad);
  m.def("record_function",
        [](const Tensors& in, const Tensors& out, uint32_t saves, bool once, py::function f) {
          record_foreign(in, out, saves, once,
                         PythonVjp{std::make_shared<PyFunctionRef>(f.release().ptr())});
        });
}

void add_machine(py::module_& m) {
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads);
  m.def("isa", [] { return std::string(cpu_kernels().isa); });
  m.def("available_isas", [] {
    const char* names[8];
    const int n = available_isas(names, 8);
    return std::vector<std::string>(names, names + n);
  });
  m.def("select_isa", [](const std::string& name) {
    cpu_kernels();
    const char* why = "";
    check(select_isa(name.c_str(), &why), ErrorKind::value, "select_isa: ", name,
          " is not usable: ", why);
  });
  m.def("multiply_adds", [](int64_t steps) {  // on every thread at once; returns the operations
    std::vector<double> done(size_t(num_threads()), 0.0);
    {
      py::gil_scoped_release unlocked;
      parallel_rows(num_threads(), 1e9, [&](int64_t b, int64_t e) {
        float out;
        for (int64_t i = b; i < e; ++i)
          done[size_t(i)] = cpu_kernels().peak.multiply_adds(steps, &out);
      });
    }
    double total = 0;
    for (double d : done) total += d;
    return total;
  });
  m.def("memory_stats", [] {
    const PoolStats s = pool_stats();
    return py::dict(py::arg("in_use") = s.in_use, py::arg("cached") = s.cached,
                    py::arg("peak") = s.peak);
  });
  m.def("empty_cache", &empty_cache);
  m.def("default_dtype",
        [] { return py::reinterpret_steal<py::object>(dtype_to_python(default_dtype())); });
  m.def("set_default_dtype", [](py::object d) { set_default_dtype(dtype_from_python(d.ptr())); });
}

// The bytes of a dense tensor, writable, in place; a memoryview of them keeps the tensor alive.
struct Bytes {
  Tensor t;
};

void add_conversion(py::module_& m) {
  m.def("tensor", [](py::object data, py::object dtype) {
    return tensor_from_python(
        data.ptr(), dtype.is_none() ? std::nullopt : std::optional(dtype_from_python(dtype.ptr())));
  });
  py::class_<Bytes>(m, "_Bytes", py::buffer_protocol()).def_buffer([](Bytes& b) {
    static unsigned char none;
    const py::ssize_t n = b.t.numel() * item_size(b.t.dtype());
    return py::buffer_info(n ? b.t.data<unsigned char>() : &none, n);
  });
  m.def("bytes_of", [](const Tensor& t) {
    note_read("bytes_of");
    check(t.device().type == DeviceType::cpu, ErrorKind::device,
          "bytes_of: the tensor is not in host memory; use .cpu()");
    check(t.is_contiguous(), ErrorKind::runtime, "bytes_of: the tensor must be contiguous");
    return py::memoryview(py::cast(Bytes{t}));
  });
  m.def("from_buffer", [](py::object array) { return from_buffer(array.ptr()); });
  // Where the first element lies; lend and give_back: somebody may write the memory meanwhile.
  m.def("address", [](const Tensor& t) {
    note_read("data_ptr");
    return reinterpret_cast<intptr_t>(t.data());
  });
  m.def("lend", [](const Tensor& t) {
    note_read("numpy");
    t->storage->lend();
    return reinterpret_cast<intptr_t>(t.data());
  });
  m.def("give_back", [](const Tensor& t) { t->storage->give_back(); });
  m.def("to_dlpack",
        [](const Tensor& t) { return py::reinterpret_steal<py::object>(to_dlpack(t)); });
  m.def("from_dlpack_capsule", [](py::object c) { return from_dlpack_capsule(c.ptr()); });
  m.def("_set_python_types", [](py::object size, py::object cpu) {
    g_size_type = size.release().ptr();
    g_cpu_device = cpu.release().ptr();
  });
}

// A thread that comes back while the interpreter ends (a daemon's) is ended by Python with a forced
// unwinding, which destructors may not let through. It waits for the end of the process instead, as
// from Python 3.14 on.
void enter(void* state) {
  try {
    PyEval_RestoreThread(static_cast<PyThreadState*>(state));
  } catch (...) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

}  // namespace
}  // namespace lamina

PYBIND11_MODULE(_core, m) {
  using namespace lamina;
  // A launch within another one finds the interpreter left already: null.
  leave_interpreter = [] {
    return PyGILState_Check() ? static_cast<void*>(PyEval_SaveThread()) : nullptr;
  };
  enter_interpreter = enter;
  add_exceptions(m);
  init_dtypes(m.ptr());
  init_tensor_type(m.ptr());
  init_elementwise(m.ptr());
  init_random(m.ptr());
  init_renaming(m.ptr());
  std::vector<PyMethodDef>& methods = all_methods();
  methods.push_back({nullptr, nullptr, 0, nullptr});
  PyModule_AddFunctions(m.ptr(), methods.data());
  add_autograd(m);
  add_machine(m);
  add_conversion(m);
  init_devices(m.ptr());
  init_plan(m.ptr());
  init_compiled_call(m.ptr());
}
