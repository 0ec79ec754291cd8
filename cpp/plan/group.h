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
constexpr int64_t kLeastRows = 16;  // fewer are too little for several threads

// Whether the call can be done row by row.
bool cuttable(const RecordedCall& c, const GroupRows& rows);
// Whether flat blocks cost it next to nothing: its kernel takes them without its launch.
bool direct(const RecordedCall& c);
// Whether row r of operand a of call x lies where row r of operand b of call y does, no row of
// theirs reaching into another.
bool same_rows(const RecordedCall& x, const Operand& a, const RecordedCall& y, const Operand& b,
               const GroupRows& rows);

const Op& group_op();

}  // namespace lamina
