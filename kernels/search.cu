// y[r] = the number of the largest (smallest) of the `count` elements of each result r, the first
// of equals; NaN is beyond all others. How x is walked through stands in reduction.cuh.
//
// The Python beside this file defines the type IN, KEPT and REDUCED, and BEYOND(a, b): a > b for
// the largest, a < b for the smallest. The cost is that of reading x once.

#include "reduction.cuh"

#define THREADS 1024  // in a block, at most

struct Found {
  IN value;
  int number;  // of the element; -1 is none
};

struct First {
  __device__ Found operator()(Found a, Found b) const {
    if (b.number < 0) {
      return a;
    }
    if (a.number < 0) {
      return b;
    }
    const bool behind = BEYOND(a.value, b.value) || (a.value != a.value && b.value == b.value);
    const bool ahead = BEYOND(b.value, a.value) || (b.value != b.value && a.value == a.value);
    return behind || (!ahead && a.number < b.number) ? a : b;
  }
};

extern "C" __global__ void __launch_bounds__(THREADS)
find(long long* y, const IN* x, int results, AXES(kept), int count, AXES(reduced), int lanes,
     int step) {
  __shared__ Found values[THREADS];
  const Axes kept = AS_AXES(kept);
  const Axes reduced = AS_AXES(reduced);
  const Thread thread = this_thread(lanes, step);
  const First join;
  Found found = {0, -1};
  if (thread.column < results) {
    x += place<KEPT>(thread.column, kept);
    for (int i = thread.lane; i < count; i += lanes) {
      found = join(found, {x[place<REDUCED>(i, reduced)], i});
    }
  }
  found = joined(found, values, thread, join);
  if (thread.lane == 0 && thread.column < results) {
    y[thread.column] = found.number;
  }
}
