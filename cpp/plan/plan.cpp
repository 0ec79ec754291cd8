// A plan: where everything lies, whether it still fits, and the replay.
#include "plan/plan.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include "core/device.h"
#include "core/threads.h"
#include "ops/matmul.h"
#include "ops/ops.h"
#include "plan/blocks.h"

namespace lamina {
namespace {

constexpr size_t kAlign = 64;
constexpr int64_t kLong = 32768;   // elements written from which other threads get the interpreter
constexpr uint64_t kNone = ~0ull;  // a random call that draws nothing (dropout with p = 0)

struct Lifetime {
  int memory;
  int64_t first, last;  // calls
  size_t bytes, offset;
};

// Offsets such that blocks alive at the same time do not overlap: largest first, each at the
// lowest place that is free over its whole life. Returns the arena's size.
size_t lay_out(std::vector<Lifetime>& blocks) {
  std::sort(blocks.begin(), blocks.end(), [](const Lifetime& a, const Lifetime& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.first < b.first;
  });
  size_t end = 0;
  std::vector<const Lifetime*> placed, busy;
  for (Lifetime& b : blocks) {
    busy.clear();
    for (const Lifetime* p : placed)
      if (p->first <= b.last && b.first <= p->last) busy.push_back(p);
    std::sort(busy.begin(), busy.end(),
              [](const Lifetime* x, const Lifetime* y) { return x->offset < y->offset; });
    b.offset = 0;
    for (const Lifetime* p : busy) {
      if (b.offset + b.bytes <= p->offset) break;
      b.offset = std::max(b.offset, p->offset + p->bytes);
    }
    placed.push_back(&b);
    end = std::max(end, b.offset + b.bytes);
  }
  return end;
}

// Memory inside something else.
StorageRef borrow(void* data, size_t bytes, Device device) {
  StorageRef s = adopt(data, bytes, nullptr, true);
  s->device = device;
  return s;
}

}  // namespace

Tensor Plan::tensor(const Operand& o) const {
  if (o.memory < 0) return {};
  const StorageRef& memory = memory_[size_t(o.memory)];
  Tensor t = Tensor::meta(o.shape, o.dtype, memory->device);
  t->strides = o.strides;
  t->offset = o.offset;
  t->wrapped_number = o.wrapped_number;
  t->storage = memory;
  return t;
}

namespace {
// Where the call ran: on the device of what it reads or writes.
void place_again(Call& c) {
  for (const auto* list : {c.in.begin(), c.out.begin()}) {
    const int n = list == c.in.begin() ? c.in.size() : c.out.size();
    for (int i = 0; i < n; ++i)
      if (list[i].defined() && list[i].device().type != DeviceType::cpu)
        c.device = list[i].device();
  }
}
}  // namespace

CallRef Plan::call_of(const RecordedCall& c) const {
  CallRef call(new Call);
  call->op = c.op;
  std::memcpy(call->arg_bytes, c.args.data(), c.args.size());
  call->arg_size = int(c.args.size());
  for (const Operand& o : c.in) call->in.push_back(tensor(o));
  for (const Operand& o : c.out) call->out.push_back(tensor(o));
  if (is_group(*c.op)) call->extra = group_state(c);
  place_again(*call);
  return call;
}

void Plan::place(const Recording& r, const CallGraph& g, const Fused& fused) {
  const size_t n = r.memory.size();
  std::vector<char> lasting(n);  // worked out once
  for (const RecordedCall& c : fused.once)
    for (const Operand& o : c.out) lasting[size_t(o.memory)] = 1;
  // A result gets new memory at every replay, unless somebody else holds it too.
  std::vector<uint32_t> holders(n);
  for (const Operand& o : r.results) holders[size_t(o.memory)] += 1;
  std::vector<char> result(n);
  std::unordered_map<const Storage*, std::vector<int>> grads;
  for (size_t i = 0; i < r.leaves.size(); ++i)
    if (r.leaves[i].grad_after.defined())
      grads[r.leaves[i].grad_after->storage.get()].push_back(int(i));
  for (size_t i = 0; i < n; ++i)
    result[i] = holders[i] && r.memory[i].kind == Memory::kMade &&
                !grads.count(r.memory[i].storage.get()) &&
                r.memory[i].storage->refs() == 1 + holders[i] + r.memory[i].bases;
  // What comes from the host is there before a graph runs.
  std::vector<char> early(n);
  for (int i = 0; i < g.size(); ++i)
    if (g.alive(i) && g[i].op->on_host && !g[i].op->written)
      for (const Operand& o : g[i].out) early[size_t(o.memory)] = 1;
  std::map<std::pair<DeviceType, int>, std::vector<Lifetime>> blocks;
  memory_.resize(n);
  for (size_t i = 0; i < n; ++i) {
    const Memory& m = r.memory[i];
    switch (m.kind) {
      case Memory::kArgument:
        memory_[i] = borrow(nullptr, m.bytes, m.device);
        break;
      case Memory::kOutside:
        memory_[i] = m.storage;
        outside_.push_back(m.storage);
        break;
      case Memory::kConstant:
        memory_[i] = allocate(m.bytes);
        std::memcpy(memory_[i]->data, m.value.data(), m.bytes);
        if (m.written) constants_.push_back({memory_[i], m.value});
        break;
      case Memory::kMade:
        stats_.made_bytes += int64_t(m.bytes);
        if (result[i]) {
          memory_[i] = borrow(nullptr, m.bytes, m.device);
          fresh_.push_back(memory_[i]);
        } else if (m.kept && grads.count(m.storage.get())) {
          memory_[i] = borrow(m.storage->data, m.bytes, m.device);
          own_.push_back({memory_[i], m.storage, grads[m.storage.get()]});
          stats_.kept_bytes += int64_t(m.bytes);
        } else if (m.kept) {
          memory_[i] = m.storage;
          stats_.kept_bytes += int64_t(m.bytes);
        } else if (lasting[i]) {
          memory_[i] = allocate(m.bytes, m.device);
        } else if (const std::vector<int>& at = g.touching(int(i)); !at.empty()) {
          blocks[{m.device.type, m.device.index}].push_back(
              {int(i), early[i] ? 0 : at.front(), at.back(),
               (m.bytes + kAlign - 1) / kAlign * kAlign, 0});
        }
        break;
    }
    if (m.written && m.kind == Memory::kOutside) written_.push_back(memory_[i]);
    if (m.kept && !result[i] && memory_[i] == m.storage) kept_.push_back(memory_[i]);
  }
  for (auto& [where, list] : blocks) {
    const Device device{where.first, int8_t(where.second)};
    const size_t bytes = lay_out(list);
    arenas_.push_back(allocate(bytes, device));
    stats_.arena_bytes += int64_t(bytes);
    char* const start = static_cast<char*>(arenas_.back()->data);
    for (const Lifetime& b : list)
      memory_[size_t(b.memory)] = borrow(start + b.offset, b.bytes, device);
  }
}

namespace {
void run(Call& c) {
  if (on_device(c)) return launch_on_device(c);
  c.op->launch(c);
}
}  // namespace

Plan::Plan(const Recording& r) {
  CallGraph g(r);
  const Fused fused = fuse(g);
  place(r, g, fused);
  stats_.recorded = int64_t(r.calls.size());
  stats_.folded = int64_t(fused.once.size());
  stats_.epilogues = fused.epilogues;
  stats_.grouped = fused.grouped;
  stats_.saved_bytes = fused.saved_bytes;
  {
    FlushDenormals flush;
    for (const RecordedCall& c : fused.once) run(*call_of(c));
  }
  for (int i = 0; i < g.size(); ++i) {
    if (!g.alive(i)) continue;
    CallRef call = call_of(g[i]);
    if (call->op->random) {
      PhiloxKey key;
      std::memcpy(&key, call->arg_bytes, sizeof key);
      const bool none = key.seed == 0 && key.offset == 0 && r.before.offset != 0;
      draws_.push_back(none ? kNone : key.offset - r.before.offset);
    }
    if (g[i].in.size() > 1 && g[i].in[1].memory >= 0) {
      const Memory& m = r.memory[size_t(g[i].in[1].memory)];
      if (m.kind == Memory::kOutside && !m.written) note_weight(*call, *m.storage);
    }
    calls_.push_back(std::move(call));
  }
  stats_.calls = int64_t(calls_.size());
  int64_t elements = 0;
  for (const CallRef& c : calls_)
    for (const auto& t : c->out) elements += t.numel();
  long_ = elements > kLong;
  drawn_ = r.after.offset - r.before.offset;
  for (const Operand& o : r.arguments) {
    const Memory& m = r.memory[size_t(o.memory)];
    slots_.push_back({o, m.argument, memory_[size_t(o.memory)], m.written});
  }
  for (size_t i = 0; i < r.results.size(); ++i) {
    const Operand& o = r.results[i];
    const Memory& m = r.memory[size_t(o.memory)];
    const auto at = std::find(fresh_.begin(), fresh_.end(), memory_[size_t(o.memory)]);
    const auto own = std::find_if(own_.begin(), own_.end(), [&](const Own& x) {
      return x.here == memory_[size_t(o.memory)];
    });
    results_.push_back({tensor(o), at == fresh_.end() ? -1 : int(at - fresh_.begin()),
                        own == own_.end() ? -1 : int(own - own_.begin()), m.argument,
                        m.kind == Memory::kMade || m.kind == Memory::kConstant, r.result_is[i],
                        r.result_outside[i]});
  }
  for (const Leaf& leaf : r.leaves) {
    Grad g{Grad::kAny, leaf.leaf, leaf.storage, {}, leaf.grad_after};
    if (!leaf.known_before || !leaf.grad_before)
      g.before = Grad::kNone;
    else if (leaf.grad_touched)
      g.before = Grad::kSame, g.grad_before = leaf.grad_before;
    g.left = g.before == Grad::kAny && leaf.grad_after.defined() &&
             leaf.grad_after->storage == leaf.grad_before;
    grads_.push_back(std::move(g));
  }
  frozen_ = r.frozen;
  count_own_refs();
  find_device();
}

// Gradients that somebody kept from the last replay stay as they are: the next ones get memory of
// their own, as in an eager step.
void Plan::renew_gradients() {
  for (Own& own : own_) {
    bool held = own.real->refs() > 1 + own.grads.size();
    for (int i : own.grads) {
      const Grad& g = grads_[size_t(i)];
      held |= g.after->refs() > 1 + uint32_t(g.leaf->grad.same(g.after));
    }
    if (!held) continue;
    own.real = allocate(own.here->bytes, own.here->device);
    own.here->data = own.real->data;
    for (int i : own.grads) {
      Tensor t = alias(grads_[size_t(i)].after);
      t->storage = own.real;
      grads_[size_t(i)].after = t;
    }
  }
}

// Runs the calls. When one fails, the generator stands where the eager step would have left it, and
// gradients that the step replaces are gone.
void Plan::launch(PhiloxKey base) {
  size_t i = 0;
  try {
    struct Outside {
      void* state = nullptr;
      explicit Outside(bool leave) {
        if (leave && leave_interpreter) state = leave_interpreter();
      }
      ~Outside() {
        if (state) enter_interpreter(state);
      }
    } outside(long_);
    FlushDenormals flush;
    if (nanoseconds_.empty()) {
      for (; i < calls_.size(); ++i) run(*calls_[i]);
    } else {
      auto at = std::chrono::steady_clock::now();
      for (; i < calls_.size(); ++i) {
        run(*calls_[i]);
        const auto now = std::chrono::steady_clock::now();
        nanoseconds_[i] += std::chrono::duration<double, std::nano>(now - at).count();
        at = now;
      }
      ++timed_;
    }
  } catch (...) {
    uint64_t last = 0;  // after the last draw before call i; backward passes draw the same again
    bool drawn = false;
    for (size_t k = 0, draw = 0; k < calls_.size(); ++k) {
      if (!calls_[k]->op->random) continue;
      const uint64_t at = draws_[draw++];
      if (at == kNone || (drawn && at <= last)) continue;
      if (k >= i) {  // the next draw
        default_generator().set_state(base.seed, base.offset + at);
        break;
      }
      last = at, drawn = true;
    }
    for (const Grad& g : grads_)
      if (g.before == Grad::kAny && !g.left) g.leaf->grad = Tensor();
    throw;
  }
}

std::unique_lock<std::mutex> Plan::take_turn() {
  std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
  if (!turn) {  // another thread replays this plan: wait, and let it have the interpreter
    void* state = leave_interpreter ? leave_interpreter() : nullptr;
    turn.lock();
    if (state) enter_interpreter(state);
  }
  return turn;
}

Tensors Plan::replay(const Tensors& arguments) {
  const std::unique_lock<std::mutex> turn = take_turn();
  renew_gradients();
  pack_weights();
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Operand& like = slots_[i].like;
    slots_[i].storage->data = arguments[i].data<char>() - like.offset * item_size(like.dtype);
  }
  for (const Constant& c : constants_) std::memcpy(c.storage->data, c.value.data(), c.value.size());
  Tensors fresh;  // new memory for the results
  for (const StorageRef& s : fresh_) {
    fresh.push_back(empty({int64_t(s->bytes)}, DType::uint8, s->device));
    s->data = fresh.back()->storage->data;
  }
  Generator& g = default_generator();
  const PhiloxKey base = g.take(drawn_);
  size_t draw = 0;
  for (const CallRef& c : calls_)
    if (c->op->random) {
      PhiloxKey key;
      std::memcpy(&key, c->arg_bytes, sizeof key);
      const uint64_t at = draws_[draw++];
      if (at != kNone) key = {base.seed, base.offset + at};
      std::memcpy(c->arg_bytes, &key, sizeof key);
    }
  if (ready_for_graph()) {
    to_fixed();
    graph_ ? replay_graph() : capture();
    from_fixed(arguments, fresh);
  } else {
    launch(base);
  }
  for (const auto* list : {&written_, &kept_})
    for (const StorageRef& s : *list) ++s->version;
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].written) ++arguments[i]->storage->version;
  for (const Own& own : own_) ++own.real->version;
  for (const Grad& x : grads_)
    if (!x.left) x.leaf->grad = x.after;
  Tensors results;
  for (const Result& x : results_) {
    if (x.is >= 0 || x.outside.defined()) {
      results.push_back(x.is >= 0 ? arguments[size_t(x.is)] : x.outside);
      continue;
    }
    Tensor t = alias(x.like);
    if (x.fresh >= 0) {
      t->storage = fresh[size_t(x.fresh)]->storage;
    } else if (x.own >= 0) {
      t->storage = own_[size_t(x.own)].real;
    } else if (x.argument >= 0) {
      const Tensor& from = arguments[size_t(x.argument)];
      t->storage = from->storage;
      t->offset += from->offset - slots_[size_t(x.argument)].like.offset;
    } else if (x.copied) {
      GradMode off(false);
      t = clone(t);
    }
    results.push_back(t);
  }
  return results;
}

}  // namespace lamina
