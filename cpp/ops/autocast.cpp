// The modes of each thread, the conversion of arguments, and the cache of converted parameters.
#include "ops/autocast.h"

#include <unordered_map>

#include "ops/creation.h"

namespace lamina {

std::atomic<int> autocast_regions{0};

namespace {

struct Converted {
  Tensor from, to;
  uint32_t version;
  bool recorded;  // gradients flow through it
};
struct Regions {
  AutocastMode mode;
  bool counted = false;
  int64_t inside = 0;  // calls running whose arguments were converted
  int64_t depth = 0;
  std::unordered_map<const TensorImpl*, Converted> cache;
  ~Regions() {
    if (counted) --autocast_regions;
  }
};
thread_local Regions regions;

bool eligible(const Tensor& t, DeviceType type) {
  return t.defined() && t.device().type == type && is_floating(t.dtype()) &&
         t.dtype() != DType::float64;
}

Tensor convert(const Tensor& t, DType to) {
  if (t.dtype() == to) return t;
  const bool parameter = t.dtype() == DType::float32 && t->requires_grad && !t->call && !t->view;
  if (!parameter || !regions.mode.cache) return to_dtype(t, to);
  const auto at = regions.cache.find(t.get());
  if (at != regions.cache.end() && at->second.to.dtype() == to &&
      at->second.version == t->version() && at->second.recorded == grad_enabled())
    return at->second.to;
  const Tensor made = to_dtype(t, to);
  regions.cache[t.get()] = {t, made, t->version(), grad_enabled()};
  return made;
}

}  // namespace

int64_t AutocastMode::key() const {
  int64_t k = 0;
  for (int d = 0; d < 2; ++d)
    if (on[d]) k |= (1 + int64_t(lower[d])) << (8 * d);
  return k ? k | int64_t(cache) << 16 : 0;
}

const AutocastMode& autocast_mode() { return regions.mode; }
void set_autocast_mode(const AutocastMode& mode) {
  regions.mode = mode;
  const bool count = mode.on[0] || mode.on[1];
  if (count != regions.counted) autocast_regions += count ? 1 : -1;
  regions.counted = count;
}
void clear_autocast_cache() { regions.cache.clear(); }
int64_t suspend_autocast(bool on) { return regions.inside += on ? 1 : -1; }
int64_t autocast_depth(int64_t by) { return regions.depth += by; }
int64_t autocast_key() { return autocasting() ? regions.mode.key() : 0; }

AutocastCall::AutocastCall(Autocast rule, Tensor* const* tensors, int n) {
  Regions& r = regions;
  if (!r.counted || r.inside) return;
  DeviceType type = DeviceType::cpu;
  for (int i = 0; i < n; ++i)
    if (tensors[i]->defined() && (*tensors[i]).device().type != DeviceType::cpu)
      type = (*tensors[i]).device().type;
  if (!r.mode.on[int(type)]) return;
  const Cast cast = type == DeviceType::cpu ? rule.cpu : rule.cuda;
  if (cast == Cast::given) return;
  DType to = cast == Cast::lower ? r.mode.lower[int(type)] : DType::float32;
  if (cast == Cast::widest) {
    to = r.mode.lower[int(type)];
    for (int i = 0; i < n; ++i)
      if (eligible(*tensors[i], type)) to = promote(to, tensors[i]->dtype());
  }
  for (int i = 0; i < n; ++i)
    if (eligible(*tensors[i], type)) *tensors[i] = convert(*tensors[i], to);
  ++r.inside;
  switched_ = true;
}
AutocastCall::~AutocastCall() {
  if (switched_) --regions.inside;
}

}  // namespace lamina
