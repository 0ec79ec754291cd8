// Arguments and table entries of the sort kernels (included by kernels.h inside namespace lamina).
#pragma once

struct SortKernels {};
