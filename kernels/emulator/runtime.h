// The machine that runs kernels: compiled once, and linked to every module of kernels.
//
//   machine.h      its state, and what a launch passes
//   scheduler.h    fibers: which thread of a block runs
//   race.h         who wrote and read what, and in which order
//   access.h       is an access allowed?
//   sanitizer.h    where the accesses of a kernel arrive
//   collective.h   votes and shuffles
//   tensor_core.h  matrix products and ldmatrix
//   copy.h         cp.async
//   atomic.h       atomics and fences
//   launch.h       the blocks of a grid
//
// What of it a kernel sees stands in cuda.h.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "cuda.h"

#pragma GCC visibility push(hidden)
#include "machine.h"
#include "scheduler.h"
#include "race.h"
#include "access.h"
#include "sanitizer.h"
#include "collective.h"
#include "tensor_core.h"
#include "copy.h"
#include "atomic.h"
#include "launch.h"
#pragma GCC visibility pop
