// What a plan consists of, for those who look at it.
#include <iomanip>
#include <sstream>

#include "plan/blocks.h"
#include "plan/plan.h"

namespace lamina {

Tensors Plan::written() const {
  Tensors list;
  for (const StorageRef& s : written_) {
    Tensor t = Tensor::meta({int64_t(s->bytes)}, DType::uint8);
    t->storage = s;
    list.push_back(t);
  }
  return list;
}

std::vector<Tensor> Plan::leaves() const {
  std::vector<Tensor> list;
  for (const Grad& g : grads_) list.push_back(g.leaf);
  return list;
}

std::string Plan::gradients_now() const {
  std::string now;
  for (const Grad& x : grads_) now += x.leaf->grad.defined() ? '1' : '0';
  return now;
}

std::string Plan::summary() const {
  std::ostringstream s;
  auto size = [](int64_t bytes) { return double(bytes / 1000) / 1000; };  // in MB
  s << "# " << stats_.recorded << " operations, " << stats_.calls << " launches; " << stats_.folded
    << " done once, " << stats_.epilogues << " epilogues, " << stats_.grouped << " in groups, "
    << size(stats_.saved_bytes) << " MB of traffic saved; arena " << size(stats_.arena_bytes)
    << " MB for " << size(stats_.made_bytes) << " MB";
  if (stats_.packed_bytes) s << "; " << size(stats_.packed_bytes) << " MB of weights packed";
  s << "\n";
  for (const CallRef& c : calls_) s << line(*c) << "\n";
  return s.str();
}

std::string Plan::line(const Call& c) const {
  std::ostringstream s;
  s << c.name() << group_names(c) << " ";
  for (const Tensor& t : c.in)
    if (t.defined()) s << t.shape();
  s << " ->";
  for (const Tensor& t : c.out) s << " " << t.shape();
  return s.str();
}

std::string Plan::profile() {
  const std::unique_lock<std::mutex> turn = take_turn();
  nanoseconds_.resize(calls_.size());
  if (timed_ == 0) return "";
  double all = 0;
  for (double ns : nanoseconds_) all += ns;
  std::ostringstream s;
  s << std::fixed;
  for (size_t i = 0; i < calls_.size(); ++i)
    s << std::setw(10) << std::setprecision(2) << nanoseconds_[i] / double(timed_) / 1e3 << " us "
      << std::setw(5) << std::setprecision(1) << 100 * nanoseconds_[i] / all << "%  "
      << line(*calls_[i]) << "\n";
  return s.str();
}

}  // namespace lamina
