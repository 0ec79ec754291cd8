// What a backward pass has still to visit.
#pragma once
#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <vector>

#include "core/call.h"

namespace lamina {

using Gradients = SmallVec<Tensor, 2>;  // per output

// Calls some of whose gradients have arrived, sorted: the youngest, which is next, last. They are
// not counted, for the roots hold them all. Where many wait, as for the summands of a long sum, all
// but the youngest kNear lie in a tree: putting one among them costs its logarithm.
class Waiting {
 public:
  struct Slot {
    Call* call;
    std::unique_ptr<Gradients> g;
  };
  bool empty() const { return near_.empty() && far_.empty(); }
  Gradients& of(Call* call) {
    if (__builtin_expect(!far_.empty(), 0) && !older(far_.rbegin()->first, call))
      return in(far_[call], call);
    auto at = std::lower_bound(near_.begin(), near_.end(), call,
                               [](const Slot& a, const Call* b) { return older(a.call, b); });
    if (at != near_.end() && at->call == call) return *at->g;
    if (__builtin_expect(near_.size() == 2 * kNear, 0)) {
      spread();
      return of(call);
    }
    return in(near_.insert(at, Slot{call, nullptr})->g, call);
  }
  Slot take() {
    if (near_.empty()) {
      auto last = std::prev(far_.end());
      Slot s{last->first, std::move(last->second)};
      far_.erase(last);
      return s;
    }
    Slot s = std::move(near_.back());
    near_.pop_back();
    return s;
  }
  void give_back(std::unique_ptr<Gradients> g) {  // for the next one
    g->clear();
    spare_ = std::move(g);
  }

 private:
  static constexpr size_t kNear = 64;
  static bool older(const Call* a, const Call* b) {
    return a->sequence != b->sequence ? a->sequence < b->sequence : std::less<const Call*>()(a, b);
  }
  struct Older {
    bool operator()(const Call* a, const Call* b) const { return older(a, b); }
  };
  [[gnu::noinline]] void spread() {
    for (size_t i = 0; i < kNear; ++i)
      far_.emplace_hint(far_.end(), near_[i].call, std::move(near_[i].g));
    near_.erase(near_.begin(), near_.begin() + kNear);
  }
  Gradients& in(std::unique_ptr<Gradients>& g, Call* call) {
    if (!g) {
      g = spare_ ? std::move(spare_) : std::make_unique<Gradients>();
      g->resize(call->out_shapes.size());
    }
    return *g;
  }
  std::vector<Slot> near_;  // younger than those in far_
  std::map<Call*, std::unique_ptr<Gradients>, Older> far_;
  std::unique_ptr<Gradients> spare_;
};

}  // namespace lamina
