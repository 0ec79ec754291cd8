// Copies between devices: y = x in other memory; gx = gy, moved back.
#include "ops/transfer.h"

#include "core/device.h"
#include "ops/ops.h"

namespace lamina {
namespace {

struct TransferArgs {
  Device to, from;
  bool wait;
};
void infer(Call& c) {
  const Tensor& x = c.in[0];
  c.out.push_back(Tensor::meta(x.shape(), x.dtype(), c.args<TransferArgs>().to));
}
void launch(Call& c) { copy_bytes(c.out[0], c.in[0], c.args<TransferArgs>().wait); }
void vjp(Vjp& c) { c.set(0, to_device(c.g(), c.args<TransferArgs>().from)); }
const Op kTransfer{
    .name = "to", .infer = infer, .launch = launch, .vjp = vjp, .complex = true, .on_host = true};

struct ReleasePinned {  // owner of page-locked memory
  const DeviceTable* table;
  void* memory;
  void operator()() const { table->host_release(memory); }
};

}  // namespace

Tensor to_device(const Tensor& x, Device device, bool wait) {
  if (x.device() == device) return x;
  if (x.device().type != DeviceType::cpu) note_read("to", &x);
  if (x.device().type == DeviceType::cpu) device_table("to", device);
  return apply(kTransfer, {contiguous(x)}, TransferArgs{device, x.device(), wait});
}

bool is_pinned(const Tensor& x) { return x->storage->owner.target<ReleasePinned>(); }
Tensor pin_memory(const Tensor& x) {
  check(x.device().type == DeviceType::cpu, ErrorKind::runtime,
        "pin_memory: only dense tensors in host memory can be pinned, got ", x, " on ",
        device_name(x.device()), "; use .cpu() first");
  const DeviceTable& table = device_table();
  const Tensor from = contiguous(x);
  const size_t bytes = size_t(x.numel() * item_size(x.dtype()));
  void* const p = table.host_allocate(bytes);
  Tensor t = Tensor::meta(x.shape(), x.dtype());
  t->storage = adopt(p, bytes ? bytes : 1, ReleasePinned{&table, p}, true);
  GradMode off(false);
  copy_(t, from);
  return t;
}

}  // namespace lamina
