// What a CUDA kernel finds when g++ compiles it for a CPU: the words and functions of CUDA C.
//
// The text of a kernel stays as NVRTC gets it; entry.py puts this header in front of it. What takes
// more than a line is only declared here and done by the machine (see runtime.h).
//
//   keyword.h     __global__, __shared__, threadIdx and the like
//   vector.h      float4, make_float4 and the like
//   intrinsic.h   mathematics, bits, atomics, fences
//   warp.h        barriers, shuffles, votes
//   ptx.h         twins of inline PTX: tensor cores, cp.async, conversions
//   entry.h       how a launch gets into a kernel
//
// While a text is preprocessed CUDA_EMUL is defined, for the one file that has to ask: ptx.cuh.
#pragma once

// C's own mathematics: that of C++ takes twice as long to read as a kernel to compile
#define _GLIBCXX_INCLUDE_NEXT_C_HEADERS
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#undef _GLIBCXX_INCLUDE_NEXT_C_HEADERS

#pragma GCC visibility push(hidden)  // a module is one shared library: short ways inside it
#include "vector.h"
#include "keyword.h"
#include "intrinsic.h"
#include "warp.h"
#include "ptx.h"
#include "entry.h"
#pragma GCC visibility pop
