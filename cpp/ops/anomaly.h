// Anomaly mode: every result, forward and backward, is searched for NaN and infinities, and the
// first op that makes one out of finite operands raises an error that names it.
#pragma once
#include <functional>
#include <string>

#include "core/call.h"

namespace lamina {

// While the mode is on, `where` says which module is running now ("" outside of any).
void set_anomaly_mode(bool on, std::function<std::string()> where);
bool anomaly_mode();
// While it lives, results of this thread are not searched.
struct AnomalyPause {
  AnomalyPause();
  ~AnomalyPause();
  bool before;
};

// Around a launch: made before it, asked about each result after it.
class OutputCheck {
 public:
  explicit OutputCheck(const Call& call) : call_(call) {
    if (anomaly_mode()) look_at_inputs();
  }
  void operator()(const Tensor& output) const {
    if (on_) look_at(output);
  }

 private:
  void look_at_inputs();
  void look_at(const Tensor& output) const;
  const Call& call_;
  bool on_ = false, nan_ = false, inf_ = false;  // held by the inputs
};
// For recorded calls: the running module.
std::string running_module();
// After a vjp: gradients of inputs that hold what no gradient of an output held.
void check_gradients(const Call& call, const Tensor* gouts, int outputs, const Tensor* gins);

}  // namespace lamina
