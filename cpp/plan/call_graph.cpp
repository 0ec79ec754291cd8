// Who touches which memory, and which calls may change places.
#include "plan/call_graph.h"

#include <algorithm>
#include <cstring>

namespace lamina {

CallGraph::CallGraph(const Recording& r) : r_(r), calls_(r.calls) {
  uses_.resize(calls_.size());
  live_.resize(calls_.size());
  touching_.resize(r.memory.size());
  for (const Memory& m : r.memory) temporary_.push_back(m.kind == Memory::kMade && !m.kept);
  for (const Operand& o : r.results)
    if (o.memory >= 0) temporary_[size_t(o.memory)] = 0;
  for (size_t i = 0; i < calls_.size(); ++i) uses_[i] = uses(calls_[i]);
  find_live();
  for (int i = 0; i < size(); ++i)
    if (alive(i)) enter(i);
}

// Which calls somebody sees the results of, going backwards from what outlives the step.
void CallGraph::find_live() {
  std::vector<char> needed(temporary_.size());
  for (size_t m = 0; m < needed.size(); ++m) needed[m] = !temporary_[m];
  for (size_t i = calls_.size(); i-- > 0;) {
    bool seen = calls_[i].op->checks;
    for (const Use& u : uses_[i]) seen |= u.written && needed[size_t(u.memory)];
    live_[i] = seen;
    if (!seen) continue;
    for (const Operand& o : calls_[i].in)
      if (o.memory >= 0) needed[size_t(o.memory)] = 1;
  }
}

std::vector<CallGraph::Use> CallGraph::uses(const RecordedCall& c) {
  Call probe;  // for `writes`, which reads the arguments
  probe.op = c.op;
  std::memcpy(probe.arg_bytes, c.args.data(), c.args.size());
  std::vector<Use> list;
  auto add = [&](int m, bool written) {
    for (Use& u : list)
      if (u.memory == m) {
        u.written |= written;
        return;
      }
    list.push_back({m, written});
  };
  for (const Operand& o : c.out)
    if (o.memory >= 0) add(o.memory, true);
  for (size_t k = 0; k < c.in.size(); ++k)
    if (c.in[k].memory >= 0) add(c.in[k].memory, probe.writes(int(k)));
  return list;
}

void CallGraph::enter(int i) {
  for (const Use& u : uses_[size_t(i)]) {
    std::vector<int>& list = touching_[size_t(u.memory)];
    list.insert(std::upper_bound(list.begin(), list.end(), i), i);
  }
}

void CallGraph::drop(int i) {
  for (const Use& u : uses_[size_t(i)]) {
    std::vector<int>& list = touching_[size_t(u.memory)];
    list.erase(std::remove(list.begin(), list.end(), i), list.end());
  }
  live_[size_t(i)] = 0;
}

void CallGraph::settle(int i) {
  for (const Use& u : uses_[size_t(i)])
    if (u.written) temporary_[size_t(u.memory)] = 0;
  drop(i);
}

void CallGraph::put(int i, RecordedCall call) {
  if (alive(i)) drop(i);
  calls_[size_t(i)] = std::move(call);
  uses_[size_t(i)] = uses(calls_[size_t(i)]);
  live_[size_t(i)] = 1;
  enter(i);
}

bool CallGraph::on_cpu(int i) const {
  for (const auto* list : {&(*this)[i].in, &(*this)[i].out})
    for (const Operand& o : *list)
      if (o.memory >= 0 && memory(o.memory).device.type != DeviceType::cpu) return false;
  return true;
}
bool CallGraph::only_writer(int m, int i) const {
  for (int k : touching(m))
    for (const Use& u : uses_[size_t(k)])
      if (u.memory == m && u.written && k != i) return false;
  return true;
}

bool CallGraph::conflict(int i, int j) const {
  for (const Use& a : uses_[size_t(i)])
    for (const Use& b : uses_[size_t(j)])
      if (a.memory == b.memory && (a.written || b.written)) return true;
  return false;
}

bool CallGraph::may_sink(int i, int j) const {
  for (int k = i + 1; k < j; ++k)
    if (alive(k) && conflict(i, k)) return false;
  return true;
}
bool CallGraph::may_rise(int i, int j) const {
  for (int k = i + 1; k < j; ++k)
    if (alive(k) && conflict(j, k)) return false;
  return true;
}

}  // namespace lamina
