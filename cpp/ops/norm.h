// Normalisation by batch, layer and group statistics. float16 and bfloat16 compute in float32.
#pragma once
#include <optional>

#include "ops/apply.h"
#include "ops/norm_args.h"

namespace lamina {

using MaybeTensor = std::optional<Tensor>;

// Ioffe and Szegedy, ICML 2015. x (N, C, ...); the others (C) or absent. training: by the batch's
// statistics, running_mean and running_var updated in place; else by the running ones.
Tensor batch_norm(const Tensor& x, const MaybeTensor& weight, const MaybeTensor& bias,
                  const MaybeTensor& running_mean, const MaybeTensor& running_var, bool training,
                  double momentum, double eps);
// For plans: what of its neighbours a recorded call of batch norm does in its own passes.
//   forward:  relu(batch_norm(x) + in[5])                       in[5] undefined: no sum
//   backward: of relu'(g + in[6]; in[5]), also left in out[3]   in[5]: relu's result
enum class BatchNormUse { none, forward, backward };

// none where the call cannot do it (a channel is one element, backward with given statistics).
BatchNormUse batch_norm_use(const Op& op, const void* args, const Dims& shape);
void extend_batch_norm(void* args, BatchNormExtra extra);
// Whether a call is a batch norm by given statistics that each element of x meets alone (a channel
// is more than one); what it adds to the variance, and does of its neighbours.
bool batch_norm_given(const Op& op, const void* args, const Dims& shape, double* eps,
                      BatchNormExtra* extra);
// 1 / sqrt(variance + eps) as it takes it, in variance's dtype.
void batch_norm_rstd(const Tensor& variance, double eps, void* to);
// Ba, Kiros and Hinton, 2016: over the last `dims` dimensions; weight and bias of their shape.
Tensor layer_norm(const Tensor& x, int64_t dims, const MaybeTensor& weight, const MaybeTensor& bias,
                  double eps);
// Zhang and Sennrich, NeurIPS 2019: the same without the mean and bias.
Tensor rms_norm(const Tensor& x, int64_t dims, const MaybeTensor& weight, double eps);
// Wu and He, ECCV 2018. x (N, C, ...), weight and bias (C).
Tensor group_norm(const Tensor& x, int64_t groups, const MaybeTensor& weight,
                  const MaybeTensor& bias, double eps);

}  // namespace lamina
