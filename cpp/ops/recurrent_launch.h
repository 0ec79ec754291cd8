// One layer of a recurrent network in one direction, over raw pointers (recurrent.cpp holds the
// op).
#pragma once
#include "ops/recurrent_args.h"

namespace lamina {

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
