// y[r] = PROLOGUE(x) of the `count` elements of each result r, joined by an OPERATION: Sum, Product,
// Largest or Smallest. How x is walked through stands in reduction.cuh.
//
// The Python beside this file defines the types IN, TOTAL and OUT, KEPT and REDUCED, OPERATION, and
// START, which is the value of no elements. PROLOGUE changes an element on its way in, FINISH(v) a
// result on its way out: a mean divides there by `whole`, the number of elements of a result.
//
// A thread joins every lanes-th element in four chains, then the lanes meet in a tree: rounding
// grows as in a sum by halves. Where one block would be long at a result, each of gridDim.y blocks
// takes a segment and y is (segments, results): a second launch joins those. The cost is that of
// reading x once.

#include "hook.cuh"
#include "reduction.cuh"

#define THREADS 1024  // in a block, at most
#define CHAINS 4

extern "C" __global__ void __launch_bounds__(THREADS)
reduce(OUT* y, const IN* x, int results, AXES(kept), int count, AXES(reduced), int lanes, int step,
       int segment, int whole, int channels PROLOGUE_PARAMETERS) {
  __shared__ TOTAL values[THREADS];
  const Axes kept = AS_AXES(kept);
  const Axes reduced = AS_AXES(reduced);
  const Thread thread = this_thread(lanes, step);
  const OPERATION join;
  TOTAL chain[CHAINS];
#pragma unroll
  for (int k = 0; k < CHAINS; k++) {
    chain[k] = START;
  }
  if (thread.column < results) {
    const int corner = place<KEPT>(thread.column, kept);
    const auto element = [&](int number) {
      const int at = corner + place<REDUCED>(number, reduced);
      return (TOTAL)PROLOGUE(x[at], at, at % channels);
    };
    const int first = blockIdx.y * segment;
    const int end = first + min(segment, count - first);
    int i = first + thread.lane;
    for (; i < end - (CHAINS - 1) * lanes; i += CHAINS * lanes) {
#pragma unroll
      for (int k = 0; k < CHAINS; k++) {
        chain[k] = join(chain[k], element(i + k * lanes));
      }
    }
    for (; i < end; i += lanes) {
      chain[0] = join(chain[0], element(i));
    }
  }
  TOTAL value = join(join(chain[0], chain[1]), join(chain[2], chain[3]));
  value = joined(value, values, thread, join);
  if (thread.lane == 0 && thread.column < results) {
    y[blockIdx.y * results + thread.column] = (OUT)FINISH(value);
  }
}
