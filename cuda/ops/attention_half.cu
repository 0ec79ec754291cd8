// Attention of float16 on tensor cores (attention_tensor.h).
#include "attention_tensor.h"

namespace lamina::cuda {

void attention_forward_half(const DeviceCall& c, const AttentionPack& k) {
  tensor_forward<Half>(c, k);
}
void attention_backward_half(const DeviceCall& c, const AttentionPack& k) {
  tensor_backward<Half>(c, k);
}

}  // namespace lamina::cuda
