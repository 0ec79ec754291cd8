// The calls reachable from the roots are visited in descending sequence number: a consumer is
// always younger than what it consumed, so by the time a call is reached every gradient that
// flows into it has arrived. No recursion, no dependency counts.
#include <atomic>
#include <unordered_map>
#include <unordered_set>

#include "core/device.h"
#include "ops/anomaly.h"
#include "ops/complex.h"
#include "ops/ops.h"
#include "tape/tape.h"
#include "tape/waiting.h"

namespace lamina {

Tensor Vjp::g(int output) const {
  if (gouts_[output].defined()) return gouts_[output];
  return zeros(call_.out_shapes[output], call_.out_dtypes[output]);
}

namespace {

bool used_once(const Call& c);

using LeafHooks = std::vector<std::pair<int64_t, TensorHook>>;  // copied: a hook may remove itself
Tensor run_hooks(const LeafHooks hooks, Tensor g) {
  for (const auto& hook : hooks) {
    if (hook.first < 0) continue;  // runs after accumulation
    Tensor other = hook.second(g);
    if (other.defined()) g = other;
  }
  return g;
}
void run_post_hooks(const LeafHooks hooks, const Tensor& leaf) {
  for (const auto& hook : hooks)
    if (hook.first < 0) hook.second(leaf);
}

class Engine {
 public:
  Engine(const Tensors& inputs, BackwardOptions options) : options_(options) {
    for (const Tensor& t : inputs) {
      refresh(*t);
      if (t->call)
        wanted_calls_[t->call.get()].push_back(t);
      else
        wanted_leaves_.insert(t.get());
    }
    restricted_ = !inputs.empty();
  }

  void seed(const Tensor& root, Tensor g) {
    refresh(*root);
    check(root->tracked(), ErrorKind::runtime,
          "backward: the tensor does not require grad and has no history; set requires_grad=True "
          "on a leaf it is computed from");
    if (!g.defined()) {
      check(root.numel() == 1, ErrorKind::runtime,
            "backward: a gradient can be made up only for one-element outputs, got shape ",
            root.shape(), "; reduce it (.sum(), .mean()) or pass gradient=");
      check(!is_complex(root.dtype()), ErrorKind::runtime,
            "backward: a gradient can be made up only for real outputs, got ", root.dtype(),
            "; make it real (.abs(), .real) or pass gradient=");
      const WorkingDevice on(root.device());
      g = ones(root.shape(), root.dtype());
    }
    check(g.shape() == root.shape(), ErrorKind::shape, "backward: gradient has shape ", g.shape(),
          " but the output has shape ", root.shape());
    check(is_complex(root.dtype()) || !is_complex(g.dtype()), ErrorKind::dtype,
          "backward: a complex gradient ", g, " for a real output ", root, "; pass its .real");
    check(g.device() == root.device(), ErrorKind::device, "backward: the gradient is on ",
          device_name(g.device()), " but the output on ", device_name(root.device()),
          "; move one with .to()");
    if (is_complex(root.dtype())) g = to_dtype(g, root.dtype());
    if (!root->call) return accumulate(root, std::move(g));
    roots_.push_back(root->call);
    if (restricted_) mark(root->call.get());
    arrive(root->call.get(), root->index, std::move(g));
  }

  void run() {
    GradMode mode(options_.create_graph);
    while (!waiting_.empty()) {
      Waiting::Slot next = waiting_.take();
      visit(*next.call, *next.g);
      waiting_.give_back(std::move(next.g));
    }
    for (auto& [leaf, sum] : hooked_) {
      Tensor g = leaf->hooks ? run_hooks(*leaf->hooks, sum) : sum;
      sum = Tensor();
      keep(leaf, std::move(g));
      if (!restricted_ && leaf->hooks) run_post_hooks(*leaf->hooks, leaf);
    }
  }

