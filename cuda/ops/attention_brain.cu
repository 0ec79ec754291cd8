// Attention of bfloat16 on tensor cores (attention_tensor.h).
#include "attention_tensor.h"

namespace lamina::cuda {

void attention_forward_brain(const DeviceCall& c, const AttentionPack& k) {
  tensor_forward<Brain>(c, k);
}
void attention_backward_brain(const DeviceCall& c, const AttentionPack& k) {
  tensor_backward<Brain>(c, k);
}

}  // namespace lamina::cuda
