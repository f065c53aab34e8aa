// The words that CUDA adds to C++.
#pragma once

#define __global__ __attribute__((noinline))
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)  // entry.py reads it, module.py refuses larger blocks
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __constant__ static const

// One copy is enough, as blocks run one after the other. The linker puts them together: a kernel's
// zeroed variables are nothing else.
#define __shared__ static

// What entry.py writes for `extern __shared__ type name[];`.
#define EMULATOR_DYNAMIC_SHARED(type, name) \
  type* const name = reinterpret_cast<type*>(emulator::dynamic_shared())

extern uint3 threadIdx;  // of the thread that is running now, as is all that follows
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
static const int warpSize = 32;

namespace emulator {
void* dynamic_shared();
}
