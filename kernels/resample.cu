// y[o, j, i] = the sum over row j's entries k of weight[k] * x[o, index[k], i]: a sparse matrix
// times the lines of x along an axis. Other sizes of pictures are that, and so are their adjoints,
// by the transposed matrix.
//
// Memory: x is (outer, old, inner), y (outer, rows, inner). The entries of row j are those from
// first[j] to first[j + 1], as in scipy's CSR, and are added in that order. A thread makes LANES
// elements of one row. The cost is that of the bytes where rows are short, as they are: each
// element of x is read once for each entry, mostly from the caches.

#include "hook.cuh"
#include "lanes.cuh"

extern "C" __global__ void resample(float* __restrict__ y, const float* __restrict__ x,
                                    const int* __restrict__ first, const int* __restrict__ index,
                                    const float* __restrict__ weight, int outer, int rows, int old,
                                    int inner, int channels EPILOGUE_PARAMETERS) {
  const int chunks = inner / LANES;
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = item % chunks * LANES;
  const int j = item / chunks % rows;
  const int o = item / chunks / rows;
  if (o >= outer) {
    return;
  }
  Lanes<float> sum = {};
  for (int k = first[j]; k < first[j + 1]; k++) {
    const Lanes<float> value = load(x + (o * old + index[k]) * inner + i);
    #pragma unroll
    for (int l = 0; l < LANES; l++) {
      sum.at[l] += weight[k] * value.at[l];
    }
  }
  const int at = (o * rows + j) * inner + i;
  #pragma unroll
  for (int l = 0; l < LANES; l++) {
    sum.at[l] = EPILOGUE(sum.at[l], at + l, (at + l) % channels);
  }
  store(y + at, sum);
}
