// Opening the device library, choosing a call's device, handing calls over.
#include "core/device.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace lamina {

constinit thread_local Device working_device;
Tf32Allowed tf32_allowed;

namespace {

[[noreturn]] void fail_for_device(int kind, const char* text) {
  throw Error(ErrorKind(kind), text);
}
const HostTable kHost{kDeviceVersion, fail_for_device};

struct Library {
  const DeviceTable* table = nullptr;
  int count = 0;
  std::string trouble;

  Library() {
    const std::string path = find();
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      trouble = std::getenv("LAMINA_CUDA_LIBRARY")
                    ? "LAMINA_CUDA_LIBRARY cannot be opened: " + why()
                : access(path.c_str(), F_OK) == 0 ? "the CUDA library cannot be opened: " + why()
                                                  : "this build of lamina has no CUDA library";
      return;
    }
    const auto entry = reinterpret_cast<DeviceEntry>(dlsym(handle, "lamina_device"));
    if (!entry) {
      trouble = path + " is no device library of lamina: it has no function lamina_device";
      return;
    }
    const DeviceTable* found = entry(&kHost);
    if (!found || found->version != kDeviceVersion) {
      trouble = path + " was built for another version of lamina";
      return;
    }
    table = found;
    count = table->count();
    if (count == 0) trouble = table->why();
  }
  static std::string why() {
    const char* text = dlerror();
    return text ? text : "";
  }
  // Beside this library, unless LAMINA_CUDA_LIBRARY names another.
  static std::string find() {
    if (const char* path = std::getenv("LAMINA_CUDA_LIBRARY")) return path;
    Dl_info info;
    std::string place;
    if (dladdr(reinterpret_cast<const void*>(&kHost), &info) && info.dli_fname) {
      place = info.dli_fname;
      const size_t slash = place.rfind('/');
      place = slash == std::string::npos ? "" : place.substr(0, slash + 1);
    }
    return place + "liblamina_cuda.so";
  }
};

const Library& library() {
  static const Library* l = new Library;  // never closed: tensors may outlive static destructors
  return *l;
}

thread_local int current = 0;

// An op's entry in the device's table, found by name once.
const DeviceKernel* entry_of(const Op* op) {
  static std::mutex mutex;
  static std::unordered_map<const Op*, const DeviceKernel*> known;
  std::lock_guard<std::mutex> lock(mutex);
  const auto at = known.find(op);
  if (at != known.end()) return at->second;
  return known[op] = device_table().find(op->kernel ? op->kernel : op->name);
}

DeviceOperand operand(const Tensor& t) {
  if (!t.defined()) return {nullptr, nullptr, nullptr, 0, DType::float32, false};
  return {t.data(), t.shape().v, t.strides().v,
          t.dim(),  t.dtype(),   t.device().type == DeviceType::cpu};
}

// The elements a tensor reaches to, as bytes of its storage.
struct Extent {
  int64_t begin, bytes;
};
Extent extent_of(const Tensor& t) {
  int64_t low = t->offset, high = t->offset + 1;
  for (int d = 0; d < t.dim(); ++d) {
    const int64_t span = (t.shape()[d] - 1) * t.strides()[d];
    (span < 0 ? low : high) += span;
  }
  const int64_t size = item_size(t.dtype());
  return {low * size, t.numel() ? (high - low) * size : 0};
}

// Page-locked memory, which is slow to get: kept for the next time, by powers of two.
struct PinnedPool {
  std::mutex mutex;
  std::unordered_map<size_t, std::vector<void*>> free;

  static size_t rounded(size_t bytes) {
    size_t size = 4096;
    while (size < bytes) size *= 2;
    return size;
  }
  void* take(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex);
    std::vector<void*>& list = free[rounded(bytes)];
    if (list.empty()) return device_table().host_allocate(rounded(bytes));
    void* const p = list.back();
    list.pop_back();
    return p;
  }
  void give(void* p, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex);
    free[rounded(bytes)].push_back(p);
  }
};
PinnedPool& pinned() {
  static PinnedPool* const pool = new PinnedPool;
  return *pool;
}

// `t` in page-locked host memory, laid out as it is on its device; filled when `read`.
Tensor host_copy(const Tensor& t, bool read) {
  const Extent e = extent_of(t);
  const size_t bytes = size_t(e.bytes);
  void* const p = pinned().take(bytes);
  Tensor made = Tensor::meta(t.shape(), t.dtype(), {});
  made->storage = adopt(p, bytes, [p, bytes] { pinned().give(p, bytes); }, true);
  made->strides = t.strides();
  made->offset = t->offset - e.begin / item_size(t.dtype());
  if (read && bytes)
    device_table().copy(p, -1, static_cast<const char*>(t->storage->data) + e.begin,
                        t.device().index, bytes, true);
  return made;
}
void copy_back(const Tensor& t, const Tensor& host) {
  const Extent e = extent_of(t);
  if (e.bytes)
    device_table().copy(static_cast<char*>(t->storage->data) + e.begin, t.device().index,
                        host->storage->data, -1, size_t(e.bytes), true);
}

