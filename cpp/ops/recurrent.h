// Recurrent layers: RNN (Elman, 1990), LSTM (Hochreiter and Schmidhuber, Neural Computation 9
// (1997)), GRU (Cho et al., EMNLP 2014), each with its own steps in one op.
#pragma once
#include <optional>
#include <tuple>

#include "ops/apply.h"

namespace lamina {

using MaybeTensor = std::optional<Tensor>;

// One layer in one direction over all steps: (y, hn, cn). cell: a RecurrentCell.
//   x (T, B, I), or with batch_sizes (T) the rows (R, I) of a packed sequence; y like x, P wide
//   w_ih (G, I), w_hh (G, P), b_ih and b_hh (G) or neither, w_hr (P, H) or absent (then P = H)
//   h0 (B, P) and c0 (B, H), zeros when absent; hn, cn like them; G = H, 4 H, 3 H by cell
std::tuple<Tensor, Tensor, Tensor> recurrent_layer(int64_t cell, const Tensor& x,
                                                   const MaybeTensor& batch_sizes,
                                                   const MaybeTensor& h0, const MaybeTensor& c0,
                                                   const Tensor& w_ih, const Tensor& w_hh,
                                                   const MaybeTensor& b_ih, const MaybeTensor& b_hh,
                                                   const MaybeTensor& w_hr, bool reverse);

}  // namespace lamina
