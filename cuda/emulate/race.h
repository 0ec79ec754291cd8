// Finding races on the emulated device: what threads.cpp tells while it runs a launch (race.cpp).
// Only the library that is built with LAMINA_RACES looks; in the other these are nothing.
#pragma once
#include "cuda_runtime.h"

namespace lamina::emulate::race {

#ifdef LAMINA_RACES

// A launch with blocks of `threads`; `own` is the emulator's memory among the library's variables.
void launch_begins(int threads, Range global, Range dynamic, Range own);
bool launch_ends();  // whether it was free of races
void block_begins(unsigned x, unsigned y, unsigned z);
void thread_runs(int thread);
void thread_stops();
void at_barrier(const void* place);                                 // all threads of the block are
void at_warp_barrier(int warp, unsigned lanes, const void* place);  // these lanes of a warp are
void reads(const void* p, size_t bytes);
void writes(const void* p, size_t bytes);
void changes(const void* p, size_t bytes);  // as one indivisible step

#else

inline void launch_begins(int, Range, Range, Range) {}
inline bool launch_ends() { return true; }
inline void block_begins(unsigned, unsigned, unsigned) {}
inline void thread_runs(int) {}
inline void thread_stops() {}
inline void at_barrier(const void*) {}
inline void at_warp_barrier(int, unsigned, const void*) {}
inline void reads(const void*, size_t) {}
inline void writes(const void*, size_t) {}
inline void changes(const void*, size_t) {}

#endif

}  // namespace lamina::emulate::race
