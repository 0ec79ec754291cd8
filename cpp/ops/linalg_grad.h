// Gradients of the linear algebra ops (linalg_grad.cpp).
#pragma once
#include "core/call.h"

namespace lamina {

void cholesky_vjp(Vjp& c);
void solve_vjp(Vjp& c);
void inv_vjp(Vjp& c);
void det_vjp(Vjp& c);
void slogdet_vjp(Vjp& c);
void triangular_vjp(Vjp& c);
void qr_vjp(Vjp& c);
void lstsq_vjp(Vjp& c);
void svd_vjp(Vjp& c);
void pinv_vjp(Vjp& c);
void eigh_vjp(Vjp& c);
void eig_vjp(Vjp& c);

}  // namespace lamina
