// The launch of a group: threads take blocks of rows; each has calls of its own whose tensors it
// points at the block.
#include "plan/group.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "core/threads.h"
#include "ops/elementwise.h"
#include "ops/strided.h"
#include "plan/blocks.h"

namespace lamina {
namespace {

constexpr int64_t kBlockBytes = 192 * 1024;  // of all tensors: well inside a second-level cache
constexpr double kNanoseconds = 0.4;         // an element in one launch
constexpr int64_t kFine = 1024;              // elements where kernels are called directly
constexpr size_t kAlign = 64;

bool dense(const Operand& o) { return o.strides == contiguous_strides(o.shape); }

// The type whose arrays kernels for `compute` work on.
DType holder(DType compute) {
  const Compute via = compute_type(compute);
  return via == kF32 ? DType::float32 : via == kF64 ? DType::float64 : DType::int64;
}

struct Cut {
  bool possible, cut;  // not cut: given whole
  int64_t step;        // bytes from row to row
};
Cut cut_of(const Operand& o, const GroupRows& rows, int dims, Split split) {
  const int64_t item = item_size(o.dtype);
  if (rows.flat) {
    const int64_t n = o.shape.product();
    const bool cut = n == rows.count && dense(o);
    return {cut || n == 1, cut, cut ? item : 0};
  }
  const bool has = o.shape.n > 0 && (o.shape.n == dims || split == Split::rows);
  if (has && o.shape[0] == rows.count) return {true, true, o.strides[0] * item};
  return {split == Split::elements && (o.shape.n < dims || o.shape[0] == 1), false, 0};
}

struct Place {
  int tensor = -1;  // among the group's inputs, then outputs; -1: its own memory
  Cut cut{};
  size_t scratch = 0;   // where in its own memory
  bool loaded = false;  // direct: passes through an array of the type computed in, at `array`
  size_t array = 0;
  Operand like;
  bool defined = false;
};
struct Part {
  const Op* op;
  std::string args;
  std::vector<Place> in, out;
  ElementwiseUse use;
};

// The calls of one thread.
struct Hand {
  struct At {
    Tensor tensor;
    const Place* place;
  };
  std::vector<CallRef> calls;
  std::vector<At> tensors;
  StorageRef scratch;
};

struct Group {
  GroupRows rows;
  int64_t block = 1;         // rows
  int64_t row_elements = 0;  // of all results
  size_t scratch_bytes = 0;
  bool direct = false;  // functions on dense arrays of their own type alone
  std::vector<Part> parts;
  std::mutex mutex;
  std::vector<std::unique_ptr<Hand>> idle;

