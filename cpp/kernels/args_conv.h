// Arguments and table entries of the conv kernels (included by kernels.h inside namespace lamina).
#pragma once

struct ConvKernels {};
