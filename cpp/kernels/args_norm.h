// Arguments and table entries of the norm kernels (included by kernels.h inside namespace lamina).
#pragma once

// Batch normalisation of x (N, C, S); weights and statistics (C), any of them null where allowed.
struct BatchNormArgs {
  const void *x, *weight, *bias;
  void *y, *mean, *rstd;             // mean and rstd: written in training, read otherwise
  void *running_mean, *running_var;  // updated in training
  const void *g;                     // backward: d loss / d y
  void *gx, *gweight, *gbias;
  int64_t N, C, S;
  double eps, momentum;
  bool training;
  // In the last pass of plans (S > 1). Forward: y = relu(norm(x) + summand). Backward, training:
  // g is relu's gradient of g + summand where `result` > 0, and it is left in g_sum for others.
  const void *summand, *result;  // null: none
  void *g_sum;
  bool relu, summand_first;
};
// Channels [begin, end).
using BatchNormFn = void (*)(const BatchNormArgs &a, int64_t begin, int64_t end);

// Rows of x (rows, size), normalised each by itself; weight and bias (size), or null.
struct LayerNormArgs {
  const void *x, *weight, *bias;
  void *y, *mean, *rstd;  // mean null: RMS norm
  const void *g;
  void *gx, *partial, *gweight, *gbias;  // null where not wanted
  int64_t rows, size;
  double eps;
  bool past;  // y (backward: gx) goes past the caches (past_caches)
};
// Rows [begin, end); backward: blocks of kLayerNormBlock rows, whose sums over rows go to row b of
// `partial`: 2 size values, gweight first.
constexpr int64_t kLayerNormBlock = 32;
using LayerNormFn = void (*)(const LayerNormArgs &a, int64_t begin, int64_t end);

// Groups of x (N, G, D, S), normalised each by itself; weight and bias (G D), or null.
struct GroupNormArgs {
  const void *x, *weight, *bias;
  void *y, *mean, *rstd;  // (N, G)
  const void *g;
  void *gx;
  double *sum_g, *sum_gx;  // backward: (N, G D) sums over S of g and g (x - mean) rstd
  int64_t G, D, S;
  double eps;
};
// Groups [begin, end) of N * G.
using GroupNormFn = void (*)(const GroupNormArgs &a, int64_t begin, int64_t end);

struct NormKernels {
  BatchNormFn batch_norm[2] = {}, batch_norm_grad[2] = {};  // float32, float64
  LayerNormFn layer_norm[2] = {}, layer_norm_grad[2] = {};
  LayerNormFn layer_norm_sums[2] = {};  // columns [begin, end) of gweight and gbias from partial
  GroupNormFn group_norm[2] = {}, group_norm_grad[2] = {};
};
