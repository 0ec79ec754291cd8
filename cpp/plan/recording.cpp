// The observer of a step.
#include "plan/recording.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <sstream>

#include "ops/autocast.h"

namespace lamina {
namespace {

struct Recorder {
  RecordingRef recording;
  StorageWatch watch;
  std::unordered_map<const Storage*, int> outside;  // also arguments
  std::unordered_map<uint64_t, int> made;
  // Memory with values that come from Python; 1: from nothing else, so that they may be read.
  std::unordered_map<uint64_t, int> constants;
  std::unordered_map<const TensorImpl*, int> leaves;  // also frozen ones
  std::function<void(const char*)> on_read;
  std::vector<const TensorImpl*> arguments;
};
thread_local std::unique_ptr<Recorder> recorder;
uint64_t last_serial = 0;  // serials go on from recording to recording

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// Whether a backward pass went through the graph behind a call.
bool spent(const CallRef& top) {
  std::vector<const Call*> next{top.get()};
  std::unordered_map<const Call*, int> seen;
  while (!next.empty()) {
    const Call* c = next.back();
    next.pop_back();
    if (c->freed) return true;
    if (!seen.emplace(c, 1).second) continue;
    for (const Source& s : c->source)
      if (s.edge.call) next.push_back(s.edge.call.get());
  }
  return false;
}

int find(const Recorder& r, const Storage* s) {
  if (s->serial) {
    auto it = r.made.find(s->serial);
    if (it != r.made.end()) return it->second;
  }
  auto it = r.outside.find(s);
  return it == r.outside.end() ? -1 : it->second;
}

int add(Recorder& r, const Tensor& t, Memory::Kind kind) {
  Recording& list = *r.recording;
  Memory m;
  m.kind = kind;
  m.bytes = t->storage->bytes;
  m.address = t->storage.get();
  m.device = t->storage->device;
  const int i = int(list.memory.size());
  if (kind == Memory::kMade || kind == Memory::kConstant) {
    m.serial = t->storage->serial;
    r.made[m.serial] = i;
  } else {
    r.outside[t->storage.get()] = i;
  }
  if (kind == Memory::kConstant && m.device.type != DeviceType::cpu)
    refuse_recording("the step uses memory of a device that no operation filled");
  else if (kind == Memory::kConstant)
    m.value.assign(static_cast<const char*>(t->storage->data), t->storage->bytes);
  if (kind != Memory::kMade) m.storage = t->storage;
  list.memory.push_back(std::move(m));
  return i;
}

bool is_new(const Recorder& r, const Tensor& t) { return r.watch.alive.count(t->storage->serial); }

Operand operand_of(const Tensor& t) {
  Operand o;
  o.offset = t->offset;
  o.shape = t.shape();
  o.strides = t.strides();
  o.dtype = t.dtype();
  o.wrapped_number = t->wrapped_number;
  return o;
}

// The tensor's place in known memory; an argument's memory begins where the argument does.
void locate(const Recorder& r, const Tensor& t, Operand& o) {
  const Memory& m = r.recording->memory[size_t(o.memory)];
  if (m.kind == Memory::kArgument) o.offset -= m.start / item_size(t.dtype());
}

Operand operand(Recorder& r, const Tensor& t, bool output) {
  if (!t.defined()) return {};
  Operand o = operand_of(t);
  o.memory = find(r, t->storage.get());
  if (o.memory < 0) {
    const bool fresh = is_new(r, t);
    if (fresh && !output && !r.constants.count(t->storage->serial) && t->storage->bytes)
      refuse_recording("the step uses " + text(t) +
                       " made by something that is no operation and cannot be replayed");
    o.memory = add(r, t, !fresh ? Memory::kOutside : output ? Memory::kMade : Memory::kConstant);
  }
  locate(r, t, o);
  return o;
}

void note_leaf(Recorder& r, const Tensor& t) {
  if (t->call || r.leaves.count(t.get())) return;
  const int m = find(r, t->storage.get());
  if (!t->requires_grad) {
    const bool outside =
        m < 0 ? !is_new(r, t) : r.recording->memory[size_t(m)].kind == Memory::kOutside;
    if (!outside || t->view || !is_floating(t.dtype())) return;
    r.leaves[t.get()] = -1;
    r.recording->frozen.push_back({t, Lying(t)});
    return;
  }
  if (m >= 0 && r.recording->memory[size_t(m)].kind == Memory::kArgument)
    refuse_recording("an argument of the step requires grad; detach it, or keep it outside");
  if (m >= 0 && r.recording->memory[size_t(m)].kind != Memory::kOutside) return;
  if (m < 0 && is_new(r, t)) return;
  r.leaves[t.get()] = int(r.recording->leaves.size());
  Leaf leaf;
  leaf.leaf = t;
  leaf.storage = t->storage;
  r.recording->leaves.push_back(std::move(leaf));
}

void check_key(Recorder& r, const Call& c) {
  PhiloxKey key;
  std::memcpy(&key, c.arg_bytes, sizeof key);
  const Generator& g = default_generator();
  if (key.seed == 0 && key.offset == 0) return;  // none was drawn
  const PhiloxKey before = r.recording->before;
  if (key.seed != before.seed || key.offset < before.offset || key.offset >= g.offset() ||
      g.seed() != before.seed)
    refuse_recording(std::string(c.name()) +
                     ": draws from a generator of its own, or the step sets the seed");
}

bool reads_python(const Recorder& r, const Tensor& t) {
  const auto at = r.constants.find(t->storage->serial);
  return at != r.constants.end() && at->second;
}

// What is worked out from constants alone is one too.
void note_constants(Recorder& r, Call& c) {
  bool pure = !c.op->random;
  if (!c.op->fills)
    for (const Tensor& t : c.in) pure &= !t.defined() || reads_python(r, t);
  auto note = [&](const Tensor& t) {
    if (pure && is_new(r, t) && find(r, t->storage.get()) < 0)
      r.constants[t->storage->serial] = 1;
    else if (!pure)
      if (auto at = r.constants.find(t->storage->serial); at != r.constants.end()) at->second = 0;
  };
  for (const Tensor& t : c.out) note(t);
  for (int i = 0; i < c.in.size(); ++i)
    if (c.in[i].defined() && c.writes(i)) note(c.in[i]);
}

void observe(Call& c) {
  Recorder& r = *recorder;
  for (const Tensor& t : c.in)
    if (t.defined()) note_leaf(r, t);
  if (!c.op->launch) return;  // a view
  note_constants(r, c);
  RecordedCall call;
  call.op = c.op;
  call.args.assign(reinterpret_cast<const char*>(c.arg_bytes), size_t(c.arg_size));
  if (c.op->random) check_key(r, c);
  if (c.op->fills)
    call.in.resize(size_t(c.in.size()));
  else
    for (const Tensor& t : c.in) call.in.push_back(operand(r, t, false));
  for (const Tensor& t : c.out) call.out.push_back(operand(r, t, true));
  if (c.op->fills) call.in[0] = call.out[0];
  for (const Operand& o : call.out) r.recording->memory[size_t(o.memory)].written = true;
  for (int i = 0; i < c.in.size(); ++i)
    if (c.in[i].defined() && c.writes(i))
      r.recording->memory[size_t(call.in[size_t(i)].memory)].written = true;
  r.recording->calls.push_back(std::move(call));
}

void read(const char* what, const Tensor* t) {
  if (t && reads_python(*recorder, *t)) return;
  recorder->on_read(what);
}

void constant(const Tensor& t) { recorder->constants[t->storage->serial] = 1; }

constexpr CallObserver kObserver{observe, constant, read};

uint32_t held(const Recording& r, const Storage* s) {
  uint32_t n = 0;
  for (const Frozen& f : r.frozen) n += f.tensor->refs() == 1 && f.tensor->storage.get() == s;
  return n;
}

}  // namespace

bool is_recording() { return bool(recorder); }

bool recording_reads(const Tensor& t) { return recorder && find(*recorder, t->storage.get()) >= 0; }

void refuse_recording(const std::string& why) {
  if (recorder && recorder->recording->refused.empty()) recorder->recording->refused = why;
}

void start_recording(const Tensors& arguments, Recording* previous,
                     std::function<void(const char*)> on_read) {
  check(!recorder, ErrorKind::runtime, "compile: a compiled step cannot call another one");
  recorder.reset(new Recorder);
  Recorder& r = *recorder;
  r.recording = std::make_shared<Recording>();
  r.on_read = std::move(on_read);
  const Generator& g = default_generator();
  r.recording->before = {g.seed(), g.offset()};
  r.watch.made = last_serial;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Tensor& t = arguments[i];
    if (t->call) refuse_recording("an argument of the step requires grad; detach it");
    Operand o = operand_of(t);
    o.memory = find(r, t->storage.get());
    if (o.memory < 0) {  // otherwise it shares the memory of an earlier argument
      o.memory = add(r, t, Memory::kArgument);
      Memory& m = r.recording->memory[size_t(o.memory)];
      m.argument = int(i);
      m.storage = StorageRef();
      m.start = t->offset * item_size(t.dtype());
    }
    locate(r, t, o);
    r.arguments.push_back(t.get());
    r.recording->arguments.push_back(o);
  }
  if (previous)
    for (Memory& m : previous->memory) m.storage = StorageRef();
  if (previous)
    for (const Leaf& old : previous->leaves) {
      if (!old.leaf->requires_grad) continue;  // frozen since
      Leaf leaf;
      leaf.leaf = old.leaf;
      leaf.storage = old.leaf->storage;
      leaf.known_before = true;
      if (old.leaf->grad.defined()) leaf.grad_before = old.leaf->grad->storage;
      r.leaves[old.leaf.get()] = int(r.recording->leaves.size());
      r.recording->leaves.push_back(std::move(leaf));
    }
  clear_autocast_cache();  // what the step reads it converts itself
  storage_watch = &r.watch;
  call_observer = &kObserver;
}

