// Plan: a recorded step, replayed without Python, without the tape and without allocation.
//
// From the recording: calls whose results nobody sees are left out, others are joined (fuse.h);
// memory that lives only within the step lies in one arena, at offsets chosen from lifetimes; the
// rest stays where it is. The arguments' memory is the caller's, exchanged at every replay; results
// get new memory each time. The replay runs the ops' own `launch`, so its bits are those of the
// eager step. On a device the launches become one graph (graph.cpp).
#pragma once
#include <mutex>

#include "core/device.h"
#include "ops/autocast.h"
#include "ops/conv.h"
#include "plan/fuse.h"

namespace lamina {

struct PlanStats {
  int64_t recorded, calls;          // operations of the step; of those, launched
  int64_t made_bytes, arena_bytes;  // all memory the step made; the arena that replaces it
  int64_t kept_bytes;               // made by the step and kept after it (gradients)
  int64_t folded, epilogues;        // fusion (fuse.h): calls done once, calls taken up by another
  int64_t grouped;                  // calls in groups
  int64_t saved_bytes;              // reads and writes of memory that a replay does without
  int64_t packed_bytes;             // of weights kept in another layout too
};

class Plan {
 public:
  explicit Plan(const Recording& recording);
  ~Plan();
  Plan(const Plan&) = delete;

  // Whether the thread is in the modes the plan was made in, and nothing is being recorded.
  bool same_modes() const;
  // Why these arguments and the present state are not those of the recording; null: they are.
  const char* mismatch(const Tensors& arguments) const;
  // Runs the step. The arguments must match.
  Tensors replay(const Tensors& arguments);
  PlanStats stats() const { return stats_; }
  std::string summary() const;  // one line per call
  // Where the time goes: from the first call on replays are timed launch by launch, and the next
  // ones return the microseconds and the share of each, a line per launch as in the summary.
  std::string profile();
  // Everything outside the plan that it writes, as bytes: for comparing with the eager step.
  Tensors written() const;
  bool writes(size_t argument) const { return slots_[argument].written; }
  std::vector<Tensor> leaves() const;
  std::string gradients_now() const;  // of the leaves: '1' or '0' each

 private:
  struct Slot {  // an argument
    Operand like;
    int first;           // the first argument with its memory
    StorageRef storage;  // that memory here
    bool written;
  };
  struct Result {
    Tensor like;
    int fresh;       // its storage among fresh_, or -1
    int own;         // the gradients' memory it is a view of, or -1
    int argument;    // the argument it is a view of, or -1
    bool copied;     // its memory belongs to the plan
    int is;          // the argument it is itself, or -1
    Tensor outside;  // the tensor from outside it is itself, or undefined
  };
  struct Constant {
    StorageRef storage;
    std::string value;
  };
  struct Grad {
    enum Before { kAny, kNone, kSame } before;
    Tensor leaf;
    StorageRef storage, grad_before;
    Tensor after;
    Lying place = Lying(leaf);
    bool left = false;  // the step leaves the gradient as it was
  };
  struct Weight {  // of a call that reads it faster in panels (ops/matmul.h, ops/conv.h)
    Call* call;
    const Storage* storage;
    int64_t place, bytes;                      // of the panels in panels_
    uint32_t version, data_version, returned;  // when it was last looked at
    int unchanged;                             // replays since
  };
  struct Own {  // memory of gradients: new whenever somebody holds the last ones
    StorageRef here;
    StorageRef real;
    std::vector<int> grads;  // that lie in it
  };

  void place(const Recording& r, const CallGraph& g, const Fused& fused);
  CallRef call_of(const RecordedCall& c) const;
  void count_own_refs();
  std::unique_lock<std::mutex> take_turn();
  void renew_gradients();
  void note_weight(Call& call, const Storage& weight);
  void pack_weights();
  void launch(PhiloxKey base);
  // On a device (graph.cpp).
  void find_device();
  bool ready_for_graph();
  void capture();
  void replay_graph();
  void drop_graph();
  void to_fixed();  // arguments into the graph's memory
  // What the step wrote of them back, and the results into `fresh`.
  void from_fixed(const Tensors& arguments, const Tensors& fresh);
  Tensor tensor(const Operand& o) const;
  std::string line(const Call& c) const;

  // What becomes of a call when the others are a graph.
  enum class Part : uint8_t { graph, changing, host };
  struct Fixed {  // memory of the graph for arguments or results
    int slot, fresh;
    StorageRef memory;
    int64_t low;  // bytes from the start of the argument's memory to that here
  };

  std::vector<CallRef> calls_;
  std::vector<Part> parts_;  // empty: no device, or several
  Device device_;
  std::vector<Fixed> fixed_;
  std::vector<std::pair<const Storage*, void*>> addresses_;  // that the graph was captured with
  void* graph_ = nullptr;
  Tf32Allowed tf32_;      // when it was captured
  std::string no_graph_;  // why there is none
  int64_t replays_ = 0, captures_ = 0;
  std::vector<uint64_t> draws_;  // per random call: its offset from the start of the step
  std::vector<StorageRef> memory_;
  std::vector<Slot> slots_;
  std::vector<Result> results_;
  std::vector<StorageRef> fresh_;  // storages that get new memory at every replay
  std::vector<Constant> constants_;
  std::vector<Grad> grads_;
  std::vector<Own> own_;
  std::vector<Weight> weights_;
  StorageRef panels_;  // of all of them, made when the first is packed
  std::vector<Frozen> frozen_;
  std::vector<StorageRef> outside_;
  std::vector<uint32_t> own_refs_;   // how many references to outside_[i] are the plan's
  std::vector<StorageRef> written_;  // of outside_
  std::vector<StorageRef> kept_;     // made by the step, for somebody who holds it
  std::vector<StorageRef> arenas_;   // one for each device
  bool grad_mode_ = grad_enabled();
  DType default_dtype_ = default_dtype();
  int64_t precision_ = float32_precision();
  int64_t autocast_ = autocast_key();
  bool long_ = false;   // runs long enough to let other threads have the interpreter
  std::mutex turn_;     // one replay at a time
  uint64_t drawn_ = 0;  // blocks of random numbers per step
  PlanStats stats_{};
  std::vector<double> nanoseconds_;  // per launch, of all replays since they are timed
  int64_t timed_ = 0;                // replays
};

}  // namespace lamina