  std::unique_ptr<Hand> make() const {
    auto hand = std::make_unique<Hand>();
    hand->scratch = allocate(scratch_bytes);
    if (direct) return hand;
    for (const Part& p : parts) {
      CallRef call(new Call);
      call->op = p.op;
      std::memcpy(call->arg_bytes, p.args.data(), p.args.size());
      call->arg_size = int(p.args.size());
      for (const Place& x : p.in) call->in.push_back(tensor(x, *hand));
      for (const Place& x : p.out) call->out.push_back(tensor(x, *hand));
      hand->calls.push_back(std::move(call));
    }
    return hand;
  }
  Tensor tensor(const Place& x, Hand& hand) const {
    if (!x.defined) return {};
    Dims shape = x.like.shape, strides = x.like.strides;
    if (rows.flat) {
      shape = x.cut.cut ? Dims{rows.count} : Dims{};
      strides = x.cut.cut ? Dims{1} : Dims{};
    }
    Tensor t = Tensor::meta(shape, x.like.dtype);
    t->strides = strides;
    t->storage = adopt(nullptr, 0, nullptr, true);
    t->wrapped_number = x.like.wrapped_number;
    hand.tensors.push_back({t, &x});
    return t;
  }
  std::unique_ptr<Hand> take() {
    std::lock_guard<std::mutex> lock(mutex);
    if (idle.empty()) return make();
    std::unique_ptr<Hand> hand = std::move(idle.back());
    idle.pop_back();
    return hand;
  }
  void give(std::unique_ptr<Hand> hand) {
    std::lock_guard<std::mutex> lock(mutex);
    idle.push_back(std::move(hand));
  }
  static char* base(const Place& x, Call& c, Hand& hand) {
    if (x.tensor < 0) return static_cast<char*>(hand.scratch->data) + x.scratch;
    return x.tensor < c.in.size() ? c.in[x.tensor].data<char>()
                                  : c.out[x.tensor - c.in.size()].data<char>();
  }
  void run(Call& c, int64_t begin, int64_t end, Hand& hand) {
    if (direct) return run_direct(c, begin, end, hand);
    for (Hand::At& at : hand.tensors) {
      const Place& x = *at.place;
      at.tensor->storage->data = base(x, c, hand) + (x.tensor < 0 ? 0 : begin * x.cut.step);
      if (x.cut.cut) at.tensor->shape.v[0] = end - begin;
    }
    for (const CallRef& call : hand.calls) call->op->launch(*call);
  }
  // The same without tensors, so that blocks may be small enough for the first-level cache.
  void run_direct(Call& c, int64_t begin, int64_t end, Hand& hand) {
    const Kernels& k = cpu_kernels();
    char* const own = static_cast<char*>(hand.scratch->data);
    for (const Part& p : parts)  // what is one number fills an array
      for (const Place& x : p.in)
        if (x.defined && !x.cut.cut)
          k.load[int(x.like.dtype)][compute_type(p.use.compute)](own + x.array, base(x, c, hand), 0,
                                                                 std::min(kFine, end - begin));
    for (int64_t at = begin; at < end; at += kFine) {
      const int64_t n = std::min(kFine, end - at);
      auto address = [&](const Place& x) {
        return base(x, c, hand) + (x.tensor < 0 ? 0 : at * x.cut.step);
      };
      for (const Part& p : parts) {
        const Compute via = compute_type(p.use.compute);
        const void* args[kMaxOperands] = {};
        for (size_t i = 0; i < p.in.size(); ++i) {
          const Place& x = p.in[i];
          if (!x.defined) continue;
          args[i] = x.loaded ? own + x.array : address(x);
          if (x.loaded && x.cut.cut)
            k.load[int(x.like.dtype)][via](own + x.array, address(x), 1, n);
        }
        const Place& y = p.out[0];
        char* const to = address(y);
        p.use.kernel(y.loaded ? own + y.array : to, args, n, p.use.p);
        if (y.loaded) k.store[int(y.like.dtype)][via](to, 1, own + y.array, n);
      }
    }
  }
};
using GroupRef = std::shared_ptr<Group>;

void group_launch(Call& c) {
  Group& group = **std::any_cast<GroupRef>(&c.extra);
  const int64_t blocks = (group.rows.count + group.block - 1) / group.block;
  while (int64_t(group.idle.size()) < std::min<int64_t>(num_threads(), blocks))
    group.idle.push_back(group.make());
  auto work = [&](int64_t b, int64_t e) {
    std::unique_ptr<Hand> hand = group.take();
    struct Return {
      Group& group;
      std::unique_ptr<Hand>& hand;
      ~Return() { group.give(std::move(hand)); }
    } back{group, hand};
    for (int64_t i = b; i < e; ++i)
      group.run(c, i * group.block, std::min(group.rows.count, (i + 1) * group.block), *hand);
  };
  parallel_rows(blocks, kNanoseconds * double(group.block * group.row_elements), work);
}
const Op kGroup{.name = "fused", .infer = [](Call&) {}, .launch = group_launch};

}  // namespace

const Op& group_op() { return kGroup; }
bool is_group(const Op& op) { return &op == &kGroup; }

bool cuttable(const RecordedCall& c, const GroupRows& rows) {
  const Split split = c.op->split;
  if (split == Split::none || (rows.flat && split != Split::elements)) return false;
  if (c.op->random || c.op->writes || c.op->written || c.out.empty()) return false;
  const int dims = c.out[0].shape.n;
  for (const Operand& o : c.out)
    if (!cut_of(o, rows, dims, split).cut || !dense(o) || is_complex(o.dtype)) return false;
  for (const Operand& o : c.in)
    if (o.memory >= 0 && (!cut_of(o, rows, dims, split).possible || is_complex(o.dtype)))
      return false;
  return true;
}

bool direct(const RecordedCall& c) {
  const ElementwiseUse use = elementwise_use(*c.op, c.args.data());
  return use.kernel && c.out.size() == 1 && c.in.size() <= kMaxOperands;
}

bool same_rows(const RecordedCall& x, const Operand& a, const RecordedCall& y, const Operand& b,
               const GroupRows& rows) {
  const Cut s = cut_of(a, rows, x.out[0].shape.n, x.op->split);
  const Cut t = cut_of(b, rows, y.out[0].shape.n, y.op->split);
  return s.cut && t.cut && s.step == t.step && dense(a) && dense(b) &&
         a.offset * item_size(a.dtype) == b.offset * item_size(b.dtype);
}

std::any group_state(const RecordedCall& c) {
  auto group = std::make_shared<Group>();
  GroupArgs args;
  std::memcpy(&args, c.args.data(), sizeof args);
  group->rows = args.rows;
  // c.in and c.out hold the parts' tensors in order, without those that stay inside.
  auto known = [&](int m) {
    for (const auto* list : {&c.in, &c.out})
      for (const Operand& o : *list)
        if (o.memory == m) return true;
    return false;
  };
  std::unordered_map<int, int64_t> row_bytes;  // per memory
  auto place = [&](const Operand& o, const RecordedCall& part, int* next) {
    Place x;
    x.like = o;
    x.defined = o.memory >= 0;
    if (!x.defined) return x;
    x.cut = cut_of(o, group->rows, part.out[0].shape.n, part.op->split);
    int64_t& bytes = row_bytes[o.memory];
    bytes = std::max(bytes, x.cut.step);
    if (known(o.memory)) x.tensor = (*next)++;
    return x;
  };
  int in = 0, out = int(c.in.size());
  for (const RecordedCall& part : c.parts) {
    group->row_elements += part.out[0].shape.product() / group->rows.count;
    Part p{part.op, part.args, {}, {}, elementwise_use(*part.op, part.args.data())};
    for (const Operand& o : part.in) p.in.push_back(place(o, part, &in));
    for (const Operand& o : part.out) p.out.push_back(place(o, part, &out));
    group->parts.push_back(std::move(p));
  }
  int64_t all = 0;
  for (const auto& m : row_bytes) all += m.second;
  group->block = std::max<int64_t>(1, kBlockBytes / std::max<int64_t>(1, all));
  // A flat block begins at a cache line of every tensor.
  if (group->rows.flat) group->block = (group->block + 63) / 64 * 64;
  group->direct = group->rows.flat;
  for (const RecordedCall& part : c.parts) group->direct = group->direct && direct(part);
  const int64_t rows = group->direct ? kFine : group->block;
  auto reserve = [&](size_t bytes) {
    const size_t at = group->scratch_bytes;
    group->scratch_bytes += (bytes + kAlign - 1) / kAlign * kAlign;
    return at;
  };
  std::unordered_map<int, size_t> at;  // of memory that stays inside
  for (Part& p : group->parts)
    for (auto* list : {&p.in, &p.out})
      for (Place& x : *list) {
        x.loaded = x.defined && (!x.cut.cut || x.like.dtype != holder(p.use.compute));
        if (group->direct && x.loaded) x.array = reserve(kFine * 8);
        if (!x.defined || x.tensor >= 0) continue;
        if (!at.count(x.like.memory))
          at[x.like.memory] = reserve(size_t(row_bytes[x.like.memory] * rows));
        x.scratch = at[x.like.memory];
      }
  return group;
}

std::string group_names(const Call& c) {
  if (!is_group(*c.op)) return {};
  std::string names;
  for (const Part& p : (*std::any_cast<GroupRef>(&c.extra))->parts)
    names += (names.empty() ? "[" : " ") + std::string(p.op->name);
  return names + "]";
}

}  // namespace lamina
