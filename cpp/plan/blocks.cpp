// Which launches are grouped.
#include "plan/blocks.h"

#include <algorithm>

#include "plan/group.h"

namespace lamina {
namespace {

constexpr int64_t kWorthwhile = 1 << 20;  // bytes a group touches; less stays in the cache anyway
constexpr int64_t kMostRow = 1 << 19;     // bytes of a row, of all tensors
constexpr int64_t kLeastBytes = 1 << 15;  // of the first one's result
constexpr int kLook = 6;                  // calls between two of a group that are looked over
constexpr size_t kMost = 32;              // calls in a group

int64_t bytes(const Operand& o) { return o.shape.product() * item_size(o.dtype); }

// The calls of a group that is being put together, at the place of the first.
struct Draft {
  const CallGraph& g;
  GroupRows rows;
  std::vector<int> calls;
  std::vector<int> memories;  // touched by them

  bool touches(const RecordedCall& c) const {
    for (const auto* list : {&c.in, &c.out})
      for (const Operand& o : *list)
        if (std::find(memories.begin(), memories.end(), o.memory) != memories.end()) return true;
    return false;
  }
  // Whether every block reads of written memory what the same block wrote or nobody did.
  bool fits(int i) const {
    if (!cuttable(g[i], rows)) return false;
    std::vector<int> all = calls;
    all.push_back(i);
    for (int w : all)
      for (const Operand& to : g[w].out)
        for (int k : all)
          for (const auto* list : {&g[k].in, &g[k].out})
            for (const Operand& o : *list)
              if (o.memory == to.memory && !same_rows(g[k], o, g[w], to, rows)) return false;
    return true;
  }
  void add(int i) {
    calls.push_back(i);
    for (const auto* list : {&g[i].in, &g[i].out})
      for (const Operand& o : *list)
        if (o.memory >= 0 &&
            std::find(memories.begin(), memories.end(), o.memory) == memories.end())
          memories.push_back(o.memory);
  }
  // Goes through the calls after the first and takes those that may stand beside it.
  void grow() {
    const int first = calls[0];
    std::vector<int> between;
    for (int j = first + 1; j < g.size() && int(between.size()) < kLook && calls.size() < kMost;
         ++j) {
      if (!g.alive(j)) continue;
      bool free = g.on_cpu(j) && touches(g[j]) && fits(j);
      for (int k : between) free = free && !g.conflict(k, j);
      if (free)
        add(j);
      else
        between.push_back(j);
    }
  }
};

// Of the memory the calls touch: what is nobody else's, and how many bytes it all is.
struct Traffic {
  int64_t touched = 0, saved = 0;
};
Traffic traffic(const Draft& d) {
  Traffic t;
  for (int m : d.memories) {
    int64_t size = 0, uses = 0;
    for (int i : d.calls)
      for (const auto* list : {&d.g[i].in, &d.g[i].out})
        for (const Operand& o : *list)
          if (o.memory == m) size = std::max(size, bytes(o)), ++uses;
    t.touched += size;
    const bool inner = d.g.temporary(m) && int64_t(d.g.touching(m).size()) <= uses &&
                       std::includes(d.calls.begin(), d.calls.end(), d.g.touching(m).begin(),
                                     d.g.touching(m).end());
    t.saved += size * (inner ? uses : uses - 1);
  }
  return t;
}

RecordedCall group_of(const Draft& d) {
  RecordedCall c;
  c.op = &group_op();
  const GroupArgs args{d.rows};
  c.args.assign(reinterpret_cast<const char*>(&args), sizeof args);
  auto outside = [&](int m) {
    const std::vector<int>& all = d.g.touching(m);
    return !d.g.temporary(m) ||
           !std::includes(d.calls.begin(), d.calls.end(), all.begin(), all.end());
  };
  for (int i : d.calls) {
    c.parts.push_back(d.g[i]);
    for (const Operand& o : d.g[i].in)
      if (o.memory >= 0 && outside(o.memory)) c.in.push_back(o);
    for (const Operand& o : d.g[i].out)
      if (outside(o.memory)) c.out.push_back(o);
  }
  return c;
}

}  // namespace

int64_t join_blocks(CallGraph& g, int64_t* saved) {
  int64_t joined = 0;
  for (int i = 0; i < g.size(); ++i) {
    if (!g.alive(i) || g[i].op->split == Split::none || g[i].out.empty()) continue;
    if (!g.on_cpu(i)) continue;
    if (bytes(g[i].out[0]) < kLeastBytes && !direct(g[i])) continue;
    const Dims& shape = g[i].out[0].shape;
    Draft best{g, {}, {}, {}};
    for (const GroupRows rows :
         {GroupRows{shape.product(), true}, GroupRows{shape.n ? shape[0] : 1, false}}) {
      Draft d{g, rows, {}, {}};
      if (rows.count < (rows.flat ? 1 : kLeastRows) || !d.fits(i)) continue;
      d.add(i);
      d.grow();
      if (d.calls.size() > best.calls.size()) {
        best.rows = d.rows;
        best.calls = d.calls;
        best.memories = d.memories;
      }
    }
    if (best.calls.size() < 2) continue;
    const Traffic t = traffic(best);
    bool cheap = best.rows.flat;
    for (int k : best.calls) cheap = cheap && direct(g[k]);
    if ((t.touched < kWorthwhile && !cheap) || t.saved == 0) continue;
    if (t.touched > kMostRow * best.rows.count) continue;
    RecordedCall group = group_of(best);
    joined += int64_t(best.calls.size());
    *saved += t.saved;
    for (int k : best.calls) g.drop(k);
    g.put(i, std::move(group));
  }
  return joined;
}

}  // namespace lamina
