// Graphs of launches: what the run time asks while one is made or refreshed on this thread.
#pragma once
#include "runtime.h"

namespace lamina::cuda {

// Memory for a launch that a graph keeps; null: no graph is being made, or refreshed, here.
void* graph_allocate(int device, size_t size);
// Whether the block was the graph's.
bool graph_release(int device, void* block, size_t size);
// The stream that is being captured; false: none.
bool graph_stream(int device, cudaStream_t* stream);

void* graph_begin(int device);
void graph_call(void* graph, bool changing);
bool graph_end(void* graph, const char** why);
void graph_refresh(void* graph);
void graph_launch(void* graph);
void graph_destroy(void* graph);

}  // namespace lamina::cuda
