// The functions of ops/linalg.h as Python builtins.
#include "ops/linalg.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<linalg_cholesky>("linalg_cholesky", kFloat32OnCPU),
    def<linalg_lu_factor>("linalg_lu_factor", kFloat32OnCPU),
    def<linalg_lu_solve>("linalg_lu_solve", kFloat32OnCPU),
    def<linalg_solve>("linalg_solve", kFloat32OnCPU),
    def<linalg_inv>("linalg_inv", kFloat32OnCPU),
    def<linalg_det>("linalg_det"),
    def<linalg_slogdet>("linalg_slogdet"),
    def<linalg_solve_triangular>("linalg_solve_triangular", kFloat32OnCPU),
    def<linalg_qr>("linalg_qr", kFloat32OnCPU),
    def<linalg_svd>("linalg_svd", kFloat32OnCPU),
    def<linalg_svdvals>("linalg_svdvals", kFloat32OnCPU),
    def<linalg_eigh>("linalg_eigh", kFloat32OnCPU),
    def<linalg_eigvalsh>("linalg_eigvalsh", kFloat32OnCPU),
    def<linalg_eig>("linalg_eig", kFloat32OnCPU),
    def<linalg_eigvals>("linalg_eigvals", kFloat32OnCPU),
    def<linalg_lstsq>("linalg_lstsq", kFloat32OnCPU),
    def<linalg_pinv>("linalg_pinv", kFloat32OnCPU),
};
}  // namespace lamina
