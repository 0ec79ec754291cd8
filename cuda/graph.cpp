// Graphs: a plan's launches as one unit that the device runs without the host.
//
// The launches of a step are captured on a stream of the graph's own. Scratch memory they take
// meanwhile comes from blocks the graph keeps. What changes from step to step is exchanged before a
// launch: kernels' arguments (Philox keys, numbers from the host) in their nodes, tables copied
// from the host in one of kTurns page-locked buffers, so that a buffer is written again only after
// the launch that read it is done. Nothing waits for the device unless it is kTurns launches
// behind.
#include "graph.h"

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace lamina::cuda {
namespace {

constexpr int kTurns = 4;

struct Node {  // of a changing call
  cudaGraphNode_t node;
  bool upload;
  void* to;               // uploads: where to,
  size_t bytes;           // how much,
  void* buffers[kTurns];  // and from where
};

struct Graph {
  int device;
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  bool changing = false;
  std::vector<Node> nodes;
  size_t at = 0;      // the next of them, while refreshed
  size_t before = 0;  // nodes of the graph when the changing call began
  size_t own = 0;     // of them made by launch_node and upload
  std::string why;    // empty: it can be used
  std::map<size_t, std::vector<void*>> free;
  std::unordered_set<void*> blocks;
  std::vector<void*> scratch;  // of changing calls, in order
  std::vector<void*> held;     // page-locked copies of tables that stay the same
  size_t taken = 0;
  int turn = 0;
  cudaEvent_t done[kTurns] = {};
  bool used[kTurns] = {};
};
thread_local Graph* capturing = nullptr;
thread_local Graph* refreshing = nullptr;

// The node that was captured last, and how many there are.
bool captured(Graph& g, cudaGraphNode_t* last, size_t* count) {
  cudaStreamCaptureStatus status{};
  cudaGraph_t graph = nullptr;
  const cudaGraphNode_t* nodes = nullptr;
  size_t n = 0;
#if defined(CUDART_VERSION) && CUDART_VERSION < 13000
  const cudaError_t e = cudaStreamGetCaptureInfo_v2(g.stream, &status, nullptr, &graph, &nodes, &n);
#else
  const cudaError_t e =
      cudaStreamGetCaptureInfo(g.stream, &status, nullptr, &graph, &nodes, nullptr, &n);
#endif
  if (e != cudaSuccess || status != cudaStreamCaptureStatusActive) return false;
  *last = n ? nodes[n - 1] : nullptr;
  *count = 0;
  return cudaGraphGetNodes(graph, nullptr, count) == cudaSuccess;
}

// Ends a changing call: all it did must be exchangeable.
void end_call(Graph& g) {
  if (!g.changing || !g.why.empty()) return;
  cudaGraphNode_t last;
  size_t count = 0;
  if (!captured(g, &last, &count))
    g.why = "the capture was broken off";
  else if (count != g.before + g.own)
    g.why = "a call whose numbers change copies memory by itself";
}

void note(Graph& g, bool upload, void* to, size_t bytes, void* const* buffers) {
  Node n{nullptr, upload, to, bytes, {}};
  size_t count = 0;
  if (!captured(g, &n.node, &count) || !n.node) g.why = "the capture was broken off";
  for (int i = 0; upload && i < kTurns; ++i) n.buffers[i] = buffers[i];
  g.nodes.push_back(n);
  ++g.own;
}

Node* next(const char* what) {
  Graph& g = *refreshing;
  if (g.at == g.nodes.size()) fail(kRuntime, "%s: made another launch than in the graph", what);
  return &g.nodes[g.at++];
}

Graph& of(void* graph) { return *static_cast<Graph*>(graph); }

}  // namespace

void launch_node(const DeviceCall& c, const cudaKernelNodeParams& node) {
  if (refreshing) {
    Node* const n = next(c.name);
    if (n->upload) fail(kRuntime, "%s: made another launch than in the graph", c.name);
    return check(cudaGraphExecKernelNodeSetParams(refreshing->exec, n->node, &node), c.name);
  }
#ifdef LAMINA_EMULATED
  check(cudaLaunchKernelNode(node, current_stream(c.device)), c.name);
#else
  check(cudaLaunchKernel(node.func, node.gridDim, node.blockDim, node.kernelParams,
                         node.sharedMemBytes, current_stream(c.device)),
        c.name);
#endif
  if (capturing && capturing->changing) note(*capturing, false, nullptr, 0, nullptr);
}

void upload(const DeviceCall& c, void* to, const void* from, size_t bytes) {
  if (refreshing) {
    Graph& g = *refreshing;
    Node* const n = next(c.name);
    if (!n->upload || n->bytes != bytes)
      fail(kRuntime, "%s: made another copy than in the graph", c.name);
    std::memcpy(n->buffers[g.turn], from, bytes);
    return check(cudaGraphExecMemcpyNodeSetParams1D(g.exec, n->node, n->to, n->buffers[g.turn],
                                                    bytes, cudaMemcpyHostToDevice),
                 c.name);
  }
  if (!capturing)  // from pageable memory: staged before the call returns
    return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, current_stream(c.device)),
                 c.name);
  if (!capturing->changing) {  // the same every time
    void* held = nullptr;
    check(cudaHostAlloc(&held, bytes, cudaHostAllocDefault), c.name);
    std::memcpy(held, from, bytes);
    capturing->held.push_back(held);
    return check(cudaMemcpyAsync(to, held, bytes, cudaMemcpyHostToDevice, capturing->stream),
                 c.name);
  }
  void* buffers[kTurns];
  for (void*& b : buffers) check(cudaHostAlloc(&b, bytes, cudaHostAllocDefault), c.name);
  std::memcpy(buffers[0], from, bytes);
  check(cudaMemcpyAsync(to, buffers[0], bytes, cudaMemcpyHostToDevice, capturing->stream), c.name);
  note(*capturing, true, to, bytes, buffers);
}

