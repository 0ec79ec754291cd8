// The comparison of two recordings of one step.
#include <cstring>
#include <sstream>

#include "plan/recording.h"

namespace lamina {
namespace {

bool same(const Operand& a, const Operand& b) {
  return a.memory == b.memory && a.offset == b.offset && a.shape == b.shape &&
         a.strides == b.strides && a.dtype == b.dtype;
}
bool same(const std::vector<Operand>& a, const std::vector<Operand>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!same(a[i], b[i])) return false;
  return true;
}
// Arguments, with the offset of a random draw counted from the start of the step.
std::string relative(const Recording& r, const RecordedCall& c) {
  std::string args = c.args;
  if (c.op->random) {
    PhiloxKey key;
    std::memcpy(&key, args.data(), sizeof key);
    if (key.seed || key.offset) key.offset -= r.before.offset;  // zero: nothing was drawn
    key.seed = 0;
    std::memcpy(args.data(), &key, sizeof key);
  }
  return args;
}

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace

std::string difference(const Recording& a, const Recording& b) {
  const size_t n = a.calls.size() < b.calls.size() ? a.calls.size() : b.calls.size();
  for (size_t i = 0; i < n; ++i) {
    const RecordedCall &x = a.calls[i], &y = b.calls[i];
    if (x.op != y.op) return text("operation ", i, " was ", x.op->name, " and then ", y.op->name);
    if (!same(x.in, y.in) || !same(x.out, y.out))
      return text("operation ", i, ", ", x.op->name, ", had other operands the second time");
    if (relative(a, x) != relative(b, y))
      return text("operation ", i, ", ", x.op->name, ", had another number the second time");
  }
  if (a.calls.size() != b.calls.size())
    return text("it ran ", a.calls.size(), " operations and then ", b.calls.size());
  for (size_t i = 0; i < a.memory.size(); ++i) {
    const Memory &x = a.memory[i], &y = b.memory[i];
    if (x.kind != y.kind || x.bytes != y.bytes) return "it used other tensors the second time";
    if (x.kind == Memory::kOutside && x.address != y.address)
      return "it read another tensor from outside the second time";
    if (x.kind == Memory::kConstant && x.value != y.value)
      return "a value that comes from Python changed; pass it to the step as a tensor";
    if (x.kept != y.kept) return "it kept other tensors the second time";
  }
  if (!same(a.results, b.results) || a.result_is != b.result_is)
    return "it returned other tensors the second time";
  if (a.leaves.size() != b.leaves.size()) return "it trained other parameters the second time";
  if (a.after.offset - a.before.offset != b.after.offset - b.before.offset)
    return "it drew more random numbers the second time";
  return "";
}

}  // namespace lamina
