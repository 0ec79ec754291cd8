// Weights that replays read in a layout of their own.
//
// A product of one row reads its whole weight, which costs what memory takes to deliver it: from
// panels (ops/gemm.h) two to three times less than through a transpose in registers. The copy is as
// large as the weight, and made only where the step itself does not write the weight.
#include "ops/matmul.h"
#include "plan/plan.h"

namespace lamina {
namespace {

int64_t weight_bytes(const Call& c) { return c.in[1].numel() * item_size(c.in[1].dtype()); }

}  // namespace

void Plan::note_weight(Call& call, const Storage& weight) {
  int64_t place = 0;
  if (!weights_.empty())
    place = weights_.back().place + (weight_bytes(*weights_.back().call) + 63) / 64 * 64;
  weights_.push_back({&call, &weight, place, weight.version, weight.data_version, 0, 0});
}

// A weight that stayed the same for a while is rearranged for the calls that read it, until
// somebody writes it or may do so unseen.
void Plan::pack_weights() {
  constexpr int kPatience = 8;  // replays; about what rearranging costs
  for (Weight& w : weights_) {
    const Storage& s = *w.storage;
    const bool same = s.version == w.version && s.data_version == w.data_version &&
                      s.returned == w.returned && !s.lent;
    if (same && w.unchanged > kPatience) continue;
    if (!same && w.unchanged > kPatience) {
      stats_.packed_bytes -= weight_bytes(*w.call);
      set_panels(*w.call, Tensor());
    }
    w.unchanged = same ? w.unchanged + 1 : 0;
    w.version = s.version;
    w.data_version = s.data_version;
    w.returned = s.returned;
    if (w.unchanged <= kPatience) continue;
    const Tensor& weight = w.call->in[1];
    if (!panels_)  // one block: large enough for large pages
      panels_ = allocate(size_t(weights_.back().place + weight_bytes(*weights_.back().call)));
    const Tensor panels = Tensor::meta({weight.numel()}, weight.dtype());
    panels->storage = panels_;
    panels->offset = w.place / item_size(weight.dtype());
    make_panels(weight, panels);
    set_panels(*w.call, panels);
    stats_.packed_bytes += weight_bytes(*w.call);
  }
}

}  // namespace lamina
