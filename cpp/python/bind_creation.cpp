// Creation, conversion and single elements as Python builtins.
#include "ops/ops.h"
#include "python/types.h"

namespace lamina {
namespace {

Tensor py_empty(const Dims& shape, DType dtype) { return empty(shape, dtype, working_device); }
Tensor py_full(const Dims& shape, Scalar value, DType dtype) { return full(shape, value, dtype); }
void py_fill(const Tensor& x, Scalar value) {
  Tensor t = x;
  fill_(t, value);
}
Tensor py_contiguous(const Tensor& x) { return contiguous(x); }

const Methods methods{
    def<py_empty>("empty"),        def<py_full>("full"),      def<py_fill>("fill_"),
    def<arange>("arange"),         def<linspace>("linspace"), def<copy_>("copy_"),
    def<to_dtype>("to_dtype"),     def<clone>("clone"),       def<py_contiguous>("contiguous"),
    def<promote>("promote_types"),
};

}  // namespace
}  // namespace lamina
