// Arguments and table entries of the update kernels (included by kernels.h inside namespace
// lamina).
#pragma once

struct UpdateKernels {};
