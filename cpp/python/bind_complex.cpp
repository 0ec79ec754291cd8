// The functions of ops/complex.h as Python builtins.
#include "ops/complex.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<view_as_real>("view_as_real"),
    def<view_as_complex>("view_as_complex", kFloat32OnCPU),
    def<real>("real"),
    def<imag>("imag"),
    def<make_complex>("complex"),
    def<conj>("conj"),
    def<angle>("angle"),
};
}  // namespace lamina
