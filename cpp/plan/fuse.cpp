// The passes over a plan's calls.
#include "plan/fuse.h"

#include <atomic>

#include "ops/conv.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/ops.h"
#include "ops/pool.h"
#include "plan/blocks.h"

namespace lamina {
namespace {

constexpr size_t kFoldedBytes = 1 << 20;  // larger constants are rather made in the arena each time

std::atomic<bool> fusion{true};

int64_t bytes(const Operand& o) { return o.shape.product() * item_size(o.dtype); }
bool dense(const Operand& o) { return o.strides == contiguous_strides(o.shape); }
bool same_place(const Operand& a, const Operand& b) {
  return a.memory == b.memory && a.offset == b.offset && a.shape == b.shape &&
         a.strides == b.strides && a.dtype == b.dtype;
}
// Dense tensors of the same elements in the same order.
bool alike(const Operand& a, const Operand& b) {
  return a.dtype == b.dtype && dense(a) && dense(b) && a.shape.product() == b.shape.product();
}

ElementwiseUse function_of(const RecordedCall& c) { return elementwise_use(*c.op, c.args.data()); }
// f(in[0], ...) of dense operands alike, all of the type it is computed in.
bool plain(const RecordedCall& c, const ElementwiseUse& use) {
  if (use.function < 0 || use.compute != c.out[0].dtype) return false;
  if (use.compute != DType::float32 && use.compute != DType::float64) return false;
  for (const Operand& o : c.in)
    if (o.memory >= 0 && !(alike(o, c.out[0]) && o.shape == c.out[0].shape)) return false;
  return dense(c.out[0]);
}
bool is_relu(const RecordedCall& c) {
  static const int relu = function_index("relu");
  const ElementwiseUse use = function_of(c);
  return use.function == relu && use.input < 0 && plain(c, use);
}
bool is_sum(const RecordedCall& c) {
  static const int add = function_index("add");
  const ElementwiseUse use = function_of(c);
  return use.function == add && use.input < 0 && use.p[0] == 1 && plain(c, use);
}
// in[0]: the incoming gradient; in.back(): relu's result.
bool is_relu_grad(const RecordedCall& c) {
  static const int relu = function_index("relu");
  const ElementwiseUse use = function_of(c);
  return use.function == relu && use.input == 0 && plain(c, use) && c.in.back().memory >= 0;
}

// ---- constants ---------------------------------------------------------------------------------
void fold(CallGraph& g, Fused& done) {
  std::vector<char> constant(size_t(g.memories()));
  for (int m = 0; m < g.memories(); ++m)
    constant[size_t(m)] = g.memory(m).kind == Memory::kConstant && !g.memory(m).written;
  for (int i = 0; i < g.size(); ++i) {
    const RecordedCall& c = g[i];
    if (!g.alive(i) || c.op->random || c.op->checks || c.out.empty()) continue;
    bool pure = true;
    if (!c.op->fills)
      for (const Operand& o : c.in) pure &= o.memory < 0 || constant[size_t(o.memory)];
    for (const Operand& o : c.out)
      pure &= g.temporary(o.memory) && g.only_writer(o.memory, i) &&
              g.memory(o.memory).bytes <= kFoldedBytes && g.touching(o.memory).front() == i;
    if (!pure) continue;
    for (const Operand& o : c.out) constant[size_t(o.memory)] = 1;
    done.once.push_back(c);
    g.settle(i);
  }
}

// ---- epilogues ---------------------------------------------------------------------------------
// The one call that reads what call i leaves in `o`, and nobody else touches it before or after;
// -1: there are others, or none. That call may write its result in the same place.
int only_reader(const CallGraph& g, int i, const Operand& o) {
  const std::vector<int>& all = g.touching(o.memory);
  if (all.size() == 2 && g.temporary(o.memory) && all[0] == i) return all[1];
  for (size_t k = 0; k + 1 < all.size(); ++k)  // in place: later uses see the later value
    if (all[k] == i) {
      const RecordedCall& next = g[all[k + 1]];
      return next.out.size() == 1 && same_place(next.out[0], o) ? all[k + 1] : -1;
    }
  return -1;
}

// Whether a call that writes `to` while it reads its inputs leaves the same as one that writes it
// afterwards. by_element: an input in the same place is read before it is overwritten.
bool may_write(const RecordedCall& c, const Operand& to, bool by_element) {
  for (const Operand& o : c.in)
    if (o.memory == to.memory && !(by_element && same_place(o, to))) return false;
  for (size_t k = 1; k < c.out.size(); ++k)
    if (c.out[k].memory == to.memory) return false;
  return true;
}

// linear -> relu, conv -> relu
bool join_relu(CallGraph& g, int i, Fused& done) {
  RecordedCall c = g[i];
  if (!extend_linear(*c.op, c.args.data()) && !(g.on_cpu(i) && extend_conv(*c.op, c.args.data())))
    return false;
  const int j = only_reader(g, i, c.out[0]);
  if (j < 0 || !is_relu(g[j]) || !alike(g[j].out[0], c.out[0])) return false;
  if (g[j].in[0].memory != c.out[0].memory || g[j].in[0].offset != c.out[0].offset) return false;
  if (!may_write(c, g[j].out[0], false)) return false;
  const int at = g.joint(i, j);
  if (at < 0) return false;
  done.saved_bytes += 2 * bytes(c.out[0]);
  const Operand to = g[j].out[0];
  c.out[0].memory = to.memory;
  c.out[0].offset = to.offset;
  g.drop(i);
  g.drop(j);
  g.put(at, std::move(c));
  return true;
}

// conv -> batch norm by given statistics, with the sum and relu that has taken; not where the norm
// reads the convolution's result once more, as its summand or statistics
bool join_conv_norm(CallGraph& g, int i, Fused& done) {
  RecordedCall c = g[i];
  if (!is_conv(*c.op) || !g.on_cpu(i)) return false;
  const int j = only_reader(g, i, c.out[0]);
  if (j < 0) return false;
  const RecordedCall& norm = g[j];
  double eps;
  BatchNormExtra extra;
  if (!batch_norm_given(*norm.op, norm.args.data(), c.out[0].shape, &eps, &extra)) return false;
  if (!same_place(norm.in[0], c.out[0]) || !extend_conv(*c.op, c.args.data(), eps, extra))
    return false;
  for (size_t k = 1; k < norm.in.size(); ++k)
    if (norm.in[k].memory == c.out[0].memory) return false;
  while (c.in.size() < 3) c.in.push_back(Operand());
  c.in.insert(c.in.end(), norm.in.begin() + 1, norm.in.end());
  const Operand to = norm.out[0];
  if (!may_write(c, to, false)) return false;
  const int at = g.joint(i, j);
  if (at < 0) return false;
  done.saved_bytes += 2 * bytes(c.out[0]);
  c.out[0] = to;
  g.drop(i);
  g.drop(j);
  g.put(at, std::move(c));
  return true;
}

// max_pool_grad -> relu's gradient, of relu -> max_pool: where an element was the largest of its
// window, relu's result is that maximum, so its sign says what relu lets through.
bool join_pool_grad(CallGraph& g, int i, Fused& done) {
  RecordedCall c = g[i];
  if (!extend_max_pool_grad(*c.op, c.args.data())) return false;
  const int j = only_reader(g, i, c.out[0]);
  if (j < 0 || !is_relu_grad(g[j]) || !same_place(g[j].in[0], c.out[0])) return false;
  const Operand &result = g[j].in.back(), &index = c.in[1];
  const int k = g.touching(index.memory).front();  // the pooling that chose the places
  if (k >= i || !max_pool_use(*g[k].op, g[k].args.data()) || g[k].out.size() != 2) return false;
  if (!same_place(g[k].in[0], result) || !same_place(g[k].out[1], index)) return false;
  const Operand& maxima = g[k].out[0];
  if (!g.only_writer(index.memory, k) || !g.only_writer(maxima.memory, k) ||
      !g.only_writer(result.memory, g.touching(result.memory).front()))
    return false;
  if (!dense(maxima) || maxima.shape != c.in[0].shape) return false;
  const Operand to = g[j].out[0];
  c.in.push_back(maxima);
  if (!may_write(c, to, false)) return false;
  const int at = g.joint(i, j);
  if (at < 0) return false;
  done.saved_bytes += 3 * bytes(to) - bytes(maxima);
  c.out[0] = to;
  g.drop(i);
  g.drop(j);
  g.put(at, std::move(c));
  return true;
}

// batch_norm [-> add] -> relu
bool join_norm(CallGraph& g, int i, Fused& done) {
  RecordedCall c = g[i];
  if (batch_norm_use(*c.op, c.args.data(), c.in[0].shape) != BatchNormUse::forward) return false;
  if (c.in.size() != 5) return false;  // it has taken a sum already
  int j = only_reader(g, i, c.out[0]), sum = -1;
  if (j < 0) return false;
  BatchNormExtra extra;
  Operand summand;
  if (is_sum(g[j]) && g[j].out[0].shape == c.out[0].shape) {
    const RecordedCall& s = g[j];
    extra.summand_first = same_place(s.in[1], c.out[0]);
    summand = s.in[extra.summand_first ? 0 : 1];
    if (!same_place(s.in[extra.summand_first ? 1 : 0], c.out[0]) || same_place(summand, c.out[0]))
      return false;
    sum = j;
    const int next = only_reader(g, j, s.out[0]);
    if (next >= 0 && is_relu(g[next]) && same_place(g[next].in[0], s.out[0])) j = next;
  }
  extra.relu = is_relu(g[j]);
  if (!extra.relu && sum < 0) return false;
  if (sum < 0 && !same_place(g[j].in[0], c.out[0])) return false;
  if (g[j].out[0].shape != c.out[0].shape) return false;
  const Operand to = g[j].out[0];
  c.in.push_back(summand);
  if (!may_write(c, to, true)) return false;
  const RecordedCall last = g[j];
  if (sum >= 0 && sum != j) {
    RecordedCall both = g[sum];  // first the sum and relu as one, to see whether they may meet
    const int at = g.joint(sum, j);
    if (at < 0) return false;
    const RecordedCall first = g[sum];
    g.drop(sum);
    g.drop(j);
    both.out[0] = to;
    g.put(at, both);
    const int place = g.joint(i, at);
    g.drop(at);
    if (place < 0) {
      g.put(sum, first);
      g.put(j, last);
      return false;
    }
    done.saved_bytes += 4 * bytes(to);
    j = place;
  } else {
    const int place = g.joint(i, j);
    if (place < 0) return false;
    g.drop(j);
    done.saved_bytes += 2 * bytes(to);
    j = place;
  }
  extend_batch_norm(c.args.data(), extra);
  c.out[0] = to;
  g.drop(i);
  g.put(j, std::move(c));
  return true;
}

// [add ->] relu's gradient -> batch_norm_grad; others may read the gradient before the norm too.
bool join_norm_grad(CallGraph& g, int k, Fused& done) {
  RecordedCall c = g[k];
  if (batch_norm_use(*c.op, c.args.data(), c.in[1].shape) != BatchNormUse::backward) return false;
  const Operand d = c.in[0];
  if (!g.temporary(d.memory)) return false;
  const std::vector<int> users = g.touching(d.memory);
  const int j = users.front();
  if (j >= k || !is_relu_grad(g[j]) || !same_place(g[j].out[0], d) || !g.only_writer(d.memory, j))
    return false;
  // Of several norms that read it the first takes it over; the others find it where it was.
  if (users[1] != k) return false;
  const RecordedCall relu = g[j];
  BatchNormExtra extra;
  extra.relu = true;
  Operand from = relu.in[0], summand, result = relu.in.back();
  int sum = -1;
  if (g.temporary(from.memory) && g.touching(from.memory).size() == 2) {
    sum = g.touching(from.memory).front();
    const RecordedCall& s = g[sum];
    if (sum < j && is_sum(s) && same_place(s.out[0], from) && s.in[0].memory != from.memory &&
        s.in[1].memory != from.memory && g.may_sink(sum, j)) {
      from = s.in[0];
      summand = s.in[1];
    } else {
      sum = -1;
    }
  }
  const bool others = users.size() > 2 || summand.memory >= 0;
  if (!g.may_sink(j, k)) return false;
  if (sum >= 0) {
    const RecordedCall first = g[sum];
    g.drop(sum);  // what the sum read must still be there at k
    RecordedCall both = relu;
    both.in[0] = from;
    both.in.push_back(summand);
    g.put(j, both);
    if (!g.may_sink(j, k)) {
      g.put(j, relu);
      g.put(sum, first);
      return false;
    }
    done.saved_bytes += 2 * bytes(d);
  }
  done.saved_bytes += 2 * bytes(d);
  g.drop(j);
  extend_batch_norm(c.args.data(), extra);
  c.in[0] = from;
  c.in.push_back(result);
  c.in.push_back(summand);
  if (others) c.out.push_back(d);
  g.put(k, std::move(c));
  return true;
}

}  // namespace

void set_fusion(bool on) { fusion = on; }

Fused fuse(CallGraph& g) {
  Fused done;
  if (!fusion) return done;
  fold(g, done);
  for (int i = 0; i < g.size(); ++i)
    if (g.alive(i))
      done.epilogues += join_relu(g, i, done) ||
                        (g.on_cpu(i) && (join_pool_grad(g, i, done) || join_norm(g, i, done) ||
                                         join_norm_grad(g, i, done)));
  for (int i = 0; i < g.size(); ++i)  // what the norms take is known now
    if (g.alive(i)) done.epilogues += join_conv_norm(g, i, done);
  done.grouped = join_blocks(g, &done.saved_bytes);
  return done;
}

}  // namespace lamina
