// Scaled dot-product attention (Vaswani et al., 2017) whose scores are never stored (Dao et al.,
// 2022): memory grows linearly with the lengths.
#pragma once
#include <optional>

#include "core/random.h"
#include "ops/apply.h"

namespace lamina {

// y = dropout(softmax(scale q k^T + mask)) v over the last two dimensions.
//   q (..., L, D), k (..., S, D), v (..., S, E) -> (..., L, E); leading dimensions broadcast.
//   mask: bool (true takes part) or of q's dtype (added), broadcast to (..., L, S).
//   dropout_p: drops probabilities, keyed by position, from `g` or the default generator.
//   causal: query i sees keys 0 ... i. scale: 1 / sqrt(D) when absent.
//   gqa: dimension -3 of k and v divides q's; a key head serves a run of query heads.
// A query that sees no key gives zeros. float16 and bfloat16 compute as float32.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const std::optional<Tensor>& mask, double dropout_p,
                                    bool causal, std::optional<double> scale, bool gqa,
                                    GeneratorRef g);

// Attention to a cache (a decoder's step): the new keys k (N, H', T, D) and values v (N, H', T, E)
// are put at positions n ... n + T of `keys` (N, H', C, D) and `values` (N, H', C, E), n being what
// `filled` (int64, one element) holds; query i of q (N, H, T, D) sees positions 0 ... n + i; n
// grows by T. Returns (N, H, T, E). Nothing is recorded for backward. An error when n + T > C.
Tensor attend_cached(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& keys,
                     const Tensor& values, const Tensor& filled, std::optional<double> scale);

// (B, H, L, S): 1 / (1 - p) where dropout of the probabilities keeps, else 0, for a generator that
// stands at `key`: what backward makes again.
Tensor attention_keep(const Dims& shape, DType dtype, double p, PhiloxKey key);

}  // namespace lamina
