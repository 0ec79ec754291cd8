// Whether a plan still fits: the modes, the arguments, and the tensors from outside it was made
// with.
#include <unordered_map>

#include "ops/anomaly.h"
#include "plan/plan.h"

namespace lamina {

// What the plan itself holds of outside memory: more references than these mean that somebody
// else still uses it.
void Plan::count_own_refs() {
  std::unordered_map<const Storage*, uint32_t> own;
  for (const StorageRef& s : outside_) own[s.get()] = 0;
  auto count = [&](const StorageRef& s) {
    auto it = own.find(s.get());
    if (it != own.end()) ++it->second;
  };
  for (const auto* list : {&memory_, &outside_, &written_})
    for (const StorageRef& s : *list) count(s);
  for (const CallRef& c : calls_) {
    for (const Tensor& t : c->in)
      if (t.defined()) count(t->storage);
    for (const Tensor& t : c->out) count(t->storage);
  }
  for (const Result& x : results_) count(x.like->storage);
  for (const Result& x : results_)  // another tensor than the leaf or the frozen one
    if (x.outside.defined() && x.outside->refs() == 1) count(x.outside->storage);
  for (const Grad& g : grads_) count(g.storage), count(g.grad_before);
  for (const StorageRef& s : outside_) own_refs_.push_back(own[s.get()]);
}

bool Plan::same_modes() const {
  return grad_enabled() == grad_mode_ && default_dtype() == default_dtype_ &&
         float32_precision() == precision_ && autocast_key() == autocast_ && !is_recording() &&
         !anomaly_mode();
}

const char* Plan::mismatch(const Tensors& arguments) const {
  if (arguments.size() != slots_.size()) return "another number of tensors";
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Tensor& t = arguments[i];
    const Operand& like = slots_[i].like;
    if (!(t.device() == slots_[i].storage->device)) return "an argument is on another device";
    if (t.dtype() != like.dtype || t.shape() != like.shape || t.strides() != like.strides)
      return "another shape, layout or dtype";
    if (t->tracked()) return "an argument requires grad";
    for (const StorageRef& s : slots_[i].written ? outside_ : written_)
      if (s == t->storage) return "an argument is memory that the step also uses from outside";
    for (size_t j = 0; j < i; ++j) {
      const Slot& other = slots_[j];
      const bool share = arguments[j]->storage == t->storage;
      if (other.first == slots_[i].first
              ? !share || t->offset - arguments[j]->offset != like.offset - other.like.offset
              : share && (slots_[i].written || other.written))
        return "arguments share their memory in another way";
    }
  }
  for (const Grad& g : grads_) {
    if (!g.place.holds(g.leaf)) return "a parameter's memory was exchanged";
    if (g.leaf->refs() == 1) return "a parameter was replaced";
    if (!g.leaf->requires_grad) return "a parameter was frozen";
    if (g.leaf->hooks && !g.leaf->hooks->empty()) return "a parameter got a hook";
    const Tensor& grad = g.leaf->grad;
    if (g.before == Grad::kNone && grad.defined()) return "a gradient is left from before";
    if (g.before == Grad::kSame && (!grad.defined() || grad->storage != g.grad_before))
      return "the gradients were cleared";
  }
  for (const Frozen& f : frozen_) {
    if (!f.place.holds(f.tensor)) return "a tensor's memory was exchanged";
    const Tensor& grad = f.tensor->grad;
    if ((grad.defined() ? grad->storage.get() : nullptr) != f.grad)
      return "the gradient of a frozen parameter was replaced";
    if (f.tensor->requires_grad) return "a parameter was unfrozen";
    if (f.tensor->refs() == 1) return "a tensor it uses was replaced";
  }
  for (size_t i = 0; i < outside_.size(); ++i)
    if (outside_[i]->refs() <= own_refs_[i]) return "a tensor it uses was replaced";
  return nullptr;
}

}  // namespace lamina
