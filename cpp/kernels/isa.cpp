// Compiled once per (instruction set, op): CMake sets LAMINA_ISA to the set's name, which is also
// the namespace of everything inside, and LAMINA_STEM_HEADER to the op's loops. The only symbol
// an object exports is lamina::<isa>::fill_<stem>(Kernels&), so no code built with wide vector
// instructions can be picked by the linker for a plain CPU.
#include LAMINA_STEM_HEADER
