// Groups: launches over the same rows, done block by block of rows, one launch after the other
// while the block is in the cache. What only passes from one to the next needs memory for a block.
#pragma once
#include <any>

#include "plan/call_graph.h"

namespace lamina {

// Calls of the graph replaced by groups; returns how many calls are in groups now. `saved` grows by
// the memory traffic that replays do without.
int64_t join_blocks(CallGraph& g, int64_t* saved);

bool is_group(const Op& op);
// What the launch of a group needs besides its tensors: the call's `extra`.
std::any group_state(const RecordedCall& group);
// "[mul add]"; empty for other calls.
std::string group_names(const Call& c);

}  // namespace lamina
