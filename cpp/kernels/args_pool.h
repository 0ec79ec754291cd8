// Arguments and table entries of the pool kernels (included by kernels.h inside namespace lamina).
#pragma once

struct PoolKernels {};
