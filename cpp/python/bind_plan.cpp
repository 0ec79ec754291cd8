// Plans as Python objects. A replay is called once per training step, with a tuple of tensors.
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>

#include "python/plan_watch.h"
#include "python/types.h"

namespace py = pybind11;

namespace lamina {
namespace {

Tensors tensors_of(const py::handle& list) {
  return FromPython<Tensors>::get(list.ptr(), At{"compile", 0});
}
py::object tuple_of(const Tensors& list) {
  return py::reinterpret_steal<py::object>(list_to_tuple(list));
}

}  // namespace

void init_plan(PyObject* module) {
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  m.def("note_read", [](const std::string& what) { note_read(what.c_str()); });
  py::class_<Watch>(m, "Watch").def(py::init<py::list>()).def("same", &Watch::same);
  py::class_<Recording, RecordingRef>(m, "Recording")
      .def("gradients_now", [](const Recording& r) { return gradients_now(r.leaves); })
      .def_readwrite("refused", &Recording::refused)
      .def("difference", &difference)
      .def("__len__", [](const Recording& r) { return r.calls.size(); });
  m.def("start_recording", [](py::object arguments, RecordingRef previous, py::function on_read) {
    auto held = std::make_shared<PyFunctionRef>(on_read.release().ptr());
    start_recording(tensors_of(arguments), previous.get(), [held](const char* what) {
      PyObject* result = PyObject_CallFunction(held->f, "s", what);
      if (!result) throw PythonError{};
      Py_DECREF(result);
    });
  });
  m.def("recording_reads", [](py::handle t) { return recording_reads(unwrap(t.ptr())); });
  m.def("refuse_recording", &refuse_recording);
  m.def("shadows", [](py::object list) { return tuple_of(shadows(tensors_of(list))); });
  m.def("end_shadows", [](py::object arguments, py::object list, py::object results) {
    end_shadows(tensors_of(arguments), tensors_of(list), tensors_of(results));
  });
  m.def("set_fusion", &set_fusion);
  m.def("kept_elsewhere", [](Recording& r) { return kept_elsewhere(r); });
  m.def("stop_recording", [](py::object results) { return stop_recording(tensors_of(results)); });
  py::class_<Plan, std::shared_ptr<Plan>>(m, "Plan")
      .def(py::init<const Recording&>())
      .def("mismatch",
           [](const Plan& p, py::object arguments) { return p.mismatch(tensors_of(arguments)); })
      .def("replay",
           [](Plan& p, py::object arguments) { return tuple_of(p.replay(tensors_of(arguments))); })
      .def("written", [](const Plan& p) { return tuple_of(p.written()); })
      .def("writes", &Plan::writes)
      .def("leaves", [](const Plan& p) { return tuple_of(p.leaves()); })
      .def("gradients_now", &Plan::gradients_now)
      .def("summary", &Plan::summary)
      .def("profile", &Plan::profile)
      .def("stats", [](const Plan& p) {
        const PlanStats s = p.stats();
        return py::dict(py::arg("recorded") = s.recorded, py::arg("calls") = s.calls,
                        py::arg("made_bytes") = s.made_bytes,
                        py::arg("arena_bytes") = s.arena_bytes,
                        py::arg("kept_bytes") = s.kept_bytes, py::arg("folded") = s.folded,
                        py::arg("epilogues") = s.epilogues, py::arg("grouped") = s.grouped,
                        py::arg("saved_bytes") = s.saved_bytes,
                        py::arg("packed_bytes") = s.packed_bytes);
      });
}

}  // namespace lamina
