// A plan on a device: its launches as one graph (kernels/device.h).
//
// The first replay launches call by call; the second is captured while it is made, later ones are
// one launch of the graph. Three kinds of calls:
//   graph     the same every time
//   changing  hand the device numbers that change: random draws (their Philox key), optimizer steps
//             (learning rate, corrections), what reads numbers in host memory. They are made again
//             before each launch of the graph, which then takes the numbers over; no kernel runs.
//   host      run on the CPU, or bring memory to the device: done before the graph. What they read
//             is there by then, since nothing in a step comes back from the device.
// A graph's addresses are fixed: arguments are copied into memory of its own, results out of it.
// Where a graph cannot be made (several devices, memory) replays stay launches; summary() says why.
#include <algorithm>
#include <cstring>

#include "core/device.h"
#include "core/threads.h"
#include "plan/plan.h"

namespace lamina {
namespace {

constexpr int64_t kCaptures = 3;  // later changes of addresses end the use of graphs

bool on_cpu(const Tensor& t) { return t.device().type == DeviceType::cpu; }
int index_of(const StorageRef& s) {
  return s->device.type == DeviceType::cpu ? -1 : s->device.index;
}

// The bytes an operand covers, from the start of its memory.
std::pair<int64_t, int64_t> span(const Operand& o) {
  const int64_t item = item_size(o.dtype);
  int64_t low = o.offset * item, high = low + item;
  for (int d = 0; d < o.shape.n; ++d) {
    if (o.shape[d] == 0) return {low, low};
    const int64_t step = (o.shape[d] - 1) * o.strides[d] * item;
    (step < 0 ? low : high) += step;
  }
  return {low, high};
}

}  // namespace

Plan::~Plan() { drop_graph(); }

void Plan::drop_graph() {
  if (graph_) device_table().graph_destroy(graph_);
  graph_ = nullptr;
}

// Tells the calls apart, and finds the memory that a graph needs beside the plan's own.
void Plan::find_device() {
  for (const CallRef& c : calls_) {
    if (!on_device(*c)) continue;
    if (device_.type == DeviceType::cpu) device_ = c->device;
    if (!(c->device == device_)) no_graph_ = "the step runs on several devices";
    if (c->op->through_host) no_graph_ = std::string(c->name()) + " runs on the CPU";
  }
  if (device_.type == DeviceType::cpu || !no_graph_.empty()) return;
  for (const CallRef& c : calls_) {
    // An optimizer's step runs on the host, which hands its numbers to the device.
    const bool host = !on_device(*c) && !(c->op->written && c->device.type != DeviceType::cpu);
    bool changing = c->op->random || c->op->written;
    for (const Tensor& t : c->in) changing |= t.defined() && on_cpu(t);
    parts_.push_back(host ? Part::host : changing ? Part::changing : Part::graph);
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].storage->device.type == DeviceType::cpu || slots_[i].first != int(i)) continue;
    auto [low, high] = span(slots_[i].like);
    for (const Slot& s : slots_)
      if (s.first == int(i)) {
        const auto part = span(s.like);
        low = std::min(low, part.first);
        high = std::max(high, part.second);
      }
    fixed_.push_back({int(i), -1, allocate(size_t(high - low), device_), low});
  }
  for (size_t i = 0; i < fresh_.size(); ++i)
    if (fresh_[i]->device.type != DeviceType::cpu)
      fixed_.push_back({-1, int(i), allocate(fresh_[i]->bytes, device_), 0});
}

bool Plan::ready_for_graph() {
  if (parts_.empty() || !no_graph_.empty() || !nanoseconds_.empty()) return false;
  if (replays_++ == 0) return false;
  bool same =
      tf32_.products == tf32_allowed.products && tf32_.convolutions == tf32_allowed.convolutions;
  for (const auto& [storage, address] : addresses_) same = same && storage->data == address;
  if (!same) drop_graph();
  if (!graph_ && captures_ == kCaptures) {
    no_graph_ = "its memory changes from replay to replay";
    return false;
  }
  return true;
}

void Plan::to_fixed() {
  for (const Fixed& f : fixed_) {
    if (f.slot < 0) {
      fresh_[size_t(f.fresh)]->data = f.memory->data;
      continue;
    }
    const Slot& s = slots_[size_t(f.slot)];
    char* const there = static_cast<char*>(s.storage->data) + f.low;
    device_table().copy(f.memory->data, device_.index, there, device_.index, f.memory->bytes,
                        false);
    s.storage->data = static_cast<char*>(f.memory->data) - f.low;
  }
}

void Plan::from_fixed(const Tensors& arguments, const Tensors& fresh) {
  for (const Fixed& f : fixed_) {
    void* to = nullptr;
    if (f.slot < 0) {
      to = fresh[size_t(f.fresh)]->storage->data;
    } else {
      bool written = false;
      for (const Slot& s : slots_) written |= s.first == f.slot && s.written;
      if (!written) continue;
      const Operand& like = slots_[size_t(f.slot)].like;
      to = arguments[size_t(f.slot)].data<char>() - like.offset * item_size(like.dtype) + f.low;
    }
    device_table().copy(to, device_.index, f.memory->data, device_.index, f.memory->bytes, false);
  }
}

// Makes the graph while the host's part of the step is done, and launches it.
void Plan::capture() {
  const DeviceTable& table = device_table();
  ++captures_;
  tf32_ = tf32_allowed;
  // Where no graph can be made the step starts anew: what the host wrote is put back.
  std::vector<std::string> before;
  for (const StorageRef& s : written_)
    before.emplace_back(static_cast<const char*>(index_of(s) < 0 ? s->data : ""),
                        index_of(s) < 0 ? s->bytes : 0);
  const char* why = "";
  void* const graph = table.graph_begin(device_.index);
  try {
    FlushDenormals flush;
    for (size_t i = 0; i < calls_.size(); ++i) {
      Call& c = *calls_[i];
      if (parts_[i] != Part::host) table.graph_call(graph, parts_[i] == Part::changing);
      on_device(c) ? launch_on_device(c) : c.op->launch(c);
    }
  } catch (...) {
    table.graph_end(graph, &why);
    table.graph_destroy(graph);
    throw;
  }
  if (table.graph_end(graph, &why)) {
    graph_ = graph;
    table.graph_launch(graph);
    addresses_.clear();
    for (const auto* list : {&outside_, &kept_, &arenas_})
      for (const StorageRef& s : *list) addresses_.push_back({s.get(), s->data});
    for (const Own& own : own_) addresses_.push_back({own.here.get(), own.here->data});
    return;
  }
  no_graph_ = why;
  table.graph_destroy(graph);
  for (size_t i = 0; i < written_.size(); ++i)
    if (!before[i].empty()) std::memcpy(written_[i]->data, before[i].data(), before[i].size());
  for (const CallRef& c : calls_) on_device(*c) ? launch_on_device(*c) : c->op->launch(*c);
}

void Plan::replay_graph() {
  const DeviceTable& table = device_table();
  try {
    FlushDenormals flush;
    table.graph_refresh(graph_);
    for (size_t i = 0; i < calls_.size(); ++i) {
      Call& c = *calls_[i];
      if (parts_[i] != Part::graph) on_device(c) ? launch_on_device(c) : c.op->launch(c);
    }
    table.graph_launch(graph_);
  } catch (...) {
    drop_graph();
    throw;
  }
}

}  // namespace lamina