RecordingRef stop_recording(const Tensors& results) {
  clear_autocast_cache();
  call_observer = nullptr;
  storage_watch = nullptr;
  const std::unique_ptr<Recorder> r = std::move(recorder);
  if (!r) return {};
  last_serial = r->watch.made;
  Recording& list = *r->recording;
  list.after = {default_generator().seed(), default_generator().offset()};
  auto refuse = [&](std::string why) {
    if (list.refused.empty()) list.refused = std::move(why);
  };
  if (list.after.seed != list.before.seed || list.after.offset < list.before.offset)
    refuse("the step sets the seed of the default generator");
  for (const Tensor& t : results) {
    Operand o = operand_of(t);
    o.memory = find(*r, t->storage.get());
    if (o.memory >= 0)
      locate(*r, t, o);
    else if (is_new(*r, t) && !r->constants.count(t->storage->serial))
      refuse("the step returns a tensor that no operation of it made");
    else
      o = operand(*r, t, false);
    if (t->requires_grad && is_new(*r, t))
      refuse("the step returns a new tensor that requires grad; make it outside");
    if (t->call && t->call->op->vjp && !spent(t->call))
      refuse(
          "the step returns a tensor that still needs its backward pass; call backward() inside "
          "the step, or run it under lamina.no_grad()");
    const auto same = std::find(r->arguments.begin(), r->arguments.end(), t.get());
    list.result_is.push_back(same == r->arguments.end() ? -1 : int(same - r->arguments.begin()));
    const auto known = r->leaves.find(t.get());
    list.result_outside.push_back(
        known != r->leaves.end() || (t->requires_grad && !is_new(*r, t)) ? t : Tensor());
    list.results.push_back(o);
  }
  std::map<TensorImpl*, std::pair<uint32_t, int>> bases;  // of results: their views, the memory
  for (size_t i = 0; i < results.size(); ++i)
    if (results[i]->view && list.results[i].memory >= 0 &&
        results[i]->view->base->storage == results[i]->storage)
      bases[results[i]->view->base.get()].first += 1,
          bases[results[i]->view->base.get()].second = list.results[i].memory;
  for (const auto& [base, views] : bases)
    if (base->refs() == views.first) list.memory[size_t(views.second)].bases += 1;
  for (Memory& m : list.memory) {
    if (m.kind == Memory::kMade) {
      auto alive = r->watch.alive.find(m.serial);
      m.kept = alive != r->watch.alive.end();
      if (m.kept) m.storage = StorageRef(alive->second);
    }
    if (m.kind == Memory::kOutside && m.storage->refs() == 1 + held(list, m.storage.get()))
      refuse(
          "the step reads a tensor of an earlier step and then drops it (a state carried from "
          "step to step by assignment); pass it as an argument and return its new value, or "
          "update it in place");
  }
  // What is left of the frozen ones had no other holder: views that the step made of parameters.
  list.frozen.erase(std::remove_if(list.frozen.begin(), list.frozen.end(),
                                   [](const Frozen& f) { return f.tensor->refs() == 1; }),
                    list.frozen.end());
  for (Frozen& f : list.frozen)
    if (f.tensor->grad.defined()) f.grad = f.tensor->grad->storage.get();
  for (Leaf& leaf : list.leaves) {
    if (leaf.leaf->hooks && !leaf.leaf->hooks->empty())
      refuse("a parameter has hooks, which are Python's");
    leaf.grad_after = leaf.leaf->grad;
    if (leaf.grad_before) leaf.grad_touched = find(*r, leaf.grad_before.get()) >= 0;
    const CallRef made = leaf.grad_after.defined() ? leaf.grad_after->call : CallRef();
    if (made && made->op->vjp && !spent(made))
      refuse("the step leaves gradients that have a graph (create_graph=True); detach them");
  }
  return r->recording;
}

