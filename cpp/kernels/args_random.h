// Arguments and table entries of the random kernels (included by kernels.h inside namespace
// lamina).
#pragma once

struct RandomKernels {};
