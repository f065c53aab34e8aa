// *sum = the sum of x in an order that does not depend on which block comes last: every block
// writes the sums of its threads, and the last one adds up all of them.
//
// FENCE_BY_ONE is right too: the fence of one thread behind a barrier does for all. Planted bugs:
// MISSING_FENCE and MISSING_BARRIER count a block before its sums can be seen, MISSING_ATOMIC takes
// the block with the highest number for the last one.

#define FENCE_BY_ONE 1
#define MISSING_FENCE 2
#define MISSING_BARRIER 3
#define MISSING_ATOMIC 4

extern "C" __global__ void deterministic_sum(
    float* sum, float* partial, unsigned* count, const float* x, int n, int variant) {
  // partial is (gridDim.x, blockDim.x)
  __shared__ bool last;
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  float value = 0.0f;
  for (int k = i; k < n; k += gridDim.x * blockDim.x) value += x[k];
  partial[i] = value;
  if (variant != FENCE_BY_ONE && variant != MISSING_FENCE) __threadfence();
  if (variant != MISSING_BARRIER) __syncthreads();
  if (threadIdx.x == 0) {
    if (variant == FENCE_BY_ONE) __threadfence();
    unsigned before = variant == MISSING_ATOMIC ? blockIdx.x : atomicAdd(count, 1u);
    last = before == gridDim.x - 1;
  }
  __syncthreads();
  if (!last || threadIdx.x > 0) return;
  float all = 0.0f;
  for (int k = 0; k < gridDim.x * blockDim.x; k++) all += partial[k];
  *sum = all;
  *count = 0;  // for the next launch
}
