// Matrix products, and which library computes them, as Python builtins.
#include "ops/gemm.h"
#include "ops/matmul.h"
#include "python/bind.h"

namespace lamina {
static void set_blas_path(const std::string& path) { set_blas_library(path.c_str()); }
static std::string blas_name() { return blas_in_use(); }
static const Methods methods{
    def<matmul>("matmul", kLower),
    def<mm>("mm", kLower),
    def<bmm>("bmm", kLower),
    def<mv>("mv", kLowerOnCuda),
    def<dot>("dot", kWidestOnCuda),
    def<outer>("outer"),
    def<addmm>("addmm", kLower),
    def<baddbmm>("baddbmm", kLower),
    def<addmv>("addmv", kLowerOnCuda),
    def<linear>("linear", kLower),
    def<linear_relu>("linear_relu", kLower),
    def<set_blas_path>("set_blas_library"),
    def<blas_name>("blas_in_use"),
};
}  // namespace lamina
