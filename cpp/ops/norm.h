// Normalisation by batch, layer and group statistics. float16 and bfloat16 compute in float32.
#pragma once
#include <optional>

#include "ops/apply.h"

namespace lamina {

using MaybeTensor = std::optional<Tensor>;

// Ioffe and Szegedy, ICML 2015. x (N, C, ...); the others (C) or absent. training: by the batch's
// statistics, running_mean and running_var updated in place; else by the running ones.
Tensor batch_norm(const Tensor& x, const MaybeTensor& weight, const MaybeTensor& bias,
                  const MaybeTensor& running_mean, const MaybeTensor& running_var, bool training,
                  double momentum, double eps);
// Ba, Kiros and Hinton, 2016: over the last `dims` dimensions; weight and bias of their shape.
Tensor layer_norm(const Tensor& x, int64_t dims, const MaybeTensor& weight, const MaybeTensor& bias,
                  double eps);
// Zhang and Sennrich, NeurIPS 2019: the same without the mean and bias.
Tensor rms_norm(const Tensor& x, int64_t dims, const MaybeTensor& weight, double eps);
// Wu and He, ECCV 2018. x (N, C, ...), weight and bias (C).
Tensor group_norm(const Tensor& x, int64_t groups, const MaybeTensor& weight,
                  const MaybeTensor& bias, double eps);

}  // namespace lamina
