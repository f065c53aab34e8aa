// y[i] = x[i - 1]. Planted bug: a barrier is missing, which is no harm as long as threads run in
// the order of their numbers.

extern "C" __global__ void shift(float* y, const float* x) {
  __shared__ float values[64];
  values[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = values[threadIdx.x ? threadIdx.x - 1 : 0];
}
