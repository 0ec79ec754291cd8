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

// (B, H, L, S): 1 / (1 - p) where dropout of the probabilities keeps, else 0, for a generator that
// stands at `key`: what backward makes again.
Tensor attention_keep(const Dims& shape, DType dtype, double p, PhiloxKey key);

}  // namespace lamina