void launch_through_host(Call& c) {
  const auto in = c.in;
  const auto out = c.out;
  const Device device = c.device;
  const auto elsewhere = [](const Tensor& t) {
    return t.defined() && t.device().type != DeviceType::cpu;
  };
  for (Tensor& t : c.in)
    if (elsewhere(t)) t = host_copy(t, true);
  for (Tensor& t : c.out)
    if (elsewhere(t)) t = host_copy(t, !t.is_contiguous());
  c.device = {};
  const auto restore = [&] {
    c.device = device;
    c.in = in;
    c.out = out;
  };
  try {
    c.op->launch(c);
    for (int i = 0; i < in.size(); ++i)
      if (c.writes(i) && elsewhere(in[i])) copy_back(in[i], c.in[i]);
    for (int i = 0; i < out.size(); ++i)
      if (elsewhere(out[i])) copy_back(out[i], c.out[i]);
  } catch (...) {
    restore();
    throw;
  }
  // The memory may be used again when the copies have been made.
  device_table().synchronize(device.index);
  restore();
}

}  // namespace

int device_count() { return library().count; }
const std::string& device_trouble() { return library().trouble; }
const DeviceTable& device_table() {
  const Library& l = library();
  check(l.count > 0, ErrorKind::device, "cuda: no device: ", l.trouble, "; or use device 'cpu'");
  return *l.table;
}
const DeviceTable& device_table(const char* name, Device d) {
  const DeviceTable& table = device_table();
  check(d.index >= 0 && d.index < library().count, ErrorKind::device, name, ": there is no device ",
        device_name(d), ", the last is cuda:", library().count - 1);
  return table;
}
int current_device() { return current; }
void set_current_device(int index) {
  device_table("set_device", {DeviceType::cuda, int8_t(index)});
  current = index;
}
std::string device_name(Device d) {
  return d.type == DeviceType::cpu ? "cpu" : "cuda:" + std::to_string(int(d.index));
}

void place_on_device(Call& c) {
  const Tensor* first = nullptr;
  for (int i = 0; i < c.in.size(); ++i) {
    const Tensor& t = c.in[i];
    if (i < 32 && (c.op->host_inputs >> i & 1)) continue;
    const bool number = c.op->on_host || (c.op->elementwise && t.defined() && t.dim() == 0);
    if (!t.defined() || (number && t.device().type == DeviceType::cpu)) continue;
    if (!first) first = &t;
    check(t.device() == first->device(), ErrorKind::device, c.name(), ": one input is on ",
          device_name(first->device()), " (", *first, ") and another on ", device_name(t.device()),
          " (", t, "); move them to one device with .to()");
  }
  c.device = first->device();
}

const DeviceKernel& device_kernel(const Op& op) {
  const DeviceKernel* const entry = entry_of(&op);
  check(entry != nullptr, ErrorKind::not_implemented, op.name,
        ": no CUDA kernel yet; move the tensor to the CPU with .cpu()");
  return *entry;
}

bool takes_half(const Op& op, Device d) {
  if (d.type == DeviceType::cpu) return false;
  const DeviceKernel* const entry = entry_of(&op);
  return entry && entry->half;
}

void launch_on_device(Call& c) {
  if (c.op->through_host) return launch_through_host(c);
  const DeviceKernel& kernel = device_kernel(*c.op);
  const auto check_complex = [&](const Tensor& t) {
    check(kernel.complex || !t.defined() || !is_complex(t.dtype()), ErrorKind::not_implemented,
          c.name(), ": no CUDA kernel yet for complex tensors; move the tensor to the CPU with ",
          ".cpu()");
  };
  for (const Tensor& t : c.in) check_complex(t);
  for (const Tensor& t : c.out) check_complex(t);
  for (const Tensor& t : c.out)
    check(t.device() == c.device, ErrorKind::device, c.name(), ": the result's memory is on ",
          device_name(t.device()), " but the inputs are on ", device_name(c.device),
          "; move them to one device with .to()");
  SmallVec<DeviceOperand, 8> in;
  SmallVec<DeviceOperand, 4> out;
  for (const Tensor& t : c.in) in.push_back(operand(t));
  for (const Tensor& t : c.out) out.push_back(operand(t));
  device_table().launch(kernel, {c.name(), c.arg_bytes, in.begin(), out.begin(), in.size(),
                                 out.size(), c.device.index, tf32_allowed});
}

void copy_bytes(const Tensor& to, const Tensor& from, bool wait) {
  const auto index = [](const Tensor& t) {
    return t.device().type == DeviceType::cpu ? -1 : int(t.device().index);
  };
  const size_t bytes = size_t(from.numel() * item_size(from.dtype()));
  if (bytes) device_table().copy(to.data(), index(to), from.data(), index(from), bytes, wait);
}

const void* host_bytes(const Tensor& t, void* room) {
  if (t.device().type == DeviceType::cpu) return t.data();
  device_table().copy(room, -1, t.data(), t.device().index, size_t(item_size(t.dtype())), true);
  return room;
}

}  // namespace lamina
