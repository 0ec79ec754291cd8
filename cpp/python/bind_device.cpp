// Devices: where tensors go, memory, streams and events as integers (lamina.cuda wraps them).
#include "core/device.h"
#include "ops/ops.h"
#include "ops/transfer.h"
#include "python/types.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

namespace lamina {
namespace {

// An index of -1 is host memory.
Device device_at(int64_t index) {
  if (index < 0) return {};
  return {DeviceType::cuda, int8_t(index)};
}
Tensor py_to_device(const Tensor& x, int64_t index, bool wait) {
  return to_device(x, device_at(index), wait);
}
int64_t device_of(const Tensor& x) {
  return x.device().type == DeviceType::cpu ? -1 : x.device().index;
}
const Methods methods{
    def<py_to_device>("to_device"),
    def<device_of>("device_of"),
    def<pin_memory>("pin_memory"),
    def<is_pinned>("is_pinned"),
};

using Handle = uintptr_t;
void* pointer(Handle h) { return reinterpret_cast<void*>(h); }
Handle handle(void* p) { return reinterpret_cast<Handle>(p); }
const DeviceTable& table(int d) { return device_table("cuda", device_at(d)); }

}  // namespace

PyObject* device_to_python(Device d) {
  static PyObject* known[64] = {};
  PyObject*& o = d.type == DeviceType::cpu ? g_cpu_device : known[d.index];
  if (!o) {
    o = PyObject_CallFunction(reinterpret_cast<PyObject*>(Py_TYPE(g_cpu_device)), "si", "cuda",
                              int(d.index));
    if (!o) throw PythonError{};
  }
  Py_INCREF(o);
  return o;
}

void init_devices(PyObject* module) {
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  m.def("device_count", &device_count);
  m.def("device_trouble", &device_trouble);
  m.def("current_device", [] { return device_table(), current_device(); });
  m.def("set_current_device", &set_current_device);
  m.def("set_working_device", [](int d) {  // of tensors made from here on; returns the one before
    const Device before = working_device;
    if (d >= 0) device_table("device", device_at(d));
    working_device = device_at(d);
    return before.type == DeviceType::cpu ? -1 : int(before.index);
  });
  m.def("device_properties", [](int d) {
    DeviceProperties p;
    table(d).properties(d, &p);
    py::dict r;
    r["name"] = p.name;
    r["major"] = p.major;
    r["minor"] = p.minor;
    r["total_memory"] = p.memory;
    r["multi_processor_count"] = p.multiprocessors;
    r["warp_size"] = p.warp_size;
    r["max_threads_per_block"] = p.threads_per_block;
    r["max_threads_per_multi_processor"] = p.threads_per_multiprocessor;
    r["shared_memory_per_block"] = p.shared_per_block;
    r["L2_cache_size"] = p.l2_bytes;
    r["clock_rate"] = p.clock_khz;
    r["memory_clock_rate"] = p.memory_clock_khz;
    r["memory_bus_width"] = p.bus_bits;
    r["emulated"] = p.emulated;
    return r;
  });
  m.def("device_memory", [](int d) {
    DeviceMemory s;
    table(d).memory(d, &s);
    return py::make_tuple(s.in_use, s.peak, s.reserved, s.peak_reserved, s.free, s.total);
  });
  m.def("device_reset_peak", [](int d) { table(d).reset_peak(d); });
  m.def("device_empty_cache", [](int d) { table(d).empty_cache(d); });
  m.def("device_ops", [] {
    const char* names[1024];
    const int n = device_table().ops(names, 1024);
    return std::vector<std::string>(names, names + (n < 1024 ? n : 1024));
  });
  const py::call_guard<py::gil_scoped_release> unlocked;
  m.def("device_synchronize", [](int d) { table(d).synchronize(d); }, unlocked);
  m.def("stream_create",
        [](int d, int priority) { return handle(table(d).stream_create(d, priority)); });
  m.def("stream_destroy", [](int d, Handle s) { table(d).stream_destroy(d, pointer(s)); });
  m.def(
      "stream_synchronize", [](int d, Handle s) { table(d).stream_synchronize(d, pointer(s)); },
      unlocked);
  m.def("stream_idle", [](int d, Handle s) { return table(d).stream_idle(d, pointer(s)); });
  m.def("stream_current", [](int d) { return handle(table(d).stream_current(d)); });
  m.def("stream_use", [](int d, Handle s) { table(d).stream_use(d, pointer(s)); });
  m.def("stream_wait",
        [](int d, Handle s, Handle e) { table(d).stream_wait(d, pointer(s), pointer(e)); });
  m.def("event_create",
        [](int d, bool timing) { return handle(table(d).event_create(d, timing)); });
  m.def("event_destroy", [](int d, Handle e) { table(d).event_destroy(d, pointer(e)); });
  m.def("event_record",
        [](int d, Handle e, Handle s) { table(d).event_record(d, pointer(e), pointer(s)); });
  m.def(
      "event_synchronize", [](int d, Handle e) { table(d).event_synchronize(d, pointer(e)); },
      unlocked);
  m.def("event_done", [](int d, Handle e) { return table(d).event_done(d, pointer(e)); });
  m.def("event_elapsed", [](int d, Handle from, Handle to) {
    return table(d).event_elapsed(d, pointer(from), pointer(to));
  });
}

}  // namespace lamina
