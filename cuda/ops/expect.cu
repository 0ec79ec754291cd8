// An error unless all of a boolean tensor holds, raised when the device is next synchronised: what
// a replayed step has in place of reading the answer. Cost: one read of the tensor.
#include "launch.h"
#include "ops/expect_args.h"
#include "table.h"

namespace lamina::cuda {
namespace {

__global__ void expect_kernel(const uint8_t* ok, int64_t n, Reporter report) {
  LAMINA_GRID_STRIDE(i, n)
  if (!ok[i]) report(i, n);
}
void expect(const DeviceCall& c) {
  const auto& a = *static_cast<const ExpectArgs*>(c.args);
  const int64_t n = c.in[0].numel();
  if (n == 0) return;
  const Reporter report{report_of(c.device), "", a.format, int(a.kind)};
  launch(c, expect_kernel, dim3(blocks_for(n)), dim3(kBlock), 0,
         static_cast<const uint8_t*>(c.in[0].data), n, report);
}

const Launches kLaunches{{"expect", expect}};

}  // namespace
}  // namespace lamina::cuda