  Tensor result(const Tensor& input) {
    refresh(*input);
    if (!input->call) {
      auto it = leaf_results_.find(input.get());
      return it == leaf_results_.end() ? Tensor() : it->second;
    }
    auto it = call_results_.find(input.get());
    return it == call_results_.end() ? Tensor() : it->second;
  }

 private:
  // Which calls lie on a path to a wanted input (iterative depth-first search).
  bool relevant(const Edge& e) const {
    if (!restricted_) return true;
    if (e.leaf.defined()) return wanted_leaves_.count(e.leaf.get()) > 0;
    return relevant_.count(e.call.get()) > 0;
  }
  void mark(Call* root) {
    if (!root || seen_.count(root)) return;
    std::vector<std::pair<Call*, int>> stack{{root, 0}};
    seen_.insert(root);
    while (!stack.empty()) {
      Call* const c = stack.back().first;
      int& i = stack.back().second;
      if (i < c->source.size()) {
        Call* const next = c->source[i++].edge.call.get();
        if (next && seen_.insert(next).second) stack.push_back({next, 0});
        continue;
      }
      bool useful = wanted_calls_.count(c) > 0;
      for (const Source& s : c->source)
        if ((s.edge.leaf.defined() && wanted_leaves_.count(s.edge.leaf.get())) ||
            (s.edge.call && relevant_.count(s.edge.call.get())))
          useful = true;
      if (useful) relevant_.insert(c);
      stack.pop_back();
    }
  }

  static void add_into(Tensor& sum, Tensor g) { sum = sum.defined() ? sum + g : std::move(g); }

  void send(const Edge& edge, Tensor g) {
    if (edge.leaf.defined())
      accumulate(edge.leaf, std::move(g));
    else
      arrive(edge.call.get(), edge.index, std::move(g));
  }
  void arrive(Call* call, uint32_t index, Tensor g) {
    add_into(waiting_.of(call)[int(index)], std::move(g));
  }

  // Several gradients may reach one leaf. One with hooks waits for the end, for they see the sum.
  void accumulate(const Tensor& leaf, Tensor g) {
    if (!leaf->hooks || leaf->hooks->empty()) return keep(leaf, std::move(g));
    for (auto& [other, sum] : hooked_)
      if (other.same(leaf)) return add_into(sum, g);
    hooked_.push_back({leaf, std::move(g)});
  }
  void keep(const Tensor& leaf, Tensor g) {
    if (restricted_) {
      if (wanted_leaves_.count(leaf.get())) add_into(leaf_results_[leaf.get()], g);
      return;
    }
    Tensor& grad = leaf->grad;
    if (!grad.defined()) {
      // Take g over when nobody else holds it; otherwise a later in-place add would change theirs.
      const bool ours = g->refs() == 1 && g->storage->refs() == 1 && g.is_contiguous();
      grad = options_.create_graph || ours ? std::move(g) : clone(g);
    } else if (options_.create_graph) {
      grad = grad + g;
    } else {
      const Tensor sum = grad;  // held: another thread may set .grad meanwhile
      add_(sum, g);
    }
  }

