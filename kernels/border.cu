// A border along one axis, made of what the axis holds, and its adjoint:
//
//   extend           y[o, p, i] = x[o, source(p - before), i]
//   extend_backward  dx[o, k, i] = the sum of dy[o, p, i] over the p whose source is k
//
// `source` is the place that an element inside or outside is read from, by MODE:
//   REFLECT  mirrored at the first and the last element, again and again
//   EDGE     the first or the last element
//   WRAP     the axis again
//
// Memory: x is (outer, size, inner), y (outer, length, inner). A thread makes LANES elements. The
// cost is that of the bytes, once for each axis that has a border.

#include "lanes.cuh"

#ifndef TYPE
#define TYPE float
#endif

#define REFLECT 0
#define EDGE 1
#define WRAP 2

// k modulo n, from 0 on whatever the sign of k
__device__ __forceinline__ int modulo(int k, int n) {
  return (k % n + n) % n;
}

__device__ __forceinline__ int source(int k, int size) {
#if MODE == REFLECT
  return size == 1 ? 0 : size - 1 - abs(modulo(k, 2 * size - 2) - (size - 1));
#elif MODE == EDGE
  return min(max(k, 0), size - 1);
#else
  return modulo(k, size);
#endif
}

extern "C" __global__ void extend(TYPE* __restrict__ y, const TYPE* __restrict__ x, int outer,
                                  int size, int length, int before, int inner) {
  const int chunks = inner / LANES;
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = item % chunks * LANES;
  const int p = item / chunks % length;
  const int o = item / chunks / length;
  if (o < outer) {
    const int k = source(p - before, size);
    store(y + (o * length + p) * inner + i, load(x + (o * size + k) * inner + i));
  }
}

extern "C" __global__ void extend_backward(float* __restrict__ dx, const float* __restrict__ dy,
                                           int outer, int size, int length, int before,
                                           int inner) {
  const int chunks = inner / LANES;
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = item % chunks * LANES;
  const int k = item / chunks % size;
  const int o = item / chunks / size;
  if (o >= outer) {
    return;
  }
  const float* line = dy + o * length * inner + i;
  Lanes<float> sum = load(line + (before + k) * inner);
  auto add = [&](int p) {
    const Lanes<float> diff = load(line + p * inner);
    #pragma unroll
    for (int l = 0; l < LANES; l++) {
      sum.at[l] += diff.at[l];
    }
  };
#if MODE == EDGE
  for (int p = 0; k == 0 && p < before; p++) {
    add(p);
  }
  for (int p = before + size; k == size - 1 && p < length; p++) {
    add(p);
  }
#else
  // what is read here comes again with the period, and where it is mirrored once more within it
  const int period = MODE == REFLECT ? max(2 * size - 2, 1) : size;
  for (int p = modulo(before + k, period); p < length; p += period) {
    if (p != before + k) {
      add(p);
    }
  }
  if (MODE == REFLECT && k > 0 && k < size - 1) {
    for (int p = modulo(before - k, period); p < length; p += period) {
      add(p);
    }
  }
#endif
  store(dx + (o * size + k) * inner + i, sum);
}
