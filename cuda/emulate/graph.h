// Streams and graphs of the emulated device: a stream that is being captured keeps what it is given
// in a list of closures; a graph's launch runs them in order.
#pragma once
#include <memory>
#include <vector>

#include "cuda_runtime.h"

struct lamina_emulated_node {
  std::function<void()> run;
  bool kernel = false;
};
struct lamina_emulated_graph {
  std::vector<std::unique_ptr<lamina_emulated_node>> nodes;  // they stay where they are
};
struct lamina_emulated_stream {
  lamina_emulated_graph* capture = nullptr;
  cudaGraphNode_t last = nullptr;
  int device = 0;
};

namespace lamina::emulate {

// Makes the copies from page-locked memory that were put off.
void make_copies();
// Does the work, or keeps it for the graph that the stream is captured into.
void issue(cudaStream_t s, std::function<void()> work, bool kernel = false);

}  // namespace lamina::emulate
