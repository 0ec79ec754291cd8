// Arguments and operands of a recurrent layer, for every device.
#pragma once
#include "kernels/kernels.h"

namespace lamina {

// R rows of B sequences: those of step t lie together, size(t) of them, longest sequence first.
struct RecurrentSizes {
  int32_t cell;  // RecurrentCell
  bool reverse, project;
  int64_t T, B, R;
  int64_t I, H, P;  // widths of the input, the cell and the state (P < H when projected)
  int64_t gates() const { return cell == kLstm ? 4 : cell >= kGru ? 3 : 1; }
  int64_t kept() const { return cell >= kLstm ? 4 * H : 0; }  // columns of `activations`
};

// Operands by number; backward's inputs are the forward's, then what it kept, then gy, ghn, gcn.
enum RecurrentInput { kX, kWih, kWhh, kBih, kBhh, kWhr, kH0, kC0, kSizes, kRecurrentInputs };
enum RecurrentOutput { kY, kHn, kCn, kActivations, kCells, kHidden, kRecurrentOutputs };
enum RecurrentKept { kKeptY = kRecurrentInputs, kKeptActivations, kKeptCells, kKeptHidden, kGy };

struct RecurrentGradArgs {
  RecurrentSizes sizes;
  uint32_t wanted;  // bit i: of input i
};

}  // namespace lamina
