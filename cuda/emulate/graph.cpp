// Capture and graphs (see graph.h). What an executable graph's node is exchanged for runs at the
// graph's next launch; what was copied by value at capture stays as it was, as on a device.
#include "graph.h"

struct lamina_emulated_exec {
  std::vector<std::function<void()>> work;         // in order
  std::vector<const lamina_emulated_node*> nodes;  // whose work it is
};

namespace lamina::emulate {

void issue(cudaStream_t s, std::function<void()> work, bool kernel) {
  if (!s || !s->capture) {
    make_copies();
    return work();
  }
  s->capture->nodes.emplace_back(new lamina_emulated_node{std::move(work), kernel});
  s->last = s->capture->nodes.back().get();
}

namespace {
thread_local bool raced = false;  // a launch since the last result
cudaError_t result() {
  const bool bad = raced;
  raced = false;
  return bad ? cudaErrorLaunchFailure : cudaSuccess;
}
std::function<void()> closure_of(const cudaKernelNodeParams& k) {
  return [k] {
    if (!run(k.grid, k.block, k.shared, k.body)) raced = true;
  };
}
// What a device can launch.
bool fits(const cudaKernelNodeParams& k) {
  const dim3 &g = k.grid, &b = k.block;
  return g.x && g.y && g.z && g.x <= INT32_MAX && g.y <= 65535 && g.z <= 65535 && b.x && b.y &&
         b.z && b.z <= 64 && b.x * b.y * b.z <= 1024 && k.shared <= 48 << 10;
}
cudaError_t exchange(cudaGraphExec_t exec, cudaGraphNode_t node, bool kernel,
                     std::function<void()> work) {
  for (size_t i = 0; i < exec->nodes.size(); ++i)
    if (exec->nodes[i] == node && node->kernel == kernel) {
      exec->work[i] = std::move(work);
      return cudaSuccess;
    }
  return cudaErrorInvalidValue;
}
}  // namespace
}  // namespace lamina::emulate

using namespace lamina::emulate;

cudaError_t cudaLaunchKernelNode(const cudaKernelNodeParams& node, cudaStream_t s) {
  int device = 0;
  cudaGetDevice(&device);
  if (s && s->device != device) return cudaErrorInvalidResourceHandle;
  if (!fits(node)) return cudaErrorInvalidConfiguration;
  issue(s, closure_of(node), true);
  return result();
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  if (!s || s->capture) return cudaErrorInvalidValue;  // nor can the default stream be captured
  s->capture = new lamina_emulated_graph;
  s->last = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* graph) {
  if (!s || !s->capture) return cudaErrorInvalidValue;
  *graph = s->capture;
  s->capture = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t s, cudaStreamCaptureStatus* status,
                                     unsigned long long*, cudaGraph_t* graph,
                                     const cudaGraphNode_t** nodes, void*, size_t* count) {
  *status = s->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  *graph = s->capture;
  *nodes = &s->last;
  *count = s->last ? 1 : 0;
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* count) {
  *count = graph->nodes.size();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new lamina_emulated_exec;
  for (const auto& node : graph->nodes) {
    (*exec)->work.push_back(node->run);
    (*exec)->nodes.push_back(node.get());
  }
  return cudaSuccess;
}
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* params) {
  if (!fits(*params)) return cudaErrorInvalidConfiguration;
  return exchange(exec, node, true, closure_of(*params));
}
cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t exec, cudaGraphNode_t node, void* to,
                                               const void* from, size_t bytes, cudaMemcpyKind) {
  return exchange(exec, node, false,
                  [=] { cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, nullptr); });
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s) {
  for (const auto& work : exec->work) issue(s, work);
  return result();
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
