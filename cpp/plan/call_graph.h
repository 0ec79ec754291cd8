// CallGraph: the calls of a recording that are launched, and which of them touch which memory.
// Passes over it (fuse.h) replace calls by fewer; places of calls that went stay empty.
#pragma once
#include "plan/recording.h"

namespace lamina {

class CallGraph {
 public:
  explicit CallGraph(const Recording& r);

  int size() const { return int(calls_.size()); }
  bool alive(int i) const { return live_[size_t(i)]; }
  const RecordedCall& operator[](int i) const { return calls_[size_t(i)]; }
  const Memory& memory(int m) const { return r_.memory[size_t(m)]; }
  int memories() const { return int(r_.memory.size()); }
  // Whether all its memory is the CPU's.
  bool on_cpu(int i) const;
  // The calls that read or write this memory, in order.
  const std::vector<int>& touching(int m) const { return touching_[size_t(m)]; }
  // Whether call i is the only one that writes it.
  bool only_writer(int m, int i) const;
  // Made by the step, and seen by nobody after it.
  bool temporary(int m) const { return temporary_[size_t(m)]; }
  // Whether one of them writes what the other touches.
  bool conflict(int i, int j) const;
  // Whether those between i < j let call i run where j stands (later), or j where i stands.
  bool may_sink(int i, int j) const;
  bool may_rise(int i, int j) const;
  // Where both may stand as one call: at i, at j, or nowhere (-1).
  int joint(int i, int j) const { return may_rise(i, j) ? i : may_sink(i, j) ? j : -1; }

  // Call i is done once, outside the plan: what it wrote stays as it is.
  void settle(int i);
  void drop(int i);
  void put(int i, RecordedCall call);

 private:
  struct Use {
    int memory;
    bool written;
  };
  static std::vector<Use> uses(const RecordedCall& c);
  void find_live();
  void enter(int i);

  const Recording& r_;
  std::vector<RecordedCall> calls_;
  std::vector<char> live_, temporary_;
  std::vector<std::vector<Use>> uses_;
  std::vector<std::vector<int>> touching_;
};

}  // namespace lamina
