// y[o, j, m, k, i] = x[o, j - down, m, k - along, i]: two axes, each a ring, turned by `down` and
// `along` elements. This is the jitter of a picture, and with a `sign` of -1 its way back.
//
// Memory: x and y are (outer, rows, middle, columns, inner). A `shift` in the memory of the device
// stands for both numbers: so what was captured in a CUDA graph turns otherwise each time. A thread
// moves one element; the cost is that of the bytes.

#include "hook.cuh"

#ifndef TYPE
#define TYPE float
#endif

// k modulo n, from 0 on whatever the sign of k
__device__ __forceinline__ int modulo(long long k, int n) {
  return int((k % n + n) % n);
}

extern "C" __global__ void roll(TYPE* __restrict__ y, const TYPE* __restrict__ x, int outer,
                                int rows, int middle, int columns, int inner, int channels,
                                const long long* __restrict__ shift, int down, int along,
                                int sign PROLOGUE_PARAMETERS EPILOGUE_PARAMETERS) {
  __shared__ int turns[2];
  if (threadIdx.x == 0) {
    turns[0] = modulo(sign * (shift == nullptr ? down : shift[0]), rows);
    turns[1] = columns == 1 ? 0 : modulo(sign * (shift == nullptr ? along : shift[1]), columns);
  }
  __syncthreads();
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = item % inner;
  const int k = item / inner % columns;
  const int m = item / inner / columns % middle;
  const int j = item / inner / columns / middle % rows;
  const int o = item / inner / columns / middle / rows;
  if (o < outer) {
    const int from_j = j < turns[0] ? j - turns[0] + rows : j - turns[0];
    const int from_k = k < turns[1] ? k - turns[1] + columns : k - turns[1];
    const int from = (((o * rows + from_j) * middle + m) * columns + from_k) * inner + i;
    const TYPE value = PROLOGUE(x[from], from, from % channels);
    y[item] = EPILOGUE(value, item, item % channels);
  }
}
