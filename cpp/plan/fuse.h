// Fusion: the calls of a plan replaced by fewer that leave the same bits.
//
//   folded      calls on constants alone are done once, when the plan is made
//   epilogues   linear and conv take the relu of their result, batch norm the sum and the relu
//               after it, conv a norm by given statistics with these; batch norm's gradient takes
//               relu's gradient and the sum before that
//   grouped     launches over the same rows are done block by block (blocks.h)
#pragma once
#include "plan/call_graph.h"

namespace lamina {

struct Fused {
  std::vector<RecordedCall> once;  // folded: to be launched when the plan is made
  int64_t epilogues = 0, grouped = 0;
  int64_t saved_bytes = 0;  // memory traffic that replays do without
};
Fused fuse(CallGraph& g);
// Whether plans made from now on are fused; for measuring and testing what it does.
void set_fusion(bool on);

}  // namespace lamina
