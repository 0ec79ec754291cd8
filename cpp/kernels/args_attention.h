// Arguments and table entries of the attention kernels (included by kernels.h inside namespace
// lamina).
#pragma once

// The most queries of a tile, and its keys: a multiple of the 64 elements dropout draws at a time.
constexpr int64_t kAttentionQueries = 64, kAttentionKeys = 128;
// Queries of a tile. Short causal sequences follow the diagonal more closely with lower tiles.
inline int64_t attention_queries(int64_t L, bool causal) {
  return causal && L <= 128 ? 32 : kAttentionQueries;
}

// Element (b, h, i, c) at p[b * batch + h * head + i * row + c].
struct AttentionRows {
  void* p;
  int64_t batch, head, row;
};

enum AttentionMask { kNoMask, kBoolMask, kFloatMask };

// Sizes: q (B, H, L, D), k (B, H / group, S, D), v (B, H / group, S, E), y and g (B, H, L, E).
struct AttentionArgs {
  int64_t B, H, group, L, S, D, E;
  int64_t queries;  // of a tile
  double scale;
  bool causal;   // query i sees keys 0 ... past + i
  int64_t past;  // keys before those of the first query; backward takes none
  AttentionRows q, k, v, y;
  AttentionMask mask_kind;  // bool: true takes part; float: added to the scores
  AttentionRows mask;       // a stride is 0 where the mask is broadcast
  void* lse;                // (B, H, L) log sum exp of the scores, in the kernel's own unit
  // Backward: g = d loss / d y; a gradient with p null is not wanted.
  AttentionRows g, gq, gk, gv;
  void* delta;  // (B, H, L) sum over a row of g y
  // Dropout of the probabilities; threshold 0: none.
  uint64_t seed, offset, threshold;
  double keep_scale;
  void (*gemm)(const GemmArgs&);  // of the same instruction set
};

// One range of tasks on the calling thread; `scratch` holds attention_scratch() elements.
using AttentionFn = void (*)(const AttentionArgs& a, int64_t begin, int64_t end, void* scratch);
struct AttentionKernels {
  // Tasks: forward and grad_queries: B H ceil(L / queries); grad_keys: B (H / group)
  // ceil(S / kAttentionKeys), writes gk, gv; grad: B H / group, writes all three; delta and keep:
  // B H L rows. By Compute.
  AttentionFn forward[2] = {}, delta[2] = {}, grad[2] = {}, grad_queries[2] = {}, grad_keys[2] = {};
  // (B, H, L, S) at a.y.p: keep_scale where dropout keeps, else 0.
  AttentionFn keep[2] = {};
};

// Elements of scratch for one range of tasks of any kind.
inline int64_t attention_scratch(const AttentionArgs& a) {
  const int64_t tile = kAttentionQueries * kAttentionKeys;
  const int64_t keys = (a.S + kAttentionKeys - 1) / kAttentionKeys * kAttentionKeys;
  const int64_t width = a.D > a.E ? a.D : a.E;
  return 2 * tile + keys * (a.D + a.E) + 256 +          // tiles; k and v transposed
         kAttentionKeys * (a.D + a.E) +                 // gk, gv of a key block
         (a.group * a.L + kAttentionQueries) * width +  // gq of a head group, or y's tile
         8 * kAttentionQueries + 4 * kAttentionKeys +   // statistics; mask and dropout rows
         gemm_scratch_elements(kAttentionKeys, width + kAttentionKeys, width + kAttentionKeys);
}
