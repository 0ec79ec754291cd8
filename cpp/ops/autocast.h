// Regions of mixed precision: in which type a function computes while one is active.
//
// A function that Python calls carries its rule on its own line (python/bind_<stem>.cpp; formulas.h
// for the elementwise ones). In a region the binding converts the arguments before the call and
// switches the region off for the call itself, so that what a function calls, and backward, runs in
// the types it is given. Outside all regions this costs a test of one number.
#pragma once
#include <atomic>

#include "kernels/autocast.h"
#include "ops/apply.h"

namespace lamina {

// What the regions of one thread ask for, per device type.
struct AutocastMode {
  bool on[2] = {false, false};  // by DeviceType
  DType lower[2] = {DType::bfloat16, DType::float16};
  bool cache = true;    // parameters converted once per outermost region
  int64_t key() const;  // equal for equal modes
};

// How many threads are in a region or have one switched on.
extern std::atomic<int> autocast_regions;
inline bool autocasting() {
  return __builtin_expect(autocast_regions.load(std::memory_order_relaxed) != 0, 0);
}
const AutocastMode& autocast_mode();
void set_autocast_mode(const AutocastMode& mode);
// The outermost region of a thread ends by forgetting the converted parameters.
void clear_autocast_cache();
// Whether calls on this thread are left alone; counts nested uses.
int64_t suspend_autocast(bool on);
// How deep regions are nested, after adding `by`.
int64_t autocast_depth(int64_t by);
int64_t autocast_key();  // of this thread's mode; 0: no region is active

// The conversion of one call's tensors; nothing, unless a region for their device is active.
class AutocastCall {
 public:
  AutocastCall(Autocast rule, Tensor* const* tensors, int n);
  ~AutocastCall();
  AutocastCall(const AutocastCall&) = delete;
  AutocastCall& operator=(const AutocastCall&) = delete;

 private:
  bool switched_ = false;
};

}  // namespace lamina
