// Random numbers, and the C type under lamina.Generator (python/lamina/random.py), which holds a
// Generator and passes seed and offset through.
#include "ops/random.h"

#include "python/types.h"

namespace lamina {
namespace {

struct GeneratorObject {
  PyObject_HEAD Generator* g;
};
PyTypeObject* g_generator_type = nullptr;
Generator* of(PyObject* o) { return reinterpret_cast<GeneratorObject*>(o)->g; }

PyObject* generator_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* o = type->tp_alloc(type, 0);
  if (!o) return nullptr;
  Generator* const g = new Generator;
  g->retain();
  reinterpret_cast<GeneratorObject*>(o)->g = g;
  return o;
}
void generator_dealloc(PyObject* o) {
  PyTypeObject* const type = Py_TYPE(o);
  Generator* const g = of(o);
  if (g->release()) destroy(g);
  type->tp_free(o);
  Py_DECREF(type);
}
// _share_default(): from now on this object is the default generator.
PyObject* share_default(PyObject* o, PyObject*) {
  Generator* const g = of(o);
  default_generator().retain();
  reinterpret_cast<GeneratorObject*>(o)->g = &default_generator();
  if (g->release()) destroy(g);
  Py_RETURN_NONE;
}
PyObject* get_state(PyObject* o, PyObject*) {
  return Py_BuildValue("KK", (unsigned long long)(of(o)->seed()),
                       (unsigned long long)(of(o)->offset()));
}
PyObject* set_state(PyObject* o, PyObject* args) {
  unsigned long long seed, offset;
  if (!PyArg_ParseTuple(args, "KK", &seed, &offset)) return nullptr;
  of(o)->set_state(seed, offset);
  Py_RETURN_NONE;
}
PyMethodDef generator_methods[] = {
    {"_share_default", share_default, METH_NOARGS, "Become the default generator."},
    {"_get", get_state, METH_NOARGS, "(seed, offset)"},
    {"_set", set_state, METH_VARARGS, "_set(seed, offset)"},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot generator_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(generator_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(generator_dealloc)},
    {Py_tp_methods, generator_methods},
    {0, nullptr},
};
PyType_Spec generator_spec{"lamina._core.Generator", sizeof(GeneratorObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, generator_slots};

Tensor integers(const Dims& shape, int64_t low, int64_t range, DType dtype, GeneratorRef g) {
  return random_integers(shape, low, uint64_t(range), dtype, g);
}
Tensor integers_(const Tensor& x, int64_t low, int64_t range, GeneratorRef g) {
  return random_integers_(x, low, uint64_t(range), g);
}

const Methods methods{
    def<random_uniform>("random_uniform"),
    def<random_normal>("random_normal"),
    def<integers>("random_integers"),
    def<random_permutation>("random_permutation"),
    def<random_>("random_"),
    def<integers_>("random_integers_"),
    def<random_poisson>("random_poisson"),
    def<multinomial>("multinomial"),
};

}  // namespace

void init_random(PyObject* module) {
  g_generator_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&generator_spec));
  if (!g_generator_type) throw PythonError{};
  Py_INCREF(g_generator_type);
  PyModule_AddObject(module, "Generator", reinterpret_cast<PyObject*>(g_generator_type));
}

GeneratorRef generator_from_python(PyObject* o) {
  if (o == Py_None) return GeneratorRef(&default_generator());
  if (!PyObject_TypeCheck(o, g_generator_type))
    fail(ErrorKind::type, "generator: expected a lamina.Generator or None, got ",
         Py_TYPE(o)->tp_name);
  return GeneratorRef(of(o));
}

}  // namespace lamina