void* graph_allocate(int device, size_t size) {
  if (refreshing && refreshing->device == device)
    return refreshing->taken < refreshing->scratch.size() ? refreshing->scratch[refreshing->taken++]
                                                          : nullptr;
  if (!capturing || capturing->device != device) return nullptr;
  Graph& g = *capturing;
  std::vector<void*>& free = g.free[size];
  void* block = nullptr;
  // What a changing call was given is its own: it asks for the same again.
  if (!g.changing && !free.empty()) {
    block = free.back();
    free.pop_back();
  } else {
    const cudaError_t e = cudaMalloc(&block, size);
    if (e != cudaSuccess) {
      cudaGetLastError();
      g.why = "there is no memory for it";
      return nullptr;
    }
    g.blocks.insert(block);
  }
  if (g.changing) g.scratch.push_back(block);
  return block;
}

bool graph_release(int device, void* block, size_t size) {
  Graph* const g = refreshing ? refreshing : capturing;
  if (!g || g->device != device || !g->blocks.count(block)) return false;
  if (g == capturing && !g->changing) g->free[size].push_back(block);
  return true;
}

bool graph_stream(int device, cudaStream_t* stream) {
  if (!capturing || capturing->device != device) return false;
  *stream = capturing->stream;
  return true;
}

void* graph_begin(int device) {
  auto g = std::make_unique<Graph>();
  g->device = device;
  const OnDevice on(device);
  check(cudaStreamCreateWithPriority(&g->stream, cudaStreamNonBlocking, 0), "graph");
  // Relaxed: memory may be allocated meanwhile, and other threads do as they like.
  check(cudaStreamBeginCapture(g->stream, cudaStreamCaptureModeRelaxed), "graph");
  capturing = g.get();
  return g.release();
}

void graph_call(void* graph, bool changing) {
  Graph& g = of(graph);
  if (refreshing) return;
  end_call(g);
  g.changing = changing;
  g.own = 0;
  cudaGraphNode_t last;
  if (changing && !captured(g, &last, &g.before)) g.why = "the capture was broken off";
}

bool graph_end(void* graph, const char** why) {
  Graph& g = of(graph);
  end_call(g);
  capturing = nullptr;
  cudaError_t e = cudaStreamEndCapture(g.stream, &g.graph);
  if (e == cudaSuccess && g.why.empty()) e = cudaGraphInstantiate(&g.exec, g.graph, 0);
  if (e != cudaSuccess) {
    cudaGetLastError();
    g.why = cudaGetErrorString(e);
  }
  const OnDevice on(g.device);
  for (int i = 0; g.why.empty() && i < kTurns; ++i)
    check(cudaEventCreateWithFlags(&g.done[i], cudaEventDisableTiming), "graph");
  *why = g.why.c_str();
  return g.why.empty();
}

void graph_refresh(void* graph) {
  Graph& g = of(graph);
  g.turn = (g.turn + 1) % kTurns;
  if (g.used[g.turn]) check(cudaEventSynchronize(g.done[g.turn]), "graph");
  g.at = g.taken = 0;
  refreshing = &g;
}

void graph_launch(void* graph) {
  Graph& g = of(graph);
  refreshing = nullptr;
  const OnDevice on(g.device);
  const cudaStream_t s = current_stream(g.device);
  check(cudaGraphLaunch(g.exec, s), "graph");
  check(cudaEventRecord(g.done[g.turn], s), "graph");
  g.used[g.turn] = true;
}

void graph_destroy(void* graph) {
  Graph& g = of(graph);
  if (capturing == &g) capturing = nullptr;
  if (refreshing == &g) refreshing = nullptr;
  int before = 0;  // nothing is thrown here
  cudaGetDevice(&before);
  if (before != g.device) cudaSetDevice(g.device);
  cudaDeviceSynchronize();
  if (g.exec) cudaGraphExecDestroy(g.exec);
  if (g.graph) cudaGraphDestroy(g.graph);
  if (g.stream) cudaStreamDestroy(g.stream);
  for (cudaEvent_t e : g.done)
    if (e) cudaEventDestroy(e);
  for (void* b : g.blocks) cudaFree(b);
  for (void* b : g.held) cudaFreeHost(b);
  for (const Node& n : g.nodes)
    for (int i = 0; n.upload && i < kTurns; ++i) cudaFreeHost(n.buffers[i]);
  if (before != g.device) cudaSetDevice(before);
  delete &g;
}

}  // namespace lamina::cuda
