// Local response normalisation: each value divided by a power of the squares of its neighbours in
// the channels, and the way back. With sum over the `below` channels before c, c, and the `above`
// channels behind it (for the adjoint they change places):
//
//   lrn           scale[c] = bias + share * the sum of x * x
//                 shrink[c] = scale[c] ^ -beta
//                 y[c] = x[c] * shrink[c]
//   lrn_backward  dx[c] = dy[c] * shrink[c] - gain * x[c] * the sum of dy * x * shrink / scale
//   channel_sum   y[c] = the sum of x
//
// Memory has the channels innermost, so an array is one line of pixels * channels elements and the
// neighbours of an element are its neighbours in memory, as far as its pixel goes.
//
// A block takes blockDim.x elements in a row. What is summed it works out once for each, and for
// those up to `below` before and `above` behind them, into shared memory; then each thread adds up
// its neighbours, first itself, then downwards, then upwards, as the specification does. The cost
// is that of the bytes. To read shrink again is as cheap as to raise to that power again.

#include "hook.cuh"

// terms[k] = value(element first - below + k), of below + blockDim.x + above elements. Each thread
// works out that of its own element, then of the others.
template <class Value>
__device__ __forceinline__ void share_terms(float* terms, int below, int above, int count,
                                            Value value) {
  const int first = blockIdx.x * blockDim.x;
  const int own = first + threadIdx.x;
  terms[below + threadIdx.x] = own < count ? value(own) : 0.0f;
  for (int k = threadIdx.x; k < below + above; k += blockDim.x) {
    const int term = k < below ? k : k + blockDim.x;
    const int i = first - below + term;
    terms[term] = i >= 0 && i < count ? value(i) : 0.0f;
  }
  __syncthreads();
}

// the sum over the neighbours in the channels of this thread's element, which is of channel c
__device__ __forceinline__ float neighbours(const float* terms, int c, int channels, int below,
                                            int above) {
  const int middle = below + threadIdx.x;
  float sum = terms[middle];
  for (int k = 1; k <= min(below, c); k++) {
    sum += terms[middle - k];
  }
  for (int k = 1; k <= min(above, channels - 1 - c); k++) {
    sum += terms[middle + k];
  }
  return sum;
}

extern "C" __global__ void lrn(float* __restrict__ y, float* __restrict__ scale,
                               float* __restrict__ shrink, const float* __restrict__ x, int count,
                               int channels, int below, int above, float share, float beta,
                               float bias) {
  // all arrays are (pixels, channels), count their elements
  extern __shared__ float terms[];
  share_terms(terms, below, above, count, [&](int i) { return x[i] * x[i]; });
  const int own = blockIdx.x * blockDim.x + threadIdx.x;
  if (own < count) {
    const float sum = neighbours(terms, own % channels, channels, below, above);
    const float base = bias + share * sum;
    const float power = powf(base, -beta);
    scale[own] = base;
    shrink[own] = power;
    y[own] = x[own] * power;
  }
}

extern "C" __global__ void lrn_backward(float* __restrict__ dx, const float* __restrict__ dy,
                                        const float* __restrict__ x,
                                        const float* __restrict__ scale,
                                        const float* __restrict__ shrink, int count, int channels,
                                        int below, int above,
                                        float gain EPILOGUE_PARAMETERS) {
  // all arrays are (pixels, channels), count their elements
  extern __shared__ float terms[];
  share_terms(terms, below, above, count,
              [&](int i) { return dy[i] * x[i] * shrink[i] / scale[i]; });
  const int own = blockIdx.x * blockDim.x + threadIdx.x;
  if (own < count) {
    const float sum = neighbours(terms, own % channels, channels, below, above);
    const float value = dy[own] * shrink[own] - gain * x[own] * sum;
    dx[own] = EPILOGUE(value, own, own % channels);
  }
}

extern "C" __global__ void channel_sum(float* __restrict__ y, const float* __restrict__ x,
                                       int count, int channels, int below, int above) {
  // both arrays are (pixels, channels), count their elements
  extern __shared__ float terms[];
  share_terms(terms, below, above, count, [&](int i) { return x[i]; });
  const int own = blockIdx.x * blockDim.x + threadIdx.x;
  if (own < count) {
    y[own] = neighbours(terms, own % channels, channels, below, above);
  }
}
