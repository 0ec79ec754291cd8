// One layer of a recurrent network in one direction, over raw pointers (recurrent.cpp holds the
// op).
#pragma once
#include <cstdint>

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

// Shapes beside the names; G = gates() H. Null where absent.
struct RecurrentLayer {
  const void *x;                          // (R, I)
  const void *w_ih, *w_hh, *b_ih, *b_hh;  // (G, I), (G, P), (G), (G)
  const void *w_hr;                       // (P, H)
  const void *h0, *c0;                    // (B, P), (B, H)
  const int64_t *sizes;                   // (T): sequences at each step, or null: all B
  void *y, *hn, *cn;                      // (R, P), (B, P), (B, H)
  void *activations, *cells, *hidden;     // (R, kept), LSTM (R, H), projected (R, H): o tanh c
};

struct RecurrentLayerGrad {
  const void *gy, *ghn, *gcn;                                    // null: zero
  void *gx, *gw_ih, *gw_hh, *gb_ih, *gb_hh, *gw_hr, *gh0, *gc0;  // null: not wanted
};

template <class T>
void recurrent_forward(const RecurrentSizes &s, const RecurrentLayer &l);
template <class T>
void recurrent_backward(const RecurrentSizes &s, const RecurrentLayer &l,
                        const RecurrentLayerGrad &g);

}  // namespace lamina
