// Weights that replays read in a layout of their own.
//
// A product of one row reads its whole weight, which costs what memory takes to deliver it: from
// panels (ops/gemm.h) two to three times less than through a transpose in registers. A convolution
// of few outputs takes long to rearrange its weight, and to transform it (Winograd). The copy is as
// large as the weight (Winograd: 16 / 9 of it, from precision "high" on 4 times), and made only
// where the step itself does not write the weight.
#include "ops/conv.h"
#include "ops/matmul.h"
#include "plan/plan.h"

namespace lamina {
namespace {

int64_t elements_of(const Call& c) { return takes_panels(c) ? c.in[1].numel() : conv_panels(c); }
void make(const Call& c, const Tensor& to) {
  (takes_panels(c) ? make_panels : make_conv_panels)(c, to);
}
void set(Call& c, const Tensor& to) { (takes_panels(c) ? set_panels : set_conv_panels)(c, to); }

}  // namespace

void Plan::note_weight(Call& call, const Storage& weight) {
  const int64_t elements = elements_of(call);
  if (!elements) return;
  int64_t place = 0;
  if (!weights_.empty()) place = (weights_.back().place + weights_.back().bytes + 63) / 64 * 64;
  weights_.push_back({&call, &weight, place, elements * item_size(call.in[1].dtype()),
                      weight.version, weight.data_version, 0, 0});
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
      stats_.packed_bytes -= w.bytes;
      set(*w.call, Tensor());
    }
    w.unchanged = same ? w.unchanged + 1 : 0;
    w.version = s.version;
    w.data_version = s.data_version;
    w.returned = s.returned;
    if (w.unchanged <= kPatience) continue;
    if (!panels_)  // one block: large enough for large pages
      panels_ = allocate(size_t(weights_.back().place + weights_.back().bytes));
    const DType t = w.call->in[1].dtype();
    const Tensor panels = Tensor::meta({w.bytes / item_size(t)}, t);
    panels->storage = panels_;
    panels->offset = w.place / item_size(t);
    make(*w.call, panels);
    set(*w.call, panels);
    stats_.packed_bytes += w.bytes;
  }
}

}  // namespace lamina
