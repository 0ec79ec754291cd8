// The functions of ops/view.h as Python builtins.
#include "ops/view.h"
#include "python/bind.h"

namespace lamina {
namespace {

Tensor py_slice(const Tensor& x, int64_t dim, std::optional<int64_t> start,
                std::optional<int64_t> end, int64_t step) {
  return slice(x, dim, start.value_or(0), end.value_or(INT64_MAX), step);
}

const Methods methods{
    def<reshape>("reshape"),
    def<view>("view"),
    def<permute>("permute"),
    def<transpose>("transpose"),
    def<expand>("expand"),
    def<static_cast<Tensor (*)(const Tensor&)>(squeeze)>("squeeze"),
    def<static_cast<Tensor (*)(const Tensor&, const Dims&)>(squeeze)>("squeeze_dims"),
    def<unsqueeze>("unsqueeze"),
    def<select>("select"),
    def<py_slice>("slice"),
    def<narrow>("narrow"),
    def<diagonal>("diagonal"),
    def<unfold_view>("unfold_view"),
    def<as_strided>("as_strided"),
    def<detach>("detach"),
    def<view_dtype>("view_dtype"),
    def<split>("split"),
    def<split_sizes>("split_sizes"),
    def<unbind>("unbind"),
};

}  // namespace
}  // namespace lamina
