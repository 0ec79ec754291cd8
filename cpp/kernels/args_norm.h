// Arguments and table entries of the norm kernels (included by kernels.h inside namespace lamina).
#pragma once

struct NormKernels {};
