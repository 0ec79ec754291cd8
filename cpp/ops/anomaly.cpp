// Searching results for what is not a number. Off, it costs one load per call.
#include "ops/anomaly.h"

#include <atomic>
#include <cmath>

#include "ops/ops.h"

namespace lamina {
namespace {

std::atomic<bool> g_on{false};
std::function<std::string()> g_where;
thread_local bool t_paused = false;

struct Found {
  int64_t nan = 0, inf = 0;
};
Found search(const Tensor& t) {
  Found found;
  if (!t.defined() || !is_floating(t.dtype()) || t.numel() == 0) return found;
  const AnomalyPause pause;  // the ops below are not searched themselves
  GradMode off(false);
  const Tensor values = contiguous(to_dtype(t, DType::float64));
  const double* v = values.data<double>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    found.nan += std::isnan(v[i]);
    found.inf += std::isinf(v[i]);
  }
  return found;
}
// What `made` holds that `had` did not: NaN out of no NaN, infinities out of finite numbers.
const char* anomaly(const Found& made, const Found& had) {
  if (made.nan && !had.nan) return "NaN";
  if (made.inf && !had.nan && !had.inf) return "infinity";
  return nullptr;
}
void add(Found& sum, const Found& f) {
  sum.nan += f.nan;
  sum.inf += f.inf;
}

}  // namespace

void set_anomaly_mode(bool on, std::function<std::string()> where) {
  g_where = std::move(where);
  g_on = on;
}
AnomalyPause::AnomalyPause() : before(t_paused) { t_paused = true; }
AnomalyPause::~AnomalyPause() { t_paused = before; }
bool anomaly_mode() { return g_on.load(std::memory_order_relaxed) && !t_paused; }
std::string running_module() { return g_where ? g_where() : std::string(); }

void OutputCheck::look_at_inputs() {
  Found had;
  for (const Tensor& t : call_.in) {
    on_ = on_ || (t.defined() && is_floating(t.dtype()));  // else: made of numbers the user gave
    add(had, search(t));
  }
  nan_ = had.nan, inf_ = had.inf;
}
void OutputCheck::look_at(const Tensor& output) const {
  const Found made = search(output);
  const char* what = anomaly(made, {nan_, inf_});
  check(!what, ErrorKind::runtime, call_.name(), ": made ", what ? what : "", " in ",
        made.nan + made.inf, " of the ", output.numel(), " elements of its result ", output.shape(),
        ", its inputs hold none (anomaly mode)");
}

void check_gradients(const Call& call, const Tensor* gouts, int outputs, const Tensor* gins) {
  Found had;
  for (int i = 0; i < outputs; ++i) add(had, search(gouts[i]));
  for (int i = 0; i < call.source.size(); ++i) {
    const Found made = search(gins[i]);
    const char* what = anomaly(made, had);
    check(!what, ErrorKind::runtime, call.name(), ": its backward made ", what ? what : "", " in ",
          made.nan + made.inf, " elements of the gradient ",
          gins[i].defined() ? gins[i].shape() : Dims{}, " of input ", i,
          ", the gradient of its result holds none (anomaly mode)",
          call.module && !call.module->empty() ? "; it ran in module " : "",
          call.module ? *call.module : std::string());
  }
}

}  // namespace lamina