  void visit(Call& c, Gradients& gouts) {
    if (c.hooks)
      for (const auto& hook : *c.hooks) {
        Tensor& g = gouts[int(hook.second.first)];
        if (!g.defined()) continue;
        Tensor other = hook.second.second(g);
        if (other.defined()) g = other;
      }
    auto wanted = wanted_calls_.find(&c);
    if (wanted != wanted_calls_.end())
      for (const Tensor& t : wanted->second) call_results_[t.get()] = gouts[int(t->index)];
    if (restricted_ && !relevant_.count(&c)) return;
    SmallVec<Tensor, 4> gins;
    gins.resize(c.source.size());
    // vjp computes only what was asked for. What it reads keeps its place on the tape: with
    // create_graph the result depends on all of it.
    if (restricted_)
      for (Source& s : c.source) s.unasked = !relevant(s.edge);
    struct Restore {
      Call& c;
      ~Restore() {
        for (Source& s : c.source) s.unasked = false;
      }
    };
    {
      const Restore restore{c};
      Vjp vjp(c, gouts.begin(), gins.begin());
      {
        const WorkingDevice on(c.device);
        const AnomalyPause pause;  // the gradients are searched instead
        c.op->vjp(vjp);
      }
      if (anomaly_mode()) check_gradients(c, gouts.begin(), gouts.size(), gins.begin());
    }
    if (!options_.retain_graph) {
      const Saves saves = c.saves();
      const bool once = used_once(c);
      c.freed = c.freed || saves.inputs || saves.outputs || once;
      if (once) c.extra.reset();
      for (Tensor& t : c.in) t = Tensor();
      for (Tensor& t : c.out) t = Tensor();
    }
    for (Tensor& g : gouts) g = Tensor();
    for (int i = 0; i < gins.size(); ++i) {
      const Source& s = c.source[i];
      if (!gins[i].defined() || !s.edge.needed() || !relevant(s.edge)) continue;
      check(gins[i].shape() == s.shape, ErrorKind::shape, c.name(), ": its gradient for input ", i,
            " has shape ", gins[i].shape(), " but the input has shape ", s.shape);
      Tensor g = gins[i].dtype() == s.dtype ? std::move(gins[i]) : gradient_as(gins[i], s.dtype);
      gins[i] = Tensor();
      send(s.edge, std::move(g));
    }
  }

