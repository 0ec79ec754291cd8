// Recording: what one run of a step did, as a list of its calls and of the memory they touched.
//
// The step runs eagerly meanwhile; every call passes the observer on its way (ops/apply.h). Memory
// is told apart by who made it: the caller (arguments), the step (made), or someone before it
// (outside: parameters, optimizer state). Two recordings of the same step are compared call by
// call: only what is the same both times is replayed.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>

#include "core/random.h"
#include "ops/apply.h"

namespace lamina {

struct Memory {
  // constant: made in the step from Python data, not by a call
  enum Kind { kArgument, kOutside, kMade, kConstant } kind;
  uint64_t serial = 0;  // of memory made during the step
  const Storage* address = nullptr;
  StorageRef storage;  // held: all from outside, constants, and what of the made outlived the step
  bool kept = false;   // made, and somebody held it after the step
  uint32_t bases = 0;  // of the holders: tensors that only results, their views, keep
  int argument = -1;   // which one
  int64_t start = 0;   // where in its memory the argument began, in bytes
  size_t bytes = 0;
  Device device;
  bool written = false;
  std::string value;  // of a constant, when it was first read
};

// A tensor as a call saw it.
struct Operand {
  int memory = -1;  // -1: undefined
  int64_t offset = 0;
  Dims shape, strides;
  DType dtype = DType::float32;
  bool wrapped_number = false;
};

struct RecordedCall {
  const Op* op;
  std::vector<Operand> in, out;
  std::string args;
  std::vector<RecordedCall> parts;  // of a group (blocks.h)
};

// A parameter whose gradient the step may set.
struct Leaf {
  Tensor leaf;
  StorageRef storage;      // of the leaf
  StorageRef grad_before;  // null: there was none, when the step began
  bool known_before = false;
  bool grad_touched = false;  // the calls read or wrote grad_before
  Tensor grad_after;
};

// Where a tensor from outside lies: `.data = x` moves it.
struct Lying {
  const Storage* storage = nullptr;
  int64_t offset = 0;
  Dims shape, strides;
  Lying() = default;
  explicit Lying(const Tensor& t)
      : storage(t->storage.get()), offset(t->offset), shape(t.shape()), strides(t.strides()) {}
  bool holds(const Tensor& t) const {
    return t->storage.get() == storage && t->offset == offset && t.shape() == shape &&
           t.strides() == strides;
  }
};

// A tensor from outside without requires_grad.
struct Frozen {
  Tensor tensor;
  Lying place;
  const Storage* grad = nullptr;  // of a gradient it has nevertheless, after the step
};

struct Recording {
  std::vector<RecordedCall> calls;
  std::vector<Memory> memory;
  std::vector<Leaf> leaves;
  std::vector<Frozen> frozen;
  std::vector<Operand> arguments;
  std::vector<Operand> results;
  std::vector<int> result_is;          // the argument a result is itself, or -1
  std::vector<Tensor> result_outside;  // the tensor from outside a result is itself, or undefined
  PhiloxKey before, after;             // the default generator
  std::string refused;                 // why this step cannot be replayed; empty: it can
};
using RecordingRef = std::shared_ptr<Recording>;

// Starts recording the calls of this thread; `previous` (or null) is the recording of the run
// before, which lets go of its memory. on_read is called with what reads values out of tensors.
void start_recording(const Tensors& arguments, Recording* previous,
                     std::function<void(const char*)> on_read);
bool is_recording();
// Whether the step has read this tensor's memory so far.
bool recording_reads(const Tensor& t);
// Notes why the step cannot be replayed; the first reason counts.
void refuse_recording(const std::string& why);
// Ends it; `results` are the tensors the step returned.
RecordingRef stop_recording(const Tensors& results);
// Tensors over the arguments' memory under other storages: while the step is recorded they stand
// for the arguments, so that what it reads from outside is told apart even when it is the same
// memory. end_shadows gives the results that are views of an argument its own storage.
Tensors shadows(const Tensors& arguments);
void end_shadows(const Tensors& arguments, const Tensors& shadows, const Tensors& results);
// How many tensors the step made that are neither results nor gradients still have an owner.
int kept_elsewhere(Recording& r);
// Which of the leaves have a gradient now: '1' or '0' each.
std::string gradients_now(const std::vector<Leaf>& leaves);
// How the two differ, in words; empty: not at all.
std::string difference(const Recording& a, const Recording& b);

}  // namespace lamina
