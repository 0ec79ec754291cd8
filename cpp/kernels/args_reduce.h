// Arguments and table entries of the reduce kernels (included by kernels.h inside namespace
// lamina).
#pragma once

struct ReduceKernels {};
