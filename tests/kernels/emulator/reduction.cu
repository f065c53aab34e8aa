// *sum += the sum of |x|: each warp by shuffles, each block by its first warp, blocks by an atomic.
// Planted bug: MISSING_BARRIER reads what the warps sum before they wrote it.

#define MISSING_BARRIER 1

extern "C" __global__ void absolute_sum(float* sum, const float* x, int n, int bug) {
  __shared__ float of_warp[32];
  int lane = threadIdx.x % 32;
  int warp = threadIdx.x / 32;
  float value = 0.0f;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    value += fabsf(x[i]);
  }
  for (int by = 16; by > 0; by /= 2) value += __shfl_down_sync(0xffffffffu, value, by);
  if (lane == 0) of_warp[warp] = value;
  if (bug != MISSING_BARRIER) __syncthreads();
  if (warp > 0) return;
  value = lane < blockDim.x / 32 ? of_warp[lane] : 0.0f;
  for (int by = 16; by > 0; by /= 2) value += __shfl_down_sync(0xffffffffu, value, by);
  if (lane == 0) atomicAdd(sum, value);
}