Tensors shadows(const Tensors& arguments) {
  Tensors list;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Tensor& t = arguments[i];
    Tensor shadow = alias(t);
    shadow->wrapped_number = t->wrapped_number;
    size_t j = 0;
    while (!(arguments[j]->storage == t->storage)) ++j;
    if (j < i) {
      shadow->storage = list[j]->storage;
    } else {
      StorageRef held = t->storage;
      shadow->storage = adopt(held->data, held->bytes, [held] {}, held->writable);
      shadow->storage->version = held->version;
      shadow->storage->device = held->device;
    }
    list.push_back(shadow);
  }
  return list;
}

void end_shadows(const Tensors& arguments, const Tensors& shadows, const Tensors& results) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    Storage& own = *arguments[i]->storage;
    own.version = std::max(own.version, shadows[i]->storage->version);
    for (const Tensor& t : results)
      if (!shadows[i].same(t) && t->storage == shadows[i]->storage)
        t->storage = arguments[i]->storage;
  }
}

int kept_elsewhere(Recording& r) {
  std::unordered_map<const Storage*, int> known;
  for (const Leaf& x : r.leaves)
    if (x.grad_after.defined()) known[x.grad_after->storage.get()] = 1;
  std::vector<char> result(r.memory.size());
  for (const Operand& o : r.results)
    if (o.memory >= 0) result[size_t(o.memory)] = 1;
  int n = 0;
  for (size_t i = 0; i < r.memory.size(); ++i) {
    Memory& m = r.memory[i];
    if (m.kind != Memory::kMade || !m.kept || result[i]) continue;
    if (m.storage->refs() == 1) {
      m.kept = false;
      m.storage = StorageRef();
    } else {
      n += !known.count(m.storage.get());
    }
  }
  return n;
}

std::string gradients_now(const std::vector<Leaf>& leaves) {
  std::string now;
  for (const Leaf& x : leaves) now += x.leaf->grad.defined() ? '1' : '0';
  return now;
}

}  // namespace lamina
