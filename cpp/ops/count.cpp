// one_hot and bincount: written with scatter, into memory made here.
#include "ops/count.h"

#include <algorithm>

#include "core/device.h"
#include "ops/index.h"
#include "ops/ops.h"

namespace lamina {
namespace {

int64_t classes_of(const char* op, const Tensor& x) {
  const int64_t most = x.numel() ? int64_t(item(amax(x)).i) : -1;
  check(most < INT64_MAX, ErrorKind::value, op, ": ", most, " is too large");
  return most + 1;
}
Tensor ones_like_index(const Tensor& x, DType dtype) {
  return expand(full({}, 1, dtype), x.shape());
}

}  // namespace

Tensor one_hot(const Tensor& x, int64_t classes) {
  WorkingDevice here(x.device());
  const Tensor at = to_dtype(x, DType::int64);
  const int64_t n = classes == -1 ? classes_of("one_hot", at) : classes;
  check(n > 0, ErrorKind::index, "one_hot: no class numbers from 0 to ", n - 1);
  Dims shape = x.shape();
  shape.push(n);
  const Tensor y = zeros(shape, DType::int64), rows = unsqueeze(at, -1);
  return scatter_(y, -1, rows, ones_like_index(rows, DType::int64), "", true);
}

Tensor bincount(const Tensor& x, std::optional<Tensor> weights, int64_t least) {
  WorkingDevice here(x.device());
  const Tensor at = to_dtype(x, DType::int64);
  const DType dtype = weights ? weights->dtype() : DType::int64;
  const Tensor y = zeros({std::max({least, classes_of("bincount", at), int64_t(1)})}, dtype);
  return scatter_(y, 0, at, weights ? *weights : ones_like_index(at, dtype), "sum", true);
}

}  // namespace lamina
