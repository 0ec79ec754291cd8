// What loss scaling does with gradients and with the scale itself, on their device, without reading
// anything back (Micikevicius et al., "Mixed precision training", ICLR 2018).
#pragma once
#include "ops/apply.h"

namespace lamina {

// grads: floating tensors of one device; each becomes g * inv_scale, in place. found_inf becomes 1
// where an element was infinite or NaN. inv_scale, found_inf: float32 numbers of that device.
void unscale_(const Tensors& grads, const Tensor& found_inf, const Tensor& inv_scale);

// Where found_inf is not 0: scale = scale backoff, tracker = 0. Else tracker = tracker + 1, and
// when that is `interval`, tracker = 0 and scale = scale growth, unless that is infinite. All are
// float32 numbers (tracker: int32).
void update_scale_(const Tensor& scale, const Tensor& tracker, const Tensor& found_inf,
                   double growth, double backoff, int64_t interval);

}  // namespace lamina
