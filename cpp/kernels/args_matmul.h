// Arguments and table entries of the matmul kernels (included by kernels.h inside namespace
// lamina).
#pragma once

struct MatmulKernels {};
