// Arguments and table entries of the recurrent kernels (included by kernels.h inside namespace
// lamina).
#pragma once

// GRU: reset after the product with the state, r (W h + b), or before it, W (r h) + b.
enum RecurrentCell : int { kRnnTanh, kRnnRelu, kLstm, kGru, kGruBefore };
constexpr int kRecurrentCells = 5;

// A matrix B (K, N) cut into panels of kNR columns, [panel][k][kNR], the last filled with zeros.
// `gates` of them may stand side by side: N = gates * H, each gate's panels begin anew.
struct RecurrentPack {
  const void* b;  // B[k, j] at b[k * b_k + j * b_col]
  int64_t b_k, b_col;
  int64_t K, H, gates;
  void* panels;
};

// One time step of `rows` sequences. All pointers stand at the first of them; strides in elements.
// S: columns of the activations kept for backward (0, 4H, 4H, 4H by kind of cell).
struct RecurrentStep {
  int64_t rows, H, K;
  // The product with the state: a (rows, K) times the panels; or, with panels null, made already.
  const void* a;
  int64_t a_row;
  const void* panels;
  const void* product;  // (rows, gates H), product_row from one row to the next
  int64_t product_row;
  const void* state_bias;  // GRU: of the candidate's product with the state (H), or null
  // RNN: y holds x W^T + b and becomes h. Others: gates holds it and becomes the activations.
  void* gates;
  int64_t gates_row;
  const void* h;  // GRU: (rows, H) previous state
  const void* c;  // LSTM: (rows, H) previous cell
  void *c_new, *y;
  void* scratch;  // recurrent_scratch_elements
};

// The gradient of one step with respect to what its gates' functions are applied to.
struct RecurrentStepGrad {
  int64_t rows, H;
  const void* gy;  // (rows, H) d loss / d y of this step, or null
  void* gh;        // (rows, H) d loss / d state, from later steps; GRU: becomes its direct part
  void* gc;        // LSTM: (rows, H) d loss / d cell, updated
  const void *gates, *y, *h, *c, *c_new;
  int64_t gates_row;
  void* g;  // (rows, g_row) the result
  int64_t g_row;
  const void* grh;  // GRU reset before, second half: (rows, H) d loss / d (r h)
};

// c (rows, N) (+)= a (rows, K) times panels made of `depth` rows each.
struct RecurrentProduct {
  int64_t rows, N, K;
  const void* a;
  int64_t a_row;
  const void* panels;
  int64_t depth;
  void* c;
  int64_t c_row;
  bool add;
  void* scratch;
};

constexpr int64_t kRecurrentRows = 64;  // rows that pass a panel while it is in L1

inline int64_t recurrent_scratch_elements(int64_t rows, int64_t k) {
  const int64_t m = rows < kRecurrentRows ? rows : kRecurrentRows;
  return m * k + m * 4 * 64 + 256;
}

struct RecurrentKernels {
  void (*pack[2])(const RecurrentPack&, int64_t begin, int64_t end) = {};  // panels [begin, end)
  // Blocks [begin, end) of panel_columns units. kGruBefore: the gates r and z, then the rest.
  void (*step[kRecurrentCells][2])(const RecurrentStep&, int64_t begin, int64_t end) = {};
  void (*candidate[2])(const RecurrentStep&, int64_t begin, int64_t end) = {};
  void (*product[2])(const RecurrentProduct&) = {};
  void (*grad[kRecurrentCells][2])(const RecurrentStepGrad&) = {};
  void (*grad_reset[2])(const RecurrentStepGrad&) = {};  // kGruBefore, second half
  int panel_columns[2] = {};
};
