// The functions of ops/linalg.h as Python builtins.
#include "ops/linalg.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<linalg_cholesky>("linalg_cholesky"),
    def<linalg_lu_factor>("linalg_lu_factor"),
    def<linalg_lu_solve>("linalg_lu_solve"),
    def<linalg_solve>("linalg_solve"),
    def<linalg_inv>("linalg_inv"),
    def<linalg_det>("linalg_det"),
    def<linalg_slogdet>("linalg_slogdet"),
    def<linalg_solve_triangular>("linalg_solve_triangular"),
    def<linalg_qr>("linalg_qr"),
    def<linalg_svd>("linalg_svd"),
    def<linalg_svdvals>("linalg_svdvals"),
    def<linalg_eigh>("linalg_eigh"),
    def<linalg_eigvalsh>("linalg_eigvalsh"),
    def<linalg_eig>("linalg_eig"),
    def<linalg_eigvals>("linalg_eigvals"),
    def<linalg_lstsq>("linalg_lstsq"),
    def<linalg_pinv>("linalg_pinv"),
};
}  // namespace lamina