  BackwardOptions options_;
  bool restricted_ = false;
  std::vector<CallRef> roots_;
  Waiting waiting_;
  std::unordered_map<Call*, Tensors> wanted_calls_;
  std::unordered_set<TensorImpl*> wanted_leaves_;
  std::unordered_set<Call*> seen_, relevant_;
  std::unordered_map<TensorImpl*, Tensor> leaf_results_, call_results_;
  std::vector<std::pair<Tensor, Tensor>> hooked_;  // leaves with hooks, the sums so far
};

void seed_all(Engine& engine, const Tensors& roots, const Tensors& gs) {
  check(gs.empty() || gs.size() == roots.size(), ErrorKind::value, "backward: ", gs.size(),
        " gradients given for ", roots.size(), " outputs");
  for (size_t i = 0; i < roots.size(); ++i) engine.seed(roots[i], gs.empty() ? Tensor() : gs[i]);
}

std::atomic<int64_t> g_hook_id{1};

struct ForeignArgs {
  uint32_t saves;  // mask of outputs
  bool once;       // holds saved tensors: let go after a pass that does not retain the graph
};
void foreign_infer(Call&) {}
Saves foreign_saves(const Call& c) { return {0, c.args<ForeignArgs>().saves}; }
void foreign_vjp(Vjp& c) {
  check(c.call().extra.has_value(), ErrorKind::runtime,
        "function: backward through this graph a second time, but its saved tensors were freed; "
        "pass retain_graph=True the first time");
  const uint32_t saves = c.args<ForeignArgs>().saves;
  Tensors gouts, outs;
  for (int i = 0; i < c.call().out_shapes.size(); ++i) {
    gouts.push_back(c.has_gradient(i) ? c.g(i) : Tensor());
    outs.push_back(i < 32 && saves >> i & 1 ? c.out(i) : Tensor());
  }
  const Tensors gins = std::any_cast<const ForeignVjp&>(c.call().extra)(gouts, outs);
  for (int i = 0; i < c.inputs() && i < int(gins.size()); ++i)
    if (gins[size_t(i)].defined()) c.set(i, gins[size_t(i)]);
}
const Op kForeign{.name = "function",
                  .infer = foreign_infer,
                  .vjp = foreign_vjp,
                  .saves_for = foreign_saves,
                  .complex = true};
bool used_once(const Call& c) { return c.op == &kForeign && c.args<ForeignArgs>().once; }

}  // namespace

void backward(const Tensors& roots, const Tensors& gs, BackwardOptions options) {
  Engine engine({}, options);
  seed_all(engine, roots, gs);
  engine.run();
}
void backward(const Tensor& root, const Tensor& gradient, BackwardOptions options) {
  Engine engine({}, options);
  engine.seed(root, gradient);
  engine.run();
}

Tensors gradients(const Tensors& roots, const Tensors& gs, const Tensors& inputs,
                  BackwardOptions options) {
  for (const Tensor& t : inputs)
    check(needs_grad(t), ErrorKind::runtime,
          "autograd.grad: one of the inputs does not require grad; set requires_grad=True first");
  Engine engine(inputs, options);
  seed_all(engine, roots, gs);
  engine.run();
  Tensors out;
  for (const Tensor& t : inputs) {
    Tensor g = engine.result(t);
    check(g.defined() || options.allow_unused, ErrorKind::runtime,
          "autograd.grad: one of the inputs was not used in computing the outputs; pass "
          "allow_unused=True to get None for it");
    out.push_back(g);
  }
  return out;
}

// Hooks run in the order they were added; the one of retain_grad, which has this id, after them.
constexpr int64_t kRetain = INT64_MAX;

static void add_hook(const Tensor& t, TensorHook hook, int64_t id) {
  refresh(*t);
  check(t->tracked(), ErrorKind::runtime,
        "register_hook: the tensor does not require grad; hooks see gradients");
  if (t->call) {
    if (!t->call->hooks)
      t->call->hooks.reset(new std::remove_reference_t<decltype(*t->call->hooks)>);
    auto& hooks = *t->call->hooks;
    auto place = hooks.end();
    while (place != hooks.begin() && (place - 1)->first > id) --place;
    hooks.insert(place, {id, {t->index, std::move(hook)}});
  } else {
    if (!t->hooks) t->hooks.reset(new std::vector<std::pair<int64_t, TensorHook>>);
    t->hooks->push_back({id, std::move(hook)});
  }
}

int64_t add_hook(const Tensor& t, TensorHook hook) {
  const int64_t id = g_hook_id++;
  add_hook(t, std::move(hook), id);
  return id;
}

int64_t add_post_hook(const Tensor& t, TensorHook hook) {
  check(t->requires_grad && !t->call, ErrorKind::runtime,
        "register_post_accumulate_grad_hook: expected a leaf tensor that requires grad");
  const int64_t id = -g_hook_id++;
  add_hook(t, std::move(hook), id);
  return id;
}

void run_post_hooks(const Tensor& leaf) {
  if (leaf->hooks) run_post_hooks(*leaf->hooks, leaf);
}

void remove_hook(const Tensor& t, int64_t id) {
  auto drop = [&](auto& list) {
    for (size_t i = 0; i < list.size(); ++i)
      if (list[i].first == id) {
        list.erase(list.begin() + long(i));
        return;
      }
  };
  if (t->hooks) drop(*t->hooks);
  if (t->call && t->call->hooks) drop(*t->call->hooks);
}

void retain_grad(const Tensor& t) {
  refresh(*t);
  if (!t->call || t->self) return;
  t->self = std::make_shared<TensorImpl*>(t.get());
  auto keep = [handle = t->self](const Tensor& g) {  // the call may outlive the handle
    if (TensorImpl* const impl = *handle) impl->grad = impl->grad.defined() ? impl->grad + g : g;
    return Tensor();
  };
  add_hook(t, keep, kRetain);
}

void record_foreign(const Tensors& inputs, const Tensors& outputs, uint32_t saves, bool once,
                    ForeignVjp vjp) {
  CallRef call = make_call(kForeign, inputs, ForeignArgs{saves, once});
  call->extra = std::move(vjp);
  Outputs outs;
  for (const Tensor& t : outputs) {
    outs.push_back(t);
    call->out.push_back(t);
  }
  record(call, outs);
}

std::string call_name(const Tensor& t) {
  refresh(*t);
  return t->call ? t->call->name() : "";
}

}  // namespace lamina
