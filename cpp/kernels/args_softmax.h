// Arguments and table entries of the softmax kernels (included by kernels.h inside namespace
// lamina).
#pragma once

struct SoftmaxKernels {};
