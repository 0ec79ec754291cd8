// Matrix products, and which library computes them, as Python builtins.
#include "ops/gemm.h"
#include "ops/matmul.h"
#include "python/bind.h"

namespace lamina {
static void set_blas_path(const std::string& path) { set_blas_library(path.c_str()); }
static std::string blas_name() { return blas_in_use(); }
static const Methods methods{
    def<matmul>("matmul"),
    def<mm>("mm"),
    def<bmm>("bmm"),
    def<mv>("mv"),
    def<dot>("dot"),
    def<outer>("outer"),
    def<addmm>("addmm"),
    def<baddbmm>("baddbmm"),
    def<addmv>("addmv"),
    def<linear>("linear"),
    def<linear_relu>("linear_relu"),
    def<set_blas_path>("set_blas_library"),
    def<blas_name>("blas_in_use"),
};
}  // namespace lamina
