// A group as one call: how its tensors are cut into rows, and its launch.
#pragma once
#include "plan/recording.h"

namespace lamina {

// flat: every element is a row, tensors are dense and alike or of one element. Otherwise rows are
// those of dimension 0; inputs without it are given whole.
struct GroupRows {
  int64_t count = 0;
  bool flat = false;
};
struct GroupArgs {
  GroupRows rows;
};
constexpr int64_t kLeastRows = 8;  // fewer make no blocks of a useful size

// Whether the call can be done row by row.
bool cuttable(const RecordedCall& c, const GroupRows& rows);
// Whether row r of one lies where row r of the other does, and nothing else.
bool same_rows(const Operand& a, const Operand& b, const GroupRows& rows);

const Op& group_op();

}  // namespace lamina
